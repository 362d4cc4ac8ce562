"""Statements about numbers, and one rule by which several trainings of every network decide them.

A statement says between which bounds a number lies. The number is a contrast of means over trainings
(`contrasts.estimate`), and the intervals of all numbers of one claim hold together with 95 % (Bonferroni). A statement
is *supported* if the interval lies within the bounds, *contradicted* if it lies outside, and else *undecided*. A
network with one training has no interval and decides nothing. A claim is contradicted if one of its statements is,
supported if all of them are, and else undecided.

`tests/test_statements.py` simulates how often the rule is wrong.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from lib.networks import title
from lib.noise import NOISES
from lib.statistics.contrasts import UNDECIDED, Share, estimate
from lib.statistics.curves import Trainings, area

SUPPORTED, CONTRADICTED = "supported", "contradicted"
ERROR = 0.05  # the probability that any interval of a claim is wrong


class Number(Protocol):
    """What a statement is about: a `contrasts.Estimate` or `Share`."""

    @property
    def value(self) -> float: ...

    @property
    def each(self) -> np.ndarray:
        """The number with each training of the network it is about in place of the mean: (trainings,)."""
        ...

    @property
    def trainings(self) -> Mapping[str, int]:
        """Model -> how many trainings it rests on; empty if it is about no network."""
        ...

    def ends(self, tail: float) -> tuple[float, float]:
        """The ends of its interval, each wrong with this probability; nan if they are not known."""
        ...

    def chances(self, bound: float) -> tuple[float, float]:
        """p-values of "it is not above" and "it is not below" the bound; nan if they are not known."""
        ...


class Bounds(NamedTuple):
    """What is said of a number, and the bounds between which it must lie."""

    id: str  # such as wtb-resnet50-over-resnet34: one for what is said, whichever claims say it
    says: str
    numbers: tuple[Number, ...]  # of which it is the least, or by `place` the second least ...
    least: float
    most: float
    place: int = 0

    @property
    def value(self) -> float:
        return sorted(number.value for number in self.numbers)[self.place]


def on(noise: str) -> str:
    """A noise as statements name it, `WtB`."""
    return NOISES[noise].short


def over(one: str, *others: str) -> str:
    """`VGG-19 over the best of FC, ResNet-50`."""
    return f"{title(one)} over {'the best of ' * (len(others) > 1)}{', '.join(map(title, others))}"


def above(trainings: Trainings, noise: str, one: str, *others: str) -> Bounds:
    """That one network has a larger area under its curve than each of the others."""
    gains = tuple(estimate(trainings, area(noise), {one: 1, other: -1}) for other in others)
    short = on(noise)
    return Bounds(
        f"{short.lower()}-{one}-over-{'-'.join(others)}", f"{short}: {over(one, *others)}", gains, 0, math.inf
    )


@dataclass(frozen=True)
class Statement:
    """One row of a claim: what is said, and what the evidence says of it."""

    bounds: Bounds
    value: float
    low: float  # of the interval, which holds together with all others of the claim; infinite if not known
    high: float
    verdict: str
    error: float  # the least probability of error, over the claim, at which it would be decided; 1 if never
    paper: float = math.nan  # the number by the paper's own tables

    @property
    def trainings(self) -> dict[str, int]:
        """How many of each network it rests on."""
        found: dict[str, int] = {}
        for number in self.bounds.numbers:
            found |= dict(number.trainings)
        return found

    @property
    def so_in(self) -> tuple[int, int]:
        """For how many trainings of its (first) network the number lies within the bounds, and how many there are."""
        each = np.array([number.each for number in self.bounds.numbers])  # (numbers, trainings)
        if isinstance(self.bounds.numbers[0], Share):
            return int(each.sum()), each.size
        found = np.sort(each, axis=0)[self.bounds.place]
        return int(((found >= self.bounds.least) & (found <= self.bounds.most)).sum()), len(found)


def judge(bounds: Bounds, family: int, paper: float = math.nan) -> Statement:
    """A statement of a claim that asks `family` numbers in all.

    Raises:
        ValueError: if its number is not measured.
    """
    if math.isnan(bounds.value):
        raise ValueError(f"not measured: {bounds.says}")
    tail, place, count = ERROR / 2 / family, bounds.place, len(bounds.numbers)
    ends = np.array([number.ends(tail) for number in bounds.numbers])  # (numbers, 2)
    low, high = np.sort(np.where(np.isnan(ends), [-math.inf, math.inf], ends), axis=0)[place]
    holding, failing = [], []
    for bound, inside, outside in ((bounds.least, 0, 1), (bounds.most, 1, 0)):
        if math.isfinite(bound):
            chances = np.sort([number.chances(bound) for number in bounds.numbers], axis=0)  # nan, not known, the last
            # the one at `place` is above a bound if so are all from it on, below if so are all up to it
            ranked = (chances[count - 1 - place, 0], chances[place, 1])
            holding.append(ranked[inside])
            failing.append(ranked[outside])
    holds, fails = np.max(holding), np.fmin.reduce(failing)
    verdict = SUPPORTED if holds <= tail else CONTRADICTED if fails <= tail else UNDECIDED
    error = {SUPPORTED: holds, CONTRADICTED: fails, UNDECIDED: np.fmin(holds, fails)}[verdict]
    error = 1.0 if math.isnan(error) else min(1.0, 2 * family * float(error))
    return Statement(bounds, bounds.value, float(low), float(high), verdict, error, paper)


def judge_all(bounds: Iterable[Bounds], printed: Iterable[Bounds] | None = None) -> list[Statement]:
    """The statements of one claim, with the same by the paper's own numbers beside them."""
    bounds = list(bounds)
    beside = len(bounds) * [math.nan] if printed is None else [each.value for each in printed]
    family = sum(len(each.numbers) for each in bounds)
    return [judge(own, family, paper) for own, paper in zip(bounds, beside, strict=True)]


def verdict(found: list[Statement]) -> str:
    """Of a claim, by the rule at the top of this module."""
    verdicts = {statement.verdict for statement in found}
    return CONTRADICTED if CONTRADICTED in verdicts else SUPPORTED if verdicts == {SUPPORTED} else UNDECIDED


def sureness(found: list[Statement]) -> float:
    """How sure the verdict on a claim is, from 0 to 1; nan if it is undecided.

    One minus the least probability of error at which its intervals would still decide it: of a claim that is
    contradicted by the statement that fails most surely, of one that is supported by that which holds least surely.
    """
    errors = {word: [own.error for own in found if own.verdict == word] for word in (CONTRADICTED, SUPPORTED)}
    decided = {
        CONTRADICTED: min(errors[CONTRADICTED], default=math.nan),
        SUPPORTED: max(errors[SUPPORTED], default=math.nan),
    }
    return 1 - decided.get(verdict(found), math.nan)
