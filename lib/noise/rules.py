"""What an attack on one pixel is (section 3.2): which pixels are eligible, and what an attacked one becomes."""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

OUTSIDE = 256  # the "brightness" of what lies beyond the image: never eligible, nobody's neighbour


def darken(b: int, c: float) -> float:
    """Equation (3), before the truncation: what a pixel of brightness b (0..255) becomes."""
    return (255 - b) / c


def lighten(b: int, c: float) -> float:
    """Equation (4), before the truncation: what a pixel of brightness b (0..255) becomes."""
    return 255 - b / c


def invert(b: int, c: float) -> float:
    """Equation (3) for b > 127, else equation (4)."""
    return darken(b, c) if b > 127 else lighten(b, c)


def always(b: int) -> bool:
    """Every pixel is eligible."""
    return True


@dataclass(frozen=True)
class Noise:
    """One pixel noise, declared by plain functions of brightness 0..255.

    Args:
        name: with underscores; part of the random stream and of file names.
        short: the abbreviation in tables.
        alter: (b, c) -> the altered brightness, truncated to an int and clamped to 0..255 afterwards.
        c: the default of c.
        eligible: b -> whether a pixel of this brightness may be attacked.
        beside: (b, n) -> whether a neighbour of brightness n makes it so; at least one of the up to 8 neighbours in
            the image must. None: the neighbours do not matter.
    """

    name: str
    short: str
    alter: Callable[[int, float], float]
    c: float
    eligible: Callable[[int], bool] = always
    beside: Callable[[int, int], bool] | None = None


def is_whole(value: object, most: int) -> bool:
    """Whether it is an integer from 0 to `most`; neither True nor 1.0 is one."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 <= int(value) <= most


@lru_cache(typed=True)
def white_to_black(above: int = 0) -> Noise:
    """White to Black with white meaning b > `above`: 0, and 100 at first, as the paper tells (section 3.2).

    Raises:
        ValueError: unless `above` is an integer from 0 to 254.
    """
    if not is_whole(above, 254):
        raise ValueError(f"above must be an integer from 0 to 254, not {above!r}")
    return Noise("white_to_black", "WtB", alter=darken, c=2, eligible=lambda b: b > above)


NOISES = {
    noise.name: noise
    for noise in (
        Noise("random_pixel_invert", "RPI", alter=invert, c=1.25),
        white_to_black(),
        Noise("black_to_white", "BtW", alter=lighten, c=2, eligible=lambda b: b < 100),
        Noise("edge_to_altered", "EtA", alter=invert, c=1.25, beside=lambda b, n: (b > 127) != (n > 127)),
    )
}


def find(noise: str | Noise) -> Noise:
    """The noise of this name, or the noise itself.

    Raises:
        ValueError: if there is none; it lists the names.
    """
    if isinstance(noise, Noise):
        return noise
    if not isinstance(noise, str) or noise not in NOISES:
        raise ValueError(f"unknown noise {noise!r}; choose from {', '.join(NOISES)}")
    return NOISES[noise]


def default_c(noise: str | Noise, c: float | None = None) -> float:
    """`c` as a float, or the noise's own where it is None.

    Raises:
        ValueError: unless c is a finite number above 0.
    """
    value = find(noise).c if c is None else c
    try:
        number = float(value) if _is_real(value) else math.nan
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    if not 0 < number < math.inf:
        raise ValueError(f"c must be a finite number above 0, not {value!r}")
    return number


def altered_table(noise: str | Noise, c: float | None = None) -> np.ndarray:
    """What one attack makes of each brightness 0..255: (256,) uint16, truncated and clamped (equations (3) and (4)).

    Raises:
        ValueError: if the noise makes something of a brightness that is no number, or if c is none above 0.
    """
    noise, c = find(noise), default_c(noise, c)
    altered = [noise.alter(b, c) for b in range(256)]
    for b, value in enumerate(altered):
        if not _is_real(value) or math.isnan(value):
            raise ValueError(f"{noise.name} with c = {c:g} makes {value!r} of brightness {b}, which is no number")
    return np.array([int(min(max(value, 0), 255)) for value in altered], np.uint16)


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
