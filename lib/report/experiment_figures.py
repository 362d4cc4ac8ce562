"""Figures of an experiment: scores of its trainings against a value, and contrasts with their intervals."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.experiments.measure import MEAN
from lib.paper import PAPER_NOISES
from lib.report.figures import CLEAN, FOOLED, in_style, title
from lib.report.tables import extremes
from lib.statistics.contrasts import HIGHER, LOWER, MARGIN, NO_DIFFERENCE, UNDECIDED

LOOKS = [  # of the kinds of networks: no network of a family has a colour of its own
    {"color": "black", "linestyle": "-", "marker": "o"},
    {"color": "0.55", "linestyle": "--", "marker": "s"},
    {"color": "0.3", "linestyle": ":", "marker": "^"},
]
ASIDE = 1.06  # the factor between the kinds' places at one value, so that they do not hide each other
SCORES = {
    "area": "area under the curve (%)",
    "relative": "area in % of clean accuracy",
    "initial": "accuracy after 50 attacks (%)",
}
TICK = {"color": "0.3", "linestyle": "", "marker": "_", "markersize": 9}  # one training
CROSS = {"color": "0.3", "linestyle": "", "marker": "x", "markersize": 5}  # one that ended below its target

VERDICTS = {HIGHER: CLEAN, LOWER: FOOLED, NO_DIFFERENCE: "0.35", UNDECIDED: "0.7"}  # the colour of each


def noise_title(noise: str) -> str:
    """A noise as panels name it, or the mean of the four."""
    return "mean of the four noises" if noise == MEAN else title(noise)


@in_style
def against(
    scores: pd.DataFrame, values: Mapping[str, Mapping[str, float]], what: str, axis: str, score: str = "area"
) -> Figure:
    """The `Result.scores` against a value of the networks, a panel for the mean of the noises and for each.

    Each training is a thin tick, the mean at one value a marker. A short training is a cross, and in no mean. `values`:
    kind, as the legend names it -> network -> its value, on a logarithmic axis; three kinds at most. `what` stands
    above the figure, `axis` below its panels.
    """
    figure = Figure(figsize=(9.5, 6.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).flat
    places = sorted({value for own in values.values() for value in own.values()})
    shown = scores.loc[[model for own in values.values() for model in own if model in scores.index]]
    for panel, noise in zip(panels, (MEAN, *PAPER_NOISES), strict=False):
        for number, (kind, own) in enumerate(values.items()):
            factor = ASIDE ** (number - (len(values) - 1) / 2)
            rows = scores.loc[[model for model in own if model in scores.index], [noise, "short"]]
            rows = rows.set_axis([own[model] * factor for model in rows.index.get_level_values("model")])
            _line(panel, rows[noise], rows["short"], LOOKS[number] | {"label": f"{kind}, mean"})
        panel.set(title=noise_title(noise), xscale="log")
        panel.set_xticks(places, [f"{place:,g}" for place in places], fontsize=8 if len(places) > 4 else None)
        panel.minorticks_off()
    for panel in (figure.axes[0], figure.axes[3]):
        panel.set_ylabel(SCORES[score])
    for panel in figure.axes[2:5]:
        panel.set_xlabel(axis)
    for panel in figure.axes[:3]:
        panel.tick_params(labelbottom=True)
    _explain(figure, bool(shown["short"].any()))
    counts = shown.groupby("model").size()
    figure.suptitle(f"{what}; {extremes(counts, 0)} trainings of each network", fontsize=10)
    return figure


def _line(axes: Axes, scores: pd.Series, short: pd.Series, look: dict) -> None:
    """Ticks, crosses and the line of the means of one kind; the index is the place along the axis."""
    means = scores[~short].groupby(level=0).mean()
    for own, mark in ((scores[~short], TICK), (scores[short], CROSS)):
        axes.plot(own.index, own, **mark | {"color": look["color"]})
    axes.plot(means.index, means, **look | {"markersize": 6, "linewidth": 1.6})


def _explain(figure: Figure, short: bool) -> None:
    """The legend, in the place of the sixth panel."""
    first, *_, place = figure.axes
    place.set_axis_off()
    place.plot([], [], **TICK, label="one training")
    if short:
        place.plot([], [], **CROSS, label="one training, short")
    (lines, labels), (marks, names) = (axes.get_legend_handles_labels() for axes in (first, place))
    place.legend(lines + marks, labels + names, loc="center", fontsize=10)


@in_style
def contrasts(found: pd.DataFrame, names: Mapping[str, str], what: str) -> Figure:
    """The `Result.contrasts` that have an estimate, with intervals, a panel for the mean of the noises and for each.

    `names`: question -> how the figure names it, from above to below.
    """
    known = found[found["question"].isin(list(names))].dropna(subset="estimate")
    order = [name for name in names if name in set(known["question"])]
    figure = Figure(figsize=(12, 1.5 + 0.34 * len(order)), layout="constrained")
    panels = figure.subplots(1, 1 + len(PAPER_NOISES), sharey=True, sharex=True)
    places = {name: -place for place, name in enumerate(order)}
    for panel, noise in zip(panels, (MEAN, *PAPER_NOISES), strict=True):
        panel.axvspan(-MARGIN, MARGIN, color="0.92", linewidth=0, zorder=0)
        panel.axvline(0, color="0.5", linewidth=0.8)
        for row in known[known["noise"] == noise].itertuples():
            colour = VERDICTS[row.verdict]
            panel.plot(row.estimate, places[row.question], "o", color=colour, markersize=5)
            panel.hlines(places[row.question], row.low, row.high, color=colour, linewidth=1.6)
        panel.set_title(noise_title(noise), fontsize=9)
        panel.set_xlabel("points")
    shown = [verdict for verdict in VERDICTS if verdict in set(known["verdict"])]
    marks = [panels[0].plot([], [], "o-", color=VERDICTS[verdict], label=verdict)[0] for verdict in shown]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(shown))
    panels[0].set_yticks(list(places.values()), [names[name] for name in order])
    panels[0].set_ylim(0.5 - len(order), 0.5)
    figure.suptitle(f"{what}; {extremes(known['trainings'], 0)} trainings of each network", fontsize=10)
    return figure
