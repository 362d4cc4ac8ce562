"""From recorded predictions to accuracies: one table of all of them, and the paper's own numbers beside one sweep."""

import contextlib
import glob
from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation.bundle import Bundle
from lib.evaluation.plan import CLEAN, UNNAMED, WHITE, Plan, SweepPart
from lib.evaluation.sweep import Predictions
from lib.paper import read_table_1
from lib.store import data
from lib.store.files import OUTPUTS, lock, may_write, visible, write_derived
from lib.store.parts import kept_record, weights_hash
from lib.training.recipe import Recipe

COUNTS = (2_000, 10_000)  # the test images, counted from the first, of the accuracies that are published
READING = ["replacement", "source", "white_above", "space"]
READING += ["statistics", "adapted_on", "adapted_to", "restored", "bfloat16"]
KEYS = ["model", "seed", "dataset", *READING, "noise", "c", "attacks", "draw", "images"]
COLUMNS = ["model", "recipe", *KEYS[1:], "correct", "pixels_altered", "short"]  # described in outputs/README.md


def interval(correct: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of the accuracy in percent, over test images and noise draws, not over training seeds.

    Of `correct` (draws, images) bool. Paper: none. Wilson's score interval (Wilson 1927) with the effective sample size
    of clustered samples (Korn and Graubard 1998), since the draws of one image go together.
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
    """Every recorded accuracy, a row for each combination of `KEYS`; `outputs/README.md` describes the columns.

    The accuracy without noise is listed once for each reading of the images, as noise "none" at 0 attacks. Readings of
    the noise under which a noise's pixels are the same are listed under one name.

    `images` are numbers of test images, counted from the first; a file of more of them gives these accuracies too. By
    default they are `COUNTS`, or as many as a file has. `models`: only these networks. Raises ValueError if predictions
    were made by other weights than those on disk or in the record of the training.
    """
    rows, known = [], {}
    for path in _files(outputs, models):
        for shared, made_by, levels in _counted(path, path.stat().st_mtime_ns, tuple(images)):
            if models is not None and shared["model"] not in models:
                continue
            # the results' folder: of predictions/STEM/NAME.npz or readings/NAME/STEM.npz
            weights = networks.weights_path(shared["model"], shared["seed"], path.parents[2])
            if weights not in known:
                record = kept_record(weights) or {}
                short = Recipe.of(record).is_short(record["epochs"]) if "epochs" in record else np.nan
                known[weights] = weights_hash(weights), short
            of_weights, short = known[weights]
            if of_weights not in (made_by, None):
                raise ValueError(
                    f"{path} holds predictions of other weights than {weights.with_suffix('.json')} names: delete "
                    "them, or restore the weights and the record that they belong to"
                )
            rows += [shared | level | {"short": short} for level in levels]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.drop_duplicates(KEYS).sort_values(KEYS, na_position="first", ignore_index=True)  # sweeps come first


def _files(outputs: Path, models: Collection[str] | None) -> list[Path]:
    """Files of predictions, then bundles, also those of an experiment whose results lie in a folder of their own."""
    stems = ["*"] if models is None else [glob.escape(networks.file_stem(model, 0)[:-1]) + "*" for model in models]
    patterns = ("predictions/{}/*.npz", "**/readings/*/{}.npz")
    found = (path for each in patterns for stem in stems for path in visible(outputs, each.format(stem)))
    return list(dict.fromkeys(found))


@cache
def _counted(path: Path, changed: int, images: tuple[int, ...]) -> list[tuple[dict, str, list[dict]]]:
    """Of each part in a file `changed` then: the columns that its rows share, its weights' hash, the other columns."""
    parts = []
    if path.parts[-3] == "predictions":
        own = Predictions.read(path)
        recipe = own.record["recipe"]
        if path == SweepPart(path.parent, recipe).path:  # no copy of a file
            labels = data.load((UNNAMED | recipe)["dataset"]).test_labels[: recipe["images"]]
            parts = [(own.record, own.predicted == labels, own.pixels)]
    else:
        bundle = Bundle.read(path)
        parts = [(bundle.records[name], errors == 0, None) for name, errors in bundle.errors.items()]
    found = []
    for record, correct, pixels in parts:
        most = correct.shape[1]
        levels = []
        for count in images or (COUNTS if most in COUNTS else (most,)):
            for level, attacks in enumerate(record["recipe"]["levels"] if count <= most else []):
                altered = record["altered"][level] if pixels is None else pixels[level, :count].mean()
                counts = {"correct": int(correct[level, :count].sum()), "pixels_altered": round(float(altered), 4)}
                levels.append({"images": count, "attacks": attacks} | counts)
        found.append((about(record), record["weights"], levels))
    return found


def about(record: dict) -> dict:
    """The columns of `accuracies` that all levels of a recorded part have in common."""
    recipe = UNNAMED | record["recipe"]
    part = SweepPart(Path(), recipe)
    replacement, source = (np.nan, np.nan) if recipe["noise"] == CLEAN else part.reading
    return {
        "model": record["model"],
        "recipe": record["model"].partition("@")[2] or "paper",
        "seed": record["train_seed"],
        "dataset": recipe["dataset"],
        "replacement": replacement,
        "source": source,
        "white_above": recipe["white_above"] if recipe["noise"] == WHITE else None,
        "space": recipe["space"],
        "statistics": part.statistics,
        "adapted_on": recipe.get("adapted_on", np.nan),
        "adapted_to": recipe["adapted_to"] if "adapted_on" in recipe else None,
        "restored": recipe["restored"] if part.statistics == "moments" else None,
        "bfloat16": recipe.get("bfloat16", False),
        "noise": recipe["noise"],
        "c": recipe.get("c"),
        "draw": recipe.get("draw", 0),
    }


def write_accuracy(outputs: Path = OUTPUTS) -> Path:
    """Derive `accuracy.csv` from all recorded predictions, where this user may write it; its path."""
    path = outputs / "accuracy.csv"
    with lock(path) if may_write(path) else contextlib.nullcontext():
        write_derived(path, lambda file: accuracies(outputs).to_csv(file, index=False, lineterminator="\n"))
    return path


def curves(plan: Plan) -> pd.DataFrame:
    """Accuracy at every level of a recorded plan, all its draws together.

    Paper: Figures 7 and 8. Rows: noise, attacks, accuracy, low, high (percent, `interval`), images, draws,
    pixels_altered (mean an image). Level 0 stands once for every noise.
    """
    labels = data.load(plan.dataset).test_labels[: plan.images]
    clean, *attacked = (Predictions.read(part.path) for part in plan.parts())
    rows = []
    for noise in plan.noises:
        draws = [draw for draw in attacked if draw.record["recipe"]["noise"] == noise]
        levels = enumerate(level for level in plan.levels if level > 0)
        for attacks, row, some in [(0, 0, [clean]), *((attacks, row, draws) for row, attacks in levels)]:
            correct = np.stack([draw.predicted[row] == labels for draw in some])  # (draws, images)
            pixels = float(np.mean([draw.pixels[row] for draw in some]))
            accuracy = (100 * correct.mean(), *interval(correct))
            rows.append((noise, attacks, *accuracy, plan.images, len(some), pixels))
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
    Raises ValueError if the plan has no such noise or level.
    """
    levels = plan.part(noise).recipe["levels"]
    if noise not in plan.noises or attacks not in levels:
        raise ValueError(f"no {attacks} attacks of {noise!r}; choose from {levels} and {', '.join(plan.noises)}")
    labels, row = data.load(plan.dataset).test_labels[: plan.images], levels.index(attacks)
    clean, noisy = (Predictions.read(plan.part(name).path) for name in (CLEAN, noise))
    found = {"label": labels, "predicted": noisy.predicted[row], "probability": noisy.probability[row].astype(float)}
    table = pd.DataFrame(found)[(clean.predicted[0] == labels) & (noisy.predicted[row] != labels)]
    return table.rename_axis("image").reset_index()
