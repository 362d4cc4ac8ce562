"""The readings of the noise in words, tables and a figure (`readings.matrix`, `readings.matrix_distances`)."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import networks
from lib.evaluation import statistics
from lib.evaluation.plan import USUAL_NOISES
from lib.noise import NOISES
from lib.paper import FIGURE_7, read_table_1
from lib.readings import excluded
from lib.readings.matrix import DEFAULT, EDGES, FIRST, IMAGES, LEVELS, WHITE_ABOVE, NoiseReading
from lib.readings.matrix_distances import OPTIONS, THREE, distance, flattening
from lib.report.comparison_tables import extremes
from lib.report.figures import ACCURACY_AXIS, ATTACKS_AXIS, DASHES, MARKERS, PAPER, in_style, network_look, title

WAYS = {  # replacement, source -> how pixels are drawn
    (False, "current"): "without replacement, current image",
    (False, "clean"): "without replacement, clean image",
    (True, "current"): "with replacement, current image",
    (True, "clean"): "with replacement, clean image",
    (True, "list"): "with replacement, listed in the clean image",
}
SHORT = {name: noise.short for name, noise in NOISES.items()}
NETWORKS = {model: networks.title(model) for model in FIGURE_7}


def ranking(ranked: pd.DataFrame) -> pd.DataFrame:
    """`matrix_distances.ranking` as printed: the distance of each reading to Table 1, over all of it and by noise."""
    told = ranked.rename(columns={"distance": "all", "share": "nearest in % of resamplings"} | SHORT)
    return _in_words(told)[["all", *(SHORT[noise] for noise in USUAL_NOISES), "nearest in % of resamplings"]].round(1)


def by_network(ranked: pd.DataFrame) -> pd.DataFrame:
    """The same by network."""
    three = ", ".join(NETWORKS[model] for model in THREE)
    told = ranked.rename(columns={", ".join(THREE): three} | NETWORKS)
    return _in_words(told)[[*NETWORKS.values(), three]].round(1)


def left_out(left: pd.DataFrame) -> pd.DataFrame:
    """`matrix_distances.left_out` as printed."""
    told = left.assign(without=left["without"].map(NETWORKS), same=left["same"].map({True: "yes", False: "no"}))
    names = {"distance": "distance", "share": "nearest in % of resamplings", "same": "the same reading as of all five"}
    return _in_words(told.rename(columns=names), "without")[list(names.values())].round(1)


def flattened(curves: pd.DataFrame, readings: list[NoiseReading]) -> pd.DataFrame:
    """`matrix_distances.flattening` of the paper and of some readings, side by side."""
    tables = {"the paper": flattening(read_table_1())}
    tables |= {way(reading): flattening(_of(curves, reading)) for reading in readings}
    named = {"early": "40 to 100", "late": "100 to 200", "kept": "ratio", "altered": "pixels altered at 200"}
    found = pd.concat({name: table.rename(columns=named) for name, table in tables.items()}, names=["", "noise"])
    found = found.rename(index=SHORT, level="noise").astype(object)
    shown = found.apply(
        lambda column: column.map("{:.0f}".format if column.name == named["altered"] else "{:.2f}".format)
    )
    return shown.replace("nan", "")


@in_style
def beside_paper(curves: pd.DataFrame, readings: list[NoiseReading]) -> Figure:
    """A panel for each network and noise: the paper's Table 1 and the curves of some readings (`curves`)."""
    paper = read_table_1()
    figure = Figure(figsize=(11, 12), layout="constrained")
    panels = figure.subplots(len(FIGURE_7), len(USUAL_NOISES), sharex=True, sharey=True)
    for row, model in enumerate(FIGURE_7):
        for column, noise in enumerate(USUAL_NOISES):
            axes, cell = panels[row, column], "model == @model and noise == @noise"
            for number, reading in enumerate(readings):
                own = _of(curves, reading).query(cell)
                look = {"color": network_look(model)["color"], "linestyle": DASHES[number], "marker": MARKERS[number]}
                axes.fill_between(own["attacks"], own["low"], own["high"], color=look["color"], alpha=0.2, linewidth=0)
                axes.plot(own["attacks"], own["accuracy"], markersize=3, label=f"ours, {way(reading)}", **look)
            printed = paper.query(cell)
            axes.plot(printed["attacks"], printed["accuracy"], **PAPER, label="the paper")
            if row == 0:
                axes.set_title(title(noise), fontsize=10)
            if column == 0:
                axes.set_ylabel(f"{NETWORKS[model]}\n{ACCURACY_AXIS}", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel(ATTACKS_AXIS)
    panels[0, 0].set_ylim(0, 101)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    heading = f"first n = {IMAGES:,} test images, one training and one noise draw of each network, 95 % over images"
    figure.suptitle(f"The paper's Table 1 and three ways to draw pixels\n{heading}", fontsize=10)
    return figure


def on_all_images(ranked: pd.DataFrame, sweeps: pd.DataFrame) -> pd.DataFrame:
    """The distance to Table 1 of the default on all test images, and of it and the first reading on the first of them.

    Args:
        sweeps: `matrix_distances.swept`.
    """
    noisy = sweeps[sweeps["attacks"].isin(LEVELS)]
    three = ", ".join(THREE)
    every = {model: distance(own) for model, own in noisy.groupby("model")}
    every |= {three: distance(noisy[noisy["model"].isin(THREE)]), "distance": distance(noisy)}
    rows = {(way(DEFAULT), "all 10,000"): pd.Series(every)}
    rows |= {(way(reading), f"first {IMAGES:,}"): _of(ranked, reading).iloc[0] for reading in (DEFAULT, FIRST)}
    found = pd.DataFrame(rows).T[[*NETWORKS, three, "distance"]].astype(float).round(1)
    named = NETWORKS | {three: "these three: " + ", ".join(NETWORKS[model] for model in THREE), "distance": "all five"}
    return found.rename(columns=named).rename_axis(["pixels drawn", "test images"])


def nearest(ranked: pd.DataFrame, left: pd.DataFrame) -> str:
    """Which reading is nearest to Table 1, by how much, and whether each of the networks is needed for it."""
    best, first = ranked.iloc[0], _of(ranked, FIRST).iloc[0]
    three = ", ".join(THREE)
    ways = (left["replacement"] == best["replacement"]) & (left["source"] == best["source"])
    turned = " or ".join(NETWORKS[model] for model in left.loc[~left["same"], "without"])
    but = f" Without {turned} another white or another c of Edge to Altered is nearest." if turned else ""
    return (
        f"Nearest to Table 1 is the reading in which pixels are drawn **{WAYS[best['replacement'], best['source']]}**, "
        f"white is b > {best['white_above']} and c of Edge to Altered is {best['edges_c']:g}: "
        f"**{best['distance']:.1f} points** from the paper over its 80 noisy entries, where the reading that this "
        f"companion began with (pixels drawn {way(FIRST)}) is {first['distance']:.1f} points away. Over "
        f"{', '.join(NETWORKS[model] for model in THREE)} it is {best[three]:.1f} points against {first[three]:.1f}. "
        f"With one network left out this way of drawing is nearest in {ways.sum()} of {len(left)} cases, with the same "
        f"white and c in {left['same'].sum()}.{but}"
    )


def answer(ranked: pd.DataFrame, left: pd.DataFrame, beside: pd.DataFrame) -> str:
    """The default, by which numbers, and what it leaves unexplained.

    Args:
        beside: `on_all_images`.
    """
    every, default, first = (row["all five"] for _, row in beside.iterrows())
    least = ranked[list(NETWORKS)].min().sort_values()
    far = " and ".join(f"{NETWORKS[model]} ({least[model]:.1f} points at least)" for model in least.index[-2:])
    ways = (left["replacement"] == DEFAULT.replacement) & (left["source"] == DEFAULT.source)
    return (
        f"The default draws pixels {way(DEFAULT)}: {default:.1f} points from Table 1 on the first {IMAGES:,} test "
        f"images, where the first reading of this companion is {first:.1f}, and {every:.1f} on all of them. This way "
        f"of drawing is nearest without any one network in {ways.sum()} of {len(left)} cases. Whatever the reading, "
        f"{far} stay farthest from the paper; under the default other trainings of both come nearer."
    )


def unexplained(ranked: pd.DataFrame) -> str:
    """How near the readings come to each network's own entries: the nearest of all, and the one nearest to all five."""
    least = ranked[list(NETWORKS)].min().sort_values(ascending=False)
    told = [
        f"{NETWORKS[model]}: {distance:.1f} points at least (the nearest reading of all: {ranked[model].iloc[0]:.1f})"
        for model, distance in least.items()
    ]
    return "How near any reading comes to each network's own entries of Table 1. " + "; ".join(told) + "."


def ranks(right: np.ndarray) -> str:
    """Which rank each network has under the readings, by the mean of the noises and levels.

    Args:
        right: `matrix_distances.right_answers`.
    """
    kept = right.mean(axis=(2, 3, 4))  # (readings, networks)
    places = statistics.ranks(kept)
    best_first = sorted(zip(places.mean(axis=0), FIGURE_7, places.T, strict=True))
    told = "; ".join(f"{NETWORKS[model]} {extremes(own, 0)}" for _, model, own in best_first)
    return f"Ranks by the mean over the noises and levels of Table 1, under all {len(kept)} readings: {told}."


def first_attacks(curves: pd.DataFrame, model: str = "fc") -> str:
    """What the first ten attacks cost a network in the paper, and at most under any reading."""
    lost = []
    for table in (read_table_1(), curves):
        own = table[(table["model"] == model) & (table["noise"] != EDGES)]
        at = own.groupby(["noise", "attacks"])["accuracy"]
        lost.append(at.max().unstack()[0] - at.min().unstack()[10])
    each = ", ".join(f"{SHORT[noise]} {lost[0][noise]:.1f} (at most {lost[1][noise]:.1f})" for noise in lost[0].index)
    return (
        f"Points that the first ten attacks cost {NETWORKS[model]} in the paper, in brackets under any reading: {each}."
    )


def white(ranked: pd.DataFrame, curves: pd.DataFrame, sweeps: pd.DataFrame) -> str:
    """How near the two whites lie to each other on the first images, and how much harder these are than all."""
    far = [_of(ranked, replace(DEFAULT, white_above=above))["distance"].item() for above in WHITE_ABOVE]
    noisy = [table[table["attacks"].isin(LEVELS)] for table in (_of(curves, DEFAULT), sweeps)]
    some, every = (table["accuracy"].mean() for table in noisy)
    return (
        f"Drawn as by default, b > {WHITE_ABOVE[0]} is {far[0]:.2f} and b > {WHITE_ABOVE[1]} is {far[1]:.2f} points "
        f"from the paper, on the first {IMAGES:,} test images. These are harder than the others: over the noisy "
        f"entries of Table 1 our five networks are right on {some:.1f} % of them, on {every:.1f} % of all 10,000. So "
        "over all images either could be nearer."
    )


def ruled_out(curves: pd.DataFrame) -> str:
    """Explanations that the numbers exclude, a line each."""
    kept, swapped = excluded.inverted(_of(curves, DEFAULT))
    white, ours, paper = excluded.one_pixel_for_a_batch(_of(curves, FIRST), IMAGES)
    apart, added = excluded.accumulated()
    fooled, printed = excluded.unscaled()
    outside = sum(excluded.beyond_a_byte().values())
    lines = {
        "Inverted colours": f"with White to Black and Black to White swapped the distance over these two noises is "
        f"{swapped:.1f} points instead of {kept:.1f}",
        "Overflow of a byte": f"at the noises' own c their equations leave 0 to 255 for {outside} of 256 brightnesses",
        "The same pixels for a whole batch": f"{white:.0f} of 200 such pixels are white in a digit; White to Black "
        f"leaves our five networks {ours:.0f} % at 40 attacks (without replacement), the paper's {paper:.0f} % at 200",
        "Noise that accumulates over the five repetitions": f"the distance at 40 attacks would be {added:.0f} points "
        f"instead of {apart:.0f}",
        "Attacked pixels of 0 to 255 in images of 0 to 1": f"ten attacks of Black to White leave FC "
        f"{fooled:.0f} %, in the paper {printed:.0f} %",
    }
    return "\n".join(f"- **{name}**: {against}." for name, against in lines.items())


def way(reading: NoiseReading) -> str:
    """How pixels are drawn under a reading, in words."""
    return WAYS[reading.replacement, reading.source]


def _of(table: pd.DataFrame, reading: NoiseReading) -> pd.DataFrame:
    """The rows of one reading."""
    same = [table[option] == getattr(reading, option) for option in OPTIONS]
    return table[pd.concat(same, axis=1).all(axis=1)]


def _in_words(table: pd.DataFrame, *first: str) -> pd.DataFrame:
    """The table with its reading as index, the four options in three columns of words."""
    ways = [WAYS[pair] for pair in zip(table["replacement"], table["source"], strict=True)]
    told = {"pixels drawn": ways, "white": "b > " + table["white_above"].astype(str), "c of EtA": table["edges_c"]}
    return table.assign(**told).set_index([*first, *told])
