"""The noise beside what one would otherwise write, in one run: `make benchmark`.

All write out the 20 levels 10, 20, ..., 200 of the MNIST test images, as a sweep needs them. The first two alternatives
know the same noises; scikit-image's salt-and-pepper noise is there for scale and makes one level at a time.
"""

import time

import numpy as np
from skimage.util import random_noise

from lib import data
from lib.noise import NOISES, Noise, eligible_pixels, perturb_and_count

LEVELS = list(range(10, 201, 10))


def pixel_loop(images: np.ndarray, noise: Noise) -> int:
    """One attack after another, looking for the eligible pixels with np.nonzero each time; the attacks made."""
    random = np.random.default_rng(0)
    made = 0
    for image in images.copy():
        open_to_attack = np.ones(image.shape, bool)
        levels = []
        for attack in range(LEVELS[-1]):
            y, x = np.nonzero(open_to_attack & eligible_pixels(image[None], noise)[0])
            if len(y):
                pick = random.integers(len(y))
                b = int(image[y[pick], x[pick]])
                image[y[pick], x[pick]] = int(min(max(noise.alter(b, noise.c), 0), 255))
                open_to_attack[y[pick], x[pick]] = False
                made += 1
            if attack + 1 in LEVELS:
                levels.append(image.copy())
    return made


def whole_arrays(images: np.ndarray, noise: Noise) -> int:
    """A random score for every pixel, the best k eligible ones altered at once; eligible as in the clean image."""
    random = np.random.default_rng(0)
    table = np.array([int(min(max(noise.alter(b, noise.c), 0), 255)) for b in range(256)], np.uint8)
    flat = images.reshape(len(images), -1)
    eligible = eligible_pixels(images, noise).reshape(flat.shape)
    order = np.argsort(np.where(eligible, random.random(flat.shape), 2.0), axis=1)
    rank = np.argsort(order, axis=1)
    for level in LEVELS:
        np.where(eligible & (rank < level), table[flat], flat)
    return int(np.minimum(eligible.sum(axis=1), LEVELS[-1]).sum())


def kernel(images: np.ndarray, noise: Noise) -> int:
    return int(perturb_and_count(images, noise, LEVELS)[1][-1].sum())


def rate(work, images: np.ndarray, noise: Noise) -> float:
    """Attacks a second, the best of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        made = work(images, noise)
        seconds.append(time.perf_counter() - start)
    return made / min(seconds)


if __name__ == "__main__":
    images = data.load().test_images
    print("million attacks a second, 20 levels written out; in brackets how many times faster lib.noise is")
    print(f"{'noise':22}{'lib.noise':>10}{'whole arrays':>20}{'pixel by pixel':>20}")
    for name, noise in NOISES.items():
        kernel(images[:100], noise)  # compiled, or read from Numba's cache
        fast, arrays, loop = rate(kernel, images, noise), rate(whole_arrays, images[:2000], noise), 0.0
        loop = rate(pixel_loop, images[:3], noise)
        print(
            f"{name:22}{fast / 1e6:10.2f}{arrays / 1e6:12.2f} ({fast / arrays:4.0f}x){loop / 1e6:12.4f} ({fast / loop:4.0f}x)"
        )

    start = time.perf_counter()
    perturb_and_count(images, "random_pixel_invert", LEVELS)
    ours = len(LEVELS) * len(images) / (time.perf_counter() - start)
    start = time.perf_counter()
    random_noise(images, mode="s&p", amount=100 / 784, rng=0)
    theirs = len(images) / (time.perf_counter() - start)
    print(
        f"noisy images a second: lib.noise {ours:,.0f}, skimage.util.random_noise {theirs:,.0f} ({ours / theirs:.0f}x)"
    )
