"""The front: one figure and one table of what was found, made of what is recorded."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib import networks
from lib.evaluation.plan import Plan
from lib.evaluation.readings import DEFAULT
from lib.evaluation.results import accuracies, fooled
from lib.evaluation.sweep import Predictions
from lib.experiments.declaration import load
from lib.experiments.measure import MEAN, on_each, recorded
from lib.paper import PAPER_NOISES
from lib.report.experiment_figures import VERDICTS
from lib.report.figures import CLEAN, FOOLED, in_style
from lib.report.tables import SHORT, interval
from lib.statistics.contrasts import means
from lib.statistics.curves import at, wide
from lib.store import data
from lib.store.files import OUTPUTS

TITLES = {"clean": "Misread", "parts": "What one part changes", "networks": "After 200 attacks, by statistics"}


def statistics_at(
    attacks: int = 200, outputs: Path = OUTPUTS, images: int = 2_000, models: Collection[str] | None = None
) -> pd.DataFrame:
    """Accuracy in percent at a number of attacks, mean of the four noises, by the statistics of activations.

    Rows (model, seed), the highest frozen accuracy first: the trainings evaluated with frozen statistics and at least
    one of the others. Columns frozen, adapted, moments; nan where it is not recorded.
    """
    table = accuracies(outputs, [images], models)
    rows = {kind: DEFAULT.select(table, statistics=kind, dataset="mnist") for kind in ("frozen", "adapted", "moments")}
    scores = pd.DataFrame({kind: at(attacks)(wide(own, levels=[attacks])) for kind, own in rows.items()})
    return scores[scores["frozen"].notna() & scores.count(axis=1).gt(1)].sort_values("frozen", ascending=False)


def misread(plan: Plan, noise: str, attacks: int) -> tuple[np.ndarray, list[str]]:
    """A test image that is misread under noise, (2, H, W) uint8 without it and under it, and what stands below each.

    It is the first that is classified correctly again once the statistics are adapted to the noise, if one is recorded;
    else the first that is misread, or the first at all.
    """
    table, clean = fooled(plan, noise, attacks), data.load(plan.dataset).test_images
    declared = load("normalisation")
    changes = {"statistics": "adapted", "images": declared.images, "levels": declared.levels}
    part, again = plan.model_copy(update=changes).part(noise), ""
    if part.path.is_file():
        predicted = Predictions.read(part.path).predicted[part.recipe["levels"].index(attacks)]
        some = table[table["image"] < len(predicted)]
        some = some[predicted[some["image"]] == some["label"]]
        if len(some):
            table, again = some, f"\nstatistics adapted: {some.iloc[0]['label']:.0f}"
    if table.empty:  # nothing that it reads without noise is misread: the first image, as it is read
        found = Predictions.read(plan.part(noise).path).predicted[plan.part(noise).recipe["levels"].index(attacks)]
        label = data.load(plan.dataset).test_labels[0]
        table = pd.DataFrame({"image": [0], "label": [label], "predicted": [found[0]]})
    row = table.iloc[0]
    index = np.array([int(row["image"])])
    noisy = plan.part(noise).attack(clean[index], index, [attacks])[0][0, 0]
    below = f"after {attacks} attacks\n{networks.title(plan.model)} reads {row['predicted']:.0f}{again}"
    return np.stack([clean[index[0]], noisy]), [f"a {row['label']:.0f}", below]


@in_style
def front(
    digits: tuple[np.ndarray, Sequence[str]],
    effects: pd.DataFrame,
    names: Mapping[str, str],
    scores: pd.DataFrame,
    images: int,
    narrow: bool = False,
) -> Figure:
    """A digit with and without noise, what each part of a network changes, and what adapted statistics give back.

    Of `misread`, of the rows of `Result.contrasts` for one noise or for the mean (`names`: question -> its bar, from
    above to below), and of `statistics_at`, of which the first training of each network is shown. `narrow`: one column,
    for a phone.
    """
    figure = Figure(figsize=(4.2, 10.2) if narrow else (9.6, 4.5), layout="constrained")
    across = [["clean", "parts", "networks"], ["noisy", "parts", "networks"]]
    down = [["clean", "noisy"], ["parts", "parts"], ["networks", "networks"]]
    ratios = {"height_ratios": [2, 4, 3.5]} if narrow else {"width_ratios": [1, 2.3, 2]}
    panels = figure.subplot_mosaic(down if narrow else across, **ratios)
    for name, image, text in zip(("clean", "noisy"), *digits, strict=True):
        panels[name].imshow(image, cmap="gray", vmin=0, vmax=255)
        panels[name].set(xticks=[], yticks=[])
        panels[name].set_xlabel(text, fontsize=9)
        panels[name].set_anchor("N")
    _bars(panels["parts"], effects.set_index("question").loc[list(names)].assign(name=list(names.values())))
    _networks(panels["networks"], scores.groupby(level="model", sort=False).first())
    panels["networks"].set_xlabel(f"test accuracy (%), n = {images:,}")
    for name, title in TITLES.items():
        panels[name].set_title(title, fontsize=10, fontweight="bold", loc="left")
    return figure


def _bars(axes: Axes, effects: pd.DataFrame) -> None:
    """A bar for each effect with its interval, in the colour of its verdict, which stands beside it."""
    places = -np.arange(len(effects))
    colours = effects["verdict"].map(VERDICTS)
    around = [effects["estimate"] - effects["low"], effects["high"] - effects["estimate"]]
    axes.barh(places, effects["estimate"], color=colours, height=0.6, xerr=around, error_kw={"linewidth": 1})
    axes.axvline(0, color="0.3", linewidth=0.8)
    for place, row in zip(places, effects.itertuples(), strict=True):
        axes.text(max(row.high, 0) + 1, place, row.verdict, color="0.2", va="center", fontsize=8)
    axes.set_yticks(places, effects["name"], fontsize=9)
    axes.set(xlabel="points of area under the curve", xlim=(None, effects["high"].max() + 18))
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)


def _networks(axes: Axes, scores: pd.DataFrame) -> None:
    """A bar from frozen to adapted accuracy for each network; a diamond for restored moments where none adapt."""
    places = -np.arange(len(scores))
    control = scores["moments"].where(scores["adapted"].isna())
    axes.hlines(places, scores["frozen"], scores["adapted"].fillna(control), color="0.75", linewidth=3, zorder=1)
    for accuracy, label, look in (
        (scores["frozen"], "frozen", {"color": FOOLED}),
        (scores["adapted"], "adapted", {"color": CLEAN}),
        (control, "moments restored\n(nothing to adapt)", {"color": CLEAN, "markerfacecolor": "white", "marker": "D"}),
    ):
        axes.plot(accuracy, places, **{"marker": "o", "linestyle": "", "markersize": 8, "label": label} | look)
    axes.set_yticks(places, [networks.title(model) for model in scores.index], fontsize=9)
    axes.set(ylim=(-len(scores) + 0.4, 0.6))
    axes.grid(axis="y", visible=False)
    spaced = {"ncols": 3, "fontsize": 8, "handletextpad": 0.1, "columnspacing": 0.8}
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.12), **spaced)


def overview(outputs: Path = OUTPUTS, images: int = 2_000) -> pd.DataFrame:
    """Every network that is recorded on MNIST, the largest area under the curve first; all numbers in percent.

    Columns: trainings; the mean area with its interval over trainings, and the area on each noise; millions of
    parameters; the accuracy without noise, and that of the first training after 200 attacks with frozen and with
    adapted statistics.
    """
    found = recorded(tuple(pd.read_csv(outputs / "accuracy.csv")["model"].unique()), outputs, images)
    table = means(found, on_each() | {"clean": at(0)}).pivot(index="model", columns="score")
    first = pd.DataFrame({"frozen": found.scores(at(200)), "adapted": statistics_at(200, outputs, images)["adapted"]})
    first = first.groupby("model").first()
    rows = {}
    for model in table["mean", MEAN].sort_values(ascending=False).index:
        values = table.loc[model]
        rows[networks.title(model)] = {
            "trainings": f"{values['trainings', MEAN]:.0f}",
            "area": interval(*(values[end, MEAN] for end in ("mean", "low", "high"))),
            **{SHORT[noise]: f"{values['mean', noise]:.1f}" for noise in PAPER_NOISES},
            "parameters": f"{networks.parameters(model) / 1e6:.2f}",
            "without noise": f"{values['mean', 'clean']:.1f}",
            **{f"200 attacks, {name}": interval(first.loc[model, name], math.inf, math.inf) for name in first},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")
