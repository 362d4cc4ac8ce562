"""The figures of networks in which one part is changed: scores of the trainings, and effects with their intervals.

No network of the family has a colour of its own: kinds are told by greys, dashes and markers.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.analysis.effects import MARGIN, MEAN, Question
from lib.paper import PAPER_NOISES
from lib.report.comparison_tables import extremes
from lib.report.figures import in_style, title

LOOKS = [
    {"color": "black", "linestyle": "-", "marker": "o"},
    {"color": "0.55", "linestyle": "--", "marker": "s"},
    {"color": "0.3", "linestyle": ":", "marker": "^"},
]
ASIDE = 1.06  # factor between the kinds' places at one value, so that they do not hide each other
SCORES = {
    "area": "area under the curve (%)",
    "relative": "area in % of clean accuracy",
    "initial": "accuracy after 50 attacks (%)",
}
SHORT = "x"  # the marker of a training that ended short of the bound


def _noise_title(noise: str) -> str:
    return "mean of the four noises" if noise == MEAN else title(noise)


@in_style
def against(
    table: pd.DataFrame, along: str, by: str | None, names: Mapping[str, str], what: str, axis: str, score: str
) -> Figure:
    """A score against the value of a part, a panel for the mean of the noises and for each.

    Each training is a thin tick, the mean of those at one value a marker. A training that is short of the bound is a
    cross, and in no mean.

    Args:
        table: `components.measure`.
        along: the column along the axis, on a logarithmic scale.
        by: the column that tells which line a training belongs to; None: there is one line.
        names: value of that column -> what the legend calls it; three at most.
        what: above the figure.
        axis: below the panels.
        score: area, relative or initial.
    """
    figure = Figure(figsize=(9.5, 6.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).flat
    kinds = {names[value]: table[table[by] == value] for value in names} if by else {"trainings": table}
    values = sorted(table[along].unique())
    for panel, noise in zip(panels, (MEAN, *PAPER_NOISES), strict=False):
        for number, (name, rows) in enumerate(kinds.items()):
            own = _of(rows, noise, along, score)
            _line(panel, own, ASIDE ** (number - (len(kinds) - 1) / 2), LOOKS[number] | {"label": name})
        panel.set(title=_noise_title(noise), xscale="log")
        panel.set_xticks(
            values, [f"{value:,g}" for value in values], minor=False, fontsize=8 if len(values) > 4 else None
        )
        panel.minorticks_off()
    for panel in (figure.axes[0], figure.axes[3]):
        panel.set_ylabel(SCORES[score])
    for panel in figure.axes[2:5]:
        panel.set_xlabel(axis)
    for panel in figure.axes[:3]:
        panel.tick_params(labelbottom=True)
    _explain(figure, figure.axes[0], bool(table["short"].any()))
    figure.suptitle(_heading(what, table.groupby("model")["seed"].nunique()), fontsize=10)
    return figure


def _heading(what: str, trainings: pd.Series) -> str:
    """`what`, and how many trainings of each network."""
    return f"{what}; {extremes(trainings, 0)} trainings of each network"


def _of(table: pd.DataFrame, noise: str, along: str, score: str) -> pd.DataFrame:
    """A row for each value and seed: the `score` on a noise, or its mean over the noises, and whether it is `short`."""
    own = table if noise == MEAN else table[table["noise"] == noise]
    return own.groupby([along, "seed"]).agg(score=(score, "mean"), short=("short", "any")).droplevel("seed")


def _line(axes: Axes, own: pd.DataFrame, factor: float, look: dict) -> None:
    """Ticks, crosses and the line of the means of one kind."""
    good, short = own.loc[~own["short"], "score"], own.loc[own["short"], "score"]
    means = good.groupby(level=0).mean()
    axes.plot(good.index * factor, good, color=look["color"], linestyle="", marker="_", markersize=9)
    axes.plot(short.index * factor, short, color=look["color"], linestyle="", marker=SHORT, markersize=5)
    axes.plot(means.index * factor, means, **look | {"markersize": 6, "linewidth": 1.6})


def _explain(figure: Figure, labelled: Axes, short: bool) -> None:
    """The legend, in the place of the sixth panel."""
    place = figure.axes[5]
    place.set_axis_off()
    place.plot([], [], color="0.3", linestyle="", marker="_", markersize=9, label="one training")
    if short:
        place.plot([], [], color="0.3", linestyle="", marker=SHORT, markersize=5, label="one training, under 99.0 %")
    handles, labels = labelled.get_legend_handles_labels()
    own = place.get_legend_handles_labels()
    place.legend(handles + own[0], [f"{label}, mean" for label in labels] + own[1], loc="center", fontsize=10)


@in_style
def effects(found: pd.DataFrame, questions: Mapping[str, Question], what: str) -> Figure:
    """Every effect that has an estimate, with its interval, a panel for the mean of the noises and for each.

    Args:
        found: `effects.effects`.
        questions: those that are shown, from above to below.
    """
    answered = found.dropna(subset="estimate")["question"].unique()
    names = [name for name in questions if name in answered]
    shown = found[found["question"].isin(names)]
    figure = Figure(figsize=(12, 1.5 + 0.34 * len(names)), layout="constrained")
    panels = figure.subplots(1, 1 + len(PAPER_NOISES), sharey=True, sharex=True)
    places = {name: -place for place, name in enumerate(names)}
    for panel, noise in zip(panels, (MEAN, *PAPER_NOISES), strict=True):
        panel.axvspan(-MARGIN, MARGIN, color="0.92", linewidth=0, zorder=0)
        panel.axvline(0, color="0.5", linewidth=0.8)
        for row in shown[shown["noise"] == noise].itertuples():
            colour = "0.6" if row.verdict == "undecided" else "black"
            place = places[row.question]
            panel.plot(row.estimate, place, "o", color=colour, markersize=5)
            panel.hlines(place, row.low, row.high, color=colour, linewidth=1.6)
        panel.set_title(_noise_title(noise), fontsize=9)
        panel.set_xlabel("points")
    panels[0].set_yticks(list(places.values()), list(places))
    panels[0].set_ylim(0.5 - len(names), 0.5)
    figure.suptitle(_heading(what, shown["trainings"]), fontsize=10)
    return figure
