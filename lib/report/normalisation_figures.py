"""The figure of accuracies by other statistics of activations."""

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

    Args:
        curves: rows (model, statistics), columns attacks; percent.
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
