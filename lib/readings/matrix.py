"""The noises alone, read in every way: what the networks of Table 1 answer at its levels.

`python -m lib.readings.matrix fc efficientnet_b1` asks these two networks what is not recorded yet.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib import networks
from lib.evaluation.plan import CLEAN, USUAL_NOISES, WHITE, Plan, SweepPart
from lib.evaluation.sweep import predict
from lib.noise import deciding, white_to_black
from lib.paper import TABLE_1_LEVELS
from lib.readings.answers import Ask, complete
from lib.store import data
from lib.store.files import OUTPUTS
from lib.store.parts import origin

LEVELS = list(TABLE_1_LEVELS[1:])  # the noisy ones
IMAGES = 2_000  # the first of the test images
EDGES = "edge_to_altered"  # the noise for which the paper gives no c
WHITE_ABOVE = (0, 100)  # White to Black: as the paper ends, as it began
EDGES_C = (1.25, 2.0)  # Edge to Altered: as Random Pixel Invert, as the other two
DRAWING = ((False, "current"), (False, "clean"), (True, "current"), (True, "clean"), (True, "list"))


@dataclass(frozen=True)
class NoiseReading:
    """One reading of all four noises."""

    replacement: bool
    source: str
    white_above: int
    edges_c: float

    def part(self, model: str, noise: str, outputs: Path = OUTPUTS, images: int = IMAGES, seed: int = 0) -> SweepPart:
        """What a sweep of this reading would record of one noise, or of the clean images.

        `seed` is of the training and of the draw, so that trainings differ by both.
        """
        c = self.edges_c if noise == EDGES else None
        plan = Plan(
            model=model,
            train_seed=seed,
            levels=LEVELS,
            images=images,
            c=c,
            white_above=self.white_above,
            outputs=outputs,
        )
        part = plan.part(noise, draw=seed)
        if noise == CLEAN:
            return part
        kind = white_to_black(self.white_above) if noise == WHITE else noise
        replacement, source = deciding(kind, part.recipe["c"], self.replacement, self.source)
        return SweepPart(part.folder, part.recipe | {"replacement": replacement, "source": source})


READINGS = [NoiseReading(*drawing, above, c) for drawing, above, c in itertools.product(DRAWING, WHITE_ABOVE, EDGES_C)]
DEFAULT = NoiseReading(True, "clean", 0, 1.25)  # as `Plan` has it
FIRST = NoiseReading(False, "current", 0, 1.25)  # what this companion began with
SHOWN = [DEFAULT, NoiseReading(True, "current", 0, 1.25), FIRST]


def parts(
    model: str,
    outputs: Path = OUTPUTS,
    images: int = IMAGES,
    seed: int = 0,
    readings: Sequence[NoiseReading] = READINGS,
    noises: Sequence[str] = (CLEAN, *USUAL_NOISES),
) -> list[SweepPart]:
    """The parts of some readings; what readings have in common comes once."""
    asked = itertools.product(noises, readings)
    found = [reading.part(model, noise, outputs, images, seed) for noise, reading in asked]
    return list({part.path.stem: part for part in found}.values())


def answers_path(model: str, outputs: Path = OUTPUTS, seed: int = 0) -> Path:
    """Where a network's answers under all readings lie."""
    return outputs / "readings" / "matrix" / f"{networks.file_stem(model, seed)}.npz"


def run(
    model: str,
    outputs: Path = OUTPUTS,
    images: int = IMAGES,
    seed: int = 0,
    readings: Sequence[NoiseReading] = READINGS,
    noises: Sequence[str] = (CLEAN, *USUAL_NOISES),
) -> int:
    """Ask a trained network what is not recorded yet of `parts` (`answers.complete`); how many parts.

    Raises:
        FileNotFoundError: if something is missing and the network is not trained; it names the command that does.
    """
    weights, digits = networks.weights_path(model, seed, outputs), data.load()

    def begin() -> Ask:
        # not probed: these are networks of `NETS`, and one whose training has failed is recorded, too
        probabilities = _asked_once(networks.predictor(networks.load(model, seed, outputs)))
        record = origin(model, seed, weights)
        asked = digits.test_images[:images], digits.test_labels[:images]
        return lambda part, bar: predict(part, probabilities, *asked, record, bar)

    wanted = parts(model, outputs, images, seed, readings, noises)
    return complete(answers_path(model, outputs, seed), wanted, weights, begin, f"{model} readings")


def _asked_once(probabilities: networks.Predictor) -> networks.Predictor:
    """A predictor that answers an image it has seen before from memory: readings share some of their noisy images."""
    known: dict[bytes, np.ndarray] = {}

    def remembered(images: np.ndarray) -> np.ndarray:
        keys = [image.tobytes() for image in images]
        new = [number for number, key in enumerate(keys) if key not in known]
        known.update(zip([keys[number] for number in new], probabilities(images[new]), strict=True))
        return np.stack([known[key] for key in keys])

    return remembered


if __name__ == "__main__":
    for model in sys.argv[1:]:
        run(model)
