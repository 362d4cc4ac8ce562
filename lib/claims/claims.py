"""The paper's claims (abstract, sections 3.2, 4 and 5), each as statements about numbers (`statements`).

"Typically" is read as a mean and "nearly" as a margin. A statement that the paper's own Tables 1 and 2 do not support
is weakened until they do.
"""

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib import networks
from lib.adversarial import robust_accuracy
from lib.adversarial.runs import AttackPlan
from lib.claims import shapes
from lib.claims.depth import threshold, without_threshold
from lib.claims.foreground import NEARLY_EQUAL
from lib.claims.statements import Bounds, Statement, above, judge_all, on, over
from lib.evaluation.readings import SECOND
from lib.experiments.measure import Compared, recorded
from lib.networks import title
from lib.noise import perturb
from lib.paper import FIGURE_7, FIGURE_8, NETWORKS, PAPER_NOISES, read_table_1
from lib.statistics.contrasts import Share, estimate, mean_of, need
from lib.statistics.curves import Score, Trainings, area, at, less
from lib.store import data
from lib.store.files import OUTPUTS, ROOT

WTB, BTW, RPI, ETA = PAPER_NOISES
RESIDUAL = ("resnet50", "resnetv2_50", "efficientnet_b1")  # of the paper's first experiment
ATTACKED = ("resnet50", "resnet18", "cnn@slow")  # its Table 2 is of "ResNet-50/CNN"
GROUPS = "paper_groups"  # how that table sets noises and attacks beside each other, `robust_accuracy.TERMS`
ABOUT_NETWORKS = range(1, 11)  # the claims that rest on trainings
FEWEST = 10  # levels that a shape needs
OFTEN, DIGITS = 20_000, 100  # attacks on each of so many test images, to see where an image ends


class Evidence(NamedTuple):
    """What claims are judged by."""

    trainings: Trainings
    margins: Mapping[str, dict[str, float]]  # noise -> network attacked -> `robust_accuracy.Nearness.margin`, points
    left_out: Collection[str] = ()  # networks that no statement may rest on


def margins(outputs: Path = OUTPUTS) -> dict[str, dict[str, float]]:
    """How much nearer each noise sits to Pointwise than to DeepFool or Boundary, for each network attacked (claim 12).

    Raises FileNotFoundError if none of `ATTACKED` is.
    """
    found: dict[str, dict[str, float]] = {}
    for model in ATTACKED:
        plan = AttackPlan(model=model, outputs=outputs)
        if plan.recorded:
            for each in robust_accuracy.nearness(plan, robust_accuracy.outcomes(plan)):
                if each.terms == GROUPS:
                    found.setdefault(each.noise, {})[model] = float(each.margin[0])
    if not found:
        model = ATTACKED[0]
        raise FileNotFoundError(f"claim 12 needs attacks on {model}; record them with: make attacks MODEL={model}")
    return found


def by_architecture(trainings: Trainings) -> Trainings:
    """The same, each network named without its recipe (`@WORD`); ValueError if there are two recipes of one."""
    names = {model: model.partition("@")[0] for model in trainings.models}
    if len({*names.values()}) < len(names):
        raise ValueError(f"claims are about one recipe of each network, not {', '.join(names)}")
    renamed = {old: new for old, new in names.items() if old != new}
    curves = trainings.curves.drop(index=list(renamed.values()), level="model", errors="ignore")
    curves = curves.rename(index=renamed, level="model")
    return replace(trainings, models=tuple(names.values()), curves=curves)


def printed() -> Evidence:
    """The paper's own Tables 1 and 2: one training, fewer levels, and nan for what they do not print."""
    table = read_table_1().assign(seed=0)
    curves = table.pivot(index=["model", "seed"], columns=["noise", "attacks"], values="accuracy")
    curves = curves.reindex(pd.MultiIndex.from_product([NETWORKS, [0]], names=["model", "seed"]))
    trainings = Trainings(NETWORKS, curves[list(PAPER_NOISES)], 0)
    beside = robust_accuracy.paper_margins().query("terms == @GROUPS").set_index("method")["margin"]
    return Evidence(trainings, {noise: {ATTACKED[0]: beside.get(noise, np.nan)} for noise in PAPER_NOISES})


def _depth_helps(evidence: Evidence) -> Iterator[Bounds]:
    """ "Typically improves", of four noises and three steps: in the mean. "Steadily decreasing": in the last step.

    That the gains decrease from step to step the paper cannot mean, as it sees a threshold at the second (claim 2).
    """
    mean = area(*PAPER_NOISES)
    shallowest, *_, before, deeper, deepest = FIGURE_8
    steps = len(FIGURE_8) - 1
    gained = estimate(evidence.trainings, mean, {deepest: 1 / steps, shallowest: -1 / steps})
    yield Bounds("mean-gain-of-a-step", "mean: gain of a step in depth", (gained,), 0, math.inf)
    fewer = estimate(evidence.trainings, mean, {deeper: 2, deepest: -1, before: -1})
    yield Bounds("mean-smaller-last-gain", "mean: last gain the smaller", (fewer,), 0, math.inf)


def _preactivation(evidence: Evidence) -> Iterator[Bounds]:
    """ "Consistently": on every noise. By 5 to 10 points: in the mean of the noises."""
    for noise in PAPER_NOISES:
        yield above(evidence.trainings, noise, "resnetv2_50", "resnet50")
    gain = estimate(evidence.trainings, area(*PAPER_NOISES), {"resnetv2_50": 1, "resnet50": -1})
    yield Bounds("mean-gain-of-preactivation", f"mean: {over('resnetv2_50', 'resnet50')}", (gain,), 5, 10)


def _others(model: str) -> list[str]:
    """The other networks of the paper's first experiment."""
    return [other for other in FIGURE_7 if other != model]


def _vgg_is_best(evidence: Evidence) -> Iterator[Bounds]:
    """The exception, Random Pixel Invert, is weakened: there VGG-19 leads by least (in Table 1 it leads by 0.4)."""
    trainings = evidence.trainings
    for noise in (WTB, BTW, ETA):
        yield above(trainings, noise, "vgg19", *_others("vgg19"))
    lead = {"vgg19": 1, "resnetv2_50": -1}
    smaller = tuple(estimate(trainings, less(area(noise), area(RPI)), lead) for noise in (WTB, BTW, ETA))
    yield Bounds("vgg19-leads-least-on-rpi", "least lead, over that on RPI", smaller, 0, math.inf)


def _efficientnet_is_low(evidence: Evidence) -> Iterator[Bounds]:
    """On three noises last or last but one. "20 to 30 %" is weakened to Black to White at 100 and 200 attacks."""
    trainings, own = evidence.trainings, "efficientnet_b1"
    for noise in (BTW, RPI):
        yield below(trainings, own, area(noise), on(noise), 0)
    last, says = below(trainings, own, area(ETA), on(ETA), 0), f"{on(ETA)}: {title(own)} below 3 of 4"
    yield last._replace(id=f"eta-{own}-near-bottom", says=says, place=1)
    for attacks in (100, 200):
        yield below(trainings, own, at(attacks, BTW), f"{on(BTW)} {attacks}", 20)


def below(trainings: Trainings, model: str, score: Score, where: str, least: float) -> Bounds:
    """That a network is so far below each other network of the paper's first experiment."""
    gaps = tuple(estimate(trainings, score, {model: -1, other: 1}) for other in _others(model))
    name = f"{where.lower().replace(' ', '-')}-{model}-last"
    return Bounds(name, f"{where}: {title(model)} below all", gaps, least, math.inf)


def _fc(evidence: Evidence) -> Iterator[Bounds]:
    trainings = evidence.trainings
    yield below(trainings, "fc", area(WTB), on(WTB), 0)
    for noise in (BTW, RPI):
        yield above(trainings, noise, "fc", "efficientnet_b1")
    yield above(trainings, ETA, "fc", *(other for other in _others("fc") if other != "vgg19"))
    yield above(trainings, ETA, "vgg19", "fc")


def similar(model: str) -> str:
    """The residual network of `RESIDUAL` whose number of parameters, without copies, is nearest, in proportion."""
    size = networks.effective_parameters
    return min(RESIDUAL, key=lambda other: abs(math.log(size(other) / size(model))))


def _non_residual(evidence: Evidence) -> Iterator[Bounds]:
    """Over the noises together: on White to Black alone FC is last in Table 1 (claim 7)."""
    for model in ("vgg19", "fc"):
        beside = similar(model)
        gain = estimate(evidence.trainings, area(*PAPER_NOISES), {model: 1, beside: -1})
        yield Bounds(f"mean-{model}-over-{beside}", f"mean: {over(model, beside)}", (gain,), 0, math.inf)


def _background(evidence: Evidence) -> Iterator[Bounds]:
    for model in ("vgg19", "efficientnet_b1"):
        yield apart(evidence.trainings, model, NEARLY_EQUAL, math.inf)
    for model in ("resnet50", "resnetv2_50", "fc"):
        yield apart(evidence.trainings, model, -NEARLY_EQUAL, NEARLY_EQUAL)


def apart(trainings: Trainings, model: str, least: float, most: float) -> Bounds:
    """By how much White to Black costs a network less than Black to White."""
    costs_less = estimate(trainings, less(area(WTB), area(BTW)), {model: 1})
    return Bounds(f"{model}-wtb-over-btw", f"{title(model)}: WtB over BtW", (costs_less,), least, most, ours=True)


SHAPED = {  # what section 4.1 says: network -> shape, noises, on how many of them at least
    "efficientnet_b1": ("sigmoid", PAPER_NOISES, 4),  # "a consistent sigmoid"
    "resnet50": ("inverted sigmoid", (RPI, BTW), 2),
    "resnetv2_50": ("inverted sigmoid", (RPI, BTW), 2),
    "fc": ("line", PAPER_NOISES, 3),  # "typically only presents linear curves"
}


def _shapes(evidence: Evidence) -> Iterator[Bounds]:
    """That the curves have the shapes of `SHAPED` in more than half of the trainings, all these networks' together."""
    models = [model for model in SHAPED if model not in evidence.left_out]
    if not models:
        return
    need(evidence.trainings, models)
    each = {model: shaped(evidence.trainings, model) for model in models}
    share = Share(np.concatenate([*each.values()]), {model: len(own) for model, own in each.items()})
    yield Bounds("shapes", "% of trainings with these shapes", (share,), 50, math.inf, ours=True)


def shaped(trainings: Trainings, model: str) -> np.ndarray:
    """Whether each training's curves have the network's shape in `SHAPED`: (trainings,) bool; nan with few levels."""
    shape, noises, least = SHAPED[model]
    if len(trainings.attacks) < FEWEST:
        return np.full(len(trainings.seeds[model]), np.nan)
    best = [shapes.lowest(trainings.of(model, noise).to_numpy(), trainings.attacks) for noise in noises]
    return (np.array(best) == list(shapes.SHAPES).index(shape)).sum(axis=0) >= least


def _ends(_: Evidence) -> Iterator[Bounds]:
    """Where Random Pixel Invert leads if a pixel may be attacked again, as it now is; over digits, not trainings."""
    images = data.load().test_images[:DIGITS]
    for c in (1.25, 2.0, 5.0, 0.5, 0.8):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, replacement=True, source="current")
        grey, extreme = (ended >= 96) & (ended <= 159), (ended < 32) | (ended > 223)
        where, there = ("black or white", extreme) if c > 1 else ("grey", grey)
        share = mean_of(100 * there.mean(axis=(1, 2)))
        yield Bounds(f"c-{c}-{where.replace(' ', '-')}", f"c = {c}: % {where}", (share,), 90, math.inf, ours=True)


def _near_pointwise(evidence: Evidence) -> Iterator[Bounds]:
    """For the noises of Table 2, in its groups: 40 attacks beside Pointwise, 200 beside DeepFool and Boundary."""
    for noise in (WTB, BTW, ETA):
        found = evidence.margins[noise]
        margin = mean_of(np.array([*found.values()]), dict.fromkeys(found, 1))
        name = f"{on(noise).lower()}-near-pointwise"
        yield Bounds(name, f"{on(noise)}: nearer to Pointwise by", (margin,), 0, math.inf)


class Claim(NamedTuple):
    """What the paper says, where, and the statements that decide it."""

    text: str
    source: str
    bounds: Callable[[Evidence], Iterator[Bounds]]


CLAIMS = {
    1: Claim("Depth brings resilience, with ever smaller gains", "abstract, sections 4.3 and 5", _depth_helps),
    2: Claim("A threshold at 50 layers on three noises", "section 4.3", lambda own: threshold(own.trainings)),
    3: Claim("Each deeper ResNet ahead on EtA", "section 4.3", lambda own: without_threshold(own.trainings)),
    4: Claim("ResNet-50V2 above ResNet-50 by 5 to 10 points", "section 4.1", _preactivation),
    5: Claim("VGG-19 the best, on RPI by least", "section 4.1", _vgg_is_best),
    6: Claim("EfficientNet-B1 near the bottom, on BtW by 20 points", "section 4.1", _efficientnet_is_low),
    7: Claim("FC last on WtB, above EfficientNet-B1 elsewhere, second on EtA", "section 4.1", _fc),
    8: Claim("Networks without shortcuts ahead of residual ones of like size", "section 5", _non_residual),
    9: Claim("VGG-19 and EfficientNet-B1 weaker on BtW than on WtB, the others even", "section 5", _background),
    10: Claim("Curves: EfficientNet-B1 sigmoid, ResNet-50 inverted, FC straight", "section 4.1", _shapes),
    11: Claim("Many attacks lead to black and white if c > 1, to grey if c < 1", "section 3.2", _ends),
    12: Claim("Noises nearer to Pointwise than to DeepFool or Boundary", "section 4.2, Table 2", _near_pointwise),
}


def asked(number: int, evidence: Evidence) -> list[Bounds]:
    """The statements of one claim without the networks that are left out; perhaps none."""
    found = [each.without(evidence.left_out) for each in CLAIMS[number].bounds(evidence)]
    return [each for each in found if each.numbers]


def statements(number: int, evidence: Evidence) -> list[Statement]:
    """The statements of one claim, judged, with the same numbers by the paper's own tables where these have them.

    Raises ValueError if a network of the claim is not among the trainings.
    """
    about_networks = CLAIMS[number].bounds is not _ends
    beside = asked(number, printed()._replace(left_out=evidence.left_out)) if about_networks else None
    return judge_all(asked(number, evidence), beside)


def under_other_reading(asked: Compared) -> dict[int, list[Statement]]:
    """Claims 1 to 10 by the trainings that were also evaluated under the second reading of the noise.

    A claim is left out if a network of it was not evaluated so.
    """
    measured = recorded(tuple(asked.models or NETWORKS), ROOT / asked.outputs, asked.images, SECOND)
    trainings, found = by_architecture(measured), {}
    for number in ABOUT_NETWORKS:
        with contextlib.suppress(ValueError):
            found[number] = statements(number, Evidence(trainings, {}))
    return found
