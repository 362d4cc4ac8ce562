"""An experiment as it is declared in `params/experiments/NAME.yaml`, checked as it is read.

This is the only place where `lib` reads `params/`.
"""

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from lib.evaluation.plan import CLEAN, SAME, USUAL_NOISES, SweepPart
from lib.evaluation.readings import Reading
from lib.networks import Known
from lib.paper import LEVELS
from lib.store.files import OUTPUTS, ROOT
from lib.store.parameters import LARGEST_SEED, each_once
from lib.training.recipe import Recipe

FOLDER = ROOT / "params" / "experiments"
WHOLE = 10_000  # test images of a sweep of all of them
Weights = Mapping[str, float]  # network -> its weight in a contrast


class Term(BaseModel):
    """A weighted sum of networks' means, given in one of four ways."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plus: list[Known] = []  # the mean of these networks ...
    minus: list[Known] = []  # ... minus the mean of these
    doubling: dict[Known, float] = {}  # network -> its value: the gain when the value doubles (least-squares slope)
    weights: dict[Known, float] = {}  # network -> its weight
    times: float = 1.0  # a factor

    @model_validator(mode="after")
    def _checked(self) -> "Term":
        self._one_way()
        return self

    def _one_way(self) -> None:
        given = [name for name in ("doubling", "weights") if getattr(self, name)]
        given += ["plus and minus"] if self.plus and self.minus else []
        if len(given) != 1 or bool(self.plus) != bool(self.minus):
            raise ValueError("give either plus and minus, or doubling, or weights")
        if self.doubling and (len(set(self.doubling.values())) < 2 or min(self.doubling.values()) <= 0):
            raise ValueError(f"doubling needs two or more different values above 0, not {self.doubling}")

    @property
    def contrast(self) -> Weights:
        """Network -> its weight."""
        found = dict(self.weights)
        if self.doubling:
            steps = np.log2(list(self.doubling.values()))
            steps = steps - steps.mean()
            found = dict(zip(self.doubling, (steps / (steps**2).sum()).tolist(), strict=True))
        for sign, side in ((1, self.plus), (-1, self.minus)):
            for model in side:
                found[model] = found.get(model, 0) + sign / len(side)
        return {model: self.times * weight for model, weight in found.items()}


class Question(Term):
    """One contrast that is asked, and what a claim of the paper leads one to expect."""

    effect: str = ""  # what is compared, in words; empty: the name of the question says it
    sum: list[Term] = []  # in place of a single term: the sum of these
    score: Literal["area", "relative", "initial"] = "area"  # under the curve; that in % of the clean accuracy; at 50
    expected: Literal["higher", "lower", ""] = ""
    claim: int | None = Field(None, ge=1, le=12)  # of the paper (`lib.claims`)
    later: bool = False  # added when the first results were known

    def _one_way(self) -> None:
        if not self.sum:
            super()._one_way()
        if abs(total := sum(self.contrast.values())) > 1e-9:
            raise ValueError(f"the weights of a contrast must add up to 0, not {total:g}")

    @property
    def contrast(self) -> Weights:
        """Network -> its weight; all of them together are 0."""
        if not self.sum:
            return super().contrast
        found: dict[str, float] = {}
        for model, weight in (pair for term in self.sum for pair in term.contrast.items()):
            found[model] = found.get(model, 0) + weight
        return found


class Statistics(BaseModel):
    """Which statistics of activations a network is evaluated with, as in `Plan`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statistics: Literal["frozen", "batch", "adapted", "moments"] = "frozen"
    adapted_on: int = Field(1_000, ge=1, le=5_000)
    adapted_to: str = SAME
    restored: Literal["all", "first", "rest", "means", "variances", "logits"] = "all"

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"statistics": value} if isinstance(value, str) else value


class Experiment(BaseModel):
    """Which networks are trained, from which seeds, what they are evaluated on, and which contrasts are questions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""  # of the file, without .yaml
    title: str = ""
    networks: dict[str, list[Known]]  # by family, whose trainings vary alike; a list in its place is one family
    recipes: dict[str, dict[str, Any]] = {}  # WORD of MODEL@WORD -> in what it differs from the paper's rule
    labels: dict[Known, str] = {}  # network -> what tables and figures call it
    seeds: list[int] = Field([0, 1, 2], min_length=1)  # of the trainings of every network
    more_seeds: dict[Known, list[int]] = {}  # network -> its seeds, where they are others
    images: int = Field(2_000, ge=2, le=WHOLE)  # the first of the test images
    all_images: list[int] = []  # the seeds that are evaluated on all test images under the first reading
    readings: list[Reading] = Field([Reading()], min_length=1)  # of the noise
    levels: list[int] = Field(list(LEVELS), min_length=2)  # attacks
    noises: list[str] = list(USUAL_NOISES)
    draw: int | None = 0  # of the noise; None: each training has a draw of its own, numbered by its seed
    statistics: list[Statistics] = Field([Statistics()], min_length=1)  # a word for a `kind` of usual choices
    without_normalisation: list[Known] = []  # networks that have no batch normalisation to adapt
    drift: bool = False  # whether to measure how far noise moves activations, too (`lib.experiments.drift`)
    folder: str = ""  # under outputs; where the results lie if not among all others
    bundle: str = ""  # under that folder; the predictions of a training lie in one file there, not in a file each
    keep_weights: bool = True  # of the trainings that this experiment makes
    leave_out_short: bool = False  # trainings that end below their target are shown, but are in no contrast
    questions: dict[str, Question] = {}

    @field_validator("networks", mode="before")
    @classmethod
    def _one_family(cls, networks: Any) -> Any:
        return {"": networks} if isinstance(networks, list) else networks

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) > LARGEST_SEED:
            raise ValueError(f"seeds must be different numbers from 0 on, not {seeds}")
        return seeds

    @model_validator(mode="after")
    def _complete(self) -> "Experiment":
        each_once(list(self.models))
        for model in self.models:
            self.training(model, self.seeds[0])
        for name, question in self.questions.items():
            if unknown := [model for model in question.contrast if model not in self.models]:
                raise ValueError(f"question {name!r} needs {unknown[0]}, which is not among the networks")
        for model in [*self.more_seeds, *self.labels, *self.without_normalisation]:
            if model not in self.models:
                raise ValueError(f"{model} is not among the networks")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """The networks, MODEL or MODEL@WORD."""
        return tuple(model for own in self.families.values() for model in own)

    @property
    def families(self) -> dict[str, list[str]]:
        """Family -> its networks."""
        return {family or self.name or "own": models for family, models in self.networks.items()}

    def outputs(self, outputs: Path = OUTPUTS) -> Path:
        return outputs / self.folder

    def training(self, model: str, seed: int, outputs: Path = OUTPUTS) -> Recipe:
        """How a network is trained.

        Raises:
            ValueError: if the word of MODEL@WORD is not among the recipes.
        """
        word = model.partition("@")[2]
        if word and word not in self.recipes:
            of_others = [each for each in packaged().values() if each is not self and model in each.models]
            if not of_others:
                raise ValueError(f"{model}: there is no recipe {word!r} among {', '.join(self.recipes) or 'recipes'}")
            return of_others[0].training(model, seed, outputs)
        recipe = self.recipes[word] if word else {}
        try:
            return Recipe(model=model, seed=seed, outputs=self.outputs(outputs), **recipe)
        except ValidationError as error:
            raise ValueError(f"recipe of {model}: " + "; ".join(map(_line, error.errors()))) from None

    def trainings(self, outputs: Path = OUTPUTS) -> Iterator[Recipe]:
        """Every training, the first seed of all networks first."""
        own = {model: self.more_seeds.get(model, self.seeds) for model in self.models}
        for place in range(max(map(len, own.values()))):
            for model, seeds in own.items():
                if place < len(seeds):
                    yield self.training(model, seeds[place], outputs)

    def bundle_path(self, recipe: Recipe) -> Path | None:
        """The one file of all the predictions of a training; None if each part has a file of its own."""
        return recipe.outputs / self.bundle / f"{recipe.weights.stem}.npz" if self.bundle else None

    def parts(self, recipe: Recipe) -> list[SweepPart]:
        """All that one training is evaluated on; what readings of the noise have in common comes once."""
        found = {}
        plain = recipe.model in self.without_normalisation
        kinds = [kind for kind in self.statistics if not (plain and kind.statistics == "adapted")]
        for (place, reading), kind, noise in product(enumerate(self.readings), kinds, (CLEAN, *self.noises)):
            part = reading.part(
                noise,
                bundled=bool(self.bundle),
                model=recipe.model,
                train_seed=recipe.seed,
                levels=self.levels,
                images=WHOLE if place == 0 and recipe.seed in self.all_images else self.images,
                draw=recipe.seed if self.draw is None else self.draw,
                dataset=recipe.dataset,
                **kind.model_dump(),
                outputs=recipe.outputs,
            )
            found[part.path.stem] = part
        return list(found.values())


def load(name: str | Path) -> Experiment:
    """The experiment of this name in `params/experiments`, or in one's own YAML file.

    Raises:
        ValueError: if there is no such experiment or file, or it cannot be understood; it says what is allowed.
    """
    path = ROOT / name if str(name).endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        choices = sorted(each.stem for each in FOLDER.glob("*.yaml"))
        near = difflib.get_close_matches(str(name), choices, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no experiment {str(name)!r}; {hint}choose from {', '.join(choices)}, or give a .yaml file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} must hold names with values such as `networks: [fc, resnet18]`")
    content = {key: value for key, value in content.items() if not str(key).startswith(".")}  # for YAML's anchors
    unknown = [key for key in content if key not in Experiment.model_fields]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), Experiment.model_fields, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{path.name}: unknown {unknown[0]!r}; {hint}choose from {', '.join(Experiment.model_fields)}")
    try:
        return Experiment.model_validate({"name": path.stem} | content)
    except ValidationError as error:
        raise ValueError(f"{path.name}: " + "; ".join(map(_line, error.errors()))) from None


def _line(problem: ErrorDetails) -> str:
    """One of pydantic's findings; our own validators say themselves what was given."""
    given = "" if problem["type"] == "value_error" else f", not {problem['input']!r}"
    return ": ".join([*map(str, problem["loc"]), problem["msg"].removeprefix("Value error, ") + given])


@cache
def packaged() -> dict[str, Experiment]:
    """The experiments of this repository, by name, the paper's own first."""
    names = sorted((path.stem for path in FOLDER.glob("*.yaml")), key=lambda name: (name != "paper", name))
    return {name: load(name) for name in names}


def families() -> dict[str, str]:
    """Network -> its family, for the networks of this repository's experiments."""
    found: dict[str, str] = {}
    for experiment in packaged().values():
        for family, models in experiment.families.items():
            found |= {model: family for model in models if model not in found}
    return found


class Asked(BaseModel):
    """The parameters of `experiment.ipynb`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str = Field("resolution", min_length=1)  # a name in params/experiments, or a .yaml file
    train: bool = True
    outputs: Path = Path("outputs")  # from the repository's root
