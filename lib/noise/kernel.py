"""Attacks on single pixels, compiled by Numba. `perturbation` calls it.

The cached code is compiled again only when this file changes, so what other modules define comes in as an argument.
"""

import numpy as np
from numba import njit

BARRED = 16  # taken from the support of a pixel that is not eligible whatever its neighbours are


def _compiled(function):
    """Compiled, and cached on disk; where no cache folder is writable, every process compiles for itself."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # Numba's "cannot cache function"
        return njit(nogil=True)(function)


@_compiled
def _mixed(state: np.uint64, step: np.uint64) -> np.uint64:
    """SplitMix64's output function, `step` steps after `state` (Steele, Lea and Flood 2014)."""
    z = state + (step + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_compiled
def _word(stream: np.uint64, step: np.uint64) -> np.uint64:
    """A random number of 32 bits."""
    return _mixed(stream, step) >> np.uint64(32)


@_compiled
def attack_images(images, height, start, stop, keys, index, levels, rows, tables, reading, noisy, counts):
    """Attack the images `start` to `stop` and write the state after `levels[k]` attacks into row `rows[k]`.

    `cells[:count]` are an image's eligible pixels, in the order of the draws. Where neighbours matter and the current
    image decides which pixels are eligible, an attack updates them around the attacked pixel.

    Args:
        images: (n, H * W) uint8, of `height` rows.
        keys: (2,) uint64, of the random streams: which pixel is drawn, and which row of the table an attack takes.
        index: (n,) uint64, the images' numbers.
        levels: (levels,) int64, ascending.
        tables: `rules.Tables` without the name.
        reading: three bools: whether a pixel may be drawn again; whether the current image decides which pixels are
            eligible; whether it gives the brightness to alter. Otherwise the clean image does; only the first attack on
            a pixel then alters it.
        noisy: (levels, n, H * W) uint8, written.
        counts: (3, levels, n) int64, written: attacks made, pixels altered, pixels still eligible.
    """
    table, eligible, kind, near = tables
    replacement, relists, rereads = reading
    pixels = images.shape[1]
    width = pixels // height
    stride = width + 2
    # Unsigned, with -1 as 2**64 - 1: Numba then emits no code for negative indices.
    around = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1]).astype(np.uint64)
    looks_beside = len(near) > 1
    follows = looks_beside and relists
    random = len(table) > 1
    framed = (height + 2) * stride if looks_beside else 0  # pixels with a frame of one around the image
    kinds = np.zeros(framed, kind.dtype)
    flat = np.full(framed, pixels, np.uint32)  # a framed pixel's place in the flat image
    frame = np.empty(pixels if looks_beside else 0, np.uint32)  # and back
    support = np.zeros(framed, np.int8)  # neighbours that make a pixel eligible
    place = np.empty(pixels if follows else 0, np.uint32)  # where an eligible pixel stands in `cells`
    if looks_beside:
        for p in range(pixels):
            frame[p] = (p // width + 1) * stride + p % width + 1
            flat[frame[p]] = p
    now = np.empty(pixels, np.uint8)
    spent = np.empty(pixels, np.bool_)  # attacked before
    cells = np.empty(pixels, np.uint32)
    turning = np.empty(9, np.uint64)  # neighbours whose support comes or goes, and room for one that does not
    near_to = near.T.astype(np.int8).ravel()
    pairs = np.argwhere(near)

    for i in range(start, stop):
        clean = images[i]
        stream, outcome_stream = _mixed(keys[0], index[i]), _mixed(keys[1], index[i])
        now[:] = clean
        spent[:] = False
        count = 0
        if looks_beside:
            for p in range(pixels):
                kinds[frame[p]] = kind[clean[p]]
            _count_support(kinds, near, pairs, stride, support)
            for p in range(pixels):
                support[frame[p]] -= BARRED * (not eligible[clean[p]])
                if follows:
                    place[p] = count
                cells[count] = p
                count += support[frame[p]] > 0
        else:
            for p in range(pixels):
                cells[count] = p
                count += eligible[clean[p]]

        done = 0
        changed = 0
        step = np.uint64(0)
        word = _word(stream, step)
        for level in range(len(levels)):
            while done < levels[level] and count > 0:
                # A uniform integer below `count` without bias (Lemire 2019). The next word is computed early: it does
                # not wait for a mispredicted branch.
                choices = np.uint64(count)
                product = word * choices
                low = product & np.uint64(0xFFFFFFFF)
                step += np.uint64(1)
                word = _word(stream, step)
                if low < choices and low < (np.uint64(1) << np.uint64(32)) % choices:
                    continue
                at = product >> np.uint64(32)
                p = cells[at]
                before = now[p]
                outcome = 0
                if random:
                    number = _word(outcome_stream, np.uint64(done)) * np.uint64(len(table))
                    outcome = np.int64(number >> np.uint64(32))
                after = before if spent[p] and not rereads else table[outcome, before if rereads else clean[p]]
                now[p] = after
                spent[p] = True
                changed += (after != clean[p]) - np.int64(before != clean[p])
                done += 1
                if not follows:
                    if not replacement or (relists and not eligible[after]):
                        count -= 1
                        cells[at] = cells[count]
                    continue
                f, old, new = np.uint64(frame[p]), kinds[frame[p]], kind[after]
                kinds[f] = new
                if old != new:
                    to_new, to_old = np.uint64(new * len(near)), np.uint64(old * len(near))
                    turned = 0
                    for k in range(8):
                        g = f + around[k]
                        other = np.uint64(kinds[g])
                        was = support[g]
                        support[g] = np.int8(was + near_to[to_new + other] - near_to[to_old + other])
                        turning[turned] = g
                        turned += (was > 0) != (support[g] > 0)
                    for k in range(turned):
                        q = flat[turning[k]]
                        gone = support[turning[k]] <= 0  # then the last one moves to its place
                        at = place[q] if gone else np.uint32(count)
                        moved = cells[np.uint64(count - 1)] if gone else q
                        cells[at] = moved
                        place[moved] = at
                        count += 1 - 2 * gone
                found = -BARRED
                if replacement and eligible[after]:
                    found = 0
                    for k in range(8):
                        found += near[new, kinds[f + around[k]]]
                support[f] = found
                if found <= 0:
                    count -= 1
                    last = cells[np.uint64(count)]
                    cells[place[p]] = last
                    place[last] = place[p]
            row = rows[level]
            for p in range(pixels):  # faster than a slice
                noisy[row, i, p] = now[p]
            counts[0, row, i], counts[1, row, i], counts[2, row, i] = done, changed, count


@_compiled
def _count_support(kinds, near, pairs, stride, support):
    """Write into `support`, for each pixel of a framed image, how many neighbours make it eligible."""
    inner = len(kinds) - 2 * (stride + 1)
    above, left, below = kinds[:], kinds[stride:], kinds[2 * stride :]  # the neighbours of the pixel are 0, 1, 2 there
    own, count = kinds[stride + 1 :], support[stride + 1 :]
    support[:] = 0
    if len(pairs) > 16:
        for f in range(inner):
            for k in range(3):
                count[f] += near[own[f], above[f + k]] + near[own[f], below[f + k]]
            count[f] += near[own[f], left[f]] + near[own[f], left[f + 2]]
        return
    for k in range(len(pairs)):  # for a few pairs of kinds this is faster: the compiler vectorises the loop
        one, other = np.uint8(pairs[k, 0]), np.uint8(pairs[k, 1])
        for f in range(inner):
            found = np.uint8(above[f] == other) + np.uint8(above[f + 1] == other) + np.uint8(above[f + 2] == other)
            found = np.uint8(found) + np.uint8(below[f] == other) + np.uint8(below[f + 1] == other)
            found = np.uint8(found) + np.uint8(below[f + 2] == other)
            found = np.uint8(found) + np.uint8(left[f] == other) + np.uint8(left[f + 2] == other)
            count[f] += np.int8(np.uint8(found) * np.uint8(own[f] == one))


@_compiled
def relight(colours, clean, brightness, weights, start, stop, lit):
    """Write the images `start` to `stop` of `colours` at another brightness into `lit`, as `perturb` describes.

    Halves are rounded down, so that the rounded luminance becomes the brightness exactly.

    Args:
        colours: (n, H * W * 3) uint8.
        clean: (n, H * W) uint8, the luminance of the colours; where it is the brightness, the colour does not change.
        brightness: (levels, n, H * W) uint8.
        weights: (3,) int64, of red, green and blue in the luminance.
        lit: (levels, n, H * W * 3) uint8, written.
    """
    one = weights.sum()
    for level in range(len(brightness)):
        for i in range(start, stop):
            for p in range(colours.shape[1]):
                lit[level, i, p] = colours[i, p]
            for p in range(clean.shape[1]):
                after = brightness[level, i, p]
                if after == clean[i, p]:
                    continue
                now = np.int64(0)  # before rounding
                for channel in range(3):
                    now += weights[channel] * np.int64(colours[i, 3 * p + channel])
                wanted = one * np.int64(after)
                for channel in range(3):
                    value = np.int64(colours[i, 3 * p + channel])
                    if wanted < now:
                        scaled = (2 * value * wanted + now - 1) // (2 * now)
                    else:
                        left = 255 * one - now
                        scaled = 255 - (2 * (255 - value) * (255 * one - wanted) + left) // (2 * left)
                    lit[level, i, 3 * p + channel] = scaled
