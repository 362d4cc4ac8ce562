"""Statements about numbers, and one rule by which several trainings of every network decide them.

A statement says between which bounds a number lies. The number is made of means over the trainings of networks; its
interval is Student's, from the variance between trainings (`trainings.weighted`), and the intervals of all that one
claim compares hold together with 95 % (Bonferroni). A statement *holds* if the interval lies within the bounds, *fails*
if it lies outside, and is *undecided* otherwise. Of a network with one training no interval is known: it decides
nothing. A claim is contradicted if one of its statements fails, supported if all of them hold, and else undecided.

`tests/test_statements.py` simulates the rule: where eight equal networks are compared in all pairs, some two are told
apart in 2 % of the cases; in 3 to 5 % where one of them spreads 2 or 3 times as far as the rest. The limit is a network
that spreads so far and has fewer trainings than the rest: 6 to 9 %, for 2 trainings beside 3 to 5.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from scipy.stats import binom, t
from statsmodels.stats.proportion import proportion_confint

from lib.analysis.trainings import Trainings, weighted
from lib.evaluation.statistics import area_under_curve
from lib.networks import title
from lib.noise import NOISES
from lib.paper import PAPER_NOISES

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
ERROR = 0.05  # probability that any interval of a claim is wrong

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]  # accuracy (..., noises, levels), attacks (levels,) -> (...)


class Number(Protocol):
    """What a statement is about."""

    @property
    def value(self) -> float: ...

    @property
    def each(self) -> np.ndarray:
        """What it is for each training of the network that it is about: (trainings,)."""
        ...

    @property
    def trainings(self) -> dict[str, int]:
        """How many of each network it rests on; empty if it is about no network."""
        ...

    def ends(self, tail: float) -> tuple[float, float]:
        """Of its interval, each of them wrong with this probability; nan where that is not known."""
        ...

    def chances(self, bound: float) -> tuple[float, float]:
        """p-values of "it is not above" and "it is not below" the bound; nan where they are not known."""
        ...


@dataclass(frozen=True)
class Mean:
    """A mean, or a sum of weighted means, with its standard error."""

    value: float
    error: float
    freedom: int  # degrees of freedom of the error; 0: it is not known
    each: np.ndarray = field(default_factory=lambda: np.empty(0))
    trainings: dict[str, int] = field(default_factory=dict)

    def ends(self, tail: float) -> tuple[float, float]:
        half = t.isf(tail, self.freedom) * self.error if self.freedom else math.nan
        return self.value - half, self.value + half

    def chances(self, bound: float) -> tuple[float, float]:
        if not self.freedom:
            return math.nan, math.nan
        apart = self.value - bound
        far = apart / self.error if self.error else math.copysign(math.inf, apart) if apart else 0.0
        return float(t.sf(far, self.freedom)), float(t.cdf(far, self.freedom))


@dataclass(frozen=True)
class Share:
    """The share of trainings of which something is true (`each`, bool), with the exact binomial interval."""

    each: np.ndarray
    trainings: dict[str, int]

    @property
    def value(self) -> float:
        return float(self.each.mean())

    def ends(self, tail: float) -> tuple[float, float]:
        return proportion_confint(self.each.sum(), len(self.each), 2 * tail, method="beta")

    def chances(self, bound: float) -> tuple[float, float]:
        right, n = self.each.sum(), len(self.each)
        return float(binom.sf(right - 1, n, bound)), float(binom.cdf(right, n, bound))


def mean_of(values: np.ndarray, trainings: dict[str, int] | None = None) -> Mean:
    """The mean of independent values (n,), with the error that follows from these alone."""
    n = len(values)
    error = values.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return Mean(float(values.mean()), float(error), n - 1, values, trainings or {})


def need(trainings: Trainings, models: Iterable[str]) -> None:
    """Raises ValueError if a network is not among the trainings; it names those there are."""
    absent = [model for model in models if model not in trainings.models]
    if absent:
        raise ValueError(f"this needs {', '.join(absent)}; there are {', '.join(trainings.models)}")


def combined(trainings: Trainings, score: Score, weights: Mapping[str, float]) -> Mean:
    """The weighted sum of networks' mean scores; `each` has each training of the first network for its mean.

    The variance between trainings is pooled over all the networks there are, whether or not the sum has them. The error
    is not known if one of the sum's networks has one training (`trainings.weighted`).

    Raises:
        ValueError: if a network is not among them.
    """
    need(trainings, weights)
    scores = {model: score(trainings.accuracy[model], trainings.attacks) for model in trainings.models}
    value, error, freedom = weighted(scores, weights)
    first = next(iter(weights))
    each = value + weights[first] * (scores[first] - scores[first].mean())
    return Mean(float(value), float(error), freedom, each, {model: len(scores[model]) for model in weights})


def area(*noises: str) -> Score:
    """The area under the curve, the mean of these noises."""
    places = [PAPER_NOISES.index(noise) for noise in noises]
    return lambda accuracy, attacks: area_under_curve(accuracy[..., places, :], attacks).mean(axis=-1)


def at(level: int, *noises: str) -> Score:
    """The accuracy at so many attacks, the mean of these noises; nan where they were not measured."""
    places = [PAPER_NOISES.index(noise) for noise in noises]

    def score(accuracy: np.ndarray, attacks: np.ndarray) -> np.ndarray:
        found = accuracy[..., places, :][..., attacks == level].mean(axis=-2)  # (..., 1), or 0 of them
        return found[..., 0] if found.shape[-1] else np.full(found.shape[:-1], np.nan)

    return score


def less(one: Score, other: Score) -> Score:
    """The first score minus the second, of the same training."""
    return lambda accuracy, attacks: one(accuracy, attacks) - other(accuracy, attacks)


class Bounds(NamedTuple):
    """What is said of a number, and between which bounds it must lie."""

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
    gains = tuple(combined(trainings, area(noise), {one: 1, other: -1}) for other in others)
    short = on(noise)
    return Bounds(
        f"{short.lower()}-{one}-over-{'-'.join(others)}", f"{short}: {over(one, *others)}", gains, 0, math.inf
    )


@dataclass(frozen=True)
class Statement:
    """One row of a claim: what is said, and what the evidence answers."""

    bounds: Bounds
    value: float
    low: float  # of the interval, which holds together with all others of the claim; infinite: not known
    high: float
    verdict: str
    error: float  # the least probability of error, over the claim, at which it would be decided; 1: never
    paper: float = math.nan  # the number by the paper's own tables

    @property
    def trainings(self) -> dict[str, int]:
        """How many of each network it rests on."""
        found: dict[str, int] = {}
        for number in self.bounds.numbers:
            found |= number.trainings
        return found

    @property
    def so_in(self) -> tuple[int, int]:
        """In how many trainings of the network that it is about the number lies within the bounds, and of how many."""
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
    verdict = HOLDS if holds <= tail else FAILS if fails <= tail else UNDECIDED
    error = {HOLDS: holds, FAILS: fails, UNDECIDED: np.fmin(holds, fails)}[verdict]
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
    answers = {statement.verdict for statement in found}
    return "contradicted" if FAILS in answers else "supported" if answers == {HOLDS} else "undecided"


def for_want_of_trainings(found: list[Statement]) -> bool:
    """Whether a statement of a claim is undecided because a network of it has one training."""
    return any(own.verdict == UNDECIDED and math.isinf(own.low) and math.isinf(own.high) for own in found)


def sureness(found: list[Statement]) -> float:
    """How sure the verdict on a claim is, from 0 to 1; nan if it is undecided.

    One minus the least probability of error at which its intervals would still decide it: of a claim that is
    contradicted by the statement that fails most surely, of one that is supported by that which holds least surely.
    """
    errors = {answer: [own.error for own in found if own.verdict == answer] for answer in (FAILS, HOLDS)}
    decided = {"contradicted": min(errors[FAILS], default=math.nan), "supported": max(errors[HOLDS], default=math.nan)}
    return 1 - decided.get(verdict(found), math.nan)
