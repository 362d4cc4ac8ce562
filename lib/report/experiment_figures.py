"""Figures of an experiment: scores of its trainings against a value, and contrasts with their intervals."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.experiments.measure import MEAN
from lib.paper import PAPER_NOISES
from lib.report.figures import CLEAN, FOOLED, in_style, label_ends, title
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
TICK = {"color": "0.3", "linestyle": "", "marker": "_", "markersize": 9, "label": "one training"}
CROSS = {"color": "0.3", "linestyle": "", "marker": "x", "markersize": 5, "label": "one training, short"}

VERDICTS = {HIGHER: CLEAN, LOWER: FOOLED, NO_DIFFERENCE: "0.35", UNDECIDED: "0.7"}  # the colour of each


def noise_title(noise: str) -> str:
    """A noise as panels name it, or the mean of the four."""
    return "mean of the four noises" if noise == MEAN else title(noise)


@in_style
def against(
    scores: pd.DataFrame, values: Mapping[str, Mapping[str, float]], what: str, axis: str, score: str = "area"
) -> Figure:
    """The `Result.scores` against a value of the networks, a large panel for the mean of the noises, one for each.

    Each training is a thin tick, the mean at one value a marker. A short training is a cross, and in no mean. `values`:
    kind, as its line is labelled -> network -> its value, on a logarithmic axis; three kinds at most. `what` stands
    above the figure, `axis` below its panels.
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    order = (MEAN, *PAPER_NOISES)
    mosaic = [[order[0], order[0], *order[1:3]], [order[0], order[0], *order[3:5]]]
    panels = figure.subplot_mosaic(mosaic, sharex=True, sharey=True)
    places = sorted({value for own in values.values() for value in own.values()})
    shown, seen = scores.loc[[model for own in values.values() for model in own if model in scores.index]], []
    for noise in order:
        panel = panels[noise]
        for number, (kind, own) in enumerate(values.items()):
            factor = ASIDE ** (number - (len(values) - 1) / 2)
            rows = scores.loc[[model for model in own if model in scores.index], [noise, "short"]]
            rows = rows.set_axis([own[model] * factor for model in rows.index.get_level_values("model")])
            means = _line(panel, rows[noise], rows["short"], LOOKS[number])
            if noise == MEAN and len(means):
                ends = [f"{means[place]:.0f} % at {place / factor:,.0f}" for place in means.index[[0, -1]]]
                seen.append(f"{kind} {', '.join(ends)}")
                edge, look = places[-1] * ASIDE, {"color": LOOKS[number]["color"], "linestyle": "", "label": kind}
                panel.plot(edge, means.iloc[-1], **look)
        panel.set_title(noise_title(noise), fontsize=10)
        panel.set(xscale="log", xlabel=axis * (noise in (MEAN, *order[3:5])))
        panel.set_xticks(places, [f"{place:,g}" for place in places], fontsize=8 if len(places) > 4 else None)
        panel.tick_params(axis="x", rotation=45 if len(places) > 4 else 0, labelbottom=True)
        panel.minorticks_off()
    panels[MEAN].set_ylabel(SCORES[score])
    label_ends(panels[MEAN])
    marks = [TICK, CROSS] if shown["short"].any() else [TICK]
    figure.legend(handles=[Line2D([], [], **mark) for mark in marks], loc="outside lower center", ncols=2, fontsize=9)
    counts = shown.groupby("model").size()
    figure.suptitle(
        f"By {axis}: {'; '.join(seen)} (mean of the noises)\n{what}; {extremes(counts, 0)} trainings of each network",
        fontsize=10,
    )
    return figure


def _line(axes: Axes, scores: pd.Series, short: pd.Series, look: dict) -> pd.Series:
    """Ticks, crosses and the line of the means of one kind, which are returned; the index is the place on the axis."""
    means = scores[~short].groupby(level=0).mean()
    for own, mark in ((scores[~short], TICK), (scores[short], CROSS)):
        axes.plot(own.index, own, **mark | {"color": look["color"], "label": "_"})
    axes.plot(means.index, means, **look | {"markersize": 6, "linewidth": 1.6})
    return means


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
    decided = known[(known["noise"] == MEAN) & known["verdict"].isin((HIGHER, LOWER))].sort_values("estimate")
    seen = [f"{names[row.question]}: {row.estimate:+.0f}" for row in decided.iloc[[0, -1][: len(decided)]].itertuples()]
    figure.suptitle(
        f"{'; '.join(seen) or 'no effect is decided'} (points, mean of the noises)\n"
        f"{what}; {extremes(known['trainings'], 0)} trainings of each network",
        fontsize=10,
    )
    return figure
