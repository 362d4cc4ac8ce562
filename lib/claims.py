"""The paper's claims (sections 3.2, 4 and 5): each as statements about numbers, and one rule for the verdict.

A statement says between which bounds a number lies. It *holds* if the number's 95 % interval lies within them; it
*fails* if the interval lies outside, where the 95 % are for all the statements of the claim together (Bonferroni), so
that a claim of twenty statements is not contradicted by chance; else it is *undecided*. A claim is contradicted if one
of its statements fails, supported if all of them hold, and undecided otherwise. Intervals are over test images and
noise draws of one training of each network.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from lib import data, nets, results, shapes
from lib.comparison import Answers
from lib.depth import INITIAL, STEP
from lib.estimates import area_under_curve, ranks, resample
from lib.foreground import NEARLY_EQUAL
from lib.noise import NOISES as NOISE
from lib.noise import perturb
from lib.study import FIGURE_7, FIGURE_8, NOISES
from lib.tables import spread

WTB, BTW, RPI, ETA = NOISES
RESIDUAL = ("resnet18", "resnet34", "resnet50", "resnet101", "resnetv2_50", "efficientnet_b1")
FEWEST = 10  # levels from which a shape can be told
OFTEN, DIGITS = 20_000, 100  # attacks on each of so many test images, to see where an image ends
HOLDS, FAILS, UNDECIDED, MISSING = "holds", "fails", "undecided", "not yet measured"

Number = np.ndarray  # (1 + samples,): over the images, then over each bootstrap sample of them; nan: not measured
Bounds = tuple[str, Number, float, float]  # what is said of a number, and the least and the most it may be


@dataclass(frozen=True)
class Scores:
    """Accuracies from which the numbers of statements are made."""

    models: tuple[str, ...]
    attacks: np.ndarray  # (levels,)
    accuracy: np.ndarray  # (1 + samples, noises, models, levels), percent

    def curves(self, noise: str, model: str) -> np.ndarray:
        """(1 + samples, levels); nan where the network is not measured."""
        if model not in self.models:
            return np.full((len(self.accuracy), len(self.attacks)), np.nan)
        return self.accuracy[:, NOISES.index(noise), self.models.index(model)]

    def at(self, noise: str, model: str, attacks: int | None = None) -> Number:
        """Accuracy at a level, or the area under the curve; nan where it is not measured."""
        curves = self.curves(noise, model)
        if attacks is None:
            return area_under_curve(curves, self.attacks)
        if attacks not in self.attacks:
            return np.full(len(curves), np.nan)
        return curves[:, self.attacks.tolist().index(attacks)]

    def gain(self, noise: str, first: str, second: str, attacks: int | None = None) -> Number:
        """The second network minus the first."""
        return self.at(noise, second, attacks) - self.at(noise, first, attacks)


def measured(answers: Answers) -> Scores:
    return Scores(answers.models, answers.attacks, np.concatenate([answers.accuracy[None], answers.resampled]))


def printed() -> Scores:
    """The paper's own Table 1, which has no samples and five levels."""
    table = results.paper_table().set_index(["noise", "model", "attacks"])["accuracy"].unstack()
    accuracy = table.to_numpy().reshape(1, *map(len, table.index.levels), -1)
    noises, models = (list(level) for level in table.index.levels)
    accuracy = accuracy[:, [noises.index(noise) for noise in NOISES]]
    return Scores(tuple(models), table.columns.to_numpy(), accuracy)


def _title(model: str) -> str:
    return nets.title(model)


def _depth_helps(scores: Scores) -> Iterator[Bounds]:
    for noise in NOISES:
        steps = list(pairwise(FIGURE_8))
        for first, second in steps:
            yield f"{_on(noise)}: {_over(second, first)}", scores.gain(noise, first, second), 0, math.inf
        for before, after in pairwise(steps):
            shrinks = scores.gain(noise, *before) - scores.gain(noise, *after)
            yield f"{_on(noise)}: the gain to {_title(before[1])} over that to {_title(after[1])}", shrinks, 0, math.inf


def _excess(scores: Scores, noise: str) -> Iterator[tuple[str, Number]]:
    """By how much the step from 34 to 50 layers exceeds each other step, at the first attacks."""
    for other in pairwise(FIGURE_8):
        if other != STEP:
            gain = scores.gain(noise, *STEP, INITIAL) - scores.gain(noise, *other, INITIAL)
            yield f"{_title(other[0])} to {_title(other[1])}", gain


def _threshold(scores: Scores) -> Iterator[Bounds]:
    step = _over(STEP[1], STEP[0])
    for noise in (WTB, BTW, RPI):
        yield f"{_on(noise)}, {INITIAL} attacks: {step}", scores.gain(noise, *STEP, INITIAL), 0, math.inf
        for other, excess in _excess(scores, noise):
            yield f"{_on(noise)}, {INITIAL} attacks: that gain over that from {other}", excess, 0, math.inf


def _edges_by_depth(scores: Scores) -> Iterator[Bounds]:
    for first, second in pairwise(FIGURE_8):
        yield f"EtA: {_over(second, first)}", scores.gain(ETA, first, second), 0, math.inf
    smallest = np.min([excess for _, excess in _excess(scores, ETA)], axis=0)
    yield f"EtA, {INITIAL} attacks: that gain from 34 to 50 layers over the largest other one", smallest, -math.inf, 0


def _preactivation(scores: Scores) -> Iterator[Bounds]:
    for noise in NOISES:
        yield f"{_on(noise)}: {_over('resnetv2_50', 'resnet50')}", scores.gain(noise, "resnet50", "resnetv2_50"), 5, 10


def _vgg_is_best(scores: Scores) -> Iterator[Bounds]:
    others = [model for model in FIGURE_7 if model != "vgg19"]
    for noise in (WTB, BTW, ETA):
        for other in others:
            yield f"{_on(noise)}: {_over('vgg19', other)}", scores.gain(noise, other, "vgg19"), 0, math.inf
    best = np.max([scores.gain(RPI, "vgg19", other) for other in others], axis=0)
    yield "RPI: the best other network over VGG-19", best, 0, math.inf


def _efficientnet_is_low(scores: Scores) -> Iterator[Bounds]:
    own = FIGURE_7.index("efficientnet_b1")
    places = [ranks(np.stack([scores.at(noise, model) for model in FIGURE_7], axis=-1))[:, own] for noise in NOISES]
    low = np.sum(np.stack(places) >= len(FIGURE_7) - 1, axis=0) + 0 * np.sum(places, axis=0)  # nan stays nan
    yield "noises on which EfficientNet-B1 is last or last but one of five", low, 3, 4
    others = [model for model in FIGURE_7 if model != "efficientnet_b1"]
    for noise in (BTW, RPI):
        gaps = [
            np.min([scores.gain(noise, "efficientnet_b1", other, attacks) for other in others], axis=0)
            for attacks in scores.attacks
        ]
        yield f"{_on(noise)}: the next lowest over EfficientNet-B1, where most", np.max(gaps, axis=0), 20, math.inf


def _fc(scores: Scores) -> Iterator[Bounds]:
    others = [model for model in FIGURE_7 if model != "fc"]
    for other in others:
        yield f"WtB: {_over(other, 'fc')}", scores.gain(WTB, "fc", other), 0, math.inf
    for noise in (BTW, RPI, ETA):
        yield (
            f"{_on(noise)}: {_over('fc', 'efficientnet_b1')}",
            scores.gain(noise, "efficientnet_b1", "fc"),
            0,
            math.inf,
        )
    places = ranks(np.stack([scores.at(ETA, model) for model in FIGURE_7], axis=-1))[:, FIGURE_7.index("fc")]
    yield "EtA: rank of FC among five", places + 0 * scores.at(ETA, "fc"), 2, 2


def similar(model: str) -> str:
    """The residual network whose number of parameters is nearest, in proportion."""
    return min(RESIDUAL, key=lambda other: abs(math.log(nets.parameters(other) / nets.parameters(model))))


def _non_residual(scores: Scores) -> Iterator[Bounds]:
    for model in ("vgg19", "fc"):
        for noise in NOISES:
            yield (
                f"{_on(noise)}: {_over(model, similar(model))}",
                scores.gain(noise, similar(model), model),
                0,
                math.inf,
            )


def _background(scores: Scores) -> Iterator[Bounds]:
    for model in ("vgg19", "efficientnet_b1"):
        yield f"{_title(model)}: WtB over BtW", scores.at(WTB, model) - scores.at(BTW, model), 0, math.inf
    for model in ("resnet50", "resnetv2_50", "fc"):
        apart = scores.at(WTB, model) - scores.at(BTW, model)
        yield f"{_title(model)}: WtB over BtW", apart, -NEARLY_EQUAL, NEARLY_EQUAL


def _on(noise: str) -> str:
    return NOISE[noise].short


def _over(one: str, other: str) -> str:
    return f"{_title(one)} over {_title(other)}"


def _shapes(scores: Scores) -> Iterator[Bounds]:
    """Whether the shape that the paper sees is the one of lowest AIC: 1 or 0."""
    for (model, noise), shape in shapes.PAPER.items():
        if model in ("resnet50", "resnetv2_50") and shape != "inverted sigmoid":
            continue  # "somewhat sigmoidal"
        curves = scores.curves(noise, model)[: 1 + shapes.RESAMPLES]
        if len(scores.attacks) < FEWEST or np.isnan(curves).any():
            best = np.full(len(curves), np.nan)
        else:
            best = 1.0 * (shapes.lowest(curves, scores.attacks) == list(shapes.SHAPES).index(shape))
        yield f"{_title(model)}, {_on(noise)}: {shape} (1 yes, 0 no)", best, 1, 1


def _ends(_: Scores) -> Iterator[Bounds]:
    """Where Random Pixel Invert leads, if pixels may be attacked again."""
    images = data.load().test_images[:DIGITS]
    for c in (1.25, 2.0, 5.0):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, revisit=True)
        yield f"c = {c}: pixels near black or white (%)", _share((ended < 32) | (ended > 223)), 90, 100
    for c in (0.5, 0.8):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, revisit=True)
        yield f"c = {c}: grey pixels, 96 to 159 (%)", _share((ended >= 96) & (ended <= 159)), 90, 100


def _share(pixels: np.ndarray) -> Number:
    """Percent of the pixels (images, 28, 28), and the same in bootstrap samples of the images."""
    counts = pixels.sum(axis=(1, 2))
    return 100 * np.concatenate([[counts.mean()], resample(counts)]) / pixels[0].size


@dataclass(frozen=True)
class Statement:
    """One row of a claim."""

    says: str
    value: float
    low: float  # 95 % interval
    high: float
    least: float
    most: float
    verdict: str
    paper: float = math.nan  # the number by the paper's own Table 1


def judge(bounds: Bounds, family: int, paper: float = math.nan) -> Statement:
    """A statement that is one of `family`, all of which a claim needs."""
    says, number, least, most = bounds
    if np.isnan(number).any():
        return Statement(says, *3 * [math.nan], least, most, MISSING, paper)
    low, high = _interval(number[1:], 1)
    widest = _interval(number[1:], family)
    holds = least <= low and high <= most
    fails = widest[1] < least or widest[0] > most
    verdict = HOLDS if holds else FAILS if fails else UNDECIDED
    return Statement(says, float(number[0]), low, high, least, most, verdict, paper)


def _interval(samples: np.ndarray, family: int) -> tuple[float, float]:
    """95 % for `family` intervals together."""
    tail = 0.025 / family
    low, high = np.quantile(samples, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, and the statements that decide it."""

    text: str
    source: str
    bounds: Callable[[Scores], Iterator[Bounds]]


CLAIMS = {
    1: Claim(
        "Greater depth means greater resilience, with steadily smaller gains.",
        "sections 4.3 and 5",
        _depth_helps,
    ),
    2: Claim(
        "On White to Black, Black to White and Random Pixel Invert there is a depth threshold between ResNet-34 and "
        "ResNet-50.",
        "section 4.3",
        _threshold,
    ),
    3: Claim(
        "On Edge to Altered each deeper ResNet beats the last, without a threshold.",
        "section 4.3",
        _edges_by_depth,
    ),
    4: Claim("ResNet-50V2 tests 5 to 10 points above ResNet-50.", "section 4.1", _preactivation),
    5: Claim("VGG-19 is best on every noise but Random Pixel Invert.", "section 4.1", _vgg_is_best),
    6: Claim(
        "EfficientNet-B1 is at or near the bottom on three noises of four, and 20 points or more below the next lowest "
        "on Black to White and Random Pixel Invert.",
        "section 4.1",
        _efficientnet_is_low,
    ),
    7: Claim(
        "The fully connected net is lowest on White to Black, above EfficientNet-B1 elsewhere, and second best on Edge "
        "to Altered.",
        "section 4.1",
        _fc,
    ),
    8: Claim(
        "Networks without residual connections outperform residual ones of similar complexity.",
        "section 5",
        _non_residual,
    ),
    9: Claim(
        "VGG-19 and EfficientNet-B1 do worse on Black to White than on White to Black; ResNet-50, ResNet-50V2 and the "
        "fully connected net treat them nearly equally.",
        "section 5",
        _background,
    ),
    10: Claim(
        "EfficientNet-B1's curves are sigmoid throughout, those of ResNets inverted sigmoid on Random Pixel Invert and "
        "Black to White, those of the fully connected net straight.",
        "section 4.1",
        _shapes,
    ),
    11: Claim(
        "Attacked again and again, c > 1 drives an image to black and white, c < 1 to grey.",
        "section 3.2",
        _ends,
    ),
}


def statements(number: int, scores: Scores) -> list[Statement]:
    """The statements of one claim, with the same numbers by the paper's own Table 1 where that has them."""
    claim = CLAIMS[number]
    bounds = list(claim.bounds(scores))
    theirs = len(bounds) * [math.nan]
    if claim.bounds is not _ends:  # which is about the noise alone
        theirs = [float(own[1][0]) for own in claim.bounds(printed())]
    return [judge(own, len(bounds), paper) for own, paper in zip(bounds, theirs, strict=True)]


def verdict(found: list[Statement]) -> str:
    """Of a claim, by the rule at the top of this module; a claim that fails already needs no further network."""
    answers = {statement.verdict for statement in found}
    if FAILS in answers:
        return "contradicted"
    if MISSING in answers:
        return MISSING
    return "supported" if answers == {HOLDS} else "undecided"


def overview(found: dict[int, list[Statement]]) -> pd.DataFrame:
    """A row for every claim: its verdict, and how many of its statements hold, fail and so on."""
    rows = {}
    for number, own in found.items():
        answers = [statement.verdict for statement in own]
        known = [statement for statement in own if not math.isnan(statement.paper)]
        kept = sum(statement.least <= statement.paper <= statement.most for statement in known)
        rows[number] = (
            {"claim": CLAIMS[number].text, "verdict": verdict(own)}
            | {answer: answers.count(answer) for answer in (HOLDS, FAILS, UNDECIDED, MISSING)}
            | {"paper": f"{kept} of {len(known)}" if known else "-"}
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def table(own: list[Statement]) -> pd.DataFrame:
    """The statements of one claim in words."""
    rows = [
        {
            "statement": statement.says,
            "number": spread(statement.value, statement.low, statement.high) if statement.verdict != MISSING else "-",
            "claimed": _range(statement.least, statement.most),
            "verdict": statement.verdict,
            "paper": "-" if math.isnan(statement.paper) else f"{statement.paper:.1f}",
        }
        for statement in own
    ]
    return pd.DataFrame(rows).set_index("statement")


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"above {least:g}"
    if math.isinf(least):
        return f"at most {most:g}"
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
