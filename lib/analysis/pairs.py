"""Networks compared over their trainings, two at a time: by how much one is above the other, and how sure that is.

The intervals of all pairs of one noise hold together with 95 % (Tukey's test, for unequal numbers of trainings Tukey
and Kramer's). They suppose normal trainings that spread alike in all networks. A network with one training is compared
with none: what it could have been by another is not known.
"""

import math
from collections.abc import Callable
from itertools import combinations, pairwise

import pandas as pd
from scipy.stats import tukey_hsd

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
            found, count = combined(trainings, area(noise), {model: 1}), len(trainings.seeds[model])
            rows.append((noise, model, count, found.value, *(found.ends(0.025) if count > 1 else (math.nan, math.nan))))
    return pd.DataFrame(rows, columns=["noise", "model", "trainings", "mean", "low", "high"])


def differences(trainings: Trainings, score: Callable[[str], Score] = area) -> pd.DataFrame:
    """Every network minus every one before it, on every noise: noise, first, second, gain, low, high (points).

    Args:
        score: noise -> what is compared; the area under the curve, or the accuracy at a level.
    """
    several = [model for model in trainings.models if len(trainings.seeds[model]) > 1]
    rows = []
    for noise in PAPER_NOISES:
        each = {model: score(noise)(trainings.accuracy[model], trainings.attacks) for model in trainings.models}
        known = {}
        if len(several) > 1:
            found = tukey_hsd(*(each[model] for model in several)).confidence_interval(TOGETHER)
            for (i, first), (j, second) in combinations(enumerate(several), 2):
                known[first, second] = (found.low[j, i], found.high[j, i])
        for first, second in combinations(trainings.models, 2):
            ends = known.get((first, second), (math.nan, math.nan))
            rows.append((noise, first, second, each[second].mean() - each[first].mean(), *ends))
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
            ends = found.ends(tail) if min(found.trainings.values()) > 1 else (math.nan, math.nan)
            rows.append((noise, (first, second, third), found.value, *ends))
    return pd.DataFrame(rows, columns=["noise", "step", "fewer", "low", "high"])


def verdict(low: float, high: float) -> str:
    """What a difference's interval says of it; nan: one of the two has one training."""
    return "higher" if low > 0 else "lower" if high < 0 else "undecided"
