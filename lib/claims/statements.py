"""Statements about numbers, and one rule by which several trainings of every network decide them.

A statement says between which bounds a number lies. The number is a contrast of means over trainings
(`contrasts.estimate`), and the intervals of all numbers of one claim hold together with 95 % (Bonferroni). A statement
is *supported* if the interval lies within the bounds, *contradicted* if it lies outside, and else *undecided*. A
network with one training has no interval and decides nothing. A claim is contradicted if one of its statements is,
supported if all of them are, and else undecided.

`tests/test_statements.py` simulates how often the rule is wrong.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lib.networks import title
from lib.noise import NOISES
from lib.statistics.contrasts import UNDECIDED, Estimate, Share, estimate
from lib.statistics.curves import Trainings, area

SUPPORTED, CONTRADICTED = "supported", "contradicted"
ERROR = 0.05  # the probability that any interval of a claim is wrong
Number = Estimate | Share


class Bounds(NamedTuple):
    """What is said of a number, and the bounds between which it must lie."""

    id: str  # such as wtb-resnet50-over-resnet34: one for what is said, whichever claims say it
    says: str
    numbers: tuple[Number, ...]  # of which it is the least, or by `place` the second least ...
    least: float
    most: float
    place: int = 0
    ours: bool = False  # whether the paper names no such bound

    @property
    def value(self) -> float:
        return sorted(number.value for number in self.numbers)[self.place]

    def without(self, models: Collection[str]) -> "Bounds":
        """The same of the numbers in which none of these networks is; perhaps of no number."""
        kept = tuple(own for own in self.numbers if not {*models} & {*own.trainings})
        return self._replace(numbers=kept, place=max(min(self.place, len(kept) - 1), 0))

    def chances(self) -> tuple[np.ndarray, np.ndarray]:
        """p-values of "it is not within the bounds" and "it is not outside"; nan if they are not known."""
        holding, failing, place = [], [], self.place
        for bound, inside, outside in ((self.least, 0, 1), (self.most, 1, 0)):
            if math.isfinite(bound):
                found = np.sort([number.chances(bound) for number in self.numbers], axis=0)  # nan, not known, the last
                # the one at `place` is above a bound if so are all from it on, below if so are all up to it
                ranked = found[len(found) - 1 - place, 0], found[place, 1]
                holding.append(ranked[inside])
                failing.append(ranked[outside])
        return np.max(holding, axis=0), np.fmin.reduce(failing)


def on(noise: str) -> str:
    """A noise as statements name it, `WtB`."""
    return NOISES[noise].short


def over(one: str, *others: str) -> str:
    """`VGG-19 over FC`, or over the best of several."""
    return f"{title(one)} over {title(others[0]) if len(others) == 1 else f'the best of {len(others)}'}"


def above(trainings: Trainings, noise: str, one: str, *others: str) -> Bounds:
    """That one network has a larger area under its curve than each of the others."""
    gains = tuple(estimate(trainings, area(noise), {one: 1, other: -1}) for other in others)
    name = f"{on(noise).lower()}-{one}-over-{'-'.join(others)}"
    return Bounds(name, f"{on(noise)}: {over(one, *others)}", gains, 0, math.inf)


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
        return {model: n for number in self.bounds.numbers for model, n in number.trainings.items()}


def judge(bounds: Bounds, family: int, paper: float = math.nan) -> Statement:
    """A statement of a claim that asks `family` numbers in all; ValueError if its number is not measured."""
    if math.isnan(bounds.value):
        raise ValueError(f"not measured: {bounds.says}")
    tail = ERROR / 2 / family
    ends = np.array([number.ends(tail) for number in bounds.numbers])  # (numbers, 2)
    low, high = np.sort(np.where(np.isnan(ends), [-math.inf, math.inf], ends), axis=0)[bounds.place]
    holds, fails = bounds.chances()
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
    word = verdict(found)
    errors = [own.error for own in found if own.verdict == word]
    return math.nan if word == UNDECIDED else 1 - (min if word == CONTRADICTED else max)(errors)
