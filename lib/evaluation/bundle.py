"""All that one training predicted for many readings of the noise, in one file small enough for git."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.evaluation.plan import UNNAMED, SweepPart
from lib.evaluation.sweep import Predictions
from lib.store import data
from lib.store.files import file_hash, lock, read_arrays, write_arrays
from lib.store.parts import weights_hash
from lib.store.progress import progress_bar

Predict = Callable[[SweepPart, tqdm], Predictions]  # moves the bar on by the size of the part


@dataclass(frozen=True)
class Bundle:
    """The predictions as errors, from which the accuracies follow; they are kept where the weights are not."""

    errors: dict[str, np.ndarray]  # name of a part -> (levels, images) uint8: predicted minus true class, modulo 10
    records: dict[
        str, dict
    ]  # name of a part -> its recipe, `drawn` and `altered` (pixels, means by level), weights, ...

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
        counts = {"drawn": found.attacked, "altered": found.pixels}
        means = {name: count.mean(axis=1).tolist() for name, count in counts.items()}
        self.records[part.path.stem] = found.record | means


def complete(path: Path, wanted: Sequence[SweepPart], weights: Path, begin: Callable[[], Predict], title: str) -> int:
    """Predict what the file does not hold yet, and return how many parts that were. A killed run keeps finished parts.

    Where neither the weights nor the record of their training are kept, what is recorded stays as it is.

    Args:
        weights: of the network; predictions by other weights are replaced.
        begin: loads the network; called only if something is missing.
        title: of the progress bar.
    """
    made_by, bundle = weights_hash(weights), Bundle.read(path)
    if all(bundle.holds(part, made_by) for part in wanted):
        return 0
    predict, made_by = begin(), file_hash(weights)
    with lock(path):
        bundle = Bundle.read(path)
        todo = [part for part in wanted if not bundle.holds(part, made_by)]
        with progress_bar(sum(part.size for part in todo), title, "image") as bar:
            for part in todo:
                bundle.add(part, predict(part, bar))
                bundle.write(path)
    return len(todo)
