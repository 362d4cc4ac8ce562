"""What follows from the grid of readings: accuracies, distances to the paper, and what each option moves."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from lib import networks
from lib.evaluation.plan import CLEAN, USUAL_NOISES
from lib.evaluation.statistics import area_under_curve
from lib.noise import NOISES
from lib.paper import TABLE_1_LEVELS
from lib.readings.options import OPTIONS, Grid, Reading
from lib.readings.runs import AnswerFile
from lib.store.files import OUTPUTS

ROUNDING = 0.005  # points; the paper gives two decimals
CELL = ["noise", "attacks"]


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
    """`accuracies` with a row for each reading and seed and a column for each cell, such as `white_to_black 40`."""
    cells = np.where(table["noise"] == CLEAN, "clean", table["noise"] + " " + table["attacks"].astype(str))
    table = table.assign(cell=cells)
    order = table["cell"].drop_duplicates()
    found = table.pivot(index=["changes", "reading", *OPTIONS, "seed"], columns="cell", values="accuracy")
    return found[order].reset_index().rename_axis(columns=None)


def distances(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """How far each reading is from the paper, nearest first.

    The distance is the root mean square over the noisy cells of (mean over the training seeds - paper), in points. A
    reading that were the paper's would have the paper's network as one training more, so that in every cell
    (mean - paper) / (standard deviation over seeds x sqrt(1 + 1/seeds)) were Student's t with seeds - 1 degrees of
    freedom. A cell is outside if it is beyond t's 95 % quantile for all cells together (Bonferroni; the clean images
    are one of them) and the paper's rounding. A reading is consistent if no cell is outside, which the paper's own
    would miss with a probability of 5 % at most, however its cells hang together.

    Args:
        table: `accuracies`.
        paper: rows of `paper.read_table_1` for the network.

    Returns:
        Columns: reading, changes, seeds, clean (mean accuracy, percent), a column for each noise (the distance over its
        cells), distance, least and most (of the single trainings), behind (how much farther than the first, mean over
        the common seeds), half (of its 95 % interval, paired over seeds), outside (cells), consistent, alone (whether
        the distance alone would be: at most t's 95 % quantile x root mean square of the cells' standard deviations x
        sqrt(1 + 1/seeds), and the rounding); these three None with a single seed.
    """
    beside = table.merge(paper[[*CELL, "accuracy"]], on=CELL, how="left", suffixes=("", "_paper"))
    beside.loc[beside["attacks"] == 0, "accuracy_paper"] = paper.loc[paper["attacks"] == 0, "accuracy"].mean()
    rows, single = [], {}
    for (reading, changes), own in beside.groupby(["reading", "changes"], sort=False):
        ours = own.pivot(index="seed", columns=CELL, values="accuracy")  # (seeds, cells)
        apart = ours - own.drop_duplicates(CELL).set_index(CELL)["accuracy_paper"]
        noisy = apart.loc[:, apart.columns.get_level_values("attacks") > 0]
        single[reading] = pd.Series(_rms(noisy.to_numpy()), noisy.index)
        mean = noisy.mean().groupby("noise", sort=False).agg(lambda cells: _rms(cells.to_numpy()))
        distance, several = _rms(noisy.mean().to_numpy()), len(ours) > 1
        outside = int((apart.mean().abs() > room(ours)).sum()) if several else None
        limit = t.ppf(0.975, len(ours) - 1) * _rms(noisy.std().to_numpy()) * np.sqrt(1 + 1 / len(ours)) + ROUNDING
        rows.append(
            {"reading": reading, "changes": changes, "seeds": len(ours)}
            | {"clean": own.loc[own["attacks"] == 0, "accuracy"].mean()}
            | {noise: mean.get(noise, np.nan) for noise in USUAL_NOISES}
            | {"distance": distance, "least": single[reading].min(), "most": single[reading].max(), "outside": outside}
            | {"consistent": outside == 0 if several else None, "alone": distance <= limit if several else None}
        )
    ranked = pd.DataFrame(rows).sort_values("distance", kind="stable").reset_index(drop=True)
    behind = [(single[reading] - single[ranked["reading"].iloc[0]]).dropna() for reading in ranked["reading"]]
    return ranked.assign(behind=[own.mean() for own in behind], half=[half_width(own) for own in behind])


def room(ours: pd.DataFrame) -> pd.Series:
    """By how much the paper may differ from the mean of our trainings (seeds, cells), for each cell (points)."""
    seeds, cells = ours.shape
    return t.ppf(1 - 0.025 / cells, seeds - 1) * ours.std(ddof=1) * np.sqrt(1 + 1 / seeds) + ROUNDING


def envelope(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """What all the readings together can give: a row for every noisy cell.

    Columns: noise, attacks, paper, least and its reading, most and its reading (single trainings, percent), beyond
    (whether the paper, which is a single training too, lies outside of them all).
    """
    single = table[table["attacks"] > 0].sort_values("changes", kind="stable").groupby(CELL, sort=False)["accuracy"]
    least, most = table.loc[single.idxmin(), "reading"], table.loc[single.idxmax(), "reading"]
    ends = {"least": single.min(), "with": least.to_numpy(), "most": single.max(), "by": most.to_numpy()}
    found = pd.DataFrame(ends).reset_index()
    found = paper[[*CELL, "accuracy"]].rename(columns={"accuracy": "paper"}).merge(found, on=CELL)
    return found.assign(beyond=(found["paper"] < found["least"]) | (found["paper"] > found["most"]))


def by_option(moved: pd.DataFrame, table: pd.DataFrame, ranked: pd.DataFrame) -> pd.DataFrame:
    """The options by how much they move, the strongest first.

    Columns: option, value, the effect on each noise with all else as ours (points), size (their root mean square),
    farther (by how much it moves the distance to the paper, points; below 0: nearer), mean, nearest and farthest (the
    same over all pairs of readings that differ in this option alone); these only where `ranked`, `distances`, has rows.
    """
    found = moved.pivot(index=["option", "value"], columns="noise", values="effect").reindex(columns=list(USUAL_NOISES))
    found = found.fillna(0.0).assign(size=lambda effects: _rms(effects.to_numpy())).reset_index()
    if len(ranked):
        far = table.drop_duplicates("reading")[[*OPTIONS, "reading"]].merge(ranked)
        found = found.join(pd.DataFrame([_farther(far, row.option, row.value) for row in found.itertuples()]))
    return found.sort_values("size", ascending=False, ignore_index=True).rename_axis(columns=None)


def _farther(far: pd.DataFrame, option: str, value: str) -> dict[str, float]:
    others = [name for name in OPTIONS if name != option]
    usual = Reading().labels[option]
    pairs = far[far[option] == usual].merge(far[far[option] == value], on=others, suffixes=("", "_other"))
    by = pairs["distance_other"] - pairs["distance"]
    return {"farther": by[pairs["changes"] == 0].mean(), "mean": by.mean(), "nearest": by.min(), "farthest": by.max()}


def _rms(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).mean(axis=-1))


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
    rows = []
    for option, usual in Reading().labels.items():
        for value in mean.loc[mean[option] != usual, option].drop_duplicates():
            others = [*(name for name in OPTIONS if name != option), "seed", "noise"]
            pairs = mean[mean[option] == usual].merge(mean[mean[option] == value], on=others)
            pairs = pairs.assign(moved=pairs["accuracy_y"] - pairs["accuracy_x"]).sort_values(
                "changes_x", kind="stable"
            )
            pairs = pairs.drop_duplicates(["seed", "noise", "accuracy_x", "accuracy_y"])
            for noise, own in pairs.groupby("noise", sort=False):
                if not own["moved"].any():
                    continue
                each = own.groupby(others[:-2])["moved"].mean()
                alone = own.loc[own["changes_x"] == 0, "moved"]
                rows.append((option, value, noise, *_interval(alone), each.mean(), each.min(), each.max(), len(each)))
    columns = ["option", "value", "noise", "effect", "low", "high", "seeds", "mean", "least", "most", "pairs"]
    return pd.DataFrame(rows, columns=columns)


def half_width(values: pd.Series) -> float:
    """Half of the mean's 95 % interval by Student's t; empty for a single value."""
    n = len(values)
    return t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan


def _interval(values: pd.Series) -> tuple[float, float, float, int]:
    half = half_width(values)
    return values.mean(), values.mean() - half, values.mean() + half, len(values)


def swept(accuracy: pd.DataFrame, model: str, images: int) -> pd.DataFrame:
    """The rows of training seed 0 by our reading, with their accuracy (percent); none if there is no such sweep.

    Args:
        accuracy: `results.accuracy_table`.
    """
    own = accuracy.query("model == @model and train_seed == 0 and reading == 'default' and images == @images")
    usual = own["c"] == own["noise"].map({name: float(noise.c) for name, noise in NOISES.items()})
    return own[usual].assign(accuracy=100 * own["correct"] / images)


def spread_of_draws(accuracy: pd.DataFrame, model: str, images: int) -> tuple[int, float]:
    """Noise draws of one training (`swept`) and the spread of the accuracy over them, in points.

    The root mean square, over the noisy cells of Table 1, of the standard deviation over draws.
    """
    own = swept(accuracy, model, images)
    cells = own[own["attacks"].isin(TABLE_1_LEVELS)].pivot(index=CELL, columns="draw", values="accuracy")
    return cells.shape[1], float(_rms(cells.std(axis=1).to_numpy()))


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
        own = wide(table).drop(columns=["changes", "reading", *OPTIONS]).set_index("seed")  # (seeds, cells)
        for noise in USUAL_NOISES:
            curve = own[["clean", *(f"{noise} {attacks}" for attacks in TABLE_1_LEVELS[1:])]]
            own[noise] = area_under_curve(curve.to_numpy(), TABLE_1_LEVELS)
        own["foreground"] = own["white_to_black"] - own["black_to_white"]
        found.append(own.max() - own.min())
    return pd.concat(found, axis=1).max(axis=1).to_dict() if found else {}


def trainings_in_words(outputs: Path, models: Iterable[str]) -> str:
    """How far `trainings` are apart; else nothing."""
    found = []
    for model, table in trainings(outputs, models).items():
        cells = table[table["attacks"] > 0].groupby(CELL)["accuracy"]
        apart, by_noise = cells.max() - cells.min(), trainings_apart(outputs, [model])
        areas = ", ".join(f"{NOISES[noise].short} {by_noise[noise]:.1f}" for noise in USUAL_NOISES)
        found.append(
            f"{table['seed'].nunique()} trainings of {networks.title(model)} lie up to {apart.max():.1f} points apart "
            f"in one cell of Table 1, {apart.mean():.1f} in the mean, and in the area under the curve, taken "
            f"from the levels of Table 1, {areas}"
        )
    return (
        f"{'; '.join(found)}: by the same rule, each in a noise draw of its own (`readings.ipynb`). No interval over "
        "images and draws tells of that."
        if found
        else ""
    )


def beside_recorded(grid: Grid, recorded: Path = OUTPUTS) -> pd.DataFrame:
    """The grid's answers beside those recorded in another folder, cell by cell.

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
