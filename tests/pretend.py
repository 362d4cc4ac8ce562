"""Recorded predictions of networks that do not exist: whether an answer is right is drawn with a chance given here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import nn

from lib import networks
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
        _, attacked, _ = part.attack(digits, np.arange(images), levels.tolist())
        own = np.random.default_rng([part.recipe.get("draw", 0), *model.encode()]).normal(0, 0.05, attacked.shape)
        right = difficulty + own < chance(noise if noise != CLEAN else "edge_to_altered", levels)[:, None]
        predicted = np.where(right, labels, (labels + 1) % 10).astype(np.uint8)
        probability = right.astype(np.float16)
        Predictions(predicted, probability, attacked.astype(np.uint16), made_by | {"recipe": part.recipe}).write(
            part.path
        )
