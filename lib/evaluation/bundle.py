"""All that one training predicted for many readings of the noise, in one file small enough for git."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.evaluation.plan import UNNAMED, SweepPart
from lib.evaluation.sweep import Predictions
from lib.store import data
from lib.store.files import lock, read_arrays, write_arrays
from lib.store.progress import progress_bar

Predict = Callable[[SweepPart, tqdm], Predictions]  # moves the bar on by the size of the part


@dataclass(frozen=True)
class Bundle:
    """The predictions as errors, from which the accuracies follow; they are kept where the weights are not."""

    # name of a part -> (levels, images) uint8: predicted minus true class, modulo 10
    errors: dict[str, np.ndarray]
    # name of a part -> its recipe, its weights' hash, `drawn` and `altered` (pixels, means by level), ...
    records: dict[str, dict]

    @classmethod
    def read(cls, path: Path) -> "Bundle":
        """What the file holds; nothing if there is no file."""
        if not path.is_file():
            return cls({}, {})
        record, errors = read_arrays(path)
        return cls(errors, record["records"])

    def write(self, path: Path) -> None:
        write_arrays(path, {"records": self.records}, self.errors)

    def holds(self, part: SweepPart, weights: str | None) -> bool:
        """Whether the part is recorded, made by these weights if they are known (None: they are not)."""
        record = self.records.get(part.path.stem)
        return record is not None and part.made(record, weights or record["weights"])

    def add(self, part: SweepPart, found: Predictions) -> None:
        """Keep the predictions of a part, with the pixels drawn and altered at each level (means over the images)."""
        recipe = UNNAMED | part.recipe
        labels = data.load(recipe["dataset"]).test_labels[: recipe["images"]]
        self.errors[part.path.stem] = (found.predicted + np.uint8(10) - labels) % np.uint8(10)
        drawn, altered = (count.mean(axis=1).tolist() for count in (found.attacked, found.pixels))
        self.records[part.path.stem] = found.record | {"drawn": drawn, "altered": altered}


def complete(path: Path, wanted: Sequence[SweepPart], weights: str, predict: Predict, title: str) -> None:
    """Predict what the file does not hold yet by the weights with this hash. A killed run keeps finished parts."""
    with lock(path):
        bundle = Bundle.read(path)
        todo = [part for part in wanted if not bundle.holds(part, weights)]
        with progress_bar(sum(part.size for part in todo), title, "image") as bar:
            for part in todo:
                bundle.add(part, predict(part, bar))
                bundle.write(path)
