"""The paper's claims (abstract, sections 3.2, 4 and 5), each as statements about numbers (`statements`)."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks, paper
from lib.adversarial import robust_accuracy
from lib.adversarial.runs import AttackPlan
from lib.analysis import comparison, shapes
from lib.analysis.compared import Chosen, Study
from lib.analysis.comparison import Answers
from lib.analysis.depth import INITIAL, LEAST_GAIN, STEP
from lib.analysis.foreground import NEARLY_EQUAL
from lib.analysis.statements import (
    FAILS,
    HOLDS,
    MISSING,
    UNDECIDED,
    Bounds,
    Number,
    Scores,
    Statement,
    above,
    allowing,
    judge_all,
    on,
    over,
    turned,
    verdict,
)
from lib.evaluation.statistics import ranks, resample
from lib.networks import title
from lib.noise import perturb
from lib.paper import FIGURE_7, FIGURE_8, PAPER_NOISES, PAPER_TARGET, read_table_1
from lib.readings import effects
from lib.store import data
from lib.training.recipe import Recipe

WTB, BTW, RPI, ETA = PAPER_NOISES
RESIDUAL = ("resnet18", "resnet34", "resnet50", "resnet101", "resnetv2_50", "efficientnet_b1")
ATTACKED = "resnet50"  # whose noises the paper's Table 2 sets beside the attacks
FEWEST = 10  # levels from which a shape can be told
OFTEN, DIGITS = 20_000, 100  # attacks on each of so many test images, to see where an image ends


def measured(answers: Answers, margins: dict[tuple[str, str], Number] | None = None) -> Scores:
    """Of the networks that were measured, each by the name of its architecture, whatever the recipe (`@WORD`).

    Raises:
        ValueError: if there are two recipes of one.
    """
    models = tuple(model.partition("@")[0] for model in answers.models)
    if len(set(models)) < len(models):
        raise ValueError(f"claims are about one recipe of each network, not {', '.join(answers.models)}")
    accuracy = np.concatenate([answers.accuracy[None], answers.resampled])
    return Scores(models, answers.attacks, accuracy, margins or {})


def attack_plan_of(study: Study) -> AttackPlan:
    """The attacks on the network to which the paper's Table 2 belongs."""
    return AttackPlan(model=ATTACKED, train_seed=study.train_seed, outputs=study.outputs)


def attacked(study: Study) -> dict[tuple[str, str], Number]:
    """The margins of claim 12; empty where the attacks on `ATTACKED` or its sweep are not recorded."""
    attack_plan = attack_plan_of(study)
    if not attack_plan.recorded:
        return {}
    return {
        (found.noise, found.terms): found.margin
        for found in robust_accuracy.nearness(attack_plan, robust_accuracy.outcomes(attack_plan))
    }


def printed() -> Scores:
    """The paper's own Tables 1 and 2, which have no samples and fewer levels."""
    table = read_table_1().set_index(["noise", "model", "attacks"])["accuracy"].unstack()
    accuracy = table.to_numpy().reshape(1, *map(len, table.index.levels), -1)
    noises, models = (list(level) for level in table.index.levels)
    accuracy = accuracy[:, [noises.index(noise) for noise in PAPER_NOISES]]
    margins = {(row.method, row.terms): np.array([row.margin]) for row in robust_accuracy.paper_margins().itertuples()}
    return Scores(tuple(models), table.columns.to_numpy(), accuracy, margins)


def _depth_helps(scores: Scores) -> Iterator[Bounds]:
    for noise in PAPER_NOISES:
        steps = list(pairwise(FIGURE_8))
        for first, second in steps:
            yield above(scores, noise, second, first)
        for before, after in pairwise(steps):
            gain = scores.gain(noise, *after)
            smaller = np.minimum(gain, scores.gain(noise, *before) - gain)  # a loss is no smaller gain
            says = f"{on(noise)}: a gain to {title(after[1])}, and below that to {title(before[1])}"
            yield Bounds(says, smaller, 0, math.inf, noise, 4)


def _excess(scores: Scores, noise: str) -> Iterator[tuple[str, Number]]:
    """By how much the step from 34 to 50 layers exceeds each other step, at the first attacks."""
    for other in pairwise(FIGURE_8):
        if other != STEP:
            gain = scores.gain(noise, *STEP, INITIAL) - scores.gain(noise, *other, INITIAL)
            yield f"{title(other[0])} to {title(other[1])}", gain


def _threshold(scores: Scores) -> Iterator[Bounds]:
    for noise in (WTB, BTW, RPI):
        where, moved_by = f"{on(noise)}, {INITIAL} attacks", f"{noise} {INITIAL}"
        gain = scores.gain(noise, *STEP, INITIAL)
        yield Bounds(f"{where}: {over(STEP[1], STEP[0])}", gain, LEAST_GAIN, math.inf, moved_by, 2)
        for other, excess in _excess(scores, noise):
            yield Bounds(f"{where}: that gain over that from {other}", excess, 0, math.inf, moved_by, 4)


def _edges_by_depth(scores: Scores) -> Iterator[Bounds]:
    for first, second in pairwise(FIGURE_8):
        yield above(scores, ETA, second, first)
    beyond = scores.gain(ETA, *STEP, INITIAL) - LEAST_GAIN
    least = np.min([beyond, *(excess for _, excess in _excess(scores, ETA))], axis=0)
    says = f"the gain to {title(STEP[1])} beyond {LEAST_GAIN:g} points, or beyond another step's, the least of them"
    yield Bounds(f"EtA, {INITIAL} attacks: {says}", least, -math.inf, 0, f"{ETA} {INITIAL}", 4)


def _preactivation(scores: Scores) -> Iterator[Bounds]:
    for noise in PAPER_NOISES:
        yield above(scores, noise, "resnetv2_50", "resnet50")._replace(least=5, most=10)


def _vgg_is_best(scores: Scores) -> Iterator[Bounds]:
    others = [model for model in FIGURE_7 if model != "vgg19"]
    for noise in (WTB, BTW, ETA):
        for other in others:
            yield above(scores, noise, "vgg19", other)
    best = np.max([scores.gain(RPI, "vgg19", other) for other in others], axis=0)
    yield Bounds("RPI: the best other network over VGG-19", best, 0, math.inf, RPI, 2)


def _efficientnet_is_low(scores: Scores) -> Iterator[Bounds]:
    own = FIGURE_7.index("efficientnet_b1")
    places = [
        ranks(np.stack([scores.at(noise, model) for model in FIGURE_7], axis=-1))[:, own] for noise in PAPER_NOISES
    ]
    low = np.sum(np.stack(places) >= len(FIGURE_7) - 1, axis=0) + 0 * np.sum(places, axis=0)  # nan stays nan
    yield Bounds("noises on which EfficientNet-B1 is last or last but one of five", low, 3, 4)
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
    return Bounds(says, np.max(gaps, axis=0), 20, math.inf)


def _fc(scores: Scores) -> Iterator[Bounds]:
    others = [model for model in FIGURE_7 if model != "fc"]
    for other in others:
        yield above(scores, WTB, other, "fc")
    for noise in (BTW, RPI, ETA):
        yield above(scores, noise, "fc", "efficientnet_b1")
    places = ranks(np.stack([scores.at(ETA, model) for model in FIGURE_7], axis=-1))[:, FIGURE_7.index("fc")]
    yield Bounds("EtA, rank of FC among five", places + 0 * scores.at(ETA, "fc"), 2, 2)


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
    return Bounds(f"{title(model)}: WtB over BtW", costs_less, least, most, "foreground", 1)


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
        yield Bounds(f"{title(model)}, {on(noise)}: {shape} (1 yes, 0 no)", best, 1, 1)


def _ends(_: Scores) -> Iterator[Bounds]:
    """Where Random Pixel Invert leads, if pixels may be attacked again."""
    images = data.load().test_images[:DIGITS]
    for c in (1.25, 2.0, 5.0):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, revisit=True)
        yield Bounds(f"c = {c}: pixels near black or white (%)", _share((ended < 32) | (ended > 223)), 90, 100)
    for c in (0.5, 0.8):
        ended = perturb(images, "random_pixel_invert", OFTEN, c=c, seed=0, revisit=True)
        yield Bounds(f"c = {c}: grey pixels, 96 to 159 (%)", _share((ended >= 96) & (ended <= 159)), 90, 100)


def _share(pixels: np.ndarray) -> Number:
    """Percent of the pixels (images, 28, 28), and the same in bootstrap samples of the images."""
    counts = pixels.sum(axis=(1, 2))
    return 100 * np.concatenate([[counts.mean()], resample(counts)]) / pixels[0].size


def _near_pointwise(scores: Scores) -> Iterator[Bounds]:
    for terms in robust_accuracy.TERMS:
        for noise in PAPER_NOISES:
            margin = scores.margins.get((noise, terms), np.full(len(scores.accuracy), np.nan))
            yield Bounds(f"{on(noise)}, {terms}: nearer to Pointwise by", margin, 0, math.inf)


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
    12: Claim(
        "On ResNet-50 the noises sit nearer to Pointwise than to DeepFool or Boundary.",
        "section 4.2, Table 2",
        _near_pointwise,
    ),
}


def statements(number: int, scores: Scores) -> list[Statement]:
    """The statements of one claim, with the same numbers by the paper's own Table 1 where that has them."""
    bounds, paper = CLAIMS[number].bounds, printed()
    if bounds is _ends:  # about no network
        return judge_all(bounds(scores))
    return judge_all(bounds(scores), bounds(paper), bounds(scores.at_levels(paper.attacks)))


def retrained(chosen: Chosen) -> dict[str, dict[int, list[Statement]]]:
    """The claims about networks again, with a better training in the place of one that fell short (`Chosen.instead`).

    Returns:
        MODEL@WORD -> the statements of claims 1 to 10.
    """
    found = {}
    for variant, other in chosen.instead().items():
        scores = measured(comparison.measure(other))
        found[variant] = {number: statements(number, scores) for number in CLAIMS if number <= 10}
    return found


def retrained_in_words(
    chosen: Chosen, by_rule: dict[int, list[Statement]], again: dict[str, dict[int, list[Statement]]]
) -> str:
    """How each such network was trained, and which claims and statements then have another verdict; a line each.

    After them those that fell short and have no such training; empty where none fell short.
    """
    lines = []
    for variant, found in again.items():
        record = chosen.study.training(variant)
        changes = Recipe.of(record).changes
        recipe = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in changes.items())
        validation, epochs = record["epochs"][-1]["accuracy"], len(record["epochs"])
        other = [
            f"claim {number} is {verdict(own)} instead of {verdict(by_rule[number])}"
            for number, own in found.items()
            if verdict(own) != verdict(by_rule[number])
        ]
        asked, turns = turned(by_rule, found)
        lines.append(
            f"- **{title(variant)}**, trained with {recipe}: {validation:.2f} % of the validation images after "
            f"{epochs} epoch{'s' * (epochs > 1)}. "
            f"With it {'; '.join(other) or 'each of claims 1 to 10 keeps its verdict'}. Of {asked} statements "
            f"{len(turns)} {'has' if len(turns) == 1 else 'have'} another verdict{': ' if turns else ''}"
            f"{'; '.join(turns)}."
        )
    lines += [
        f"- **{title(model)}**: no training that reaches {PAPER_TARGET} % is recorded, so what the claims say of it "
        "rests on the one that fell short."
        for model in chosen.short
        if not any(variant.startswith(f"{model}@") for variant in again)
    ]
    return "\n".join(lines)


def chance(outputs: Path) -> dict[str, float]:
    """How far trainings of one network lie apart at most (`effects.trainings_apart`), by what they move.

    At 50 attacks, where none were compared, the larger of the distances at 40 and at 100.
    """
    apart = effects.trainings_apart(outputs, paper.NETWORKS)
    early = {f"{noise} {INITIAL}": max(apart[f"{noise} 40"], apart[f"{noise} 100"]) for noise in PAPER_NOISES if apart}
    return apart | early


def terms_in_words(found: list[Statement]) -> str:
    """The verdicts of claim 12 by the terms on which noises and attacks are set beside each other."""
    by_terms = {terms: [own.verdict for own in found if f", {terms}:" in own.says] for terms in robust_accuracy.TERMS}
    return "; ".join(
        f"*{terms}*: " + ", ".join(f"{answer} ({own.count(answer)} of {len(own)})" for answer in dict.fromkeys(own))
        for terms, own in by_terms.items()
    )


def overview(found: dict[int, list[Statement]], chance: dict[str, float]) -> pd.DataFrame:
    """A row for every claim: its verdict, and how many of its statements hold, fail and so on.

    `other trainings` is the verdict with every number undecided that other trainings could turn (`allowing`).
    """
    rows = {}
    for number, own in found.items():
        answers = [statement.verdict for statement in own]
        known = [statement for statement in own if not math.isnan(statement.paper)]
        kept = sum(statement.least <= statement.paper <= statement.most for statement in known)
        rows[number] = (
            {"claim": CLAIMS[number].text, "verdict": verdict(own)}
            | {"other trainings": verdict(allowing(own, chance))}
            | {answer: answers.count(answer) for answer in (HOLDS, FAILS, UNDECIDED, MISSING)}
            | {"paper": f"{kept} of {len(known)}" if known else "-"}
        )
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table if table[MISSING].any() else table.drop(columns=MISSING)
