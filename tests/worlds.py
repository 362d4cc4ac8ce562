"""Trainings whose accuracies are given, and recorded predictions of networks that do not exist."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from lib import networks
from lib.evaluation.plan import Plan, SweepPart
from lib.evaluation.sweep import Predictions
from lib.experiments.declaration import Experiment
from lib.paper import LEVELS, PAPER_NOISES
from lib.statistics.curves import Trainings
from lib.store import data
from lib.store.files import file_hash
from lib.training.recipe import Recipe


def trainings(
    accuracy: Mapping[str, np.ndarray], attacks: Sequence[int] = LEVELS, families: Mapping[str, str] | None = None
) -> Trainings:
    """Of model -> (trainings, noises, levels) percent; all of one family unless families are given."""
    keys = [(model, seed) for model, own in accuracy.items() for seed in range(len(own))]
    rows = np.concatenate([np.asarray(own, float).reshape(len(own), -1) for own in accuracy.values()])
    columns = pd.MultiIndex.from_product([PAPER_NOISES, attacks], names=["noise", "attacks"])
    index = pd.MultiIndex.from_tuples(keys, names=["model", "seed"])
    alike = dict.fromkeys(accuracy, "one") if families is None else families
    return Trainings(tuple(accuracy), pd.DataFrame(rows, index, columns), 2_000, alike)


def flat(each: Mapping[str, Sequence[float]], families: Mapping[str, str] | None = None) -> Trainings:
    """Networks whose trainings have these accuracies at every level of every noise."""
    shape = len(PAPER_NOISES), len(LEVELS)
    accuracy = {m: np.broadcast_to(np.array(own, float)[:, None, None], (len(own), *shape)) for m, own in each.items()}
    return trainings(accuracy, families=families)


def pretend(outputs: Path, model: str, loss: float, images: int = 60) -> None:
    """A weights file with its record, and predictions for every noise; easy digits stay right the longest.

    The chance to be right falls by `loss` on the way to 200 attacks.
    """
    path = networks.weights_path(model, 0, outputs)
    history = {"recipe": Recipe(model=model).model_dump(), "epochs": [{"epoch": 1, "accuracy": 99.2}]}
    networks.save_weights(networks.Net(nn.Linear(1, 1)), path, history)
    digits, labels = data.load().test_images[:images], data.load().test_labels[:images]
    made_by = {"model": model, "train_seed": 0, "weights": file_hash(path)}
    difficulty = np.random.default_rng(0).random(images)
    for part in Plan(model=model, images=images, draws=1, outputs=outputs).parts():
        levels = np.array(part.recipe["levels"])[:, None]
        _, _, altered = part.attack(digits, np.arange(images), part.recipe["levels"])
        own = np.random.default_rng([0, *model.encode()]).normal(0, 0.05, altered.shape)
        _write(part, difficulty + own < 0.98 - loss * levels / 200, labels, made_by, altered)


def _write(part: SweepPart, right: np.ndarray, labels: np.ndarray, made_by: dict, altered: Any = 0) -> None:
    """Predictions (levels, images), of which these are right."""
    predicted = np.where(right, labels, (labels + 1) % 10).astype(np.uint8)
    pixels = np.broadcast_to(altered, right.shape).astype(np.uint16)
    Predictions(predicted, right.astype(np.float16), pixels, made_by | {"recipe": part.recipe}).write(part.path)


def pretend_all(outputs: Path, models: Sequence[str]) -> None:
    """Sweeps of networks that do not exist."""
    for number, model in enumerate(models):
        pretend(outputs, model, loss=0.4 + number / 20)


def pretend_training(outputs: Path, recipe: Recipe, images: int, strength: float = 0.5, **reading) -> None:
    """The record and the predictions of a training without weights; `strength`: chance to be right at 200 attacks."""
    recipe.weights.parent.mkdir(parents=True, exist_ok=True)
    record = {"recipe": recipe.recorded, "weights": "hash", "epochs": [{"epoch": 1, "accuracy": 99.1}]}
    recipe.weights.with_suffix(".json").write_text(json.dumps(record))
    random = np.random.default_rng([recipe.seed, *recipe.model.encode()])
    labels = data.load(recipe.dataset).test_labels[:images]
    asked = {"model": recipe.model, "train_seed": recipe.seed, "dataset": recipe.dataset, "outputs": recipe.outputs}
    for part in Plan(images=images, **asked, **reading).parts():
        levels = np.array(part.recipe["levels"])
        right = random.random((len(levels), images)) < 1 - (1 - strength) * levels[:, None] / 200
        _write(part, right, labels, {"model": recipe.model, "train_seed": recipe.seed, "weights": "hash"})


def pretend_experiment(outputs: Path, experiment: Experiment, images: int, seeds: int = 2) -> None:
    """Trainings of all networks of an experiment, the later ones of higher accuracy."""
    for number, model in enumerate(experiment.models):
        for seed in range(seeds):
            pretend_training(outputs, experiment.training(model, seed, outputs), images, 0.2 + 0.03 * number)
