"""Recorded predictions of networks that do not exist: whether an answer is right is drawn with a chance given here."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from lib import networks
from lib.analysis.components import Cell, plan
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.sweep import Predictions
from lib.store import data
from lib.store.files import file_hash
from lib.training.recipe import Recipe

Chance = Callable[[str, np.ndarray], np.ndarray]  # noise, attacks (levels,) -> chance of a right answer (levels,)


def pretend(
    outputs: Path, model: str, chance: Chance, images: int, draws: int = 1, validation: float = 99.2, **recipe
) -> None:
    """Write a weights file with its record, and predictions for every noise; easy digits stay right the longest."""
    path = networks.weights_path(model, 0, outputs)
    history = {"recipe": Recipe(model=model, **recipe).model_dump(), "epochs": [{"epoch": 1, "accuracy": validation}]}
    networks.save_weights(networks.Net(nn.Linear(1, 1)), path, history)
    labels = data.load().test_labels[:images]
    digits = data.load().test_images[:images]
    made_by = {"model": model, "train_seed": 0, "weights": file_hash(path)}
    difficulty = np.random.default_rng(0).random(images)
    for part in Plan(model=model, images=images, draws=draws, outputs=outputs).parts():
        noise, levels = part.recipe["noise"], np.array(part.recipe["levels"])
        _, _, altered = part.attack(digits, np.arange(images), levels.tolist())
        own = np.random.default_rng([part.recipe.get("draw", 0), *model.encode()]).normal(0, 0.05, altered.shape)
        right = difficulty + own < chance(noise if noise != CLEAN else "edge_to_altered", levels)[:, None]
        predicted = np.where(right, labels, (labels + 1) % 10).astype(np.uint8)
        probability = right.astype(np.float16)
        Predictions(predicted, probability, altered.astype(np.uint16), made_by | {"recipe": part.recipe}).write(
            part.path
        )


def pretend_all(outputs: Path, models: Sequence[str]) -> None:
    """Sweeps of networks that do not exist."""
    for number, model in enumerate(models):
        pretend(outputs, model, lambda noise, x, n=number: 0.98 - (0.4 + n / 20) * x / 200, images=60)


def pretend_cell(outputs: Path, cell: Cell, seed: int, images: int, strength: float) -> None:
    """The record and the predictions of a training of `components`, of which no weights are kept.

    Args:
        strength: chance of a right answer after 200 attacks, from 1 without.
    """
    recipe = cell.training(seed, outputs)
    recipe.weights.parent.mkdir(parents=True, exist_ok=True)
    record = {"recipe": recipe.recorded, "weights": "hash", "epochs": [{"epoch": 1, "accuracy": 99.1}]}
    recipe.weights.with_suffix(".json").write_text(json.dumps(record))
    random = np.random.default_rng([seed, *cell.name.encode()])
    labels = data.load(recipe.dataset).test_labels[:images]
    for part in plan(recipe, images).parts():
        levels = np.array(part.recipe["levels"])
        right = random.random((len(levels), images)) < 1 - (1 - strength) * levels[:, None] / 200
        predicted = np.where(right, labels, (labels + 1) % 10).astype(np.uint8)
        made_by = {"model": cell.name, "train_seed": seed, "weights": "hash", "recipe": part.recipe}
        nothing = np.zeros(predicted.shape, np.uint16)
        Predictions(predicted, nothing.astype(np.float16), nothing, made_by).write(part.path)


def pretend_training(outputs: Path, model: str, images: int, seed: int = 0, **reading) -> None:
    """Predictions of one training, right or wrong by chance, without weights."""
    random = np.random.default_rng(seed)
    labels = data.load().test_labels[:images]
    for part in Plan(model=model, train_seed=seed, images=images, outputs=outputs, **reading).parts():
        shape = (len(part.recipe["levels"]), images)
        predicted = np.where(random.random(shape) < 0.7, labels, 0).astype(np.uint8)
        made_by = {"model": model, "train_seed": seed, "weights": "hash", "recipe": part.recipe}
        Predictions(predicted, np.zeros(shape, np.float16), np.zeros(shape, np.uint16), made_by).write(part.path)
