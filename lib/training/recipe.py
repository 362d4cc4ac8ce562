"""The paper's rule of training (section 3.3) as parameters, and what else may be chosen."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from lib import networks
from lib.networks import Known, Normalize
from lib.paper import PAPER_TARGET
from lib.store import data
from lib.store.data import KnownSet
from lib.store.files import ROOT
from lib.store.parameters import LARGEST_SEED


class Recipe(BaseModel, extra="forbid", frozen=True):
    """All that decides the weights of one network. The defaults are the paper's rule; others are named `MODEL@WORD`."""

    VERSION: ClassVar[int] = 2  # of the defaults that `recorded` leaves out. 1: records that hold every field

    model: Known
    seed: int = Field(0, ge=0, le=LARGEST_SEED)  # initial weights, order of the images, dropout
    learning_rate: float = Field(0.01, gt=0, allow_inf_nan=False)
    momentum: float = Field(0.9, ge=0, lt=1)
    decay: float = Field(0.1, gt=0, le=1)  # the learning rate is multiplied by it after every epoch
    optimizer: Literal["sgd", "adam"] = "sgd"  # the paper does not say; adam ignores momentum
    batch_size: int = Field(64, ge=2, le=55_000)
    target: float | None = Field(None, ge=0, le=100)  # validation accuracy, percent; None: the paper's rule
    max_epochs: int = Field(4, ge=1, le=1_000)
    train_images: int = Field(55_000, ge=2, le=55_000)  # the first of the training images
    dataset: KnownSet = "mnist"
    normalize: Normalize = "mnist"  # "dataset" becomes the mean and deviation of the training images
    resize: Literal["nearest", "bilinear"] = "nearest"
    size: Literal[28, 56, 112] = 56  # pixels a side to which the images are upscaled
    outputs: Path = Field(Path("outputs"), exclude=True)  # from the repository's root
    recompute: bool = Field(False, exclude=True)  # train although weights by this recipe are recorded

    @model_validator(mode="before")
    @classmethod
    def _measured(cls, values: dict) -> dict:
        if values.get("normalize") != "dataset":
            return values
        return values | {"normalize": data.brightness(data.known_set(values.get("dataset", "mnist")))}

    @model_validator(mode="after")
    def _fits_its_name(self) -> "Recipe":
        changes = self.model_dump(exclude={"model", "seed"}, exclude_defaults=True)
        if changes and "@" not in self.model:
            own = f"give the network a name of its own, such as '{self.model}@WORD'"
            raise ValueError(f"{changes} is not the paper's recipe; {own}")
        networks.check_size(self.model, self.size)
        return self

    @property
    def input(self) -> dict:
        """How the network's first steps prepare an image (arguments of `networks.build`)."""
        return {"normalize": self.normalize, "resize": self.resize, "size": self.size}

    @property
    def recorded(self) -> dict:
        """As a record holds it: the network, the seed, and the fields that differ from the defaults of `VERSION`."""
        return {"model": self.model, "seed": self.seed} | self.model_dump(mode="json", exclude_defaults=True)

    @property
    def in_record(self) -> dict:
        """What a record says of the recipe; `of` reads it."""
        return {"recipe": self.recorded, "recipe_version": self.VERSION}

    @classmethod
    def of(cls, record: dict) -> Self:
        """The recipe in the record of a training. Raises ValueError if a later version of this code made it."""
        version = record.get("recipe_version", 1)
        if version > cls.VERSION:
            raise ValueError(f"a recipe of version {version}; this code knows those up to {cls.VERSION}")
        return cls(**record["recipe"])

    @property
    def weights(self) -> Path:
        return networks.weights_path(self.model, self.seed, ROOT / self.outputs)

    @property
    def stop_at(self) -> float:
        """The validation accuracy in percent that ends training (section 3.3); infinite if only `max_epochs` does."""
        dense = self.model.partition("@")[0] in (*networks.HIDDEN, *networks.DENSE)
        return (float("inf") if dense else PAPER_TARGET) if self.target is None else self.target

    def begins_with(self, other: "Recipe") -> bool:
        """Whether this training first repeats the other one: they agree in all but the name and `max_epochs`."""
        same = {"model", "max_epochs"}
        return (
            self.model.partition("@")[0] == other.model.partition("@")[0]
            and self.outputs == other.outputs
            and self.max_epochs >= other.max_epochs
            and self.model_dump(exclude=same) == other.model_dump(exclude=same)
        )

    def is_short(self, epochs: list[dict]) -> bool:
        """Whether training ended below the 99.0 % at which its rule stops; never where only `max_epochs` ends it."""
        return self.stop_at <= PAPER_TARGET and epochs[-1]["accuracy"] < self.stop_at

    def is_finished(self, epochs: list[dict]) -> bool:
        """Whether training ends after these epochs (section 3.3)."""
        return len(epochs) >= self.max_epochs or any(epoch["accuracy"] >= self.stop_at for epoch in epochs)
