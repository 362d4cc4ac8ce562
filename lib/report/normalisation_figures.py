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
def law(table: pd.DataFrame, what: str) -> Figure:
    """The area under the curve of each network, and what a line fitted to some of them says of it by one measure.

    Args:
        table: rows titles of networks, columns area and predicted (percent), and fitted: whether the line was fitted to
            it.
    """
    table = table.sort_values("area")
    figure = Figure(figsize=(7, 1.4 + 0.26 * len(table)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(table))
    axes.hlines(places, table["area"], table["predicted"], color="0.8", linewidth=2, zorder=1)
    axes.plot(table["predicted"], places, "x", color="0.4", zorder=3, label="by the line")
    for fitted, fill, label in ((True, "0.2", "the paper's networks, fitted"), (False, "white", "timm's, held out")):
        own = (table["fitted"] == fitted).to_numpy()
        look = {"color": "0.2", "markerfacecolor": fill, "markersize": 7, "label": label}
        axes.plot(table["area"][own], places[own], "o", **look)
    axes.set_yticks(places, table.index, fontsize=9)
    axes.set(xlabel="area under the curve (%)", title=what)
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper left", fontsize=9)
    return figure
