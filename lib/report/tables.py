"""Results as tables to be read: every number with its interval, rounded so that any machine prints the same."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lib import networks
from lib.claims.claims import CLAIMS
from lib.claims.statements import CONTRADICTED, SUPPORTED, Statement, verdict
from lib.experiments.declaration import Question
from lib.experiments.measure import MEAN, Result, on_each, reached
from lib.noise import NOISES
from lib.paper import PAPER_NOISES, PAPER_TARGET, read_table_1
from lib.statistics.contrasts import UNDECIDED, mean_curves
from lib.statistics.curves import Trainings, area_under_curve, attacks_until
from lib.store.files import OUTPUTS

BOUND = "\N{NO-BREAK SPACE}"  # where a cell of a table must not break
SHORT = {noise: NOISES[noise].short for noise in PAPER_NOISES}
ON_EACH = {MEAN: "mean of the noises"} | SHORT
ESTIMATE, MEANS = ("estimate", "low", "high"), ("mean", "low", "high")  # columns of a value and its interval


def interval(value: float, low: float, high: float, digits: int = 1, sign: str = "") -> str:
    """A value with its interval, `68.9 (68.4 to 69.4)`.

    A dash for nan; `68.9 (one training)` if the ends are not known; *not reached* for what is infinite, and one end
    alone if only the other is. A number that rounds to 0 keeps its sign, so that an interval shows on which side of 0
    it ends.
    """
    if math.isnan(value):
        return "-"
    text, first, last = (f"{number + 0.0:{sign}.{digits}f}" for number in (value, low, high))
    below, above = math.isfinite(low), math.isfinite(high)
    ends = f"{first} to {last}" if below and above else f"from {first}" if below else f"to {last}" if above else ""
    if math.isinf(value):
        text, ends = "not reached", f"from {first}" if below or above else ""
    elif math.isnan(low):
        ends = "one training"
    return f"{text} ({ends})".replace(" ", BOUND) if ends else text


def extremes(values: Iterable[float], digits: int) -> str:
    """The least and the most, `98.9 to 99.2`; one number where both print alike."""
    values = list(values)
    ends = dict.fromkeys(f"{end:.{digits}f}" for end in (min(values), max(values)))
    return " to ".join(ends).replace("inf", "not reached").replace(" ", BOUND)


def intervals(
    table: pd.DataFrame, names: tuple[str, str, str] = ("value", "low", "high"), digits: int = 1, sign: str = ""
) -> pd.Series:
    """`interval` for each row of a table, from the columns of these names: value, low, high."""
    rows = table[list(names)].itertuples(index=False)
    return pd.Series([interval(*row, digits, sign) for row in rows], table.index, dtype=object)


def by_noise(
    table: pd.DataFrame, rows: Iterable[str], values: tuple[str, str, str], sign: str = "+", column: str = "noise"
) -> pd.DataFrame:
    """Intervals with a column for each noise (and for `MEAN`, if it is there), in the order of the rows.

    `rows` are the labels of the table's rows, `values` its columns of value, low and high, `column` that of the noise.
    """
    return _beside(list(rows), table[column], intervals(table, values, sign=sign))


def _beside(rows: Sequence[str], noises: pd.Series, text: pd.Series) -> pd.DataFrame:
    """Text by row and noise, rows in their order, noises in that of `ON_EACH`."""
    long = pd.DataFrame({"row": rows, "column": noises.map(ON_EACH).to_numpy(), "text": text.to_numpy()})
    wide = long.pivot(index="row", columns="column", values="text").reindex(list(dict.fromkeys(rows)))
    return wide[[name for name in ON_EACH.values() if name in wide]].rename_axis(index=None, columns=None)


def over(table: pd.DataFrame) -> list[str]:
    """`ResNet-50 over VGG-19` for each row of a table of pairs: the second network over the first."""
    return [f"{networks.title(row.second)} over {networks.title(row.first)}" for row in table.itertuples()]


def decided(apart: pd.DataFrame) -> pd.DataFrame:
    """The `contrasts.pairs` that can be told apart, the better network first: a row each, a column for each score."""
    own = apart[apart["verdict"] != UNDECIDED]
    turned = {"first": own["second"], "second": own["first"], "low": -own["high"], "high": -own["low"]}
    better = own.where(own["gain"] >= 0, own.assign(**turned, gain=-own["gain"]))
    return by_noise(better, over(better), ("gain", "low", "high"), column="score").fillna("-")


def trained(trainings: Trainings, outputs: Path = OUTPUTS, labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A row for each network: its size, its trainings, and what these reached, from the least to the most."""
    return _trained(trainings.curves.loc[list(trainings.models)], outputs, labels or {})


def experiment(result: Result, outputs: Path = OUTPUTS, score: str = "area") -> pd.DataFrame:
    """`trained`, and the mean score on each noise of the trainings that are not left out as short."""
    table = _trained(result.every, result.experiment.outputs(outputs), result.experiment.labels)
    scores = result.scores(score)
    kept = scores[~(scores["short"] & result.experiment.leave_out_short)]
    means = kept.groupby("model").mean().reindex(result.every.index.unique("model")).map("{:.1f}".format)
    return table.assign(**{ON_EACH[noise]: means[noise].replace("nan", "-").to_numpy() for noise in on_each(score)})


def _trained(curves: pd.DataFrame, outputs: Path, labels: Mapping[str, str]) -> pd.DataFrame:
    state, clean = reached(curves, outputs), curves.xs(0, axis=1, level="attacks").iloc[:, 0]
    rows = {}
    for model, own in state.groupby("model", sort=False):
        short = int(own["short"].sum())
        rows[labels.get(model, networks.title(model))] = {
            "parameters": f"{networks.parameters(model) / 1e6:.1f} million",
            "trainings": len(own),
            "epochs": extremes(own["epochs"], 0),
            "validation %": extremes(own["validation"], 1) + (f" ({short} below {PAPER_TARGET})" if short else ""),
            "test % without noise": extremes(clean.loc[model], 1),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def devices(curves: pd.DataFrame, outputs: Path = OUTPUTS) -> pd.DataFrame:
    """How many of these trainings were made on which kind of device, with which version of torch."""
    state = reached(curves, outputs)
    return state.groupby(["device", "torch"]).size().rename("trainings").reset_index()


def table_1(trainings: Trainings) -> pd.DataFrame:
    """Ours and the paper's Table 1: a row for every network and number of attacks, a column for every noise.

    `62.1 ±7.5 (58.2)`: the mean of our trainings with half its 95 % interval (none of one training), and the paper's.
    """
    paper = read_table_1().rename(columns={"accuracy": "paper"})
    both = mean_curves(trainings).query("attacks in @paper['attacks'].unique()").merge(paper, how="left")
    text = both["mean"].map("{:.1f}".format)
    half = (both["high"] - both["mean"]).clip(lower=both["mean"] - both["low"])  # an end is cut at 0 or 100
    text += half.map(f"{BOUND}±{{:.1f}}".format).where(both["trainings"] > 1, "")
    text += both["paper"].map(" ({:.1f})".format).where(both["paper"].notna(), "")
    both = both.assign(text=text, network=both["model"].map(networks.title), noise=both["noise"].map(SHORT))
    wide = both.pivot(index=["network", "attacks"], columns="noise", values="text")[list(SHORT.values())]
    return wide.loc[[networks.title(model) for model in trainings.models]].rename_axis(columns=None)


def differences(beside: pd.DataFrame) -> pd.DataFrame:
    """A row for each network of columns model, attacks, difference (ours minus the paper's): how far they are apart.

    Columns: entries (with noise), mean difference, mean absolute difference, largest absolute difference (points).
    """
    own = beside[beside["attacks"] > 0].assign(size=beside["difference"].abs()).groupby("model", sort=False)
    columns = {"entries": own.size(), "mean difference": own["difference"].mean()}
    columns |= {"mean absolute difference": own["size"].mean(), "largest absolute difference": own["size"].max()}
    return pd.DataFrame(columns).rename(index=networks.title).rename_axis(None)


def beside_paper(trainings: Trainings) -> pd.DataFrame:
    """Our means minus the paper's (`differences`)."""
    both = read_table_1().merge(mean_curves(trainings), on=["model", "noise", "attacks"])
    return differences(both.assign(difference=both["mean"] - both["accuracy"]))


def at_level(trainings: Trainings, attacks: int) -> pd.DataFrame:
    """The mean accuracy at a number of attacks with its interval, a row for each network."""
    table = mean_curves(trainings).query("attacks == @attacks")
    return by_noise(table, table["model"].map(networks.title), MEANS, sign="")


def summary(trainings: Trainings, means: pd.DataFrame, order: pd.DataFrame) -> pd.DataFrame:
    """A row for each noise and network, the best first, from `contrasts.means` of the areas and their `ranking`."""
    rows, theirs = {}, _paper_ranks(trainings.models)
    for own in order.merge(means, on=["score", "model"]).itertuples():
        crossing = attacks_until(trainings.of(own.model, own.score).to_numpy(), trainings.attacks)
        rows[SHORT[own.score], networks.title(own.model)] = {
            "area under the curve (%)": interval(own.mean, own.low, own.high),
            "attacks until 50 %": extremes(crossing, 0),
            "rank": _rank(own),
            "paper's rank": theirs.get((own.score, own.model), "-"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["noise", "network"])


def _rank(row: Any) -> str:
    """`2 (could be 1 to 3)`, of a row with rank, best and worst."""
    open_ranks = f" (could be {row.best} to {row.worst})" if row.best != row.worst else ""
    return f"{row.rank}{open_ranks}".replace(" ", BOUND)


def _paper_ranks(models: Collection[str]) -> dict[tuple[str, str], str]:
    """The rank of each network by the area under the five levels of Table 1, if the paper has them all."""
    table = read_table_1().pivot(index=["noise", "model"], columns="attacks", values="accuracy")
    if not set(models) <= set(table.index.unique("model")):
        return {}
    areas = pd.Series(area_under_curve(table.to_numpy(), table.columns.to_numpy()), table.index).unstack("model")
    places = areas[list(models)].rank(axis=1, ascending=False, method="min").astype(int).astype(str)
    return places.stack().to_dict()


def contrasts(found: pd.DataFrame, questions: Mapping[str, Question]) -> pd.DataFrame:
    """A row for each question of `Result.contrasts`: on the mean of the noises and on each, its verdict if decided."""
    text = intervals(found, ESTIMATE, sign="+") + (" " + found["verdict"]).where(found["verdict"] != UNDECIDED, "")
    table = _beside(found["question"].tolist(), found["noise"], text)
    own = [questions[name] for name in table.index]
    effects = ["; ".join(filter(None, (each.effect, "asked later" * each.later))) for each in own]
    for name, column in (("expected", [each.expected for each in own]), ("effect", effects)):
        if any(column):
            table.insert(0, name, column)
    return table.assign(**{"trainings of each": found.groupby("question")["trainings"].min()})


def answers(found: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Some questions of `Result.contrasts` in short, named as given: on the mean of the noises, and where decided."""
    rows = {}
    for name, label in names.items():
        own = found[found["question"] == name]
        mean = own[own["noise"] == MEAN]
        single = own[(own["noise"] != MEAN) & (own["verdict"] != UNDECIDED)]
        decided = single["noise"].map(SHORT).groupby(single["verdict"]).agg(", ".join)
        rows[label] = {
            "points": intervals(mean, ESTIMATE, sign="+").item(),
            "verdict": mean["verdict"].item(),
            "decided on": "; ".join(f"{word}: {noises}" for word, noises in decided.items()) or "-",
            "trainings of each": mean["trainings"].item(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def beside_claims(found: pd.DataFrame, questions: Mapping[str, Question], whole: Mapping[int, str]) -> pd.DataFrame:
    """Every question of `Result.contrasts` of which a claim leads one to expect something.

    Beside it stands the verdict on the whole architectures, `whole`: number of a claim -> its verdict.
    """
    rows = {}
    for row in found[found["noise"] == MEAN].itertuples():
        question = questions[row.question]
        if question.claim:
            word = UNDECIDED if row.verdict == UNDECIDED else CONTRADICTED
            rows[row.question] = {
                "claim": f"{question.claim}: {CLAIMS[question.claim].text}",
                "whole architectures": whole.get(question.claim, "-"),
                "one part alone": interval(row.estimate, row.low, row.high, sign="+"),
                "the claim is": SUPPORTED if row.verdict == question.expected else word,
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def claims(
    found: Mapping[int, list[Statement]], checks: pd.DataFrame | None = None, far: Collection[str] = ()
) -> pd.DataFrame:
    """A row for each claim: its verdict, the statements that decide it, and what could take the verdict away.

    The last columns are of `checks.checks`, without the networks `far`, and are left out without it.
    """
    rows = {}
    for number, own in found.items():
        word = verdict(own)
        by = [each.bounds.says for each in own if each.verdict == word]
        rows[number] = {"claim": CLAIMS[number].text, "verdict": word}
        rows[number]["by"] = {CONTRADICTED: "; ".join(by), SUPPORTED: "all statements"}.get(word, "-")
        if checks is not None:
            row = checks.loc[number]
            shares = ", ".join(f"{100 * row[name]:.1f}" for name in (SUPPORTED, UNDECIDED, CONTRADICTED))
            turned = pd.Series({key: str(key[1]) for key in row["turned by"]}, dtype=object)
            seeds = turned.groupby(level=0, sort=False).agg(", ".join) if len(turned) else turned
            overturning = "; ".join(f"{networks.title(model)} {own}" for model, own in seeds.items())
            rows[number] |= {
                "if Table 1 were right: % supported, undecided, contradicted": "-" if "nan" in shares else shares,
                "overturned by omitting": overturning or "no training",
                "significant over all claims": "yes" if row["holm"] else "no",
                "without " + " and ".join(map(networks.title, far)): row["without"] or "nothing left",
                "under all four": "yes" if row["holds"] else "no",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def under_readings(found: Mapping[int, list[Statement]], other: Mapping[int, list[Statement]]) -> pd.DataFrame:
    """The verdict on each claim under two readings of the noise, and how many of its statements differ."""
    rows = {}
    for number, own in other.items():
        differ = sum(one.verdict != again.verdict for one, again in zip(found[number], own, strict=True))
        rows[number] = {
            "claim": CLAIMS[number].text,
            "from the clean image": verdict(found[number]),
            "from the current image": verdict(own),
            "statements that differ": f"{differ} of {len(own)}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def statements(own: list[Statement]) -> pd.DataFrame:
    """The statements of one claim by size: the paper's number, ours, the difference, what is claimed, the verdict."""
    rows = [
        {
            "statement": each.bounds.says,
            "paper": interval(each.paper, math.inf, math.inf),
            "ours": interval(each.value, each.low, each.high),
            "ours - paper": interval(each.value - each.paper, each.low - each.paper, each.high - each.paper, sign="+"),
            "claimed": _range(each.bounds.least, each.bounds.most) + " (our bound)" * each.bounds.ours,
            "verdict": each.verdict,
            "trainings": ", ".join(f"{networks.title(model)}{BOUND}{n}" for model, n in each.trainings.items()) or "-",
        }
        for each in own
    ]
    return pd.DataFrame(rows).set_index("statement").rename_axis(None)


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"above {least:g}"
    if math.isinf(least):
        return f"at most {most:g}"
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def sizes(pairs: Mapping[str, str]) -> pd.DataFrame:
    """Networks beside others: millions of parameters, copies not counted, and how many times as many the larger has."""
    rows = {}
    for one, other in pairs.items():
        size, beside = (networks.effective_parameters(model) / 1e6 for model in (one, other))
        rows[networks.title(one)] = {
            "parameters": f"{size:.1f}",
            "beside": networks.title(other),
            "its parameters": f"{beside:.1f}",
            "times as many": f"{max(size, beside) / min(size, beside):.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def shapes(found: pd.DataFrame) -> pd.DataFrame:
    """`shapes.compare`: which shape in how many trainings, and the paper's where it is another."""
    rows: dict[str, dict[str, str]] = {}
    for (model, noise), own in found.groupby(["model", "noise"], sort=False):
        counts, paper = own["shape"].value_counts(), own["paper"].iloc[0]
        words = ", ".join(f"{shape} {count} of {len(own)}" for shape, count in counts.items()).replace(" ", BOUND)
        words += f" (paper: {paper})" if paper and set(counts.index) != {paper} else ""
        rows.setdefault(networks.title(model), {})[SHORT[noise]] = words
    return pd.DataFrame.from_dict(rows, orient="index")[list(SHORT.values())]


def misfits(found: pd.DataFrame) -> pd.DataFrame:
    """The mean error of each shape's fits to a network's curves (points), from `shapes.compare`."""
    means = found.groupby("model", sort=False)[[name for name in found if name.startswith("rmse ")]].mean()
    return means.rename(columns=lambda name: name.removeprefix("rmse "), index=networks.title).rename_axis(None)


def foreground(found: pd.DataFrame, paper: pd.Series, ours: pd.Series) -> pd.DataFrame:
    """`foreground.white_minus_black`, a row for each network, beside the paper's and ours at the paper's levels."""
    text = intervals(found, MEANS, sign="+") + ": " + found["verdict"]
    table = found.assign(text=text).pivot(index="model", columns="measure", values="text")
    table = table.reindex(index=found["model"].unique(), columns=found["measure"].unique())
    for place, (name, others) in enumerate({"at the paper's levels": ours, "paper": paper}.items(), start=1):
        known = others.reindex(table.index).map("{:+.1f}".format)
        table.insert(place, name, known.replace("+nan", "-"))
    return table.rename(index=networks.title).rename_axis(index=None, columns=None)


def ranked(found: pd.DataFrame) -> pd.DataFrame:
    """`comparison.among_the_paper`, a row for each network, the best first."""
    columns = {
        "": found["own"].map({True: "own", False: "paper's"}),
        "area under the curve (%)": intervals(found, MEANS),
        "trainings": found["trainings"],
        "rank": [_rank(row) for row in found.itertuples()],
    }
    return pd.DataFrame(columns).set_axis(found["model"].map(networks.title).tolist())
