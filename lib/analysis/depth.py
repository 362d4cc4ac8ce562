"""ResNets of growing depth (section 4.3, Figure 8): what each further step brings."""

from itertools import pairwise

import numpy as np
import pandas as pd

from lib import networks
from lib.analysis.comparison import Answers, Pair, estimate, gains
from lib.evaluation.statistics import area_under_curve, verdict
from lib.paper import PAPER_NOISES

LAYERS = {"resnet18": 18, "resnet34": 34, "resnet50": 50, "resnet101": 101, "resnetv2_50": 50}
INITIAL = 50  # attacks: "in order to survive the initial 50 attacks" (section 4.3)
LEAST_GAIN = 10.0  # points at `INITIAL` attacks that a step must bring to be called a threshold
STEP = ("resnet34", "resnet50")  # where the paper sees a threshold


def layers(model: str) -> int:
    """How deep a ResNet is.

    Raises:
        ValueError: for another network.
    """
    name = model.partition("@")[0]
    if name not in LAYERS:
        raise ValueError(f"{model!r} is no ResNet; choose from {', '.join(LAYERS)}, with or without @WORD")
    return LAYERS[name]


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
    """How much less a step brings than the step before it, where both are measured.

    Columns: noise, before, after (pairs of networks), change, low, high (points; above 0: the gain shrinks), all
    of the area under the curve.
    """
    couples = [(a, b) for a, b in pairwise(pairs) if a[1] == b[0]]
    columns = ["noise", "before", "after", "change", "low", "high"]
    rows = []
    for before, after in couples:
        rows += [(noise, before, after, *found) for noise, *found in _difference(answers, before, after)]
    return pd.DataFrame(rows, columns=columns)


def threshold(answers: Answers, pairs: list[Pair], step: Pair = STEP) -> pd.DataFrame:
    """Whether one step in depth is a threshold, noise by noise.

    Paper: section 4.3, claim "at 34 layers, the model is nonresistant to the initial attacks, but at 50 layers ...".
    We count it as a threshold if at `INITIAL` attacks the step gains `LEAST_GAIN` or more, and more than each of the
    other steps: the 95 % interval of the gain lies above that, the interval of every such excess above 0. It is
    contradicted if one of these intervals lies below.

    Returns:
        noise, gain, low, high, then `excess`, its low and high (over the best other step), `threshold`: yes, no or
        undecided. Empty where the step or all others are not measured.
    """
    others = [pair for pair in pairs if pair != step]
    columns = ["noise", "gain", "low", "high", "excess", "excess_low", "excess_high", "threshold"]
    if step not in pairs or not others:
        return pd.DataFrame(columns=columns)
    own = gains(answers, [step], INITIAL)
    excesses = [list(_difference(answers, step, other, INITIAL)) for other in others]
    rows = []
    for number, row in enumerate(own.itertuples()):
        beyond = [excess[number][1:] for excess in excesses]
        found = {verdict(row.low - LEAST_GAIN, row.high - LEAST_GAIN), *(verdict(low, high) for _, low, high in beyond)}
        answer = "no" if "lower" in found else "yes" if found == {"higher"} else "undecided"
        rows.append((row.noise, row.gain, row.low, row.high, *min(beyond), answer))
    return pd.DataFrame(rows, columns=columns)


def _difference(answers: Answers, first: Pair, second: Pair, attacks: int | None = None):
    """The first pair's gain minus the second's: (noise, value, low, high) for every noise, paired over images."""
    place = answers.models.index
    level = None if attacks is None else answers.attacks.tolist().index(attacks)

    def excess(accuracy: np.ndarray) -> np.ndarray:
        score = area_under_curve(accuracy, answers.attacks) if level is None else accuracy[..., level]
        gained = [score[..., place(after)] - score[..., place(before)] for before, after in (first, second)]
        return gained[0] - gained[1]

    return zip(PAPER_NOISES, *estimate(answers, excess), strict=True)
