"""What the fully connected net answers when it is trained otherwise: one choice changed at a time, from two beginnings.

`python -m lib.readings.trainings 0 1 2` trains and asks what is not recorded yet for these training seeds.
"""

import itertools
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from lib.evaluation.plan import CLEAN, USUAL_NOISES
from lib.paper import read_table_1
from lib.readings import matrix
from lib.readings.answers import AnswerFile
from lib.readings.matrix import IMAGES, SHOWN
from lib.store.files import OUTPUTS
from lib.training.fit import train
from lib.training.recipe import Recipe

SEEDS = (0, 1, 2)
ADAM_RATE = 0.001  # Adam's own; SGD's 0.01 and 0.1 are far too large for it
NOISES = SHOWN[:2]  # the two nearest ways to draw pixels
NETS = {1: "fc", 3: "fc_rgb"}  # by input channels


@dataclass(frozen=True)
class Training:
    """What the paper leaves open about a training, and what it says of it (section 3.3) or we took."""

    learning_rate: float = 0.01
    batch_size: int = 64
    optimizer: Literal["sgd", "adam"] = "sgd"
    epochs: int = 4
    normalize: Literal["mnist", "none"] = "mnist"
    channels: int = 1

    def recipe(self, seed: int, outputs: Path = OUTPUTS, train_images: int = 55_000) -> Recipe:
        """How the network is trained; its name tells what is not the paper's, as in `fc@e1-none-r0.1`."""
        adam = self.optimizer == "adam"
        words = [f"e{self.epochs}", self.normalize, f"b{self.batch_size}", self.optimizer]
        words += [] if adam else [f"r{self.learning_rate:g}"]
        return Recipe(
            model=f"{NETS[self.channels]}@{'-'.join(words)}",
            seed=seed,
            learning_rate=ADAM_RATE if adam else self.learning_rate,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            max_epochs=self.epochs,
            normalize=self.normalize,
            train_images=train_images,
            outputs=outputs / "readings" / "trainings",
        )


BEGINNINGS = {"ours": Training(), "fast": Training(learning_rate=0.1, normalize="none", epochs=1)}
VALUES = {
    "learning_rate": (0.01, 0.1),
    "batch_size": (8, 64, 256),
    "optimizer": ("sgd", "adam"),
    "epochs": (1, 2, 4),
    "normalize": ("mnist", "none"),
    "channels": (1, 3),
}
CHOICES = [field.name for field in fields(Training)]


def trainings() -> list[tuple[str, str, Training]]:
    """The name of the beginning, what is changed (empty: nothing), and the training."""
    found = []
    for name, first in BEGINNINGS.items():
        found.append((name, "", first))
        for choice, value in ((choice, value) for choice, values in VALUES.items() for value in values):
            if value != getattr(first, choice):
                found.append((name, f"{choice} {value}", replace(first, **{choice: value})))
    return found


def run(seed: int, outputs: Path = OUTPUTS, images: int = IMAGES, train_images: int = 55_000) -> int:
    """Train and ask what is not recorded yet for a training seed; how many parts were computed.

    What is recorded stays as it is, whether its weights are on disk or not.
    """
    computed = 0
    for _, _, training in trainings():
        recipe = training.recipe(seed, outputs, train_images)
        if missing(recipe, images):
            _train(training, seed, outputs, images, train_images)
            computed += matrix.run(recipe.model, recipe.outputs, images, seed, NOISES)
    return computed


def missing(recipe: Recipe, images: int = IMAGES) -> bool:
    """Whether answers are missing of the network of this recipe; its weights are not asked for."""
    answers = AnswerFile.read(matrix.answers_path(recipe.model, recipe.outputs, recipe.seed))
    wanted = matrix.parts(recipe.model, recipe.outputs, images, recipe.seed, NOISES)
    return not all(answers.holds(part, None) for part in wanted)


def _train(training: Training, seed: int, outputs: Path, images: int, train_images: int) -> None:
    """The network, and those of fewer or more epochs that are missing too: each goes on where the last one ends.

    Those whose answers are recorded are left out, so that no weights come to lie beside the answers of others.
    """
    alike = {other for _, _, other in trainings() if replace(other, epochs=training.epochs) == training}
    chain = [other.recipe(seed, outputs, train_images) for other in sorted(alike, key=lambda other: other.epochs)]
    chain = [recipe for recipe in chain if missing(recipe, images)]
    for recipe, then in itertools.zip_longest(chain, chain[1:]):
        train(recipe, then)


def accuracies(
    seeds: tuple[int, ...] = SEEDS, outputs: Path = OUTPUTS, images: int = IMAGES, train_images: int = 55_000
) -> pd.DataFrame:
    """What is recorded: a row for each training, seed, noise reading, noise and level, the clean images first.

    Columns: beginning, change, the choices, seed, replacement, source, noise, attacks, accuracy (percent). A training
    of which something is missing is left out for that seed, so that some may have more seeds than others.
    """
    rows = []
    for (beginning, change, training), seed in itertools.product(trainings(), seeds):
        recipe = training.recipe(seed, outputs, train_images)
        if missing(recipe, images):
            continue
        answers = AnswerFile.read(matrix.answers_path(recipe.model, recipe.outputs, seed))
        about = {"beginning": beginning, "change": change} | asdict(training) | {"seed": seed}
        for reading, noise in itertools.product(NOISES, (CLEAN, *USUAL_NOISES)):
            part = reading.part(recipe.model, noise, recipe.outputs, images, seed)
            drawn = {"replacement": reading.replacement, "source": reading.source, "noise": noise}
            for attacks, accuracy in zip(part.recipe["levels"], answers.accuracy(part), strict=True):
                rows.append(about | drawn | {"attacks": attacks, "accuracy": accuracy})
    columns = ["beginning", "change", *CHOICES, "seed", "replacement", "source", "noise", "attacks", "accuracy"]
    return pd.DataFrame(rows, columns=columns)


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """How far each training is from the fully connected net of Table 1, under each noise reading.

    Paper: Table 1. Root mean square of ours minus the paper's over its 16 noisy entries, in points.

    Args:
        table: `accuracies`.

    Returns:
        Columns: beginning, change, replacement, source, clean (percent), distance (of the mean of the seeds), least and
        most (of the single trainings), seeds; in the order of `trainings`.
    """
    paper = read_table_1().query("model == 'fc'").set_index(["noise", "attacks"])["accuracy"]
    by = ["beginning", "change", "replacement", "source"]
    rows = []
    for key, own in table.groupby(by, sort=False):
        noisy = own[own["attacks"] > 0].pivot(index="seed", columns=["noise", "attacks"], values="accuracy")
        gaps = noisy - paper.reindex(noisy.columns).to_numpy()  # (seeds, entries)
        single = np.sqrt((gaps**2).mean(axis=1))
        mean = float(np.sqrt((gaps.mean() ** 2).mean()))
        clean = own.loc[own["attacks"] == 0, "accuracy"].mean()
        rows.append((*key, clean, mean, single.min(), single.max(), len(single)))
    return pd.DataFrame(rows, columns=[*by, "clean", "distance", "least", "most", "seeds"])


if __name__ == "__main__":
    for number in sys.argv[1:]:
        run(int(number))
