"""How far each reading of the noises lies from the paper's Table 1, and which one lies nearest.

The rule, written down before the numbers: the default is the reading with the least root mean square of ours minus the
paper's over the 80 noisy cells of Table 1, five networks x four noises x four levels. Whether it would also be chosen
without any one of the networks is reported beside it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import nets
from lib.noise import NOISES
from lib.records import file_hash, write_atomically
from lib.results import paper_table
from tools.matrix import FOLDER, LEVELS, READINGS, Errors, Reading, path

TABLE_1 = ("resnet50", "resnetv2_50", "vgg19", "efficientnet_b1", "fc")
THREE = ("efficientnet_b1", "resnet50", "vgg19")  # without those whose gap lies in how they are trained and built
KEYS = ["replacement", "source", "white_above", "edges_c"]
ALL = "all"


def gaps() -> pd.DataFrame:
    """Ours minus the paper's, points: a row for every reading, network of Table 1, noise and level.

    Raises:
        ValueError: if a network has not answered all readings with the weights that are on disk.
    """
    paper = paper_table().set_index(["model", "noise", "attacks"])["accuracy"]
    rows = []
    for model in TABLE_1:
        found, weights = Errors.read(path(model)), file_hash(nets.weights_path(model, 0))
        for reading in READINGS:
            for noise in NOISES:
                part = reading.part(model, noise)
                if not found.holds(part, weights):
                    raise ValueError(f"{model} has not answered {noise} under {reading}; run tools.matrix")
                accuracy = 100 * (found.errors[part.path.stem] == 0).mean(axis=1)  # (levels,)
                for level, ours in zip(LEVELS, accuracy, strict=True):
                    rows.append((*vars(reading).values(), model, noise, level, ours - paper[model, noise, level]))
    return pd.DataFrame(rows, columns=[*KEYS, "model", "noise", "attacks", "gap"])


def scopes() -> dict[str, tuple[str, ...]]:
    """The sets of networks over which a distance is taken: each one, all, the three, all without each one."""
    each = {model: (model,) for model in TABLE_1}
    without = {f"without {model}": tuple(other for other in TABLE_1 if other != model) for model in TABLE_1}
    return each | {ALL: TABLE_1, " ".join(THREE): THREE} | without


def distances(gaps: pd.DataFrame) -> pd.DataFrame:
    """Root mean square of the gaps over the levels: a row for every reading, set of networks, and noise or all of them.

    Columns: KEYS, networks, noise, cells, distance (points).
    """
    squares = gaps.assign(square=gaps["gap"] ** 2)
    tables = []
    for name, models in scopes().items():
        inside = squares[squares["model"].isin(models)]
        for noise, keys in (("each", [*KEYS, "noise"]), (ALL, KEYS)):
            table = inside.groupby(keys, sort=False)["square"].agg(cells="size", mean="mean").reset_index()
            tables.append(table.assign(networks=name) if noise == "each" else table.assign(networks=name, noise=ALL))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(distance=np.sqrt(table["mean"]))[[*KEYS, "networks", "noise", "cells", "distance"]]


def nearest(distances: pd.DataFrame, networks: str = ALL, noise: str = ALL) -> Reading:
    """The reading that lies nearest to the paper; the first in the order of `READINGS` where several do."""
    table = distances.query("networks == @networks and noise == @noise")
    best = table.loc[table["distance"].idxmin()]
    return Reading(bool(best["replacement"]), best["source"], int(best["white_above"]), float(best["edges_c"]))


def write(distances: pd.DataFrame, target: Path = FOLDER / "distances.csv") -> None:
    text = distances.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    write_atomically(target, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    table = distances(gaps())
    write(table)
    print(table.query("noise == @ALL").pivot_table("distance", KEYS, "networks", sort=False).round(2).to_string())
    print(table.query("networks == @ALL").pivot_table("distance", KEYS, "noise", sort=False).round(2).to_string())
    for name in scopes():
        print(f"nearest over {name}: {nearest(table, name)}")
