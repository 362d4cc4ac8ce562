"""What of claims 6, 7 and 9 can be asked of three networks, which are trained under two normalisations.

Of the five networks of these claims two are among the three. What is asked of them is what each claim needs: where it
fails the claim fails, where it holds the claim is still open.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from lib.analysis import claims, comparison
from lib.analysis.claims import BTW, ETA, RPI, WTB, apart, widest_gap
from lib.analysis.compared import Chosen, Study
from lib.analysis.foreground import NEARLY_EQUAL
from lib.analysis.statements import Bounds, Scores, Statement, above, judge, judge_all, on, over, within
from lib.evaluation.statistics import area_under_curve, ranks
from lib.networks import title
from lib.noise import NOISES
from lib.paper import PAPER_NOISES

MODELS = ("fc", "resnet18", "efficientnet_b1")


def _efficientnet_is_lower(scores: Scores) -> Iterator[Bounds]:
    for noise in (BTW, RPI):
        yield above(scores, noise, "fc", "efficientnet_b1")
        says = f"{on(noise)}, where most: {over('fc', 'efficientnet_b1')}"
        yield widest_gap(scores, noise, ["fc"])._replace(says=says)


def _fc(scores: Scores) -> Iterator[Bounds]:
    yield above(scores, WTB, "efficientnet_b1", "fc")
    for noise in (BTW, RPI, ETA):
        yield above(scores, noise, "fc", "efficientnet_b1")


def _background(scores: Scores) -> Iterator[Bounds]:
    yield apart(scores, "efficientnet_b1", NEARLY_EQUAL, math.inf)
    yield apart(scores, "fc", -NEARLY_EQUAL, NEARLY_EQUAL)


CLAIMS: dict[int, Callable[[Scores], Iterator[Bounds]]] = {6: _efficientnet_is_lower, 7: _fc, 9: _background}


def chosen(study: Study, word: str) -> Chosen:
    """The three networks by their recipes of this word (`@none`, or nothing), sorted by whether they are recorded."""
    return study.model_copy(update={"models": [model + word for model in MODELS]}).sort()


def places(networks: Chosen) -> pd.DataFrame:
    """The area under the curve (percent) and the rank of each network: a row for each, a column for each noise."""
    answers = comparison.measure(networks)
    area = area_under_curve(answers.accuracy, answers.attacks)  # (noises, models)
    told = np.char.add(np.char.mod("%.1f, rank ", area), ranks(area).astype(int).astype(str))
    titles = [title(model.partition("@")[0]) for model in networks.measured]
    return pd.DataFrame(told.T, titles, [NOISES[noise].short for noise in PAPER_NOISES])


def pairs(networks: Chosen, chance: dict[str, float]) -> dict[tuple[str, str, str], int]:
    """(noise, one, other) -> 1 where one has the larger area under its curve, -1 where the other has, 0 where unsure.

    Unsure: the 95 % interval of the difference has 0, or the difference is `within` chance.
    """
    scores, found = claims.measured(comparison.measure(networks)), {}
    for noise, (one, other) in itertools.product(PAPER_NOISES, itertools.permutations(scores.models, 2)):
        difference = judge(above(scores, noise, one, other), family=1)
        sure = not within(difference, chance) and difference.low * difference.high > 0
        found[noise, one, other] = int(np.sign(difference.value)) * sure
    return found


def orders(networks: Chosen, chance: dict[str, float]) -> dict[str, str]:
    """For each noise `A > B ≈ C` by the area under the curve; `≈` where `pairs` is unsure."""
    scores, sure = claims.measured(comparison.measure(networks)), pairs(networks, chance)
    found = {}
    for noise in PAPER_NOISES:
        ranked = sorted(scores.models, key=lambda model: -scores.at(noise, model)[0])
        found[noise] = title(ranked[0])
        for one, other in itertools.pairwise(ranked):
            found[noise] += f"{' > ' if sure[noise, one, other] else ' ≈ '}{title(other)}"
    return found


def statements(networks: Chosen) -> dict[int, list[Statement]]:
    """The claims as these networks decide them, on the noisy images that all of them have seen."""
    scores = Scores((), np.array([0, 1]), np.empty((1, 4, 0, 2)))  # none is measured
    if networks.measured:
        scores = claims.measured(comparison.measure(networks))
    return {number: judge_all(bounds(scores)) for number, bounds in CLAIMS.items()}
