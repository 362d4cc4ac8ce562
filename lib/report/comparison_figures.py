"""Figures of several networks side by side; each network looks the same in all of them (`figures.network_look`)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib import networks
from lib.analysis.foreground import NEARLY_EQUAL
from lib.evaluation.statistics import HALF
from lib.paper import PAPER_NOISES
from lib.report.figures import ACCURACY_AXIS, ATTACKS_AXIS, STYLE, network_look, noise_look, title

SHAPE_LOOKS = {
    "line": {"color": "0.45", "linestyle": ":"},
    "sigmoid": {"color": "#D55E00", "linestyle": "-"},
    "inverted sigmoid": {"color": "#0072B2", "linestyle": "--"},
}


@style.context(STYLE)
def panels(curves: pd.DataFrame, heading: str) -> Figure:
    """Accuracy against attacks, a panel for each noise and a line with its 95 % band for each network.

    Paper: Figures 7 and 8.

    Args:
        curves: rows of `results.curves` with a column `model`.
    """
    figure = Figure(figsize=(9, 7.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for panel, noise in zip(axes.flat, PAPER_NOISES, strict=True):
        for model, curve in curves[curves["noise"] == noise].groupby("model", sort=False):
            _curve(panel, curve, network_look(model))
        panel.set(title=title(noise), ylim=(0, 101))
    for panel in axes[1]:
        panel.set_xlabel(ATTACKS_AXIS)
    for panel in axes[:, 0]:
        panel.set_ylabel(ACCURACY_AXIS)
    _finish(figure, axes.flat[0], heading)
    return figure


@style.context(STYLE)
def beside_paper(curves: pd.DataFrame, paper: pd.DataFrame, heading: str) -> Figure:
    """Our curve with its 95 % band and the paper's points of Table 1 on it, a row of panels for each network.

    Args:
        curves: rows of `results.curves` with a column `model`.
        paper: as `paper.read_table_1` gives it; networks that are not in `curves` are left out.
    """
    models = list(curves["model"].unique())
    figure = _grid(len(models))
    for model, noise, panel in _panels(figure, models):
        look = network_look(model) | {"marker": "", "label": "_"}
        curve = curves[(curves["model"] == model) & (curves["noise"] == noise)]
        points = paper[(paper["model"] == model) & (paper["noise"] == noise)]
        _curve(panel, curve, look)
        panel.plot(
            points["attacks"],
            points["accuracy"],
            linestyle="",
            marker="o",
            markersize=6,
            mfc="white",
            mec="black",
        )
    figure.axes[0].plot([], [], color="0.4", linewidth=2, label="ours, 95 % band")
    figure.axes[0].plot([], [], linestyle="", marker="o", mfc="white", mec="black", label="paper, Table 1")
    _finish(figure, figure.axes[0], heading)
    return figure


@style.context(STYLE)
def shapes(attacks: np.ndarray, examples: dict[str, np.ndarray]) -> Figure:
    """One curve of each shape, as `shapes.examples` gives them."""
    figure = Figure(figsize=(8, 2.4), layout="constrained")
    for axes, (shape, line) in zip(figure.subplots(1, len(examples), sharey=True), examples.items(), strict=True):
        axes.plot(attacks, line, linewidth=2, **SHAPE_LOOKS[shape])
        axes.set(title=shape, xlabel=ATTACKS_AXIS, ylim=(0, 101))
    figure.axes[0].set_ylabel(ACCURACY_AXIS)
    return figure


@style.context(STYLE)
def fits(
    attacks: np.ndarray,
    measured: dict[tuple[str, str], np.ndarray],
    lines: dict[tuple[str, str], dict[str, np.ndarray]],
    best: dict[tuple[str, str], str],
    heading: str,
) -> Figure:
    """The fitted shapes on the measured points, a row of panels for each network; the best one is drawn thick.

    Args:
        attacks: (levels,).
        measured: (noise, model) -> accuracies (levels,), percent.
        lines: (noise, model) -> shape -> fitted (levels,), percent, as `shapes.lines` gives it.
        best: (noise, model) -> the shape of the lowest AIC.
    """
    models = list(dict.fromkeys(model for _, model in measured))
    figure = _grid(len(models))
    for model, noise, panel in _panels(figure, models):
        panel.plot(
            attacks, measured[noise, model], linestyle="", marker="o", markersize=3, color="black", label="measured"
        )
        for shape, line in lines[noise, model].items():
            width = 2.2 if shape == best[noise, model] else 1
            panel.plot(attacks, line, linewidth=width, label=shape, **SHAPE_LOOKS[shape])
        panel.text(4, 4, best[noise, model], fontsize=9)
    _finish(figure, figure.axes[0], heading)
    return figure


@style.context(STYLE)
def areas(summaries: pd.DataFrame, heading: str) -> Figure:
    """Area under each curve with its 95 % interval, a panel for each noise, the best network on top.

    Args:
        summaries: as `comparison.summaries` gives it.
    """
    count = summaries["model"].nunique()
    figure = Figure(figsize=(9, 1.9 + 0.62 * count), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    for panel, noise in zip(axes.flat, PAPER_NOISES, strict=True):
        table = summaries[summaries["noise"] == noise].sort_values("area")
        for place, row in enumerate(table.itertuples()):
            _dot(panel, place, row.area, row.area_low, row.area_high, network_look(row.model))
        panel.set_yticks(range(count), [networks.title(model) for model in table["model"]])
        panel.set(title=title(noise), ylim=(-0.6, count - 0.4))
    for panel in axes[1]:
        panel.set_xlabel("area under the curve (%)")
    figure.suptitle(heading, fontsize=11)
    return figure


@style.context(STYLE)
def against_depth(resilience: pd.DataFrame, heading: str) -> Figure:
    """Area under the curve against layers and against parameters, a line for each noise, with 95 % intervals.

    Args:
        resilience: as `depth.resilience` gives it.
    """
    scales = {"layers": ("layers of the ResNet", 1.0), "parameters": ("parameters (millions)", 1e-6)}
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for panel, (column, (label, unit)) in zip(axes, scales.items(), strict=True):
        for noise in PAPER_NOISES:
            table = resilience[resilience["noise"] == noise].sort_values(column)
            error = [table["area"] - table["low"], table["high"] - table["area"]]
            panel.errorbar(table[column] * unit, table["area"], error, capsize=3, **noise_look(noise))
        table = resilience[resilience["noise"] == PAPER_NOISES[0]]
        panel.set_xticks(table[column] * unit, [f"{value:.3g}" for value in table[column] * unit])
        panel.set_xlabel(label)
    names = [f"{networks.title(row.model)}: {row.parameters / 1e6:.3g}" for row in table.itertuples()]
    axes[1].set_xticks(table["parameters"] / 1e6, names, rotation=40, ha="right", rotation_mode="anchor")
    axes[0].set_ylabel("area under the curve (%)")
    _finish(figure, axes[0], heading)
    return figure


@style.context(STYLE)
def white_against_black(table: pd.DataFrame, paper: pd.Series, heading: str) -> Figure:
    """Area under White to Black minus area under Black to White for each network, with 95 % intervals.

    Args:
        table: as `foreground.white_minus_black` gives it.
        paper: network -> the paper's own difference.
    """
    models = list(table["model"].unique())[::-1]
    figure = Figure(figsize=(8, 1.9 + 0.5 * len(models)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-NEARLY_EQUAL, NEARLY_EQUAL, color="0.92", zorder=0, label="nearly equal")
    axes.axvline(0, color="0.5", linewidth=0.8)
    for row in table.itertuples():
        look = network_look(row.model)
        equal = row.measure == "equal attacks"
        place = models.index(row.model) + (0.14 if equal else -0.14)
        face = look["color"] if equal else "white"
        _dot(axes, place, row.difference, row.low, row.high, look | {"marker": "o", "markerfacecolor": face})
    known = [model for model in models if model in paper]
    axes.plot(paper[known], [models.index(model) for model in known], "kx", label="paper, five levels")
    axes.plot([], [], "o", color="0.3", label="at equal attacks")
    axes.plot([], [], "o", color="0.3", markerfacecolor="white", label="at equal pixels")
    axes.set_yticks(range(len(models)), [networks.title(model) for model in models])
    axes.set(ylim=(-0.6, len(models) - 0.4))
    axes.set_xlabel("← White to Black costs more     area WtB - area BtW (points)     Black to White costs more →")
    _finish(figure, axes, heading)
    return figure


def _curve(axes: Axes, curve: pd.DataFrame, look: dict) -> None:
    """Accuracy against attacks with its 95 % band."""
    axes.fill_between(curve["attacks"], curve["low"], curve["high"], color=look["color"], alpha=0.25, linewidth=0)
    axes.plot(curve["attacks"], curve["accuracy"], **look)


def _dot(axes: Axes, place: float, value: float, low: float, high: float, look: dict) -> None:
    """A value with its interval, lying."""
    style = look | {"linestyle": "", "markersize": 6, "label": "_"}
    axes.errorbar(value, place, xerr=[[value - low], [high - value]], capsize=3, **style)


def _grid(rows: int) -> Figure:
    figure = Figure(figsize=(10, 1.2 + 1.9 * rows), layout="constrained")
    figure.subplots(rows, len(PAPER_NOISES), sharex=True, sharey=True, squeeze=False)
    return figure


def _panels(figure: Figure, models: list[str]) -> Iterator[tuple[str, str, Axes]]:
    """Every panel of a grid with its network and noise; the outer ones get their labels."""
    for number, axes in enumerate(figure.axes):
        row, column = divmod(number, len(PAPER_NOISES))
        axes.axhline(HALF, color="0.85", linewidth=0.8, zorder=0)
        axes.set(ylim=(0, 104))
        if row == 0:
            axes.set_title(title(PAPER_NOISES[column]), fontsize=10)
        if row == len(models) - 1:
            axes.set_xlabel(ATTACKS_AXIS)
        if column == 0:
            axes.set_ylabel(f"{networks.title(models[row])}\n%")
        yield models[row], PAPER_NOISES[column], axes


def _finish(figure: Figure, labelled: Axes, heading: str) -> None:
    """One legend for all panels below them, the heading above."""
    figure.suptitle(heading, fontsize=11)
    handles, labels = labelled.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
