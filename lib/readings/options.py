"""The readings of the paper: what it leaves open, option by option, and the grid of all that they can be together."""

import itertools
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lib import networks
from lib.evaluation.plan import DRAWN, WHITE, Plan, SweepPart
from lib.networks import Known
from lib.noise import deciding, find, white_to_black
from lib.paper import TABLE_1_LEVELS
from lib.store.files import ROOT, recipe_hash
from lib.store.parameters import LARGEST_SEED
from lib.training.recipe import Recipe


@dataclass(frozen=True)
class Reading:
    """One reading of the paper; the defaults are ours. The first three decide the weights, the others the attacks."""

    normalize: str = "mnist"
    resize: str = "nearest"
    epochs: int | None = None  # None: by the paper's rule
    revisit: bool = False
    space: int = 28
    white_above: int = 0
    eligibility: str = "now"

    @property
    def changes(self) -> dict:
        """The options in which it is not ours."""
        usual = Reading()
        return {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}

    @property
    def labels(self) -> dict[str, str]:
        """Option -> its value as tables show it."""
        return {name: _told(value) for name, value in asdict(self).items()}

    @property
    def name(self) -> str:
        """Such as `normalize none, revisit yes`."""
        return ", ".join(f"{name} {_told(value)}" for name, value in self.changes.items()) or "ours"


OPTIONS = [field.name for field in fields(Reading)]


class Grid(BaseModel):
    """The readings to try with one network: every combination of the options below, for every training seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    model: Known = "fc"
    seeds: list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]] = Field(
        [0, 1, 2], min_length=1
    )  # training seeds; each is attacked in the draw of its number
    normalize: list[Literal["mnist", "none", "imagenet"]] = Field(["mnist", "none", "imagenet"], min_length=1)
    resize: list[Literal["nearest", "bilinear"]] = Field(["nearest", "bilinear"], min_length=1)
    epochs: list[Annotated[int, Field(ge=1)] | None] = Field([1, 2, None], min_length=1)  # None: by the paper's rule
    revisit: list[bool] = Field([False, True], min_length=1)
    space: list[Literal[28, 56]] = Field([28, 56], min_length=1)
    white_above: list[Annotated[int, Field(ge=0, le=254)]] = Field([0, 100], min_length=1)
    eligibility: list[Literal["now", "clean"]] = Field(["now", "clean"], min_length=1)
    changes: int | None = Field(None, ge=0)  # only readings with at most so many options other than ours; None: all
    images: int = Field(10_000, ge=1, le=10_000)  # the first of the test images
    train_images: int = Field(55_000, ge=2, le=55_000)  # fewer only for a network named MODEL@WORD
    outputs: Path = Path("outputs")  # from the repository's root

    @field_validator("seeds", *OPTIONS)
    @classmethod
    def _each_once(cls, values: list) -> list:
        if len(set(values)) < len(values):
            raise ValueError(f"each value once, not {values}")
        return values

    @property
    def folder(self) -> Path:
        """Of the weights, which are many and not kept in git, and of the answers, which are."""
        return ROOT / self.outputs / "readings"

    @property
    def name(self) -> str:
        """For the table and the figures; a grid of other seeds, options or images has a name of its own."""
        apart = {"model", "outputs"}
        chosen, stem = self.model_dump(exclude=apart), self.model.replace(":", "-")
        return stem if chosen == Grid().model_dump(exclude=apart) else f"{stem}-{recipe_hash(chosen)}"

    def readings(self) -> list[Reading]:
        """Ours first, then those with one option changed, with two, and so on."""
        combinations = itertools.product(*(getattr(self, option) for option in OPTIONS))
        found = sorted((Reading(*values) for values in combinations), key=lambda reading: len(reading.changes))
        return [reading for reading in found if self.changes is None or len(reading.changes) <= self.changes]

    def recipe(self, reading: Reading, seed: int) -> Recipe:
        """How the network of a reading is trained; its name tells what is not ours, as in `fc@none-e1`."""
        decided: dict[str, Any] = {
            "normalize": reading.normalize,
            "resize": reading.resize,
            "train_images": self.train_images,
        }
        if reading.epochs is not None:
            decided["max_epochs"] = reading.epochs
        words = [str(reading.changes[name]) for name in ("normalize", "resize") if name in reading.changes]
        words += [f"e{reading.epochs}"] if reading.epochs is not None else []
        name = "-".join([self.model, *words]) if "@" in self.model else "@".join([self.model, "-".join(words)])
        return Recipe(model=name.removesuffix("@"), seed=seed, outputs=self.outputs / "readings", **decided)

    def plan(self, reading: Reading, seed: int) -> Plan:
        """How it is attacked, but for the drawing of pixels."""
        recipe = self.recipe(reading, seed)
        return Plan(
            model=recipe.model,
            train_seed=seed,
            levels=list(TABLE_1_LEVELS),
            images=self.images,
            outputs=recipe.outputs,
            replacement=False,
            source="current",
            space=reading.space,  # ty: ignore[invalid-argument-type]
            white_above=reading.white_above,
        )

    def parts(self, reading: Reading, seed: int) -> list[SweepPart]:
        """The clean images, then each noise, each training seed in a noise draw of its own: seeds differ by both.

        A recipe names the drawing of pixels as recipes did when these answers were recorded.
        """
        plan = self.plan(reading, seed)
        found = [plan.part("none")]
        for part in (plan.part(noise, draw=seed) for noise in plan.noises):
            named = _first_name(part.recipe, reading)
            found.append(SweepPart(part.folder, part.recipe | named))
        return found

    def answers_path(self, reading: Reading, seed: int) -> Path:
        recipe = self.recipe(reading, seed)
        return self.folder / "answers" / f"{networks.file_stem(recipe.model, seed)}.npz"


def _first_name(recipe: dict, reading: Reading) -> dict:
    """The first of all names of a reading's drawing under which this noise's pixels would be the same."""
    noise = white_to_black(reading.white_above) if recipe["noise"] == WHITE else find(recipe["noise"])
    wanted = deciding(noise, recipe["c"], *DRAWN[reading.revisit, reading.eligibility])
    revisit, eligibility = next(
        named for named, drawn in DRAWN.items() if deciding(noise, recipe["c"], *drawn) == wanted
    )
    return ({"revisit": True} if revisit else {}) | ({"eligibility": "clean"} if eligibility == "clean" else {})


def _told(value: object) -> str:
    if value is None:
        return "by rule"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
