"""The rule of one attack (section 3.2): which pixels are eligible, and how bright an attacked pixel becomes."""

import math
import numbers
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import gt, lt
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from lib.store.files import in_short

OUTCOMES = 256  # of an attack by a random rule, equally likely


def darken(b: int, c: float) -> float:
    """Equation (3) before truncation: the brightness after an attack on a pixel of brightness b (0..255)."""
    return (255 - b) / c


def lighten(b: int, c: float) -> float:
    """Equation (4) before truncation: the brightness after an attack on a pixel of brightness b (0..255)."""
    return 255 - b / c


def invert(b: int, c: float) -> float:
    """Equation (3) for b > 127, else equation (4)."""
    return darken(b, c) if b > 127 else lighten(b, c)


def salt_or_pepper(b: int, c: float, u: float) -> int:
    """White or black at random, white c times as often as black (impulse noise)."""
    return 255 if u < c / (1 + c) else 0


def add_gaussian(b: int, c: float, u: float) -> int:
    """The brightness b plus a normally distributed number of standard deviation 255 / c, rounded."""
    return round(b + 255 / c * _normal_quantile(u))


_normal_quantile = lru_cache(NormalDist().inv_cdf)


def across_the_middle(b: int, n: int) -> bool:
    """Whether one of two brightnesses is above 127 and the other is not."""
    return (b > 127) != (n > 127)


@dataclass(frozen=True, eq=False)
class Noise:
    """One pixel noise, declared by plain functions of brightness 0..255.

    The functions are tabulated at the first use of each c and must be deterministic; a random noise sets `random`.
    Raises ValueError if the name is not allowed.

    Args:
        name: a lower-case letter, then at most 63 lower-case letters, digits and underscores, but not "none"; part of
            the random stream and of file names.
        short: the abbreviation in tables.
        alter: (b, c) -> the altered brightness, truncated to an int and clamped to 0..255 afterwards.
        c: the default of c.
        eligible: b -> whether a pixel of this brightness may be attacked.
        beside: (b, n) -> whether a neighbour of brightness n makes it eligible; at least one of the up to 8 neighbours
            must. None: the neighbours do not matter.
        random: whether `alter` is (b, c, u), with u one of the `OUTCOMES` equally likely values 1/512, 3/512, ...,
            511/512, drawn for each attack.
    """

    name: str
    short: str
    alter: Callable[..., float]
    c: float
    eligible: Callable[[int], bool] = lambda b: True
    beside: Callable[[int, int], bool] | None = None
    random: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch("[a-z][a-z0-9_]{,63}", self.name) or self.name == "none":
            must = "a lower-case letter, then at most 63 lower-case letters, digits and underscores, and not 'none'"
            raise ValueError(f"the name of a noise must be {must}; not {self.name!r}")


class Tables(NamedTuple):
    """A noise at one c, tabulated over brightness: all that an attack needs, and picklable whatever the functions."""

    name: str
    altered: np.ndarray  # (outcomes, 256) uint8, the brightness after an attack; one outcome, or `OUTCOMES`
    eligible: np.ndarray  # (256,) bool
    kind: np.ndarray  # (256,) uint8 or uint16, from 1: one for brightnesses that are alike as neighbours; 0 is outside
    near: np.ndarray  # (kinds, kinds) bool: the first is eligible beside the second; (1, 1) if neighbours do not matter


def is_whole(value: object, most: int) -> bool:
    """Whether the value is an integer from 0 to `most`; True and 1.0 are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 <= int(value) <= most


@lru_cache(typed=True)
def white_to_black(above: int = 0) -> Noise:
    """White to Black with white meaning b > `above`, 0 to 254: 0, or 100 as the paper tried before (section 3.2)."""
    if not is_whole(above, 254):
        raise ValueError(f"above must be an integer from 0 to 254, not {above!r}")
    return Noise("white_to_black", "WtB", alter=darken, c=2, eligible=partial(lt, int(above)))


NOISES = {
    noise.name: noise
    for noise in (
        Noise("random_pixel_invert", "RPI", alter=invert, c=1.25),
        white_to_black(),
        Noise("black_to_white", "BtW", alter=lighten, c=2, eligible=partial(gt, 100)),
        Noise("edge_to_altered", "EtA", alter=invert, c=1.25, beside=across_the_middle),
        # Not the paper's: what else is done to k pixels.
        Noise("salt_and_pepper", "SaP", alter=salt_or_pepper, c=1, random=True),
        Noise("gaussian_noise", "GN", alter=add_gaussian, c=5, random=True),
    )
}


def find(noise: str | Noise) -> Noise:
    """The noise of this name, or the noise itself; ValueError, with all names, if there is no noise of this name."""
    if isinstance(noise, Noise):
        return noise
    if not isinstance(noise, str) or noise not in NOISES:
        raise ValueError(f"unknown noise {noise!r}; choose from {', '.join(NOISES)}")
    return NOISES[noise]


def default_c(noise: str | Noise, c: float | None = None) -> float:
    """`c` as a float, or the noise's default if it is None; ValueError unless it is a finite number above 0."""
    value = find(noise).c if c is None else c
    try:
        number = float(value) if _is_real(value) else math.nan
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    if not 0 < number < math.inf:
        raise ValueError(f"c must be a finite number above 0, not {value!r}")
    return number


def altered_table(noise: str | Noise, c: float | None = None) -> np.ndarray:
    """Each brightness after one attack (equations (3) and (4)): (256,) uint8, of a random noise (OUTCOMES, 256)."""
    table = tabulated(find(noise), default_c(noise, c)).altered.copy()
    return table if len(table) > 1 else table[0]


@lru_cache
def tabulated(noise: Noise, c: float) -> Tables:
    """The noise at this c; ValueError if a rule is not deterministic, or if an altered brightness is not a number."""
    draws = [((number + 0.5) / OUTCOMES,) for number in range(OUTCOMES)] if noise.random else [()]
    altered = _values(noise, "alter", [(b, c, *u) for u in draws for b in range(256)])
    for number, value in enumerate(altered):
        if not _is_real(value) or math.isnan(value):
            made = f"{noise.name} with c = {c:g} makes {value!r} of brightness {number % 256}"
            raise ValueError(f"{made}, which is not a number")
    table = np.array([int(min(max(value, 0), 255)) for value in altered], np.uint8).reshape(-1, 256)
    eligible = np.array(_values(noise, "eligible", [(b,) for b in range(256)]), bool)
    if noise.beside is None:
        return Tables(noise.name, table, eligible, np.zeros(256, np.uint8), np.zeros((1, 1), bool))
    pairs = np.array(_values(noise, "beside", [(b, n) for b in range(256) for n in range(256)]), bool).reshape(256, 256)
    both = np.concatenate([pairs, pairs.T], axis=1)  # what each brightness is to every other, and they to it
    _, first, kind = np.unique(both, axis=0, return_index=True, return_inverse=True)
    near = np.pad(pairs[np.ix_(first, first)], (1, 0))
    kind = (kind.ravel() + 1).astype(np.uint8 if len(near) <= 256 else np.uint16)
    return Tables(noise.name, table, eligible, kind, near)


def _values(noise: Noise, rule: str, arguments: list[tuple]) -> list[Any]:
    """The values of a rule; ValueError if it cannot be called, or they differ when it is called again, in reverse."""

    def value(given: tuple) -> Any:
        try:
            found = getattr(noise, rule)(*given)
        except Exception as error:  # of anyone's code
            raise ValueError(f"{noise.name}: {rule}{given} raises {in_short(error)}") from None
        if rule != "alter" and not isinstance(found, numbers.Integral | np.bool):  # None where `return` was forgotten
            raise ValueError(f"{noise.name}: {rule}{given} is {found!r}, which is neither True nor False")
        return found

    values = [value(given) for given in arguments]
    again = [value(given) for given in reversed(arguments)][::-1]
    for given, value, other in zip(arguments, values, again, strict=True):
        if value != other and (value == value or other == other):  # two NaN are alike
            raise ValueError(
                f"{noise.name}: {rule}{given} is {value!r} and then {other!r}, but a rule must be deterministic; "
                "for a random one set random=True and let alter be a function of (b, c, u)"
            )
    return values


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
