"""Attacked images: k attacks draw one eligible pixel each, uniformly at random, and alter it (section 3.2).

The paper does not say whether a pixel may be drawn twice (`replacement`), nor whether the clean or the current image
decides which pixels are eligible and how bright they are (`source`).
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from lib.noise import colour
from lib.noise.rules import Noise, Tables, default_c, find, is_whole, tabulated

MOST_ATTACKS = 100_000_000  # per image; takes some seconds if a pixel may be drawn again
SMALLEST_PICTURE = 8  # rows and columns from which (H, W, 3) is one colour image and not H grey images of width 3
MOST_PIXELS = 2**31 - 1  # of an image with a frame of one around it: pixels are numbered in int32

# source: (whether the current image decides which pixels are eligible, whether it gives the brightness to alter);
# otherwise the clean image does.
SOURCES = {"clean": (False, False), "list": (False, True), "current": (True, True)}


def perturb(
    images: np.ndarray,
    noise: str | Noise,
    attacks: int | Sequence[int],
    *,
    c: float | None = None,
    seed: int = 0,
    index: np.ndarray | Sequence[int] | None = None,
    replacement: bool = True,
    source: str = "clean",
) -> np.ndarray:
    """Attack `attacks` pixels of every image, one after another (section 3.2).

    The random stream of an image depends only on (seed, noise, its index). So a subset, another order, another number
    of threads or other levels give the same pixels, and level 20 continues level 10.

    Colour images are attacked by luminance (ITU-R BT.601, rounded as in Pillow's `convert("L")`): it is the brightness
    b in the rules, so draws and counts are those of the grey image. The attacked pixel takes the luminance b and keeps
    the hue of the clean image. To darken it, each channel x becomes x b / y, where y is the clean luminance before
    rounding; to lighten it, 255 - (255 - x) (255 - b) / (255 - y). Both are rounded to the nearest integer, halves
    down. A pure blue (0, 0, 255), of luminance 29, is (0, 0, 123) at 14 and (238, 238, 255) at 240.

    Args:
        images: (n, H, W) uint8, or (n, H, W, 3) uint8 with red, green and blue; not changed. A single image is
            `image[None]`. The shape (H, W, 3) is refused from 8x8 on; below, it is H grey images of width 3.
        noise: a name in `NOISES`, or a `Noise`.
        attacks: pixels to attack, from 0 to `MOST_ATTACKS`; or a sequence of such levels.
        c: the constant of equations (3) and (4), above 0; None: the noise's default.
        seed: the draw, from 0 to 2**63 - 1.
        index: (n,) the images' numbers in their data set, from 0 to 2**63 - 1; None: 0..n-1.
        replacement: whether a pixel may be drawn again. The paper leaves this and `source` open; the defaults come
            nearest to its Table 1 (`readings.ipynb`).
        source: the image that decides which pixels are eligible and how bright they are. "clean": the image before all
            attacks, so that a pixel drawn again stays as it is. "current": the image after the attacks before. "list":
            the clean image decides which are eligible, the current image how bright they are.

    Returns the images as given for one level, (levels, ...) for a sequence. If no eligible pixel is left, further
    attacks do nothing. Raises ValueError if an argument is not as described.
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
    index: np.ndarray | Sequence[int] | None = None,
    replacement: bool = True,
    source: str = "clean",
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Attack as `perturb` does, and count.

    A pixel is altered if its brightness (for colours, its luminance) differs from that in the clean image. An attack
    may leave it as it was (85 under White to Black with c = 2) or, when a pixel is drawn again, bring it back. Returns
    the images as `perturb`; then attacks made, pixels altered and pixels still eligible, each (n,) or (levels, n)
    int64. Raises ValueError as `perturb`.
    """
    noise = find(noise)
    _check_images(images)
    index = checked_index(index, len(images))
    must = f"attacks must be an integer from 0 to {MOST_ATTACKS:,}, or a sequence of them"
    levels = _whole_numbers(attacks, MOST_ATTACKS, must, lambda shape: len(shape) < 2 and 0 not in shape)
    check_seed(seed)
    check_drawing(replacement, source)
    tables = tabulated(noise, default_c(noise, c))
    return attack_tabulated(images, tables, levels, seed, index, bool(replacement), source)


def stream_keys(tables: Tables, seed: int) -> np.ndarray:
    """The keys of one draw's random streams, (2,) uint64: of the pixels, and of the outcomes of a random rule."""
    texts = f"{tables.name} {int(seed)}", f"{tables.name} {int(seed)} outcomes"
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]
    return np.array([int.from_bytes(digest[:8], "little") for digest in digests], np.uint64)


def attack_tabulated(
    given: np.ndarray, tables: Tables, levels: np.ndarray, seed: int, index: np.ndarray, replacement: bool, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`perturb_and_count` with a noise as tables and levels () or (levels,), for arguments that are checked."""
    from lib.noise import kernel  # imports Numba, which a check of parameters does not need

    n, height, width = given.shape[:3]
    grey = colour.luminance(given) if given.ndim == 4 else given
    # One layout for the compiled code: contiguous and writable. It is not written to.
    images = np.require(grey, requirements="CW").reshape(n, height * width)
    keys, index = stream_keys(tables, seed), index.astype(np.uint64)
    rows = np.argsort(levels, axis=None, kind="stable")
    noisy = np.empty((levels.size, *images.shape), np.uint8)
    counts = np.empty((3, levels.size, n), np.int64)
    how = keys, index, levels.ravel()[rows], rows, tables[1:], (replacement, *SOURCES[source]), noisy, counts
    _in_threads(lambda *part: kernel.attack_images(images, height, *part, *how), n)
    if given.ndim == 4:
        colours = np.require(given, requirements="CW").reshape(n, 3 * height * width)
        brightness, noisy = noisy, np.empty((levels.size, *colours.shape), np.uint8)
        _in_threads(lambda *part: kernel.relight(colours, images, brightness, colour.WEIGHTS, *part, noisy), n)
    return noisy.reshape(*levels.shape, *given.shape), *counts.reshape(3, *levels.shape, n)


def deciding(noise: str | Noise, c: float, replacement: bool, source: str) -> tuple[bool, str]:
    """Canonical (replacement, source) among the choices that give this noise the same pixels.

    Without replacement a pixel is attacked once, so the source matters only through neighbours. With replacement,
    "current" equals no replacement if no altered pixel stays eligible (Black to White at c = 2), and equals "list" if
    all do (Random Pixel Invert). No replacement is preferred, then "clean", then "current".
    """
    noise = find(noise)
    check_drawing(replacement, source)
    _, table, eligible, _, _ = tabulated(noise, default_c(noise, c))
    after = np.unique(table[:, eligible])  # the altered brightnesses
    alone = noise.beside is None
    if alone and source == "current" and not eligible[after].any():
        replacement = False
    if not replacement:
        return False, "clean" if alone or source == "list" else source
    listed = source == "list" or (source == "current" and alone and eligible[after].all())
    if listed and (table[:, after] == after).all():  # a second attack changes nothing
        return True, "clean"
    return True, "current" if listed and alone and eligible[after].all() else source


def eligible_pixels(images: np.ndarray, noise: str | Noise) -> np.ndarray:
    """The pixels that are eligible for the first attack (section 3.2), (n, H, W) bool; images as in `perturb`."""
    noise = find(noise)
    _check_images(images)
    images = colour.luminance(images) if images.ndim == 4 else images
    _, _, eligible, kind, near = tabulated(noise, default_c(noise))
    if noise.beside is None:
        return eligible[images]
    return eligible[images] & beside(np.pad(kind[images], ((0, 0), (1, 1), (1, 1))), near)


def beside(kinds: Any, near: Any) -> Any:
    """Whether a neighbour makes a pixel eligible, (n, H, W) bool. `kinds` has a frame of 0; `near` is of `Tables`."""
    _, height, width = kinds[:, 2:, 2:].shape
    found = False
    for y, x in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)):
        found = found | near[kinds[:, 1:-1, 1:-1], kinds[:, y : y + height, x : x + width]]
    return found


def check_seed(seed: int) -> None:
    """Raises ValueError if it is not an integer from 0 to 2**63 - 1."""
    if not is_whole(seed, 2**63 - 1):
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1, not {seed!r}")


def _check_images(images: np.ndarray) -> None:
    given = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
    if given != np.uint8:
        raise ValueError(f"images must be a NumPy array of uint8, not {given}")
    if images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)) or 0 in images.shape[1:]:
        shapes = "(n, H, W) or (n, H, W, 3) with H and W at least 1"
        raise ValueError(f"images must have the shape {shapes}, not {images.shape}")
    if images.shape[2:] == (3,) and min(images.shape[:2]) >= SMALLEST_PICTURE:
        raise ValueError(f"{images.shape} is the shape of one colour image; give it as image[None]")
    if (images.shape[1] + 2) * (images.shape[2] + 2) > MOST_PIXELS:
        raise ValueError(f"an image must have less than 2**31 pixels with a frame of one around it, not {images.shape}")


def checked_index(index: np.ndarray | Sequence[int] | None, n: int) -> np.ndarray:
    """The numbers of the images, (n,) int64; None: 0..n-1."""
    must = f"index must hold {n} integers from 0 to 2**63 - 1"
    return np.arange(n) if index is None else _whole_numbers(index, 2**63 - 1, must, lambda shape: shape == (n,))


def _whole_numbers(given: object, most: int, must: str, fits: Callable[[tuple], bool]) -> np.ndarray:
    """The given integers from 0 to `most`, as int64; ValueError with `must` if a value or the shape is not allowed."""
    values = np.asarray(given, None if isinstance(given, np.ndarray) else object)  # object: without rounding
    fit = values.dtype.kind in "iu" and (not values.size or (values.min() >= 0 and values.max() <= most))
    for value in [] if fit else values.ravel().tolist():
        if not is_whole(value, most):
            raise ValueError(f"{must}, not {value!r}")
    if not fits(values.shape):
        raise ValueError(f"{must}, not the shape {values.shape}")
    return values.astype(np.int64)


def check_drawing(replacement: bool, source: str) -> None:
    """Raises ValueError if these do not say how pixels are drawn; it lists the choices."""
    if not isinstance(replacement, bool | np.bool):
        raise ValueError(f"replacement must be True or False, not {replacement!r}")
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; choose from {', '.join(SOURCES)}")


def _in_threads(work: Callable[[int, int], None], n: int) -> None:
    """Call `work(start, stop)` on parts that cover 0..n, in as many threads as this process has cores."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n < 64 or threads == 1:
        return work(0, n)
    bounds = np.linspace(0, n, 4 * threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
