"""What one part of a network does, in words and tables; each `found` is a table of `effects.effects`."""

import math
from collections.abc import Mapping

import pandas as pd

from lib import networks
from lib.analysis.claims import CLAIMS
from lib.analysis.effects import MEAN, Question
from lib.noise import NOISES
from lib.paper import PAPER_NOISES
from lib.report.comparison_tables import told, trained_row

ANSWERS = {"higher": "higher", "lower": "lower", "same": "no difference", "undecided": "undecided"}  # of a verdict
BESIDE = {  # whether the effect is what a claim lets one expect, or its verdict
    True: "for the claim",
    False: "against the claim",
    "same": "against the claim: no difference",
    "undecided": "undecided",
}


def trained(table: pd.DataFrame, score: str = "area") -> pd.DataFrame:
    """A row for each cell: how many trainings, from least to most what these reached, and the score on each noise.

    Args:
        table: `components.measure`.
        score: the mean of the trainings that are not short of the bound.
    """
    rows = {}
    for model, own in table.groupby("model", sort=False):
        once = own.drop_duplicates("seed")
        short = once["short"].sum()
        means = own[~own["short"]].groupby("noise")[score].mean()
        told_short = f"{short} short" if short else ""
        row = trained_row(model, once["epochs"], once["validation"], once["clean"], told_short)
        rows[networks.title(model)] = row | {
            NOISES[noise].short: f"{means[noise]:.1f}" if noise in means else "-" for noise in PAPER_NOISES
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def effects(found: pd.DataFrame, questions: Mapping[str, Question]) -> pd.DataFrame:
    """A row for each question: on each noise and in their mean the points with their interval, and the verdict."""
    rows = {}
    for name, own in found.groupby("question", sort=False):
        words = {row.noise: _words(row) for row in own.itertuples()}
        rows[name] = {
            "effect": questions[name].says,
            "mean of the noises": words[MEAN],
            **{NOISES[noise].short: words[noise] for noise in PAPER_NOISES},
            "trainings of each": own["trainings"].iloc[0],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def short(table: pd.DataFrame, found: pd.DataFrame) -> str:
    """How many trainings of which networks ended below 99.0 %, and which questions have no answer for want of others.

    Args:
        table: `components.measure`.
    """
    once = table.drop_duplicates(["model", "seed"]).groupby("model", sort=False)["short"]
    counts = once.agg(["sum", "size"]).query("sum > 0")
    named = [f"{networks.title(row.Index)} ({row.sum} of {row.size})" for row in counts.itertuples()]
    open_ones = found.loc[(found["noise"] == MEAN) & found["estimate"].isna(), "question"]
    said = f"Short of the bound: {counts['sum'].sum()} of {once.size().sum()} trainings"
    said += f": {'; '.join(named)}." if named else "."
    return said + (f" So these questions have no answer: {'; '.join(open_ones)}." if len(open_ones) else "")


def answer(found: pd.DataFrame, names: Mapping[str, str]) -> str:
    """A line for each question: its answer in the mean of the four noises, and on how many trainings it rests.

    Args:
        names: question -> its subject.
    """
    rows = found[found["noise"] == MEAN].set_index("question")
    lines = []
    for name, subject in names.items():
        row = rows.loc[name]
        each = f"{row.trainings} training{'' if row.trainings == 1 else 's'} of each network"
        lines.append(f"- {subject}: **{_answer(row)}**, {_points(row)}; {each}")
    return "\n".join(lines)


def on_single_noises(found: pd.DataFrame, names: Mapping[str, str]) -> str:
    """On which noises each question is decided, a line for each.

    Args:
        names: question -> its subject.
    """
    lines = []
    for name, subject in names.items():
        own = found[(found["question"] == name) & (found["noise"] != MEAN)]
        sides = {
            verdict: ", ".join(NOISES[noise].short for noise in rows["noise"])
            for verdict, rows in own.groupby("verdict")
        }
        told_sides = [f"{ANSWERS[verdict]} on {sides[verdict]}" for verdict in ANSWERS if verdict in sides]
        lines.append(f"- {subject}: {'; '.join(told_sides)}.")
    return "\n".join(lines)


def beside_claims(found: pd.DataFrame, questions: Mapping[str, Question], whole: Mapping[int, str]) -> pd.DataFrame:
    """Every question of which the paper lets one expect an answer, beside the verdict on its whole architectures.

    Args:
        whole: number of a claim -> its verdict, by `claims`.
    """
    rows = {}
    for row in found[found["noise"] == MEAN].itertuples():
        question = questions[row.question]
        if question.claim:
            says = row.verdict if row.verdict in BESIDE else row.verdict == question.expected
            rows[row.question] = {
                "claim": f"{question.claim}: {CLAIMS[question.claim].text}",
                "whole architectures": whole.get(question.claim, "-"),
                "one part alone": _points(row),
                "which is": BESIDE[says],
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def _answer(row) -> str:
    return "not known yet" if math.isnan(row.estimate) else ANSWERS[row.verdict]


def _points(row) -> str:
    """`+1.2 (0.3 to 2.1)`, a dash where a cell has no training."""
    return told(row.estimate, row.low, row.high, sign="+")


def _words(row) -> str:
    answered = "" if row.verdict == "undecided" else f" {ANSWERS[row.verdict]}"
    return f"{_points(row)}{answered}"
