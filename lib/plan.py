"""What a sweep is to measure (section 3.4), cut into the parts that lie in one file each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lib import nets
from lib.inference import ENGINES
from lib.nets import Known
from lib.noise import NOISES, SOURCES, Noise, deciding, default_c, find, perturb_and_count, white_to_black
from lib.records import ROOT, recipe_hash

CLEAN = "none"  # the noise of level 0, which is measured once
WHITE = "white_to_black"  # the noise whose threshold may be chosen
READING = {"replacement", "source", "space", "white_above"}  # what the paper leaves open about an attack


class Plan(BaseModel):
    """One network under some noises; the defaults are the paper's levels on all test images."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    model: Known
    train_seed: int = Field(0, ge=0)
    noises: list[str] | None = Field(None, min_length=1)  # None: all
    levels: list[int] = Field(list(range(0, 201, 10)), min_length=1)  # pixels attacked
    draws: int | None = Field(None, ge=1)  # None: those recorded, at least one
    draw: int | None = Field(None, ge=0)  # this draw alone, counted from 0; None: the first `draws`
    images: int = Field(10_000, ge=1, le=10_000)  # the first of the test images
    c: float | None = Field(None, gt=0, allow_inf_nan=False)  # None: each noise's own
    replacement: bool = False  # whether a pixel may be drawn again
    source: str = "current"  # the image that says which pixels are eligible and how bright they are: `noise.SOURCES`
    space: Literal[28, 56] = 28  # pixels a side where the noise falls: before or after the upscaling
    white_above: int = Field(0, ge=0, le=254)  # White to Black takes b > this; the paper tried 100 before
    engine: str = "auto"
    bfloat16: bool = False
    outputs: Path = Path("outputs")  # from the repository's root
    recompute: bool = False

    @field_validator("noises")
    @classmethod
    def _known_noises(cls, noises: list[str] | None) -> list[str]:
        return [find(noise).name for noise in (NOISES if noises is None else noises)]

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, engine: str) -> str:
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}; choose from {', '.join(ENGINES)}")
        return engine

    @field_validator("source")
    @classmethod
    def _known_source(cls, source: str) -> str:
        if source not in SOURCES:
            raise ValueError(f"unknown source {source!r}; choose from {', '.join(SOURCES)}")
        return source

    @model_validator(mode="after")
    def _ascending_levels(self) -> "Plan":
        if self.levels[0] < 0 or any(a >= b for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels must ascend from 0 or more, not {self.levels}")
        return self

    @model_validator(mode="after")
    def _draw_or_draws(self) -> "Plan":
        if self.draw is not None and self.draws is not None:
            raise ValueError(f"give draw={self.draw} (that one alone) or draws={self.draws} (the first ones), not both")
        return self

    @property
    def folder(self) -> Path:
        return ROOT / self.outputs / "predictions" / nets.file_stem(self.model, self.train_seed)

    @property
    def name(self) -> str:
        """For files about the whole plan; a plan other than the usual one has a name of its own."""
        keys = {"noises", "levels", "draws", "images", "c", "bfloat16"} | ({"draw"} if self.draw is not None else set())
        chosen, usual = self.model_dump(include=keys), Plan(model=self.model).model_dump(include=keys)
        chosen |= self.model_dump(include=READING, exclude_defaults=True)
        stem = nets.file_stem(self.model, self.train_seed)
        return stem if chosen == usual else f"{stem}-{recipe_hash(chosen)}"

    def part(self, noise: str, draw: int | None = None) -> "Part":
        """The part of this plan that one file holds, of its first draw by default.

        `noise` is `CLEAN` for the images as they are.
        """
        draw = (self.draw or 0) if draw is None else draw
        recipe = {"noise": noise, "images": self.images, "bfloat16": self.bfloat16} | self._reading(noise)
        if noise == CLEAN:
            return Part(self.folder, recipe | {"levels": [0]})
        attacked = [level for level in self.levels if level > 0]
        return Part(self.folder, recipe | {"levels": attacked, "c": default_c(noise, self.c), "draw": draw})

    def _reading(self, noise: str) -> dict:
        """The reading as far as it matters to this noise, so that the same pixels lie in the same file.

        How pixels are drawn is written out whatever the default, so that another default renames no file.
        """
        chosen = {"space": self.space} if self.space != 28 else {}
        if noise == WHITE and self.white_above:
            chosen["white_above"] = self.white_above
        if noise != CLEAN:
            kind = _kind(noise, self.white_above)
            drawn = deciding(kind, default_c(noise, self.c), self.replacement, self.source)
            chosen |= dict(zip(("replacement", "source"), drawn, strict=True))
        return chosen

    def recorded_draws(self) -> int:
        """How many draws, counted from 0, are on disk for all the noises."""
        draw = 0
        while all(self.part(noise, draw).path.is_file() for noise in self.noises):
            draw += 1
        return draw

    def parts(self) -> list["Part"]:
        """All the files of this plan, draw by draw."""
        draws = range(self.draws or max(1, self.recorded_draws())) if self.draw is None else [self.draw]
        attacked = [self.part(noise, draw) for draw in draws for noise in self.noises]
        return [self.part(CLEAN), *(part for part in attacked if part.recipe["levels"])]


def _kind(noise: str, white_above: int) -> Noise:
    return white_to_black(white_above) if noise == WHITE else find(noise)


@dataclass(frozen=True)
class Part:
    """The predictions of one (network, training seed, noise, draw): the grain at which a sweep resumes."""

    folder: Path
    recipe: dict

    @property
    def path(self) -> Path:
        """Named by its recipe, so that another c or other levels never pass for it."""
        draw = f"-draw{self.recipe['draw']}" if "draw" in self.recipe else ""
        return self.folder / f"{self.recipe['noise']}{draw}-{recipe_hash(self.recipe)}.npz"

    @property
    def cells(self) -> int:
        return len(self.recipe["levels"]) * self.recipe["images"]

    def attack(
        self, images: np.ndarray, index: np.ndarray, levels: list[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The images (n, H, W) as the network sees them, draws made, pixels altered: (levels, n, H, W), 2x (levels, n).

        H and W are the plan's `space` (`nets.upscale`).
        """
        if self.recipe["noise"] == CLEAN:
            return images[None], *np.zeros((2, 1, len(images)), np.int64)
        noise = _kind(self.recipe["noise"], self.recipe.get("white_above", 0))
        reading = {key: self.recipe[key] for key in ("c", "replacement", "source")}
        return perturb_and_count(images, noise, levels, seed=self.recipe["draw"], index=index, **reading)[:3]
