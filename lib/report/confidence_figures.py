"""The figures of `confidence.ipynb`: a column of panels for each noise, a line for each network."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.experiments.confidence import Scores, ends, refusing
from lib.paper import PAPER_NOISES
from lib.report.figures import ATTACKS_AXIS, in_style, network_look, title

MEASURES = {  # as they are written out
    "softmax": "plain softmax",
    "entropy": "predictive entropy",
    "spread": "predictive variance",
    "information": "mutual information",
    "disagreement": "disagreement",
    "mean": "mean of the dropout passes",
}


@in_style
def auroc(found: Sequence[Scores], measures: Sequence[str]) -> Figure:
    """AUROC against attacks with its 95 % interval, a row of panels for each measure."""
    figure, panels = _panels(found, measures, "AUROC")
    for measure, noise, axes in panels:
        axes.axhline(0.5, color="0.5", linewidth=0.8)
        for place, own in enumerate(each for each in found if measure in each.auroc):
            attacks, rows = _levels(own, noise)
            value, low, high = np.transpose([ends(own.auroc[measure][row]) for row in rows])
            beside = attacks + 1.6 * (place - len(found) / 2)  # so that the bars do not hide each other
            look = network_look(own.answers.model) | {"linewidth": 1.2}
            axes.plot(beside, value, **look)
            axes.vlines(beside, low, high, color=look["color"], linewidth=1, alpha=0.7)
        axes.set(xlabel=ATTACKS_AXIS)
    lowest = min(axes.get_ylim()[0] for axes in figure.axes)
    for axes in figure.axes:
        axes.set_ylim(lowest, 1.01)
    return _finished(figure, found, "Is a wrong answer given with more doubt? 0.5 is a coin, 1 never fails; bars: 95 %")


@in_style
def calibration(found: Sequence[Scores]) -> Figure:
    """Mean confidence against accuracy, a mark for each number of attacks, without and with dropout."""
    figure, panels = _panels(found, ("softmax", "mean"), "mean confidence (%)")
    for measure, noise, axes in panels:
        axes.plot([0, 100], [0, 100], color="0.5", linewidth=0.8)
        for own in found:
            _, rows = _levels(own, noise)
            wrong = own.answers.mean_wrong if measure == "mean" else own.answers.wrong
            confidence = 100 * (1 - own.answers.doubts[measure][rows].mean(axis=1))
            axes.plot(100 * (1 - wrong[rows].mean(axis=1)), confidence, **network_look(own.answers.model))
        axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="accuracy (%)", aspect="equal")
    return _finished(figure, found, "Is the stated confidence true? Above the grey line it promises too much")


@in_style
def refusal(found: Sequence[Scores], levels: Sequence[int]) -> Figure:
    """Risk-coverage curves by the plain softmax, a row of panels for each number of attacks."""
    figure, panels = _panels(found, [f"after {level} attacks" for level in levels], "wrong among the kept (%)")
    for number, (_, noise, axes) in enumerate(panels):
        level = levels[number // len(PAPER_NOISES)]
        for own in found:
            row = own.answers.row(noise, level)
            wrong = own.answers.wrong[row]
            kept, errors = refusing(own.answers.doubts["softmax"][row], wrong, np.ones((len(wrong), 1)))
            look = network_look(own.answers.model) | {"marker": ""}
            axes.plot(100 * kept[1:, 0] / len(wrong), 100 * errors[1:, 0] / kept[1:, 0], **look)
        axes.set(xlim=(0, 100), xlabel="digits kept, the surest first (%)")
    for axes in figure.axes:
        axes.set_ylim(bottom=0)
    return _finished(figure, found, "How wrong are the answers that are left when the least sure are refused?")


def _panels(
    found: Sequence[Scores], rows: Sequence[str], ylabel: str
) -> tuple[Figure, Iterator[tuple[str, str, Axes]]]:
    """A grid, and each of its panels with its row and its noise."""
    figure = Figure(figsize=(10.5, 1.2 + 2.5 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(PAPER_NOISES), sharex=True, sharey="row", squeeze=False)
    for axes, noise in zip(grid[0], PAPER_NOISES, strict=True):
        axes.set_title(title(noise), fontsize=10)
    for axes, row in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(f"{MEASURES.get(row, row)}\n{ylabel}")
    panels = ((row, noise, grid[y, x]) for y, row in enumerate(rows) for x, noise in enumerate(PAPER_NOISES))
    return figure, panels


def _levels(own: Scores, noise: str) -> tuple[np.ndarray, list[int]]:
    """The numbers of attacks of a noise, the clean images first, and the rows where they stand."""
    attacks = sorted({level for _, level in own.answers.rows})
    return np.array(attacks), [own.answers.row(noise, level) for level in attacks]


def _finished(figure: Figure, found: Sequence[Scores], heading: str) -> Figure:
    images = found[0].answers.wrong.shape[1]
    for axes in figure.axes:
        axes.label_outer()
    figure.suptitle(f"{heading}\nfirst n = {images:,} test images, one training of each network", fontsize=10)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8), fontsize=9)
    return figure
