"""From recorded predictions to accuracies: one table of all of them, and the paper's own numbers beside one sweep."""

import contextlib
import glob
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation.bundle import Bundle
from lib.evaluation.plan import CLEAN, UNNAMED, Plan, SweepPart
from lib.evaluation.sweep import Predictions
from lib.paper import read_table_1
from lib.store import data
from lib.store.files import OUTPUTS, lock, may_write, visible, write_derived
from lib.store.parts import weights_hash

COUNTS = (2_000, 10_000)  # the test images, counted from the first, of the accuracies that are published
READING = [
    "replacement",
    "source",
    "white_above",
    "space",
    "statistics",
    "adapted_on",
    "adapted_to",
    "restored",
    "bfloat16",
]
KEYS = ["model", "seed", "dataset", *READING, "noise", "c", "attacks", "draw", "images"]
COLUMNS = ["model", "recipe", *KEYS[1:], "correct", "pixels_altered"]  # described in outputs/README.md


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


def accuracies(
    outputs: Path = OUTPUTS, images: Collection[int] = (), models: Collection[str] | None = None
) -> pd.DataFrame:
    """Every recorded accuracy, a row for each combination of `KEYS`.

    `correct` of the first `images` test images are classified correctly; `pixels_altered` is the mean of these images.
    The accuracy without noise is listed once for each reading of the images, as noise "none" at 0 attacks. Readings of
    the noise under which a noise's pixels are the same are listed under one name. `outputs/README.md` describes the
    columns.

    Args:
        images: numbers of test images, counted from the first; a file of more of them gives these accuracies too. By
            default `COUNTS`, or as many as a file has.
        models: only these networks; None: all.

    Raises:
        ValueError: if predictions were made by other weights than those on disk or in the record of the training.
    """
    rows = []
    for record, correct, altered in _recorded(outputs, models):
        most = correct.shape[1]
        for count in images or (COUNTS if most in COUNTS else (most,)):
            if count <= most:
                shared = about(record) | {"images": count}
                for level, attacks in enumerate(record["recipe"]["levels"]):
                    pixels = altered[level][:count].mean() if altered.ndim == 2 else altered[level]
                    right = int(correct[level, :count].sum())
                    rows.append(
                        shared | {"attacks": attacks, "correct": right, "pixels_altered": round(float(pixels), 4)}
                    )
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.drop_duplicates(KEYS).sort_values(KEYS, na_position="first", ignore_index=True)  # sweeps come first


@cache
def _labels(dataset: str) -> np.ndarray:
    return data.load(dataset).test_labels


def about(record: dict) -> dict:
    """The columns of `accuracies` that all levels of a recorded part have in common."""
    recipe = UNNAMED | record["recipe"]
    noisy, statistics = recipe["noise"] != CLEAN, SweepPart(Path(), recipe).statistics
    replacement, source = SweepPart(Path(), recipe).reading if noisy else (np.nan, np.nan)
    return {
        "model": record["model"],
        "recipe": record["model"].partition("@")[2] or "paper",
        "seed": record["train_seed"],
        "dataset": recipe["dataset"],
        "replacement": replacement,
        "source": source,
        "white_above": recipe["white_above"] if recipe["noise"] == "white_to_black" else None,
        "space": recipe["space"],
        "statistics": statistics,
        "adapted_on": recipe.get("adapted_on", np.nan),
        "adapted_to": recipe["adapted_to"] if "adapted_on" in recipe else None,
        "restored": recipe["restored"] if statistics == "moments" else None,
        "bfloat16": recipe.get("bfloat16", False),
        "noise": recipe["noise"],
        "c": recipe.get("c"),
        "draw": recipe.get("draw", 0),
    }


def _recorded(outputs: Path, models: Collection[str] | None) -> Iterator[tuple[dict, np.ndarray, np.ndarray]]:
    """The record of each part, whether each prediction is correct (levels, images), and pixels altered.

    The pixels are (levels, images), or (levels,) means where a file has no more.
    """
    hashes: dict[Path, str | None] = {}

    def made(record: dict, path: Path, folder: Path) -> bool:
        weights = networks.weights_path(record["model"], record["train_seed"], folder)
        if weights not in hashes:
            hashes[weights] = weights_hash(weights)
        if hashes[weights] not in (record["weights"], None):
            raise ValueError(
                f"{path} holds predictions of other weights than {weights.with_suffix('.json')} names: delete them, "
                "or restore the weights and the record that they belong to"
            )
        return models is None or record["model"] in models

    for path in _files(outputs, "predictions/{stem}/*.npz", models):
        found = Predictions.read(path)
        recipe = found.record["recipe"]
        if path == SweepPart(path.parent, recipe).path and made(found.record, path, outputs):  # no copy of a file
            labels = _labels(recipe.get("dataset", UNNAMED["dataset"]))[: recipe["images"]]
            yield found.record, found.predicted == labels, found.pixels
    bundles = ("readings/*/{stem}.npz", "readings/trainings/readings/*/{stem}.npz")
    for path in [path for pattern in bundles for path in _files(outputs, pattern, models)]:
        folder = outputs / "readings" / "trainings" if "trainings" in path.relative_to(outputs).parts else outputs
        bundle = Bundle.read(path)
        for name, record in bundle.records.items():
            if made(record, path, folder):
                yield record, bundle.errors[name] == 0, np.array(record["altered"])


def _files(outputs: Path, pattern: str, models: Collection[str] | None) -> list[Path]:
    stems = ["*"] if models is None else [networks.file_stem(model, 0)[:-1] + "*" for model in models]
    found = {path for stem in stems for path in visible(outputs, pattern.format(stem=glob.escape(stem[:-1]) + "*"))}
    return sorted(found)


def write_accuracy(outputs: Path = OUTPUTS) -> Path:
    """Derive `accuracy.csv` from all recorded predictions, where this user may write it; its path."""
    path = outputs / "accuracy.csv"

    def write(file: BinaryIO) -> None:
        accuracies(outputs).to_csv(file, index=False, lineterminator="\n")

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
