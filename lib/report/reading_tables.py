"""Tables and the figure of how near the readings of the noise and the trainings come to the paper's Table 1."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import networks
from lib.evaluation.readings import DEFAULT, WAYS, Reading
from lib.experiments.table1 import ALL, NEAR, OPTIONS, by_training, losses, nearest, under
from lib.paper import FIGURE_7
from lib.report.figures import ACCURACY_AXIS, ATTACKS_AXIS, DASHES, PAPER, in_style, noise_panels
from lib.report.tables import SHORT, interval
from lib.statistics.curves import CLEAN

SHARE = "nearest in % of resamplings"


def in_words(found: pd.DataFrame) -> pd.DataFrame:
    """A table with rows `OPTIONS`, these in three columns of words."""
    rows = found.index.to_frame(index=False)
    words = {
        "pixels drawn": [WAYS[pair] for pair in zip(rows["replacement"], rows["source"], strict=True)],
        "white": [f"b > {above}" for above in rows["white_above"]],
        "c of EtA": list(rows["edges_c"]),
    }
    return found.set_axis(pd.MultiIndex.from_frame(pd.DataFrame(words)))


def _printed(table: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    return table.map(lambda value: "-" if pd.isna(value) else f"{value:.{digits}f}")


def ranking(ranked: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """The distance of each reading over all noisy entries and by noise (points), and how often it is nearest."""
    return _printed(in_words(ranked[[ALL, *SHORT]].rename(columns=SHORT).assign(**{SHARE: shares[ALL]})))


def by_network(ranked: pd.DataFrame) -> pd.DataFrame:
    """The distance of each reading by network, and over those to which some reading comes near (points)."""
    near = " + ".join(map(networks.title, NEAR))
    names = {model: networks.title(model) for model in FIGURE_7} | {"near": near, ALL: "all five"}
    return _printed(in_words(ranked[list(names)].rename(columns=names)))


def left_out(ranked: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """The nearest reading without each one of the networks."""
    rows = []
    for model in FIGURE_7:
        scope = f"without {model}"
        own = ranked.loc[[ranked[scope].idxmin()], [scope]].set_axis(["distance"], axis=1)
        about = {"the same as of all five": "yes" if nearest(ranked, scope) == nearest(ranked) else "no"}
        own = _printed(in_words(own.assign(**{SHARE: shares[scope]}))).assign(**about)
        rows.append(own.assign(without=networks.title(model)))
    return pd.concat(rows).set_index("without", append=True).reorder_levels([3, 0, 1, 2])


def nearest_to_each(ranked: pd.DataFrame) -> pd.DataFrame:
    """For each network the distance of the reading nearest to all five, and that of the reading nearest to it alone."""
    own = ranked[list(FIGURE_7)].rename(columns=networks.title)
    return _printed(pd.DataFrame({"the nearest to all": own.iloc[0], "the nearest to it alone": own.min()}))


def flattening(found: pd.DataFrame, readings: Mapping[str, Reading]) -> pd.DataFrame:
    """`table1.losses` of the paper and of some readings, side by side."""
    tables = {"the paper": losses(under(found, DEFAULT), "paper")}
    tables |= {name: losses(under(found, reading)) for name, reading in readings.items()}
    shown = pd.concat(tables, names=["", "noise"]).rename(index=SHORT, level="noise")
    return _printed(shown, 2).assign(**_printed(shown[["pixels altered"]], 0))


def trainings(found: pd.DataFrame) -> pd.DataFrame:
    """`table1.by_training`: the distance of each training (points), a column for each way to draw pixels."""
    wide = found["distance"].unstack(OPTIONS)
    wide.columns = [WAYS[replacement, source] for replacement, source, _, _ in wide]
    wide.insert(0, "no noise (%)", found.groupby(["model", "seed"])["clean"].first())
    return _printed(wide.rename(index=networks.title, level="model").rename_axis(["network", "seed"]))


def by_label(found: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """`table1.by_network`: a row for each network that is labelled, a column for each way to draw pixels (points)."""
    rows: dict[str, dict] = {}
    for (*options, model), own in found.iterrows():
        row = rows.setdefault(model, {"trainings": int(own["trainings"]), "no noise (%)": f"{own['clean']:.1f}"})
        row[WAYS[options[0], options[1]]] = interval(own["distance"], own["least"], own["most"])
    return pd.DataFrame.from_dict({labels[model]: rows[model] for model in labels if model in rows}, orient="index")


def white(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The distance of White to Black by either threshold, a column for each table of `entries` of it (points)."""
    tables = {}
    for name, own in found.items():
        distances = by_training(own).reset_index().pivot(index="model", columns="white_above", values="distance")
        tables[name] = distances.rename(columns="b > {}".format)
    shown = _printed(pd.concat(tables, axis=1).reindex(FIGURE_7))
    return shown.rename(index=networks.title).rename_axis(index=None, columns=(None, None))


def batch_statistics(frozen: pd.DataFrame, batch: pd.DataFrame) -> pd.DataFrame:
    """The accuracy without noise and after 200 attacks (percent) beside the paper's.

    Of `entries` of one training of each network by the statistics of the training, and by those of each batch.
    """
    kinds = {"the paper": (batch, "paper"), "the training's": (frozen, "accuracy"), "each batch's": (batch, "accuracy")}
    tables = {}
    for name, (own, column) in kinds.items():
        wide = own.pivot(index="model", columns=["attacks", "noise"], values=column)
        tables[name] = wide[200].assign(**{CLEAN: wide[0].mean(axis=1)}).dropna()
    names = {CLEAN: "no noise"} | SHORT
    shown = pd.concat(tables, names=["statistics"]).swaplevel()[list(names)].rename(columns=names)
    order = [(model, kind) for model in batch["model"].unique() for kind in kinds if (model, kind) in shown.index]
    return _printed(shown.loc[order].rename(index=networks.title, level=0).rename_axis(columns=None))


@in_style
def beside_paper(found: pd.DataFrame, readings: Mapping[str, Reading], heading: str) -> Figure:
    """The mean curve of the networks in `entries` under some readings (four at most) and in Table 1, by noise."""
    figure, panels = noise_panels((9, 6.4), ATTACKS_AXIS, ACCURACY_AXIS)
    for noise, axes in panels.items():
        own = found[found["noise"] == noise]
        curves = {name: under(own, reading).groupby("attacks")["accuracy"].mean() for name, reading in readings.items()}
        for curve, dashes, colour in zip(curves.values(), DASHES, ("black", "0.4", "0.4", "0.4"), strict=False):
            axes.plot(curve, color=colour, linestyle=dashes, linewidth=2 if colour == "black" else 1.2)
        curves["the paper"] = own.groupby("attacks")["paper"].mean()
        axes.plot(curves["the paper"], **PAPER)
        place = -np.inf
        for end, name in sorted((curve.iloc[-1], name) for name, curve in curves.items()):
            place = max(place + 6, end)  # no label hides another
            axes.text(207, place, name, fontsize=9, va="center")
        axes.set(xlim=(-5, 290), ylim=(0, 101), xticks=[0, 40, 100, 200])
    figure.suptitle(heading, fontsize=11)
    return figure
