"""Comparisons as tables to be read: every number with its interval, rounded so that any machine prints the same."""

import math

import pandas as pd

from lib import networks as nets
from lib.analysis.claims import CLAIMS
from lib.analysis.compared import Compared
from lib.analysis.statements import FAILS, HOLDS, UNDECIDED, Statement, sureness, verdict
from lib.evaluation import results
from lib.evaluation.statistics import area_under_curve, ranks
from lib.evaluation.statistics import verdict as higher
from lib.noise import NOISES
from lib.paper import PAPER_NOISES, PAPER_TARGET, read_table_1
from lib.report.figures import title

BOUND = "\N{NO-BREAK SPACE}"  # where a cell of a table must not break


def spread(value: float, low: float, high: float, digits: int = 1, sign: str = "") -> str:
    """`68.9 (68.4 to 69.4)`; an infinite number is one that was not reached, none a dash."""
    if math.isnan(value):
        return "-"
    told = ["not reached" if math.isinf(number) else f"{number:{sign}z.{digits}f}" for number in (value, low, high)]
    between = f"({told[1]} to {told[2]})".replace(" ", BOUND)
    return told[0] if len(set(told)) == 1 and math.isinf(value) else f"{told[0]} {between}"


def networks(compared: Compared) -> pd.DataFrame:
    """A row for every network: its size, its training, its accuracy without noise, what is recorded."""
    rows = {}
    for model in compared.models:
        record, reached = compared.training(model)
        plan = compared.comparison.plan(model)
        clean = results.curves(plan).iloc[0]
        draws = compared.draws(model)
        rows[nets.title(model)] = {
            "parameters": f"{nets.parameters(model) / 1e6:.1f} million",
            "epochs": str(len(record["epochs"])),
            "validation %": f"{record['epochs'][-1]['accuracy']:.2f}" + ("" if reached else f" (under {PAPER_TARGET})"),
            "test % without noise": f"{clean.accuracy:.2f} ({clean.low:.2f} to {clean.high:.2f})",
            "measured": f"{plan.images:,} images, {draws} noise draw{'s' * (draws > 1)}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def table_1(curves: pd.DataFrame, models: tuple[str, ...]) -> pd.DataFrame:
    """Ours beside the paper's in the layout of the paper's Table 1: a row for every network and number of attacks.

    Under each noise ours with its 95 % interval, and the paper's with the difference, ours minus it (points).
    """
    paper = read_table_1().set_index(["model", "attacks", "noise"])["accuracy"]
    ours = curves.set_index(["model", "attacks", "noise"])
    rows = {}
    for model in models:
        for attacks in sorted(paper.index.unique("attacks")):
            rows[nets.title(model), attacks] = {
                (NOISES[noise].short, column): text
                for noise in PAPER_NOISES
                for column, text in _cells(ours, paper, (model, attacks, noise)).items()
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis(index=["network", "attacks"])


def _cells(ours: pd.DataFrame, paper: pd.Series, key: tuple[str, int, str]) -> dict[str, str]:
    row = ours.loc[key] if key in ours.index else None
    theirs = f"{paper[key]:.2f}" if key in paper.index else "-"
    if row is not None and key in paper.index:
        theirs += f" ({row.accuracy - paper[key]:+.2f})"
    ours = "-" if row is None else spread(row.accuracy, row.low, row.high, digits=2)
    return {"ours (95 %)": ours, "paper (difference)": theirs}


def differences(curves: pd.DataFrame) -> pd.DataFrame:
    """Ours minus the paper's at the noisy levels of Table 1, for each network that both have (points).

    Columns: network, cells, mean, mean_size (of the absolute differences), largest (of them).
    """
    rows = []
    for model, curve in curves.groupby("model", sort=False):
        beside = results.beside_paper(curve, model).query("attacks > 0")
        if len(beside):
            apart = beside["difference"]
            rows.append((nets.title(model), len(beside), apart.mean(), apart.abs().mean(), apart.abs().max()))
    return pd.DataFrame(rows, columns=["network", "cells", "mean", "mean_size", "largest"])


def summary(summaries: pd.DataFrame) -> pd.DataFrame:
    """`comparison.summaries` in words, a row for each noise and network, with the paper's rank among the same networks.

    The paper's is by the area under its five levels, among those networks here that are in its Table 1.
    """
    rows = {}
    for row in summaries.itertuples():
        rows[title(row.noise), nets.title(row.model)] = {
            "area under the curve (%)": spread(row.area, row.area_low, row.area_high),
            "attacks until 50 %": spread(row.half, row.half_low, row.half_high, digits=0),
            "rank": f"{row.rank:.0f} ({row.rank_low:.0f} to {row.rank_high:.0f})",
            "paper's rank": paper_ranks(list(summaries["model"].unique())).get((row.noise, row.model), "-"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["noise", "network"])


def paper_ranks(models: list[str]) -> dict[tuple[str, str], int]:
    """(noise, model) -> rank by the area under the paper's five levels, among those of `models` in its Table 1."""
    table = read_table_1().query("model in @models")
    found = {}
    for noise, part in table.groupby("noise"):
        wide = part.pivot(index="model", columns="attacks", values="accuracy")
        order = ranks(area_under_curve(wide.to_numpy(), wide.columns.to_numpy()))
        found |= {(noise, model): int(rank) for model, rank in zip(wide.index, order, strict=True)}
    return found


def tests(sign_tests: pd.DataFrame) -> pd.DataFrame:
    """`comparison.sign_tests` in words: a row for each pair and level, a column for each noise."""
    told = sign_tests.assign(
        pair=[pair(row.first, row.second) for row in sign_tests.itertuples()],
        text=[
            f"{spread(row.gain, row.low, row.high, sign='+')}, {probability(row.holm)}"
            for row in sign_tests.itertuples()
        ],
        short=[NOISES[noise].short for noise in sign_tests["noise"]],
    )
    order = list(dict.fromkeys(told["pair"]))
    wide = told.pivot(index=["pair", "attacks"], columns="short", values="text")
    return wide.reindex(order, level=0)[[NOISES[noise].short for noise in PAPER_NOISES]].rename_axis(columns=None)


def pair(first: str, second: str) -> str:
    return f"{nets.title(first)} → {nets.title(second)}"


def probability(p: float) -> str:
    return ("p < 0.001" if p < 0.001 else f"p = {p:.3f}").replace(" ", BOUND)


def by_noise(table: pd.DataFrame, label: str, values: list[str], digits: int = 1, sign: str = "+") -> pd.DataFrame:
    """Rows of a comparison as a table of words, one column for each noise: `values` names value, low and high."""
    told = table.assign(
        text=[spread(*(getattr(row, name) for name in values), digits, sign) for row in table.itertuples()],
        short=[NOISES[noise].short for noise in table["noise"]],
    )
    order = list(dict.fromkeys(told[label]))
    wide = told.pivot(index=label, columns="short", values="text").reindex(order)
    return wide[[NOISES[noise].short for noise in PAPER_NOISES]].rename_axis(columns=None)


def shapes(found: pd.DataFrame) -> pd.DataFrame:
    """`shapes.compare` in words, a row for each network and noise."""
    rows = {}
    ordered = [row for _, own in found.groupby("model", sort=False) for row in own.to_dict("records")]
    for row in ordered:
        rows[nets.title(row["model"]), NOISES[row["noise"]].short] = {
            "shape": row["shape"].replace(" ", BOUND),
            "clear": "yes" if row["clear"] else "no",
            "paper": (row["paper"] or "-").replace(" ", BOUND),
            "AIC ahead": f"{row['lead']:.1f}",
            "of samples": f"{100 * row['share']:.0f} %",
            "bends at": "-" if math.isnan(row["bend"]) else f"{row['bend']:.0f}",
        } | {name: f"{value:.2f}" for name, value in row.items() if name.startswith("rmse")}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["network", "noise"])


def foreground(found: pd.DataFrame, paper: pd.Series, ours: pd.Series) -> pd.DataFrame:
    """`foreground.white_minus_black` in words, a row for each network.

    Args:
        paper: the paper's own differences (points).
        ours: ours at the paper's levels alone (`foreground.at_paper_levels`).
    """
    rows = {}
    for row in found.itertuples():
        told = f"{spread(row.difference, row.low, row.high, sign='+')}: {row.leaning}"
        rows.setdefault(nets.title(row.model), {})[row.measure] = told
        for name, others in (("at the paper's levels", ours), ("paper", paper)):
            rows[nets.title(row.model)][name] = f"{others[row.model]:+.1f}" if row.model in others else "-"
    return pd.DataFrame.from_dict(rows, orient="index")


def claims(found: dict[int, list[Statement]]) -> pd.DataFrame:
    """A row for every claim: its verdict, how sure it is, and how many of its statements hold, fail, are undecided."""
    rows = {}
    for number, own in found.items():
        answers = [statement.verdict for statement in own]
        rows[number] = {"claim": CLAIMS[number].text, "verdict": verdict(own), "sure": sure(sureness(own))} | {
            answer: answers.count(answer) for answer in (HOLDS, FAILS, UNDECIDED)
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def sure(share: float) -> str:
    """`98.3 %`, a dash for nan; never 100 %."""
    return "-" if math.isnan(share) else f"> 99.9{BOUND}%" if share > 0.999 else f"{100 * share:.1f}{BOUND}%"


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
            "trainings": ", ".join(f"{nets.title(model)} {n}" for model, n in statement.trainings.items()) or "-",
            "so in": "{} of {}".format(*statement.so_in) if statement.trainings else "-",
        }
        for statement in own
    ]
    return pd.DataFrame(rows).set_index("statement")


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


def step_counts(steps: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """`depth.steps` and `depth.changes` counted by their intervals, a row for each noise.

    Args:
        steps: how many go up, down, or are undecided.
        changes: whether a step that goes up gains less or more than the one before it; one that goes down has no gain.
    """
    rows = {}
    for noise in PAPER_NOISES:
        own = {
            (row.first, row.second): {"higher": "up", "lower": "down"}.get(higher(row.low, row.high), "undecided")
            for row in steps[steps["noise"] == noise].itertuples()
        }
        then = [
            {"higher": "smaller", "lower": "larger"}.get(higher(row.low, row.high), "undecided")
            if own[row.after] == "up"
            else {"down": "no gain"}.get(own[row.after], "undecided")
            for row in changes[changes["noise"] == noise].itertuples()
        ]
        counts = {("steps", word): [*own.values()].count(word) for word in ("up", "down", "undecided")}
        words = ("smaller", "larger", "no gain", "undecided")
        rows[title(noise)] = counts | {("gains, beside the step before", word): then.count(word) for word in words}
    return pd.DataFrame.from_dict(rows, orient="index")


def edge_steps(steps: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """Edge to Altered by depth: each step's gain in area, and at how many levels the deeper network is surely better.

    Args:
        steps: `depth.steps`.
        tests: `comparison.sign_tests` of the same pairs.
    """
    rows = {}
    for row in steps.query("noise == 'edge_to_altered'").itertuples():
        own = tests.query("noise == 'edge_to_altered' and first == @row.first and second == @row.second")
        sure = own[own["holm"] < 0.05]["gain"]
        rows[pair(row.first, row.second)] = {
            "area (points)": spread(row.gain, row.low, row.high, digits=2, sign="+"),
            "better at": f"{(sure > 0).sum()} of {len(own)} levels",
            "worse at": f"{(sure < 0).sum()} of {len(own)} levels",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"above {least:g}"
    if math.isinf(least):
        return f"at most {most:g}"
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
