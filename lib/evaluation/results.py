"""From recorded predictions to accuracies with intervals, and the paper's own numbers beside them."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation.plan import CLEAN, UNNAMED, Plan, SweepPart
from lib.evaluation.sweep import Predictions
from lib.paper import read_table_1
from lib.store import data
from lib.store.files import OUTPUTS, lock, may_write, visible, write_derived
from lib.store.parts import weights_hash

KEYS = ["model", "train_seed", "noise", "c", "attacks", "draw", "images", "reading"]


def interval(correct: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of the accuracy in percent, over test images and noise draws, not over training seeds.

    Paper: none. Wilson's score interval (Wilson 1927) with the effective sample size of clustered samples (Korn and
    Graubard 1998): the draws of one image go together, so the variance is that of the images' means. With one draw
    it is Wilson's interval itself.

    Args:
        correct: (draws, images) bool.
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    means = correct.mean(axis=0)
    p = means.mean()
    n = len(means) * p * (1 - p) / means.var() if means.var() > 0 else len(means)
    low, high = proportion_confint(p * n, n, method="wilson")
    return 100 * float(low), 100 * float(high)


def accuracy_table(outputs: Path = OUTPUTS) -> pd.DataFrame:
    """A row for every recorded combination of KEYS, and two counts.

    `correct` of the `images` were classified rightly; `pixels_altered` is the total over all of them. Attacks = 0 is
    measured once, as noise "none" without c. `reading` says how the noise was read (`replacement=True source=clean`),
    under one name where several give the same pixels. Predictions by other weights than those on disk are left out,
    not those whose weights are not kept.
    """
    rows = []
    for predictions in _recorded(outputs):
        record, recipe = predictions.record, predictions.record["recipe"]
        labels = _labels(recipe.get("dataset", UNNAMED["dataset"]))[: recipe["images"]]
        correct = predictions.predicted == labels  # (levels, images)
        for level, attacks in enumerate(recipe["levels"]):
            rows.append(
                {
                    "model": record["model"],
                    "train_seed": record["train_seed"],
                    "noise": recipe["noise"],
                    "c": recipe.get("c"),
                    "attacks": attacks,
                    "draw": recipe.get("draw", 0),
                    "images": recipe["images"],
                    "reading": reading(recipe),
                    "correct": int(correct[level].sum()),
                    "pixels_altered": int(predictions.pixels[level].sum()),
                }
            )
    table = pd.DataFrame(rows, columns=[*KEYS, "correct", "pixels_altered"])
    return table.sort_values(KEYS).drop_duplicates(KEYS).reset_index(drop=True)


@cache
def _labels(dataset: str) -> np.ndarray:
    return data.load(dataset).test_labels


def reading(recipe: dict) -> str:
    """How the noise of a recorded part was read, such as `replacement=True source=clean white_above=100`."""
    told = dict(zip(("replacement", "source"), SweepPart(Path(), recipe).drawing, strict=True))
    told = told if recipe["noise"] != CLEAN else {}
    usual = UNNAMED | {"bfloat16": False}
    keys = ("space", "white_above", "bfloat16", "dataset", "statistics", "adapted_on")
    others = [key for key in keys if recipe.get(key, usual.get(key)) != usual.get(key)]
    told |= {key: recipe[key] for key in others}
    return " ".join(f"{key}={value}" for key, value in told.items()) or "no noise"


def _recorded(outputs: Path) -> Iterator[Predictions]:
    hashes = {}
    for path in visible(outputs / "predictions", "*/*.npz"):
        predictions = Predictions.read(path)
        if path != SweepPart(path.parent, predictions.record["recipe"]).path:
            continue  # a copy under another name
        weights = networks.weights_path(predictions.record["model"], predictions.record["train_seed"], outputs)
        if weights not in hashes:
            hashes[weights] = weights_hash(weights)
        if hashes[weights] in (predictions.record["weights"], None):
            yield predictions


def write_accuracy(outputs: Path = OUTPUTS) -> Path:
    """Derive `accuracy.csv` from all recorded predictions, where this user may write it; its path."""
    path = outputs / "accuracy.csv"

    def write(file: BinaryIO) -> None:
        accuracy_table(outputs).to_csv(file, index=False, lineterminator="\n")

    with lock(path) if may_write(path) else contextlib.nullcontext():
        write_derived(path, write)
    return path


def curves(plan: Plan) -> pd.DataFrame:
    """Accuracy at every level of a recorded plan, all its draws together.

    Paper: Figures 7 and 8. Rows: noise, attacks, accuracy, low, high (percent, `interval`), images, draws,
    pixels_altered (mean an image). Level 0 stands once for every noise.
    """
    labels = _labels(plan.dataset)[: plan.images]
    clean, *attacked = (Predictions.read(part.path) for part in plan.parts())
    rows = []

    def add(noise: str, attacks: int, draws: list[Predictions], row: int) -> None:
        correct = np.stack([draw.predicted[row] == labels for draw in draws])  # (draws, images)
        low, high = interval(correct)
        pixels = float(np.mean([draw.pixels[row] for draw in draws]))
        rows.append((noise, attacks, 100 * correct.mean(), low, high, plan.images, len(draws), pixels))

    for noise in plan.noises:
        add(noise, 0, [clean], 0)
        draws = [draw for draw in attacked if draw.record["recipe"]["noise"] == noise]
        for row, attacks in enumerate(level for level in plan.levels if level > 0):
            add(noise, attacks, draws, row)
    columns = ["noise", "attacks", "accuracy", "low", "high", "images", "draws", "pixels_altered"]
    return pd.DataFrame(rows, columns=columns)


def beside_paper(curves: pd.DataFrame, model: str) -> pd.DataFrame:
    """A network's curves at the levels of the paper's Table 1, with the paper's accuracies beside them.

    Columns: noise, attacks, ours (percent), low, high, paper, difference (ours - paper). Empty where the paper has
    neither the network nor the level.
    """
    paper = read_table_1().query("model == @model").drop(columns="model").rename(columns={"accuracy": "paper"})
    ours = curves[["noise", "attacks", "accuracy", "low", "high"]].rename(columns={"accuracy": "ours"})
    table = ours.merge(paper, on=["noise", "attacks"])
    return table.assign(difference=table["ours"] - table["paper"])


def fooled(plan: Plan, noise: str, attacks: int) -> pd.DataFrame:
    """Test images that are right at 0 attacks and wrong at `attacks`, in draw 0, like the paper's Figure 1.

    Columns: image (its number in the test set), label, predicted (at `attacks`), probability (of the true class there).

    Raises:
        ValueError: if the plan has no such noise or level.
    """
    levels = plan.part(noise).recipe["levels"]
    if noise not in plan.noises or attacks not in levels:
        raise ValueError(f"no {attacks} attacks of {noise!r}; choose from {levels} and {', '.join(plan.noises)}")
    labels = _labels(plan.dataset)[: plan.images]
    clean, noisy = Predictions.read(plan.part(CLEAN).path), Predictions.read(plan.part(noise).path)
    row = levels.index(attacks)
    index = np.flatnonzero((clean.predicted[0] == labels) & (noisy.predicted[row] != labels))
    return pd.DataFrame(
        {
            "image": index,
            "label": labels[index],
            "predicted": noisy.predicted[row, index],
            "probability": noisy.probability[row, index].astype(float),
        }
    )
