"""The claims by size: every statement's number as the paper has it, as ours with its interval, and as claimed."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory

from lib.claims.claims import CLAIMS
from lib.claims.statements import CONTRADICTED, SUPPORTED, Statement, verdict
from lib.report.figures import PAPER, in_style
from lib.statistics.contrasts import UNDECIDED

LOOKS = {
    SUPPORTED: {"color": "black", "marker": "o"},
    UNDECIDED: {"color": "0.55", "marker": "o"},
    CONTRADICTED: {"color": "black", "marker": "X"},
}
POINTS = (-40, 45)  # the axis of differences; longer intervals are cut there
PERCENT = (10, 11)  # the claims about shares
CLAIMED = {"color": "#CFE8DF", "linewidth": 0}


@in_style
def sizes(found: Mapping[int, list[Statement]], what: str) -> Figure:
    """A row for each statement, under the claim it belongs to; percentages have an axis of their own.

    `found`: claim -> its statements; `what` stands above the figure.
    """
    panels = [[n for n in found if n not in PERCENT], [n for n in found if n in PERCENT]]
    heights = [sum(1.7 + len(found[number]) for number in numbers) for numbers in panels]
    figure = Figure(figsize=(5.1, 1.7 + 0.17 * sum(heights)))
    inch = 1 / figure.get_figheight()
    grid = {"left": 0.48, "right": 0.97, "top": 1 - 0.95 * inch, "bottom": 0.45 * inch, "hspace": 0.1}
    both = figure.subplots(2, 1, height_ratios=heights, gridspec_kw=grid)
    for axes, numbers, ends in zip(both, panels, (POINTS, (0, 104)), strict=True):
        _rows(axes, {number: found[number] for number in numbers}, ends)
    both[0].set_xlabel("points")
    both[1].set_xlabel("percent")
    count = Counter(verdict(own) for own in found.values())
    seen = ", ".join(f"{count[word]} {word}" for word in LOOKS)
    figure.suptitle(f"Of {len(found)} claims: {seen}\n{what}", fontsize=9, y=1 - 0.06 * inch)
    ours = [Line2D([], [], linewidth=1.6, label=f"ours: {word}", **look) for word, look in LOOKS.items()]
    handles = [*ours, Line2D([], [], label="the paper", **PAPER), Patch(label="claimed", **CLAIMED)]
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 1 - 0.42 * inch), ncols=3, fontsize=8)
    return figure


def _rows(axes: Axes, found: Mapping[int, list[Statement]], ends: tuple[float, float]) -> None:
    """The claims from above to below."""
    place, names = 0.0, {}
    at_the_edge = blended_transform_factory(axes.figure.transFigure, axes.transData)
    for number, own in found.items():
        place += 0.7
        head = f"{number}  {CLAIMS[number].text}"
        look = {"weight": "bold", "fontsize": 8, "va": "center", "bbox": {"color": "white", "pad": 1.5}}
        axes.text(0.01, place, head, transform=at_the_edge, **look)
        for each in own:
            place += 1
            names[place] = each.bounds.says
            claimed = np.clip((each.bounds.least, each.bounds.most), *ends)
            axes.barh(place, claimed[1] - claimed[0], left=claimed[0], height=0.9, zorder=0, **CLAIMED)
            low, high = np.clip((each.low, each.high), *ends)
            axes.hlines(place, low, high, color=LOOKS[each.verdict]["color"], linewidth=1.6)
            axes.plot(each.value, place, markersize=6, **LOOKS[each.verdict])
            axes.plot(each.paper, place, zorder=3, **PAPER | {"markersize": 5})
        place += 1
    axes.axvline(0, color="0.5", linewidth=0.8)
    axes.set(xlim=ends, ylim=(place, 0))
    axes.set_yticks([*names], [*names.values()], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
