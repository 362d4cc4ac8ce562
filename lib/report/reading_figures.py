"""The figures of the readings: what each option moves, and how far each reading is from the paper."""

import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.evaluation.plan import USUAL_NOISES
from lib.report.figures import STYLE, noise_look, title


@style.context(STYLE)
def main_effects(effects: pd.DataFrame, heading: str) -> Figure:
    """A panel for each noise, a row for each option's value: how far it moves the accuracy (`effects.main_effects`).

    Symbol and thick line: with all else as ours, mean and 95 % interval over the training seeds. Thin line and tick:
    the range and the mean over all pairs of readings. A row is empty where the option cannot touch the noise.
    """
    rows = effects[["option", "value"]].drop_duplicates().reset_index(drop=True)
    noises = [noise for noise in USUAL_NOISES if noise in set(effects["noise"])]
    figure = Figure(figsize=(10, 1.8 + 0.42 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(noises), sharex=True, sharey=True, squeeze=False)[0]
    for axes, noise in zip(panels, noises, strict=True):
        look = noise_look(noise)
        own = rows.merge(effects[effects["noise"] == noise], on=["option", "value"], how="left")
        axes.axvline(0, color="0.3", linewidth=1)
        axes.hlines(own.index, own["least"], own["most"], color="0.6", linewidth=1)
        axes.plot(own["mean"], own.index, linestyle="", marker="|", color="0.4", markersize=9)
        axes.hlines(own.index, own["low"], own["high"], color=look["color"], linewidth=3)
        axes.plot(own["effect"], own.index, linestyle="", marker=look["marker"], color=look["color"], markersize=5)
        axes.set(title=title(noise), xlabel="points above our value's")
    panels[0].set_yticks(rows.index, [f"{row.option} {row.value}" for row in rows.itertuples()])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    drawn = [
        Line2D([], [], color="0.2", linewidth=3, marker="o", markersize=5, label="all else as ours, 95 % over seeds"),
        Line2D([], [], color="0.6", linewidth=1, label="range over all pairs of readings"),
        Line2D([], [], color="0.4", linestyle="", marker="|", markersize=9, label="their mean"),
    ]
    figure.legend(handles=drawn, loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle(heading, fontsize=10)
    return figure


@style.context(STYLE)
def distances(table: pd.DataFrame, heading: str) -> Figure:
    """Rows of `effects.distances`, numbered by their index: the mean of a reading's trainings, and each of them."""
    figure = Figure(figsize=(11, 1.6 + 0.3 * len(table)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(table))
    axes.hlines(rows, table["least"], table["most"], color="0.5", linewidth=3, label="its single trainings")
    axes.plot(table["distance"], rows, "o", color="#0072B2", label="the reading (mean of its trainings)")
    axes.set_yticks(rows, [f"{row.reading}  {row.Index + 1}" for row in table.itertuples()])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set(xlabel="root mean square over the noisy cells (points)", xlim=(0, None))
    axes.set_title(heading, fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure
