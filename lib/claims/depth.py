"""ResNets of growing depth (section 4.3, Figure 8): what each further step brings, and whether one is a threshold."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from lib.claims.statements import Bounds, above, on, over
from lib.experiments.measure import INITIAL
from lib.paper import FIGURE_8, PAPER_NOISES
from lib.statistics.contrasts import estimate
from lib.statistics.curves import Trainings, at, less

Pair = tuple[str, str]  # of networks

WTB, BTW, RPI, ETA = PAPER_NOISES
RESNET_LAYERS = {"resnet18": 18, "resnet34": 34, "resnet50": 50, "resnet101": 101, "resnetv2_50": 50}
LEAST_GAIN = 10.0  # points at `INITIAL` attacks that a step must bring to be called a threshold
STEP = ("resnet34", "resnet50")  # where the paper sees a threshold


def layers(model: str) -> int:
    """How deep a ResNet is; ValueError for another network."""
    name = model.partition("@")[0]
    if name not in RESNET_LAYERS:
        raise ValueError(f"{model!r} is not a ResNet; choose from {', '.join(RESNET_LAYERS)}, with or without @WORD")
    return RESNET_LAYERS[name]


def threshold(trainings: Trainings) -> Iterator[Bounds]:
    """That the step from 34 to 50 layers is a threshold on three noises (claim 2).

    Paper: section 4.3, "at 34 layers, the model is nonresistant to the initial attacks, but at 50 layers ...". We count
    it as a threshold if at `INITIAL` attacks the step gains `LEAST_GAIN` or more, and more than each other step.
    """
    others = [step for step in pairwise(FIGURE_8) if step != STEP]
    for noise in (WTB, BTW, RPI):
        start, where = f"{on(noise).lower()}-{INITIAL}", f"{on(noise)} {INITIAL}"
        early = at(INITIAL, noise)
        gain = estimate(trainings, early, _gained(STEP))
        says = f"{where}: {over(STEP[1], STEP[0])}"
        yield Bounds(f"{start}-threshold", says, (gain,), LEAST_GAIN, math.inf, ours=True)
        beyond = tuple(estimate(trainings, early, _more(STEP, other)) for other in others)
        yield Bounds(f"{start}-largest-step", f"{where}: more than other steps", beyond, 0, math.inf)


def without_threshold(trainings: Trainings) -> Iterator[Bounds]:
    """That on Edge to Altered each deeper network beats the last, and the threshold is much less of one (claim 3)."""
    for first, second in pairwise(FIGURE_8):
        yield above(trainings, ETA, second, first)
    fewer = less(at(INITIAL, WTB, BTW, RPI), at(INITIAL, ETA))
    steeper = estimate(trainings, fewer, _gained(STEP))
    yield Bounds(f"eta-{INITIAL}-less-of-a-threshold", "step to ResNet-50 less of one", (steeper,), 0, math.inf)


def _gained(step: Pair) -> dict[str, int]:
    """The weights of what a step gains: the deeper network minus the other."""
    return {step[1]: 1, step[0]: -1}


def _more(step: Pair, other: Pair) -> dict[str, int]:
    """The weights of how much more the one step gains than the other; what they share counts for both."""
    weights = Counter(_gained(step))
    weights.subtract(_gained(other))
    return weights
