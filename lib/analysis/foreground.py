"""White to Black against Black to White: does a network rest on the foreground or on the background (section 5)?

Most digits have fewer than 200 white pixels, so White to Black runs out of them where Black to White goes on. At equal
attacks the two are then not equal in pixels; here they are also compared image by image at as many pixels as White to
Black has really altered.
"""

import numpy as np
import pandas as pd

from lib.analysis.comparison import Answers
from lib.evaluation.statistics import area_under_curve, limits, resample
from lib.noise import eligible_pixels
from lib.paper import PAPER_NOISES, read_table_1
from lib.store import data

WHITE, BLACK = (PAPER_NOISES.index(noise) for noise in ("white_to_black", "black_to_white"))
NEARLY_EQUAL = 5.0  # points of area; the paper's own curves for the networks it calls nearly equal differ by less


def pixels(images: int) -> dict[str, float]:
    """White (b > 0) and black (b < 100) pixels of the mean digit, and the share of digits with fewer than 200 white."""
    digits = data.load().test_images[:images]
    white, black = (eligible_pixels(digits, PAPER_NOISES[noise]).sum(axis=(1, 2)) for noise in (WHITE, BLACK))
    return {"white": float(white.mean()), "black": float(black.mean()), "short": float((white < 200).mean())}


def at_equal_pixels(answers: Answers) -> np.ndarray:
    """Black to White at as many pixels as White to Black altered: (models, levels, images), draws right.

    Between two levels the answer of an image counts in proportion: 0.3 of the upper level's and 0.7 of the lower's,
    where White to Black altered three tenths of the pixels that Black to White altered from one to the next.
    """
    rows = np.arange(len(answers.attacks))
    white, black = answers.altered[WHITE], answers.altered[BLACK]  # (levels, images)
    place = np.stack([np.interp(w, b, rows) for w, b in zip(white.T, black.T, strict=True)], axis=1)
    upper = np.clip(np.ceil(place).astype(int), 1, len(rows) - 1)
    share = place - (upper - 1)
    image = np.arange(answers.images)
    black = answers.right[BLACK]  # (models, levels, images)
    return (1 - share) * black[:, upper - 1, image] + share * black[:, upper, image]


def white_minus_black(answers: Answers) -> pd.DataFrame:
    """Area under White to Black minus area under Black to White for every network, paired over images.

    Above 0: attacks on the background cost more. Columns: model, measure ("equal attacks" or "equal pixels"), white,
    black (areas, percent), difference, low, high (points), leaning: foreground or background (the attack that costs
    more, beyond `NEARLY_EQUAL`), nearly equal (the interval lies within it), or undecided.
    """
    white = answers.right[WHITE]
    rows = []
    for measure, black in (("equal attacks", answers.right[BLACK]), ("equal pixels", at_equal_pixels(answers))):
        areas = [
            100 * area_under_curve(noise.mean(axis=-1), answers.attacks) / answers.draws for noise in (white, black)
        ]
        apart = area_under_curve(resample(white - black.astype(np.float32)), answers.attacks)  # (REPEATS, models)
        for number, (low, high) in enumerate(zip(*limits(100 * apart / answers.draws), strict=True)):
            w, b = areas[0][number], areas[1][number]
            rows.append((answers.models[number], measure, w, b, w - b, low, high, leaning(low, high)))
    return pd.DataFrame(
        rows, columns=["model", "measure", "white", "black", "difference", "low", "high", "leaning"]
    ).sort_values("model", key=lambda models: models.map(answers.models.index), kind="stable", ignore_index=True)


def leaning(low: float, high: float) -> str:
    """Which kind of attack costs a network more, from the interval of the difference in area."""
    if low > -NEARLY_EQUAL and high < NEARLY_EQUAL:
        return "nearly equal"
    if low > NEARLY_EQUAL:
        return "background"
    return "foreground" if high < -NEARLY_EQUAL else "undecided"


def at_paper_levels(answers: Answers) -> pd.Series:
    """The difference in area at equal attacks as the paper has it: from its five levels alone (points)."""
    place = np.isin(answers.attacks, read_table_1()["attacks"])
    areas = area_under_curve(answers.accuracy[..., place], answers.attacks[place])  # (noises, models)
    return pd.Series(areas[WHITE] - areas[BLACK], answers.models)


def paper() -> pd.Series:
    """The paper's own difference in area for each of its networks, from the five levels of Table 1 (points)."""
    table = read_table_1().pivot(index=["model", "attacks"], columns="noise", values="accuracy")
    apart = table[PAPER_NOISES[WHITE]] - table[PAPER_NOISES[BLACK]]
    wide = apart.unstack("attacks")
    return pd.Series(area_under_curve(wide.to_numpy(), wide.columns.to_numpy()), wide.index)
