"""One's own digits against MNIST's training images: brightness, size, centre and thickness, and what networks read."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageOps
from skimage.morphology import skeletonize

from lib import networks
from lib.explorer import handwriting
from lib.explorer.viewers import CANVAS, PEN
from lib.networks import predictor
from lib.store import data


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> list[tuple[float, float]]:
    """Points of an ellipse between two angles, in degrees from the right, clockwise on the page."""
    angles = np.radians(np.linspace(start, end, 40))
    return [(x + width * float(np.cos(a)), y + height * float(np.sin(a))) for a in angles]


# The strokes of each digit in a unit square.
DIGITS = {
    0: [arc(0.5, 0.5, 0.22, 0.34, -90, 270)],
    1: [[(0.52, 0.15), (0.48, 0.85)]],
    2: [[*arc(0.5, 0.33, 0.2, 0.18, -165, 30), (0.28, 0.82), (0.74, 0.82)]],
    3: [[*arc(0.5, 0.32, 0.19, 0.17, -150, 85), *arc(0.5, 0.67, 0.21, 0.18, -85, 150)]],
    4: [[(0.36, 0.15), (0.26, 0.55), (0.74, 0.55)], [(0.66, 0.15), (0.62, 0.85)]],
    5: [[(0.7, 0.17), (0.36, 0.17), (0.33, 0.47), *arc(0.48, 0.64, 0.2, 0.19, -110, 143)]],
    6: [[(0.62, 0.15), (0.4, 0.45), *arc(0.5, 0.66, 0.18, 0.18, -172, 190)]],
    7: [[(0.25, 0.2), (0.74, 0.2), (0.44, 0.85)]],
    8: [[*arc(0.5, 0.33, 0.16, 0.16, 90, 450), *arc(0.5, 0.67, 0.2, 0.18, -90, -450)]],
    9: [[*arc(0.5, 0.35, 0.18, 0.18, -10, 360), (0.66, 0.86)]],
}


def drawn(digit: int | list, size: int, pen: float, paper: int = 255, ink: int = 0, box=(0, 0, 1)) -> Image.Image:
    """A digit, or strokes, by a pen of so many pixels; `box`: left, top and side of its square, in parts of it."""
    finer = 1 if size > 500 else 4  # a pen's edge is not one of whole pixels
    page = Image.new("L", (size * finer, size * finer), paper)
    canvas, radius = ImageDraw.Draw(page), pen * finer / 2
    left, top, side = (part * size * finer for part in box)
    for stroke in DIGITS[digit] if isinstance(digit, int) else digit:
        points = [(left + side * x, top + side * y) for x, y in stroke]
        canvas.line(points, fill=ink, width=max(1, round(2 * radius)), joint="curve")
        for x, y in (points[0], points[-1]):
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return page.resize((size, size), Image.Resampling.BOX)


def photographed(page: Image.Image, light: float, vignette: float, grain: float, shadow: float | None, seed: int = 0):
    """The page lit from the left, darker towards its corners, grainy, half as bright behind a slanted edge."""
    grey = np.asarray(page, float)
    y, x = np.mgrid[0 : page.height, 0 : page.width] / max(page.size)
    grey = grey * (1 - light * (0.7 * x + 0.3 * y)) * (1 - 2 * vignette * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    if shadow is not None:
        grey = grey * np.where(x + 0.4 * y > shadow, 0.5, 1)
    grey = grey + np.random.default_rng(seed).normal(0, grain, grey.shape)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def dusty(page: Image.Image, radius: float, specks: int, ink: int = 0, seed: int = 0) -> Image.Image:
    """Round specks on the left and the right margin."""
    page, random = page.copy(), np.random.default_rng(seed)
    for _ in range(specks):
        x = page.width * (random.choice([0, 0.82]) + random.uniform(0.02, 0.16))
        y = page.height * random.uniform(0.02, 0.98)
        ImageDraw.Draw(page).ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return page


def ruled(page: Image.Image, line: int, spacing: int, width: int, squared: bool = False, slope: float = 0):
    """The page with level lines of a grey under its ink, and upright ones if squared; they fall by `slope`."""
    lines = Image.new("L", page.size, 255)
    for turned in range(1 + squared):
        layer = Image.new("L", page.size, 255)
        for y in range(spacing, page.height, spacing):
            ends = [(0, y), (page.width, y + slope * page.width)]
            ImageDraw.Draw(layer).line([end[::-1] if turned else end for end in ends], fill=line, width=width)
        lines = ImageChops.darker(lines, layer)
    return ImageChops.darker(page, lines)


def lying(sheet: Image.Image, around: int, margins: tuple[int, int], angle: float = 0) -> Image.Image:
    """A sheet, turned by some degrees, in the middle of something of another grey."""
    picture = Image.new("L", (sheet.width + 2 * margins[0], sheet.height + 2 * margins[1]), around)
    shape = Image.new("L", sheet.size, 255).rotate(angle, expand=True)
    place = ((picture.width - shape.width) // 2, (picture.height - shape.height) // 2)
    picture.paste(sheet.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=around), place, shape)
    return picture


def as_file(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def taken(picture: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    return handwriting.from_file(as_file(picture, kind, **options), "x")


def thickness(digit: np.ndarray) -> float:
    """Ink over the length of the skeleton, in pixels."""
    return digit.sum(dtype=int) / 255 / max(1, skeletonize(digit > 127).sum())


def measures(digits: np.ndarray) -> dict[str, np.ndarray]:
    """What is compared of digits (n, 28, 28): one number of each."""
    mass = digits.sum((1, 2), dtype=float)
    inked = [np.any(digits, axis) for axis in (2, 1)]  # rows, then columns
    sizes = [28 - np.argmax(where[:, ::-1], 1) - np.argmax(where, 1) for where in inked]
    centres = [(digits.sum(axis, dtype=float) * np.arange(28)).sum(1) / mass for axis in (2, 1)]
    return {
        "peak": digits.max((1, 2)),
        "ink": mass,
        "size": np.max(sizes, axis=0),
        "row of the centre": centres[0],
        "column of the centre": centres[1],
    }


@pytest.fixture(scope="module")
def mnist() -> dict[str, tuple[float, float]]:
    """The lowest and the highest of all training images; of the thickness 0.1 and 99.9 % of 2,000."""
    images = data.load().train_images
    ranges = {name: (values.min(), values.max()) for name, values in measures(images).items()}
    return ranges | {"thickness": tuple(np.quantile([thickness(digit) for digit in images[:2_000]], [0.001, 0.999]))}


@pytest.fixture(scope="module")
def readers():
    return {model: predictor(networks.load(model)) for model in ("fc", "resnet18")}


@pytest.fixture(scope="module")
def fits(mnist, readers):
    """Asserts that a digit is in the ranges of MNIST's, and that one network, or both, predict its number."""

    def check(digit: np.ndarray, number: int | None = None, thick: bool = True, by=("fc",)) -> None:
        assert digit.shape == (28, 28) and digit.dtype == np.uint8
        found = {name: values[0] for name, values in measures(digit[None]).items()}
        found |= {"thickness": thickness(digit)} if thick else {}
        for name, value in found.items():
            low, high = mnist[name]
            assert low - 1e-9 <= value <= high + 1e-9, f"{name} is {value:.2f}, not {low:.2f} to {high:.2f}"
        if number is not None:
            assert {model: readers[model](digit[None]).argmax() for model in by} == dict.fromkeys(by, number)

    return check


def test_what_is_said_of_mnist_is_so(mnist):
    for place in ("row of the centre", "column of the centre"):
        assert max(abs(end - handwriting.CENTRE) for end in mnist[place]) <= handwriting.OFF_CENTRE
    assert mnist["size"] == (handwriting.BOX - 1, handwriting.BOX) and mnist["peak"][0] == 254
    assert handwriting.LEAST_INK < mnist["ink"][0] < 1.02 * handwriting.LEAST_INK
    assert mnist["ink"][1] < handwriting.MOST_INK < 1.001 * mnist["ink"][1]
    assert mnist["thickness"][0] < handwriting.THINNEST < handwriting.THICKEST < mnist["thickness"][1]
    usual = np.quantile([thickness(digit) for digit in data.load().train_images[:500]], [0.25, 0.75])
    assert usual[0] < handwriting.USUAL < usual[1]


SCANS = [(28, 2), (28, 4), (2000, 3), (60, 9), (60, 2), (300, 3), (300, 30), (700, 70), (1200, 2), (2400, 6)]
PAPERS = [  # paper, ink
    (110, 20), (140, 250), (140, 255), (250, 140), (20, 60), (200, 170), (0, 255), (128, 98), (90, 130), (255, 230)
]  # fmt: skip
PHOTOS = [  # light, vignette, grain, shadow, pen, paper, ink
    (0.5, 0.3, 6, None, 30, 230, 30),
    (0.7, 0.0, 4, None, 16, 240, 40),
    (0.2, 0.8, 10, None, 40, 220, 60),
    (0.2, 0.2, 5, 0.5, 24, 230, 40),
    (0.0, 0.0, 3, 0.8, 30, 240, 20),
    (0.3, 0.2, 8, 0.35, 50, 200, 30),
    (0.3, 0.3, 5, None, 24, 40, 220),
    (0.2, 0.1, 5, 0.6, 24, 60, 230),
    (0.0, 0.0, 20, None, 24, 200, 60),
    (0.0, 0.6, 5, None, 30, 200, 60),
    (0.0, 0.7, 5, None, 90, 220, 50),
    (0.55, 0.0, 8, None, 30, 200, 60),
    (0.7, 0.0, 8, None, 30, 200, 60),
    (0.0, 0.6, 5, None, 30, 70, 230),
]
RULED = [  # grey of the lines, their spacing, their width, squared, slope
    (90, 80, 4, False, 0),
    (180, 80, 4, False, 0),
    (120, 120, 4, False, 0),
    (150, 160, 4, False, 0.01),
    (200, 24, 1, True, 0),
    (150, 40, 2, True, 0),
    (90, 60, 3, True, 0.005),
    (120, 96, 4, True, 0),
]
SHEETS = [  # grey around, of the sheet and of the ink; margins of a sheet of 400 pixels; degrees
    (20, 235, 20, (200, 100), 8),  # a black desk
    (60, 235, 25, (120, 90), 0),
    (95, 235, 25, (60, 30), 0),
    (170, 235, 25, (60, 60), 5),  # a bright one
    (235, 225, 25, (200, 100), 0),  # a note as dark as its desk
    (235, 150, 25, (200, 100), 3),  # a blue note
    (0, 250, 20, (14, 14), 0),  # a black border
    (145, 60, 230, (30, 25), 0),  # a wooden frame
    (233, 60, 230, (90, 60), 0),  # a blackboard on a wall
    (120, 240, 20, (20, 20), 0),  # a grey frame
    (0, 255, 0, (0, 150), 0),  # bars above and below
    (255, 20, 240, (80, 0), 0),  # bars on the left and the right
]
BOXES = [(0.1, 0.1, 0.15), (0.7, 0.6, 0.25), (0.0, 0.5, 0.45), (-0.2, -0.15, 1.3)]  # in a corner, or beyond the edges
TINY = [(200, 55, (0.1, 0.2, 0.7)), (55, 250, (0.3, 0.0, 0.7)), (0, 90, (0, 0, 1)), (255, 0, (0, 0, 1))]  # in 28 pixels
INKS = [0, 90, 128, 170, 200, 240, 250, 255, (255, 240, 0), (200, 230, 255)]  # brightness, or red, green and blue
COLOURS = [((0, 130, 0), (255, 0, 0)), ((200, 30, 30), (40, 60, 255)), ((255, 255, 255), (255, 240, 0))]  # paper, ink


def scan(number: int, *drawing) -> bytes:
    return as_file(drawn(number, *drawing))


def on_paper(_: int, paper: int, ink: int) -> bytes:
    return as_file(drawn(7, 240, 15, paper, ink), "JPEG" if paper > ink else "PNG")


def photograph(number: int, light, vignette, grain, shadow, pen, paper, ink) -> bytes:
    page = drawn(number % 10, 500, 0.6 * pen, paper, ink)
    return as_file(photographed(page, light, vignette, grain, shadow, seed=number), "JPEG", quality=80)


def on_lines(number: int, *lines) -> bytes:
    page = ruled(drawn(number, 480, 24, 250), *lines)
    page = photographed(page, 0.2, 0.2, 3, None, seed=number) if number % 2 == 0 else page
    return as_file(page, "JPEG", quality=80)


def inside(number: int, around, paper, ink, margins, angle) -> bytes:
    picture = lying(drawn(number % 10, 400, 20, paper, ink), around, margins, angle)
    picture = photographed(picture, 0.15, 0.1, 3, None, seed=number) if number % 2 else picture
    return as_file(picture, "JPEG", quality=80)


def transparent(number: int, ink, opacity: int) -> bytes:
    picture = Image.new("RGBA", (160, 160), (*(ink if isinstance(ink, tuple) else (ink,) * 3), 0))
    picture.putalpha(drawn(number % 10, 160, 12, 0, opacity))
    return as_file(picture)


def coloured(_: int, paper, ink) -> bytes:
    mask = np.asarray(drawn(4, 300, 18, 0, 255))[..., None] / 255
    return as_file(Image.fromarray(np.uint8(np.multiply(mask, ink) + np.multiply(1 - mask, paper))))


FC, RESNET, BOTH = ("fc",), ("resnet18",), ("fc", "resnet18")
FILES = [  # what makes the file, which digit, its other arguments, who reads it
    *((scan, case % 10, row, BOTH) for case, row in enumerate(SCANS)),
    *((scan, number, (600, 40 * box[2], 255, 0, box), FC) for box in BOXES for number in (2, 7)),
    *((scan, number, (28, 2.5, *row), FC) for row in TINY for number in (0, 3, 7)),
    *((on_paper, 7, row, FC) for row in PAPERS),
    *((photograph, case, row, BOTH) for case, row in enumerate(PHOTOS)),
    *((on_lines, (case + 3) % 10, row, RESNET) for case, row in enumerate(RULED)),
    *((inside, case, row, RESNET) for case, row in enumerate(SHEETS)),
    *((transparent, case, (ink, opacity), FC) for opacity in (255, 120) for case, ink in enumerate(INKS)),
    *((coloured, 4, row, FC) for row in COLOURS),
]


@pytest.mark.parametrize(("make", "number", "row", "by"), FILES)
def test_a_file_becomes_a_digit_of_mnist_that_networks_read(fits, make, number, row, by):
    fits(handwriting.from_file(make(number, *row), "x"), number % 10, by=by)


BESIDE = {  # lines beside a digit: their points in parts of the picture, their width in thousandths, their grey
    "an edge above": ([(0, 0.006), (1, 0.004)], 5, 90),
    "an edge on the left": ([(0.008, 0), (0.003, 1)], 5, 90),
    "a black edge below": ([(0, 0.988), (1, 0.996)], 10, 0),
    "two edges": ([(0.004, 1), (0.004, 0.004), (1, 0.004)], 5, 40),
    "a hair": ([(0.05, 0.04), (0.065, 0.1)], 4, 0),
    "a long hair": ([(0.05, 0.04), (0.19, 0.1)], 3, 0),
}
APART = {  # digits of which no two strokes touch
    5: [[(0.36, 0.17), (0.72, 0.15)], [(0.33, 0.24), (0.33, 0.47), *arc(0.48, 0.64, 0.2, 0.19, -110, 143)]],
    4: [[(0.36, 0.15), (0.26, 0.55), (0.56, 0.55)], [(0.65, 0.15), (0.63, 0.85)]],
    1: [[(0.52, 0.12), (0.5, 0.4)], [(0.49, 0.5), (0.47, 0.88)]],
}


def cropped(page: Image.Image) -> Image.Image:
    return page.crop(ImageOps.invert(page).getbbox())


def like_another():
    """By name: a picture, another one that gives the same digit up to a mean difference, and the digit's number."""
    for name, (points, width, ink) in BESIDE.items():
        page = drawn(1 if "hair" in name else 4, 400, 7, box=(0.3, 0.3, 0.4))
        places = [(400 * x, 400 * y) for x, y in points]
        ImageDraw.Draw(beside := page.copy()).line(places, fill=ink, width=round(0.4 * width))
        yield name, beside, page, 1, None
    for size, pen, radius, specks in ((300, 20, 3, 1), (300, 20, 8, 3), (400, 5, 6, 3), (400, 24, 6, 20)):
        page = drawn(number := (1, 5, 8, 2)[specks % 4], size, pen)
        yield f"{specks} specks of {radius}", dusty(page, radius, specks, seed=number), page, 0.1, number
    for number, strokes in APART.items():
        whole = drawn(strokes, 600, 8)
        yield f"apart {number}", whole, handwriting.as_digit(1 - np.asarray(whole) / 255), 4, None
        tight = drawn(strokes, 600, 24)
        yield f"tight {number}", cropped(tight), handwriting.as_digit(1 - np.asarray(tight) / 255), 4, None
    for number, pen in ((4, 20), (7, 6)):  # a bar of a digit is no line
        page = drawn(number, 400, pen)
        yield f"cropped {number}", cropped(page), page, 4, None


@pytest.mark.parametrize(("name", "page", "other", "apart", "number"), [*like_another()])
def test_what_is_beside_or_between_the_strokes_changes_nothing(fits, name, page, other, apart, number):
    digit, expected = taken(page), other if isinstance(other, np.ndarray) else taken(other)
    fits(digit, number, thick="edge" not in name and "hair" not in name)
    assert np.abs(digit.astype(int) - expected).mean() < apart


UPRIGHT = [*(("JPEG", n) for n in range(1, 9)), ("PNG", 6), ("WEBP", 5), ("TIFF", 8)]


@pytest.mark.parametrize(("kind", "orientation"), UPRIGHT)
def test_a_photograph_is_read_upright(fits, kind, orientation):
    """However a camera that notes its orientation in EXIF has turned the picture."""
    page, exif = drawn(4, 200, 14), Image.Exif()
    exif[274] = orientation
    turned = [as_file(way, kind, exif=exif) for way in (page, *(page.transpose(way) for way in Image.Transpose))]
    upright = [np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(way))).convert("L"), int) for way in turned]
    ((content, _),) = [pair for pair in zip(turned, upright, strict=True) if np.abs(pair[1] - page).mean() < 9]
    fits(handwriting.from_file(content, "x"), 4)


def test_digits_of_mnist_itself_stay_as_they_are():
    images = data.load().test_images[:1_000]
    assert all(handwriting.like_mnist(image) for image in images)
    for image in images[:20]:
        for upload in (image, 255 - image):
            np.testing.assert_array_equal(taken(Image.fromarray(upload)), image)
    assert not handwriting.like_mnist(np.roll(images[0], 3, axis=0)) and not handwriting.like_mnist(images[0] // 2)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_pictures_of_any_depth(fits, mode):
    page = drawn(7, 120, 10)
    if mode in ("I;16", "I", "F"):
        values = np.asarray(page).astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        picture, kind = Image.fromarray(values * (1 if mode == "F" else 200)), "TIFF"
    else:
        picture, kind = page.convert(mode), "TIFF" if mode == "CMYK" else "PNG"
    fits(taken(picture, kind), 7)


STROKES = {
    "three edges": [[(2, 278), (2, 2), (278, 2), (278, 278)]],
    "a frame": [[(2, 2), (278, 2), (278, 278), (2, 278), (2, 2)]],
    "one edge": [[(0, 0), (280, 0)]],
    "a corner": [[(278, 278), (240, 278), (250, 200)]],
    "small": [[(100, 100), (150, 100), (120, 165)]],
    "beyond the canvas": [[(-100, -100), (400, -50), (50, 500)]],
    "a line and a dot": [[(140, 40), (140, 240)], [(275, 275)]],
    "heavy at one end": [[(30, 30), (60, 60), (30, 60), (60, 30)], [(60, 60), (270, 62)]],
}


@pytest.mark.parametrize("name", STROKES)
@pytest.mark.parametrize("pen", [2, PEN, 60])
def test_strokes_anywhere_on_the_canvas(fits, name, pen):
    fits(digit := handwriting.from_strokes(STROKES[name], CANVAS, pen), thick=False)
    half = [[(x / 2, y / 2) for x, y in stroke] for stroke in STROKES[name]]  # in another unit
    np.testing.assert_array_equal(handwriting.from_strokes(half, CANVAS / 2, pen / 2), digit)


@pytest.mark.parametrize("number", DIGITS)
def test_every_digit_drawn_on_the_canvas(fits, number):
    for pen, scale, move in ((2, 1.0, 0), (6, 0.3, 5), (PEN, 1.25, -30), (50, 1.0, 0), (16, 0.2, 0), (16, 0.4, 0)):
        size = CANVAS * scale
        strokes = [[(move + size * x, move + size * y) for x, y in stroke] for stroke in DIGITS[number]]
        fits(handwriting.from_strokes(strokes, CANVAS, pen), number)


STROKE = st.lists(st.tuples(st.floats(0, CANVAS), st.floats(0, CANVAS)), min_size=1, max_size=5)


@given(st.lists(STROKE, min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_whatever_is_drawn_is_as_mnist_has_it_or_refused(strokes):
    try:
        digit = handwriting.from_strokes(strokes, CANVAS, PEN)
    except ValueError as error:
        assert "there is no digit on it, only " in str(error)
    else:
        assert digit.max() == 255 and handwriting.LEAST_INK <= digit.sum(dtype=int) <= handwriting.MOST_INK


def blank_pages():
    """Pages without a digit, by name."""
    random = np.random.default_rng(1)
    for grey in (0, 130, 255):
        yield f"all {grey}", Image.new("L", (40, 40), grey)
        yield f"28 pixels of {grey}", Image.new("L", (28, 28), grey)
    ramp = np.tile(np.linspace(60, 250, 400), (300, 1)).astype(np.uint8)
    yield "ramp", Image.fromarray(ramp)
    yield "upright ramp", Image.fromarray(ramp.T.copy())
    yield "ramp from black", Image.fromarray(np.tile(np.linspace(0, 240, 400), (400, 1)).astype(np.uint8))
    for deviation, side in ((3, 500), (20, 60), (90, 28), (90, 300)):
        noise = 150 + random.normal(0, deviation, (side, side))
        yield f"noise {deviation}, {side}", Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        even = random.integers(0, 256, (side, side)).astype(np.uint8)
        yield f"even noise of {deviation}, {side}", Image.fromarray(even)
    paper = Image.new("L", (500, 400), 230)
    for lit in ((0.7, 0, 4, None), (0.1, 0.9, 5, None), (0.2, 0.8, 10, None), (0.3, 0.3, 5, 0.5), (0, 0, 0, 0.9)):
        yield f"page lit by {lit}", photographed(paper, *lit)
    yield "dust", dusty(paper, 4, 12)
    for slope in (0, 0.0125):
        for line, spacing, squared in ((90, 40, False), (150, 40, True), (170, 80, False), (120, 100, True)):
            page = ruled(paper, line, spacing, 2, squared, slope)
            page = photographed(page, 0.3, 0.2, 4, None) if (slope > 0) == squared else page
            yield f"{'squared' if squared else 'ruled'} in {line} by {spacing}, {slope}", page
        yield f"a fold, {slope}", ruled(paper, 180, 220, 4, slope=slope)
        yield f"two folds, {slope}", ruled(paper, 180, 220, 4, squared=True, slope=slope)
    for inset, around in ((0, 0), (5, 120), (20, 0)):
        yield f"a frame of {around}, {inset} inside", ImageOps.expand(ImageOps.expand(paper, 6, around), inset, 230)
    for around in (20, 60, 170):
        yield f"an empty sheet on a desk of {around}", photographed(lying(paper, around, (90, 60)), 0.2, 0.1, 4, None)
    for size in ((1, 1), (1, 900), (900, 1), (3, 900)):
        yield f"{size} pixels", Image.new("L", size, 0)
    for radius in (20, 60, 150):
        page = Image.new("L", (500, 400), 255)
        ImageDraw.Draw(page).ellipse((200 - radius, 200 - radius, 200 + radius, 200 + radius), fill=0)
        yield f"a dot of {radius}", page


@pytest.mark.parametrize(("name", "page"), [*blank_pages()])
def test_a_page_without_a_digit_is_reported(name, page):
    said = "^x: there is no digit on it" + (", only a blot$" if "dot" in name else "$")
    with warnings.catch_warnings(action="error"), pytest.raises(ValueError, match=said):
        taken(page)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.png is not an image; choose a picture"),
        (b"hello, this is text", "x.png is not an image"),
        (as_file(Image.effect_noise((60, 60), 90))[:900], "x.png is a damaged image"),
        (as_file(Image.new("L", (11_000, 10))), "x.png is too large, 11,000 x 10; at most 10,000 a side"),
    ],
)
def test_what_is_no_picture_is_reported_in_one_line(content, message):
    with pytest.raises(ValueError, match=rf"^{message}[^\n]*$"):
        handwriting.from_file(content, "x.png")


@pytest.mark.parametrize(
    ("strokes", "message"),
    [
        ([], "there is no digit on it$"),
        ([[(340.0, 340.0)]], "there is no digit on it$"),
        ([[(x, y) for x in range(0, 280, 8) for y in ((0, 280) if x % 16 else (280, 0))]], "only a blot$"),
        ([[(20, 20)], [(260, 250)]], "only specks$"),
        ([[]], "there is no digit on it$"),
        ([[(140, 140)]], "only a blot$"),
        ([[(140, 140), (141, 140)]], "only a blot$"),
    ],
)
def test_what_is_no_drawing_of_a_digit_is_reported(strokes, message):
    with pytest.raises(ValueError, match=message):
        handwriting.from_strokes(strokes, CANVAS, 8)
