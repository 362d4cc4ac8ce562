"""One part of a network changed at a time (the paper's section 6): which networks are trained, and what they answer.

`python -m lib.analysis.components components 0 1 2` trains and sweeps what is not recorded yet of an experiment for
these training seeds. It may be stopped at any moment. All weights but those of the paper's networks are deleted once
their predictions are recorded, since a training of the family takes minutes; the record of the training stays.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from lib import networks
from lib.analysis.trainings import Measured, accuracies, recorded_parts
from lib.evaluation.plan import Plan
from lib.evaluation.results import write_accuracy
from lib.evaluation.statistics import area_under_curve
from lib.evaluation.sweep import Predictions, sweep
from lib.networks import FAMILY, HIDDEN, Variant
from lib.paper import PAPER_NOISES, PAPER_TARGET
from lib.store import data
from lib.store.files import OUTPUTS, lock
from lib.training.recipe import Recipe

SEEDS = range(5)  # 0, 1 and 2 of every cell; 3 and 4 of the cells of a question whose verdict is near
IMAGES = 2_000  # the first of the test images, at all the paper's levels, in one draw
INITIAL = 50  # attacks, at which the paper sees its depth threshold (section 4.3)

# Equal footing. The paper's rule divides the learning rate by 10 every epoch: a network that is not at 99.0 % of the
# validation images after the second never gets there. At half the rate every epoch and eight epochs slow learners do,
# too. All networks of the family are trained so, also those that the paper's rule would bring there, and each stops
# after its first epoch at 99.0 % or more. One that does not reach it counts as under-trained and is in no effect.
SLOW = {"decay": 0.5, "max_epochs": 8}
# Fashion-MNIST: 99 % is out of reach, so that every network is trained four epochs, as many as the paper's rule allows,
# with the same learning rates; its images are normalised by their own mean and deviation, as MNIST's are by theirs.
FASHION = {"decay": 0.5, "max_epochs": 4, "target": 100, "dataset": "fashion-mnist", "normalize": "fashion-mnist"}


class Varied(Measured):
    """The parameters of `components.ipynb` and `resolution.ipynb`."""

    score: Literal["area", "relative", "initial"] = "area"  # a column of `measure`


@dataclass(frozen=True)
class Cell:
    """A network of an experiment, and by which recipe it is trained."""

    model: str  # a key of `NETS`
    word: str = "slow"  # the recipe's name; empty: the paper's rule
    recipe: dict = field(default_factory=lambda: SLOW)

    @property
    def name(self) -> str:
        return f"{self.model}@{self.word}" if self.word else self.model

    @property
    def variant(self) -> Variant:
        """Raises KeyError for a fully connected net. `resnet18` is the family's at full width (test_residual.py)."""
        return (FAMILY | {"resnet18": Variant(18, width=1)})[self.model]

    def training(self, seed: int, outputs: Path = OUTPUTS) -> Recipe:
        return Recipe(model=self.name, seed=seed, outputs=outputs, **self.recipe)

    def options(self) -> dict:
        """What of the network and its training an experiment varies."""
        if self.model in HIDDEN:
            return {"hidden": HIDDEN[self.model]}
        recipe = self.training(0)
        return vars(self.variant) | {"size": recipe.size, "resize": recipe.resize, "dataset": recipe.dataset}


# Cells in the order in which they are trained, the cheapest first: seed 0 of all, then seed 1, then seed 2.
#
# Components. Shortcuts (none, residual, pre-activation) are crossed with depth, as the paper's claims are about both;
# normalisation is crossed with shortcuts at depth 18, as shortcuts were made to be learnt without it no better; width
# and pooling are changed alone, from the residual network of depth 18. Fully connected nets of six widths stand beside
# them, trained by the paper's rule for such, which asks for no accuracy and four epochs.
# Resolution: one network, its images upscaled to three sizes in two ways (to 28 they stay as they are); the noise falls
# on 28x28 always. Its cell at 56, nearest, is that of the components.
# Complexity: the residual networks of four depths once more, on Fashion-MNIST, beside those of the components.
EXPERIMENTS = {
    "components": (
        *(Cell(model, "", {}) for model in ("fc98", "fc392", "fc784", "fc1568", "fc", "fc6272")),
        Cell("quarter_resnet18"),
        Cell("half_plain10"),
        Cell("half_resnet10"),
        Cell("half_preact10"),
        Cell("half_plain18"),
        Cell("half_resnet18"),
        Cell("half_preact18"),
        Cell("half_plain18_nobn"),
        Cell("half_resnet18_nobn"),
        Cell("half_plain34"),
        Cell("half_resnet34"),
        Cell("half_preact34"),
        Cell("half_plain50"),
        Cell("half_resnet50"),
        Cell("half_preact50"),
        Cell("resnet18"),
        Cell("half_resnet18_nopool"),
    ),
    "resolution": (
        Cell("half_resnet18", "slow-28", SLOW | {"size": 28}),
        Cell("half_resnet18"),
        Cell("half_resnet18", "slow-bilinear", SLOW | {"resize": "bilinear"}),
        Cell("half_resnet18", "slow-112", SLOW | {"size": 112}),
        Cell("half_resnet18", "slow-112-bilinear", SLOW | {"size": 112, "resize": "bilinear"}),
    ),
    "complexity": (
        *(Cell(f"half_resnet{depth}", "fashion", FASHION) for depth in (10, 18, 34, 50)),
        *(Cell(f"half_resnet{depth}") for depth in (10, 18, 34, 50)),
    ),
}


def cells(experiment: str) -> tuple[Cell, ...]:
    """Raises ValueError for an unknown experiment; it lists the choices."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {experiment!r}; choose from {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[experiment]


def run(experiment: str, seed: int, outputs: Path = OUTPUTS, images: int = IMAGES) -> int:
    """Train and sweep what is not recorded yet of an experiment for a training seed; how many networks were trained."""
    return sum(_work(cell.training(seed, outputs), images) for cell in cells(experiment))


def _work(recipe: Recipe, images: int) -> bool:
    from lib.training.fit import train  # imports torch

    with lock(recipe.weights.with_suffix(".cell")):  # a second process must not train again what this one deletes
        if answered(recipe, images):
            return False
        train(recipe)
        sweep(plan(recipe, images))
        if recipe.model != "fc":
            recipe.weights.unlink()
        return True


def plan(recipe: Recipe, images: int = IMAGES) -> Plan:
    """What a trained network is asked, under the default reading of the noise."""
    return Plan(
        model=recipe.model,
        train_seed=recipe.seed,
        dataset=recipe.dataset,
        images=images,
        draws=1,
        outputs=recipe.outputs,
    )


def answered(recipe: Recipe, images: int = IMAGES) -> list[Predictions]:
    """The recorded predictions of a training: for the clean images, then for each noise; empty if one is missing.

    Raises:
        ValueError: if another recipe has made them.
    """
    parts = recorded_parts(plan(recipe, images))
    if not parts or len({part.record["weights"] for part in parts}) > 1:
        return []
    made = Recipe.of(networks.read_record(recipe.weights)).recorded
    if made != recipe.recorded:
        raise ValueError(f"{recipe.weights.stem} was trained by another recipe: {made}, not {recipe.recorded}")
    return parts


def measure(
    experiment: str, seeds: Iterable[int] = SEEDS, outputs: Path = OUTPUTS, images: int = IMAGES
) -> pd.DataFrame:
    """What is recorded: a row for each cell, training seed and noise.

    Columns: model (with its recipe's word), the options of the cells (`Cell.options`), seed, epochs (how many it was
    trained), validation (percent, behind the last), short (whether it ended below 99.0 % though it was to reach it),
    noise, clean (percent of the test images), area (under the curve, percent), initial (accuracy after `INITIAL`
    attacks, percent), relative (area in percent of clean).

    Raises:
        FileNotFoundError: if nothing is recorded; it names the command that makes it.
    """
    rows = []
    for cell, seed in ((cell, seed) for cell in cells(experiment) for seed in seeds):
        recipe = cell.training(seed, outputs)
        if parts := answered(recipe, images):
            rows += [_about(cell, recipe) | row for row in _scores(recipe, parts, images)]
    if not rows:
        command = f"python -m lib.analysis.components {experiment} 0 1 2"
        told = f"nothing of {experiment} is recorded under {outputs} on the first {images:,} test images"
        raise FileNotFoundError(f"{told}; {command} records it on {IMAGES:,}")
    return pd.DataFrame(rows)


def _about(cell: Cell, recipe: Recipe) -> dict:
    epochs = networks.read_record(recipe.weights)["epochs"]
    validation = epochs[-1]["accuracy"]
    short = recipe.stop_at <= PAPER_TARGET and validation < recipe.stop_at
    done = {"seed": recipe.seed, "epochs": len(epochs), "validation": validation, "short": short}
    return {"model": cell.name} | cell.options() | done


def _scores(recipe: Recipe, parts: list[Predictions], images: int) -> list[dict]:
    labels = data.load(recipe.dataset).test_labels[:images]
    curves = accuracies(parts, labels)  # (noises, levels)
    attacks = np.array([0, *parts[1].record["recipe"]["levels"]])
    columns = {"noise": PAPER_NOISES, "clean": curves[:, 0], "area": area_under_curve(curves, attacks)}
    table = pd.DataFrame(columns | {"initial": curves[:, attacks == INITIAL][:, 0]})
    return table.assign(relative=100 * table["area"] / table["clean"]).to_dict("records")


if __name__ == "__main__":
    for number in sys.argv[2:]:
        run(sys.argv[1], int(number))
    write_accuracy()
