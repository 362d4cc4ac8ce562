"""What one part of a network does to its resilience: the questions and how they are judged, before any number.

Every effect is a weighted sum of the cells' means over trainings (`components.EXPERIMENTS`), in points, on each noise
and in the mean of the four. Its interval is over trainings, of which those with one seed share the order of the images,
and where they can the initial weights: the seed is a block. The test images are the same everywhere.

A part helps on a noise if its interval lies above 0, and hurts if below; the intervals of the four noises hold with
95 % together (Bonferroni), that of their mean by itself. It makes no difference if the interval lies within `MARGIN` of
0. Else the verdict is open, and near if with five trainings in place of three the same estimate would be decided.

The effects of shortcuts and depth are those of three kinds of shortcuts crossed with three depths of basic blocks. At
50 layers, where the blocks are bottlenecks, shortcuts are asked about apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from lib.evaluation.statistics import verdict
from lib.networks import HIDDEN
from lib.paper import PAPER_NOISES

MEAN = "mean"  # of the four noises
MARGIN = 2.0  # points; two trainings of one network differ by as much (standard deviation 1 to 2.2)
FULL = 5  # trainings of a cell, where three leave a verdict near
KINDS = {"residual": "resnet", "none": "plain", "preact": "preact"}  # shortcuts -> how they are named in `FAMILY`
BASIC = (10, 18, 34)  # depths of networks of basic blocks; those of 50 are of bottlenecks, which is another change
DEPTHS = (*BASIC, 50)
LATER = "; asked later"  # of questions that were added when the first results were known
Weights = Mapping[str, float]


@dataclass(frozen=True)
class Question:
    """One effect, and what the paper lets one expect of it."""

    says: str
    weights: Weights  # cell -> its weight in the sum; all of them together are 0
    expected: str = ""  # "higher" or "lower", where a claim of the paper lets one expect it
    claim: int | None = None  # its number


def difference(first: list[str], second: list[str]) -> Weights:
    """The mean of the first cells minus that of the second ones."""
    return {cell: 1 / len(first) for cell in first} | {cell: -1 / len(second) for cell in second}


def doubling(values: Mapping[str, float]) -> Weights:
    """What doubling a value brings, as the least-squares slope over the cells that have it."""
    steps = np.log2(list(values.values()))
    steps = steps - steps.mean()
    return dict(zip(values, steps / (steps**2).sum(), strict=True))


def summed(*terms: tuple[float, Weights]) -> Weights:
    """The sum of some effects, each times a factor."""
    cells = dict.fromkeys(cell for _, weights in terms for cell in weights)
    return {cell: sum(factor * weights.get(cell, 0) for factor, weights in terms) for cell in cells}


def _cells(skips: str, depths: tuple[int, ...] = DEPTHS, word: str = "slow") -> list[str]:
    return [f"half_{KINDS[skips]}{depth}@{word}" for depth in depths]


def _deeper(skips: str, word: str = "slow") -> Weights:
    return doubling(dict(zip(_cells(skips, BASIC, word), BASIC, strict=True)))


def _jump(word: str, alone: bool = False) -> Weights:
    """By how much the step from 34 to 50 layers brings more than those from 10 to 34 on average, or than the last."""
    first, second, before, last = _cells("residual", word=word)
    usual = difference([before], [second]) if alone else summed((0.5, difference([before], [first])))
    return summed((1, difference([last], [before])), (-1, usual))


RESNETS, PLAIN, PREACT = map(_cells, KINDS)
USUAL, NO_NORM = "half_resnet18@slow", ["half_resnet18_nobn@slow", "half_plain18_nobn@slow"]
_NORM = [difference([with_norm], [without]) for with_norm, without in zip([USUAL, PLAIN[1]], NO_NORM, strict=True)]
_BILINEAR = [difference([f"{nearest}-bilinear"], [nearest]) for nearest in (USUAL, "half_resnet18@slow-112")]

COMPONENTS = {
    "shortcuts": Question(
        "residual minus plain, mean of the depths 10, 18 and 34", difference(RESNETS[:3], PLAIN[:3]), "lower", 8
    ),
    "pre-activation": Question(
        "pre-activation minus residual, mean of the depths 10, 18 and 34",
        difference(PREACT[:3], RESNETS[:3]),
        "higher",
        4,
    ),
    **{
        f"shortcuts, depth {depth}": Question(f"residual minus plain at depth {depth}", difference([one], [other]))
        for depth, one, other in zip(DEPTHS, RESNETS, PLAIN, strict=True)
    },
    "pre-activation, depth 50": Question(
        "pre-activation minus residual at depth 50", difference(PREACT[3:], RESNETS[3:]), "higher", 4
    ),
    "shortcuts x depth": Question(
        "how much more residual gains over plain when the depth doubles (10, 18, 34)",
        summed((1, _deeper("residual")), (-1, _deeper("none"))),
    ),
    "depth": Question(
        "when the depth doubles (10, 18, 34), mean of the three kinds",
        summed(*((1 / 3, _deeper(skips)) for skips in KINDS)),
    ),
    "depth, residual": Question("the same of residual networks", _deeper("residual"), "higher", 1),
    "depth, plain": Question("the same of plain networks", _deeper("none")),
    "bottlenecks": Question(
        "50 layers of bottlenecks minus 34 of basic blocks, mean of the three kinds",
        difference([RESNETS[3], PLAIN[3], PREACT[3]], [RESNETS[2], PLAIN[2], PREACT[2]]),
    ),
    "normalisation": Question(
        "with batch normalisation minus without, depth 18, residual and plain", summed(*((0.5, one) for one in _NORM))
    ),
    "normalisation x shortcuts": Question(
        "how much more it brings to the residual network", summed((1, _NORM[0]), (-1, _NORM[1]))
    ),
    "normalisation, residual": Question(f"with minus without, residual{LATER}", _NORM[0]),
    "normalisation, plain": Question(f"with minus without, plain{LATER}", _NORM[1]),
    "width": Question(
        "when the width doubles (1/4, 1/2, 1), residual, depth 18",
        doubling({"quarter_resnet18@slow": 0.25, USUAL: 0.5, "resnet18@slow": 1}),
    ),
    "pooling": Question(
        "with pooling behind the first convolution minus without, residual, depth 18",
        difference([USUAL], ["half_resnet18_nopool@slow"]),
    ),
    "hidden units": Question("when the hidden units of a fully connected net double (98 to 6272)", doubling(HIDDEN)),
}
RESOLUTION = {
    "size": Question(
        "when the side of the upscaled image doubles (28, 56, 112), nearest",
        doubling({"half_resnet18@slow-28": 28, USUAL: 56, "half_resnet18@slow-112": 112}),
    ),
    "bilinear": Question(
        "bilinear minus nearest upscaling, mean of 56 and 112", summed(*((0.5, one) for one in _BILINEAR))
    ),
    "bilinear, 56": Question(f"the same at 56{LATER}", _BILINEAR[0]),
    "bilinear, 112": Question(f"the same at 112{LATER}", _BILINEAR[1]),
}
COMPLEXITY = {
    "depth, Fashion-MNIST": Question("when the depth doubles (10, 18, 34)", _deeper("residual", "fashion")),
    "depth, MNIST": Question("when the depth doubles (10, 18, 34)", _deeper("residual")),
    "depth x data set": Question(
        "how much more the depth brings on Fashion-MNIST",
        summed((1, _deeper("residual", "fashion")), (-1, _deeper("residual"))),
    ),
    "threshold, Fashion-MNIST": Question("the step to 50 layers over the mean of those to 34", _jump("fashion")),
    "threshold, MNIST": Question("the step to 50 layers over the mean of those to 34", _jump("slow"), "higher", 2),
    "threshold x data set": Question(
        "by how much that is larger on Fashion-MNIST", summed((1, _jump("fashion")), (-1, _jump("slow")))
    ),
    "last step, Fashion-MNIST": Question(
        f"the step from 34 to 50 layers over that from 18 to 34{LATER}", _jump("fashion", alone=True)
    ),
    "last step, MNIST": Question(
        f"the step from 34 to 50 layers over that from 18 to 34{LATER}", _jump("slow", alone=True)
    ),
}
QUESTIONS = {"components": COMPONENTS, "resolution": RESOLUTION, "complexity": COMPLEXITY}


def effects(table: pd.DataFrame, experiment: str, score: str = "area") -> pd.DataFrame:
    """Every question of an experiment, answered on each noise and in their mean.

    Args:
        table: `components.measure`; trainings that are `short` of 99.0 % are left out.
        score: its column that is asked about: area, relative, initial or clean.

    Returns:
        Columns: question, noise, estimate, low, high (points), trainings (the fewest of a cell), verdict (higher,
        lower, same, undecided), near (bool). The estimate is nan where a cell has no training, the ends where one has
        only one.
    """
    values = table[~table["short"]].pivot_table(index=["model", "seed"], columns="noise", values=score)
    values = values.reindex(columns=[*PAPER_NOISES])
    values[MEAN] = values.mean(axis=1)
    dense = values.index.get_level_values("model").isin([*HIDDEN])
    fits = {
        of_dense: {noise: _fit(own) for noise, own in values[dense == of_dense].items()} for of_dense in (True, False)
    }
    rows = []
    for name, question in QUESTIONS[experiment].items():
        for noise, fit in fits[question.weights.keys() <= HIDDEN.keys()].items():
            rows.append({"question": name, "noise": noise} | _judged(fit, question.weights, noise))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Fit:
    """Means of the cells with seeds as blocks, by least squares."""

    means: pd.Series
    covariance: pd.DataFrame  # of the means
    trainings: pd.Series  # how many each cell has
    freedom: int


def _fit(values: pd.Series) -> Fit:
    """Of values with the index (model, seed); those of cells of one kind, whose trainings vary alike.

    A cell's variance is the one that all have in common, or its own where that is larger: the common one alone tells
    equal cells apart too often where one of them spreads farther (`tests/test_effects.py`).
    """
    from statsmodels.api import OLS  # slow to import

    cells, seeds = (pd.get_dummies(values.index.get_level_values(name), dtype=float) for name in ("model", "seed"))
    trainings = cells.sum().astype(int)
    if not len(values):
        return Fit(pd.Series(dtype=float), pd.DataFrame(), trainings, 0)
    blocks = seeds.iloc[:, 1:].sub(seeds.iloc[:, 0], axis=0)  # their effects sum to 0
    design = np.hstack([cells, blocks])
    fit = OLS(values.to_numpy(), design).fit()
    freedom = int(fit.df_resid)
    common = fit.ssr / freedom if freedom else np.nan
    share = (trainings - 1) * (1 - 1 / len(trainings))  # of the freedom, in each cell
    own = cells.T.to_numpy() @ fit.resid**2 / share.where(share > 0)
    variance = cells.to_numpy() @ np.fmax(own, common).to_numpy()  # of each training
    covariance = fit.normalized_cov_params @ (design.T * variance @ design) @ fit.normalized_cov_params
    among = slice(len(trainings))
    return Fit(
        pd.Series(fit.params[among], cells.columns),
        pd.DataFrame(covariance[among, among], cells.columns, cells.columns),
        trainings,
        freedom,
    )


def _judged(fit: Fit, weights: Weights, noise: str) -> dict:
    """The effect with its interval, and what it says."""
    weight = pd.Series(weights, dtype=float)
    trainings = int(fit.trainings.reindex(weight.index).fillna(0).min())
    estimate = half = np.nan
    if trainings:
        estimate = float(weight @ fit.means[weight.index])
    if trainings > 1:
        tail = 0.025 / (1 if noise == MEAN else len(PAPER_NOISES))
        error = np.sqrt(weight @ fit.covariance.loc[weight.index, weight.index] @ weight)
        half = float(t.isf(tail, fit.freedom) * error)
    low, high = estimate - half, estimate + half
    says = verdict(low, high)
    if says == "undecided" and low >= -MARGIN and high <= MARGIN:
        says = "same"
    near = says == "undecided" and 1 < trainings < FULL and abs(estimate) > half * np.sqrt(trainings / FULL)
    return {"estimate": estimate, "low": low, "high": high, "trainings": trainings, "verdict": says, "near": bool(near)}
