"""The figures of `confidence.ipynb`: a panel for each network, a labelled line for each measure of doubt."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.experiments.confidence import Scores, ends, risk_coverage
from lib.paper import PAPER_NOISES
from lib.report.figures import ATTACKS_AXIS, in_style, label_ends, network_look

MEASURES = {  # in words
    "softmax": "plain softmax",
    "entropy": "predictive entropy",
    "spread": "predictive variance",
    "information": "mutual information",
    "disagreement": "disagreement",
    "mean": "mean with dropout",
}
LOOKS = {  # the plain softmax has the colour of its network
    "information": {"color": "black", "linestyle": "--", "marker": "s"},
    "disagreement": {"color": "0.5", "linestyle": ":", "marker": "D"},
    "mean": {"color": "black", "linestyle": "--", "marker": "s"},
}
COLUMNS = 4
KEPT = np.linspace(0.01, 1, 100)  # share of the predictions


@in_style
def auroc(found: Sequence[Scores], measures: Sequence[str], heading: str) -> Figure:
    """AUROC against attacks, mean of the noises, with its 95 % interval."""
    figure, panels = _panels(found, heading, ATTACKS_AXIS, "AUROC")
    for own, axes in panels:
        axes.axhline(0.5, color="0.5", linewidth=0.8)
        for measure in [each for each in measures if each in own.auroc]:
            levels = own.evaluated.levels
            value, low, high = np.transpose([ends(own.evaluated.mean(own.auroc[measure], each)) for each in levels])
            look = _look(own, measure)
            axes.plot(levels, value, **look)
            axes.vlines(levels, low, high, color=look["color"], linewidth=1, alpha=0.7)
    return _labelled(figure)


@in_style
def calibration(found: Sequence[Scores], heading: str) -> Figure:
    """Mean confidence against accuracy, means of the noises, a mark for each level, without and with dropout."""
    figure, panels = _panels(found, heading, "accuracy (%)", "mean confidence (%)")
    for own, axes in panels:
        axes.plot([0, 100], [0, 100], color="0.5", linewidth=0.8)
        for measure, wrong in (("softmax", own.evaluated.wrong), ("mean", own.evaluated.mean_wrong)):
            both = np.stack([wrong.mean(axis=1), own.evaluated.doubts[measure].mean(axis=1)], axis=1)  # (rows, 2)
            each = 100 * (1 - np.stack([own.evaluated.mean(both, level) for level in own.evaluated.levels]))
            axes.plot(*each[::-1].T, **_look(own, measure))  # from the most attacks to none, at the right
        axes.set(xlim=(0, 102), ylim=(0, 102))
    return _labelled(figure)


@in_style
def refusal(found: Sequence[Scores], attacks: int, measures: Sequence[str], heading: str) -> Figure:
    """Risk-coverage curves at one level, mean of the noises."""
    figure, panels = _panels(found, heading, "digits kept (%)", "wrong among these (%)")
    for own, axes in panels:
        for measure in measures:
            axes.plot(100 * KEPT, _risk(own, measure, attacks), **_look(own, measure) | {"marker": ""})
        axes.set(xlim=(0, 100))
    figure.axes[0].set_ylim(bottom=0)  # of all panels
    return _labelled(figure)


def _risk(own: Scores, measure: str, attacks: int) -> np.ndarray:
    """The percentage of wrong predictions among each share of `KEPT`, mean of the noises."""
    curves = []
    for row in [own.evaluated.row(noise, attacks) for noise in PAPER_NOISES]:
        wrong = own.evaluated.wrong[row]
        kept, errors = risk_coverage(own.evaluated.doubts[measure][row], wrong, np.ones((len(wrong), 1)))
        curves.append(100 * np.interp(KEPT * len(wrong), kept[:, 0], errors[:, 0]) / (KEPT * len(wrong)))
    return np.mean(curves, axis=0)


def _look(own: Scores, measure: str) -> dict:
    base = network_look(own.evaluated.model) | {"markersize": 3, "linewidth": 1.4, "label": MEASURES[measure]}
    return base | {"markerfacecolor": None} | LOOKS.get(measure, {})


def _panels(
    found: Sequence[Scores], heading: str, xlabel: str, ylabel: str
) -> tuple[Figure, Iterator[tuple[Scores, Axes]]]:
    """A grid of panels, and each with its network."""
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(2.3 * columns + 1.9, 1.1 + 2.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in grid[len(found) :]:
        axes.remove()
    for number, (own, axes) in enumerate(zip(found, grid, strict=False)):
        axes.set_title(network_look(own.evaluated.model)["label"], fontsize=10)
        axes.tick_params(labelbottom=number + columns >= len(found))
        if number + columns >= len(found):
            axes.set_xlabel(xlabel)
        if number % columns == 0:
            axes.set_ylabel(ylabel)
    images = found[0].evaluated.wrong.shape[1]
    figure.suptitle(f"{heading}\nfirst n = {images:,} test images, one training of each network", fontsize=10)
    return figure, zip(found, grid, strict=False)


def _labelled(figure: Figure) -> Figure:
    """Labels at the ends of the lines of the last panel in each row; the lines look alike in the others."""
    for number, axes in enumerate(figure.axes):
        if number % COLUMNS == COLUMNS - 1 or number == len(figure.axes) - 1:
            label_ends(axes)
    return figure
