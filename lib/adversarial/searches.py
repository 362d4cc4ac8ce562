"""Foolbox's attacks, which search for the nearest misclassified image (Table 2), on a block of images.

Foolbox draws random numbers for all images of a block together, so the result for one image depends on its block. The
same block, seed and steps give the same result.
"""

import copy
import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager

import foolbox
import numpy as np
import torch
from foolbox.attacks.base import FixedEpsilonAttack
from foolbox.criteria import Misclassification
from torch import Tensor

from lib.adversarial.attacks import WHITE, Found, find, perturbation_sizes
from lib.networks.net import Net, device, memory_format
from lib.store.parameters import imported

SIZES = 1.499 * 2 ** np.arange(-3, 4.5, 0.25)  # L2, 19 % apart from 0.19 to 28, one of them just under 1.5

# (model, images (n, 1, 28, 28), labels (n,), steps) -> the images found, and for which there was a start, (n,) bool
Search = Callable[[foolbox.Model, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def deepfool(model: foolbox.Model, images: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """DeepFool (Moosavi-Dezfooli et al. 2016): at most `steps` steps, each to the nearest boundary as linearised."""
    return _from_anywhere(foolbox.attacks.L2DeepFoolAttack(steps=steps), model, images, labels)


def basic_iterative(model: foolbox.Model, images: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The L2 basic iterative method: `steps` gradient steps within each of `SIZES`, from the smallest up."""
    return _at_sizes(foolbox.attacks.L2BasicIterativeAttack(steps=steps), model, images, labels)


def gaussian_noise(model: foolbox.Model, images: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A control: at most `steps` draws of Gaussian noise at each of `SIZES`, from the smallest up."""
    return _at_sizes(foolbox.attacks.L2RepeatedAdditiveGaussianNoiseAttack(repeats=steps), model, images, labels)


def salt_and_pepper(model: foolbox.Model, images: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A control: `steps` draws of black and white pixels, more until they fool the network, then fewer."""
    return _from_anywhere(foolbox.attacks.SaltAndPepperNoiseAttack(steps=steps), model, images, labels)


def pointwise(model: foolbox.Model, images: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Pointwise (Schott et al. 2018): from `steps` draws of salt and pepper, pixel by pixel back to the image.

    Foolbox's further search within the changed pixels is off: it triples the cost and lowers L2 by 1 %.
    """
    starts, _ = salt_and_pepper(model, images, labels, steps)
    return _from_starts(foolbox.attacks.PointwiseAttack(l2_binary_search=False), starts, model, images, labels)


def boundary(model: foolbox.Model, images: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Boundary (Brendel et al. 2018): `steps` steps along the boundary, from salt and pepper.

    Foolbox's own start is uniform noise, which a network may classify as one digit in every draw; the images of that
    digit would never have a start.
    """
    starts, _ = salt_and_pepper(model, images, labels, 100)
    return _from_starts(foolbox.attacks.BoundaryAttack(steps=steps), starts, model, images, labels)


def search(net: Net, attack: str, images: np.ndarray, labels: np.ndarray, *, steps: int, seed: int | str) -> Found:
    """Attack one block of images (n, 28, 28) uint8 with the true classes (n,); `net` is in eval mode.

    The state of torch's and NumPy's generators is restored afterwards.
    """
    model = as_model(net)
    clean = torch.from_numpy(images[:, None] / np.float32(255)).to(model.device)  # (n, 1, 28, 28)
    truth = torch.from_numpy(labels.astype(np.int64)).to(model.device)
    right = model(clean).argmax(dim=1) == truth
    found, started = clean.clone(), torch.ones_like(right)
    if right.any():
        with _seeded(f"{attack} {seed}"):
            found[right], started[right] = imported(find(attack).search)(model, clean[right], truth[right], steps)
    adversarial = _as_stored(found[:, 0].cpu().numpy(), images)
    predicted = model(_brightness(adversarial).to(model.device)).argmax(dim=1).cpu().numpy().astype(np.uint8)
    fooled = predicted != labels
    adversarial[~fooled] = 257 * images[~fooled].astype(np.uint16)
    return Found(adversarial, predicted, started.cpu().numpy(), fooled, *perturbation_sizes(adversarial, images))


def as_model(net: Net) -> foolbox.PyTorchModel:
    """A copy of the network for Foolbox: images (n, 1, 28, 28) with brightness from 0 to 1 -> logits (n, 10)."""
    own = copy.deepcopy(net).to(memory_format=memory_format(net)).requires_grad_(False)
    return foolbox.PyTorchModel(own, (0, 1), device())


def probabilities(net: Net, adversarial: np.ndarray) -> np.ndarray:
    """Class probabilities (n, 10) of adversarial images (n, 28, 28) uint16."""
    with torch.inference_mode():
        return net(_brightness(adversarial)).softmax(dim=1).numpy()


def _brightness(adversarial: np.ndarray) -> Tensor:
    return torch.from_numpy(adversarial[:, None] / np.float32(WHITE))


def _as_stored(found: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Images with brightness from 0 to 1 in 16 bits, rounded away from the originals so that they stay adversarial.

    A change within float32's rounding becomes 0.
    """
    change = WHITE * (found.astype(np.float64) - images / 255)
    whole = np.sign(change) * np.ceil(np.abs(change) - 0.02)
    return np.clip(257 * images.astype(np.float64) + whole, 0, WHITE).astype(np.uint16)


@contextmanager
def _seeded(words: str) -> Generator[None]:
    """Seed torch's and NumPy's global generators, from which Foolbox draws, and restore both."""
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "little")
    state = np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _from_anywhere(attack, model: foolbox.Model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """An attack that starts from the images themselves."""
    return attack.run(model, images, Misclassification(labels)), torch.ones_like(labels, dtype=torch.bool)


def _from_starts(attack, starts: Tensor, model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """An attack that starts from misclassified images; without one an image is skipped, which Foolbox would refuse."""
    started = model(starts).argmax(dim=1) != labels
    found = images.clone()
    if started.any():
        wrong = Misclassification(labels[started])
        found[started] = attack.run(model, images[started], wrong, starting_points=starts[started])
    return found, started


def _at_sizes(attack: FixedEpsilonAttack, model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """An attack of one size at each of `SIZES`, on the images that no smaller one has fooled."""
    found, left = images.clone(), torch.ones_like(labels, dtype=torch.bool)
    for size in SIZES:
        if left.any():
            found[left] = attack.run(model, images[left], Misclassification(labels[left]), epsilon=float(size))
            left[left.clone()] = model(found[left]).argmax(dim=1) == labels[left]
    return found, torch.ones_like(left)
