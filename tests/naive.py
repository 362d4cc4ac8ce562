"""The noises once more, slow and obvious: the rules of section 3.2, one pixel at a time.

A noise that is not the paper's is taken as it is declared.
"""

import hashlib
import math

from lib.noise import NOISES


def darken(b, c):
    return min(max(math.trunc((255 - b) / c), 0), 255)


def lighten(b, c):
    return min(max(math.trunc(255 - b / c), 0), 255)


def invert(b, c):
    return darken(b, c) if b > 127 else lighten(b, c)


PAPER = {
    "random_pixel_invert": invert,
    "white_to_black": darken,
    "black_to_white": lighten,
    "edge_to_altered": invert,
}


def alter(noise, b, c):
    """What a pixel of brightness b becomes."""
    if noise in PAPER:
        return PAPER[noise](b, c)
    return min(max(math.trunc(NOISES[noise].alter(b, c)), 0), 255)


def neighbours(image, y, x):
    """The brightnesses of the up to 8 pixels around (y, x)."""
    height, width = image.shape
    for ny in range(max(y - 1, 0), min(y + 2, height)):
        for nx in range(max(x - 1, 0), min(x + 2, width)):
            if (ny, nx) != (y, x):
                yield int(image[ny, nx])


def is_eligible(image, noise, y, x, white_above=0):
    b = int(image[y, x])
    if noise == "random_pixel_invert":
        return True
    if noise == "white_to_black":
        return b > white_above
    if noise == "black_to_white":
        return b < 100
    if noise == "edge_to_altered":
        return any((n > 127) != (b > 127) for n in neighbours(image, y, x))
    declared = NOISES[noise]
    beside = declared.beside is None or any(declared.beside(b, n) for n in neighbours(image, y, x))
    return bool(declared.eligible(b)) and beside


def eligible(image, noise, white_above=0):
    """The set of eligible (y, x) of one image (H, W)."""
    height, width = image.shape
    return {(y, x) for y in range(height) for x in range(width) if is_eligible(image, noise, y, x, white_above)}


def mixed(state, step):
    """The random number of 64 bits, `step` steps after `state`: SplitMix64."""
    mask = 2**64 - 1
    z = (state + (step + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def attack_a_copy(image, noise, attacks, c, seed, index):
    """The image after draws with replacement from its own list of eligible pixels, written into a copy."""
    key = int.from_bytes(hashlib.sha256(f"{noise} {seed}".encode()).digest()[:8], "little")
    stream, step = mixed(key, index), 0
    pixels = sorted(eligible(image, noise))
    copy = image.copy()
    for _ in range(attacks if pixels else 0):
        while True:  # a number below the remainder of 2**32 would favour the first pixels
            product, step = (mixed(stream, step) >> 32) * len(pixels), step + 1
            if product % 2**32 >= 2**32 % len(pixels):
                break
        pixel = pixels[product >> 32]
        copy[pixel] = alter(noise, int(image[pixel]), c)
    return copy
