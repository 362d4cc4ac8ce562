"""What follows from the grid of readings: accuracies, and what each option moves."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from lib.evaluation.plan import CLEAN, USUAL_NOISES
from lib.evaluation.statistics import area_under_curve
from lib.paper import TABLE_1_LEVELS
from lib.readings.answers import AnswerFile
from lib.readings.options import OPTIONS, Grid, Reading
from lib.store.files import OUTPUTS, write_derived

CELL = ["noise", "attacks"]  # an entry of Table 1


def accuracies(grid: Grid) -> pd.DataFrame:
    """A row for every recorded reading, training seed, noise and level of the grid.

    Columns: the options (as text), reading (its name), changes (options that are not ours), seed, noise ("none" for the
    clean images), attacks, images, correct, accuracy (percent), pixels_attacked (mean an image). A reading of which
    something is missing is left out for that seed.
    """
    rows = []
    files: dict[Path, AnswerFile] = {}
    for reading, seed in itertools.product(grid.readings(), grid.seeds):
        path = grid.answers_path(reading, seed)
        answers = files.setdefault(path, AnswerFile.read(path))
        parts = grid.parts(reading, seed)
        if not all(answers.holds(part, None) for part in parts):
            continue
        about = reading.labels | {"reading": reading.name, "changes": len(reading.changes), "seed": seed}
        for part in parts:
            right = (answers.errors[part.path.stem] == 0).sum(axis=1)  # (levels,)
            pixels = answers.records[part.path.stem]["pixels_attacked"]
            for level, attacks in enumerate(part.recipe["levels"]):
                cell = {"noise": part.recipe["noise"], "attacks": attacks, "images": grid.images}
                counted = {"correct": int(right[level]), "pixels_attacked": pixels[level] / grid.images}
                rows.append(about | cell | counted)
    columns = [*OPTIONS, "reading", "changes", "seed", *CELL, "images", "correct", "pixels_attacked"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(accuracy=100 * table["correct"] / table["images"])


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """`accuracies` with a row for each reading and seed and a column for each entry, such as `white_to_black 40`."""
    cells = np.where(table["noise"] == CLEAN, "clean", table["noise"] + " " + table["attacks"].astype(str))
    table = table.assign(cell=cells)
    order = table["cell"].drop_duplicates()
    found = table.pivot(index=["changes", "reading", *OPTIONS, "seed"], columns="cell", values="accuracy")
    return found[order].reset_index().rename_axis(columns=None)


def write(table: pd.DataFrame, path: Path) -> None:
    """`wide` as a file with two decimals, where this user may write it."""
    found = wide(table).round(2)
    write_derived(path, lambda file: found.to_csv(file, index=False, lineterminator="\n"))


def main_effects(table: pd.DataFrame) -> pd.DataFrame:
    """By how many points each option moves each noise, against our own value of it.

    Every pair of recorded readings that differ in this option alone, for the same training seed; accuracy is the mean
    over the noisy levels. Pairs that are the same in all answers count once, and a noise that an option cannot touch
    has no row for it.

    Returns:
        Columns: option, value, noise; effect, low, high: with all other options as ours, mean over the seeds and its
        95 % interval (t; empty where not recorded or with one seed); mean, least, most: over all pairs, each a mean
        over seeds; pairs, seeds.
    """
    noisy = table[table["attacks"] > 0]
    mean = noisy.groupby([*OPTIONS, "changes", "seed", "noise"], sort=False)["accuracy"].mean().reset_index()
    columns = ["option", "value", "noise", "effect", "low", "high", "seeds", "mean", "least", "most", "pairs"]
    rows = []
    for option, value in _other_values(mean):
        pairs = _pairs(mean, option, value, ["seed", "noise"]).sort_values("changes", kind="stable")
        pairs = pairs.drop_duplicates(["seed", "noise", "accuracy", "accuracy_other"])
        pairs["moved"] = pairs["accuracy_other"] - pairs["accuracy"]
        for noise, own in pairs.groupby("noise", sort=False):
            if own["moved"].any():
                each = own.groupby(_others(option))["moved"].mean()
                alone = own.loc[own["changes"] == 0, "moved"]
                effect, half = alone.mean(), half_width(alone)
                interval = effect, effect - half, effect + half, len(alone)
                rows.append((option, value, noise, *interval, each.mean(), each.min(), each.max(), len(each)))
    return pd.DataFrame(rows, columns=columns)


def by_option(moved: pd.DataFrame, table: pd.DataFrame, ranked: pd.DataFrame) -> pd.DataFrame:
    """The options by how much they move, the strongest first.

    Columns: option, value, the effect on each noise with all else as ours (points), size (their root mean square),
    farther (by how much it moves the distance to the paper, points; below 0: nearer), mean, nearest and farthest (the
    same over all pairs of readings that differ in this option alone); these four only where `ranked`,
    `distance.to_paper`, has rows.
    """
    found = moved.pivot(index=["option", "value"], columns="noise", values="effect").reindex(columns=list(USUAL_NOISES))
    found = found.fillna(0.0)
    found["size"] = found.apply(rms, axis=1)
    found = found.reset_index().rename_axis(columns=None)
    if len(ranked):
        far = table.drop_duplicates("reading")[[*OPTIONS, "reading"]].merge(ranked)
        found = found.join(pd.DataFrame([_farther(far, row.option, row.value) for row in found.itertuples()]))
    return found.sort_values("size", ascending=False, ignore_index=True)


def _farther(far: pd.DataFrame, option: str, value: str) -> dict[str, float]:
    pairs = _pairs(far, option, value)
    by = pairs["distance_other"] - pairs["distance"]
    return {"farther": by[pairs["changes"] == 0].mean(), "mean": by.mean(), "nearest": by.min(), "farthest": by.max()}


def _others(option: str) -> list[str]:
    return [name for name in OPTIONS if name != option]


def _other_values(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Every option with each recorded value that is not ours."""
    ours = Reading().labels
    return [(option, value) for option in OPTIONS for value in rows[option].unique() if value != ours[option]]


def _pairs(rows: pd.DataFrame, option: str, value: str, alike: Iterable[str] = ()) -> pd.DataFrame:
    """Rows that differ in this option alone, side by side: with our value of it, and (`_other`) with this one."""
    usual = Reading().labels[option]
    on = [*_others(option), *alike]
    return rows[rows[option] == usual].merge(rows[rows[option] == value], on=on, suffixes=("", "_other"))


def rms(values: pd.Series) -> float:
    return float(np.sqrt((values.to_numpy() ** 2).mean()))


def half_width(values: pd.Series) -> float:
    """Half of the mean's 95 % interval by Student's t; empty for a single value."""
    n = len(values)
    return t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan


def trainings(outputs: Path, models: Iterable[str]) -> dict[str, pd.DataFrame]:
    """`accuracies` by our reading, of the networks that the grids have several trainings of."""
    found = {model: accuracies(Grid(model=model, changes=0, outputs=outputs)) for model in models}
    return {model: table for model, table in found.items() if table["seed"].nunique() > 1}


def trainings_apart(outputs: Path, models: Iterable[str]) -> dict[str, float]:
    """How far `trainings` of one network lie apart at most, in points; empty if there are none.

    Keys: a noise (area under the curve at the levels of Table 1), `noise 40` and so on (accuracy there), and
    `foreground` (the area under White to Black less that under Black to White).
    """
    found = []
    for table in trainings(outputs, models).values():
        own = wide(table).drop(columns=["changes", "reading", *OPTIONS]).set_index("seed")  # (seeds, entries)
        for noise in USUAL_NOISES:
            curve = own[["clean", *(f"{noise} {attacks}" for attacks in TABLE_1_LEVELS[1:])]]
            own[noise] = area_under_curve(curve.to_numpy(), np.array(TABLE_1_LEVELS))
        own["foreground"] = own["white_to_black"] - own["black_to_white"]
        found.append(own.max() - own.min())
    return pd.concat(found, axis=1).max(axis=1).to_dict() if found else {}


def beside_recorded(grid: Grid, recorded: Path = OUTPUTS) -> pd.DataFrame:
    """The grid's answers beside those recorded in another folder, part by part.

    Columns: model, seed, part, answers (images x levels), different (of them), difference (of the
    accuracies in points, the largest over the levels). Empty where nothing is recorded in both.
    """
    other = grid.model_copy(update={"outputs": recorded})
    rows, seen = [], set()
    for reading, seed in itertools.product(grid.readings(), grid.seeds):
        one, two = (AnswerFile.read(each.answers_path(reading, seed)) for each in (grid, other))
        for part in grid.parts(reading, seed):
            name, model = part.path.stem, grid.recipe(reading, seed).model
            if name in one.errors and name in two.errors and (model, seed, name) not in seen:
                seen.add((model, seed, name))
                a, b = one.errors[name], two.errors[name]
                moved = 100 * np.abs((a == 0).mean(axis=1) - (b == 0).mean(axis=1)).max()
                rows.append((model, seed, name, a.size, int((a != b).sum()), moved))
    return pd.DataFrame(rows, columns=["model", "seed", "part", "answers", "different", "difference"])
