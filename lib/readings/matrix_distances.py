"""How far each reading of the noises is from the paper's Table 1, and which one is nearest.

The rule, written down before the numbers: the default is the reading with the least root mean square of ours minus the
paper's over the 80 noisy entries of Table 1, five networks x four noises x four levels. Whether it would also be chosen
without any one of the networks is told beside it, and how often over other samples of the images.
"""

import itertools
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import CLEAN, USUAL_NOISES, Plan
from lib.evaluation.statistics import resample
from lib.paper import FIGURE_7, read_table_1
from lib.readings.answers import AnswerFile
from lib.readings.matrix import IMAGES, LEVELS, READINGS, NoiseReading, answers_path
from lib.store.files import OUTPUTS, file_hash

THREE = ("efficientnet_b1", "resnet50", "vgg19")  # without those whose gap lies in how they are trained and built
ALL = "all"
OPTIONS = [field.name for field in fields(NoiseReading)]


def right_answers(models: tuple[str, ...] = FIGURE_7, outputs: Path = OUTPUTS, images: int = IMAGES) -> np.ndarray:
    """Whether each image is answered rightly: (readings, networks, noises, levels, images) bool.

    Raises:
        ValueError: if a network has not answered all readings with the weights that are on disk.
    """
    found = []
    for model in models:
        answers, weights = AnswerFile.read(answers_path(model, outputs)), networks.weights_path(model, 0, outputs)
        made_by = file_hash(weights)
        for part in (reading.part(model, noise, outputs, images) for reading in READINGS for noise in USUAL_NOISES):
            if not answers.holds(part, made_by):
                raise ValueError(f"{model} has not answered {part.recipe}; run python -m lib.readings.matrix {model}")
            found.append(answers.errors[part.path.stem] == 0)
    shape = len(models), len(READINGS), len(USUAL_NOISES), len(LEVELS), images
    return np.stack(found).reshape(shape).swapaxes(0, 1)


def distances(right: np.ndarray, models: tuple[str, ...] = FIGURE_7) -> pd.DataFrame:
    """How far each reading is from the paper's Table 1: for sets of networks, and for each noise or all.

    Paper: Table 1, its noisy entries.

    Args:
        right: `right_answers` of these models.

    Returns:
        Columns: networks (all, three of them, all without one, each one), noise (or all), the reading's options,
        distance (root mean square of ours minus the paper's, points), nearest (whether none is nearer), share (of the
        bootstrap samples of the images in which none is, percent; the same samples for all readings and networks).
    """
    gaps = 100 * right.mean(axis=-1) - _printed(models)  # (readings, networks, noises, levels)
    sampled = 100 * resample(right) - _printed(models)  # (samples, readings, networks, noises, levels)
    tables = []
    for (name, members), noise in itertools.product(_scopes(models).items(), (ALL, *USUAL_NOISES)):
        rows = [models.index(model) for model in members]
        columns = [number for number, other in enumerate(USUAL_NOISES) if noise in (ALL, other)]
        table = pd.DataFrame({"networks": name, "noise": noise} | asdict(reading) for reading in READINGS)
        table["distance"] = _rms(gaps, rows, columns)
        table["nearest"] = table["distance"] == table["distance"].min()
        each = _rms(sampled, rows, columns)  # (samples, readings)
        table["share"] = 100 * (each == each.min(axis=1, keepdims=True)).mean(axis=0)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def ranking(table: pd.DataFrame) -> pd.DataFrame:
    """The readings by their distance over all noisy entries of all networks, nearest first.

    Columns: the options, distance (points), share (percent, as in `distances`), then the distance for each noise and
    for each set of networks.
    """
    by_noise = table[table["networks"] == ALL].pivot(index=OPTIONS, columns="noise", values="distance")
    by_networks = table[table["noise"] == ALL].pivot(index=OPTIONS, columns="networks", values="distance")
    whole = table[(table["networks"] == ALL) & (table["noise"] == ALL)][[*OPTIONS, "distance", "share"]]
    apart = by_noise.drop(columns=ALL).join(by_networks.drop(columns=ALL))
    return whole.join(apart, on=OPTIONS).sort_values("distance", kind="stable", ignore_index=True)


def left_out(table: pd.DataFrame) -> pd.DataFrame:
    """The nearest reading without each one of the networks.

    Columns: without (the network), the options, distance (points), share (percent), same (whether all networks together
    choose it too).
    """
    found = table[(table["noise"] == ALL) & table["networks"].str.startswith("without ") & table["nearest"]]
    best = ranking(table).iloc[0][OPTIONS]
    found = found.assign(without=found["networks"].str.removeprefix("without "))
    same = (found[OPTIONS] == best).all(axis=1)
    return found.assign(same=same)[["without", *OPTIONS, "distance", "share", "same"]].reset_index(drop=True)


def _scopes(models: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    three = {", ".join(THREE): THREE} if set(THREE) < set(models) else {}
    without = {f"without {model}": tuple(other for other in models if other != model) for model in models}
    return {ALL: models} | three | without | {model: (model,) for model in models}


def _printed(models: tuple[str, ...]) -> np.ndarray:
    """The noisy entries of Table 1: (networks, noises, levels), percent."""
    table = read_table_1().set_index(["model", "noise", "attacks"])["accuracy"]
    return np.array([[[table[model, noise, level] for level in LEVELS] for noise in USUAL_NOISES] for model in models])


def _rms(gaps: np.ndarray, rows: list[int], columns: list[int]) -> np.ndarray:
    """Over the levels of some networks and noises: (..., networks, noises, levels) -> (...)."""
    return np.sqrt((gaps[..., rows, :, :][..., columns, :] ** 2).mean(axis=(-3, -2, -1)))


def curves(models: tuple[str, ...] = FIGURE_7, outputs: Path = OUTPUTS, images: int = IMAGES) -> pd.DataFrame:
    """What each network answers under each reading, level by level.

    Columns: the options, model, noise, attacks (0 among them), accuracy, low, high (percent, `results.interval`),
    altered (pixels, mean of the images).
    """
    rows = []
    for model in models:
        answers = AnswerFile.read(answers_path(model, outputs))
        clean = READINGS[0].part(model, CLEAN, outputs, images).path.stem
        for reading, noise in itertools.product(READINGS, USUAL_NOISES):
            name = reading.part(model, noise, outputs, images).path.stem
            errors = np.concatenate([answers.errors[clean], answers.errors[name]])  # (levels, images)
            altered = [0.0, *answers.records[name]["altered"]]
            for attacks, right, pixels in zip((0, *LEVELS), errors == 0, altered, strict=True):
                low, high = results.interval(right[None])
                about = asdict(reading) | {"model": model, "noise": noise, "attacks": attacks}
                rows.append(about | {"accuracy": 100 * right.mean(), "low": low, "high": high, "altered": pixels})
    return pd.DataFrame(rows)


def swept(outputs: Path = OUTPUTS, images: int = 10_000) -> pd.DataFrame:
    """What the recorded sweeps of the networks of Table 1 say under the default reading, in draw 0.

    Columns: model, noise, attacks, accuracy (percent).
    """
    plans = {model: Plan(model=model, draws=1, images=images, outputs=outputs) for model in FIGURE_7}
    found = pd.concat([results.curves(plan).assign(model=model) for model, plan in plans.items()], ignore_index=True)
    return found[["model", "noise", "attacks", "accuracy"]]


def distance(ours: pd.DataFrame) -> float:
    """Root mean square of ours minus the paper's over the entries (model, noise, attacks) of `ours`, in points."""
    both = ours.merge(read_table_1(), on=["model", "noise", "attacks"], suffixes=("", "_paper"))
    assert len(both) == len(ours)
    return float(np.sqrt(((both["accuracy"] - both["accuracy_paper"]) ** 2).mean()))


def flattening(table: pd.DataFrame) -> pd.DataFrame:
    """Whether the curves grow flatter towards the end, as they do where the pixels to draw from run out.

    Args:
        table: `curves`, or rows of Table 1 (model, noise, attacks, accuracy).

    Returns:
        By noise: early and late, the points lost for each ten attacks from 40 to 100 and from 100 to 200, mean of the
        networks; kept, late as a share of early; and where `table` has it, altered (pixels at 200, mean).
    """
    mean = table.groupby(["noise", "attacks"])["accuracy"].mean().unstack("attacks")
    found = pd.DataFrame({"early": (mean[40] - mean[100]) / 6, "late": (mean[100] - mean[200]) / 10})
    found["kept"] = found["late"] / found["early"]
    if "altered" in table:
        found["altered"] = table[table["attacks"] == 200].groupby("noise")["altered"].mean()
    return found.reindex(list(USUAL_NOISES))
