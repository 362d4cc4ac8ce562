"""One's own networks beside the paper's eight: ranks, the trainings that a difference needs, and one result file."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lib.experiments.measure import MEAN, Result, on_each, recorded
from lib.paper import NETWORKS
from lib.statistics.contrasts import means, pairs, ranking, spread, trainings_needed
from lib.statistics.curves import Trainings, area
from lib.store.files import OUTPUTS, write_derived

MEAN_AREA = {MEAN: area()}


def among_the_paper(result: Result, outputs: Path = OUTPUTS) -> pd.DataFrame:
    """The networks of an experiment and the paper's eight by mean area, on the same noisy images, the best first.

    The paper's are read from `outputs`, and from the repository's own results if that folder has none of them. Columns:
    model, own (of the experiment), trainings, mean, low, high (percent), rank, best, worst (ranks that the intervals
    leave open).
    """
    trainings, reading = result.trainings, result.experiment.readings[0]
    each = (recorded(NETWORKS, folder, trainings.images, reading) for folder in (outputs, OUTPUTS))
    theirs = next(each)
    theirs = theirs if theirs.models else next(each)
    curves = pd.concat([trainings.curves, theirs.curves[trainings.curves.columns]])  # at the same levels
    curves = curves[~curves.index.duplicated()]
    models = (*trainings.models, *(model for model in theirs.models if model not in trainings.models))
    together = Trainings(models, curves, trainings.images, dict(theirs.families) | dict(trainings.families))
    table = means(together, MEAN_AREA)
    order = ranking(together, pairs(together, MEAN_AREA), table).merge(table, on=["score", "model"])
    order["own"] = order["model"].isin(result.experiment.models)
    return order[["model", "own", "trainings", "mean", "low", "high", "rank", "best", "worst"]]


def needed(result: Result, difference: float) -> dict[str, int]:
    """Family -> the trainings of each of two of its networks that tell such a difference apart (points, 80 % power).

    A family of which no network has two trainings is left out: its spread is not known.
    """
    found, _ = spread(result.trainings, area())
    of = result.trainings.families
    each = pd.DataFrame({"variance": found.variances, "freedom": found.freedom[found.family]}, found.models)
    each = each[each["freedom"] > 0].groupby(lambda model: of.get(model, model))["variance"].min()
    shown = dict.fromkeys(of.get(model, model) for model in result.trainings.models)
    return {name: trainings_needed(difference, float(np.sqrt(each[name]))) for name in shown if name in each}


def write(result: Result, found: pd.DataFrame, ranked: pd.DataFrame, outputs: Path = OUTPUTS) -> Path:
    """Write `experiment/NAME.json`: the declaration, each training's areas, the contrasts and the ranks; its path."""
    path = outputs / "experiment" / f"{result.experiment.name}.json"
    content = {
        "experiment": result.experiment.model_dump(mode="json", exclude_defaults=True),
        "images": result.trainings.images,
        "trainings": _rows(result.scores().join(result.reached.drop(columns="short")).reset_index()),
        "means": _rows(means(result.trainings, on_each())),
        "contrasts": _rows(found),
        "ranks": _rows(ranked),
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_derived(path, lambda file: file.write(text.encode()))
    return path


def _rows(table: pd.DataFrame) -> list[dict]:
    """What JSON can hold: no NumPy numbers, null for what is not known."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
