"""Sentences with numbers in them, as the notebooks say them."""

from collections.abc import Iterable

import pandas as pd

from lib import networks
from lib.analysis.compared import Compared
from lib.paper import PAPER_TARGET
from lib.report.figures import title
from lib.report.tables import spread


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
