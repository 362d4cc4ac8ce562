"""A digit of one's own, drawn or from a file, as an image like MNIST's: 28 x 28, white on black, centred."""

import io
import warnings

import numpy as np
import scipy  # scipy's and skimage's modules load when they are first used, so that the viewers open without them
import skimage
from PIL import Image, ImageDraw, ImageOps

SIDE = 28  # pixels a side of an MNIST image
# The ranges of MNIST's training images, as `tests/test_handwriting.py` measures them.
BOX = 20  # pixels of a digit's longer side
CENTRE, OFF_CENTRE = 14, 0.55  # row and column of the centre of mass, and how far it may lie from there
LEAST_INK, MOST_INK = 5_000, 79_500  # the sum of all brightnesses
THINNEST, USUAL, THICKEST = 2.0, 3.0, 6.0  # mean width of a stroke in pixels; the outer two for almost all images
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
KINDS = f"choose a picture ({', '.join(FORMATS)})"
LARGEST_SIDE = 10_000  # pixels a side of an uploaded picture
WORKED = 1_000  # pixels of the longer side to which a picture is reduced
FINE = 400  # pixels of the longer side of a digit's stencil
NOTHING = "there is no digit on it"
BLOT = f"{NOTHING}, only a blot"


def from_strokes(strokes: list[list[tuple[float, float]]], side: float, width: float) -> np.ndarray:
    """Strokes of a pen as an MNIST digit, (28, 28) uint8; a small drawing's strokes become no thicker than is usual.

    The points (x, y) of the strokes, the side of the square canvas and the width of the pen have the same unit. Raises
    ValueError if nothing is drawn, or nothing but specks or a blot.
    """
    scale, strokes = FINE / side, [stroke for stroke in strokes if stroke]
    places = np.clip([point for stroke in strokes for point in stroke] or [(0, 0)], 0, side)
    extent = np.ptp(places, axis=0).max()
    if extent > width:  # else a dot
        width = min(width, extent * USUAL / (BOX - USUAL))
    canvas, radius = Image.new("L", (FINE, FINE)), width * scale / 2
    pen = ImageDraw.Draw(canvas)
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke]
        pen.line(points, fill=255, width=round(2 * radius), joint="curve")
        for end in (points[0], points[-1]):
            pen.circle(end, radius, fill=255)
    return as_digit(np.asarray(canvas) / 255)


def from_file(content: bytes, name: str) -> np.ndarray:
    """An uploaded picture as an MNIST digit, (28, 28) uint8; a picture that is like MNIST's already does not change.

    The digit may be dark on light or light on dark, unevenly lit or faint, with specks of dust beside it. Its paper may
    be ruled or squared, and lie on a desk or in a frame. A transparent ground counts as white paper, but as black if
    the contrast to that is more than twice as high. Raises ValueError, in one line, if the content is not a picture, is
    damaged or too large, or shows no digit.
    """
    on_white, on_black = _greys(content, name)
    grey = on_black if np.ptp(on_black) / 2 > np.ptp(on_white) else on_white  # light ink on a transparent ground
    for digit in (grey, 255 - grey):
        if like_mnist(digit):
            return digit
    try:
        return _read(grey)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def like_mnist(digit: np.ndarray) -> bool:
    """Whether the size, brightness and centre of an image (28, 28) uint8 are in the ranges of MNIST's."""
    if digit.shape != (SIDE, SIDE) or digit.max() < 254 or not LEAST_INK <= digit.sum(dtype=int) <= MOST_INK:
        return False
    longer = max(int(np.ptp(places)) + 1 for places in np.nonzero(digit))
    centre = scipy.ndimage.center_of_mass(digit.astype(float))
    return BOX - 1 <= longer <= BOX and all(abs(place - CENTRE) <= OFF_CENTRE for place in centre)


def _greys(content: bytes, name: str) -> list[np.ndarray]:
    """The upright picture in grey, (H, W) uint8, with transparency as white, and again with transparency as black."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except (OSError, SyntaxError, ValueError):
        raise ValueError(f"{name} is not an image; {KINDS}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} is too large; at most {LARGEST_SIDE:,} pixels a side") from None
    if max(picture.size) > LARGEST_SIDE:
        raise ValueError(
            f"{name} is too large, {picture.width:,} x {picture.height:,}; at most {LARGEST_SIDE:,} a side"
        )
    try:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith(("I", "F")):  # more than 8 bits a pixel; `convert` would keep the lowest 8
            values = np.asarray(picture, float)
            values = (values - values.min()) / max(np.ptp(values), np.finfo(float).tiny)
            picture = Image.fromarray(np.uint8(255 * values))
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError, EOFError):
        raise ValueError(f"{name} is a damaged image; {KINDS}") from None
    picture.thumbnail((WORKED, WORKED), Image.Resampling.BOX)
    picture = picture.convert("RGBA")
    greys = []
    for paper in ("white", "black"):
        colours = Image.alpha_composite(Image.new("RGBA", picture.size, paper), picture).convert("RGB")
        bands = [np.asarray(band) for band in (colours.convert("L"), *colours.split())]
        # The brightness, or the colour channel with more than twice its contrast.
        greys.append(bands[np.argmax(np.multiply([band.std() for band in bands], (2, 1, 1, 1)))])
    return greys


def _read(grey: np.ndarray) -> np.ndarray:
    """The digit in a picture (H, W) uint8, also inside a sheet, on a desk or in a frame."""
    ink = ink_of(grey)
    strokes = ink > 0
    filled = scipy.ndimage.binary_fill_holes(strokes) | _all_round(strokes)
    if _four_cornered(filled):
        try:
            return _read(_sheet(grey, strokes, filled))
        except ValueError:
            if filled.mean() >= 0.8 or strokes.sum() >= filled.sum() / 2:  # else it is an angular 0
                raise
    return as_digit(ink)


def _four_cornered(filled: np.ndarray) -> bool:
    """Whether the largest piece (bool) is a broad quadrangle, like a sheet in perspective and unlike a 0."""
    piece = _largest(filled)
    corners = np.argwhere(piece & ~scipy.ndimage.binary_erosion(piece))
    if min(np.ptp(corners, axis=0)) < 2:
        return False
    hull = scipy.spatial.ConvexHull(corners)
    corners = corners[hull.vertices].astype(float)
    apart = scipy.spatial.distance.cdist(corners, corners)
    one, other = (corners[place] for place in np.unravel_index(apart.argmax(), apart.shape))
    beside = (corners - one) @ np.array([[0, 1], [-1, 0]]) @ (other - one)
    quadrangle = np.ptp(beside) / 2  # its area: that diagonal times the distances of the two other corners from it
    broad = quadrangle > 0.35 * apart.max() ** 2
    return bool(broad and quadrangle > 0.85 * hull.volume and piece.sum() > 0.9 * hull.volume)


def _all_round(strokes: np.ndarray) -> bool:
    """Whether strokes (bool) cover most of the picture's edge, as a desk or a frame does."""
    return bool(np.concatenate([*strokes[[0, -1]], *strokes.T[[0, -1]]]).mean() > 0.8)


def _largest(where: np.ndarray) -> np.ndarray:
    """The largest connected piece (bool)."""
    pieces, _ = scipy.ndimage.label(where)
    return pieces == np.bincount(pieces[where]).argmax() if where.any() else where


def _sheet(grey: np.ndarray, strokes: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """The part of the picture (H, W) uint8 well inside the filled strokes, or inside the frame that they form."""
    sheet = np.pad(_largest(~strokes if _all_round(strokes) else filled), 1)
    margin = max(grey.shape) / 100 + 2
    deep = max(margin, max(grey.shape) / 25)
    core = scipy.ndimage.distance_transform_edt(sheet)[1:-1, 1:-1] > deep  # gaps in a frame lead out of it
    if not core.any():
        raise ValueError(NOTHING)
    core = skimage.morphology.convex_hull_image(core)
    inside = scipy.ndimage.distance_transform_edt(~core) <= deep - margin
    nearest = scipy.ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return _cut(grey[tuple(nearest)], inside)


def ink_of(grey: np.ndarray) -> np.ndarray:
    """The amount of ink at each pixel of a picture (H, W) uint8, 0 to 1, by its contrast to the ground.

    The contrast is of logarithms, so that ink in a shadow counts like ink beside it. The ground is first taken as a
    smooth surface, then as the picture without all that is narrower than a half, a quarter, an eighth of it.
    """
    side = max(grey.shape)
    light = np.log(scipy.ndimage.gaussian_filter(grey.astype(np.float32), side / 800, mode="nearest") + 16)
    apart = max(1, side // 250)
    if min(grey.shape) <= apart:
        raise ValueError(NOTHING)
    grain = np.median(abs(light[:, apart:] - light[:, :-apart]))
    # Light ink on a dark ground, or dark ink: near the edges of the ink, most pixels are ground.
    window = {"size": side // 2 + 1, "mode": "nearest"}
    high, low = scipy.ndimage.maximum_filter(light, **window), scipy.ndimage.minimum_filter(light, **window)
    near = high - low >= (high - low).max() / 2
    sign = 1 if (light > (high + low) / 2)[near].mean() < 0.5 else -1
    for part in (1, 2, 4, 8):
        above = sign * light - _ground(sign * light, part, grain)
        strokes = _strokes(above, *(max(0.06, least) + 6 * grain for least in (0, 0.3 / part)))
        if strokes.any() and (_all_round(strokes) or not _shadow(strokes)):
            ink = np.where(strokes, abs(np.expm1(sign * above)), 0)
            around = scipy.ndimage.maximum_filter(ink, side // 100 + 3)  # the darkness of a thin stroke varies along it
            return np.where(strokes, ink / np.clip(around, 1e-6, np.quantile(ink[strokes], 0.75)), 0).clip(0, 1)
    raise ValueError(NOTHING)


def _ground(light: np.ndarray, part: int, grain: float) -> np.ndarray | float:
    """The ground of `light`: without all that is brighter and narrower than side / `part`; with part 1, a surface."""
    if part == 1:
        y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in light.shape), indexing="ij")
        terms = np.polynomial.polynomial.polyvander2d(x, y, [2, 2])
        some = slice(None, None, max(light.shape) // 50 + 1)
        few, wanted = terms[some, some].reshape(-1, terms.shape[-1]), light[some, some].ravel()
        start = np.median(light) * np.eye(terms.shape[-1])[0]
        fit = scipy.optimize.least_squares(lambda surface: few @ surface - wanted, start, loss="soft_l1", f_scale=0.05)
        surface = terms @ fit.x
        return surface if np.median(abs(light - surface)) < 0.03 + grain else np.median(light)  # a curved or a flat one
    size = 2 * (max(light.shape) // (2 * part)) + 1
    opened = scipy.ndimage.grey_opening(np.pad(light, size, mode="edge"), (size, size))
    return opened[size:-size, size:-size]


def _strokes(above: np.ndarray, faintest: float, least: float) -> np.ndarray:
    """The strokes of a digit (bool): the longest piece, and the pieces near it or like it; no dust, hairs or edges.

    The pixels above `least` give the darkness of the ink; pixels with a quarter of that, but at least `faintest`, are
    ink too. Tiny pieces, or as many as in noise, are not strokes.
    """
    above = above - np.quantile(above, 0.35)
    if not (above > least).any():
        return above > least
    enough = np.clip(np.median(above[above > least]) / 4, faintest, least)
    inked = (above > enough) & _without_lines(above > enough / 2)
    if not inked.any():
        return inked
    pieces, count = scipy.ndimage.label(inked, np.ones((3, 3)))
    boxes = np.array([[(part.start, part.stop) for part in box] for box in scipy.ndimage.find_objects(pieces)])
    length = np.ptp(boxes, axis=2).max(1)
    depth, thickness = (  # of each piece: how far it reaches from the edges of the picture, and from its own
        scipy.ndimage.maximum(_distance(where)[1:-1, 1:-1], pieces, range(1, count + 1))
        for where in (np.ones_like(inked), inked)
    )
    at_edge = depth < min(inked.shape) / 10
    bars = _bars(pieces, boxes)
    weight = np.where(bars, 0, np.where(at_edge, length / 8, length))
    digit = np.argmax(weight)
    large = length > length[digit] / 5
    if weight[digit] < max(inked.shape) / 20 or large.sum() > 8:
        return np.zeros_like(inked)
    gap = np.maximum(boxes[:, :, 0] - boxes[digit, :, 1], boxes[digit, :, 0] - boxes[:, :, 1]).max(1)
    as_thick = thickness > 0.6 * thickness[digit]
    near = ~bars & (gap <= length[digit] / 4) & (as_thick | (length <= length[digit]))
    alike = ~at_edge & ~bars & (length > length[digit] / 3) & as_thick
    return np.isin(pieces, 1 + np.flatnonzero(large & (near | alike)))


def _bars(pieces: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which pieces (count,) are bars along a whole side of the picture, like those of a phone's video."""
    shape = np.array(pieces.shape)
    full = (np.bincount(pieces.ravel())[1:] > 0.95 * np.ptp(boxes, axis=2).prod(1))[:, None]
    along = np.ptp(boxes, axis=2) == shape
    at_end = (boxes[:, :, 0] == 0) | (boxes[:, :, 1] == shape)
    return (full & along & at_end[:, ::-1]).any(1)


def _without_lines(inked: np.ndarray) -> np.ndarray:
    """Ink (bool) without thin lines across the picture; one or two as thick as its strokes stay, as the bar of a 7."""
    rest, level, height = _without_level_lines(inked)
    rest, upright, width = _without_level_lines(rest.T)
    across = max(height, width)
    if not 0 < across < max(inked.shape) / 40:
        return inked
    thickness = 2 * _distance(rest).max()
    as_thick = 0.6 * across <= thickness <= across / 0.6
    return inked if as_thick and max(level, upright) < 3 else rest.T


def _without_level_lines(inked: np.ndarray) -> tuple[np.ndarray, int, float]:
    """Ink (bool) without the horizontal lines across the picture, the number of these, and their thickness."""
    width = inked.shape[1]
    pieces, _ = scipy.ndimage.label(_opened(inked, 1, width // 12 + 2), np.ones((3, 3)))
    boxes = scipy.ndimage.find_objects(pieces)
    long = [number for number, (_, part) in enumerate(boxes, 1) if part.stop - part.start > 0.8 * width]
    if not long:
        return inked, 0, 0.0
    lines = np.isin(pieces, long)
    count = (lines & ~np.roll(lines, 1, axis=0)).sum(0).clip(1)  # in each column
    thickness = float(np.quantile(lines.sum(0) / count, 0.25))  # more where a stroke runs along a line
    return inked & ~(lines & ~_opened(inked, int(1.6 * thickness) + 2, 1)), int(np.median(count)), thickness


def _opened(inked: np.ndarray, *size: int) -> np.ndarray:
    """Where a rectangle of ink (bool) of this height and width fits."""
    return scipy.ndimage.grey_opening(inked.astype(np.uint8), size, mode="constant") > 0


def _shadow(strokes: np.ndarray) -> bool:
    """Whether a shape as broad as a shadow reaches a corner of the picture."""
    side = max(strokes.shape)
    size = side // 40 + 1
    broad = scipy.ndimage.uniform_filter(strokes.astype(np.float32), size, mode="nearest") > 0.5  # grain has holes
    corners = broad[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(corners.any() and 2 * _distance(broad).max() > side / 8)


def as_digit(ink: np.ndarray) -> np.ndarray:
    """Ink (H, W), 0 to 1, as (28, 28) uint8: scaled to 20 pixels and centred by mass, like MNIST (LeCun et al. 1998).

    Strokes that would be thinner or thicker than those of MNIST get their nearest thickness. Raises ValueError if there
    is no ink, or less or more of it than on any of MNIST's images.
    """
    if not (ink > 0.5).any():
        raise ValueError(NOTHING)
    stencil = _as_thick(_resized(_cut(ink, ink > 0.5), FINE) > 0.5)  # (H, W) bool, one of them 400
    small = _resized(_cut(stencil, stencil), BOX)
    small = np.rint(255 * small / small.max()).astype(np.uint8)
    centre = scipy.ndimage.center_of_mass(small.astype(float))
    # The centre of mass is then from 13.5 to below 14.5.
    top, left = np.clip(np.ceil(CENTRE - 0.5 - np.array(centre)), 0, SIDE - np.array(small.shape)).astype(int)
    digit = np.zeros((SIDE, SIDE), np.uint8)
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    if not LEAST_INK <= (total := digit.sum(dtype=int)) <= MOST_INK:
        raise ValueError(BLOT if total > MOST_INK else f"{NOTHING}, only specks")
    return digit


def _cut(ink: np.ndarray, where: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(where)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _resized(ink: np.ndarray, longer: int) -> np.ndarray:
    """The ink in float32, with `longer` pixels on its longer side."""
    scale = longer / max(ink.shape)
    height, width = (max(1, round(length * scale)) for length in ink.shape)
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(ink.astype(np.float32)).resize((width, height), kind))


def _as_thick(stencil: np.ndarray) -> np.ndarray:
    """The stencil (bool) with strokes that are as thick as MNIST's when its longer side is scaled to 20 pixels."""
    length = max(stencil.shape)
    if 2 * _distance(stencil).max() > 0.6 * length:
        raise ValueError(BLOT)
    across = stencil.sum() / max(1, skimage.morphology.skeletonize(stencil).sum())
    thickness = BOX * across / length
    wanted = np.clip(thickness, THINNEST, THICKEST)
    if wanted == thickness:
        return stencil
    more = (wanted * (length - across) / (BOX - wanted) - across) / 2  # on either side of a stroke
    wide = np.pad(stencil, length // 4)
    if more > 0:
        return scipy.ndimage.distance_transform_edt(~wide) <= more
    thinner = scipy.ndimage.distance_transform_edt(wide) > -more
    return thinner if thinner.any() else stencil


def _distance(where: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest one outside `where` (bool) or the picture, with a frame of one pixel."""
    return scipy.ndimage.distance_transform_edt(np.pad(where, 1))
