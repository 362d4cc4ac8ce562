"""What a sweep is to measure (section 3.4), cut into the parts that lie in one file each."""

from collections.abc import Collection
from itertools import count, pairwise, product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from lib import networks
from lib.networks import ENGINES, RESTORED, STATISTICS_BATCH, Known
from lib.noise import NOISES, SOURCES, Noise, deciding, default_c, find, perturb_and_count, white_to_black
from lib.paper import LEVELS, PAPER_NOISES
from lib.store.data import KnownSet
from lib.store.files import ROOT, recipe_hash
from lib.store.parameters import LARGEST_SEED, each_once
from lib.store.parts import Part

CLEAN = "none"  # the noise of level 0, which is measured once
WHITE = "white_to_black"  # the noise whose threshold may be chosen
USUAL_NOISES = tuple(noise for noise in NOISES if noise in PAPER_NOISES)  # of a sweep that names none, in its order
# Where the mean and variance of activations come from: batch normalisation's running averages of the training; each
# batch; training images under the same noise and level (`networks.adapt`); those, for every layer (`restore_moments`).
STATISTICS = ("frozen", "batch", "adapted", "moments")
SAME, MIXTURE = "same", "mixture"  # what statistics are adapted to: the noise they are used on, or all at all levels
MIXED_LEVELS = (0, 10, 20, 50, 100, 150, 200)
# What the paper leaves open about an attack, and the data set, each as a recipe means it that does not name it:
# whatever `Plan` takes by default, a file that is recorded keeps its meaning.
UNNAMED: dict[str, Any] = {
    "replacement": False,
    "source": "current",
    "space": 28,
    "white_above": 0,
    "dataset": "mnist",
    "statistics": "frozen",
    "adapted_to": SAME,
    "restored": "all",
}


def _one_of(what: str, choices: Collection[str]) -> AfterValidator:
    """Checks that a value is among the choices, which the error lists."""

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"unknown {what} {value!r}; choose from {', '.join(choices)}")
        return value

    return AfterValidator(check)


Source = Annotated[str, _one_of("source", SOURCES)]
Statistics = Annotated[str, _one_of("statistics", STATISTICS)]
AdaptedTo = Annotated[str, _one_of("adapted_to", (SAME, MIXTURE, *NOISES))]
Restored = Annotated[str, _one_of("restored", RESTORED)]
Engine = Annotated[str, _one_of("engine", ENGINES)]
Noises = Annotated[
    list[str],
    BeforeValidator(lambda noises: list(USUAL_NOISES) if noises is None else noises),
    AfterValidator(lambda noises: each_once([find(noise).name for noise in noises])),
]
MOST_ATTACKS = 65_535  # counted in uint16
MOST_DRAWS = 1_000


def _ascending(levels: list[int]) -> list[int]:
    if levels[0] < 0 or any(a >= b for a, b in pairwise(levels)):
        raise ValueError(f"levels must ascend from 0 or more, not {levels}")
    if levels[-1] > MOST_ATTACKS:
        raise ValueError(f"levels must be {MOST_ATTACKS:,} or less, not {levels}")
    return levels


Levels = Annotated[list[int], Field(min_length=1), AfterValidator(_ascending)]


class Plan(BaseModel, extra="forbid", frozen=True, validate_default=True):
    """One network under some noises; the defaults are the paper's levels on all test images."""

    model: Known
    train_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    noises: Noises = Field(None, min_length=1)  # None: the paper's four  # ty: ignore[invalid-assignment]
    levels: Levels = list(LEVELS)  # pixels attacked
    draws: int | None = Field(None, ge=1, le=MOST_DRAWS)  # None: those recorded, at least one
    draw: int | None = Field(None, ge=0, le=LARGEST_SEED)  # this draw alone, counted from 0; None: the first `draws`
    dataset: KnownSet = "mnist"  # that on which the network was trained
    images: int = Field(10_000, ge=1, le=10_000)  # the first of the test images
    c: float | None = Field(None, gt=0, allow_inf_nan=False)  # None: each noise's own
    replacement: bool = True  # whether a pixel may be drawn again
    source: Source = "clean"  # the image that says which pixels are eligible and how bright: before all attacks, or now
    space: Literal[28, 56] = 28  # pixels a side where the noise falls: before or after the upscaling
    white_above: int = Field(0, ge=0, le=254)  # White to Black takes b > this; the paper tried 100 before
    statistics: Statistics = "frozen"
    adapted_on: int = Field(1_000, ge=1, le=5_000)  # training images, for statistics "adapted" and "moments"
    adapted_to: AdaptedTo = SAME  # the noise on them at the level that is evaluated, or MIXTURE
    restored: Restored = "all"  # for statistics "moments"
    engine: Engine = "auto"  # OpenVINO cannot compute statistics: torch for all but frozen ones
    bfloat16: bool = False
    outputs: Path = Path("outputs")  # from the repository's root
    recompute: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "Plan":
        if self.draw is not None and self.draws is not None:
            raise ValueError(f"give draw={self.draw} (that one alone) or draws={self.draws} (the first ones), not both")
        if self.statistics == "batch" and (self.bfloat16 or self.engine == "openvino"):
            raise ValueError("statistics='batch' is for engine='torch' without bfloat16")
        return self

    @property
    def weights(self) -> Path:
        return networks.weights_path(self.model, self.train_seed, ROOT / self.outputs)

    @property
    def folder(self) -> Path:
        return ROOT / self.outputs / "predictions" / networks.file_stem(self.model, self.train_seed)

    @property
    def name(self) -> str:
        """For files about the whole plan; a plan other than the usual one has a name of its own."""
        keys = {"noises", "levels", "draws", "images", "c", "bfloat16"} | ({"draw"} if self.draw is not None else set())
        chosen, usual = self.model_dump(include=keys), Plan(model=self.model).model_dump(include=keys)
        chosen |= self.model_dump(include=set(UNNAMED), exclude_defaults=True) | self._statistics()
        stem = networks.file_stem(self.model, self.train_seed)
        return stem if chosen == usual else f"{stem}-{recipe_hash(chosen)}"

    def part(self, noise: str, draw: int | None = None) -> "SweepPart":
        """The part of this plan that one file holds, of its first draw by default; `CLEAN`: the images as they are."""
        draw = (self.draw or 0) if draw is None else draw
        recipe = {"noise": noise, "images": self.images, "bfloat16": self.bfloat16}
        recipe |= self._reading(noise) | self._statistics(noise)
        if noise == CLEAN:
            return SweepPart(self.folder, recipe | {"levels": [0]})
        attacked = [level for level in self.levels if level > 0]
        return SweepPart(self.folder, recipe | {"levels": attacked, "c": default_c(noise, self.c), "draw": draw})

    def _reading(self, noise: str) -> dict:
        """What of the reading matters to this noise and is not `UNNAMED`.

        Readings under which a noise's pixels are the same give the same, so that these pixels lie in the same file.
        """
        names = ["space", "dataset", *(["white_above"] if noise == WHITE else [])]
        chosen = {name: value for name in names if (value := getattr(self, name)) != UNNAMED[name]}
        if noise == CLEAN:
            return chosen
        kind, c = _kind(noise, self.white_above), default_c(noise, self.c)
        drawn = deciding(kind, c, self.replacement, self.source)
        if drawn == deciding(kind, c, UNNAMED["replacement"], UNNAMED["source"]):
            return chosen
        return chosen | dict(zip(("replacement", "source"), drawn, strict=True))

    def _statistics(self, noise: str = "") -> dict:
        """What of the statistics is not `UNNAMED`; those adapted to this noise at this level are the same."""
        if self.statistics == UNNAMED["statistics"]:
            return {}
        if self.statistics == "batch":
            return {"batch_statistics": STATISTICS_BATCH}
        same = self.adapted_to == noise or (noise == CLEAN and self.adapted_to != MIXTURE)
        chosen = {"adapted_to": SAME if same else self.adapted_to, "restored": self.restored}
        named = {name: value for name, value in chosen.items() if value != UNNAMED[name]}
        return {"statistics": self.statistics, "adapted_on": self.adapted_on} | named

    def recorded_draws(self) -> int:
        """How many draws, counted from 0, are on disk for all the noises."""
        recorded = (all(self.part(noise, draw).path.is_file() for noise in self.noises) for draw in count())
        return next(draw for draw, there in enumerate(recorded) if not there)

    def parts(self) -> list["SweepPart"]:
        """All the files of this plan, draw by draw."""
        draws = range(self.draws or max(1, self.recorded_draws())) if self.draw is None else [self.draw]
        attacked = [self.part(noise, draw) for draw in draws for noise in self.noises]
        return [self.part(CLEAN), *(part for part in attacked if part.recipe["levels"])]


def _kind(noise: str, white_above: int) -> Noise:
    return white_to_black(white_above) if noise == WHITE else find(noise)


class SweepPart(Part):
    """The predictions of one network for one noise in one draw."""

    @property
    def label(self) -> str:
        return self.recipe["noise"] + (f"-draw{self.recipe['draw']}" if "draw" in self.recipe else "")

    @property
    def size(self) -> int:
        return len(self.recipe["levels"]) * self.recipe["images"]

    def on(self, images: int) -> "SweepPart":
        """The same on the first of another number of test images."""
        return SweepPart(self.folder, self.recipe | {"images": images})

    @property
    def statistics(self) -> str:
        """One of `STATISTICS`."""
        return "batch" if "batch_statistics" in self.recipe else (UNNAMED | self.recipe)["statistics"]

    def trained_on(self, number: int) -> np.ndarray:
        """(adapted_on,): which of the first `number` training images the statistics come from.

        A random sample by the part's draw, 0 for the clean images; a smaller sample is the start of a larger one.
        """
        return np.random.default_rng(self.recipe.get("draw", 0)).permutation(number)[: self.recipe["adapted_on"]]

    def adapting(self, images: np.ndarray, index: np.ndarray, level: int) -> np.ndarray:
        """The images (n, H, W) from which the statistics for this level are estimated, under their noise.

        A mixture deals the images out to the paper's noises at `MIXED_LEVELS` in turn; noises other than this part's
        are those of the default plan.
        """
        wanted, draw = self.recipe.get("adapted_to", SAME), self.recipe.get("draw", 0)
        if wanted == SAME:
            return self.attack(images, index, [level])[0][0]
        usual = Plan(model="fc", draw=draw)
        dealt = list(product(USUAL_NOISES, MIXED_LEVELS)) if wanted == MIXTURE else [(wanted, level)]
        noisy = np.empty_like(images)
        for place, (noise, attacks) in enumerate(dealt):
            share = slice(place, None, len(dealt))
            noisy[share] = usual.part(noise).attack(images[share], index[share], [attacks])[0][0]
        return noisy

    @property
    def drawing(self) -> tuple[bool, str]:
        """`replacement` and `source`, as recorded."""
        recipe = UNNAMED | self.recipe
        return recipe["replacement"], recipe["source"]

    @property
    def kind(self) -> Noise:
        return _kind(self.recipe["noise"], (UNNAMED | self.recipe)["white_above"])

    @property
    def reading(self) -> tuple[bool, str]:
        """`replacement` and `source` by one name for all readings that give this noise the same pixels."""
        return deciding(self.kind, self.recipe["c"], *self.drawing)

    def attack(
        self, images: np.ndarray, index: np.ndarray, levels: list[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The images (n, H, W) as the network sees them, draws made, pixels altered: (levels, n, H, W), 2x (levels, n).

        H and W are the plan's `space` (`networks.upscale`).
        """
        if self.recipe["noise"] == CLEAN:
            none = np.zeros((1, len(images)), np.int64)
            return images[None], none, none
        how: dict[str, Any] = {"c": self.recipe["c"], "seed": self.recipe["draw"], "index": index}
        how |= dict(zip(("replacement", "source"), self.drawing, strict=True))
        return perturb_and_count(images, self.kind, levels, **how)[:3]
