"""White to Black against Black to White: does a network rest on the foreground or on the background (section 5)?

Most digits have fewer than 200 white pixels, so White to Black runs out of them where Black to White goes on. At equal
attacks the two are then not equal in pixels; here they are also compared image by image at as many pixels as White to
Black has really altered.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.evaluation.plan import CLEAN
from lib.evaluation.sweep import Predictions
from lib.experiments.measure import predictions
from lib.noise import eligible_pixels
from lib.paper import TABLE_1_LEVELS, read_table_1
from lib.statistics.contrasts import HIGHER, LOWER, NO_DIFFERENCE, UNDECIDED, estimate
from lib.statistics.curves import Trainings, area, less
from lib.store import data
from lib.store.files import OUTPUTS

WHITE, BLACK = "white_to_black", "black_to_white"
MINUS = less(area(WHITE), area(BLACK))  # a score
NEARLY_EQUAL = 5.0  # points of area; the paper's own curves for the networks it calls nearly equal differ by less


def pixels(images: int) -> dict[str, float]:
    """White (b > 0) and black (b < 100) pixels of the mean digit, and the share of digits with fewer than 200 white."""
    digits = data.load().test_images[:images]
    white, black = (eligible_pixels(digits, noise).sum(axis=(1, 2)) for noise in (WHITE, BLACK))
    return {"white": float(white.mean()), "black": float(black.mean()), "short": float((white < 200).mean())}


def at_equal_pixels(black_right: np.ndarray, white_altered: np.ndarray, black_altered: np.ndarray) -> np.ndarray:
    """Black to White at as many pixels as White to Black altered: whether it is right there, (levels, images).

    Of whether it is right at each level, and of the pixels really altered, (levels, images) each. Between two levels
    the prediction for an image counts in proportion: 0.3 of the upper level's and 0.7 of the lower's, where White to
    Black altered three tenths of the pixels that Black to White altered from one to the next.
    """
    rows = np.arange(len(black_altered))
    place = np.stack([np.interp(w, b, rows) for w, b in zip(white_altered.T, black_altered.T, strict=True)], axis=1)
    upper = np.clip(np.ceil(place).astype(int), 1, len(rows) - 1)
    share = place - (upper - 1)
    image = np.arange(black_right.shape[1])
    return (1 - share) * black_right[upper - 1, image] + share * black_right[upper, image]


def equal_pixels(trainings: Trainings, outputs: Path = OUTPUTS) -> tuple[Trainings, dict[str, float]]:
    """The same trainings, Black to White at as many pixels as White to Black altered, image by image.

    And how many pixels of the mean image were altered by most attacks of either: white, black.
    """
    labels = data.load().test_labels[: trainings.images]
    curves, altered = trainings.curves.copy(), {}
    for model, seed in curves.index:
        parts = predictions(model, seed, trainings.images, outputs)

        def levels(noise: str, name: str, parts: dict[str, Predictions] = parts) -> np.ndarray:
            return np.concatenate([getattr(parts[own], name)[:, : trainings.images] for own in (CLEAN, noise)])

        pixels = {noise: levels(noise, "pixels") for noise in (WHITE, BLACK)}
        found = at_equal_pixels(levels(BLACK, "predicted") == labels, pixels[WHITE], pixels[BLACK])
        curves.loc[(model, seed), BLACK] = 100 * found.mean(axis=1)
        altered = {"white": float(pixels[WHITE][-1].mean()), "black": float(pixels[BLACK][-1].mean())}
    return replace(trainings, curves=curves), altered  # the noisy images are the same for all of them


def white_minus_black(measures: dict[str, Trainings]) -> pd.DataFrame:
    """Area under White to Black minus area under Black to White for every network, mean of its trainings.

    `measures`: what is equal -> the trainings. Above 0: attacks on the background cost more. Columns: model, measure,
    trainings, each (training's difference, a list), mean, low, high (points; nan of one training), verdict: higher or
    lower (by more than `NEARLY_EQUAL`), no difference (the interval lies within it), or undecided.
    """
    rows = []
    for model in next(iter(measures.values())).models:
        for measure, trainings in measures.items():
            found = estimate(trainings, MINUS, {model: 1})
            each, ends = found.each.tolist(), found.ends()
            rows.append((model, measure, len(each), each, found.value, *ends, leaning(*ends)))
    return pd.DataFrame(rows, columns=["model", "measure", "trainings", "each", "mean", "low", "high", "verdict"])


def leaning(low: float, high: float) -> str:
    """Whether Black to White costs more (higher), from the interval of the difference in area; nan: undecided."""
    if low > -NEARLY_EQUAL and high < NEARLY_EQUAL:
        return NO_DIFFERENCE
    return HIGHER if low > NEARLY_EQUAL else LOWER if high < -NEARLY_EQUAL else UNDECIDED


def at_paper_levels(trainings: Trainings) -> pd.Series:
    """The mean difference in area at equal attacks as the paper has it: from its five levels alone (points)."""
    curves = trainings.curves.loc[list(trainings.models)]
    few = curves[[column for column in curves if column[1] in TABLE_1_LEVELS]]
    return MINUS(few).groupby("model", sort=False).mean()


def paper() -> pd.Series:
    """The paper's own difference in area for each of its networks, from the five levels of Table 1 (points)."""
    return MINUS(read_table_1().pivot(index="model", columns=["noise", "attacks"], values="accuracy"))
