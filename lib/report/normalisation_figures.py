"""The figure of accuracies by other statistics of activations."""

import pandas as pd
from matplotlib.figure import Figure

from lib.report.figures import ACCURACY_AXIS, ATTACKS_AXIS, in_style, label_ends, network_look

PANELS = {"frozen": "statistics of the training", "moments": "statistics put right"}


@in_style
def recovery(curves: pd.DataFrame, models: list[str], what: str) -> Figure:
    """Accuracy against attacks before and after the moments are restored, a line for each network.

    `curves`: rows (model, statistics), columns attacks; percent.
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
