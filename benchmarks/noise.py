"""The speed of the noises beside that of what one would otherwise write: `make benchmark`.

All write the 20 levels 10, 20, ..., 200 of the MNIST test images, as a sweep needs them. The first two alternatives
make the same noises, without replacement. scikit-image's salt-and-pepper noise writes one level at a time. Then follow
the rates of `lib.noise` for each reading, for tensors on torch's device, and for colours.
"""

import time

import numpy as np
import torch
from skimage.util import random_noise

from lib import paper
from lib.noise import NOISES, SOURCES, Noise, altered_table, attack_map, eligible_pixels, perturb_and_count
from lib.noise.colour import luminance
from lib.store import data

LEVELS = paper.LEVELS[1:]  # without 0


def edges(image: np.ndarray) -> np.ndarray:
    """Pixels with a neighbour on the other side of b > 127, in NumPy for one image."""
    white = image > 127
    found = np.zeros(image.shape, bool)
    rows, columns = image.shape
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            here = (slice(max(y, 0), rows + min(y, 0)), slice(max(x, 0), columns + min(x, 0)))
            there = (slice(max(-y, 0), rows + min(-y, 0)), slice(max(-x, 0), columns + min(-x, 0)))
            found[here] |= white[here] != white[there]
    return found


MASKS = {
    "random_pixel_invert": lambda image: np.ones(image.shape, bool),
    "white_to_black": lambda image: image > 0,
    "black_to_white": lambda image: image < 100,
    "edge_to_altered": edges,
}


def pixel_loop(images: np.ndarray, noise: Noise) -> int:
    """One attack after another, each with np.nonzero over the eligible pixels; returns the attacks made."""
    random = np.random.default_rng(0)
    table = altered_table(noise)
    made = 0
    for image in images.copy():
        open_to_attack = np.ones(image.shape, bool)
        levels = []
        for attack in range(LEVELS[-1]):
            y, x = np.nonzero(open_to_attack & MASKS[noise.name](image))
            if len(y):
                pick = random.integers(len(y))
                image[y[pick], x[pick]] = table[image[y[pick], x[pick]]]
                open_to_attack[y[pick], x[pick]] = False
                made += 1
            if attack + 1 in LEVELS:
                levels.append(image.copy())
    return made


def whole_arrays(images: np.ndarray, noise: Noise) -> int:
    """A random score for every pixel; the k eligible ones with the lowest are altered at once. Returns the attacks."""
    random = np.random.default_rng(0)
    table = altered_table(noise)
    flat = images.reshape(len(images), -1)
    eligible = eligible_pixels(images, noise).reshape(flat.shape)
    order = np.argsort(np.where(eligible, random.random(flat.shape), 2.0), axis=1)
    rank = np.argsort(order, axis=1)
    for level in LEVELS:
        np.where(eligible & (rank < level), table[flat], flat)
    return int(np.minimum(eligible.sum(axis=1), LEVELS[-1]).sum())


def kernel(images: np.ndarray, noise: Noise, replacement: bool = False, source: str = "current") -> int:
    _, drawn, _, _ = perturb_and_count(images, noise, LEVELS, replacement=replacement, source=source)
    return int(drawn[-1].sum())


def tensors(images: np.ndarray, noise: Noise) -> int:
    """The default reading on torch's device, a graphics card where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    attacked = attack_map(torch.tensor(images, device=device), noise, LEVELS[-1])
    levels = torch.stack([attacked.at(level) for level in LEVELS])
    levels[-1].sum().item()  # waits for the device
    return LEVELS[-1] * int((attacked.eligible > 0).sum())


def rate(work, images: np.ndarray, noise: Noise, **reading) -> float:
    """Attacks a second, the best of five."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        made = work(images, noise, **reading)
        seconds.append(time.perf_counter() - start)
    return made / min(seconds)


if __name__ == "__main__":
    images = data.load().test_images
    print("million attacks a second, 20 levels written; in brackets how many times faster lib.noise is")
    print(f"{'noise':22}{'lib.noise':>10}{'whole arrays':>20}{'pixel by pixel':>20}")
    for name in MASKS:
        noise = NOISES[name]
        kernel(images[:100], noise)  # compiled, or read from Numba's cache
        fast = rate(kernel, images, noise)
        arrays = rate(whole_arrays, images[:2000], noise)
        loop = rate(pixel_loop, images[:3], noise)
        print(
            f"{name:22}{fast / 1e6:10.2f}{arrays / 1e6:12.2f} ({fast / arrays:4.0f}x)"
            f"{loop / 1e6:12.4f} ({fast / loop:4.0f}x)"
        )

    drawings = [(replacement, source) for replacement in (False, True) for source in SOURCES]
    print("\nmillion attacks a second of lib.noise, with or without replacement from each source, and of its tensors")
    heads = [("without", "with")[again] + " " + source for again, source in drawings]
    print(f"{'noise':22}" + "".join(f"{head:>16}" for head in [*heads, "tensors"]))
    for name in MASKS:
        rates = [rate(kernel, images, NOISES[name], replacement=again, source=source) for again, source in drawings]
        rates.append(rate(tensors, images, NOISES[name]))
        print(f"{name:22}" + "".join(f"{found / 1e6:16.2f}" for found in rates))

    start = time.perf_counter()
    perturb_and_count(images, "random_pixel_invert", LEVELS)
    ours = len(LEVELS) * len(images) / (time.perf_counter() - start)
    start = time.perf_counter()
    random_noise(images, mode="s&p", amount=100 / 784, rng=0)
    theirs = len(images) / (time.perf_counter() - start)
    print(
        f"noisy images a second: lib.noise {ours:,.0f}, skimage.util.random_noise {theirs:,.0f} ({ours / theirs:.0f}x)"
    )

    colour = np.random.default_rng(0).integers(0, 256, (2000, 28, 28, 3), dtype=np.uint8)
    costs = [rate(kernel, luminance(colour), NOISES[name]) / rate(kernel, colour, NOISES[name]) for name in MASKS]
    print(f"colour takes {min(costs):.1f} to {max(costs):.1f} times as long as grey, with three times as much to write")
