"""Attacks on the test images of one network, run and recorded in blocks of images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, field_validator
from tqdm import tqdm

from lib import networks
from lib.adversarial import attacks
from lib.adversarial.attacks import ATTACKS, Found
from lib.evaluation.sweep import TOLERANCE, confirmed
from lib.networks import Known
from lib.store import data, parts
from lib.store.files import ROOT, file_hash, read_arrays, recipe_hash, sampling, write_arrays
from lib.store.parameters import LARGEST_SEED, each_once
from lib.store.parts import Part

IMAGES_TOGETHER = 50  # attacked in one block
CHECKED_IMAGES = 5  # checked in each recorded block
Attacks = Annotated[
    list[str],
    BeforeValidator(lambda names: list(ATTACKS) if names is None else names),
    AfterValidator(lambda names: each_once([name for name in names if attacks.find(name)])),
]


class AttackPlan(BaseModel, extra="forbid", frozen=True, validate_default=True):
    """Attacks on one network, on the first of the test images; the parameters of `attacks.ipynb`."""

    model: Known
    train_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    attacks: Attacks = Field(None, min_length=1)  # None: all  # ty: ignore[invalid-assignment]
    images: int = Field(200, ge=1, le=10_000)  # the first of the test images
    fewer: dict[str, int] = {"boundary": 50}  # attack -> images, if fewer
    steps: dict[str, int] = {}  # attack -> steps, if not its default
    seed: int = Field(0, ge=0)  # of the attacks' draws
    outputs: Path = Path("outputs")  # from the repository's root
    recompute: bool = False

    @field_validator("fewer", "steps")
    @classmethod
    def _counts_of_known_attacks(cls, counts: dict[str, int]) -> dict[str, int]:
        for name, count in counts.items():
            attacks.find(name)
            if count < 1:
                raise ValueError(f"the count for {name!r} must be 1 or more, not {count}")
        return counts

    @property
    def weights(self) -> Path:
        return networks.weights_path(self.model, self.train_seed, ROOT / self.outputs)

    @property
    def dataset(self) -> str:
        """The data set that the network was trained on, by the record of its training."""
        return networks.read_record(self.weights)["recipe"].get("dataset", "mnist")

    @property
    def name(self) -> str:
        """The stem of files about all the attacks; with a hash unless these parameters are the defaults."""
        keys = {"attacks", "images", "fewer", "steps", "seed"}
        chosen, usual = self.model_dump(include=keys), AttackPlan(model=self.model).model_dump(include=keys)
        stem = networks.file_stem(self.model, self.train_seed)
        return stem if chosen == usual else f"{stem}-{recipe_hash(chosen)}"

    def count(self, attack: str) -> int:
        """The number of images of this attack."""
        return min(self.images, self.fewer.get(attack, self.images))

    def alone(self, attack: str, steps: int | None = None) -> AttackPlan:
        """The plan with this attack only, with other steps if they are given."""
        own = {} if steps is None else {attack: steps}
        return self.model_copy(update={"attacks": [attack], "steps": self.steps | own})

    def recorded_steps(self, attack: str) -> list[int]:
        """The numbers of steps with which this attack is recorded on all its images with the weights on disk."""
        some = {read_arrays(path)[0]["recipe"]["steps"] for path in self.folder.glob(f"{attack}-*.npz")}
        return sorted(steps for steps in some if self.alone(attack, steps).recorded)

    @property
    def recorded(self) -> bool:
        """Whether all of it is on disk, made by the weights that are there."""
        return parts.recorded(self.blocks(), self.weights)

    @property
    def folder(self) -> Path:
        return ROOT / self.outputs / "attacks" / networks.file_stem(self.model, self.train_seed)

    def blocks(self, attack: str | None = None) -> list[Block]:
        """The blocks of all attacks, or of one."""
        found = []
        for name in [attack] if attack else self.attacks:
            common = {"attack": name, "steps": self.steps.get(name, ATTACKS[name].steps), "seed": self.seed}
            for first in range(0, count := self.count(name), IMAGES_TOGETHER):
                some = {"first": first, "images": min(IMAGES_TOGETHER, count - first)}
                found.append(Block(self.folder, common | some))
        return found


class Block(Part):
    """One attack on consecutive images, one file: the unit in which a run resumes and can be repeated."""

    @property
    def label(self) -> str:
        return f"{self.recipe['attack']}-{self.recipe['first']:04}"

    @property
    def size(self) -> int:
        return self.recipe["images"]

    @property
    def index(self) -> np.ndarray:
        """The numbers of the images in the test set, (images,)."""
        return self.recipe["first"] + np.arange(self.recipe["images"])

    def search(self, net: networks.Net, digits: data.Digits) -> Found:
        """Run the attack; the same images, steps and seed give the same result."""
        from lib.adversarial import searches  # imports Foolbox and torch

        images, labels, recipe = digits.test_images[self.index], digits.test_labels[self.index], self.recipe
        options = {"steps": recipe["steps"], "seed": f"{recipe['seed']} {recipe['first']}"}
        return searches.search(net, recipe["attack"], images, labels, **options)

    def read(self) -> Found:
        return Found(**read_arrays(self.path)[1])


def run(attack_plan: AttackPlan) -> dict[str, int]:
    """Run every attack on every block of images; in recorded blocks the classes and distances of some are checked.

    Raises FileNotFoundError, which names the command, if the network is not trained, and ValueError if the record does
    not follow from the weights or the network cannot be measured (`networks.probed`).
    """
    dataset = attack_plan.dataset
    net = networks.load(attack_plan.model, attack_plan.train_seed, ROOT / attack_plan.outputs, dataset)
    networks.probed(net, attack_plan.model)
    digits = data.load(dataset)
    data.check_count(attack_plan.images, digits.test_images, "images", dataset)
    record = parts.origin(attack_plan.model, attack_plan.train_seed, attack_plan.weights)

    def make(block: Block, bar: tqdm) -> None:
        bar.set_postfix_str(block.recipe["attack"])
        write_arrays(block.path, record | {"recipe": block.recipe}, vars(block.search(net, digits)))
        bar.update(block.size)

    options = {"recompute": attack_plan.recompute, "title": f"{attack_plan.model} attacks"}
    check = partial(_check, net=net, digits=digits)
    return parts.complete(attack_plan.blocks(), record["weights"], make, check, **options)


def findings(attack_plan: AttackPlan) -> Iterator[tuple[Block, Found]]:
    """Every block of the plan with what was found; FileNotFoundError if one is not recorded with these weights."""
    weights = file_hash(attack_plan.weights)
    for block in attack_plan.blocks():
        if not block.holds(weights):
            raise FileNotFoundError(f"no {block.path}; make it with: make attacks MODEL={attack_plan.model}")
        yield block, block.read()


def _check(block: Block, net: networks.Net, digits: data.Digits) -> int:
    """Compute classes and distances of a few images of a recorded block again (`confirmed`)."""
    from lib.adversarial import searches

    found = block.read()
    rows = sampling(block.path).permutation(len(block.index))[:CHECKED_IMAGES]
    probability = searches.probabilities(net, found.adversarial[rows])  # (rows, 10)
    l0, l2, linf = attacks.perturbation_sizes(found.adversarial[rows], digits.test_images[block.index[rows]])
    wrong = probability[np.arange(len(rows)), found.predicted[rows]] < probability.max(axis=1) - TOLERANCE
    wrong |= (l0 != found.l0[rows]) | ~np.isclose(l2, found.l2[rows]) | ~np.isclose(linf, found.linf[rows])
    wrong |= found.fooled[rows] != (found.predicted[rows] != digits.test_labels[block.index[rows]])
    return confirmed(wrong, block.index[rows], block.path)
