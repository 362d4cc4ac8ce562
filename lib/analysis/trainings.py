"""Several trainings of every network on the same noisy images, and what they say of the architectures.

A number of a training (an area under a curve, an accuracy) varies from training to training of one network. How much
is estimated from all networks together, by the one-way analysis of variance (`pooled`), and from the network's own
trainings where these vary more. All statistics here are about that variation; the test images are the same for every
training, and what other images would say is not asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator
from scipy.stats import t

from lib import networks
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.statistics import area_under_curve
from lib.evaluation.sweep import Predictions
from lib.networks import Known
from lib.paper import PAPER_NOISES
from lib.store import data
from lib.store.files import OUTPUTS, ROOT, visible
from lib.store.parameters import each_once

WHOLE = 10_000  # test images of a sweep of all of them


class Measured(BaseModel):
    """What of the recorded predictions a comparison rests on: all that `paper.ipynb` can be asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(2_000, ge=2, le=WHOLE)  # the first of the test images
    outputs: Path = Path("outputs")  # from the repository's root


class Asked(Measured):
    """What a notebook that compares networks over their trainings was asked for."""

    models: list[Known] | None = Field(None, min_length=1)  # None: those of the paper's figure

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: list[str] | None) -> list[str] | None:
        return models and each_once(models)

    def measure(self, usual: tuple[str, ...]) -> "Trainings":
        """The trainings of the networks asked for, of `usual` where none are named."""
        return measure_trainings(tuple(self.models or usual), ROOT / self.outputs, self.images)


@dataclass(frozen=True)
class Trainings:
    """Accuracies of each training of some networks, all on the same noisy images (draw 0)."""

    models: tuple[str, ...]
    attacks: np.ndarray  # (levels,), from 0 on
    images: int  # the first of the test images
    seeds: dict[str, tuple[int, ...]]  # model -> its training seeds
    accuracy: dict[str, np.ndarray]  # model -> (trainings, noises in the order of PAPER_NOISES, levels), percent

    def only(self, models: Iterable[str]) -> "Trainings":
        """The same of these networks alone, in this order."""
        seeds, accuracy = {}, {}
        for model in models:
            seeds[model], accuracy[model] = self.seeds[model], self.accuracy[model]
        return replace(self, models=tuple(seeds), seeds=seeds, accuracy=accuracy)


def measure_trainings(
    models: tuple[str, ...],
    outputs: Path = OUTPUTS,
    images: int = 2_000,
    replacement: bool = True,
    source: str = "clean",
) -> Trainings:
    """Every recorded training of these networks, under one reading of the noises.

    A training counts if its predictions for the clean images and for all four noises are recorded and were made by the
    same weights, for these images or for all test images, of which the first are taken. The weights themselves need not
    be on disk.

    Raises:
        FileNotFoundError: if no training of a network is recorded; it names each such and the command that records it.
    """
    found = measure_recorded(models, outputs, images, replacement, source)
    missing = [model for model in models if found is None or model not in found.models]
    if found is None or missing:
        commands = ", ".join(f"{model} (make sweep MODEL={model})" for model in missing)
        told = f"on the first {images:,} test images, replacement={replacement}, source={source}"
        raise FileNotFoundError(f"no training is recorded under {outputs} {told}: {commands}")
    return found


def measure_recorded(
    models: Iterable[str],
    outputs: Path = OUTPUTS,
    images: int = 2_000,
    replacement: bool = True,
    source: str = "clean",
) -> Trainings | None:
    """`measure_trainings` of those of these networks of which a training is recorded; None if there are none."""
    labels = data.load().test_labels[:images]
    seeds, accuracy = {}, {}
    for model in models:
        found = {}
        for seed in _seeds(model, outputs):
            plan = Plan(model=model, train_seed=seed, images=images, replacement=replacement, source=source)
            parts = recorded_parts(plan.model_copy(update={"outputs": outputs}))
            if parts and len({part.record["weights"] for part in parts}) == 1:
                found[seed] = accuracies(parts, labels)
        if found:
            seeds[model], accuracy[model] = tuple(found), np.array([*found.values()])
    if not seeds:
        return None
    attacks = np.array([0, *(level for level in Plan(model=next(iter(seeds))).levels if level > 0)])
    return Trainings(tuple(seeds), attacks, images, seeds, accuracy)


def _seeds(model: str, outputs: Path) -> list[int]:
    stem = networks.file_stem(model, 0).removesuffix("0")
    ends = {path.parent.name.removeprefix(stem) for path in visible(outputs / "predictions", f"{stem}*/*.npz")}
    return sorted(int(end) for end in ends if end.isdecimal())


def recorded_parts(plan: Plan) -> list[Predictions]:
    """The clean images, then each noise, of the plan's images or else of all; empty if one is missing."""
    whole = plan.model_copy(update={"images": WHOLE})
    paths = []
    for noise in (CLEAN, *PAPER_NOISES):
        there = [path for path in (plan.part(noise).path, whole.part(noise).path) if path.is_file()]
        if not there:
            return []
        paths.append(there[0])
    return [Predictions.read(path) for path in paths]


def accuracies(parts: list[Predictions], labels: np.ndarray) -> np.ndarray:
    """Percent of the first `labels` that a training got right, (noises, levels), 0 attacks first.

    Args:
        parts: `recorded_parts`.
    """
    clean, *noisy = (100 * (part.predicted[:, : len(labels)] == labels).mean(axis=-1) for part in parts)
    return np.array([np.concatenate([clean, curve]) for curve in noisy])


def areas(trainings: Trainings) -> pd.DataFrame:
    """The area under the curve (percent) of each training: noise, model, seed, area."""
    rows = [
        (noise, model, seed, area)
        for number, noise in enumerate(PAPER_NOISES)
        for model in trainings.models
        for seed, area in zip(
            trainings.seeds[model],
            area_under_curve(trainings.accuracy[model][:, number], trainings.attacks),
            strict=True,
        )
    ]
    return pd.DataFrame(rows, columns=["noise", "model", "seed", "area"])


def pooled(values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, int]:
    """The variance between trainings of one network, from all the networks together, and its degrees of freedom.

    The mean square within groups of the one-way analysis of variance; networks with one training add nothing.

    Args:
        values: model -> (trainings, ...).

    Returns:
        (...), nan without degrees of freedom: if there is one training of each.
    """
    squares = sum(((each - each.mean(axis=0)) ** 2).sum(axis=0) for each in values.values())
    freedom = sum(len(each) - 1 for each in values.values())
    return squares / freedom if freedom else np.full_like(squares, np.nan), freedom


def weighted(values: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray, int]:
    """The weighted sum of the networks' means over trainings, its standard error, and the error's degrees of freedom.

    A network's variance between trainings is the `pooled` one, or its own where that is larger: the pooled one alone
    tells equal networks apart too often where one of them spreads farther than the rest (`tests/test_statements.py`).
    With one training of any of these networks the error is not known: what is said of a network rests on several.

    Args:
        values: model -> (trainings, ...); also of networks without a weight, from which the variance is `pooled`.
        weights: model -> its weight.

    Returns:
        (...), (...); the error is nan without degrees of freedom.
    """
    value = np.asarray(sum(weight * values[model].mean(axis=0) for model, weight in weights.items()))
    if any(len(values[model]) == 1 for model in weights):
        return value, np.full_like(value, np.nan), 0
    variance, freedom = pooled(values)
    own = {model: np.maximum(variance, values[model].var(axis=0, ddof=1)) for model in weights}
    return (
        value,
        np.sqrt(sum(weight**2 * own[model] / len(values[model]) for model, weight in weights.items())),
        freedom,
    )


def means(trainings: Trainings) -> pd.DataFrame:
    """The mean over trainings with its 95 % t interval, at every noise, network and level.

    The interval at a noise and level is that of `weighted`, with all the networks of `trainings`; its ends are nan for
    a network with one training.

    Columns: noise, model, attacks, trainings (how many), mean, low, high (percent).
    """
    tables = []
    for model, own in trainings.accuracy.items():
        mean, error, freedom = weighted(trainings.accuracy, {model: 1})  # (noises, levels)
        half = error * (t.ppf(0.975, freedom) if freedom else np.nan)
        for number, noise in enumerate(PAPER_NOISES):
            columns = {"attacks": trainings.attacks, "trainings": len(own), "mean": mean[number]}
            columns |= {"low": np.maximum(mean - half, 0)[number], "high": np.minimum(mean + half, 100)[number]}
            tables.append(pd.DataFrame({"noise": noise, "model": model} | columns))
    order = pd.concat(tables, ignore_index=True)
    return order.sort_values(
        "noise", key=lambda noises: noises.map(PAPER_NOISES.index), kind="stable", ignore_index=True
    )
