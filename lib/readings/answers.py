"""What one trained network answered under many readings of the attacks, in a file small enough for git."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.evaluation.plan import SweepPart
from lib.evaluation.sweep import Predictions
from lib.store.files import read_arrays, write_arrays


@dataclass(frozen=True)
class AnswerFile:
    """The answers as errors, from which the accuracies follow; unlike the weights, which are many, they are kept."""

    errors: dict[str, np.ndarray]  # part -> (levels, images) uint8: class answered minus true class, modulo 10
    records: dict[str, dict]  # part -> its recipe, pixels attacked (a level), hash of the weights, versions, commit
    training: dict = field(default_factory=dict)  # the header of the weights file, where that is not kept; no losses

    @classmethod
    def read(cls, path: Path) -> "AnswerFile":
        """The file's content; without a file, no answers."""
        if not path.is_file():
            return cls({}, {})
        record, errors = read_arrays(path)
        return cls(errors, **record)

    def write(self, path: Path) -> None:
        write_arrays(path, {"records": self.records, "training": self.training}, self.errors)

    def holds(self, part: SweepPart, weights: str | None) -> bool:
        """Whether the part is recorded, and by these weights where they are on disk (None: they are not)."""
        record = self.records.get(part.path.stem)
        return record is not None and part.made(record, weights or record["weights"])

    def add(self, part: SweepPart, found: Predictions, labels: np.ndarray, counts: dict[str, list]) -> None:
        """Keep what was found of a part, with counts for each of its levels."""
        self.errors[part.path.stem] = (found.predicted + np.uint8(10) - labels) % np.uint8(10)
        self.records[part.path.stem] = found.record | counts
