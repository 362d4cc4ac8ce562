"""Statements about numbers, and one rule by which the evidence decides them.

A statement says between which bounds a number lies. It *holds* if the number's 95 % interval lies within them; it
*fails* if the interval lies outside, where the 95 % are for all the statements of the claim together (Bonferroni), so
that a claim of twenty statements is not contradicted by chance; else it is *undecided*. A claim is contradicted if one
of its statements fails, supported if all of them hold, and undecided otherwise. Intervals are over test images and
noise draws of one training of each network.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from lib.evaluation.statistics import area_under_curve, limits
from lib.networks import title
from lib.noise import NOISES
from lib.paper import PAPER_NOISES

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"

Number = np.ndarray  # (1 + samples,): over the images, then over each bootstrap sample of them


class Bounds(NamedTuple):
    """What is said of a number, and between which bounds it must lie."""

    id: str  # such as wtb-resnet50-over-resnet34: one for what is said, whichever claims say it
    says: str
    number: Number
    least: float
    most: float
    moved_by: str = ""  # the key, in `claims.seed_spread`, of what another training of one of its networks moves
    times: int = 0  # how often that enters the number: a difference of two networks 2, of two differences 4


@dataclass(frozen=True)
class Scores:
    """Accuracies from which the numbers of statements are made."""

    models: tuple[str, ...]
    attacks: np.ndarray  # (levels,)
    accuracy: np.ndarray  # (1 + samples, noises, models, levels), percent
    margins: dict[tuple[str, str], Number] = field(default_factory=dict)  # (noise, terms): `Nearness.margin`

    def curves(self, noise: str, model: str) -> np.ndarray:
        """(1 + samples, levels).

        Raises:
            ValueError: if the network is not among these.
        """
        if model not in self.models:
            raise ValueError(f"this needs {model}; there are {', '.join(self.models)}")
        return self.accuracy[:, PAPER_NOISES.index(noise), self.models.index(model)]

    def at(self, noise: str, model: str, attacks: int | None = None) -> Number:
        """Accuracy at a level, or the area under the curve; nan at a level that is not among these."""
        curves = self.curves(noise, model)
        if attacks is None:
            return area_under_curve(curves, self.attacks)
        if attacks not in self.attacks:
            return np.full(len(curves), np.nan)
        return curves[:, self.attacks.tolist().index(attacks)]

    def at_levels(self, attacks: np.ndarray) -> "Scores":
        """The same networks at these levels alone, as far as they have them; without the margins."""
        place = np.isin(self.attacks, attacks)
        return Scores(self.models, self.attacks[place], self.accuracy[..., place])

    def gain(self, noise: str, first: str, second: str, attacks: int | None = None) -> Number:
        """The second network minus the first."""
        return self.at(noise, second, attacks) - self.at(noise, first, attacks)


def on(noise: str) -> str:
    return NOISES[noise].short


def over(one: str, other: str) -> str:
    return f"{title(one)} over {title(other)}"


def above(scores: Scores, noise: str, one: str, other: str) -> Bounds:
    """That one network has the larger area under its curve than another."""
    gain = scores.gain(noise, other, one)
    short = on(noise)
    return Bounds(f"{short.lower()}-{one}-over-{other}", f"{short}: {over(one, other)}", gain, 0, math.inf, noise, 2)


@dataclass(frozen=True)
class Statement:
    """One row of a claim: what is said, and what the evidence answers."""

    bounds: Bounds
    value: float
    low: float  # 95 % interval
    high: float
    verdict: str
    paper: float = math.nan  # the number by the paper's own tables
    coarse: float = math.nan  # ours at the levels of these tables alone


def judge(bounds: Bounds, family: int, paper: float = math.nan, coarse: float = math.nan) -> Statement:
    """A statement that is one of `family`, all of which a claim needs.

    Raises:
        ValueError: if its number is not measured.
    """
    number, least, most = bounds.number, bounds.least, bounds.most
    if np.isnan(number).any():
        raise ValueError(f"not measured: {bounds.says}")
    low, high = map(float, limits(number[1:]))
    widest = limits(number[1:], family)
    holds = (least < low if math.isinf(most) else least <= low) and high <= most  # "above" is not "at"
    fails = widest[1] < least or widest[0] > most
    verdict = HOLDS if holds else FAILS if fails else UNDECIDED
    return Statement(bounds, float(number[0]), low, high, verdict, paper, coarse)


def judge_all(
    bounds: Iterable[Bounds], printed: Iterable[Bounds] | None = None, coarse: Iterable[Bounds] | None = None
) -> list[Statement]:
    """The statements of one claim.

    Args:
        printed: the same by the paper's own numbers.
        coarse: the same by ours, at the paper's levels alone.
    """
    bounds = list(bounds)
    beside = [
        len(bounds) * [math.nan] if other is None else [float(each.number[0]) for each in other]
        for other in (printed, coarse)
    ]
    return [judge(own, len(bounds), *others) for own, *others in zip(bounds, *beside, strict=True)]


def verdict(found: list[Statement]) -> str:
    """Of a claim, by the rule at the top of this module."""
    answers = {statement.verdict for statement in found}
    return "contradicted" if FAILS in answers else "supported" if answers == {HOLDS} else "undecided"


def flipped(
    before: dict[int, list[Statement]], after: dict[int, list[Statement]]
) -> tuple[int, list[tuple[Statement, Statement]]]:
    """How many statements the second was asked, each once, and those with another verdict: before and after."""
    pairs = [pair for number in after for pair in zip(before[number], after[number], strict=True)]
    once = {one.bounds.id: (one, other) for one, other in pairs}
    return len(once), [(one, other) for one, other in once.values() if one.verdict != other.verdict]


def within(statement: Statement, seed_spread: Mapping[str, float]) -> bool:
    """Whether other trainings of the networks in a number could carry it over one of its bounds.

    Each of its `times` may move it as far as trainings of one network lie apart.

    Args:
        seed_spread: such distances by `moved_by`; False for what is not listed.
    """
    bounds = statement.bounds
    if bounds.moved_by not in seed_spread:
        return False
    ends = [abs(statement.value - end) for end in (bounds.least, bounds.most) if math.isfinite(end)]
    return min(ends) <= bounds.times * seed_spread[bounds.moved_by]


def allowing(found: list[Statement], seed_spread: Mapping[str, float]) -> list[Statement]:
    """The same with every number undecided that is `within` the seed spread."""
    return [replace(own, verdict=UNDECIDED) if within(own, seed_spread) else own for own in found]
