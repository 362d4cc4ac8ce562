"""Networks compared on the same noisy images: bootstrap intervals over images, and exact paired tests.

A noisy image depends on the noise, the draw and the image's number alone, so all networks answer the same ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from lib.analysis.compared import Compared
from lib.evaluation.plan import CLEAN
from lib.evaluation.statistics import area_under_curve, attacks_until, limits, ranks, resample
from lib.evaluation.sweep import Predictions
from lib.paper import PAPER_NOISES
from lib.store import data

Statistic = Callable[[np.ndarray], np.ndarray]  # accuracies (..., noises, models, levels) -> (..., anything)
Pair = tuple[str, str]


@dataclass(frozen=True)
class Answers:
    """Which images the networks get right, at every noise and level, in the draws that all of them have seen."""

    models: tuple[str, ...]
    attacks: np.ndarray  # (levels,), from 0 on
    draws: int
    right: np.ndarray  # (noises, models, levels, images) uint8: in how many draws
    altered: np.ndarray  # (noises, levels, images) float32: pixels really altered, mean of the draws

    @property
    def images(self) -> int:
        return self.right.shape[-1]

    @cached_property
    def accuracy(self) -> np.ndarray:
        """(noises, models, levels), percent."""
        return 100 * self.right.mean(axis=-1) / self.draws

    @cached_property
    def resampled(self) -> np.ndarray:
        """(REPEATS, noises, models, levels), percent: the accuracies over each bootstrap sample of the images."""
        return 100 * resample(self.right) / self.draws


def measure(compared: Compared) -> Answers:
    """Read what the networks answered in the draws that all of them have seen."""
    draws, images = compared.common_draws, compared.comparison.images
    labels = data.load().test_labels[:images]
    right, altered = [], []
    for model in compared.models:
        plan = compared.comparison.plan(model)
        clean = Predictions.read(plan.part(CLEAN).path)
        for noise in PAPER_NOISES:
            parts = [Predictions.read(plan.part(noise, draw).path) for draw in range(draws)]
            found = [np.concatenate([clean.predicted, part.predicted]) == labels for part in parts]  # (levels, images)
            right.append(np.sum(found, axis=0, dtype=np.uint8))
            altered.append(np.mean([np.concatenate([clean.pixels, part.pixels]) for part in parts], axis=0))
    shape = (len(compared.models), len(PAPER_NOISES), *right[0].shape)
    cube = np.stack(right).reshape(shape).swapaxes(0, 1)
    pixels = np.stack(altered[: len(PAPER_NOISES)]).astype(np.float32)  # the same for every network
    return Answers(compared.models, np.array(plan.levels), draws, cube, pixels)


def estimate(answers: Answers, statistic: Statistic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic of the accuracies with its 95 % interval over images: value, low, high, of the statistic's shape."""
    return statistic(answers.accuracy), *limits(statistic(answers.resampled))


def summaries(answers: Answers) -> pd.DataFrame:
    """Area under each curve, attacks until 50 %, rank by area: a row for every noise and model.

    Columns: noise, model, then `area` (percent), `half` (attacks, infinite: not reached), `rank`, each with _low,
    _high.
    """
    area = partial(area_under_curve, attacks=answers.attacks)
    statistics = {
        "area": area,
        "half": partial(attacks_until, attacks=answers.attacks),
        "rank": lambda accuracy: ranks(area(accuracy)),
    }
    table = pd.DataFrame(
        [(noise, model) for noise in PAPER_NOISES for model in answers.models], columns=["noise", "model"]
    )
    for name, statistic in statistics.items():
        for suffix, values in zip(("", "_low", "_high"), estimate(answers, statistic), strict=True):
            table[name + suffix] = values.ravel()
    return table


def gains(answers: Answers, pairs: list[Pair], attacks: int | None = None) -> pd.DataFrame:
    """The second network of each pair minus the first: noise, first, second, gain, low, high (points).

    Args:
        attacks: the level; None: the area under the curve.
    """
    first, second = ([answers.models.index(pair[side]) for pair in pairs] for side in (0, 1))

    def difference(accuracy: np.ndarray) -> np.ndarray:
        if attacks is None:
            score = area_under_curve(accuracy, answers.attacks)  # (..., noises, models)
        else:
            score = accuracy[..., _level(answers, attacks)]
        return score[..., second] - score[..., first]

    rows = pd.DataFrame(
        [(noise, *pair) for noise in PAPER_NOISES for pair in pairs], columns=["noise", "first", "second"]
    )
    gain, low, high = (values.ravel() for values in estimate(answers, difference))
    return rows.assign(gain=gain, low=low, high=high)


def ranking(answers: Answers) -> pd.DataFrame:
    """Each network and the next one by area under the curve, noise by noise: the rows of `gains`, here the lead."""
    rows = []
    for number, noise in enumerate(PAPER_NOISES):
        order = area_under_curve(answers.accuracy[number], answers.attacks).argsort(kind="stable")
        models = [answers.models[place] for place in order]
        table = gains(answers, list(pairwise(models)))
        rows.append(table[table["noise"] == noise].iloc[::-1])
    return pd.concat(rows, ignore_index=True).rename(columns={"first": "lower", "second": "upper", "gain": "lead"})


def sign_tests(answers: Answers, pairs: list[Pair], attacks: list[int]) -> pd.DataFrame:
    """`gains` at some levels, each with an exact test of "on this image the networks are exchangeable".

    An image counts for the network that gets it right in more of the draws; the images that count for either are
    compared by the exact binomial test. With one draw that is McNemar's exact test (1947). `holm` are the p-values
    multiplied for all rows of the table together (Holm 1979): below 0.05 in any row with probability 0.05 at most,
    were all pairs equal.

    Returns:
        rows as `gains` gives, with attacks, only_first, only_second (images), p, holm.
    """
    tables = []
    for level in attacks:
        table = gains(answers, pairs, level).assign(attacks=level)
        counts = [_only(answers, row, level) for row in table.itertuples()]
        tables.append(table.assign(only_first=[a for a, _ in counts], only_second=[b for _, b in counts]))
    table = pd.concat(tables, ignore_index=True)
    table["p"] = [
        binomtest(row.only_second, row.only_first + row.only_second).pvalue if row.only_first + row.only_second else 1.0
        for row in table.itertuples()
    ]
    return table.assign(holm=multipletests(table["p"], method="holm")[1] if len(table) else table["p"])


def _only(answers: Answers, row, attacks: int) -> tuple[int, int]:
    """Images that the first, and that the second network of the row gets right in more draws than the other."""
    cube = answers.right[PAPER_NOISES.index(row.noise), :, _level(answers, attacks)].astype(int)  # (models, images)
    ahead = cube[answers.models.index(row.second)] - cube[answers.models.index(row.first)]
    return int((ahead < 0).sum()), int((ahead > 0).sum())


def _level(answers: Answers, attacks: int) -> int:
    levels = answers.attacks.tolist()
    if attacks not in levels:
        raise ValueError(f"no level of {attacks} attacks; choose from {levels}")
    return levels.index(attacks)


def neighbours(compared: Compared) -> list[Pair]:
    """Each network with the next one in the figure's order."""
    return list(pairwise(compared.models))
