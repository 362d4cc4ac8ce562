"""A digit of one's own, drawn or from a file, made into what MNIST would have: 28 x 28, white on black, centred."""

import io
import warnings

import numpy as np
from PIL import Image, ImageDraw

SIDE = 28  # pixels a side of an MNIST image
BOX = 20  # pixels a side of the box that an MNIST digit fills
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
KINDS = f"choose a picture ({', '.join(FORMATS)})"
LARGEST = 4_096  # pixels a side of an uploaded picture


def from_strokes(strokes: list[list[tuple[float, float]]], side: float, width: float) -> np.ndarray:
    """Strokes of a pen as an MNIST digit, (28, 28) uint8.

    Args:
        strokes: the points (x, y) of each stroke, in units of the canvas.
        side: of the square canvas.
        width: of the pen, in the same units.

    Raises:
        ValueError: if nothing is drawn.
    """
    scale = 280 / side
    canvas = Image.new("L", (280, 280))
    pen = ImageDraw.Draw(canvas)
    radius = width * scale / 2
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke]
        pen.line(points, fill=255, width=round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return centred(np.asarray(canvas))


def from_file(content: bytes, name: str) -> np.ndarray:
    """An uploaded picture as an MNIST digit, (28, 28) uint8; a 28 x 28 one on black stays as it is.

    Raises:
        ValueError: in one line, if it is no picture, damaged, too large, or shows nothing.
    """
    on_white, on_black = _greys(content, name)
    grey = on_white if np.ptp(on_white) > 0 else on_black  # white ink on a transparent ground needs black
    if _border(grey).mean() > 127:  # dark on light, as on paper
        grey = 255 - grey
    if grey.shape == (SIDE, SIDE) and grey.max() > 127:
        return grey
    try:
        return centred(np.clip(grey - np.median(_border(grey)), 0, None))  # the paper is not quite even
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _greys(content: bytes, name: str) -> list[np.ndarray]:
    """The picture in greys, (H, W) uint8: what is transparent in it as white, then as black."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except (OSError, SyntaxError, ValueError):
        raise ValueError(f"{name} is not an image; {KINDS}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} is too large; at most {LARGEST:,} pixels a side") from None
    if max(picture.size) > LARGEST:
        raise ValueError(f"{name} is too large, {picture.width:,} x {picture.height:,}; at most {LARGEST:,} a side")
    try:
        picture = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError, EOFError):
        raise ValueError(f"{name} is a damaged image; {KINDS}") from None
    papers = [Image.new("RGBA", picture.size, colour) for colour in ("white", "black")]
    return [np.asarray(Image.alpha_composite(paper, picture).convert("L")) for paper in papers]


def _border(grey: np.ndarray) -> np.ndarray:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def centred(ink: np.ndarray) -> np.ndarray:
    """Ink (H, W), 0 to 255 on black, scaled into 20 x 20 and with its centre of mass in the middle of 28 x 28.

    That is how MNIST was made (LeCun et al. 1998), so a network sees one's own digit as it saw its training images.

    Raises:
        ValueError: if there is no ink.
    """
    if ink.max() < 32:  # of 255: less is the grain of a photograph
        raise ValueError("there is no digit on it")
    ink = (ink / ink.max() * 255).astype(np.uint8)
    rows, columns = (np.flatnonzero((ink > 64).any(axis=axis)) for axis in (1, 0))
    cut = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = BOX / max(cut.size)
    width, height = (max(1, round(length * scale)) for length in cut.size)
    small = np.asarray(cut.resize((width, height), Image.Resampling.LANCZOS)).astype(float)
    mass = small.sum()
    top, left = (
        round((SIDE - 1) / 2 - (small.sum(axis=1 - axis) * np.arange(small.shape[axis])).sum() / mass)
        for axis in (0, 1)
    )
    top, left = (int(np.clip(place, 0, SIDE - length)) for place, length in zip((top, left), small.shape, strict=True))
    digit = np.zeros((SIDE, SIDE), np.uint8)
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    return digit
