"""The figures of accuracies by other statistics of activations, and of what foretells them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.report.figures import ACCURACY_AXIS, ATTACKS_AXIS, CLEAN, FOOLED, in_style, label_ends, network_look

LOOKS = {
    "frozen": {"color": FOOLED, "linestyle": "--", "marker": "s", "label": "of training"},
    "moments": {"color": CLEAN, "marker": "o", "label": "put right"},
}


@in_style
def recovery(curves: pd.DataFrame, models: list[str], what: str) -> Figure:
    """Accuracy against attacks before and after the moments are restored, a panel for each network and for their mean.

    `curves`: rows (model, statistics), columns attacks; percent.
    """
    panels = {network_look(model)["label"]: curves.loc[model] for model in models}
    panels["their mean"] = curves.loc[models].groupby(level="statistics").mean()
    columns = next(number for number in (4, 3, 5, 2, len(panels)) if len(panels) % number == 0)  # without a hole
    rows = len(panels) // columns
    figure = Figure(figsize=(2.3 * columns + 1, 0.9 + 2.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, (axes, (name, own)) in enumerate(zip(grid.flat, panels.items(), strict=True)):
        for statistics, look in LOOKS.items():
            axes.plot(own.columns, own.loc[statistics], **look | {"linewidth": 2, "markersize": 4})
        axes.set(ylim=(0, 101), xlabel=ATTACKS_AXIS * (place >= len(panels) - columns))
        axes.set_title(name, fontsize=10)
    for row in grid:
        row[0].set_ylabel(ACCURACY_AXIS)
        label_ends(row[-1])
    figure.suptitle(what, fontsize=10)
    return figure


@in_style
def law(table: pd.DataFrame, measure: str, line: np.poly1d, what: str) -> Figure:
    """Area under the curve against one measure of a network, with the line that was fitted to the filled points.

    Args:
        table: rows titles of networks, columns `measure`, area (percent) and fitted.
    """
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for title, row in table.iterrows():
        place = row[measure], row["area"]
        axes.plot(*place, "o", color="0.2", markerfacecolor="0.2" if row["fitted"] else "white")
        axes.annotate(title, place, xytext=(7, -9), textcoords="offset points", fontsize=8)
    ends = np.array([table[measure].min(), table[measure].max()])
    axes.plot(ends, line(ends), color="0.6", linewidth=1, zorder=0)
    axes.set(xlabel=measure, ylabel="area under the curve (%)", title=what)
    axes.margins(x=0.12)
    return figure
