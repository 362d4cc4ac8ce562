"""Comparisons of networks over their trainings as tables and sentences."""

import math
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.analysis.pairs import lead, recipes
from lib.analysis.statements import area, combined
from lib.analysis.trainings import Trainings, means, recorded_parts
from lib.evaluation.plan import Plan
from lib.evaluation.statistics import area_under_curve, attacks_until, ranks, verdict
from lib.noise import NOISES
from lib.paper import PAPER_NOISES, PAPER_TARGET, read_table_1
from lib.report import tables
from lib.report.figures import title
from lib.report.tables import BOUND, spread
from lib.store.files import OUTPUTS
from lib.training.recipe import paper_target

ALONE = "one training"  # where an interval would stand
SHORT = {noise: NOISES[noise].short for noise in PAPER_NOISES}


def named(models: Iterable[str]) -> str:
    """`FC, VGG-19`."""
    return ", ".join(map(networks.title, models))


def told(value: float, low: float, high: float, digits: int = 1, sign: str = "") -> str:
    """`68.9 (66.4 to 71.4)`; of one training `68.9 (one training)`, of none a dash."""
    if math.isnan(low) and not math.isnan(value):
        return f"{value:{sign}z.{digits}f} ({ALONE})".replace(" ", BOUND)
    return spread(value, low, high, digits, sign)


def trained(trainings: Trainings, outputs: Path = OUTPUTS) -> pd.DataFrame:
    """A row for every network: its size, how many trainings, and from least to most what these reached."""
    rows = {}
    for model, seeds in trainings.seeds.items():
        records = [networks.read_record(networks.weights_path(model, seed, outputs)) for seed in seeds]
        reached = [record["epochs"][-1]["accuracy"] for record in records]
        short = sum(accuracy < PAPER_TARGET for accuracy in reached) if paper_target(model) <= 100 else 0
        epochs, clean = [len(record["epochs"]) for record in records], trainings.accuracy[model][:, 0, 0]
        told_short = f"{short} under {PAPER_TARGET}" if short else ""
        rows[networks.title(model)] = trained_row(model, epochs, reached, clean, told_short)
    return pd.DataFrame.from_dict(rows, orient="index")


def trained_row(
    model: str, epochs: Collection[int], reached: Iterable[float], clean: Iterable[float], short: str
) -> dict:
    """What is said of a network's trainings, each with a number of epochs, and percent reached and without noise.

    Args:
        short: what is said of those that did not reach what they were to.
    """
    return {
        "parameters": f"{networks.parameters(model) / 1e6:.1f} million",
        "trainings": len(epochs),
        "epochs": extremes(epochs, 0),
        "validation %": extremes(reached, 1) + (f" ({short})" if short else ""),
        "test % without noise": extremes(clean, 1),
    }


def extremes(values: Iterable[float], digits: int) -> str:
    """`98.9 to 99.2`, the least and the most; one number where both print alike."""
    values = list(values)
    ends = dict.fromkeys(f"{end:.{digits}f}" for end in (min(values), max(values)))
    return " to ".join(ends).replace(" ", BOUND)


def which_trainings(trainings: Trainings) -> str:
    """How many trainings a comparison rests on, and of which networks it cannot speak."""
    counts = {networks.title(model): len(seeds) for model, seeds in trainings.seeds.items()}
    each = ", ".join(f"{name} {count}" for name, count in counts.items())
    alone = [name for name, count in counts.items() if count == 1]
    return f"{sum(counts.values())} trainings, each measured on the first {trainings.images:,} test images: {each}." + (
        f" **{', '.join(alone)}: one training, so nothing is said of the architecture.**" if alone else ""
    )


def pixels_altered(trainings: Trainings, outputs: Path, levels: Collection[int]) -> str:
    """How many pixels so many attacks really alter, in the mean of the images, which are the same for all trainings."""
    model, seeds = next(iter(trainings.seeds.items()))
    plan = Plan(model=model, train_seed=seeds[0], images=trainings.images, outputs=outputs)
    _, *noisy = recorded_parts(plan)
    counts = [part.pixels[:, : trainings.images].mean(axis=1) for part in noisy]  # from the first noisy level on
    told = []
    for level in levels:
        (place,) = np.flatnonzero(trainings.attacks == level)
        each = (f"{SHORT[noise]} {own[place - 1]:.0f}" for noise, own in zip(PAPER_NOISES, counts, strict=True))
        told.append(f"{level} attacks {', '.join(each)}")
    return f"Pixels really altered, in the mean of the images: by {'; by '.join(told)}."


def table_1(trainings: Trainings) -> pd.DataFrame:
    """Ours and the paper's Table 1: a row for every network and number of attacks, a column for every noise.

    `62.1 ±7.5 (58.2)`: the mean of our trainings with half its 95 % interval, none of one training, and the paper's.
    """
    paper = read_table_1().set_index(["model", "attacks", "noise"])["accuracy"]
    ours = means(trainings).set_index(["model", "attacks", "noise"])
    rows = {}
    for model in trainings.models:
        for attacks in sorted(paper.index.unique("attacks")):
            rows[networks.title(model), attacks] = {
                SHORT[noise]: _entry(ours, paper, (model, attacks, noise)) for noise in PAPER_NOISES
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis(index=["network", "attacks"])


def _entry(ours: pd.DataFrame, paper: pd.Series, key: tuple[str, int, str]) -> str:
    text = "-"
    if key in ours.index:
        row = ours.loc[key]
        half = max(row["mean"] - row["low"], row["high"] - row["mean"])  # an end is cut at 0 or 100
        text = f"{row['mean']:.1f}" + (f"{BOUND}±{half:.1f}" if row["trainings"] > 1 else "")
    return f"{text} ({paper[key]:.1f})" if key in paper.index else text


def beside_paper(trainings: Trainings) -> pd.DataFrame:
    """Our means minus the paper's (`tables.differences`)."""
    both = read_table_1().merge(means(trainings), on=["model", "noise", "attacks"])
    return tables.differences(both.assign(difference=both["mean"] - both["accuracy"]))


def summary(trainings: Trainings, areas: pd.DataFrame, order: pd.DataFrame) -> pd.DataFrame:
    """One number for each curve, a row for each noise and network, the best first.

    Args:
        areas: `pairs.mean_areas`.
        order: `pairs.ranking`.
    """
    rows, theirs = {}, paper_ranks(list(trainings.models))
    for own in order.merge(areas, on=["noise", "model"]).itertuples():
        each = trainings.accuracy[own.model][:, PAPER_NOISES.index(own.noise)]
        rows[title(own.noise), networks.title(own.model)] = {
            "area under the curve (%)": told(own.mean, own.low, own.high),
            "attacks until 50 %": extremes(attacks_until(each, trainings.attacks), 0).replace("inf", "not reached"),
            "rank": f"{own.rank}" if len(each) > 1 else f"({own.rank})",
            "could be": f"{own.best} to {own.worst}" if own.best < own.worst else "that alone",
            "paper's rank": f"{theirs.get((own.noise, own.model), '-')}",
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


def decided(apart: pd.DataFrame) -> str:
    """The pairs of `pairs.differences` that are told apart, by how many points: a line for each noise."""
    lines = []
    for noise, own in apart.groupby("noise", sort=False):
        sure = own[(own["low"] > 0) | (own["high"] < 0)]
        ordered = [(row.first, row.second)[:: -1 if row.low > 0 else 1] for row in sure.itertuples()]
        each = [f"{over_other(*pair)} {told(*lead(own, *pair))}" for pair in ordered]
        lines.append(f"- **{title(noise)}**: {'; '.join(each) or 'none'}")
    return "\n".join(lines)


def counted(apart: pd.DataFrame) -> str:
    """How many rows of `pairs.differences` are told apart and why the others are not, and which on every noise."""
    sure = ((apart["low"] > 0) | (apart["high"] < 0)).sum()
    alone = apart["low"].isna().sum()
    why = f", {alone} of them because a network has one training" if alone else ""
    lines = []
    for first, others in surely_above(apart).items():
        lines.append(f"{networks.title(first)} above {' and '.join(map(networks.title, others))}")
    always = (
        f" On all four noises: {'; '.join(lines)}." if lines else " No two networks are told apart on all four noises."
    )
    counts = f"Of {len(apart)} comparisons {sure} are decided and {len(apart) - sure} undecided{why}."
    return counts + always


def surely_above(apart: pd.DataFrame) -> dict[str, list[str]]:
    """Which networks are surely above which others on every noise."""
    found: dict[str, list[str]] = {}
    for (first, second), own in apart.groupby(["first", "second"], sort=False):
        if (own["low"] > 0).all():
            found.setdefault(second, []).append(first)
        if (own["high"] < 0).all():
            found.setdefault(first, []).append(second)
    return found


def by_noise(table: pd.DataFrame, rows: Iterable[str], values: list[str], sign: str = "+") -> pd.DataFrame:
    """A comparison in words, a row for each of `rows` and a column for each noise.

    Args:
        table: with `noise` and the columns that `values` names: value, low, high.
        rows: the label of each row of the table.
    """
    return tables.by_noise(table.assign(row=list(rows)), "row", values, sign=sign, words=told).rename_axis(index=None)


def over(table: pd.DataFrame) -> list[str]:
    """`ResNet-50 over VGG-19` for each row of a table of pairs, the second network over the first."""
    return [over_other(row.second, row.first) for row in table.itertuples()]


def over_other(one: str, other: str) -> str:
    """`FC over VGG-19`."""
    return f"{networks.title(one)} over {networks.title(other)}"


def through(table: pd.DataFrame) -> list[str]:
    """`ResNet-18 → ResNet-34 → ResNet-50` for each row of `pairs.shrinking`."""
    return [" → ".join(map(networks.title, step)) for step in table["step"]]


def steps_counted(steps: pd.DataFrame) -> str:
    """Of how many rows of `pairs.steps` the interval says that the deeper network is better, or worse."""
    words = [verdict(low, high) for low, high in zip(steps["low"], steps["high"], strict=True)]
    undecided, alone = words.count("undecided"), steps["low"].isna().sum()
    why = f", {alone} of them because a network has one training" if alone else ""
    return (
        f"Of {len(steps)} steps in depth, under all four noises, {words.count('higher')} make the network more "
        f"resilient, {words.count('lower')} less, and {undecided} are undecided{why}."
    )


def recipes_told(trainings: Trainings) -> str:
    """By how much another recipe of a network moves its area, in the mean of the noises: a sentence for each."""
    sentences = []
    for first, second in recipes(trainings):
        found = combined(trainings, area(*PAPER_NOISES), {second: 1, first: -1})
        low, high = found.ends(0.025)
        gain = told(found.value, low, high, sign="+")
        sentences.append(
            f"{networks.title(second)} minus {networks.title(first)} is {gain} points of area, mean of the noises "
            f"({found.trainings[second]} and {found.trainings[first]} trainings): **{verdict(low, high)}**."
        )
    return " ".join(sentences) or "No network is recorded by two recipes."


def shapes(found: pd.DataFrame) -> pd.DataFrame:
    """`shapes.compare` in words: which shape in how many trainings, and the paper's where it is another."""
    rows: dict[str, dict[str, str]] = {}
    for (model, noise), own in found.groupby(["model", "noise"], sort=False):
        counts = own["shape"].value_counts()
        words = ", ".join(f"{shape} {count} of {len(own)}" for shape, count in counts.items()).replace(" ", BOUND)
        paper = own["paper"].iloc[0]
        differs = paper and set(counts.index) != {paper}
        rows.setdefault(networks.title(model), {})[SHORT[noise]] = words + (f" (paper: {paper})" if differs else "")
    return pd.DataFrame.from_dict(rows, orient="index")[list(SHORT.values())]


def shapes_counted(found: pd.DataFrame, clear: float) -> str:
    """`shapes.compare` in sentences.

    Args:
        clear: by how much AIC a shape must lead.
    """
    counts = found["shape"].value_counts()
    each = ", ".join(f"{count} {shape}" for shape, count in counts.items())
    said = found[found["paper"] != ""]
    alike = (said["shape"] == said["paper"]).sum()
    led = (found["lead"] >= clear).sum()
    return (
        f"The nearest shape of {len(found)} curves, four of each training: {each}; in {led} of them it leads by an AIC "
        f"of {clear:g} or more. The paper names a shape for {len(said)} of these curves; {alike} of ours have it."
    )


def misfits(found: pd.DataFrame) -> pd.DataFrame:
    """The mean error of each shape's fits to a network's curves (points), from `shapes.compare`."""
    named = {name: name.removeprefix("rmse ") for name in found if name.startswith("rmse ")}
    table = found.groupby("model", sort=False)[list(named)].mean().rename(columns=named, index=networks.title)
    return table.rename_axis(None)


def foreground(found: pd.DataFrame, paper: pd.Series, ours: pd.Series) -> pd.DataFrame:
    """`foreground.white_minus_black` in words, a row for each network.

    Args:
        paper: the paper's own differences (points).
        ours: ours at the paper's levels alone (`foreground.at_paper_levels`).
    """
    rows: dict[str, dict[str, str]] = {}
    for row in found.itertuples():
        own = rows.setdefault(networks.title(row.model), {})
        own[row.measure] = f"{told(row.mean, row.low, row.high, sign='+')}: {row.leaning}"
        for name, others in (("at the paper's levels", ours), ("paper", paper)):
            own[name] = f"{others[row.model]:+.1f}" if row.model in others else "-"
    return pd.DataFrame.from_dict(rows, orient="index")


def leanings(found: pd.DataFrame) -> str:
    """`foreground.white_minus_black` in words, a line for each measure and leaning."""
    words = {"background": "Black to White costs more", "foreground": "White to Black costs more"}
    lines = [
        f"- At **{measure}**, {words.get(leaning, leaning)}: {named(own['model'])}."
        for (measure, leaning), own in found.groupby(["measure", "leaning"], sort=False)
    ]
    return "\n".join(sorted(lines))


def moved(found: pd.DataFrame) -> str:
    """For which networks it makes a difference what is equal in `foreground.white_minus_black`."""
    decided = {model: set(own["leaning"]) for model, own in found.groupby("model", sort=False)}
    changed = [model for model, leanings in decided.items() if len(leanings) > 1]
    means = found.pivot(index="model", columns="measure", values="mean")
    lower = (means["equal pixels"] < means["equal attacks"]).sum()
    return (
        f"What is held equal changes the answer for {len(changed)} of {len(decided)} networks: "
        f"{named(changed) or 'none'}. At equal pixels the mean difference is lower in {lower} of {len(decided)}: "
        "attacks on the digit weigh more there."
    )


def at_level(trainings: Trainings, attacks: int) -> pd.DataFrame:
    """The mean accuracy at a number of attacks with its interval, a row for each network, a column for each noise."""
    table = means(trainings).query("attacks == @attacks")
    return by_noise(table, table["model"].map(networks.title), ["mean", "low", "high"], sign="")
