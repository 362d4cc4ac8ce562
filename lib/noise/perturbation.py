"""From images to attacked images: k attacks are k picks of one eligible pixel, uniformly at random, each altered.

What is eligible is decided by the image as it now stands.
"""

import hashlib
import numbers
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from lib.noise.rules import OUTSIDE, Noise, altered_table, default_c, find

ELIGIBILITY = ("now", "clean")  # a pixel is eligible by the image as it now stands, or by the image before any attack


def perturb(
    images: np.ndarray,
    noise: str | Noise,
    attacks: int | Sequence[int],
    *,
    c: float | None = None,
    seed: int = 0,
    index: np.ndarray | None = None,
    revisit: bool = False,
    eligibility: str = "now",
) -> np.ndarray:
    """Attack `attacks` pixels of every image, one after another (section 3.2).

    The random stream of an image depends on (seed, noise, its index) alone: a subset, another order, another number of
    threads or other levels give the same pixels, and level 20 continues level 10.

    Args:
        images: (n, H, W) uint8, at their own resolution; not changed.
        noise: a name of `NOISES`, or a `Noise`.
        attacks: pixels to attack, 0 or more; or a sequence of such levels.
        c: the constant of equations (3) and (4), above 0; None: the noise's own.
        seed: the draw, 0 or more.
        index: (n,) the images' numbers in their data set; None: 0..n-1.
        revisit: whether a pixel may be attacked more than once.
        eligibility: "now", by the image as it stands after the attacks before; "clean", by the image before them all.

    Returns:
        (n, H, W) uint8 for one level, (levels, n, H, W) for a sequence. Where nothing eligible is left, further
        attacks do nothing; `perturb_and_count` tells how many pixels were attacked and how many are left.

    Raises:
        ValueError: for anything else; it says what was given and what is allowed.
    """
    return perturb_and_count(
        images, noise, attacks, c=c, seed=seed, index=index, revisit=revisit, eligibility=eligibility
    )[0]


def perturb_and_count(
    images: np.ndarray,
    noise: str | Noise,
    attacks: int | Sequence[int],
    *,
    c: float | None = None,
    seed: int = 0,
    index: np.ndarray | None = None,
    revisit: bool = False,
    eligibility: str = "now",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `perturb` returns, then the pixels attacked and the pixels still eligible: each (n,) or (levels, n)."""
    noise = find(noise)
    images, index = _checked_images(images, index)
    levels = _checked_levels(attacks)
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1, not {seed!r}")
    if eligibility not in ELIGIBILITY:
        raise ValueError(f"unknown eligibility {eligibility!r}; choose from {', '.join(ELIGIBILITY)}")
    table, eligible, beside = _tables(noise, default_c(noise, c))
    key = int.from_bytes(hashlib.sha256(f"{noise.name} {seed}".encode()).digest()[:8], "little")
    from lib.noise import kernel  # with Numba, which a check of parameters need not wait for

    streams = kernel.start_streams(np.uint64(key), index.astype(np.uint64))

    ascending = np.argsort(levels, kind="stable")
    noisy = np.empty((len(levels), *images.shape), np.uint8)
    attacked = np.empty((len(levels), len(images)), np.int64)
    left = np.empty_like(attacked)

    def attack(chunk: slice) -> None:
        kernel.attack_images(
            images[chunk],
            streams[chunk],
            levels[ascending],
            ascending,
            table,
            eligible,
            beside,
            noise.beside is not None,
            bool(revisit),
            eligibility == "now",
            noisy[:, chunk],
            attacked[:, chunk],
            left[:, chunk],
        )

    _in_threads(attack, len(images))
    return (noisy[0], attacked[0], left[0]) if isinstance(attacks, numbers.Integral) else (noisy, attacked, left)


def deciding(noise: str | Noise, c: float, revisit: bool, eligibility: str) -> tuple[bool, str]:
    """`revisit` and `eligibility`, each set back to its default where this noise's pixels would be the same.

    Without revisits an attacked pixel is out of play whatever it has become, so that eligibility can change by its
    neighbours alone. With them both readings agree where every attacked pixel stays eligible (RPI), and "now" is like
    no revisits where none does (BtW at c = 2).
    """
    noise = find(noise)
    altered, eligible, _ = _tables(noise, c)
    again = eligible[altered[eligible[:256]]]  # of every eligible brightness: whether it is so after an attack
    if noise.beside is None:
        if not revisit or again.all():
            eligibility = "now"
        if eligibility == "now" and not again.any():
            revisit = False
    return revisit, eligibility


def eligible_pixels(images: np.ndarray, noise: str | Noise) -> np.ndarray:
    """Which pixels of (n, H, W) uint8 images are eligible as they stand: (n, H, W) bool (section 3.2)."""
    noise = find(noise)
    images, _ = _checked_images(images, None)
    _, eligible, beside = _tables(noise, noise.c)
    mask = eligible[images]
    if noise.beside is not None:
        n, height, width = images.shape
        padded = np.full((n, height + 2, width + 2), OUTSIDE)
        padded[:, 1:-1, 1:-1] = images
        shifts = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
        mask &= np.any([beside[images, padded[:, y : y + height, x : x + width]] for y, x in shifts], axis=0)
    return mask


def _checked_images(images: np.ndarray, index: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise ValueError(f"images must be a uint8 array, not {getattr(images, 'dtype', type(images).__name__)}")
    if images.ndim != 3 or 0 in images.shape[1:]:
        raise ValueError(f"images must have the shape (n, H, W) with H and W at least 1, not {images.shape}")
    if index is None:
        return images, np.arange(len(images))
    index = np.asarray(index)
    if index.shape != images.shape[:1] or not np.issubdtype(index.dtype, np.integer) or (index < 0).any():
        raise ValueError(
            f"index must hold {len(images)} integers of 0 or more, not shape {index.shape} and dtype {index.dtype}"
        )
    return images, index


def _checked_levels(attacks: int | Sequence[int]) -> np.ndarray:
    levels = np.atleast_1d(np.asarray(attacks))
    if levels.ndim != 1 or not np.issubdtype(levels.dtype, np.integer) or (levels < 0).any() or not len(levels):
        raise ValueError(f"attacks must be an integer of 0 or more, or a sequence of them, not {attacks!r}")
    return levels.astype(np.int64)


@lru_cache
def _tables(noise: Noise, c: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The noise as tables over brightness: altered (256,), eligible (257,), beside (257, 257)."""
    altered = altered_table(noise, c)
    eligible = np.zeros(257, np.bool_)
    beside = np.zeros((257, 257), np.bool_)
    for b in range(256):
        eligible[b] = noise.eligible(b)
        if noise.beside is not None:
            beside[b, :256] = [noise.beside(b, n) for n in range(256)]
    return altered, eligible, beside


def _in_threads(work: Callable[[slice], None], n: int) -> None:
    """Call `work` on slices that cover 0..n, in as many threads as this process has cores."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n < 64 or threads == 1:
        return work(slice(0, n))
    bounds = np.linspace(0, n, 4 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, map(slice, bounds[:-1], bounds[1:])))
