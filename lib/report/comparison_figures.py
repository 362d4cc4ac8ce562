"""Figures of several networks side by side: each training thin or small, their mean thick, the interval of the mean.

A network looks the same in all of them (`figures.network_look`).
"""

from itertools import product, takewhile
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib import networks
from lib.claims.foreground import NEARLY_EQUAL
from lib.paper import PAPER_NOISES
from lib.report import tables
from lib.report.figures import (
    ACCURACY_AXIS,
    ATTACKS_AXIS,
    PAPER,
    in_style,
    label_ends,
    looks,
    network_look,
    noise_panels,
    title,
)
from lib.statistics.contrasts import mean_curves
from lib.statistics.curves import HALF, Trainings

AREA_AXIS = "area under the curve (%)"
ONE_CURVE = {"color": "0.4", "linewidth": 0.7, "label": "one training"}  # looks in legends
TICK = {"color": "0.4", "linestyle": "", "marker": "|", "markersize": 10, "label": "one training"}
DOT = {"color": "0.4", "linestyle": "", "marker": "o", "markersize": 7}
LABEL = 20  # characters of a name that stands at the end of a line; longer ones are in the legend
SHAPE_LINES = {"line": ":", "sigmoid": "-", "inverted sigmoid": "--"}


def heading(trainings: Trainings, what: str) -> str:
    """`what`, then how many images and how many trainings of each network, for above a figure."""
    counts = {model: len(seeds) for model, seeds in trainings.seeds.items()}
    each = ", ".join(f"{networks.title(model)} {count}" for model, count in counts.items())
    return f"{what}\nfirst n = {trainings.images:,} test images; trainings: {each}"


def ends(means: pd.Series) -> str:
    """The highest and the lowest mean of the networks, in words."""
    return " to ".join(f"{means[model]:.0f} % ({networks.title(model)})" for model in (means.idxmax(), means.idxmin()))


@in_style
def panels(trainings: Trainings, what: str, narrow: bool = False) -> Figure:
    """Accuracy against attacks, a panel for each noise (Figures 7 and 8); `narrow`: one below another, for a phone."""
    size, columns = ((4.4, 12), 1) if narrow else ((10, 7.9), 2)
    figure, axes = noise_panels(size, ATTACKS_AXIS, ACCURACY_AXIS, columns=columns)
    table, titles = mean_curves(trainings), [networks.title(model) for model in trainings.models]
    last = trainings.attacks[-1]
    what += f", after {last} attacks {ends(table[table['attacks'] == last].groupby('model')['mean'].mean())}"
    words = [name.split() if max(map(len, titles)) > LABEL else [name] for name in titles]
    shared = sum(1 for _ in takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False)))
    # The first words of all are in the heading.
    names = [" ".join(own[shared:] or own) for own in words]
    names = [name if "(" in name[1:] else name.strip("()") for name in names]
    for noise, panel in axes.items():
        for model, name in zip(trainings.models, names, strict=True):
            _curves(panel, trainings, table, model, noise, label=name)
        panel.set_ylim(0, 101)
        panel.tick_params(labelleft=True)  # on a narrow screen one panel is seen at a time
        if max(map(len, names)) <= LABEL:
            label_ends(panel)
            for line in panel.lines:
                line.set_label("_")  # in no legend
    _explain(figure.axes[0], ONE_CURVE)
    _finish(figure, heading(trainings, f"{what}, mean of the noises"))
    return figure


@in_style
def beside_paper(trainings: Trainings, paper: pd.DataFrame, what: str) -> Figure:
    """Our curves and the points of `paper.read_table_1` on them, a row of panels for each network."""
    models = trainings.models
    figure = Figure(figsize=(10, 1.4 + 1.9 * len(models)), layout="constrained")
    grid = figure.subplots(len(models), len(PAPER_NOISES), sharex=True, sharey=True, squeeze=False)
    table = mean_curves(trainings)
    for (model, noise), axes in zip(product(models, PAPER_NOISES), grid.flat, strict=True):
        axes.axhline(HALF, color="0.85", linewidth=0.8, zorder=0)
        axes.set(ylim=(0, 104))
        _curves(axes, trainings, table, model, noise, marker="", label="_")
        points = paper[(paper["model"] == model) & (paper["noise"] == noise)]
        axes.plot(points["attacks"], points["accuracy"], **PAPER)
    for noise, top, bottom in zip(PAPER_NOISES, grid[0], grid[-1], strict=True):
        top.set_title(title(noise), fontsize=10)
        bottom.set_xlabel(ATTACKS_AXIS)
    for model, axes in zip(models, grid[:, 0], strict=True):
        axes.set_ylabel(f"{networks.title(model)}\n%")
    first = figure.axes[0]
    first.plot([], [], color="0.4", linewidth=2.2, label="ours, mean of the trainings")
    _explain(first, ONE_CURVE)
    first.plot([], [], **PAPER, label="the paper, Table 1")
    apart = tables.beside_paper(trainings)["mean absolute difference"]
    near, far = (f"{model} ({apart[model]:.1f} points in the mean)" for model in (apart.idxmin(), apart.idxmax()))
    _finish(figure, heading(trainings, f"{what}: {near} is nearest, {far} farthest"))
    return figure


@in_style
def areas(trainings: Trainings, each: pd.DataFrame, table: pd.DataFrame, what: str) -> Figure:
    """Area under the curve of each training and their mean with its 95 % interval, the best network on top.

    `each`: the areas, rows (model, seed), a column for each noise; `table`: `contrasts.means` of them.
    """
    count = len(trainings.models)
    figure, axes = noise_panels((9, 2.2 + 0.62 * count), AREA_AXIS, sharey=False)
    for noise, panel in axes.items():
        order = table[table["score"] == noise].sort_values("mean")["model"]
        for place, model in enumerate(order):
            _dots(panel, place, *_of(each, table, noise, model), model)
        panel.set_yticks(range(count), [networks.title(model) for model in order])
        panel.set_ylim(-0.6, count - 0.4)
    _explain(figure.axes[0], TICK, DOT | {"label": "their mean"})
    seen = ends(table[table["score"].isin(PAPER_NOISES)].groupby("model")["mean"].mean())
    _finish(figure, heading(trainings, f"{what}: {seen}, mean of the noises"))
    return figure


@in_style
def against_depth(
    trainings: Trainings, each: pd.DataFrame, table: pd.DataFrame, layers: dict[str, int], what: str
) -> Figure:
    """Area under the curve against the layers of a ResNet (`layers`), `each` and `table` as for `areas`."""
    figure, axes = noise_panels((9, 6.6), "layers of the ResNet", AREA_AXIS)
    places = [layers[model] for model in trainings.models]
    for noise, panel in axes.items():
        line = table[table["score"] == noise].set_index("model").loc[list(trainings.models), "mean"]
        panel.plot(places, line, color="0.75", linewidth=1.2, zorder=1)
        for model in trainings.models:
            _dots(panel, layers[model], *_of(each, table, noise, model), model, upright=True)
        panel.set_xlim(min(places) - 8, max(places) + 8)
        panel.set_xticks(places, [f"{place}" for place in places])
    _explain(figure.axes[0], TICK | {"marker": "_"}, DOT | {"label": "their mean"})
    seen = ends(table[table["score"].isin(PAPER_NOISES)].groupby("model")["mean"].mean())
    _finish(figure, heading(trainings, f"{what}: {seen}, mean of the noises"))
    return figure


@in_style
def shapes(attacks: np.ndarray, examples: dict[str, np.ndarray]) -> Figure:
    """One curve of each shape, as `shapes.examples` gives them."""
    figure = Figure(figsize=(8, 2.4), layout="constrained")
    for axes, (shape, line) in zip(figure.subplots(1, len(examples), sharey=True), examples.items(), strict=True):
        axes.plot(attacks, line, linewidth=2, color="0.25", linestyle=SHAPE_LINES[shape])
        axes.set(title=shape, xlabel=ATTACKS_AXIS, ylim=(0, 101))
    figure.axes[0].set_ylabel(ACCURACY_AXIS)
    return figure


@in_style
def white_against_black(trainings: Trainings, table: pd.DataFrame, paper: pd.Series, what: str) -> Figure:
    """Area under White to Black minus area under Black to White for each training and network.

    `table` is `foreground.white_minus_black`; `paper`: network -> the paper's own difference.
    """
    models = trainings.models[::-1]
    figure = Figure(figsize=(8, 2.2 + 0.62 * len(models)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-NEARLY_EQUAL, NEARLY_EQUAL, color="0.92", zorder=0, label="nearly equal")
    axes.axvline(0, color="0.5", linewidth=0.8)
    for place, model in enumerate(models):
        for measure, aside, face in (("equal attacks", 0.18, None), ("equal pixels", -0.18, "white")):
            row = table[(table["model"] == model) & (table["measure"] == measure)].iloc[0]
            _dots(axes, place + aside, row["each"], row, model, face=face)
        if model in paper:
            axes.plot(paper[model], place, **PAPER | {"marker": "D"})
    own = {"label": "mean at equal attacks"}, {"label": "mean at equal pixels", "markerfacecolor": "white"}
    _explain(axes, PAPER | {"marker": "D", "label": "the paper, five levels"}, *(DOT | each for each in own), TICK)
    axes.set_yticks(range(len(models)), [networks.title(model) for model in models])
    axes.set(ylim=(-0.6, len(models) - 0.4))
    axes.set_xlabel("← White to Black costs more     area WtB - area BtW (points)     Black to White costs more →")
    more = table[table["low"] > 0].groupby("measure").size()
    attacks, pixels = (more.get(measure, 0) for measure in ("equal attacks", "equal pixels"))
    seen = f"Black to White costs {attacks} of {len(models)} networks more at equal attacks, {pixels} at equal pixels"
    _finish(figure, heading(trainings, f"{what}: {seen}"))
    return figure


@in_style
def ranked(found: pd.DataFrame, what: str) -> Figure:
    """The mean areas of `comparison.among_the_paper`, the best on top; one's own networks in black."""
    figure = Figure(figsize=(7, 1.4 + 0.34 * len(found)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(list(found.itertuples()))):
        colour = "black" if row.own else "0.6"
        axes.plot(row.mean, place, "o", color=colour, markersize=6)
        if row.trainings > 1:
            axes.hlines(place, row.low, row.high, color=colour, linewidth=2)
    names = [networks.title(model) for model in found["model"]][::-1]
    axes.set_yticks(range(len(found)), names)
    axes.set(xlabel=AREA_AXIS, ylim=(-0.6, len(found) - 0.4))
    best = ends(found.set_index("model")["mean"])
    figure.suptitle(fill(f"{what}: {best}", int(13 * figure.get_figwidth())), fontsize=10)
    return figure


def _curves(axes: Axes, trainings: Trainings, table: pd.DataFrame, model: str, noise: str, **changes) -> None:
    """A network's trainings thin, their mean thick, its 95 % band; a single training thin, without a band."""
    look = looks(trainings.models)[model] | {"linewidth": 2.2, "markevery": 2} | changes
    each = trainings.of(model, noise).to_numpy()  # (trainings, levels)
    if len(each) > 1:
        own = table[(table["model"] == model) & (table["noise"] == noise)]
        axes.fill_between(own["attacks"], own["low"], own["high"], color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(trainings.attacks, each.T, color=look["color"], linewidth=0.6, alpha=0.45, label="_")
    else:
        look |= {"linewidth": 1.0}
    axes.plot(trainings.attacks, each.mean(axis=0), **look)


def _explain(axes: Axes, *looks: dict) -> None:
    """Entries of the legend: these looks with their labels, then the band of a mean."""
    for look in looks:
        axes.plot([], [], **look)
    axes.fill_between([], [], color="0.4", alpha=0.25, linewidth=0, label="95 % interval of the mean")


def _dots(axes: Axes, place: float, each, row, model: str, face: str | None = None, upright: bool = False) -> None:
    """The trainings as thin ticks, their mean as a dot, its 95 % interval as a band; of one training no band."""
    look = network_look(model)
    colour, places = look["color"], np.full(len(each), place)
    tick = {"color": colour, "linestyle": "", "marker": "_" if upright else "|", "markersize": 10, "zorder": 3}
    dot = {"color": colour, "marker": "o", "markersize": 7, "markerfacecolor": face or look["markerfacecolor"]}
    axes.plot(*((places, each) if upright else (each, places)), **tick)
    axes.plot(*((place, row["mean"]) if upright else (row["mean"], place)), **dot, zorder=4)
    if len(each) > 1:
        lines = axes.vlines if upright else axes.hlines
        lines(place, row["low"], row["high"], color=colour, linewidth=7, alpha=0.3, zorder=2)


def _of(each: pd.DataFrame, table: pd.DataFrame, noise: str, model: str) -> tuple[pd.Series, pd.Series]:
    """The areas of a network's trainings under a noise, and the row of their mean."""
    row = table[(table["score"] == noise) & (table["model"] == model)]
    return each.loc[model, noise], row.iloc[0]


def _finish(figure: Figure, heading: str) -> None:
    """One legend for all panels below them, from the first of them; the heading above."""
    width = int(13 * figure.get_figwidth())  # characters of a line
    figure.suptitle("\n".join(fill(line, width) for line in heading.splitlines()), fontsize=10)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = max(1, min(len(labels), width // (8 + max(map(len, labels)))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)
