"""The figures of accuracies by other statistics of activations, and of what foretells them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.report.figures import ACCURACY_AXIS, ATTACKS_AXIS, in_style, label_ends, network_look

PANELS = {"frozen": "statistics of the training", "moments": "statistics put right"}


@in_style
def recovery(curves: pd.DataFrame, models: list[str], what: str) -> Figure:
    """Accuracy against attacks before and after the moments are restored, a line for each network.

    Args:
        curves: rows (model, statistics), columns attacks; percent.
    """
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    for axes, (statistics, name) in zip(figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
        for model in models:
            own = curves.loc[model, statistics]
            axes.plot(own.index, own, **network_look(model) | {"linewidth": 2})
        axes.set(title=name, xlabel=ATTACKS_AXIS, ylim=(0, 101))
        axes.tick_params(labelleft=True)
        label_ends(axes)
    figure.axes[0].set_ylabel(ACCURACY_AXIS)
    figure.suptitle(what, fontsize=10)
    return figure


@in_style
def law(table: pd.DataFrame, measure: str, line: np.poly1d, what: str) -> Figure:
    """Area under the curve against one measure of a network, with the line that was fitted.

    Args:
        table: rows titles of networks, columns `measure` and area (percent).
    """
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(table[measure], table["area"], "o", color="0.2")
    for title, row in table.iterrows():
        axes.annotate(title, (row[measure], row["area"]), xytext=(6, 4), textcoords="offset points", fontsize=8)
    ends = np.array([table[measure].min(), table[measure].max()])
    axes.plot(ends, line(ends), color="0.6", linewidth=1, zorder=0)
    axes.set(xlabel=measure, ylabel="area under the curve (%)", title=what)
    axes.margins(x=0.12)
    return figure
