"""Colour by its luminance: how bright a pixel of three channels is, and the same pixel at another brightness."""

import numpy as np

WEIGHTS = np.array([19595, 38470, 7471])  # of red, green and blue in 65536ths: ITU-R BT.601, as Pillow has them
WHITE = 255 << 16


def luminance(images: np.ndarray) -> np.ndarray:
    """The brightness of colours (..., 3) uint8, rounded: (...) uint8, what Pillow's `convert("L")` makes of them."""
    return ((images @ WEIGHTS + (1 << 15)) >> 16).astype(np.uint8)


def relit(images: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """The same colours at another brightness: a pixel keeps its hue, and one whose luminance is right already stays.

    To a lower luminance the three channels are scaled down alike; to a higher one they are mixed with white. Rounding
    sends halves down, so that the luminance becomes the brightness exactly.

    Args:
        images: (n, H, W, 3) uint8.
        brightness: (..., n, H, W) uint8.

    Returns:
        (..., n, H, W, 3) uint8.
    """
    lit = np.broadcast_to(images, (*brightness.shape, 3)).copy()
    other = brightness != luminance(images)
    pixels = lit[other].astype(np.int64)  # (pixels, 3)
    now = (pixels @ WEIGHTS)[:, None]  # (pixels, 1), in 65536ths like `wanted`
    wanted = brightness[other].astype(np.int64)[:, None] << 16
    # the distance from black shrinks, or the distance from white
    darker = wanted < now
    part = np.where(darker, pixels * wanted, (255 - pixels) * (WHITE - wanted))
    whole = np.where(darker, now, WHITE - now)
    distance = (2 * part + whole - darker) // (2 * whole)  # rounded, halves down from black and up from white
    lit[other] = np.where(darker, distance, 255 - distance)
    return lit
