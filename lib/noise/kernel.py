"""Attacking pixels one by one, compiled by Numba; `perturbation` is the way in."""

import numpy as np
from numba import njit

from lib.noise.colour import BLUE, GREEN, ONE, RED
from lib.noise.rules import OUTSIDE

WHITE = 255 * ONE


def _compiled(**options):
    """`njit`, the machine code kept on disk; where no folder for it may be written, every process compiles anew."""

    def decorate(function):
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # Numba's "cannot cache function"
            return njit(**options)(function)

    return decorate


@_compiled()
def start_streams(key: np.uint64, index: np.ndarray) -> np.ndarray:
    """(n,) uint64: where the random stream of each image begins, from the draw's key and the image's number."""
    streams = np.empty(len(index), np.uint64)
    for i in range(len(index)):
        streams[i] = _mixed(key, index[i])
    return streams


@_compiled()
def _mixed(state: np.uint64, step: np.uint64) -> np.uint64:
    """SplitMix64's output function, `step` steps after `state` (Steele, Lea and Flood 2014)."""
    z = state + (step + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_compiled()
def _below(bound: int, stream: np.uint64, step: np.uint64) -> tuple[np.int64, np.uint64]:
    """A uniform integer in 0..bound-1 without bias (Lemire 2019), and the next step of the stream."""
    bound32 = np.uint64(bound)
    threshold = (np.uint64(1) << np.uint64(32)) % bound32
    while True:
        product = (_mixed(stream, step) >> np.uint64(32)) * bound32
        step += np.uint64(1)
        if product & np.uint64(0xFFFFFFFF) >= threshold:
            return np.int64(product >> np.uint64(32)), step


@_compiled(nogil=True)
def attack_images(
    images,
    streams,
    levels,
    rows,
    table,
    eligible,
    beside,
    looks_beside,
    replacement,
    relists,
    rereads,
    noisy,
    drawn,
    altered,
    left,
):
    """Fill rows `rows[i]` of `noisy` and the counts with the state after `levels[i]` attacks, levels ascending.

    The image lies in a frame of OUTSIDE. `cells[:count]` are its eligible pixels, `place` where each stands there;
    `support` counts the neighbours that make a pixel eligible, so an attack looks again at its surroundings alone.
    Unless it `relists`, what was eligible in the clean image stays so until it is spent, and nothing else becomes so.
    Unless it `rereads`, the brightness that an attack alters is the clean image's.
    """
    n, height, width = images.shape
    stride = width + 2
    around = (-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1)
    area = (height + 2) * stride
    frame = np.empty(area, np.uint16)
    clean = np.empty(area, np.uint16)
    cells = np.empty(height * width, np.int32)
    place = np.empty(area, np.int32)
    support = np.empty(area, np.int8)
    spent = np.empty(area, np.bool_)

    for i in range(n):
        frame[:] = OUTSIDE
        for y in range(height):
            for x in range(width):
                frame[(y + 1) * stride + x + 1] = images[i, y, x]
        clean[:] = frame
        place[:] = -1
        spent[:] = False
        count = 0
        for y in range(height):
            for x in range(width):
                p = (y + 1) * stride + x + 1
                support[p] = 0
                if looks_beside:
                    for step in around:
                        support[p] += beside[frame[p], frame[p + step]]
                if eligible[frame[p]] and (support[p] > 0 or not looks_beside):
                    cells[count] = p
                    place[p] = count
                    count += 1

        done = 0
        draws = np.uint64(0)
        for level in range(len(levels)):
            while done < levels[level] and count > 0:
                at, draws = _below(count, streams[i], draws)
                p = cells[at]
                before = frame[p]
                after = table[before if rereads else clean[p]]
                frame[p] = after
                spent[p] = not replacement
                done += 1
                if looks_beside and relists:
                    support[p] = 0
                    for step in around:
                        q = p + step
                        b = frame[q]
                        support[p] += beside[after, b]
                        if b == OUTSIDE:
                            continue
                        support[q] += np.int8(beside[b, after]) - np.int8(beside[b, before])
                        wanted = eligible[b] and support[q] > 0 and not spent[q]
                        if wanted != (place[q] >= 0):
                            count = _toggle(q, cells, place, count)
                again = not relists or (eligible[after] and (support[p] > 0 or not looks_beside))
                if spent[p] or not again:
                    count = _toggle(p, cells, place, count)
            row = rows[level]
            changed = 0
            for y in range(height):
                for x in range(width):
                    p = (y + 1) * stride + x + 1
                    noisy[row, i, y, x] = frame[p]
                    changed += frame[p] != clean[p]
            drawn[row, i] = done
            altered[row, i] = changed
            left[row, i] = count


@_compiled()
def _toggle(p: int, cells: np.ndarray, place: np.ndarray, count: int) -> int:
    """Put pixel p into the eligible cells, or take it out by moving the last one to its place; the new count."""
    if place[p] < 0:
        cells[count] = p
        place[p] = count
        return count + 1
    last = cells[count - 1]
    cells[place[p]] = last
    place[last] = place[p]
    place[p] = -1
    return count - 1


@_compiled(nogil=True)
def relight(colours, clean, brightness, lit):
    """Fill `lit` (levels, n, H, W, 3) with the `colours` (n, H, W, 3) at another `brightness` (levels, n, H, W).

    A pixel keeps its hue, and its channels where the brightness is that of `clean`, the luminance of the colours
    (n, H, W). To a lower one the channels' distance from black is scaled down, to a higher one that from white. The
    channels' halves go down, so that their luminance, rounded, becomes the brightness exactly.
    """
    levels, n, height, width = brightness.shape
    for level in range(levels):
        for i in range(n):
            for y in range(height):
                for x in range(width):
                    red, green, blue = colours[i, y, x, 0], colours[i, y, x, 1], colours[i, y, x, 2]
                    after = brightness[level, i, y, x]
                    if after == clean[i, y, x]:
                        lit[level, i, y, x, 0], lit[level, i, y, x, 1], lit[level, i, y, x, 2] = red, green, blue
                        continue
                    now = RED * np.int64(red) + GREEN * np.int64(green) + BLUE * np.int64(blue)  # before rounding
                    wanted = ONE * np.int64(after)
                    for channel in range(3):
                        value = np.int64(colours[i, y, x, channel])
                        if wanted < now:
                            scaled = (2 * value * wanted + now - 1) // (2 * now)
                        else:
                            left = WHITE - now
                            scaled = 255 - (2 * (255 - value) * (WHITE - wanted) + left) // (2 * left)
                        lit[level, i, y, x, channel] = scaled
