"""The attacks of Table 2 and two controls, the arrays of what an attack finds, and distances from the original."""

from dataclasses import dataclass

import numpy as np

WHITE = 65_535  # in adversarial images, which have 16 bits a pixel: 257 for each step of an original


@dataclass(frozen=True)
class Attack:
    """One attack: its title in tables, its default number of steps, and its search."""

    title: str
    steps: int
    search: str  # `package.module:function`, a `searches.Search`; imported when the attack runs


ATTACKS: dict[str, Attack] = {
    "deepfool": Attack("DeepFool", 50, "lib.adversarial.searches:deepfool"),
    "basic_iterative": Attack("L2-BIM", 10, "lib.adversarial.searches:basic_iterative"),
    "boundary": Attack("Boundary", 5_000, "lib.adversarial.searches:boundary"),
    "pointwise": Attack("Pointwise", 100, "lib.adversarial.searches:pointwise"),
    "salt_and_pepper": Attack("Salt and pepper", 100, "lib.adversarial.searches:salt_and_pepper"),
    "gaussian_noise": Attack("Gaussian noise", 10, "lib.adversarial.searches:gaussian_noise"),
}


def find(attack: str) -> Attack:
    """The attack of this name; ValueError, which lists the names, if it is unknown."""
    if attack not in ATTACKS:
        raise ValueError(f"unknown attack {attack!r}; choose from {', '.join(ATTACKS)}")
    return ATTACKS[attack]


@dataclass(frozen=True)
class Found:
    """What an attack found for n images; for an image that is misclassified already, that image at distance 0."""

    adversarial: np.ndarray  # (n, 28, 28) uint16, 0 black to 65535 white; the original where none was found
    predicted: np.ndarray  # (n,) uint8, the predicted class of the adversarial image
    started: np.ndarray  # (n,) bool, whether the attack found a start
    fooled: np.ndarray  # (n,) bool
    l0: np.ndarray  # (n,) uint16, pixels changed
    l2: np.ndarray  # (n,) float32, brightness from 0 to 1
    linf: np.ndarray  # (n,) float32


def perturbation_sizes(adversarial: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L0 (pixels), L2 and L-infinity (of brightness 0 to 1) between (n, 28, 28) uint16 and uint8 images: each (n,)."""
    change = np.abs(adversarial.astype(np.int64) - 257 * images.astype(np.int64)).reshape(len(images), -1)
    l2 = np.sqrt((change**2).sum(axis=1)) / WHITE
    return (change > 0).sum(axis=1).astype(np.uint16), l2.astype(np.float32), (change.max(axis=1) / WHITE).astype("f4")
