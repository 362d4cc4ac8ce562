"""The paper's claims (abstract, sections 3.2, 4 and 5), each as statements about numbers (`statements`)."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.adversarial import robust_accuracy
from lib.adversarial.runs import AttackPlan
from lib.analysis import comparison, shapes
from lib.analysis.compared import Compared, Comparison
from lib.analysis.comparison import Answers
from lib.analysis.depth import INITIAL, threshold, without_threshold
from lib.analysis.foreground import NEARLY_EQUAL
from lib.analysis.statements import Bounds, Number, Scores, Statement, above, judge_all, on
from lib.evaluation.statistics import ranks, resample
from lib.networks import title
from lib.noise import perturb
from lib.paper import FIGURE_7, FIGURE_8, NETWORKS, PAPER_NOISES, read_table_1
from lib.readings import effects
from lib.store import data

WTB, BTW, RPI, ETA = PAPER_NOISES
RESIDUAL = ("resnet18", "resnet34", "resnet50", "resnet101", "resnetv2_50", "efficientnet_b1")
ATTACKED = "resnet50"  # whose noises the paper's Table 2 sets beside the attacks
FEWEST = 10  # levels from which a shape can be told
OFTEN, DIGITS = 20_000, 100  # attacks on each of so many test images, to see where an image ends


def measured(answers: Answers, margins: dict[tuple[str, str], Number] | None = None) -> Scores:
    """Of the networks compared, each by the name of its architecture, whatever the recipe (`@WORD`).

    Raises:
        ValueError: if there are two recipes of one.
    """
    models = tuple(model.partition("@")[0] for model in answers.models)
    if len(set(models)) < len(models):
        raise ValueError(f"claims are about one recipe of each network, not {', '.join(answers.models)}")
    accuracy = np.concatenate([answers.accuracy[None], answers.resampled])
    return Scores(models, answers.attacks, accuracy, margins or {})


def attack_plan_of(asked: Comparison) -> AttackPlan:
    """The attacks on the network to which the paper's Table 2 belongs."""
    return AttackPlan(model=ATTACKED, train_seed=asked.train_seed, outputs=asked.outputs)


def attacked(asked: Comparison) -> dict[tuple[str, str], Number]:
    """The margins of claim 12: (noise, id of the terms) -> points.

    Raises:
        FileNotFoundError: if the attacks on `ATTACKED` are not recorded.
    """
    attack_plan = attack_plan_of(asked)
    if not attack_plan.recorded:
        raise FileNotFoundError(
            f"claim 12 needs attacks on {ATTACKED}; record them with: make attacks MODEL={ATTACKED}"
        )
    return {
        (found.noise, found.terms): found.margin
        for found in robust_accuracy.nearness(attack_plan, robust_accuracy.outcomes(attack_plan))
    }


def printed() -> Scores:
    """The paper's own Tables 1 and 2, which have no samples, fewer levels, and nan for what they do not print."""
    table = read_table_1().set_index(["noise", "model", "attacks"])["accuracy"].unstack()
    table = table.reindex(pd.MultiIndex.from_product([PAPER_NOISES, NETWORKS]))
    accuracy = table.to_numpy().reshape(1, len(PAPER_NOISES), len(NETWORKS), -1)
    margins = {(row.method, row.terms): np.array([row.margin]) for row in robust_accuracy.paper_margins().itertuples()}
    return Scores(NETWORKS, table.columns.to_numpy(), accuracy, margins)


def _depth_helps(scores: Scores) -> Iterator[Bounds]:
    for noise in PAPER_NOISES:
        steps = list(pairwise(FIGURE_8))
        for first, second in steps:
            yield above(scores, noise, second, first)
        for before, after in pairwise(steps):
            gain = scores.gain(noise, *after)
            smaller = np.minimum(gain, scores.gain(noise, *before) - gain)  # a loss is no smaller gain
            says = f"{on(noise)}: a gain to {title(after[1])}, and below that to {title(before[1])}"
            yield Bounds(f"{on(noise).lower()}-smaller-gain-to-{after[1]}", says, smaller, 0, math.inf, noise, 4)


def _preactivation(scores: Scores) -> Iterator[Bounds]:
    for noise in PAPER_NOISES:
        yield above(scores, noise, "resnetv2_50", "resnet50")._replace(least=5, most=10)


def _vgg_is_best(scores: Scores) -> Iterator[Bounds]:
    others = [model for model in FIGURE_7 if model != "vgg19"]
    for noise in (WTB, BTW, ETA):
        for other in others:
            yield above(scores, noise, "vgg19", other)
    best = np.max([scores.gain(RPI, "vgg19", other) for other in others], axis=0)
    yield Bounds("rpi-best-over-vgg19", "RPI: the best other network over VGG-19", best, 0, math.inf, RPI, 2)


def _efficientnet_is_low(scores: Scores) -> Iterator[Bounds]:
    own = FIGURE_7.index("efficientnet_b1")
    places = [
        ranks(np.stack([scores.at(noise, model) for model in FIGURE_7], axis=-1))[:, own] for noise in PAPER_NOISES
    ]
    low = np.sum(np.stack(places) >= len(FIGURE_7) - 1, axis=0)
    says = "noises on which EfficientNet-B1 is last or last but one of five"
    yield Bounds("noises-with-efficientnet_b1-near-bottom", says, low, 3, 4)
    others = [model for model in FIGURE_7 if model != "efficientnet_b1"]
    for noise in (BTW, RPI):
        yield widest_gap(scores, noise, others)


def widest_gap(scores: Scores, noise: str, others: Iterable[str]) -> Bounds:
    """By how much the lowest of the others stands above EfficientNet-B1, at the level where it is most."""
    gaps = [
        np.min([scores.gain(noise, "efficientnet_b1", other, attacks) for other in others], axis=0)
        for attacks in scores.attacks
    ]
    says = f"{on(noise)}, where most: the next lowest over EfficientNet-B1"
    return Bounds(gap_id(noise), says, np.max(gaps, axis=0), 20, math.inf)


def gap_id(noise: str) -> str:
    return f"{on(noise).lower()}-widest-gap-below-next"


def _fc(scores: Scores) -> Iterator[Bounds]:
    others = [model for model in FIGURE_7 if model != "fc"]
    for other in others:
        yield above(scores, WTB, other, "fc")
    for noise in (BTW, RPI, ETA):
        yield above(scores, noise, "fc", "efficientnet_b1")
    places = ranks(np.stack([scores.at(ETA, model) for model in FIGURE_7], axis=-1))[:, FIGURE_7.index("fc")]
    yield Bounds("eta-rank-of-fc", "EtA, rank of FC among five", places, 2, 2)


def similar(model: str) -> str:
    """The residual network whose number of parameters, without copies, is nearest, in proportion."""
    size = networks.effective_parameters
    return min(RESIDUAL, key=lambda other: abs(math.log(size(other) / size(model))))


def _non_residual(scores: Scores) -> Iterator[Bounds]:
    for model in ("vgg19", "fc"):
        for noise in PAPER_NOISES:
            yield above(scores, noise, model, similar(model))


def _background(scores: Scores) -> Iterator[Bounds]:
    for model in ("vgg19", "efficientnet_b1"):
        yield apart(scores, model, NEARLY_EQUAL, math.inf)
    for model in ("resnet50", "resnetv2_50", "fc"):
        yield apart(scores, model, -NEARLY_EQUAL, NEARLY_EQUAL)


def apart(scores: Scores, model: str, least: float, most: float) -> Bounds:
    """By how much White to Black costs a network less than Black to White."""
    costs_less = scores.at(WTB, model) - scores.at(BTW, model)
    return Bounds(f"{model}-wtb-over-btw", f"{title(model)}: WtB over BtW", costs_less, least, most, "foreground", 1)


def _shapes(scores: Scores) -> Iterator[Bounds]:
    """Whether the shape that the paper sees is the one of lowest AIC: 1 or 0."""
    for (model, noise), shape in shapes.PAPER_SHAPES.items():
        if model in ("resnet50", "resnetv2_50") and shape != "inverted sigmoid":
            continue  # "somewhat sigmoidal"
        curves = scores.curves(noise, model)[: 1 + shapes.RESAMPLES]
        if len(scores.attacks) < FEWEST:
            best = np.full(len(curves), np.nan)
        else:
            best = 1.0 * (shapes.lowest(curves, scores.attacks) == list(shapes.SHAPES).index(shape))
        says = f"{title(model)}, {on(noise)}: {shape} (1 yes, 0 no)"
        yield Bounds(f"{on(noise).lower()}-shape-of-{model}", says, best, 1, 1)


def _ends(_: Scores) -> Iterator[Bounds]:
    """Where Random Pixel Invert leads, if pixels may be attacked again."""
    images = data.load().test_images[:DIGITS]
    for c in (1.25, 2.0, 5.0):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, replacement=True, source="current")
        share = _share((ended < 32) | (ended > 223))
        yield Bounds(f"c-{c}-black-or-white", f"c = {c}: pixels near black or white (%)", share, 90, 100)
    for c in (0.5, 0.8):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, replacement=True, source="current")
        share = _share((ended >= 96) & (ended <= 159))
        yield Bounds(f"c-{c}-grey", f"c = {c}: grey pixels, 96 to 159 (%)", share, 90, 100)


def _share(pixels: np.ndarray) -> Number:
    """Percent of the pixels (images, 28, 28), and the same in bootstrap samples of the images."""
    counts = pixels.sum(axis=(1, 2))
    return 100 * np.concatenate([[counts.mean()], resample(counts)]) / pixels[0].size


def _near_pointwise(scores: Scores) -> Iterator[Bounds]:
    for terms, words in robust_accuracy.TERMS.items():
        for noise in PAPER_NOISES:
            margin = scores.margins.get((noise, terms), np.full(len(scores.accuracy), np.nan))  # the paper has some
            yield Bounds(near_id(noise, terms), f"{on(noise)}, {words}: nearer to Pointwise by", margin, 0, math.inf)


def near_id(noise: str, terms: str) -> str:
    """Of the statement of claim 12 about a noise, on the terms of this id."""
    return f"{on(noise).lower()}-near-pointwise-{terms}"


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, and the statements that decide it."""

    text: str
    source: str
    bounds: Callable[[Scores], Iterator[Bounds]]


CLAIMS = {
    1: Claim(
        "Greater depth means greater resilience, with steadily smaller gains.",
        "abstract, sections 4.3 and 5",
        _depth_helps,
    ),
    2: Claim(
        "On White to Black, Black to White and Random Pixel Invert there is a depth threshold between ResNet-34 and "
        "ResNet-50.",
        "section 4.3",
        threshold,
    ),
    3: Claim(
        "On Edge to Altered each deeper ResNet beats the last, without a threshold.",
        "section 4.3",
        without_threshold,
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
    12: Claim(
        "On ResNet-50 the noises sit nearer to Pointwise than to DeepFool or Boundary.",
        "section 4.2, Table 2",
        _near_pointwise,
    ),
}


def statements(number: int, scores: Scores) -> list[Statement]:
    """The statements of one claim, with the same numbers by the paper's own tables where these have them.

    Raises:
        ValueError: if a network of the claim is not among the scores.
    """
    bounds, paper = CLAIMS[number].bounds, printed()
    if bounds is _ends:  # about no network
        return judge_all(bounds(scores))
    return judge_all(bounds(scores), bounds(paper), bounds(scores.at_levels(paper.attacks)))


def retrained(compared: Compared) -> dict[str, dict[int, list[Statement]]]:
    """The claims about networks again, with a better training in the place of one that fell short (`Compared.instead`).

    Returns:
        MODEL@WORD -> the statements of claims 1 to 10.
    """
    found = {}
    for variant, other in compared.instead().items():
        scores = measured(comparison.measure(other))
        found[variant] = {number: statements(number, scores) for number in CLAIMS if number <= 10}
    return found


def seed_spread(outputs: Path) -> dict[str, float]:
    """How far trainings of one network lie apart at most (`effects.trainings_apart`), by what they move.

    At 50 attacks, where none were compared, the larger of the distances at 40 and at 100.
    """
    apart = effects.trainings_apart(outputs, NETWORKS)
    early = {f"{noise} {INITIAL}": max(apart[f"{noise} 40"], apart[f"{noise} 100"]) for noise in PAPER_NOISES if apart}
    return apart | early
