"""Accuracy curves of several trainings of every network, as one labelled table, and the scores made of a curve.

A score is a function of the curves of some trainings, rows (model, seed) and columns (noise, attacks), that returns one
number for each training.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lib.paper import LEVELS, PAPER_NOISES

HALF = 50.0  # percent
CLEAN = "none"  # the noise of level 0 in a table of accuracies, where it is listed once
Score = Callable[[pd.DataFrame], pd.Series]  # curves -> (trainings,)


@dataclass(frozen=True)
class Trainings:
    """The curves of every training of some networks and of their families, all on the same noisy images."""

    models: tuple[str, ...]  # the networks that are shown, in this order
    curves: pd.DataFrame  # rows (model, seed), columns (noise, attacks from 0 on); percent of the images
    images: int  # the number of test images, counted from the first
    families: Mapping[str, str] = field(default_factory=dict)  # model -> its family; one that is missing has its own

    @property
    def attacks(self) -> np.ndarray:
        """The noise levels, (levels,), from 0 on."""
        return self.curves.columns.unique("attacks").to_numpy()

    @property
    def seeds(self) -> dict[str, tuple[int, ...]]:
        """Model -> the seeds of its trainings, for the networks that are shown."""
        return {model: tuple(self.curves.loc[model].index) for model in self.models}

    def of(self, model: str, noise: str) -> pd.DataFrame:
        """The curves of one network under one noise: rows seed, columns attacks."""
        return self.curves.loc[model, noise]

    def scores(self, score: Score) -> pd.Series:
        """The score of each training of the networks that are shown, rows (model, seed)."""
        return score(self.curves).loc[list(self.models)]

    def only(self, models: Iterable[str]) -> "Trainings":
        """The same trainings, with these networks shown."""
        return replace(self, models=tuple(models))


def wide(table: pd.DataFrame, noises: Iterable[str] = PAPER_NOISES, levels: Iterable[int] = LEVELS) -> pd.DataFrame:
    """The curves of the trainings for which all these noises and levels are recorded, percent.

    Of rows of `results.accuracies`, one for each training, noise and level (`Reading.select`): rows (model, seed),
    columns (noise, attacks); the accuracy without noise is level 0 of every noise. Raises ValueError if a training has
    two rows for one noise and level.
    """
    percent = table.assign(accuracy=100 * table["correct"] / table["images"])
    found = percent.pivot(index=["model", "seed"], columns=["noise", "attacks"], values="accuracy")
    columns = pd.MultiIndex.from_product([list(noises), list(levels)], names=["noise", "attacks"])
    recorded = [(CLEAN, 0) if attacks == 0 else (noise, attacks) for noise, attacks in columns]
    return found.reindex(columns=pd.MultiIndex.from_tuples(recorded)).set_axis(columns, axis=1).dropna()


def area(*noises: str) -> Score:
    """The area under the curve in percent, the mean of these noises (by default the paper's four)."""
    noises = noises or PAPER_NOISES
    return lambda curves: _mean(
        [pd.Series(area_under_curve(curves[n].to_numpy(), curves[n].columns), curves.index) for n in noises]
    )


def at(attacks: int, *noises: str) -> Score:
    """The accuracy in percent at a number of attacks, the mean of these noises; nan where it was not measured."""
    columns = [(noise, attacks) for noise in noises or PAPER_NOISES]
    return lambda curves: _mean([each for _, each in curves.reindex(columns=columns).items()])


def relative(*noises: str) -> Score:
    """The area under the curve in percent of the accuracy without noise."""
    return lambda curves: 100 * area(*noises)(curves) / at(0, *noises)(curves)


def less(one: Score, other: Score) -> Score:
    """The first score minus the second, of the same training."""
    return lambda curves: one(curves) - other(curves)


def _mean(values: list[pd.Series]) -> pd.Series:
    return sum(values[1:], values[0]) / len(values)


def area_under_curve(accuracy: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """Mean accuracy over the noise levels by the trapezium rule: (..., levels), attacks (levels,) -> (...), percent.

    Paper: none; a one-number summary of one curve of Figure 7. Raises ValueError unless `attacks` strictly increase.
    """
    attacks = np.asarray(attacks, float)
    if len(attacks) < 2 or (np.diff(attacks) <= 0).any():
        raise ValueError(f"attacks must be two or more and strictly increasing, not {attacks.tolist()}")
    return np.trapezoid(accuracy, attacks, axis=-1) / (attacks[-1] - attacks[0])


def attacks_until(accuracy: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """Attacks at which a curve first falls to `HALF`, on straight lines between the levels; infinite if it does not.

    Of accuracies (..., levels) in percent at attacks (levels,): (...).
    """
    attacks = np.asarray(attacks, float)
    fallen = accuracy <= HALF
    after = fallen.argmax(axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    high, low = (np.take_along_axis(accuracy, place, axis=-1) for place in (before, after))
    share = np.divide(high - HALF, high - low, out=np.zeros_like(high, float), where=high > low)
    crossing = attacks[before] + share * (attacks[after] - attacks[before])
    return np.where(fallen.any(axis=-1), crossing[..., 0], np.inf)
