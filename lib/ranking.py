"""Claims 6 and 7, on EfficientNet-B1 and the fully connected net (section 4.1), under each normalisation."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd

from lib import data
from lib.plan import Plan
from lib.results import Z
from lib.sweep import Predictions

MODELS = ("fc", "resnet18", "efficientnet_b1")


@dataclass(frozen=True)
class Claim:
    """That one network stands above another, under each of some noises: (noise, upper, lower)."""

    text: str
    pairs: tuple[tuple[str, str, str], ...]


CLAIMS = (
    Claim(
        "6: EfficientNet-B1 is lowest on Black to White and Random Pixel Invert",
        tuple(
            (noise, upper, "efficientnet_b1")
            for noise in ("black_to_white", "random_pixel_invert")
            for upper in ("fc", "resnet18")
        ),
    ),
    Claim(
        "7: FC is lowest on White to Black",
        tuple(("white_to_black", upper, "fc") for upper in ("resnet18", "efficientnet_b1")),
    ),
    Claim(
        "7: FC is above EfficientNet-B1 on the other noises",
        tuple(
            (noise, "fc", "efficientnet_b1") for noise in ("black_to_white", "random_pixel_invert", "edge_to_altered")
        ),
    ),
    Claim(
        "7: FC is above all but VGG-19 on Edge to Altered",
        tuple(("edge_to_altered", "fc", lower) for lower in ("resnet18", "efficientnet_b1")),
    ),
)


def is_recorded(plan: Plan) -> bool:
    """Whether a sweep of the plan is on disk as a whole."""
    return all(part.path.is_file() for part in plan.parts())


def margins(plans: dict[str, Plan]) -> pd.DataFrame:
    """Each network minus each other on the same noisy images of draw 0, with a 95 % interval over the images.

    An image's score is the share of the noisy levels at which it is classified rightly; the interval is that of a mean
    of paired differences. It says nothing about other trainings.

    Args:
        plans: network -> its recorded plan; all with the same noises, levels and images.

    Returns:
        Columns: noise, upper, lower, margin, low, high (points), widest (the largest margin at one level), attacks
        (there).
    """
    noises = next(iter(plans.values())).noises if plans else []
    right = {(model, noise): _right(plan, noise) for model, plan in plans.items() for noise in noises}
    rows = []
    for noise in noises:
        for upper, lower in permutations(plans, 2):
            ahead = 100 * (right[upper, noise].astype(float) - right[lower, noise])  # (levels, images)
            each = ahead.mean(axis=0)
            half = Z * each.std(ddof=1) / np.sqrt(len(each))
            levels = plans[upper].part(noise).recipe["levels"]
            widest = int(ahead.mean(axis=1).argmax())
            numbers = (each.mean(), each.mean() - half, each.mean() + half, ahead[widest].mean(), levels[widest])
            rows.append((noise, upper, lower, *numbers))
    return pd.DataFrame(rows, columns=["noise", "upper", "lower", "margin", "low", "high", "widest", "attacks"])


def _right(plan: Plan, noise: str) -> np.ndarray:
    """(levels, images) bool."""
    return Predictions.read(plan.part(noise).path).predicted == data.load().test_labels[: plan.images]


def verdict(claim: Claim, margins: pd.DataFrame) -> str:
    """`holds` if every pair's interval lies above 0, `fails` if one lies below, else `undecided`.

    `not recorded yet` where the margins lack a pair.
    """
    own = margins.set_index(["noise", "upper", "lower"]).reindex(list(claim.pairs))
    if own["margin"].isna().any():
        return "not recorded yet"
    if (own["high"] < 0).any():
        return "fails"
    return "holds" if (own["low"] > 0).all() else "undecided"
