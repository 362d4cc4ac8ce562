"""What trained networks answer under every reading of the noises, at the levels of Table 1: errors in small files.

`python -m tools.matrix fc efficientnet_b1` asks these two.
"""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib import data, nets
from lib.inference import Predictor, predictor
from lib.plan import CLEAN, Part, Plan
from lib.progress import progress_bar
from lib.records import ROOT, file_hash, lock, provenance, read_arrays, write_arrays
from lib.sweep import predict

LEVELS = [10, 40, 100, 200]  # attacked pixels: the noisy levels of Table 1
IMAGES = 2_000  # the first of the test images
EDGES = "edge_to_altered"  # the noise for which the paper gives no c
WHITE_ABOVE = (0, 100)  # White to Black: as the paper ends, as it began
EDGES_C = (1.25, 2.0)  # Edge to Altered: as Random Pixel Invert, as the other two
DRAWING = ((False, "current"), (False, "clean"), (True, "current"), (True, "clean"), (True, "list"))
FOLDER = ROOT / "outputs" / "readings" / "matrix"


@dataclass(frozen=True)
class Reading:
    """One reading of all four noises."""

    replacement: bool
    source: str
    white_above: int
    edges_c: float

    def part(self, model: str, noise: str, train_seed: int = 0) -> Part:
        """What a sweep of this reading would record of one noise, or of the clean images."""
        c = self.edges_c if noise == EDGES else None
        options = {"replacement": self.replacement, "source": self.source, "white_above": self.white_above}
        plan = Plan(model=model, train_seed=train_seed, levels=LEVELS, images=IMAGES, c=c, **options)
        return plan.part(noise, draw=0)


READINGS = [Reading(*drawing, above, c) for drawing, above, c in itertools.product(DRAWING, WHITE_ABOVE, EDGES_C)]


def parts(model: str, train_seed: int = 0) -> list[Part]:
    """The parts of all readings; what readings have in common comes once."""
    noises = [CLEAN, *Plan(model=model).noises]
    found = [reading.part(model, noise, train_seed) for noise in noises for reading in READINGS]
    return list({part.path.stem: part for part in found}.values())


@dataclass(frozen=True)
class Errors:
    """What one trained network answered under the readings."""

    errors: dict[str, np.ndarray]  # part -> (levels, images) uint8: class answered minus true class, modulo 10
    records: dict[str, dict]  # part -> its recipe, mean draws and pixels altered per level, weights, versions, commit

    @classmethod
    def read(cls, path: Path) -> "Errors":
        """The file's content; without a file, no answers."""
        if not path.is_file():
            return cls({}, {})
        record, errors = read_arrays(path)
        return cls(errors, record["records"])

    def write(self, path: Path) -> None:
        write_arrays(path, {"records": self.records}, self.errors)

    def holds(self, part: Part, weights: str) -> bool:
        """Whether the part is recorded, by these weights."""
        record = self.records.get(part.path.stem, {})
        return record.get("recipe") == part.recipe and record.get("weights") == weights


def path(model: str, train_seed: int = 0) -> Path:
    return FOLDER / f"{nets.file_stem(model, train_seed)}.npz"


def asked_once(probabilities: Predictor) -> Predictor:
    """A predictor that answers an image it has seen before from memory: readings share some of their noisy images."""
    known: dict[bytes, np.ndarray] = {}

    def remembered(images: np.ndarray) -> np.ndarray:
        keys = [image.tobytes() for image in images]
        new = [number for number, key in enumerate(keys) if key not in known]
        known.update(zip([keys[number] for number in new], probabilities(images[new]), strict=True))
        return np.stack([known[key] for key in keys])

    return remembered


def run(model: str, train_seed: int = 0) -> None:
    """Ask the network what is not recorded yet. A run that is killed goes on after the last finished part."""
    weights = file_hash(nets.weights_path(model, train_seed))
    with lock(path(model, train_seed)):
        found = Errors.read(path(model, train_seed))
        todo = [part for part in parts(model, train_seed) if not found.holds(part, weights)]
        if not todo:
            return
        digits = data.load()
        images, labels = digits.test_images[:IMAGES], digits.test_labels[:IMAGES]
        probabilities = asked_once(predictor(nets.load(model, train_seed)))
        record = {"model": model, "train_seed": train_seed, "weights": weights, **provenance()}
        with progress_bar(sum(part.cells for part in todo), f"{model} readings", "image") as bar:
            for part in todo:
                answers = predict(part, probabilities, images, labels, record, bar)
                found.errors[part.path.stem] = (answers.predicted + np.uint8(10) - labels) % np.uint8(10)
                counts = {"drawn": answers.attacked, "altered": answers.altered}
                means = {name: count.mean(axis=1).tolist() for name, count in counts.items()}  # per level
                found.records[part.path.stem] = answers.record | means
                found.write(path(model, train_seed))


if __name__ == "__main__":
    for model in sys.argv[1:]:
        run(model)
