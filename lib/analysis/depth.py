"""ResNets of growing depth (section 4.3, Figure 8): what each further step brings, and whether one is a threshold."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from lib import networks
from lib.analysis.comparison import Answers, Pair, estimate, gains
from lib.analysis.statements import Bounds, above, at, combined, less, on, over
from lib.analysis.trainings import Trainings
from lib.evaluation.statistics import area_under_curve
from lib.networks import title
from lib.paper import FIGURE_8, PAPER_NOISES

WTB, BTW, RPI, ETA = PAPER_NOISES
RESNET_LAYERS = {"resnet18": 18, "resnet34": 34, "resnet50": 50, "resnet101": 101, "resnetv2_50": 50}
INITIAL = 50  # attacks: "in order to survive the initial 50 attacks" (section 4.3)
LEAST_GAIN = 10.0  # points at `INITIAL` attacks that a step must bring to be called a threshold
STEP = ("resnet34", "resnet50")  # where the paper sees a threshold


def layers(model: str) -> int:
    """How deep a ResNet is.

    Raises:
        ValueError: for another network.
    """
    name = model.partition("@")[0]
    if name not in RESNET_LAYERS:
        raise ValueError(f"{model!r} is no ResNet; choose from {', '.join(RESNET_LAYERS)}, with or without @WORD")
    return RESNET_LAYERS[name]


def resilience(answers: Answers) -> pd.DataFrame:
    """Area under the curve beside depth and size: noise, model, layers, parameters, area, low, high (percent)."""
    found = estimate(answers, lambda accuracy: area_under_curve(accuracy, answers.attacks))
    size = {model: (layers(model), networks.parameters(model)) for model in answers.models}
    rows = [(noise, model, *size[model]) for noise in PAPER_NOISES for model in answers.models]
    area, low, high = (values.ravel() for values in found)
    return pd.DataFrame(rows, columns=["noise", "model", "layers", "parameters"]).assign(area=area, low=low, high=high)


def steps(answers: Answers, pairs: list[Pair]) -> pd.DataFrame:
    """`gains` in area from each depth to the next, also for ten layers more: columns `ten`, `ten_low`, `ten_high`.

    These are empty for a step that adds no layers, such as ResNet-50 to ResNet-50V2.
    """
    table = gains(answers, pairs)
    added = np.array([layers(row.second) - layers(row.first) for row in table.itertuples()], float)
    added[added == 0] = np.nan
    per_ten = {
        f"ten{end}": 10 * table[name] / added for end, name in (("", "gain"), ("_low", "low"), ("_high", "high"))
    }
    return table.assign(**per_ten)


def changes(answers: Answers, pairs: list[Pair]) -> pd.DataFrame:
    """How much less a step brings than the step before it, where one follows the other.

    Columns: noise, before, after (pairs of networks), change, low, high (points; above 0: the gain shrinks), all
    of the area under the curve.
    """
    couples = [(a, b) for a, b in pairwise(pairs) if a[1] == b[0]]
    columns = ["noise", "before", "after", "change", "low", "high"]
    rows = []
    for before, after in couples:
        rows += [(noise, before, after, *found) for noise, *found in _difference(answers, before, after)]
    return pd.DataFrame(rows, columns=columns)


def threshold(trainings: Trainings) -> Iterator[Bounds]:
    """That the step from 34 to 50 layers is a threshold on three noises (claim 2).

    Paper: section 4.3, "at 34 layers, the model is nonresistant to the initial attacks, but at 50 layers ...". We count
    it as a threshold if at `INITIAL` attacks the step gains `LEAST_GAIN` or more, and more than each other step.
    """
    others = [step for step in pairwise(FIGURE_8) if step != STEP]
    for noise in (WTB, BTW, RPI):
        start, where = f"{on(noise).lower()}-{INITIAL}", f"{on(noise)}, {INITIAL} attacks"
        early = at(INITIAL, noise)
        gain = combined(trainings, early, _gained(STEP))
        yield Bounds(f"{start}-threshold", f"{where}: {over(STEP[1], STEP[0])}", (gain,), LEAST_GAIN, math.inf)
        beyond = tuple(combined(trainings, early, _more(STEP, other)) for other in others)
        says = f"{where}: that gain over the largest of the other steps' gains"
        yield Bounds(f"{start}-largest-step", says, beyond, 0, math.inf)


def without_threshold(trainings: Trainings) -> Iterator[Bounds]:
    """That on Edge to Altered each deeper network beats the last, and the threshold is much less of one (claim 3)."""
    for first, second in pairwise(FIGURE_8):
        yield above(trainings, ETA, second, first)
    fewer = less(at(INITIAL, WTB, BTW, RPI), at(INITIAL, ETA))
    says = f"{INITIAL} attacks, mean of the other noises over EtA: gain from {title(STEP[0])} to {title(STEP[1])}"
    yield Bounds(f"eta-{INITIAL}-less-of-a-threshold", says, (combined(trainings, fewer, _gained(STEP)),), 0, math.inf)


def _gained(step: Pair) -> dict[str, float]:
    """The weights of what a step gains: the deeper network minus the other."""
    return {step[1]: 1, step[0]: -1}


def _more(step: Pair, other: Pair) -> dict[str, float]:
    """The weights of how much more the one step gains than the other; what they share counts for both."""
    weights = _gained(step)
    for model, weight in _gained(other).items():
        weights[model] = weights.get(model, 0) - weight
    return weights


def _difference(answers: Answers, first: Pair, second: Pair):
    """The first pair's gain in area minus the second's: (noise, value, low, high) for every noise."""
    place = answers.models.index

    def excess(accuracy: np.ndarray) -> np.ndarray:
        score = area_under_curve(accuracy, answers.attacks)
        gained = [score[..., place(after)] - score[..., place(before)] for before, after in (first, second)]
        return gained[0] - gained[1]

    return zip(PAPER_NOISES, *estimate(answers, excess), strict=True)
