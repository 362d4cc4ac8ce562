"""An experiment as it is declared in `params/experiments/NAME.yaml`, checked as it is read.

This is the only place where `lib` reads `params/`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator
from yaml.error import MarkedYAMLError

from lib.evaluation.plan import (
    CLEAN,
    SAME,
    USUAL_NOISES,
    AdaptedTo,
    Levels,
    Noises,
    Restored,
    Statistics,
    SweepPart,
)
from lib.evaluation.readings import Reading
from lib.networks import Known
from lib.paper import LEVELS
from lib.store.files import OUTPUTS, ROOT
from lib.store.parameters import LARGEST_SEED, each_once, hint, in_a_line
from lib.training.recipe import Recipe

FOLDER = ROOT / "params" / "experiments"
WHOLE = 10_000  # test images of a sweep of all of them
Weights = Mapping[str, float]  # network -> its weight in a contrast
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(each_once)]


def _by_family(given: Any) -> Any:
    families = {"": given} if isinstance(given, list) else given
    if not isinstance(families, dict) or not families or not all(families.values()):
        raise ValueError(f"must be a list of networks, or such a list for each family, not {given!r}")
    return families


Families = Annotated[dict[str, list[Known]], BeforeValidator(_by_family)]
Inside = Annotated[str, Field(pattern=r"^(\w[\w.@-]*(/\w[\w.@-]*)*)?$")]  # a path that does not leave its folder


class Term(BaseModel, extra="forbid", frozen=True):
    """A weighted sum of networks' means, given in one of five ways."""

    plus: list[Known] = []  # the mean of these networks ...
    minus: list[Known] = []  # ... minus the mean of these
    doubling: dict[Known, float] = {}  # network -> its value: the gain when the value doubles (least-squares slope)
    weights: dict[Known, float] = {}  # network -> its weight
    sum: list["Term"] = []  # of these terms
    times: float = 1.0  # a factor

    @model_validator(mode="after")
    def _one_way(self) -> "Term":
        given = [name for name in ("doubling", "weights", "sum") if getattr(self, name)]
        given += ["plus and minus"] if self.plus and self.minus else []
        if len(given) != 1 or bool(self.plus) != bool(self.minus):
            raise ValueError("give either plus and minus, or doubling, or weights, or sum")
        if self.doubling and (len(set(self.doubling.values())) < 2 or min(self.doubling.values()) <= 0):
            raise ValueError(f"doubling needs two or more different values above 0, not {self.doubling}")
        return self

    @property
    def contrast(self) -> Weights:
        """Network -> its weight."""
        found = [*self.weights.items(), *(pair for term in self.sum for pair in term.contrast.items())]
        found += [(model, 1 / len(self.plus)) for model in self.plus]
        found += [(model, -1 / len(self.minus)) for model in self.minus]
        if self.doubling:
            steps = np.log2(list(self.doubling.values()))
            steps = steps - steps.mean()
            found += zip(self.doubling, (steps / (steps**2).sum()).tolist(), strict=True)
        total: dict[str, float] = {}
        for model, weight in found:
            total[model] = total.get(model, 0) + self.times * weight
        return total


class Question(Term):
    """One contrast that is asked, and what a claim of the paper leads one to expect."""

    effect: str = ""  # what is compared, in words; empty: the name of the question says it
    score: Literal["area", "relative", "initial"] = "area"  # under the curve; that in % of the clean accuracy; at 50
    expected: Literal["higher", "lower", ""] = ""
    claim: int | None = Field(None, ge=1, le=12)  # of the paper (`lib.claims`)
    later: bool = False  # added when the first results were known

    @model_validator(mode="after")
    def _adds_up(self) -> "Question":
        if abs(total := sum(self.contrast.values())) > 1e-9:
            raise ValueError(f"the weights of a contrast must add up to 0, not {total:g}")
        if not any(abs(weight) > 1e-9 for weight in self.contrast.values()):
            raise ValueError(f"a contrast must compare different networks, not {', '.join(self.contrast)} with itself")
        return self


class Activations(BaseModel, extra="forbid", frozen=True):
    """Which statistics of activations a network is evaluated with, as in `Plan`."""

    statistics: Statistics = "frozen"
    adapted_on: int = Field(1_000, ge=1, le=5_000)
    adapted_to: AdaptedTo = SAME
    restored: Restored = "all"

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"statistics": value} if isinstance(value, str) else value


class Experiment(BaseModel, extra="forbid", frozen=True):
    """Which networks are trained, from which seeds, what they are evaluated on, and which contrasts are questions."""

    name: str = ""  # of the file, without .yaml
    title: str = ""
    # By family, whose trainings vary alike; a list is one family. `families` names those of this repository's networks.
    networks: Families
    recipes: dict[str, dict[str, Any]] = {}  # WORD of MODEL@WORD -> in what it differs from the paper's rule
    labels: dict[Known, str] = {}  # network -> what tables and figures call it
    seeds: Seeds = [0, 1, 2]  # of the trainings of every network
    more_seeds: dict[Known, Seeds] = {}  # network -> its seeds, where they are others
    images: int = Field(2_000, ge=2, le=WHOLE)  # the first of the test images
    all_images: list[int] = []  # the seeds that are evaluated on all test images under the first reading
    readings: list[Reading] = Field([Reading()], min_length=1)  # of the noise
    levels: Levels = list(LEVELS)  # attacks
    noises: Noises = list(USUAL_NOISES)
    # The draw of the noise; None: each training has a draw of its own, numbered by its seed.
    draw: int | None = Field(0, ge=0, le=LARGEST_SEED)
    statistics: list[Activations] = Field([Activations()], min_length=1)  # a word stands for its usual choices
    without_normalisation: list[Known] = []  # networks that have no batch normalisation to adapt
    drift: bool = False  # whether to measure how far noise moves activations, too (`lib.experiments.drift`)
    folder: Inside = ""  # under outputs; where the results lie if not among all others
    bundle: Inside = ""  # under that folder; the predictions of a training lie in one file there, not in a file each
    keep_weights: bool = True  # of the trainings that this experiment makes
    leave_out_short: bool = False  # trainings that end below their target are shown, but are in no contrast
    questions: dict[str, Question] = {}

    @model_validator(mode="after")
    def _complete(self) -> "Experiment":
        each_once(list(self.models))
        for model in self.models:
            self.training(model, self.seeds[0])
        if unused := self.recipes.keys() - {model.partition("@")[2] for model in self.models}:
            raise ValueError(f"recipe {min(unused)!r} is of no network; MODEL@{min(unused)} names one that has it")
        needed = {f"question {name!r}": [*question.contrast] for name, question in self.questions.items()}
        needed |= {name: [*getattr(self, name)] for name in ("more_seeds", "labels", "without_normalisation")}
        for what, models in needed.items():
            if unknown := [model for model in models if model not in self.models]:
                choices = ", ".join(self.models)
                raise ValueError(f"{what} needs {unknown[0]}, which is not among the networks; choose from {choices}")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """The networks, MODEL or MODEL@WORD."""
        return tuple(model for own in self.networks.values() for model in own)

    @property
    def families(self) -> dict[str, str]:
        """Network -> its family."""
        each = {family or self.name or "own": models for family, models in self.networks.items()}
        return {model: family for family, models in each.items() for model in models}

    def outputs(self, outputs: Path = OUTPUTS) -> Path:
        return outputs / self.folder

    def training(self, model: str, seed: int, outputs: Path = OUTPUTS) -> Recipe:
        """How a network is trained; ValueError if the word of MODEL@WORD is not among the recipes."""
        word = model.partition("@")[2]
        if word and word not in self.recipes:
            of_others = [each for each in packaged().values() if each is not self and model in each.models]
            if not of_others:
                raise ValueError(f"{model}: no recipe {word!r} is declared; {hint(word, self.recipes)}")
            return of_others[0].training(model, seed, outputs)
        recipe = self.recipes[word] if word else {}
        try:
            return Recipe(model=model, seed=seed, outputs=self.outputs(outputs), **recipe)
        except ValidationError as error:
            raise ValueError(f"recipe of {model}: {in_a_line(error, {'': Recipe.model_fields})}") from None

    def trainings(self, outputs: Path = OUTPUTS) -> Iterator[Recipe]:
        """Every training, the first seed of all networks first."""
        seeds = {model: self.more_seeds.get(model, self.seeds) for model in self.models}
        every = [(place, model, seed) for model, own in seeds.items() for place, seed in enumerate(own)]
        for _, model, seed in sorted(every, key=lambda each: each[0]):
            yield self.training(model, seed, outputs)

    def bundle_path(self, recipe: Recipe) -> Path | None:
        """The one file of all the predictions of a training; None if each part has a file of its own."""
        return recipe.outputs / self.bundle / f"{recipe.weights.stem}.npz" if self.bundle else None

    def parts(self, recipe: Recipe) -> list[SweepPart]:
        """All that one training is evaluated on; what readings of the noise have in common comes once."""
        draw = recipe.seed if self.draw is None else self.draw
        shared: dict[str, Any] = {"model": recipe.model, "train_seed": recipe.seed, "dataset": recipe.dataset}
        shared |= {"outputs": recipe.outputs, "levels": self.levels, "draw": draw}
        fixed = {"adapted"} if recipe.model in self.without_normalisation else {}
        kinds, found = [kind for kind in self.statistics if kind.statistics not in fixed], {}
        for (place, reading), kind, noise in product(enumerate(self.readings), kinds, (CLEAN, *self.noises)):
            images = WHOLE if place == 0 and recipe.seed in self.all_images else self.images
            part = reading.part(noise, bool(self.bundle), images=images, **shared, **kind.model_dump())
            found[part.path.stem] = part
        return list(found.values())


def load(name: str | Path) -> Experiment:
    """The experiment of this name in `params/experiments`, or in one's own YAML file.

    Raises ValueError, which says what is allowed, if there is no such file or it cannot be understood.
    """
    path = ROOT / name if str(name).endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        choices = sorted(each.stem for each in FOLDER.glob("*.yaml"))
        raise ValueError(f"no experiment {str(name)!r}; {hint(str(name), choices)}, or give a .yaml file")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} must hold names with values such as `networks: [fc, resnet18]`")
    content = {key: value for key, value in content.items() if not str(key).startswith(".")}  # for YAML's anchors
    allowed = [name for name in Experiment.model_fields if name != "name"]
    if unknown := [str(key) for key in content if key not in allowed]:
        raise ValueError(f"{path.name}: unknown {unknown[0]!r}; {hint(unknown[0], allowed)}")
    try:
        return Experiment.model_validate({"name": path.stem} | content)
    except ValidationError as error:
        within = {"questions": Question, "readings": Reading, "statistics": Activations}
        names = {name: kind.model_fields for name, kind in within.items()}
        raise ValueError(f"{path.name}: {in_a_line(error, names)}") from None


class _EachKeyOnce(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        if twice := [key for place, key in enumerate(keys) if key in keys[:place]]:
            raise MarkedYAMLError(None, None, f"{twice[0]!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


@cache
def packaged() -> dict[str, Experiment]:
    """The experiments of this repository, by name, the paper's own first."""
    names = sorted((path.stem for path in FOLDER.glob("*.yaml")), key=lambda name: (name != "paper", name))
    return {name: load(name) for name in names}


def families() -> dict[str, str]:
    """Network -> its family, for the networks of this repository's experiments."""
    return {model: family for each in reversed(packaged().values()) for model, family in each.families.items()}


def _comparable(name: str) -> str:
    """The name of an experiment that `experiment.ipynb` can show; ValueError, before anything is trained, if not."""
    own = load(name)
    if not set(USUAL_NOISES) <= set(own.noises) or own.levels[0] != 0 or len(own.levels) < 2:
        needed = f"{', '.join(USUAL_NOISES)} at 0 and more attacks"
        raise ValueError(f"a comparison needs {needed}, not noises {own.noises} and levels {own.levels}")
    if Activations() not in own.statistics or (own.bundle and not own.bundle.startswith("readings/")):
        raise ValueError("a comparison needs frozen statistics, and a bundle, if any, under readings/")
    return name


class Asked(BaseModel, extra="forbid", frozen=True):
    """The parameters of `experiment.ipynb`."""

    experiment: Annotated[str, Field(min_length=1), AfterValidator(_comparable)] = "resolution"  # or a .yaml file
    train: bool = True
    difference: float = Field(5.0, gt=0, allow_inf_nan=False)  # points, of which the trainings needed are shown
    outputs: Path = Path("outputs")  # from the repository's root
