"""The figures, each a function of its data alone; the same colour for the same thing everywhere."""

import io
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from IPython import display
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lib import networks
from lib.adversarial.attacks import ATTACKS
from lib.noise import NOISES
from lib.paper import PAPER_NOISES
from lib.store.files import OUTPUTS, write_derived

# One colour means one thing in all figures and viewers, and colour-blind readers can tell them apart (after Okabe and
# Ito 2008 and ColorBrewer). A colour is a network, the ResNets from light to dark by their depth; a noise is a marker
# and its dashes, in the colour of the network under attack; thick grey lines without markers are attacks that search;
# black open markers are the paper's numbers.
NETWORK_COLOURS = {
    "fc": "#1F78C8",
    "resnet18": "#F9AE4F",
    "resnet34": "#E66101",
    "resnet50": "#B2182B",
    "resnet101": "#67001F",
    "resnetv2_50": "#CC79A7",
    "vgg19": "#009E73",
    "efficientnet_b1": "#3F1D73",
    "cnn": "#8A8A1F",
    "fc_rgb": "#44AA99",
    "resnetv2_50_stem": "#E8C4DC",
}
NO_NETWORK = "0.25"  # the lines of a noise where no network is attacked
CLEAN, FOOLED, LIGHTER, DARKER = "#01665E", "#8C510A", "#F0E442", "#56B4E9"  # the viewers' marks on one digit
PAPER = {"linestyle": "", "marker": "o", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": "black"}
DASHES = ["-", "--", "-.", ":"]
MARKERS = "osD^vPX*hp<"
STYLE = ("default", "lib.report.companion")  # matplotlib's defaults, then companion.mplstyle, beside this file
ATTACKS_AXIS, ACCURACY_AXIS = "attacks", "test accuracy (%)"
Result = TypeVar("Result")
BY_GRADIENTS = ("deepfool", "basic_iterative", "gaussian_noise")  # or, the last, as these do: every pixel a little
COLUMNS = ("by gradients, and Gaussian noise", "by predictions, and salt and pepper", "pixel noises")
AXES = {"attacks": ATTACKS_AXIS, "pixels_altered": "pixels altered, mean of the images"}


def in_style(function: Callable[..., Result]) -> Callable[..., Result]:
    """The function under `STYLE`, whatever the reader's matplotlibrc says; a new figure is also drawn under it."""

    @wraps(function)
    def styled(*given: Any, **named: Any) -> Result:
        with style.context(list(STYLE)):
            result = function(*given, **named)
        if isinstance(result, Figure) and not isinstance(result.canvas, _Canvas):
            _Canvas(result)
        return result

    return styled


class _Canvas(FigureCanvasBase):
    """Draws under `STYLE`."""

    print_figure = in_style(FigureCanvasBase.print_figure)


def title(noise: str) -> str:
    """`white_to_black` as the paper writes it: White to Black; an attack by its own title."""
    if noise in ATTACKS:
        return ATTACKS[noise].title
    return " ".join(word if word == "to" else word.capitalize() for word in noise.split("_"))


def noise_look(noise: str, model: str | None = None) -> dict:
    """The marker and dashes of a noise's line, the same in every figure, in the colour of the network under attack."""
    number = list(NOISES).index(noise)
    return {
        "color": network_look(model)["color"] if model else NO_NETWORK,
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "label": title(noise),
    }


def network_look(model: str) -> dict:
    """The colour and marker of a network's line, the same in every figure.

    Another recipe of a network (`MODEL@WORD`) keeps its colour and goes dotted, with an open marker.
    """
    name, _, word = model.partition("@")
    known = list(NETWORK_COLOURS)
    number = known.index(name) if name in known else sum(map(ord, name)) % len(known)  # one's own network
    colour = NETWORK_COLOURS[known[number]]
    return {
        "color": colour,
        "linestyle": ":" if word else "-",
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "markerfacecolor": "white" if word else colour,
        "label": networks.title(model),
    }


def looks(models: Sequence[str]) -> dict[str, dict]:
    """`network_look` of each, with another colour where two would have the same."""
    found = {model: network_look(model) for model in models}
    free = [colour for colour in NETWORK_COLOURS.values() if colour not in {own["color"] for own in found.values()}]
    for place, model in enumerate(models):
        if free and found[model]["color"] in [found[other]["color"] for other in models[:place]]:
            found[model]["color"] = free.pop(0)
    return found


def attack_look(attack: str) -> dict:
    """The grey and dashes of an attack's line: thick and without markers, where a noise's is thin and has them."""
    shade, dashes = divmod(list(ATTACKS).index(attack), 2)
    return {
        "color": f"{0.1 + 0.28 * (shade % 3):.2f}",
        "linestyle": ["-", (0, (2, 1))][dashes],
        "linewidth": 2.5,
        "label": title(attack),
    }


@in_style
def save(figure: Figure, name: str, outputs: Path = OUTPUTS) -> Figure:
    """Write `figures/NAME.svg` and `.png` under `outputs`, where this user may; the figure itself, to be shown."""
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        write = partial(figure.savefig, format=suffix, dpi=200, metadata=metadata)
        write_derived(outputs / "figures" / f"{name}.{suffix}", write)
    return figure


def saved(name: str, words: str, outputs: Path = OUTPUTS) -> display.Image:
    """A figure that another notebook has saved, as the output of a cell; `words` are for who cannot see it."""
    path = outputs / "figures" / f"{name}.png"
    if not path.is_file():
        raise FileNotFoundError(f"no figure {path}; the notebook of that name saves it, run with the same parameters")
    return display.Image(filename=str(path), alt=words)


@in_style
def digits(
    images: np.ndarray, labels: list[list[str]] | None = None, rows: list[str] | None = None, heading: str = ""
) -> Figure:
    """A grid of images (rows, columns, H, W) uint8, a label under each (if empty: no image), a name before each row."""
    height, width = images.shape[:2]
    lines = max((label.count("\n") + 1 for row in labels or [] for label in row), default=0)
    figure = Figure(figsize=(1.05 * width + (1.6 if rows else 0), (1.1 + 0.2 * lines) * height + 0.4 * bool(heading)))
    grid = figure.subplots(height, width, squeeze=False)
    for place, axes in zip(np.ndindex(height, width), grid.flat, strict=True):
        label = labels[place[0]][place[1]] if labels else None
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=label != "", color="0.6", linewidth=0.5)
        if label != "":
            axes.imshow(images[place], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_xlabel(label or "", fontsize=9, labelpad=3)
    for axes, name in zip(grid[:, 0], rows or [], strict=False):
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, labelpad=6)
    figure.suptitle(heading, fontsize=11)
    figure.tight_layout(pad=0.6)
    return figure


def noise_panels(
    size: tuple[float, float], xlabel: str, ylabel: str = "", sharey: bool = True, columns: int = 2
) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each of the paper's noises, the outer ones labelled: noise -> its panel."""
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(PAPER_NOISES) // columns, columns, sharex=True, sharey=sharey).flat
    for place, (noise, panel) in enumerate(zip(PAPER_NOISES, panels, strict=True)):
        bottom = place >= len(PAPER_NOISES) - columns
        panel.set(title=title(noise), xlabel=xlabel * bottom, ylabel=ylabel * (place % columns == 0))
    return figure, dict(zip(PAPER_NOISES, figure.axes, strict=True))


@in_style
def training(record: dict) -> Figure:
    """Loss of every batch of one training, and of the validation images after every epoch (section 3.3)."""
    losses = pd.Series(record["losses"])
    epochs = pd.DataFrame(record["epochs"])
    ends = len(losses) / len(epochs) * epochs["epoch"]  # in batches
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(losses, color="0.8", linewidth=0.6, label="one batch")
    axes.plot(losses.rolling(50, min_periods=1).mean(), color="0.35", label="mean of the last 50")
    axes.plot(ends, epochs["validation_loss"], "s", color="black", label="validation images, after an epoch")
    axes.set(xlabel="batches", ylabel="cross-entropy loss", yscale="log")
    end = epochs.iloc[-1]
    axes.set_title(f"Validation loss {end['validation_loss']:.3f} after epoch {end['epoch']:.0f}", fontsize=10)
    axes.legend(fontsize=9)
    return figure


def label_ends(axes: Axes, size: float = 9) -> None:
    """Write the label of every line at its right end, in its colour; labels that would cover each other move apart."""
    from scipy.optimize import isotonic_regression  # slow to import

    named = [line for line in axes.lines if not str(line.get_label()).startswith("_") and len(line.get_xdata())]
    ends = {line: np.asarray(line.get_xydata())[np.argmax(line.get_xdata())] for line in named}
    named.sort(key=lambda line: ends[line][1])
    low, high = axes.get_ylim()
    height = 72 * axes.figure.get_figheight() * axes.get_position().height  # points
    apart = 1.25 * size * (high - low) / height * np.arange(len(named))
    places = isotonic_regression([ends[line][1] for line in named] - apart).x + apart if named else []
    for line, place in zip(named, places, strict=True):
        look = {"color": _on_white(line.get_color()), "fontsize": size, "va": "center", "annotation_clip": False}
        look["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
        axes.annotate(line.get_label(), (ends[line][0], place), (6, 0), textcoords="offset points", **look)


def _on_white(colour: str) -> tuple[float, ...]:
    """The colour, darker where its contrast to white is below 3 to 1 (WCAG 2.2), so that text in it can be read."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    return tuple(rgb * min(1, (0.3 / linear) ** (1 / 2.4)) if linear else rgb)


@in_style
def noise_curves(
    curves: pd.DataFrame,
    heading: str,
    paper: pd.DataFrame | None = None,
    against: str = "attacks",
    model: str | None = None,
) -> Figure:
    """The `results.curves` of one network, a labelled line for each noise with its 95 % band.

    `paper`: rows of `paper.read_table_1`, shown by the noise's own marker, open and black. `against`: the column along
    the axis, attacks or pixels_altered. The lines have the colour of the network, `model`.
    """
    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.groupby("noise", sort=False):
        look = noise_look(name, model)
        axes.fill_between(curve[against], curve["low"], curve["high"], color=look["color"], alpha=0.25, linewidth=0)
        axes.plot(curve[against], curve["accuracy"], **look)
        if paper is not None:
            points = paper[paper["noise"] == name]
            own = {"marker": look["marker"], "markersize": 8, "label": "_paper"}
            axes.plot(points["attacks"], points["accuracy"], **PAPER | own)
    if paper is not None and len(paper):
        axes.text(0.02, 0.03, "open and black: the paper's Table 1", transform=axes.transAxes, fontsize=9)
    axes.set(xlabel=AXES[against], ylabel=ACCURACY_AXIS, ylim=(0, 101))
    axes.set_title(heading, fontsize=10)  # a network may have a long name
    label_ends(axes)
    return figure


@in_style
def bound_curves(outcomes: pd.DataFrame, heading: str, model: str | None = None) -> Figure:
    """The share of `robust_accuracy.outcomes` not fooled against the pixels (L0) and the distance (L2) allowed.

    A column of panels for the attacks by gradients (and Gaussian noise), for those without, and for the noises, whose
    lines have the colour of the network, `model`.
    """
    column = outcomes["method"].map(lambda name: 2 if name not in ATTACKS else int(name not in BY_GRADIENTS))
    columns = sorted(column.unique())
    figure = Figure(figsize=(1.2 + 3.6 * len(columns), 6.6), layout="constrained")
    grid = figure.subplots(2, len(columns), sharex="row", sharey=True, squeeze=False)
    for (top, bottom), number in zip(grid.T, columns, strict=True):
        for axes, norm in ((top, "l0"), (bottom, "l2")):
            _fooled_within(axes, outcomes[column == number], norm, model)
        top.set_title(COLUMNS[number], fontsize=10)
        top.set_xlabel("pixels changed at most (L0)")
        bottom.set_xlabel("distance at most (L2)")
        bottom.axvline(1.5, color="0.4", linewidth=0.8)
    first, ticks = grid[0, 0], [0, 10, 40, 200, 784]
    first.set_xscale("symlog", linthresh=10, linscale=0.5)
    first.set(xlim=(0, 800), ylim=(0, 101))
    first.set_xticks(ticks, [str(tick) for tick in ticks])
    first.minorticks_off()
    grid[1, 0].set(xlim=(0, None))
    for axes in grid[:, 0]:
        axes.set_ylabel("images not fooled (%)")
    figure.suptitle(heading, fontsize=11)
    return figure


def _fooled_within(axes: Axes, outcomes: pd.DataFrame, norm: str, model: str | None) -> None:
    """A step for each image that is fooled; noises are labelled at their ends, attacks on their lines."""
    lines = {}
    for name, found in outcomes.groupby("method", sort=False):
        look = attack_look(name) if name in ATTACKS else noise_look(name, model) | {"markevery": 0.1, "linewidth": 1.2}
        sizes = np.sort(found.loc[found["fooled"], norm].to_numpy(float))
        left = 100 * (1 - np.arange(len(sizes) + 1) / len(found))
        axes.step([0, *sizes], left, where="post", **look)
        if name in ATTACKS:
            lines[name] = np.array([0, *sizes]), left, look
    if not lines:
        label_ends(axes, 8.5)
    order = sorted(lines, key=lambda name: np.interp(50, lines[name][1][::-1], lines[name][0][::-1]))
    for name, height in zip(order, np.linspace(18, 82, len(order)), strict=True):
        sizes, left, look = lines[name]
        height = max(height, left[-1])
        at = sizes[max(np.searchsorted(-left, -height, side="right") - 1, 0)]
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8}
        axes.text(
            at,
            height,
            look["label"],
            color=_on_white(str(look["color"])),
            fontsize=8.5,
            ha="center",
            va="center",
            bbox=box,
        )


@in_style
def counts(levels: list[int], series: dict[str, np.ndarray], ylabel: str) -> Figure:
    """A line for each noise over the number of attacks: `series` maps its name to (levels,) values."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values in series.items():
        axes.plot(levels, values, **noise_look(name))
    ends = sorted((values[-1], title(name)) for name, values in series.items())
    axes.set_title(
        f"After {levels[-1]} attacks: " + " to ".join(f"{end:.0f} ({name})" for end, name in (ends[0], ends[-1]))
    )
    axes.set(xlabel=ATTACKS_AXIS, ylabel=ylabel)
    axes.set_ylim(bottom=0)
    label_ends(axes)
    return figure


@in_style
def live_curves(
    noise: str,
    c: float,
    own_c: float,
    recorded: dict[str, pd.DataFrame | None],
    live: dict[str, list[float]],
    images: int,
) -> Figure:
    """Curves computed at `c` on some digits, with markers, over those recorded at the noise's own c, thin.

    `recorded`: network -> its `results.curves` or None; `live`: network -> percent at 0, 10, ... attacks, so far.
    """
    figure = Figure(figsize=(5.6, 4))
    axes = figure.subplots()
    for model, curve in recorded.items():
        look = network_look(model)
        colour, marker = look["color"], look["marker"]
        if curve is not None:
            label = f"{look['label']}, c = {own_c:g}, {curve['images'].max():,} digits, recorded"
            axes.plot(curve["attacks"], curve["accuracy"], color=colour, linestyle="--", linewidth=1.5, label=label)
        if accuracy := live.get(model):
            attacks = 10 * np.arange(len(accuracy))
            label = f"{look['label']}, c = {c:g}, {images:,} digits, live"
            axes.plot(attacks, accuracy, color=colour, linewidth=2, marker=marker, markersize=4, label=label)
    axes.set(xlabel=ATTACKS_AXIS, ylabel=ACCURACY_AXIS, xlim=(-4, 204), ylim=(0, 101), title=title(noise))
    if axes.lines:
        axes.legend(fontsize=9, loc="lower left")
    else:
        axes.text(100, 50, "no curve is recorded, none computed yet", ha="center", va="center", color="0.4")
    figure.tight_layout()
    return figure


@in_style
def png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file, for an image widget."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()
