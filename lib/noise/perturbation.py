"""From images to attacked images: k attacks are k draws of one eligible pixel, uniformly at random, each altered.

What the paper leaves open is whether a pixel may be drawn again, and whether the image before all attacks or the image
as it now stands says what is eligible and how bright it is.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from lib.noise.colour import luminance
from lib.noise.rules import OUTSIDE, Noise, altered_table, default_c, find, is_whole

MOST_ATTACKS = 100_000_000  # on an image: some ten seconds where a pixel may be drawn again
SMALLEST_PICTURE = 8  # rows and columns of one in colour that is told from grey images three pixels wide
MOST_PIXELS = 2**31 - 1  # of an image with a frame around it: places are numbered in int32

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
    index: np.ndarray | Sequence[int] | None = None,
    replacement: bool = True,
    source: str = "clean",
) -> np.ndarray:
    """Attack `attacks` pixels of every image, one after another (section 3.2).

    The random stream of an image depends on (seed, noise, its index) alone: a subset, another order, another number of
    threads or other levels give the same pixels, and level 20 continues level 10.

    Colour goes by luminance (ITU-R BT.601, rounded: what Pillow's `convert("L")` gives). It decides which pixels are
    eligible, on which side of its neighbours a pixel lies, and which brightness b the rule makes of it. So draws,
    counts and the luminance of the result are exactly those of the image made grey first. The attacked pixel takes
    luminance b and keeps the hue that it has in the clean image. To get darker its channels are scaled down: x becomes
    x b / y, where y is the clean luminance before rounding. To get brighter they are mixed with white:
    255 - (255 - x) (255 - b) / (255 - y), since a full channel cannot be scaled up. Both go to the nearest integer,
    halves down. A pure blue (0, 0, 255), of luminance 29, is thus (0, 0, 123) at 14 and (238, 238, 255) at 240; at 0
    all is black, at 255 white, and at its clean luminance a pixel has its clean colour. Three equal channels give the
    grey result three times.

    Args:
        images: (n, H, W) uint8, or (n, H, W, 3) uint8 with red, green and blue, at their own resolution; not changed.
            One image goes as `image[None]`; (H, W, 3) is refused from 8x8 on, below it is H grey images three wide.
        noise: a name of `NOISES`, or a `Noise`.
        attacks: pixels to attack, from 0 to `MOST_ATTACKS`; or a sequence of such levels.
        c: the constant of equations (3) and (4), above 0; None: the noise's own.
        seed: the draw, from 0 to 2**63 - 1.
        index: (n,) the images' numbers in their data set, from 0 to 2**63 - 1; None: 0..n-1.
        replacement: whether a pixel may be drawn again. The paper leaves this and `source` open; the defaults are the
            reading that gives its Table 1 best (`readings.ipynb`).
        source: the image that says which pixels are eligible and how bright the one to alter is: "clean", before all
            attacks, so that a second draw of one pixel changes nothing; "current", as it now stands. "list": which by
            the clean image, how bright by the current one.

    Returns:
        as `images` for one level, (levels, ...) for a sequence. Where nothing eligible is left, further attacks do
        nothing; `perturb_and_count` tells how many there were.

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
    index: np.ndarray | Sequence[int] | None = None,
    replacement: bool = True,
    source: str = "clean",
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What `perturb` returns, then three counts: draws made, pixels altered, pixels still eligible.

    Altered are the pixels whose brightness is another than in the clean image. So an attack that leaves its pixel as
    bright as it was (brightness 85 under White to Black with c = 2) is a draw and alters none; a second draw of a pixel
    adds none, and takes one away where it brings the clean brightness back. The brightness of a colour is its
    luminance.

    Returns:
        noisy as `perturb`, then drawn, altered, left: each (n,) or (levels, n) int64.
    """
    noise = find(noise)
    given = _checked_images(images)
    index = _checked_index(index, given)
    coloured = given.ndim == 4
    images = luminance(given) if coloured else given
    levels = _checked_levels(attacks)
    if not is_whole(seed, 2**63 - 1):
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1, not {seed!r}")
    _check_drawing(replacement, source)
    table, eligible, beside = _tables(noise, default_c(noise, c))
    key = int.from_bytes(hashlib.sha256(f"{noise.name} {int(seed)}".encode()).digest()[:8], "little")
    from lib.noise import kernel  # with Numba, which a check of parameters need not wait for

    streams = kernel.start_streams(np.uint64(key), index.astype(np.uint64))

    one, levels = levels.ndim == 0, np.atleast_1d(levels)
    ascending = np.argsort(levels, kind="stable")
    noisy = np.empty((len(levels), *images.shape), np.uint8)
    shown = np.empty((len(levels), *given.shape), np.uint8) if coloured else noisy
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
        if coloured:
            kernel.relight(np.ascontiguousarray(given[chunk]), images[chunk], noisy[:, chunk], shown[:, chunk])

    _in_threads(attack, len(images))
    return (shown[0], drawn[0], altered[0], left[0]) if one else (shown, drawn, altered, left)


def deciding(noise: str | Noise, c: float, replacement: bool, source: str) -> tuple[bool, str]:
    """`replacement` and `source` under the one name that stands for all whose pixels would be the same for this noise.

    No default enters: without replacement goes before with it, `clean` before `current`, and `current` before `list`.
    Without replacement a drawn pixel is out of play whatever it has become, so that the source can matter by the
    neighbours alone. With it `current` is like no replacement where no altered pixel stays eligible (BtW at c = 2), and
    like `list` where all do (RPI).
    """
    noise = find(noise)
    _check_drawing(replacement, source)
    table, eligible, _ = _tables(noise, default_c(noise, c))
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
    """Which pixels of images as `perturb` takes them are eligible as they stand: (n, H, W) bool (section 3.2)."""
    noise = find(noise)
    images = _checked_images(images)
    images = luminance(images) if images.ndim == 4 else images
    _, eligible, beside = _tables(noise, default_c(noise))
    mask = eligible[images]
    if noise.beside is not None:
        n, height, width = images.shape
        padded = np.full((n, height + 2, width + 2), OUTSIDE)
        padded[:, 1:-1, 1:-1] = images
        shifts = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
        mask &= np.any([beside[images, padded[:, y : y + height, x : x + width]] for y, x in shifts], axis=0)
    return mask


def _checked_images(images: np.ndarray) -> np.ndarray:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        given = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"images must be a NumPy array of uint8, not {given}")
    if images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)) or 0 in images.shape[1:]:
        raise ValueError(
            f"images must have the shape (n, H, W) or (n, H, W, 3) with H and W at least 1, not {images.shape}"
        )
    if images.shape[2:] == (3,) and min(images.shape[:2]) >= SMALLEST_PICTURE:
        raise ValueError(f"{images.shape} is the shape of one picture in colour; give it as image[None]")
    if (images.shape[1] + 2) * (images.shape[2] + 2) > MOST_PIXELS:
        raise ValueError(f"an image must have less than 2**31 pixels with a frame of one around it, not {images.shape}")
    return images


def _checked_index(index: np.ndarray | Sequence[int] | None, images: np.ndarray) -> np.ndarray:
    if index is None:
        return np.arange(len(images))
    must = f"index must hold {len(images)} integers from 0 to 2**63 - 1"
    found = _whole_numbers(index, 2**63 - 1, must)
    if found.shape != images.shape[:1]:
        raise ValueError(f"{must}, not the shape {found.shape}")
    return found


def _checked_levels(attacks: int | Sequence[int]) -> np.ndarray:
    """() or (levels,) int64."""
    must = f"attacks must be an integer from 0 to {MOST_ATTACKS:,}, or a sequence of them"
    levels = _whole_numbers(attacks, MOST_ATTACKS, must)
    if levels.ndim > 1 or not levels.size:
        raise ValueError(f"{must}, not the shape {levels.shape}")
    return levels


def _whole_numbers(given: object, most: int, must: str) -> np.ndarray:
    """The integers from 0 to `most` that were given, as an int64 array of the same shape.

    Raises:
        ValueError: if another value is among them; it names the first one after the words `must`.
    """
    values = np.asarray(given, None if isinstance(given, np.ndarray) else object)  # object: nothing is rounded
    fit = values.dtype.kind in "iu" and (not values.size or (values.min() >= 0 and values.max() <= most))
    for value in [] if fit else values.ravel().tolist():
        if not is_whole(value, most):
            raise ValueError(f"{must}, not {value!r}")
    return values.astype(np.int64)


def _check_drawing(replacement: bool, source: str) -> None:
    if not isinstance(replacement, bool | np.bool):
        raise ValueError(f"replacement must be True or False, not {replacement!r}")
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; choose from {', '.join(SOURCES)}")


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
