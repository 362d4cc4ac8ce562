"""How near our accuracies come to the paper's Table 1: under each reading of the noise, and in each training.

The rule, written down before the numbers were known: the default is the reading with the smallest root mean square of
our accuracies minus the paper's over the 80 noisy entries of Table 1 (five networks, four noises, four levels).
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.evaluation.bundle import Bundle
from lib.evaluation.readings import Reading
from lib.experiments.declaration import WHOLE, Experiment
from lib.experiments.measure import recorded
from lib.paper import FIGURE_7, PAPER_NOISES, TABLE_1_LEVELS, read_table_1
from lib.statistics.bootstrap import resample
from lib.statistics.contrasts import mean_curves
from lib.statistics.curves import Trainings, wide
from lib.store.files import OUTPUTS

OPTIONS = list(Reading.model_fields)
TRAINING = [*OPTIONS, "model", "seed"]
ALL = "all"  # noises and networks
FURTHER = (1, 5)  # trainings; the paper does not say how many stand behind an entry
FAR = 10.0  # points (root mean square) beyond which a network of ours is not the paper's
NEAR = ("efficientnet_b1", "resnet50", "vgg19")  # the networks that some reading brings near to the paper's numbers


def entries(
    table: pd.DataFrame,
    readings: Iterable[Reading],
    images: int,
    draw: int | None = 0,
    noises: Collection[str] = PAPER_NOISES,
    statistics: str = "frozen",
    levels: Collection[int] = TABLE_1_LEVELS,
) -> pd.DataFrame:
    """Our accuracies beside those of Table 1, of every training that is recorded at all these noises and levels.

    Of rows of `results.accuracies`, in this `draw` of the noise; None: each training has a draw of its own, numbered by
    its seed. Columns: `TRAINING`, noise, attacks (0 for each noise, as in Table 1), accuracy, paper (percent; nan where
    the paper has no such entry), pixels_altered (mean of the images).
    """
    rows = table[(table["images"] == images) & (table["statistics"] == statistics)].assign(statistics="frozen")
    key, found = ["model", "seed", "noise", "attacks"], []
    for reading in readings:
        own = reading.select(rows, draw)
        curves = wide(own, noises, levels).stack(["noise", "attacks"], future_stack=True).rename("accuracy")
        beside = curves.reset_index().merge(own[[*key, "pixels_altered"]], on=key, how="left")
        found.append(beside.assign(**reading.model_dump()))
    ours = pd.concat(found, ignore_index=True).assign(network=lambda own: own["model"].map(paper_network))
    paper = read_table_1().rename(columns={"model": "network", "accuracy": "paper"})
    both = ours.merge(paper, on=["network", "noise", "attacks"], how="left")
    return both[[*TRAINING, "noise", "attacks", "accuracy", "paper", "pixels_altered"]]


def paper_network(model: str) -> str:
    """The network of Table 1 of which this one is a variant (`fc_rgb`, `resnetv2_50_stem`, MODEL@WORD), or itself."""
    return max((name for name in FIGURE_7 if model.startswith(name)), key=len, default=model)


def under(found: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """The rows of one reading."""
    return found[(found[OPTIONS] == pd.Series(reading.model_dump(), dtype=object)).all(axis=1)]


def distance(found: pd.DataFrame) -> float:
    """Root mean square of ours minus the paper's over the noisy rows of `entries`, points."""
    return float(_distances(found.assign(all=ALL), [ALL]).mean())


def _distances(found: pd.DataFrame, by: list[str]) -> pd.Series:
    noisy = found[found["attacks"] > 0].eval("square = (accuracy - paper) ** 2")
    return np.sqrt(noisy.groupby(by, sort=False)["square"].mean())


def scopes(models: Collection[str] = FIGURE_7) -> dict[str, tuple[str, ...]]:
    """All these networks, all without each one of them (`without MODEL`), each one, and `NEAR`: name -> networks."""
    without = {f"without {model}": tuple(other for other in models if other != model) for model in models}
    return {ALL: tuple(models)} | without | {model: (model,) for model in models} | {"near": NEAR}


def by_reading(found: pd.DataFrame, models: Collection[str] = FIGURE_7) -> pd.DataFrame:
    """The distance of each reading to Table 1, nearest first: rows `OPTIONS`, columns each noise and `scopes`, points.

    `found` are `entries` of one training of each network.
    """
    columns = {noise: found[found["noise"] == noise] for noise in PAPER_NOISES}
    columns |= {name: found[found["model"].isin(own)] for name, own in scopes(models).items()}
    table = pd.DataFrame({name: _distances(own, OPTIONS) for name, own in columns.items()})
    return table.sort_values(ALL, kind="stable")


def by_training(found: pd.DataFrame) -> pd.DataFrame:
    """Rows `TRAINING`; columns distance (points) and clean (the accuracy without noise, percent)."""
    clean = found[found["attacks"] == 0].groupby(TRAINING, sort=False)["accuracy"].first()
    return pd.DataFrame({"distance": _distances(found, TRAINING), "clean": clean})


def by_network(found: pd.DataFrame) -> pd.DataFrame:
    """Rows `OPTIONS` and model, columns distance (of the mean of the trainings, points), least and most (of one
    training), trainings, clean (percent, mean of the trainings).
    """
    network = TRAINING[:-1]
    mean = found.groupby([*network, "noise", "attacks"], sort=False)[["accuracy", "paper"]].mean().reset_index()
    single = by_training(found).groupby(network, sort=False)
    ends = single["distance"].agg(["min", "max", "size"]).set_axis(["least", "most", "trainings"], axis=1)
    return ends.assign(distance=_distances(mean, network), clean=single["clean"].mean().round(9))


def nearest_shares(experiment: Experiment, outputs: Path = OUTPUTS, images: int | None = None) -> pd.DataFrame:
    """How often each reading is nearest to Table 1, in percent of bootstrap samples of the first `images`, or of all.

    Readings that are equally near count each. Rows `OPTIONS`, columns: all networks, and all without each one.
    """
    models = experiment.models
    paper = read_table_1().set_index(["model", "noise", "attacks"])["accuracy"]
    printed = [[[paper[m, n, x] for x in TABLE_1_LEVELS[1:]] for n in PAPER_NOISES] for m in map(paper_network, models)]
    gaps = 100 * resample(correct(experiment, outputs, images)) - np.array(printed)
    squares = (gaps**2).mean(axis=(-2, -1))  # (samples, readings, networks)
    shares = {}
    for name, own in scopes(models).items():
        if name == ALL or name.startswith("without "):
            each = squares[..., [models.index(model) for model in own]].mean(axis=-1)
            shares[name] = 100 * (each == each.min(axis=1, keepdims=True)).mean(axis=0)
    index = pd.MultiIndex.from_frame(pd.DataFrame([reading.model_dump() for reading in experiment.readings]))
    return pd.DataFrame(shares, index)


def correct(experiment: Experiment, outputs: Path = OUTPUTS, images: int | None = None) -> np.ndarray:
    """Whether each image is classified correctly: (readings, networks, noises, noisy levels, images) bool.

    Raises ValueError if fewer images are recorded, and FileNotFoundError, which names the command, if a network is not
    evaluated under every reading.
    """
    if images and images > experiment.images:
        raise ValueError(f"readings are recorded on the first {experiment.images:,} test images, not on {images:,}")
    found = []
    for model in experiment.models:
        recipe = experiment.training(model, experiment.seeds[0], outputs)
        bundle = Bundle.read(experiment.bundle_path(recipe) or outputs)
        options: dict[str, Any] = {"train_seed": recipe.seed, "levels": experiment.levels, "images": experiment.images}
        each = product(experiment.readings, PAPER_NOISES)
        parts = [reading.part(noise, True, model=model, **options) for reading, noise in each]
        try:
            found.append([bundle.errors[part.path.stem][:, :images] == 0 for part in parts])
        except KeyError:
            raise FileNotFoundError(
                f"{model} is not evaluated under every reading on the first {experiment.images:,} test images under "
                f"{outputs}; python -m lib.experiments.run {experiment.name} does it"
            ) from None
    shape = len(found), len(experiment.readings), len(PAPER_NOISES)
    return np.reshape(found, (*shape, *np.shape(found)[2:])).swapaxes(0, 1)


def losses(found: pd.DataFrame, column: str = "accuracy") -> pd.DataFrame:
    """Whether the curves flatten towards 200 attacks, as they do where the pixels to draw from run out.

    By noise, for `entries` of one reading and a column of these (accuracy or paper): 40 to 100 and 100 to 200 (points
    lost for each ten attacks, mean of the networks), ratio (the second over the first), pixels altered (by 200, mean).
    """
    mean = found.groupby(["noise", "attacks"])[[column, "pixels_altered"]].mean().unstack("attacks")
    lost = {"40 to 100": (mean[column, 40] - mean[column, 100]) / 6}
    lost |= {"100 to 200": (mean[column, 100] - mean[column, 200]) / 10}
    altered = mean["pixels_altered", 200] if column == "accuracy" else np.nan
    ratio = lost["100 to 200"] / lost["40 to 100"]
    return pd.DataFrame(lost | {"ratio": ratio, "pixels altered": altered}).reindex(list(PAPER_NOISES))


def first_attacks(found: pd.DataFrame, model: str) -> pd.DataFrame:
    """What the first ten attacks cost a network: by noise, in the paper, and at most under any reading (points)."""
    own = found[found["model"] == model]
    lost = own.pivot(index=[*OPTIONS, "noise"], columns="attacks", values=["accuracy", "paper"])
    lost = pd.DataFrame({column: lost[column, 0] - lost[column, 10] for column in ("paper", "accuracy")})
    return lost.groupby("noise").max().rename(columns={"accuracy": "at most under any reading"})


def nearest(ranked: pd.DataFrame, scope: str = ALL) -> Reading:
    """The nearest reading by one column of `by_reading`."""
    return Reading(**dict(zip(OPTIONS, ranked[scope].idxmin(), strict=True)))


def ranks(found: pd.DataFrame) -> pd.DataFrame:
    """The best and worst rank of each network under all readings, by its mean accuracy over the noisy entries."""
    mean = found[found["attacks"] > 0].groupby([*OPTIONS, "model"])["accuracy"].mean().unstack("model")
    places = mean.rank(axis=1, ascending=False, method="min").astype(int)
    return pd.DataFrame({"best": places.min(), "worst": places.max()}).sort_values(["best", "worst"])


def on_all_images(trainings: Trainings, outputs: Path = OUTPUTS) -> Trainings:
    """The same trainings, moved to where they would be on all test images, of which the paper's numbers are.

    A network is moved by as much as its trainings that were evaluated on all of them differ there, in the mean; one
    without any is left out.
    """
    whole = recorded(trainings.models, outputs, WHOLE).curves
    moved = (whole - trainings.curves.reindex(whole.index)).groupby(level="model").mean()
    curves = trainings.curves[trainings.curves.index.isin(moved.index, level="model")]
    curves = curves + moved.reindex(curves.index, level="model")
    shown = trainings.only(model for model in trainings.models if model in moved.index)
    return replace(shown, curves=curves, images=WHOLE)


def replication(trainings: Trainings) -> pd.DataFrame:
    """By network: how many of its noisy entries of Table 1 lie in our 95 % prediction intervals.

    Columns: entries; each of `FURTHER`, how many lie in the interval for the mean of so many further trainings;
    difference (ours minus the paper's, mean) and rms (points); replicates, whether that is at most `FAR`.
    """
    paper = read_table_1().query("attacks > 0").rename(columns={"accuracy": "paper"})
    both = {further: paper.merge(mean_curves(trainings, further)) for further in FURTHER}
    inside = pd.DataFrame({further: own["paper"].between(own["low"], own["high"]) for further, own in both.items()})
    apart = both[FURTHER[0]].eval("mean - paper")
    table = inside.assign(entries=1, difference=apart, square=apart**2).groupby(both[FURTHER[0]]["model"], sort=False)
    means, rms = table.mean(), np.sqrt(table["square"].mean())
    return table[["entries", *FURTHER]].sum().assign(difference=means["difference"], rms=rms, replicates=rms <= FAR)
