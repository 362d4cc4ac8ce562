"""Claims 6, 7 and 9 as far as three networks decide them, which are trained under two normalisations."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from lib import claims, comparison
from lib.claims import BTW, ETA, RPI, WTB, apart, widest_gap
from lib.foreground import NEARLY_EQUAL
from lib.statements import Bounds, Scores, Statement, above, judge_all
from lib.study import Chosen, Study

MODELS = ("fc", "resnet18", "efficientnet_b1")


def _efficientnet_is_lowest(scores: Scores) -> Iterator[Bounds]:
    for noise in (BTW, RPI):
        for other in ("fc", "resnet18"):
            yield above(scores, noise, other, "efficientnet_b1")
        yield widest_gap(scores, noise, ("fc", "resnet18"))


def _fc(scores: Scores) -> Iterator[Bounds]:
    for other in ("resnet18", "efficientnet_b1"):
        yield above(scores, WTB, other, "fc")
    for noise in (BTW, RPI, ETA):
        yield above(scores, noise, "fc", "efficientnet_b1")
    yield above(scores, ETA, "fc", "resnet18")


def _background(scores: Scores) -> Iterator[Bounds]:
    yield apart(scores, "efficientnet_b1", NEARLY_EQUAL, math.inf)
    yield apart(scores, "fc", -NEARLY_EQUAL, NEARLY_EQUAL)


CLAIMS: dict[int, Callable[[Scores], Iterator[Bounds]]] = {6: _efficientnet_is_lowest, 7: _fc, 9: _background}


def chosen(study: Study, word: str) -> Chosen:
    """The three networks by their recipes of this word (`@none`, or nothing), sorted by whether they are recorded."""
    return study.model_copy(update={"models": [model + word for model in MODELS]}).sort()


def statements(networks: Chosen) -> dict[int, list[Statement]]:
    """The claims as these networks decide them, on the noisy images that all of them have seen."""
    scores = Scores((), np.array([0, 1]), np.empty((1, 4, 0, 2)))  # none is measured
    if networks.measured:
        scores = claims.measured(comparison.measure(networks))
    return {number: judge_all(bounds(scores)) for number, bounds in CLAIMS.items()}
