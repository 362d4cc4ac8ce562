"""From images to attacked images: k attacks are k draws of one eligible pixel, uniformly at random, each altered.

What the paper leaves open is whether a pixel may be drawn again, and whether the image before all attacks or the image
as it now stands says what is eligible and how bright it is.
"""

import hashlib
import numbers
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from lib.noise.rules import OUTSIDE, Noise, altered_table, default_c, find

# Source: whether the list of eligible pixels, and the brightness to alter, follow the image as it now stands. `list`
# takes the list from the clean image and the brightness from the current one.
SOURCES = {"clean": (False, False), "list": (False, True), "current": (True, True)}


def perturb(
    images: np.ndarray,
    noise: str | Noise,
    attacks: int | Sequence[int],
    *,
    c: float | None = None,
    seed: int = 0,
    index: np.ndarray | None = None,
    replacement: bool = False,
    source: str = "current",
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
        replacement: whether a pixel may be drawn again.
        source: the image that says which pixels are eligible and how bright the one to alter is: "clean", before all
            attacks, so that a second draw of one pixel changes nothing; "current", as it now stands. "list": which by
            the clean image, how bright by the current one.

    Returns:
        (n, H, W) uint8 for one level, (levels, n, H, W) for a sequence. Where nothing eligible is left, further
        attacks do nothing; `perturb_and_count` tells how many there were.

    Raises:
        ValueError: for anything else; it says what was given and what is allowed.
    """
    return perturb_and_count(
        images, noise, attacks, c=c, seed=seed, index=index, replacement=replacement, source=source
    )[0]


def perturb_and_count(
    images: np.ndarray,
    noise: str | Noise,
    attacks: int | Sequence[int],
    *,
    c: float | None = None,
    seed: int = 0,
    index: np.ndarray | None = None,
    replacement: bool = False,
    source: str = "current",
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What `perturb` returns, then three counts: draws made, pixels altered, pixels still eligible.

    A pixel counts as altered once its brightness differs from the clean image's. So a second draw of it adds none, nor
    does one that leaves it as bright as it was, such as brightness 85 under White to Black with c = 2.

    Returns:
        noisy as `perturb`, then drawn, altered, left: each (n,) or (levels, n) int64.
    """
    noise = find(noise)
    images, index = _checked_images(images, index)
    levels = _checked_levels(attacks)
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1, not {seed!r}")
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; choose from {', '.join(SOURCES)}")
    table, eligible, beside = _tables(noise, default_c(noise, c))
    key = int.from_bytes(hashlib.sha256(f"{noise.name} {seed}".encode()).digest()[:8], "little")
    from lib.noise import kernel  # with Numba, which a check of parameters need not wait for

    streams = kernel.start_streams(np.uint64(key), index.astype(np.uint64))

    ascending = np.argsort(levels, kind="stable")
    noisy = np.empty((len(levels), *images.shape), np.uint8)
    drawn, altered, left = (np.empty((len(levels), len(images)), np.int64) for _ in range(3))

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
            bool(replacement),
            *SOURCES[source],
            noisy[:, chunk],
            drawn[:, chunk],
            altered[:, chunk],
            left[:, chunk],
        )

    _in_threads(attack, len(images))
    one = isinstance(attacks, numbers.Integral)
    return (noisy[0], drawn[0], altered[0], left[0]) if one else (noisy, drawn, altered, left)


def deciding(noise: str | Noise, c: float, replacement: bool, source: str) -> tuple[bool, str]:
    """`replacement` and `source` under the one name that stands for all whose pixels would be the same for this noise.

    No default enters: without replacement goes before with it, `clean` before `current`, and `current` before `list`.
    Without replacement a drawn pixel is out of play whatever it has become, so that the source can matter by the
    neighbours alone. With it `current` is like no replacement where no altered pixel stays eligible (BtW at c = 2), and
    like `list` where all do (RPI).
    """
    noise = find(noise)
    table, eligible, _ = _tables(noise, c)
    after = table[eligible[:256]]  # what the eligible brightnesses become
    alone = noise.beside is None
    if alone and source == "current" and not eligible[after].any():
        replacement = False
    if not replacement:
        return False, "clean" if alone or source == "list" else source
    listed = source == "list" or (source == "current" and alone and eligible[after].all())
    if listed and (table[after] == after).all():  # a second attack changes nothing
        return True, "clean"
    return True, "current" if listed and alone and eligible[after].all() else source


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
