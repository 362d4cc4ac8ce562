"""Claims 6, 7 and 9 under another normalisation, as far as three networks can answer them, and the order of the three.

Of the five networks of these claims two are among the three. What is asked of them is what each claim needs: where it
fails the claim fails, where it holds the claim is still open.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from lib.analysis import claims, comparison
from lib.analysis.claims import BTW, ETA, RPI, WTB, apart, widest_gap
from lib.analysis.compared import Compared, Comparison
from lib.analysis.foreground import NEARLY_EQUAL
from lib.analysis.statements import Bounds, Scores, Statement, above, judge, judge_all, on, over, within
from lib.evaluation.statistics import area_under_curve, ranks
from lib.evaluation.sweep import recorded
from lib.networks import title
from lib.noise import NOISES
from lib.paper import PAPER_NOISES

MODELS = ("fc", "resnet18", "efficientnet_b1")
VARIANTS = {"MNIST's normalisation": "", "no normalisation": "@none"}  # -> word of the recipe


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


def networks(asked: Comparison, word: str) -> Compared:
    """The three networks by their recipes of this word (`@none`, or nothing).

    Raises:
        FileNotFoundError: if one is not recorded.
    """
    return asked.model_copy(update={"models": [model + word for model in MODELS]}).choose(())


def both(outputs: Path) -> dict[str, Compared]:
    """The three networks by each of `VARIANTS`, in one noise draw; nothing unless all six are recorded."""
    asked = Comparison(draws=1, outputs=outputs)
    plans = (asked.plan(model + word) for word in VARIANTS.values() for model in MODELS)
    return {name: networks(asked, word) for name, word in VARIANTS.items()} if all(map(recorded, plans)) else {}


def areas_and_ranks(compared: Compared) -> pd.DataFrame:
    """The area under the curve (percent) and the rank of each network: a row for each, a column for each noise."""
    answers = comparison.measure(compared)
    area = area_under_curve(answers.accuracy, answers.attacks)  # (noises, models)
    told = np.char.add(np.char.mod("%.1f, rank ", area), ranks(area).astype(int).astype(str))
    titles = [title(model.partition("@")[0]) for model in compared.models]
    return pd.DataFrame(told.T, titles, [NOISES[noise].short for noise in PAPER_NOISES])


def told_apart(compared: Compared, seed_spread: dict[str, float]) -> dict[tuple[str, str, str], int]:
    """(noise, one, other) -> 1 where one has the larger area under its curve, -1 where the other has, 0 where unsure.

    Unsure: the 95 % interval of the difference has 0, or the difference is `within` the seed spread.
    """
    scores, found = claims.measured(comparison.measure(compared)), {}
    for noise, (one, other) in itertools.product(PAPER_NOISES, itertools.permutations(scores.models, 2)):
        difference = judge(above(scores, noise, one, other), family=1)
        sure = not within(difference, seed_spread) and difference.low * difference.high > 0
        found[noise, one, other] = int(np.sign(difference.value)) * sure
    return found


def orders(compared: Compared, seed_spread: dict[str, float]) -> dict[str, str]:
    """For each noise `A > B ≈ C` by the area under the curve; `≈` where they are not `told_apart`."""
    scores, sure = claims.measured(comparison.measure(compared)), told_apart(compared, seed_spread)
    found = {}
    for noise in PAPER_NOISES:
        ranked = sorted(scores.models, key=lambda model: -scores.at(noise, model)[0])
        found[noise] = title(ranked[0])
        for one, other in itertools.pairwise(ranked):
            found[noise] += f"{' > ' if sure[noise, one, other] else ' ≈ '}{title(other)}"
    return found


def statements(compared: Compared) -> dict[int, list[Statement]]:
    """The claims as these networks decide them, on the noisy images that all of them have seen."""
    scores = claims.measured(comparison.measure(compared))
    return {number: judge_all(bounds(scores)) for number, bounds in CLAIMS.items()}
