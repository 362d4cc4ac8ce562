"""The noises once more, slow and obvious: the rules of section 3.2, one pixel at a time."""

import math


def darken(b, c):
    return min(max(math.trunc((255 - b) / c), 0), 255)


def lighten(b, c):
    return min(max(math.trunc(255 - b / c), 0), 255)


def invert(b, c):
    return darken(b, c) if b > 127 else lighten(b, c)


ALTER = {
    "random_pixel_invert": invert,
    "white_to_black": darken,
    "black_to_white": lighten,
    "edge_to_altered": invert,
}


def is_edge(image, y, x):
    height, width = image.shape
    for ny in range(max(y - 1, 0), min(y + 2, height)):
        for nx in range(max(x - 1, 0), min(x + 2, width)):
            if (image[ny, nx] > 127) != (image[y, x] > 127):
                return True
    return False


def is_eligible(image, noise, y, x):
    if noise == "random_pixel_invert":
        return True
    if noise == "white_to_black":
        return image[y, x] > 0
    if noise == "black_to_white":
        return image[y, x] < 100
    if noise == "edge_to_altered":
        return is_edge(image, y, x)
    raise ValueError(noise)


def eligible(image, noise):
    """The set of eligible (y, x) of one image (H, W)."""
    height, width = image.shape
    return {(y, x) for y in range(height) for x in range(width) if is_eligible(image, noise, y, x)}
