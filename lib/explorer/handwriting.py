"""A digit of one's own, drawn or from a file, made into what MNIST would have: 28 x 28, white on black, centred."""

import io
import warnings

import numpy as np
import scipy  # its parts and those of skimage load at their first use: the viewers open without them
import skimage
from PIL import Image, ImageDraw, ImageOps

SIDE = 28  # pixels a side of an MNIST image
# What MNIST's training images keep to; `tests/test_handwriting.py` measures it.
BOX = 20  # pixels of a digit's longer side
CENTRE, OFF_CENTRE = 14, 0.55  # row and column of the centre of mass, and how far it may lie from there
LEAST_INK, MOST_INK = 5_000, 79_500  # the sum of all brightnesses
THINNEST, THICKEST = 2.0, 6.0  # pixels across a stroke, on average; all but few images
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
KINDS = f"choose a picture ({', '.join(FORMATS)})"
LARGEST = 10_000  # pixels a side of an uploaded picture
WORKED = 1_000  # pixels of the longer side in which the digit is looked for
FINE = 400  # pixels of the longer side of the stencil of a digit
NOTHING = "there is no digit on it"


def from_strokes(strokes: list[list[tuple[float, float]]], side: float, width: float) -> np.ndarray:
    """Strokes of a pen as an MNIST digit, (28, 28) uint8.

    Args:
        strokes: the points (x, y) of each stroke, in units of the canvas.
        side: of the square canvas.
        width: of the pen, in the same units.

    Raises:
        ValueError: if nothing is drawn, or only specks or a blot.
    """
    scale = FINE / side
    canvas = Image.new("L", (FINE, FINE))
    pen = ImageDraw.Draw(canvas)
    radius = width * scale / 2
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke]
        pen.line(points, fill=255, width=round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return as_digit(np.asarray(canvas) / 255)


def from_file(content: bytes, name: str) -> np.ndarray:
    """An uploaded picture as an MNIST digit, (28, 28) uint8; one that could be MNIST's own stays as it is.

    The digit may be dark on light or light on dark, unevenly lit, faint, and have specks of dust beside it.

    Raises:
        ValueError: in one line, if it is no picture, damaged, too large, or shows no digit.
    """
    on_white, on_black = _greys(content, name)
    grey = on_white if np.ptp(on_white) > 0 else on_black  # white ink on a transparent ground needs black
    for digit in (grey, 255 - grey):
        if like_mnist(digit):
            return digit
    try:
        return as_digit(ink_of(grey))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def like_mnist(digit: np.ndarray) -> bool:
    """Whether size, brightness and centre of uint8 pixels are those of MNIST's images."""
    if digit.shape != (SIDE, SIDE) or digit.max() < 254 or not LEAST_INK <= digit.sum(dtype=int) <= MOST_INK:
        return False
    longer = max(int(np.ptp(places)) + 1 for places in np.nonzero(digit))
    centre = scipy.ndimage.center_of_mass(digit.astype(float))
    return BOX - 1 <= longer <= BOX and all(abs(place - CENTRE) <= OFF_CENTRE for place in centre)


def _greys(content: bytes, name: str) -> list[np.ndarray]:
    """The picture in greys, (H, W) uint8, upright: what is transparent in it as white, then as black."""
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
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith(("I", "F")):  # more than 8 bits a pixel, of which `convert` would keep the lowest
            values = np.asarray(picture, float)
            values = (values - values.min()) / max(np.ptp(values), np.finfo(float).tiny)
            picture = Image.fromarray(np.uint8(255 * values))
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError, EOFError):
        raise ValueError(f"{name} is a damaged image; {KINDS}") from None
    picture.thumbnail((WORKED, WORKED), Image.Resampling.BOX)
    picture = picture.convert("RGBA")
    papers = [Image.new("RGBA", picture.size, colour) for colour in ("white", "black")]
    return [np.asarray(Image.alpha_composite(paper, picture).convert("L")) for paper in papers]


def ink_of(grey: np.ndarray) -> np.ndarray:
    """How much ink lies where in a picture (H, W) uint8, 0 to 1: what stands out from its ground.

    Logarithms of the light are compared, so that ink stands out as much in a shadow as beside it. The ground is even at
    first, and where that finds no digit, what remains without all that is narrower than a half, a quarter, an eighth of
    the picture.

    Raises:
        ValueError: if nothing stands out.
    """
    side = max(grey.shape)
    light = np.log(scipy.ndimage.gaussian_filter(grey.astype(np.float32), side / 800, mode="nearest") + 16)
    apart = max(1, side // 250)
    grain = np.median(abs(light[:, apart:] - light[:, :-apart]))
    sign = _sign(light)
    for part in (1, 2, 4, 8):
        above = sign * light - _ground(sign * light, part)
        strokes = _strokes(above, max(0.06, 0.3 / part) + 6 * grain)
        if strokes.any() and not _shadow(strokes):
            ink = np.where(strokes, abs(np.expm1(sign * above)), 0)
            return np.clip(ink / np.quantile(ink[strokes], 0.75), 0, 1)
    raise ValueError(NOTHING)


def _sign(light: np.ndarray) -> int:
    """1 for light ink on a dark ground, -1 for dark on light: where they meet, the ground is more."""
    window = {"size": max(light.shape) // 2 + 1, "mode": "nearest"}
    high, low = scipy.ndimage.maximum_filter(light, **window), scipy.ndimage.minimum_filter(light, **window)
    near = high - low >= (high - low).max() / 2
    return 1 if (light > (high + low) / 2)[near].mean() < 0.5 else -1


def _ground(light: np.ndarray, part: int) -> np.ndarray | float:
    """`light` without what is brighter and narrower than this part of it; one value for all of it where `part` is 1."""
    if part == 1:
        return np.median(light)
    size = 2 * (max(light.shape) // (2 * part)) + 1
    opened = scipy.ndimage.grey_opening(np.pad(light, size, mode="edge"), (size, size))
    return opened[size:-size, size:-size]


def _strokes(above: np.ndarray, least: float) -> np.ndarray:
    """Where a digit stands out (bool): the longest piece and all that is not far shorter, dust for instance.

    None at all if they are tiny, or so many as in noise.
    """
    pieces = skimage.measure.label(above > np.quantile(above, 0.35) + least, connectivity=2)
    found = skimage.measure.regionprops(pieces)
    lengths = {piece.label: max(np.subtract(piece.bbox[2:], piece.bbox[:2])) for piece in found}
    longest = max(lengths.values(), default=0)
    chosen = [number for number, length in lengths.items() if length > longest / 5]
    return np.isin(pieces, chosen if longest >= max(above.shape) / 20 and len(chosen) <= 8 else [])


def _shadow(strokes: np.ndarray) -> bool:
    """Whether something as broad as a shadow reaches a corner of the picture."""
    side = max(strokes.shape)
    size = side // 40 + 1
    broad = scipy.ndimage.uniform_filter(strokes.astype(np.float32), size, mode="nearest") > 0.5  # grain has holes
    corners = broad[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(corners.any() and 2 * scipy.ndimage.distance_transform_edt(np.pad(broad, 1)).max() > side / 8)


def as_digit(ink: np.ndarray) -> np.ndarray:
    """Ink (H, W), 0 to 1, scaled to 20 pixels and with its centre of mass in the middle of (28, 28) uint8.

    That is how MNIST was made (LeCun et al. 1998), so a network sees one's own digit as it saw its training images.
    Strokes that would be thinner or thicker than theirs are made as thick as those.

    Raises:
        ValueError: if there is no ink, or less or more than on any of MNIST's images.
    """
    if not (ink > 0.5).any():
        raise ValueError(NOTHING)
    stencil = _as_thick(_resized(_cut(ink, ink > 0.5), FINE) > 0.5)  # (H, W) bool, one of them 400
    small = _resized(_cut(stencil, stencil), BOX)
    small = np.rint(255 * small / small.max()).astype(np.uint8)
    centre = scipy.ndimage.center_of_mass(small.astype(float))
    top, left = (  # the centre comes to lie from 13.5 to below 14.5
        int(np.clip(np.ceil(CENTRE - 0.5 - place), 0, SIDE - length))
        for place, length in zip(centre, small.shape, strict=True)
    )
    digit = np.zeros((SIDE, SIDE), np.uint8)
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    total = digit.sum(dtype=int)
    if not LEAST_INK <= total <= MOST_INK:
        raise ValueError(f"{NOTHING}, only {'a blot' if total > MOST_INK else 'specks'}")
    return digit


def _cut(ink: np.ndarray, where: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(where)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _resized(ink: np.ndarray, longer: int) -> np.ndarray:
    """In float32, its longer side in so many pixels."""
    scale = longer / max(ink.shape)
    height, width = (max(1, round(length * scale)) for length in ink.shape)
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(ink.astype(np.float32)).resize((width, height), kind))


def _as_thick(stencil: np.ndarray) -> np.ndarray:
    """A stencil (bool) with strokes as thick as MNIST's once its longer side is scaled to 20 pixels."""
    length = max(stencil.shape)
    across = stencil.sum() / max(1, skimage.morphology.skeletonize(stencil).sum())
    thickness = BOX * across / length
    wanted = np.clip(thickness, THINNEST, THICKEST)
    if wanted == thickness or across >= length:
        return stencil
    more = (wanted * (length - across) / (BOX - wanted) - across) / 2  # on either side of a stroke
    wide = np.pad(stencil, length // 4)
    if more > 0:
        return scipy.ndimage.distance_transform_edt(~wide) <= more
    thinner = scipy.ndimage.distance_transform_edt(wide) > -more
    return thinner if thinner.any() else stencil
