"""What one trained network answered under many readings of the attacks, in a file small enough for git."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.evaluation.plan import SweepPart
from lib.evaluation.sweep import Predictions
from lib.store import data
from lib.store.files import file_hash, lock, read_arrays, write_arrays
from lib.store.parts import weights_hash
from lib.store.progress import progress_bar

Ask = Callable[[SweepPart, tqdm], Predictions]  # what a network answers to a part; the bar is moved on by its size


@dataclass(frozen=True)
class AnswerFile:
    """The answers as errors, from which the accuracies follow; unlike the weights of many trainings, they are kept."""

    errors: dict[str, np.ndarray]  # part -> (levels, images) uint8: class answered minus true class, modulo 10
    records: dict[str, dict]  # part -> its recipe, pixels drawn and altered (by level, means), hash of the weights, ...

    @classmethod
    def read(cls, path: Path) -> "AnswerFile":
        """The file's content; without a file, no answers."""
        if not path.is_file():
            return cls({}, {})
        record, errors = read_arrays(path)
        return cls(errors, record["records"])

    def write(self, path: Path) -> None:
        write_arrays(path, {"records": self.records}, self.errors)

    def holds(self, part: SweepPart, weights: str | None) -> bool:
        """Whether the part is recorded, and by these weights where they are known (None: they are not)."""
        record = self.records.get(part.path.stem)
        return record is not None and part.made(record, weights or record["weights"])

    def accuracy(self, part: SweepPart) -> np.ndarray:
        """(levels,) percent, of a part that is recorded."""
        return 100 * (self.errors[part.path.stem] == 0).mean(axis=1)

    def add(self, part: SweepPart, found: Predictions) -> None:
        """Keep what was found of a part, with the means over the images of pixels drawn and altered, by level."""
        labels = data.load().test_labels[: part.recipe["images"]]
        self.errors[part.path.stem] = (found.predicted + np.uint8(10) - labels) % np.uint8(10)
        counts = {"drawn": found.attacked, "altered": found.pixels}
        means = {name: count.mean(axis=1).tolist() for name, count in counts.items()}
        self.records[part.path.stem] = found.record | means


def complete(path: Path, wanted: Sequence[SweepPart], weights: Path, begin: Callable[[], Ask], title: str) -> int:
    """Ask a network for what its file does not hold yet; how many parts. A run that is killed keeps its finished parts.

    Without weights on disk, and without their record, what they have answered stays as it is.

    Args:
        weights: of the network; answers of others are void.
        begin: loads it; called only if something is missing.
        title: of the bar.
    """
    made_by, answers = weights_hash(weights), AnswerFile.read(path)
    if all(answers.holds(part, made_by) for part in wanted):
        return 0
    ask, made_by = begin(), file_hash(weights)
    with lock(path):
        answers = AnswerFile.read(path)
        todo = [part for part in wanted if not answers.holds(part, made_by)]
        with progress_bar(sum(part.size for part in todo), title, "image") as bar:
            for part in todo:
                answers.add(part, ask(part, bar))
                answers.write(path)
    return len(todo)
