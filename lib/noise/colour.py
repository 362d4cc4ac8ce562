"""Colour by its luminance: how bright a pixel of three channels is."""

import numpy as np

RED, GREEN, BLUE = 19595, 38470, 7471  # weights in 65536ths: ITU-R BT.601, as Pillow has them
ONE = 65536


def luminance(images: np.ndarray) -> np.ndarray:
    """The brightness of colours (..., 3) uint8, rounded: (...) uint8, what Pillow's `convert("L")` makes of them."""
    return ((images @ np.array([RED, GREEN, BLUE]) + ONE // 2) // ONE).astype(np.uint8)
