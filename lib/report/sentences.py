"""Sentences with numbers in them, as the notebooks say them."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib import networks
from lib.adversarial.robust_accuracy import TERMS
from lib.analysis.claims import near_id
from lib.analysis.compared import Compared
from lib.analysis.statements import Statement, flipped, verdict
from lib.evaluation.plan import USUAL_NOISES
from lib.noise import NOISES
from lib.paper import PAPER_NOISES, PAPER_TARGET
from lib.readings import effects
from lib.report.figures import title
from lib.report.tables import spread
from lib.training.recipe import Recipe


def names(models: Iterable[str]) -> str:
    return ", ".join(map(networks.title, models))


def in_draws(counts: list[int]) -> str:
    """`1 noise draw`, `1 to 5 noise draws`."""
    least, most = min(counts), max(counts)
    return f"{most if least == most else f'{least} to {most}'} noise draw{'s' * (most > 1)}"


def heading(compared: Compared, what: str, common: bool = True) -> str:
    """`what` with n behind it, for above a figure.

    Args:
        common: whether the figure is of the draws that all the networks have seen, or of each network's own.
    """
    draws = in_draws([compared.common_draws] if common else [compared.draws(model) for model in compared.models])
    return f"{what}: n = {compared.comparison.images:,} test images, {draws} each, one training"


def under_trained(compared: Compared) -> str:
    """How many networks are compared, and which of them fell short of the paper's rule of training."""
    told = f"All {len(compared.models)} networks are measured."
    if compared.short:
        told += (
            f" **Under-trained: {names(compared.short)}** ended below the {PAPER_TARGET} % of validation images that "
            "the paper's rule asks for, so what follows about "
            f"{'it' if len(compared.short) == 1 else 'them'} is weak evidence about architecture."
        )
    return told


def ranking(leads: pd.DataFrame) -> str:
    """`comparison.ranking` in words: a line for each noise, the network with the largest area first."""
    lines = [
        f"- **{title(noise)}**: {networks.title(own.iloc[0].upper)}"
        + "".join(
            f", {networks.title(row.lower)} by {spread(row.lead, row.low, row.high)}"
            + ("" if row.low > 0 else " **or the other way round**")
            for row in own.itertuples()
        )
        for noise, own in leads.groupby("noise", sort=False)
    ]
    return "\n".join(lines) or "One network alone has no ranking."


def tests(sign_tests: pd.DataFrame) -> str:
    """How many of `comparison.sign_tests` find a difference, and in favour of which of the two."""
    sure = sign_tests[sign_tests["holm"] < 0.05]
    return (
        f"Of {len(sign_tests)} tests {len(sure)} find a difference after the correction (p < 0.05): in "
        f"{(sure['gain'] > 0).sum()} the deeper network of the two is better, in {(sure['gain'] < 0).sum()} the "
        "shallower one."
    )


def leanings(found: pd.DataFrame) -> str:
    """`foreground.white_minus_black` in words, a line for each measure and leaning."""
    told = {"background": "Black to White costs more", "foreground": "White to Black costs more"}
    lines = [
        f"- At **{measure}**, {told.get(leaning, leaning)}: {', '.join(map(networks.title, own['model']))}."
        for (measure, leaning), own in found.groupby(["measure", "leaning"], sort=False)
    ]
    return "\n".join(sorted(lines))


def shapes(found: pd.DataFrame) -> str:
    """How many of the curves have the shape that the paper sees, by `shapes.compare`."""
    remarked = found[found["paper"] != ""]
    alike = remarked["shape"] == remarked["paper"]
    return (
        f"The paper says the shape of {len(remarked)} of these {len(found)} curves. Ours has the same one in "
        f"{alike.sum()} ({(alike & remarked['clear']).sum()} clearly) and another one in {(~alike).sum()} "
        f"({(~alike & remarked['clear']).sum()} clearly)."
    )


def counted(verdicts: dict[int, str]) -> str:
    """`contradicted: 2 (1, 4); supported: 1 (3)` of the claims by their numbers."""
    told = []
    for answer in sorted({*verdicts.values()}):
        own = [str(number) for number in verdicts if verdicts[number] == answer]
        told.append(f"{answer}: {len(own)} ({', '.join(own)})")
    return "; ".join(told)


def by_terms(found: list[Statement]) -> str:
    """The verdicts of claim 12 by the terms on which noises and attacks are set beside each other."""
    verdicts, told = {own.bounds.id: own.verdict for own in found}, []
    for terms, words in TERMS.items():
        own = [verdicts[near_id(noise, terms)] for noise in PAPER_NOISES]
        counts = ", ".join(f"{answer} ({own.count(answer)} of {len(own)})" for answer in dict.fromkeys(own))
        told.append(f"*{words}*: {counts}")
    return "; ".join(told)


def flips(pairs: list[tuple[Statement, Statement]]) -> str:
    """`statements.flipped`: what was said, with both verdicts."""
    return "; ".join(f"{one.bounds.says} ({one.verdict}, then {other.verdict})" for one, other in pairs)


def retrained(
    compared: Compared, by_rule: dict[int, list[Statement]], again: dict[str, dict[int, list[Statement]]]
) -> str:
    """How each network of `claims.retrained` was trained, and which claims and statements then flip; a line each.

    After them those that fell short and have no such training; empty where none fell short.
    """
    lines = []
    for variant, found in again.items():
        record = compared.comparison.training(variant)
        recipe = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in Recipe.of(record).changes.items())
        validation, epochs = record["epochs"][-1]["accuracy"], len(record["epochs"])
        verdicts = {number: (verdict(own), verdict(by_rule[number])) for number, own in found.items()}
        other = [f"claim {number} is {new} instead of {old}" for number, (new, old) in verdicts.items() if new != old]
        asked, pairs = flipped(by_rule, found)
        lines.append(
            f"- **{networks.title(variant)}**, trained with {recipe}: {validation:.2f} % of the validation images "
            f"after {epochs} epoch{'s' * (epochs > 1)}. With it "
            f"{'; '.join(other) or 'each of claims 1 to 10 keeps its verdict'}. Of {asked} statements {len(pairs)} "
            f"{'has' if len(pairs) == 1 else 'have'} another verdict{': ' if pairs else ''}{flips(pairs)}."
        )
    lines += [
        f"- **{networks.title(model)}**: no training that reaches {PAPER_TARGET} % is recorded, so what the claims say "
        "of it rests on the one that fell short."
        for model in compared.short
        if not any(variant.startswith(f"{model}@") for variant in again)
    ]
    return "\n".join(lines)


def seed_spread(outputs: Path, models: Iterable[str]) -> str:
    """How far `effects.trainings` of these networks are apart; nothing where none has several."""
    found = []
    for model, table in effects.trainings(outputs, models).items():
        cells = table[table["attacks"] > 0].groupby(effects.CELL)["accuracy"]
        apart, by_noise = cells.max() - cells.min(), effects.trainings_apart(outputs, [model])
        areas = ", ".join(f"{NOISES[noise].short} {by_noise[noise]:.1f}" for noise in USUAL_NOISES)
        found.append(
            f"{table['seed'].nunique()} trainings of {networks.title(model)} lie up to {apart.max():.1f} points apart "
            f"in one cell of Table 1, {apart.mean():.1f} in the mean, and in the area under the curve, taken "
            f"from the levels of Table 1, {areas}"
        )
    return (
        f"{'; '.join(found)}: by the same rule, each in a noise draw of its own (`readings.ipynb`). No interval over "
        "images and draws tells of that."
        if found
        else ""
    )
