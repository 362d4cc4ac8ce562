"""The figures of the readings: a digit under each, what each option moves, and how far each is from the paper."""

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib import networks
from lib.evaluation.plan import USUAL_NOISES
from lib.noise import NOISES
from lib.readings.options import Grid, Reading
from lib.report import figures, reading_tables
from lib.report.figures import STYLE, noise_look, title
from lib.report.reading_tables import PRINTED


def one_digit(grid: Grid, image: np.ndarray, attacks: int = 100) -> Figure:
    """An image (28, 28) as the network is shown it, a row for each reading that differs in one option of the attack."""
    readings, seed, noises = grid.readings(), grid.seeds[0], list(USUAL_NOISES)
    trained = {option: getattr(readings[0], option) for option in ("normalize", "epochs")}
    few = len(readings[0].changes) + 1
    chosen = [
        reading
        for reading in readings
        if len(reading.changes) <= few and all(getattr(reading, name) == kept for name, kept in trained.items())
    ]
    shown = np.empty((len(chosen), len(noises), networks.SIZE, networks.SIZE), np.uint8)
    for row, reading in enumerate(chosen):
        upscaled = networks.upscale(image[None], reading.space, reading.resize)
        parts = {part.recipe["noise"]: part for part in grid.parts(reading, seed)}
        for column, noise in enumerate(noises):
            noisy = parts[noise].attack(upscaled, np.arange(1), [attacks])[0][0]
            shown[row, column] = networks.upscale(noisy, networks.SIZE, reading.resize)[0]
    names = [reading_tables.in_words(reading.name).replace(": ", ":\n") for reading in chosen]
    labels = [[NOISES[noise].short for noise in noises]] * len(chosen)
    return figures.digits(shown, labels=labels, rows=names)


@style.context(STYLE)
def main_effects(effects: pd.DataFrame, heading: str) -> Figure:
    """A panel for each noise, a row for each option's value: how far it moves the accuracy (`effects.main_effects`).

    Symbol and thick line: with all else as ours, mean and 95 % interval over the training seeds. Thin line and tick:
    the range and the mean over all pairs of readings. A row is empty where the option cannot touch the noise.
    """
    rows = effects[["option", "value"]].drop_duplicates().reset_index(drop=True)
    noises = [noise for noise in USUAL_NOISES if noise in set(effects["noise"])]
    figure = Figure(figsize=(11, 1.7 + 0.34 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(noises), sharex=True, sharey=True, squeeze=False)[0]
    for axes, noise in zip(panels, noises, strict=True):
        look = noise_look(noise)
        own = rows.merge(effects[effects["noise"] == noise], on=["option", "value"], how="left")
        axes.axvline(0, color="0.3", linewidth=1)
        axes.hlines(own.index, own["least"], own["most"], color="0.6", linewidth=1)
        axes.plot(own["mean"], own.index, linestyle="", marker="|", color="0.4", markersize=9)
        axes.hlines(own.index, own["low"], own["high"], color=look["color"], linewidth=3)
        axes.plot(own["effect"], own.index, linestyle="", marker=look["marker"], color=look["color"], markersize=5)
        axes.set_title(title(noise), fontsize=10)
        axes.set_xlabel("points above ours", fontsize=9)
    names = [f"{PRINTED[row.option][0]}: {reading_tables.value(row.option, row.value)}" for row in rows.itertuples()]
    panels[0].set_yticks(rows.index, names)
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
def distance_to_paper(ranked: pd.DataFrame, heading: str) -> Figure:
    """Rows of `distance.to_paper` by their index: the mean of a reading's trainings and each of them, in points.

    Before each row its options, those that are not ours in black; an option that all have as ours has no column.
    """
    changes = [reading_tables.changes(name) for name in ranked["reading"]]
    columns = [option for option in PRINTED if any(option in own for own in changes)]
    figure = Figure(figsize=(11, 1.6 + 0.27 * len(ranked)), layout="constrained")
    options, axes = figure.subplots(1, 2, sharey=True, width_ratios=[1.15 * max(len(columns), 1), 6])
    rows = range(len(ranked))
    axes.hlines(rows, ranked["least"], ranked["most"], color="0.5", linewidth=3, label="its single trainings")
    axes.plot(ranked["distance"], rows, "o", color="#0072B2", label="the reading (mean of its trainings)")
    axes.set_yticks(rows, [str(rank) for rank in ranked.index])
    axes.set(xlabel="distance to the paper (points)", xlim=(0, None), ylim=(len(ranked) - 0.5, -1.5))
    axes.tick_params(labelleft=True)
    options.set(xlim=(-0.5, len(columns) - 0.5))
    options.axis("off")
    for column, option in enumerate(columns):
        options.text(column, -1, PRINTED[option][0], fontsize=9, weight="bold", ha="center", va="center")
        for row, own in enumerate(changes):
            told = reading_tables.value(option, own.get(option, Reading().labels[option]))
            colour = "black" if option in own else "0.65"
            options.text(column, row, told, fontsize=9, color=colour, ha="center", va="center")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    figure.suptitle(heading, fontsize=10)
    return figure
