"""Comparisons as tables to be read: every number with its interval, rounded so that any machine prints the same."""

import math
from collections.abc import Callable

import pandas as pd

from lib import networks as nets
from lib.analysis.claims import CLAIMS
from lib.analysis.statements import FAILS, HOLDS, UNDECIDED, Statement, sureness, verdict
from lib.noise import NOISES
from lib.paper import PAPER_NOISES

Words = Callable[[float, float, float, int, str], str]  # of a value with its interval: digits, sign
BOUND = "\N{NO-BREAK SPACE}"  # where a cell of a table must not break


def spread(value: float, low: float, high: float, digits: int = 1, sign: str = "") -> str:
    """`68.9 (68.4 to 69.4)`; an infinite number is one that was not reached, none a dash."""
    if math.isnan(value):
        return "-"
    told = ["not reached" if math.isinf(number) else f"{number:{sign}z.{digits}f}" for number in (value, low, high)]
    between = f"({told[1]} to {told[2]})".replace(" ", BOUND)
    return told[0] if len(set(told)) == 1 and math.isinf(value) else f"{told[0]} {between}"


def differences(beside: pd.DataFrame) -> pd.DataFrame:
    """Ours minus the paper's at the noisy levels of Table 1 (points), a row for each network that both have.

    Args:
        beside: columns model, attacks, difference (ours minus the paper's, points).

    Returns:
        Columns: entries, mean difference, mean absolute difference, largest absolute difference.
    """
    rows = {}
    for model, own in beside.query("attacks > 0").groupby("model", sort=False):
        apart = own["difference"]
        rows[nets.title(model)] = [len(own), apart.mean(), apart.abs().mean(), apart.abs().max()]
    columns = ["entries", "mean difference", "mean absolute difference", "largest absolute difference"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def by_noise(
    table: pd.DataFrame, label: str, values: list[str], digits: int = 1, sign: str = "+", words: Words = spread
) -> pd.DataFrame:
    """Rows of a comparison as a table of `words`, one column for each noise: `values` names value, low and high."""
    told = table.assign(
        text=[words(*(getattr(row, name) for name in values), digits, sign) for row in table.itertuples()],
        short=[NOISES[noise].short for noise in table["noise"]],
    )
    order = list(dict.fromkeys(told[label]))
    wide = told.pivot(index=label, columns="short", values="text").reindex(order)
    return wide.reindex(columns=[NOISES[noise].short for noise in PAPER_NOISES]).rename_axis(columns=None)


def claims(found: dict[int, list[Statement]]) -> pd.DataFrame:
    """A row for every claim: its verdict, how sure it is, and how many of its statements hold, fail, are undecided."""
    rows = {}
    for number, own in found.items():
        answers = [statement.verdict for statement in own]
        rows[number] = {
            "claim": CLAIMS[number].text,
            "verdict": verdict(own),
            "confidence": sure(sureness(own)),
            "hold, fail, undecided": ", ".join(f"{answers.count(answer)}" for answer in (HOLDS, FAILS, UNDECIDED)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def counted(verdicts: dict[int, str]) -> str:
    """`contradicted: 2 (1, 4); supported: 1 (3)` of the claims by their numbers."""
    told = []
    for answer in sorted({*verdicts.values()}):
        own = [str(number) for number in verdicts if verdicts[number] == answer]
        told.append(f"{answer}: {len(own)} ({', '.join(own)})")
    return "; ".join(told)


def under_readings(found: dict[int, list[Statement]], other: dict[int, list[Statement]]) -> pd.DataFrame:
    """The verdict on each claim under two readings of the noises, with how sure, and which statements differ."""
    rows = {}
    for number, own in other.items():
        pairs = zip(found[number], own, strict=True)
        differ = [one.bounds.says for one, again in pairs if one.verdict != again.verdict]
        rows[number] = {
            "claim": CLAIMS[number].text,
            "from the clean image": f"{verdict(found[number])} ({sure(sureness(found[number]))})",
            "from the image as it is": f"{verdict(own)} ({sure(sureness(own))})",
            "statements that differ": f"{len(differ)} of {len(own)}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").replace(r" \(-\)", "", regex=True)


def sure(share: float) -> str:
    """`98.3 %`, a dash for nan; never 100 %."""
    return "-" if math.isnan(share) else f">{BOUND}99.9{BOUND}%" if share > 0.999 else f"{100 * share:.1f}{BOUND}%"


def statements(own: list[Statement]) -> pd.DataFrame:
    """The statements of one claim in words, with the paper's own number beside ours.

    `so in` counts the trainings of the network that is named first in which the number is as claimed.
    """
    rows = [
        {
            "statement": statement.bounds.says,
            "number": _with_ends(statement.value, statement.low, statement.high),
            "claimed": _range(statement.bounds.least, statement.bounds.most),
            "verdict": statement.verdict,
            "paper": "-" if math.isnan(statement.paper) else f"{statement.paper:.1f}",
            "trainings": ", ".join(f"{nets.title(model)}{BOUND}{n}" for model, n in statement.trainings.items()) or "-",
            "so in": "{0}{2}of{2}{1}".format(*statement.so_in, BOUND) if statement.trainings else "-",
        }
        for statement in own
    ]
    return pd.DataFrame(rows).set_index("statement").rename_axis(None)


def _with_ends(value: float, low: float, high: float) -> str:
    """`spread` of an interval of which one end or both may not be known."""
    if math.isinf(low) or math.isinf(high):
        known = [f"{word} {end:z.1f}" for word, end in (("from", low), ("to", high)) if math.isfinite(end)]
        return f"{value:z.1f}" + f" ({' '.join(known)})".replace(" ", BOUND) * bool(known)
    return spread(value, low, high)


def sizes(pairs: dict[str, str]) -> pd.DataFrame:
    """Networks beside others: millions of parameters, copies not counted, and how many times as many the larger has."""
    rows = {}
    for one, other in pairs.items():
        size, beside = (nets.effective_parameters(model) / 1e6 for model in (one, other))
        rows[nets.title(one)] = {
            "parameters": f"{size:.1f}",
            "beside": nets.title(other),
            "its parameters": f"{beside:.1f}",
            "times as many": f"{max(size, beside) / min(size, beside):.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"above {least:g}"
    if math.isinf(least):
        return f"at most {most:g}"
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
