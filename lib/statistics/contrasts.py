"""Contrasts of networks' means over trainings: the one statistic behind every statement about an architecture.

A number of a training (an area under a curve, an accuracy) varies from training to training of one network. How much it
varies is estimated for each family of networks (the mean square within groups of a one-way analysis of variance), from
all trainings of the family that are recorded, whichever of them are shown. A network that varies more than its family
keeps its own variance: the pooled one alone tells equal networks apart too often (`tests/test_contrasts.py`). The test
images are the same for every training: these intervals do not say what other images would give.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, studentized_range, t
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from lib.statistics.curves import Score, Trainings

HIGHER, LOWER, NO_DIFFERENCE, UNDECIDED = "higher", "lower", "no difference", "undecided"
MARGIN = 2.0  # points of area; a difference that surely is smaller counts as none
TOGETHER = 0.95  # the probability with which the intervals of all pairs under one noise hold
Weights = Mapping[str, float]


@dataclass(frozen=True)
class Estimate:
    """A weighted sum of means with its standard error, by Student's t; arrays (samples,) of samples of trainings."""

    value: float
    error: float  # standard error; nan if it is not known
    freedom: float  # degrees of freedom of the error; 0 if it is not known
    each: np.ndarray = field(default_factory=lambda: np.empty(0))  # (trainings,) of the network named first
    trainings: Mapping[str, int] = field(default_factory=dict)  # model -> the number of its trainings

    def ends(self, tail: float = 0.025) -> tuple[float, float]:
        """The ends of the interval, each exceeded with this probability; nan if the error is not known."""
        half = t.isf(tail, self.freedom) * self.error  # nan without degrees of freedom
        return self.value - half, self.value + half

    def chances(self, bound: float) -> tuple[float, float]:
        """p-values of "it is not above" and "it is not below" the bound; nan if the error is not known."""
        apart = self.value - bound
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(apart == 0, 0.0, np.divide(apart, self.error))
        return t.sf(far, self.freedom), t.cdf(far, self.freedom)


@dataclass(frozen=True)
class Share:
    """The percentage of trainings of which something is true (`each`, bool), with the exact binomial interval."""

    each: np.ndarray
    trainings: Mapping[str, int]

    @property
    def value(self) -> float:
        return 100 * float(self.each.mean())

    def ends(self, tail: float = 0.025) -> tuple[float, float]:
        """The ends of the interval (Clopper and Pearson), each exceeded with this probability at most."""
        low, high = proportion_confint(self.each.sum(), len(self.each), 2 * tail, method="beta")
        return 100 * low, 100 * high

    def chances(self, bound: float) -> tuple[float, float]:
        """p-values of "it is not above" and "it is not below" the bound."""
        right, n = self.each.sum(), len(self.each)
        return float(binom.sf(right - 1, n, bound / 100)), float(binom.cdf(right, n, bound / 100))


def verdict(low: float, high: float, margin: float = 0.0) -> str:
    """What the interval of a contrast says: higher, lower, no difference (within `margin` of 0), or undecided."""
    if low > 0 or high < 0:
        return HIGHER if low > 0 else LOWER
    return NO_DIFFERENCE if -margin <= low and high <= margin and margin else UNDECIDED


@dataclass(frozen=True)
class Spread:
    """Means over trainings, and how much trainings of each network vary; arrays are (models, ...)."""

    models: list[str]
    means: np.ndarray
    variances: np.ndarray  # of one training: the family's, or the network's own where that is larger
    trainings: np.ndarray  # (models,)
    family: np.ndarray  # (models,) numbers of families
    freedom: np.ndarray  # (families,)

    @classmethod
    def of(cls, values: Mapping[str, np.ndarray], families: Mapping[str, str]) -> "Spread":
        """Of model -> (trainings, ...); a model without a family is a family of its own."""
        models = list(values)
        names = [families.get(model, model) for model in models]
        order = list(dict.fromkeys(names))
        family = np.array([order.index(name) for name in names])
        trainings = np.array([len(values[model]) for model in models])
        freedom = np.bincount(family, trainings - 1, len(order))
        means = np.stack([np.mean(values[model], axis=0) for model in models])
        squares = np.stack([((values[m] - mean) ** 2).sum(axis=0) for m, mean in zip(models, means, strict=True)])
        of_family = np.stack([squares[family == number].sum(axis=0) for number in range(len(order))])
        shape = (-1,) + (1,) * (means.ndim - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            pooled = (of_family / freedom.reshape(shape))[family]
            own = squares / (trainings - 1).reshape(shape)
        return cls(models, means, np.fmax(pooled, own), trainings, family, freedom)

    def contrast(self, weights: Weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The weighted sum of means, its standard error and the error's degrees of freedom: (...) each.

        With networks of several families the degrees of freedom are Satterthwaite's. With a single training of a
        network the error is not known (nan, 0): a statement about an architecture rests on several trainings.
        """
        rows = [self.models.index(model) for model in weights]
        weight = np.array([*weights.values()])
        value = np.tensordot(weight, self.means[rows], 1)
        if (self.trainings[rows] < 2).any():
            return value, np.full_like(value, np.nan), np.zeros_like(value)
        shape = (-1,) + (1,) * (self.means.ndim - 1)
        terms = (weight**2 / self.trainings[rows]).reshape(shape) * self.variances[rows]
        of_family = {n: terms[self.family[rows] == n].sum(axis=0) for n in dict.fromkeys(self.family[rows])}
        total = terms.sum(axis=0)
        if len(of_family) == 1:
            return value, np.sqrt(total), np.full_like(value, self.freedom[next(iter(of_family))])
        uncertain = sum(own**2 / self.freedom[number] for number, own in of_family.items())
        with np.errstate(invalid="ignore"):
            return value, np.sqrt(total), np.where(total > 0, total**2 / uncertain, self.freedom.sum())


def spread(trainings: Trainings, score: Score) -> tuple[Spread, dict[str, np.ndarray]]:
    """The spread of a score over all trainings, also of networks that are not shown, and the score of each training.

    Rows (model, seed, sample) of the curves are samples of all trainings, each of which has a spread of its own.
    """
    scores, sampled = score(trainings.curves), "sample" in trainings.curves.index.names
    own = scores.groupby(level="model", sort=False)
    values = {str(model): (each.unstack("sample") if sampled else each).to_numpy() for model, each in own}
    return Spread.of(values, trainings.families), values


def estimate(trainings: Trainings, score: Score, weights: Weights) -> Estimate:
    """A contrast of networks' mean scores; `each` has each training of the first network in place of its mean.

    Raises ValueError if a network of the contrast is not shown.
    """
    need(trainings, weights)
    found, values = spread(trainings, score)
    parts: list[Any] = [part[()] for part in found.contrast(weights)]  # numbers, or (samples,)
    first = next(iter(weights))
    each = parts[0] + weights[first] * (values[first] - values[first].mean(axis=0))
    return Estimate(*parts, each, {model: len(values[model]) for model in weights})


def need(trainings: Trainings, models: Iterable[str]) -> None:
    """Raises ValueError if a network is not among those shown; it names those that are."""
    if missing := [model for model in models if model not in trainings.models]:
        raise ValueError(f"this needs {', '.join(missing)}; recorded are {', '.join(trainings.models)}")


def mean_of(values: np.ndarray, trainings: Mapping[str, int] | None = None) -> Estimate:
    """The mean of independent values (n,), with the error that follows from these alone."""
    n = len(values)
    error = values.std(axis=0, ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return Estimate(values.mean(axis=0), error, n - 1, values, trainings or {})


def contrasts(
    trainings: Trainings, questions: Mapping[str, Weights], scores: Mapping[str, Score], together: Mapping[str, int]
) -> pd.DataFrame:
    """Each contrast (name -> weights) by each score (name -> score), a row each.

    Columns: question, score, estimate, error, freedom, low, high, trainings (the fewest of a network), verdict. The
    estimate is nan if a network has no training, the ends if one has a single training. `together`: name of a score ->
    the number of scores whose intervals hold together with 95 % (Bonferroni).
    """
    rows = []
    for name, score in scores.items():
        found, _ = spread(trainings, score)
        counts = dict(zip(found.models, found.trainings.tolist(), strict=True))
        for question, weights in questions.items():
            fewest = min(counts.get(model, 0) for model in weights)
            value, error, freedom = map(float, found.contrast(weights) if fewest else (math.nan, math.nan, 0.0))
            low, high = Estimate(value, error, freedom).ends(0.025 / together.get(name, 1))
            rows.append((question, name, value, error, freedom, low, high, fewest, verdict(low, high, MARGIN)))
    columns = ["question", "score", "estimate", "error", "freedom", "low", "high", "trainings", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def standing(found: pd.DataFrame) -> list[str]:
    """The questions among rows of `contrasts`, one each, that stand over all of them: Holm's procedure at 5 %."""
    known = found[found["freedom"] > 0]
    p = 2 * t.sf(known["estimate"].abs() / known["error"], known["freedom"])
    return known["question"][multipletests(p, method="holm")[0]].tolist()


def means(trainings: Trainings, scores: Mapping[str, Score]) -> pd.DataFrame:
    """The mean score of each network with its own 95 % interval: score, model, trainings, mean, low, high."""
    rows = []
    for name, score in scores.items():
        for model in trainings.models:
            found = estimate(trainings, score, {model: 1})
            rows.append((name, model, len(found.each), found.value, *found.ends()))
    return pd.DataFrame(rows, columns=["score", "model", "trainings", "mean", "low", "high"])


def mean_curves(trainings: Trainings, further: float = math.inf) -> pd.DataFrame:
    """The mean curve of each network: noise, model, attacks, trainings, mean, low, high (percent, cut at 0 and 100).

    The interval is that in which the mean of so many `further` trainings lies; infinite: of the mean itself.
    """
    found, _ = spread(trainings, lambda curves: curves)
    tables = []
    for model in trainings.models:
        mean, error, freedom = found.contrast({model: 1})  # (columns,)
        place = found.models.index(model)
        half = np.sqrt(error**2 + found.variances[place] / further) * t.isf(0.025, freedom)
        ends = {"mean": mean, "low": np.maximum(mean - half, 0), "high": np.minimum(mean + half, 100)}
        count = int(found.trainings[place])
        tables.append(trainings.curves.columns.to_frame(index=False).assign(model=model, trainings=count, **ends))
    columns = ["noise", "model", "attacks", "trainings", "mean", "low", "high"]
    return pd.concat(tables, ignore_index=True)[columns]


def pairs(trainings: Trainings, scores: Mapping[str, Score]) -> pd.DataFrame:
    """Every network minus every one before it: score, first, second, gain (second minus first), low, high, verdict.

    The intervals of all pairs by one score hold together with 95 %: Tukey and Kramer's, with each pair's own error and
    degrees of freedom (Games and Howell). A network with one training is compared with no other.
    """
    rows = []
    for name, score in scores.items():
        found, _ = spread(trainings, score)
        several = sum(found.trainings[found.models.index(model)] > 1 for model in trainings.models)
        for first, second in combinations(trainings.models, 2):
            gain, error, freedom = (float(part) for part in found.contrast({second: 1, first: -1}))
            half = studentized_range.ppf(TOGETHER, several, freedom) / math.sqrt(2) * error if freedom else math.nan
            rows.append((name, first, second, gain, gain - half, gain + half, verdict(gain - half, gain + half)))
    return pd.DataFrame(rows, columns=["score", "first", "second", "gain", "low", "high", "verdict"])


def ranking(trainings: Trainings, apart: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """The networks by their mean score, the best first: score, model, rank, best, worst.

    The rank can be any from `best` to `worst`: below all networks that are surely higher by `apart` (`pairs`), above
    all that are surely lower.
    """
    rows = []
    for score, order in means.groupby("score", sort=False):
        own = apart[apart["score"] == score]
        up, down = own[own["verdict"] == HIGHER], own[own["verdict"] == LOWER]
        for rank, model in enumerate(order.sort_values("mean", ascending=False, kind="stable")["model"], start=1):
            above = (up["first"] == model).sum() + (down["second"] == model).sum()
            below = (up["second"] == model).sum() + (down["first"] == model).sum()
            rows.append((score, model, rank, 1 + int(above), len(trainings.models) - int(below)))
    return pd.DataFrame(rows, columns=["score", "model", "rank", "best", "worst"])


def trainings_needed(difference: float, deviation: float, power: float = 0.8) -> int:
    """The trainings of each of two networks that tell a difference (points, not 0) apart with this power, at 95 %.

    `deviation` is the standard deviation between trainings of one network, points.
    """
    from statsmodels.stats.power import TTestIndPower  # slow to import

    effect, power_of = abs(difference) / deviation, TTestIndPower().power
    return next(n for n in count(2) if power_of(effect, n, alpha=1 - TOGETHER) >= power)
