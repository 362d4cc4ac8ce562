"""Luminance: the brightness of a colour."""

import numpy as np

WEIGHTS = np.array([19595, 38470, 7471])  # red, green, blue in 65536ths: ITU-R BT.601, as in Pillow


def luminance(images: np.ndarray) -> np.ndarray:
    """The luminance of colours, (..., 3) uint8 -> (...) uint8, rounded as in Pillow's `convert("L")`."""
    one = WEIGHTS.sum()
    red, green, blue = (images[..., channel] * WEIGHTS[channel].astype(np.uint32) for channel in range(3))
    return ((red + green + blue + np.uint32(one // 2)) // np.uint32(one)).astype(np.uint8)
