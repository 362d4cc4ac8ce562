"""Networks compared over their trainings, two at a time: by how much one is above the other, and how sure that is.

The intervals of all pairs of one noise hold together with 95 %: Tukey and Kramer's, with the standard errors of
`trainings.weighted`. A network with one training is compared with none: what another would have given is not known.
"""

import math
from collections.abc import Callable
from itertools import combinations, pairwise

import pandas as pd
from scipy.stats import studentized_range

from lib.analysis.statements import Score, area, combined
from lib.analysis.trainings import Trainings
from lib.paper import PAPER_NOISES

TOGETHER = 0.95  # with which the intervals of one noise hold
COLUMNS = ["noise", "first", "second", "gain", "low", "high"]


def mean_areas(trainings: Trainings) -> pd.DataFrame:
    """The mean area under the curve of each network's trainings: noise, model, trainings, mean, low, high (percent).

    Each interval holds with 95 % by itself; nan of one training.
    """
    rows = []
    for noise in PAPER_NOISES:
        for model in trainings.models:
            found = combined(trainings, area(noise), {model: 1})
            rows.append((noise, model, len(trainings.seeds[model]), found.value, *found.ends(0.025)))
    return pd.DataFrame(rows, columns=["noise", "model", "trainings", "mean", "low", "high"])


def differences(trainings: Trainings, score: Callable[[str], Score] = area) -> pd.DataFrame:
    """Every network minus every one before it, on every noise: noise, first, second, gain, low, high (points).

    Args:
        score: noise -> what is compared; the area under the curve, or the accuracy at a level.
    """
    several = [len(seeds) for seeds in trainings.seeds.values() if len(seeds) > 1]
    freedom = sum(several) - len(several)
    reach = studentized_range.ppf(TOGETHER, len(several), freedom) / math.sqrt(2) if len(several) > 1 else math.nan
    rows = []
    for noise in PAPER_NOISES:
        for first, second in combinations(trainings.models, 2):
            found = combined(trainings, score(noise), {second: 1, first: -1})
            half = reach * found.error  # nan where one of the two has one training
            rows.append((noise, first, second, found.value, found.value - half, found.value + half))
    return pd.DataFrame(rows, columns=COLUMNS)


def ranking(apart: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """The networks by mean area, the best first: noise, model, rank, best, worst.

    From `best` to `worst` are the ranks that are left open: below all that are surely above it, above all that are
    surely below.

    Args:
        apart: `differences` in area.
        means: `mean_areas` of the same trainings.
    """
    rows = []
    for noise in PAPER_NOISES:
        pairs = apart[apart["noise"] == noise]
        order = means[means["noise"] == noise].sort_values("mean", ascending=False, kind="stable")["model"]
        for rank, model in enumerate(order, start=1):
            above = ((pairs["first"] == model) & (pairs["low"] > 0)) | (
                (pairs["second"] == model) & (pairs["high"] < 0)
            )
            below = ((pairs["first"] == model) & (pairs["high"] < 0)) | (
                (pairs["second"] == model) & (pairs["low"] > 0)
            )
            rows.append((noise, model, rank, 1 + int(above.sum()), len(order) - int(below.sum())))
    return pd.DataFrame(rows, columns=["noise", "model", "rank", "best", "worst"])


def by_recipe(trainings: Trainings) -> pd.DataFrame:
    """Another recipe of a network, `MODEL@WORD`, minus the paper's rule: the columns of `differences`.

    In area under the curve; Bonferroni's intervals, those of a pair hold together with 95 % on the four noises.
    """
    rows = []
    for noise in PAPER_NOISES:
        for first, second in recipes(trainings):
            found = combined(trainings, area(noise), {second: 1, first: -1})
            rows.append((noise, first, second, found.value, *found.ends(0.025 / len(PAPER_NOISES))))
    return pd.DataFrame(rows, columns=COLUMNS)


def recipes(trainings: Trainings) -> list[tuple[str, str]]:
    """The pairs of a network by the paper's rule and the same by another recipe."""
    others = [(model.partition("@")[0], model) for model in trainings.models if "@" in model]
    return [(first, second) for first, second in others if first in trainings.models]


def lead(apart: pd.DataFrame, one: str, other: str) -> tuple[float, float, float]:
    """By how much `one` is above the `other` on one noise, from its rows of `differences`: gain, low, high."""
    pair = apart[apart["first"].isin((one, other)) & apart["second"].isin((one, other))].iloc[0]
    gain, low, high = pair["gain"], pair["low"], pair["high"]
    return (gain, low, high) if pair["second"] == one else (-gain, -high, -low)


def steps(trainings: Trainings, score: Callable[[str], Score] = area) -> pd.DataFrame:
    """Each network minus the one before it, in the order of `trainings`: the rows of `differences`."""
    table = differences(trainings, score)
    following = dict(pairwise(trainings.models))
    return table[table["second"] == table["first"].map(following)].reset_index(drop=True)


def shrinking(trainings: Trainings) -> pd.DataFrame:
    """How much less each step in area brings than the step before it: noise, step (its networks), fewer, low, high.

    Above 0 the gains shrink, or turn into losses. Bonferroni's intervals, which hold together with 95 %.
    """
    threes = list(zip(trainings.models, trainings.models[1:], trainings.models[2:], strict=False))
    tail = 0.025 / max(1, len(threes) * len(PAPER_NOISES))
    rows = []
    for noise in PAPER_NOISES:
        for first, second, third in threes:
            found = combined(trainings, area(noise), {second: 2, first: -1, third: -1})
            rows.append((noise, (first, second, third), found.value, *found.ends(tail)))
    return pd.DataFrame(rows, columns=["noise", "step", "fewer", "low", "high"])
