"""Results as tables to be read: every number with its interval, rounded so that any machine prints the same."""

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from lib import networks
from lib.claims.claims import CLAIMS
from lib.claims.statements import CONTRADICTED, SUPPORTED, Statement, verdict
from lib.experiments.declaration import Question
from lib.experiments.measure import MEAN, Result, on_each, reached
from lib.noise import NOISES
from lib.paper import PAPER_NOISES, PAPER_TARGET, read_table_1
from lib.statistics.contrasts import UNDECIDED, mean_curves
from lib.statistics.curves import Trainings, area_under_curve, attacks_until, ranks
from lib.store.files import OUTPUTS

BOUND = "\N{NO-BREAK SPACE}"  # where a cell of a table must not break
SHORT = {noise: NOISES[noise].short for noise in PAPER_NOISES}
ON_EACH = {MEAN: "mean of the noises"} | SHORT


def interval(value: float, low: float, high: float, digits: int = 1, sign: str = "") -> str:
    """A value with its interval, `68.9 (68.4 to 69.4)`.

    A dash for nan; `68.9 (one training)` if the ends are not known; *not reached* for what is infinite, and one end
    alone if only the other is. A number that rounds to 0 keeps its sign, so that an interval shows on which side of 0
    it ends.
    """
    if math.isnan(value):
        return "-"
    known = [end for end in (low, high) if math.isfinite(end)]
    if math.isinf(value):
        return f"not reached (from {_number(low, digits, sign)})".replace(" ", BOUND) if known else "not reached"
    if math.isnan(low):
        ends = "one training"
    elif len(known) == 2:
        ends = f"{_number(low, digits, sign)} to {_number(high, digits, sign)}"
    elif known:
        ends = f"{'from' if math.isfinite(low) else 'to'} {_number(known[0], digits, sign)}"
    else:
        return _number(value, digits, sign)
    return f"{_number(value, digits, sign)} ({ends})".replace(" ", BOUND)


def _number(value: float, digits: int, sign: str) -> str:
    return f"{value + 0.0:{sign}.{digits}f}"


def extremes(values: Iterable[float], digits: int) -> str:
    """The least and the most, `98.9 to 99.2`; one number where both print alike."""
    values = list(values)
    ends = dict.fromkeys(f"{end:.{digits}f}" for end in (min(values), max(values)))
    return " to ".join(ends).replace("inf", "not reached").replace(" ", BOUND)


def by_noise(
    table: pd.DataFrame, rows: Iterable[str], values: tuple[str, str, str], sign: str = "+", column: str = "noise"
) -> pd.DataFrame:
    """Intervals with a column for each noise (and for `MEAN`, if it is there), in the order of the rows.

    Args:
        table: with the columns that `values` names: value, low, high.
        rows: the label of each row of the table.
        column: the one that holds the noise.
    """
    text = [interval(*(row[name] for name in values), sign=sign) for row in table.to_dict("records")]
    labels = list(rows)
    told = pd.DataFrame({"row": labels, "column": table[column].map(ON_EACH).to_numpy(), "text": text})
    wide = told.pivot(index="row", columns="column", values="text").reindex(list(dict.fromkeys(labels)))
    return wide[[name for name in ON_EACH.values() if name in wide]].rename_axis(index=None, columns=None)


def over(table: pd.DataFrame) -> list[str]:
    """`ResNet-50 over VGG-19` for each row of a table of pairs: the second network over the first."""
    return [f"{networks.title(row.second)} over {networks.title(row.first)}" for row in table.itertuples()]


def decided(apart: pd.DataFrame) -> pd.DataFrame:
    """The pairs of networks that can be told apart, the better one first: one row each, a column for each score.

    Args:
        apart: `contrasts.pairs`, by noises or their mean.
    """
    rows: dict[str, dict[str, str]] = {}
    for row in apart[apart["verdict"] != UNDECIDED].itertuples():
        better, worse, ends = row.second, row.first, (row.gain, row.low, row.high)
        if row.gain < 0:
            better, worse, ends = row.first, row.second, (-row.gain, -row.high, -row.low)
        pair = f"{networks.title(better)} over {networks.title(worse)}"
        rows.setdefault(pair, {})[ON_EACH[row.score]] = interval(*ends, sign="+")
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table[[name for name in ON_EACH.values() if name in table]].fillna("-")


def trained(trainings: Trainings, outputs: Path = OUTPUTS, labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A row for each network: its size, its trainings, and what these reached, from the least to the most."""
    return _trained(trainings.curves.loc[list(trainings.models)], outputs, labels or {})


def experiment(result: Result, outputs: Path = OUTPUTS, score: str = "area") -> pd.DataFrame:
    """`trained`, and the mean score on each noise of the trainings that are not left out as short."""
    folder = result.experiment.outputs(outputs)
    table = _trained(result.every, folder, result.experiment.labels)
    scores = result.scores(score)
    if result.experiment.leave_out_short:
        scores = scores[~scores["short"]]
    means = scores.groupby("model", sort=False).mean()
    for noise in on_each(score):
        told = {model: f"{means.loc[model, noise]:.1f}" if model in means.index else "-" for model in _models(result)}
        table[ON_EACH[noise]] = list(told.values())
    return table


def _models(result: Result) -> list[str]:
    return list(result.every.index.unique("model"))


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
    paper = read_table_1().set_index(["model", "attacks", "noise"])["accuracy"]
    ours = mean_curves(trainings).set_index(["model", "attacks", "noise"])
    rows = {}
    for model in trainings.models:
        for attacks in sorted(paper.index.unique("attacks")):
            rows[networks.title(model), attacks] = {
                SHORT[noise]: _entry(ours, paper, (model, attacks, noise)) for noise in PAPER_NOISES
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["network", "attacks"])


def _entry(ours: pd.DataFrame, paper: pd.Series, key: tuple[str, int, str]) -> str:
    text = "-"
    if key in ours.index:
        row = ours.loc[key]
        half = max(row["mean"] - row["low"], row["high"] - row["mean"])  # an end is cut at 0 or 100
        text = f"{row['mean']:.1f}" + (f"{BOUND}±{half:.1f}" if row["trainings"] > 1 else "")
    return f"{text} ({paper[key]:.1f})" if key in paper.index else text


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
        rows[networks.title(model)] = [len(own), apart.mean(), apart.abs().mean(), apart.abs().max()]
    columns = ["entries", "mean difference", "mean absolute difference", "largest absolute difference"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def beside_paper(trainings: Trainings) -> pd.DataFrame:
    """Our means minus the paper's (`differences`)."""
    both = read_table_1().merge(mean_curves(trainings), on=["model", "noise", "attacks"])
    return differences(both.assign(difference=both["mean"] - both["accuracy"]))


def at_level(trainings: Trainings, attacks: int) -> pd.DataFrame:
    """The mean accuracy at a number of attacks with its interval, a row for each network."""
    table = mean_curves(trainings).query("attacks == @attacks")
    return by_noise(table, table["model"].map(networks.title), ("mean", "low", "high"), sign="")


def summary(trainings: Trainings, means: pd.DataFrame, order: pd.DataFrame) -> pd.DataFrame:
    """One number for each curve, a row for each noise and network, the best first.

    Args:
        means: `contrasts.means` of the areas.
        order: `contrasts.ranking`.
    """
    rows, theirs = {}, _paper_ranks(trainings.models)
    for own in order.merge(means, on=["score", "model"]).itertuples():
        crossing = attacks_until(trainings.of(own.model, own.score).to_numpy(), trainings.attacks)
        open_ranks = f" (could be {own.best} to {own.worst})" if own.best != own.worst else ""
        rows[SHORT[own.score], networks.title(own.model)] = {
            "area under the curve (%)": interval(own.mean, own.low, own.high),
            "attacks until 50 %": extremes(crossing, 0),
            "rank": f"{own.rank}{open_ranks}".replace(" ", BOUND),
            "paper's rank": theirs.get((own.score, own.model), "-"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["noise", "network"])


def _paper_ranks(models: Collection[str]) -> dict[tuple[str, str], str]:
    """The rank of each network by the area under the five levels of Table 1, if the paper has them all."""
    table = read_table_1().pivot(index=["noise", "model"], columns="attacks", values="accuracy")
    if not set(models) <= set(table.index.unique("model")):
        return {}
    areas = pd.Series(area_under_curve(table.to_numpy(), table.columns.to_numpy()), table.index).unstack("model")
    places = pd.DataFrame(ranks(areas[list(models)].to_numpy()), areas.index, list(models))
    return {(noise, model): str(int(places.loc[noise, model])) for noise in places.index for model in models}


def contrasts(found: pd.DataFrame, questions: Mapping[str, Question]) -> pd.DataFrame:
    """A row for each question: its contrast on the mean of the noises and on each, and its verdict where it is decided.

    Args:
        found: `Result.contrasts`.
    """
    cells: dict[str, dict[str, str]] = {}
    for row in found.itertuples():
        text = interval(row.estimate, row.low, row.high, sign="+")
        cells.setdefault(row.question, {})[ON_EACH[row.noise]] = (
            f"{text} {'' if row.verdict == UNDECIDED else row.verdict}".strip()
        )
    fewest = found.groupby("question")["trainings"].min()
    about = {
        name: {"effect": questions[name].effect + ("; asked later" if questions[name].later else "")}
        | {column: cells[name][column] for column in ON_EACH.values()}
        | {"trainings of each": int(fewest[name])}
        for name in cells
    }
    return pd.DataFrame.from_dict(about, orient="index")


def answers(found: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Some questions in short: the contrast on the mean of the noises, its verdict, and on which noises it is decided.

    Args:
        found: `Result.contrasts`.
        names: question -> what the row is called.
    """
    rows = {}
    for name, label in names.items():
        own = found[found["question"] == name]
        mean = own[own["noise"] == MEAN].iloc[0]
        single = own[(own["noise"] != MEAN) & (own["verdict"] != UNDECIDED)]
        each = {word: ", ".join(SHORT[noise] for noise in rows_["noise"]) for word, rows_ in single.groupby("verdict")}
        rows[label] = {
            "points": interval(mean["estimate"], mean["low"], mean["high"], sign="+"),
            "verdict": mean["verdict"],
            "decided on": "; ".join(f"{word}: {noises}" for word, noises in each.items()) or "-",
            "trainings of each": int(mean["trainings"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def beside_claims(found: pd.DataFrame, questions: Mapping[str, Question], whole: Mapping[int, str]) -> pd.DataFrame:
    """Every question that a claim leads one to expect something of, beside the verdict on the whole architectures.

    Args:
        found: `Result.contrasts`.
        whole: number of a claim -> its verdict (`statements.verdict`).
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

    Args:
        checks: `checks.checks`, without the networks `far`; None: these columns are left out.
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
            rows[number] |= {
                "if Table 1 were right: % supported, undecided, contradicted": "-" if "nan" in shares else shares,
                "turned without": "; ".join(f"{networks.title(m)} {own}" for m, own in seeds.items()) or "no training",
                "stands over all claims": "yes" if row["holm"] else "no",
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
        counts = own["shape"].value_counts()
        words = ", ".join(f"{shape} {count} of {len(own)}" for shape, count in counts.items()).replace(" ", BOUND)
        paper = own["paper"].iloc[0]
        differs = paper and set(counts.index) != {paper}
        rows.setdefault(networks.title(model), {})[SHORT[noise]] = words + (f" (paper: {paper})" if differs else "")
    return pd.DataFrame.from_dict(rows, orient="index")[list(SHORT.values())]


def misfits(found: pd.DataFrame) -> pd.DataFrame:
    """The mean error of each shape's fits to a network's curves (points), from `shapes.compare`."""
    named = {name: name.removeprefix("rmse ") for name in found if name.startswith("rmse ")}
    table = found.groupby("model", sort=False)[list(named)].mean().rename(columns=named, index=networks.title)
    return table.rename_axis(None)


def foreground(found: pd.DataFrame, paper: pd.Series, ours: pd.Series) -> pd.DataFrame:
    """`foreground.white_minus_black`, a row for each network.

    Args:
        paper: the paper's own differences (points).
        ours: ours at the paper's levels alone (`foreground.at_paper_levels`).
    """
    rows: dict[str, dict[str, str]] = {}
    for row in found.itertuples():
        own = rows.setdefault(networks.title(row.model), {})
        own[row.measure] = f"{interval(row.mean, row.low, row.high, sign='+')}: {row.verdict}"
        for name, others in (("at the paper's levels", ours), ("paper", paper)):
            own[name] = f"{others[row.model]:+.1f}" if row.model in others else "-"
    return pd.DataFrame.from_dict(rows, orient="index")


def ranked(found: pd.DataFrame) -> pd.DataFrame:
    """`comparison.among_the_paper`, a row for each network, the best first."""
    rows = {}
    for row in found.itertuples():
        open_ranks = f" (could be {row.best} to {row.worst})" if row.best != row.worst else ""
        rows[networks.title(row.model)] = {
            "": "own" if row.own else "paper's",
            "area under the curve (%)": interval(row.mean, row.low, row.high),
            "trainings": row.trainings,
            "rank": f"{row.rank}{open_ranks}".replace(" ", BOUND),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
