"""The pictures that a viewer redraws while a knob turns, drawn by Pillow within a few milliseconds."""

import io
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from IPython import display
from PIL import Image, ImageColor, ImageDraw, ImageFont

from lib.explorer.many_digits import Fooled
from lib.explorer.one_digit import MOST_ATTACKS, Look, Strip
from lib.report.figures import CLEAN, DARKER, FOOLED, LIGHTER

SCALE = 2  # pixels for each unit of length, so that the pictures stay sharp on dense screens
WIDTH = 400  # of every picture, in units of a web page
GREY = "#666666"
PALE = "#F9E0D2"  # where a strip's network is wrong
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


class Sheet:
    """A white sheet to draw on in units of a web page."""

    def __init__(self, height: float):
        self.image = Image.new("RGB", (WIDTH * SCALE, round(height * SCALE)), "white")
        self.pen = ImageDraw.Draw(self.image)

    def text(self, at: tuple[float, float], text: str, anchor: str = "lm", colour: str = "black", bold: bool = False):
        """`anchor` as Pillow has it: l, m, r for left, middle, right, then a, m, d for top, middle, bottom."""
        self.pen.text((at[0] * SCALE, at[1] * SCALE), text, fill=colour, font=_font(bold), anchor=anchor)

    def box(self, left: float, top: float, right: float, bottom: float, colour: str):
        if right > left:
            self.pen.rectangle([round(v * SCALE) for v in (left, top, right, bottom)], fill=colour)

    def line(self, points: list[tuple[float, float]], colour: str, width: float = 1.5):
        self.pen.line([(x * SCALE, y * SCALE) for x, y in points], fill=colour, width=round(width * SCALE))

    def paste(self, pixels: np.ndarray, left: float, top: float, side: float):
        """A square picture, (28, 28) or (28, 28, 3) uint8, its pixels as squares."""
        size = round(side * SCALE)
        picture = Image.fromarray(pixels).convert("RGB").resize((size, size), Image.Resampling.NEAREST)
        self.image.paste(picture, (round(left * SCALE), round(top * SCALE)))


@lru_cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONTS / f"DejaVuSans{'-Bold' if bold else ''}.ttf", 13 * SCALE)


def png(image: Image.Image) -> bytes:
    """The picture as the content of a PNG file; lightly compressed, for speed."""
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue()


def still(image: Image.Image) -> display.Image:
    """The picture as the output of a notebook cell, in its own size."""
    return display.Image(png(image), width=image.width // SCALE)


def counted(attacks: int) -> str:
    """A number of attacks in words."""
    return "1 attack" if attacks == 1 else f"{attacks} attacks"


def attacked_digit(look: Look) -> Image.Image:
    """The clean digit, the noisy digit, and the clean one in grey with the attacked pixels in colour."""
    side, gap = 126, 11
    sheet = Sheet(side + 48)
    before, after = int(look.before.argmax()), int(look.after.argmax())
    marked = np.repeat((look.state.image // 2)[..., None], 3, axis=2)  # dimmed, the attacked pixels in colour
    lighter = look.noisy >= look.state.image
    for where, colour in ((look.hit & lighter, LIGHTER), (look.hit & ~lighter, DARKER)):
        marked[where] = ImageColor.getrgb(colour)
    columns = [
        (look.state.image, "clean", f"read as {before}", before),
        (look.noisy, f"after {counted(look.attacked)}", f"read as {after}", after),
        (marked, "altered pixels", "", None),
    ]
    for column, (pixels, heading, verdict, predicted) in enumerate(columns):
        left = column * (side + gap)
        sheet.text((left + side / 2, 10), heading, "mm")
        sheet.paste(pixels, left, 22, side)
        sheet.text((left + side / 2, side + 36), verdict, "mm", CLEAN if predicted == look.truth else FOOLED, bold=True)
    for start, colour, word in ((left, LIGHTER, "lighter"), (left + 66, DARKER, "darker")):
        sheet.box(start, side + 30, start + 11, side + 41, colour)
        sheet.text((start + 16, side + 36), word)
    return sheet.image


def probabilities(look: Look) -> Image.Image:
    """The ten class probabilities, before and after the attacks; the true class in bold."""
    left, right, top, row = 28, WIDTH - 108, 30, 29
    sheet = Sheet(top + 10 * row + 4)
    sheet.text((left, 12), "probability of each digit:", colour=GREY)
    sheet.text((left + 172, 12), "clean", colour=CLEAN, bold=True)
    sheet.text((left + 224, 12), "noisy", colour=FOOLED, bold=True)
    for number in range(10):
        y = top + number * row
        sheet.text((left - 10, y + 13), str(number), "rm", bold=number == look.truth)
        sheet.box(left, y + 2, right, y + 24, "#F2F2F2")
        for values, offset, colour in ((look.before, 2, CLEAN), (look.after, 14, FOOLED)):
            sheet.box(left, y + offset, left + (right - left) * float(values[number]), y + offset + 10, colour)
        sheet.text((right + 52, y + 13), f"{100 * look.before[number]:.0f} %", "rm", CLEAN)
        sheet.text((WIDTH - 2, y + 13), f"{100 * look.after[number]:.0f} %", "rm", FOOLED, bold=number == look.truth)
    return sheet.image


def strip(strip: Strip, attacks: int) -> Image.Image:
    """Probability of the true class against attacks, shaded where the network is wrong; `attacks` marks the level."""
    left, right, top, bottom = 40, WIDTH - 14, 32, 122
    sheet = Sheet(bottom + 46)
    known = np.flatnonzero(strip.predicted >= 0)
    x = left + (right - left) * np.arange(MOST_ATTACKS + 1) / MOST_ATTACKS
    y = bottom - (bottom - top) * np.nan_to_num(strip.probability)
    half = (right - left) / MOST_ATTACKS / 2
    for level in known[strip.predicted[known] != strip.truth]:
        sheet.box(max(left, x[level] - half), top, min(right, x[level] + half), bottom, PALE)
    for share in (0, 50, 100):
        height = bottom - (bottom - top) * share / 100
        sheet.line([(left, height), (right, height)], "#D0D0D0", 1)
        sheet.text((left - 6, height), f"{share}", "rm", GREY)
    for level in range(0, MOST_ATTACKS + 1, 50):
        sheet.text((x[level], bottom + 19), f"{level}", "mm", GREY)
    sheet.line(list(zip(x[known], y[known], strict=True)), CLEAN, 2)
    sheet.text((left - 34, 11), f"% sure that it is a {strip.truth}", colour=CLEAN)
    sheet.text(((left + right) / 2, bottom + 35), "attacks", "mm", GREY)
    first = strip.first_fooled if strip.complete else None
    if first is not None:
        sheet.line([(x[first], top - 8), (x[first], bottom)], FOOLED, 2)
        lost = f"first fooled at {first}" if first else "wrong without noise"
        sheet.text((WIDTH - 4, 11), lost, "rm", FOOLED, bold=True)
    sheet.line([(x[attacks], top), (x[attacks], bottom + 3)], "black", 2)
    pointer = [(SCALE * (x[attacks] + dx), SCALE * (bottom + dy)) for dx, dy in ((-6, 10), (6, 10), (0, 1))]
    sheet.pen.polygon(pointer, "black")
    return sheet.image


def gallery(found: Fooled, noisy: np.ndarray) -> Image.Image:
    """Misread digits (n, 28, 28) uint8 in a grid, each with its class and the prediction."""
    columns, side, gap = 6, 57, 11.5
    rows = max(1, -(-len(noisy) // columns))
    sheet = Sheet(rows * (side + 26))
    for place, (pixels, label, predicted) in enumerate(zip(noisy, found.labels, found.predicted, strict=True)):
        left, top = place % columns * (side + gap), place // columns * (side + 26)
        sheet.paste(pixels, left, top, side)
        sheet.text((left + side / 2, top + side + 11), f"{label} → {predicted}", "mm", FOOLED)
    return sheet.image
