"""A second, slow and obvious implementation: of the noises (section 3.2), one pixel at a time, and of predictions.

The paper's four noises are written out; others use the functions that they declare.
"""

import hashlib
import itertools
import math
from fractions import Fraction

import numpy as np
import torch

from lib.noise import find

OUTCOMES = 256


def darken(b, c):
    return min(max(math.trunc((255 - b) / c), 0), 255)


def lighten(b, c):
    return min(max(math.trunc(255 - b / c), 0), 255)


def invert(b, c):
    return darken(b, c) if b > 127 else lighten(b, c)


PAPER = {"random_pixel_invert": invert, "white_to_black": darken, "black_to_white": lighten, "edge_to_altered": invert}


def alter(noise, b, c, outcome=0):
    """The brightness after an attack on a pixel of brightness b; `outcome` is the random number of a random rule."""
    noise = find(noise)
    if noise.name in PAPER:
        return PAPER[noise.name](b, c)
    u = [(outcome + 0.5) / OUTCOMES] if noise.random else []
    return min(max(math.trunc(noise.alter(b, c, *u)), 0), 255)


def light(pixel):
    """The luminance of red, green and blue, not rounded."""
    red, green, blue = map(int, pixel)
    return Fraction(19595 * red + 38470 * green + 7471 * blue, 65536)


def grey(image):
    """The rounded luminance of every pixel of (H, W, 3); a grey image (H, W) as it is."""
    if image.ndim == 2:
        return image
    return np.array([[math.floor(light(pixel) + Fraction(1, 2)) for pixel in row] for row in image], np.uint8)


def coloured(pixel, brightness):
    """The pixel at this rounded luminance: scaled down, or mixed with white, each channel's half going down."""
    if grey(pixel[None, None]).item() == brightness:
        return pixel
    exact = light(pixel)
    if brightness < exact:
        channels = [Fraction(brightness) / exact * int(channel) for channel in pixel]
    else:
        channels = [255 - (255 - brightness) / (255 - exact) * (255 - int(channel)) for channel in pixel]
    return np.array([math.ceil(channel - Fraction(1, 2)) for channel in channels], np.uint8)


def around(image, y, x):
    """The up to 8 pixels around (y, x)."""
    places = [(y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    return [(y, x) for y, x in places if 0 <= y < len(image) and 0 <= x < len(image[0])]


def is_eligible(image, noise, y, x, white_above=0):
    b, declared = int(image[y, x]), find(noise)
    beside = [int(image[place]) for place in around(image, y, x)]
    if declared.name == "random_pixel_invert":
        return True
    if declared.name == "white_to_black":
        return b > white_above
    if declared.name == "black_to_white":
        return b < 100
    if declared.name == "edge_to_altered":
        return any((n > 127) != (b > 127) for n in beside)
    return bool(declared.eligible(b)) and (declared.beside is None or any(declared.beside(b, n) for n in beside))


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


def words(text, index):
    """The random numbers of 32 bits of one image, in order."""
    stream = mixed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"), index)
    return (mixed(stream, step) >> 32 for step in itertools.count())


def attack(image, noise, levels, c, seed, index, replacement, source, white_above=0):
    """The image, grey (H, W) or colour (H, W, 3), after attacks by any reading; then drawn, altered, left.

    Yields them for each of the ascending levels. In a list that changes, the last pixel replaces a removed one.
    """
    name, clean = find(noise).name, grey(image)
    numbers, outcomes = words(f"{name} {seed}", index), words(f"{name} {seed} outcomes", index)
    pixels = sorted(eligible(clean, noise, white_above))
    now, spent, drawn = image.copy(), set(), 0
    for level in levels:
        while drawn < level and pixels:
            choices = len(pixels)  # a number below the remainder of 2**32 would favour the first ones
            y, x = pixels[next(w * choices >> 32 for w in numbers if w * choices % 2**32 >= 2**32 % choices)]
            outcome, drawn = next(outcomes) * OUTCOMES >> 32, drawn + 1
            if source != "clean" or (y, x) not in spent:
                before = clean[y, x] if source == "clean" else grey(now[y : y + 1, x : x + 1])[0, 0]
                after = alter(noise, int(before), c, outcome)
                now[y, x] = after if image.ndim == 2 else coloured(image[y, x], after)
            spent.add((y, x))
            listed = grey(now) if source == "current" else clean
            for pixel in [*around(now, y, x), (y, x)]:
                gone = pixel in spent and not replacement
                wanted = not gone and is_eligible(listed, noise, *pixel, white_above)
                if wanted and pixel not in pixels:
                    pixels.append(pixel)
                elif not wanted and pixel in pixels:
                    pixels[pixels.index(pixel)] = pixels[-1]
                    pixels.pop()
        yield now.copy(), drawn, (grey(now) != clean).sum(), len(pixels)


def probabilities(net, images):
    """Class probabilities (n, 10) of images (n, H, W) uint8, by torch alone."""
    with torch.inference_mode():
        return net(torch.from_numpy(images.copy())[:, None] / 255).float().softmax(dim=1).numpy()
