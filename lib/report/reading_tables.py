"""Tables of what else than the drawing of pixels moves a network towards Table 1 or away from it."""

import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib import networks
from lib.analysis.trainings import Trainings, measure_trainings
from lib.evaluation.plan import CLEAN, USUAL_NOISES
from lib.noise import NOISES
from lib.paper import FIGURE_7, PAPER_NOISES, read_table_1
from lib.readings.matrix import LEVELS, NoiseReading
from lib.readings.matrix_distances import distance

SHORT = {name: noise.short for name, noise in NOISES.items()}
BEGINNINGS = {
    "ours": "by our rule: SGD at 0.01, batches of 64, MNIST's normalisation, 4 epochs",
    "fast": "SGD at 0.1, batches of 64, no normalisation, 1 epoch",
}
CHOICES = {
    "learning_rate": "learning rate",
    "batch_size": "batches of",
    "optimizer": "optimiser",
    "epochs": "epochs",
    "normalize": "normalisation",
    "channels": "input channels",
}


def fc_trainings(found: pd.DataFrame, readings: Sequence[NoiseReading]) -> pd.DataFrame:
    """`trainings.distances` as printed: a row for each training, its distance under each of these noise readings."""
    by = ["beginning", "change"]
    rows = {}
    for (beginning, change), own in found.groupby(by, sort=False):
        row = {"trainings": own["seeds"].iloc[0], "no noise (%)": f"{own['clean'].iloc[0]:.1f}"}
        for reading in readings:
            same = (own["replacement"] == reading.replacement) & (own["source"] == reading.source)
            row |= {way(reading): _range(own[same].iloc[0])}
        rows[BEGINNINGS[beginning], _changed(change)] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["begins with", "changed"])


def way(reading: NoiseReading) -> str:
    """Under which reading a distance was measured, in words."""
    return f"points, {reading.source} image"


def _changed(change: str) -> str:
    choice, _, value = change.partition(" ")
    return f"{CHOICES[choice]} {value}" if change else "-"


def _range(row: pd.Series) -> str:
    """Such as `14.9 (14.3 to 15.5)`; a single training has no range."""
    told = f"{row['distance']:.1f}"
    return f"{told} ({row['least']:.1f} to {row['most']:.1f})" if row["seeds"] > 1 else told


def nearest_training(found: pd.DataFrame, reading: NoiseReading) -> str:
    """How near FC comes to its entries of Table 1 by another training (`trainings.distances`, of one noise reading)."""
    own = found[(found["replacement"] == reading.replacement) & (found["source"] == reading.source)]
    ours, best = own[(own["beginning"] == "ours") & (own["change"] == "")].iloc[0], own.loc[own["distance"].idxmin()]
    fewest, most = own["seeds"].min(), own["seeds"].max()
    seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    near = own.drop(index=best.name).query("least <= @best.most")
    beside = "; ".join(f"{_way(row)}, {_range(row)}, {row['clean']:.1f} % without noise" for _, row in near.iterrows())
    return (
        f"Of the {len(own)} ways of training that are recorded (n = {seeds} of each) the nearest to the paper's fully "
        f"connected net is **{_way(best)}**: {_range(best)} points, where our rule has {_range(ours)}. "
        f"Without noise it is right on {best['clean']:.1f} % of these images, ours "
        f"on {ours['clean']:.1f} %; the paper's {_clean_of_fc():.1f} % is of all test images. "
        f"Some training of another way lies as near: {beside or 'of none'}."
    )


def _way(row: pd.Series) -> str:
    """`SGD at 0.1, batches of 64, no normalisation, 1 epoch, but epochs 2`: where it begins and what is changed."""
    return BEGINNINGS[row["beginning"]] + (f", but {_changed(row['change'])}" if row["change"] else "")


def _clean_of_fc() -> float:
    return read_table_1().query("model == 'fc' and attacks == 0")["accuracy"].mean()


def whole_networks(models: Sequence[str], outputs: Path, images: int, readings: Sequence[NoiseReading]) -> pd.DataFrame:
    """Every recorded training of some networks beside Table 1, under some noise readings.

    Columns: reading, model, seed, clean (percent), distance (points, over the paper's entries of this network; one with
    another stem is set beside the paper's network of that name). No rows of what is not recorded.
    """
    rows = []
    for reading, model in itertools.product(readings, models):
        with contextlib.suppress(FileNotFoundError):
            found = measure_trainings((model,), outputs, images, reading.replacement, reading.source)
            levels = [list(found.attacks).index(level) for level in LEVELS]
            for seed, accuracy in zip(found.seeds[model], found.accuracy[model], strict=True):
                table = pd.DataFrame(accuracy[:, levels], PAPER_NOISES, LEVELS).rename_axis("noise").reset_index()
                ours = table.melt("noise", var_name="attacks", value_name="accuracy")
                far = distance(ours.assign(model=model.removesuffix("_stem")))
                rows.append((way(reading), model, seed, accuracy[0, 0], far))
    return pd.DataFrame(rows, columns=["reading", "model", "seed", "clean", "distance"])


def by_training(found: pd.DataFrame) -> pd.DataFrame:
    """`whole_networks` as printed: the distance of each training, a column for each noise reading."""
    seed, clean = "seed " + found["seed"].astype(str), found["clean"].map("{:.1f}".format)
    told = found.assign(network=found["model"].map(networks.title), training=seed, clean=clean)
    told = told.sort_values("model", key=lambda models: models.map(list(dict.fromkeys(models)).index), kind="stable")
    rows = ["network", "training", "clean"]
    wide = told.set_index([*rows, "reading"])["distance"].unstack().map("{:.1f}".format).replace("nan", "")
    wide = wide.loc[[tuple(row) for row in told[rows].drop_duplicates().itertuples(index=False)]]
    return wide.rename_axis(["network", "training", "no noise (%)"]).rename_axis(columns=None)


def trainings_apart(found: pd.DataFrame, one: str, other: str, reading: NoiseReading) -> str:
    """Where the trainings of one network lie among those of another, by `whole_networks` under one noise reading."""
    own = found[found["reading"] == way(reading)]
    ours, theirs = (own[own["model"] == model]["distance"] for model in (one, other))
    among = ours.between(theirs.min(), theirs.max())
    return (
        f"{networks.title(one)}, by n = {len(ours)}: {_all(ours)} points from the paper's {networks.title(other)}. "
        f"Ours without that stem, by n = {len(theirs)}: {_all(theirs)}. Between these lie {among.sum()} of {len(ours)}."
    )


def _all(distances: pd.Series) -> str:
    return ", ".join(f"{distance:.1f}" for distance in distances)


def batch_statistics(by_batch: pd.DataFrame, measured: Trainings) -> pd.DataFrame:
    """Accuracy in percent without noise and at 200 attacks: the paper's, and ours by either kind of statistics.

    Args:
        by_batch: `batch_statistics.accuracies`.
        measured: of the same networks and images, by the statistics of the training.
    """
    rows, paper = {}, read_table_1()
    for model in by_batch["model"].unique():
        at = measured.accuracy[model][measured.seeds[model].index(0)]  # (noises, levels)
        usual = {CLEAN: at[0, 0]} | dict(zip(PAPER_NOISES, at[:, list(measured.attacks).index(200)], strict=True))
        printed = paper[paper["model"] == model]
        sides = {"the paper": _at_200(printed)} if len(printed) else {}
        sides |= {"ours, of the training": usual, "ours, of each batch": _at_200(by_batch[by_batch["model"] == model])}
        rows |= {(networks.title(model), name): side for name, side in sides.items()}
    found = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=[CLEAN, *USUAL_NOISES])
    shown = found.map("{:.1f}".format).replace("nan", "")
    return shown.rename(columns={CLEAN: "no noise"} | SHORT).rename_axis(
        [f"first n = {measured.images:,} images", "statistics"]
    )


def _at_200(table: pd.DataFrame) -> dict[str, float]:
    """By noise, `CLEAN` among them; the paper gives the clean accuracy as the level 0 of every noise."""
    noisy = table[table["attacks"] == 200].set_index("noise")["accuracy"].to_dict()
    clean = table.loc[table["attacks"] == 0, "accuracy"]
    return noisy | ({CLEAN: clean.mean()} if len(clean) else {})


def white(found: pd.DataFrame, first: pd.DataFrame, images: int) -> pd.DataFrame:
    """The distance of White to Black by either threshold: `white.distances`, and the same of the first test images.

    Args:
        first: `matrix_distances.distances` for the default's way of drawing.
        images: how many the first are.
    """
    own = first[(first["noise"] == "white_to_black") & (first["edges_c"] == 1.25)]
    wide = own.pivot(index="networks", columns="white_above", values="distance").reindex(FIGURE_7)
    some = {("all 10,000", f"b > {above}"): found.set_index("model")[f"above_{above}"] for above in (0, 100)}
    every = {(f"first {images:,}", f"b > {above}"): wide[above] for above in (0, 100)}
    table = pd.DataFrame(every | some).reindex(FIGURE_7).map("{:.1f}".format).replace("nan", "")
    return table.rename(index=networks.title).rename_axis(index=None)
