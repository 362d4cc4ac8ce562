"""What is recorded of an experiment: its curves, what its trainings reached, and its contrasts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, Field

from lib import networks
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.readings import DEFAULT, Reading
from lib.evaluation.results import accuracies
from lib.evaluation.sweep import Predictions
from lib.experiments.declaration import WHOLE, Activations, Experiment, families, load, packaged
from lib.networks import Known
from lib.paper import LEVELS, PAPER_NOISES
from lib.statistics.contrasts import contrasts
from lib.statistics.curves import Score, Trainings, area, at, relative, wide
from lib.store.files import OUTPUTS, ROOT
from lib.store.parameters import each_once
from lib.training.recipe import Recipe

INITIAL = 50  # attacks, at which the paper sees its depth threshold (section 4.3)
MEAN = "mean"  # of the four noises
SCORES = {"area": area, "relative": relative, "initial": lambda *noises: at(INITIAL, *noises)}


class Measured(BaseModel, extra="forbid", frozen=True):
    """What a comparison rests on; all parameters of `paper.ipynb`."""

    images: int = Field(2_000, ge=2, le=WHOLE)  # the first of the test images
    outputs: Path = Path("outputs")  # from the repository's root

    def measure(self, name: str) -> "tuple[Path, Result]":
        """The folder of the results, and what is recorded there of an experiment (`measure`)."""
        return ROOT / self.outputs, measure(load(name), ROOT / self.outputs, self.images)


class Varied(Measured):
    """The parameters of a notebook about one experiment."""

    score: Literal["area", "relative", "initial"] = "area"  # a key of `SCORES`


class Compared(Measured):
    """The parameters of a notebook that compares networks over their trainings."""

    # None: those of the paper's figure
    models: Annotated[list[Known], Field(min_length=1), AfterValidator(each_once)] | None = None

    def trainings(self, usual: tuple[str, ...], reading: Reading = DEFAULT) -> Trainings:
        """The trainings of the networks named, of `usual` if none are."""
        return trainings(tuple(self.models or usual), ROOT / self.outputs, self.images, reading)


def trainings(
    models: tuple[str, ...], outputs: Path = OUTPUTS, images: int = 2_000, reading: Reading = DEFAULT
) -> Trainings:
    """Every training of these networks that is recorded at all levels of the paper on these images, in draw 0.

    Raises FileNotFoundError, which names the command, if no training of a network is recorded.
    """
    found = recorded(models, outputs, images, reading)
    if missing := [model for model in models if model not in found.models]:
        commands = ", ".join(f"{model} (make sweep MODEL={model})" for model in missing)
        what = f"the first {images:,} test images, replacement={reading.replacement}, source={reading.source}"
        raise FileNotFoundError(f"no training is recorded under {outputs} on {what}: {commands}")
    return found


def recorded(
    models: tuple[str, ...], outputs: Path = OUTPUTS, images: int = 2_000, reading: Reading = DEFAULT
) -> Trainings:
    """`trainings` of those of these networks of which one is recorded; perhaps of none."""
    of = families()
    curves = _curves(models, outputs, images, reading, {"mnist"}, of)
    left_out = {model for own in packaged().values() if own.leave_out_short for model in own.models}
    if left_out & set(curves.index.unique("model")):
        state = reached(curves, outputs)
        curves = curves[~(state["short"] & state.index.get_level_values("model").isin(left_out))]
    shown = [model for model in models if model in curves.index.unique("model")]
    return Trainings(tuple(shown), curves, images, of)


def _curves(
    models: Collection[str],
    outputs: Path,
    images: int,
    reading: Reading,
    datasets: Collection[str],
    of: Mapping[str, str],
    draw: int | None = 0,
    levels: Collection[int] = LEVELS,
) -> pd.DataFrame:
    """The curves of these networks, and of their families, since the spread between trainings is the family's."""
    wanted = {of.get(model) for model in models}
    table = accuracies(outputs, [images], {*models, *(model for model, family in of.items() if family in wanted)})
    return pd.concat([wide(reading.select(table, draw, dataset=own), levels=levels) for own in datasets])


def reached(curves: pd.DataFrame, outputs: Path = OUTPUTS) -> pd.DataFrame:
    """What each training reached, rows (model, seed) of `curves`.

    Columns: epochs, validation (percent, after the last), short (`Recipe.is_short`), device, torch (the version).
    """
    rows = []
    for model, seed in curves.index:
        record = networks.read_record(networks.weights_path(model, seed, outputs))
        epochs, short = record["epochs"], Recipe.of(record).is_short(record["epochs"])
        own = len(epochs), epochs[-1]["accuracy"], short, record.get("device", "cpu"), record.get("torch", "")
        rows.append(own)
    return pd.DataFrame(rows, curves.index, ["epochs", "validation", "short", "device", "torch"])


@dataclass(frozen=True)
class Result:
    """What is recorded of an experiment on the same test images."""

    experiment: Experiment
    trainings: Trainings  # without those that are left out as short
    every: pd.DataFrame  # the curves of all trainings of its networks, also the short ones
    reached: pd.DataFrame  # of each of these (`reached`)

    def scores(self, score: str = "area") -> pd.DataFrame:
        """Each training's score on the mean of the noises and on each, and whether it is short: rows (model, seed)."""
        found = {name: each(self.every) for name, each in on_each(score).items()}
        return pd.DataFrame(found | {"short": self.reached["short"]})

    def contrasts(self, score: str | None = None) -> pd.DataFrame:
        """Every question, on the mean of the four noises and on each of them, by its own score unless one is given.

        The intervals on the four noises hold together with 95 % (Bonferroni), the one on their mean by itself. Columns:
        those of `contrasts.contrasts`, with noise (or `MEAN`) in place of score.
        """
        together = dict.fromkeys(PAPER_NOISES, len(PAPER_NOISES))
        tables = [
            contrasts(self.trainings, {name: question.contrast}, on_each(score or question.score), together)
            for name, question in self.experiment.questions.items()
        ]
        tables = tables or [contrasts(self.trainings, {}, {}, {})]
        return pd.concat(tables, ignore_index=True).rename(columns={"score": "noise"})


def on_each(score: str = "area") -> dict[str, Score]:
    """The score on the mean of the four noises and on each of them: `MEAN` or noise -> score."""
    return {MEAN: SCORES[score]()} | {noise: SCORES[score](noise) for noise in PAPER_NOISES}


def measure(experiment: Experiment, outputs: Path = OUTPUTS, images: int | None = None) -> Result:
    """What is recorded of an experiment, under its first reading, on these images or as many as it says.

    Raises FileNotFoundError, which names the command, if nothing is, and ValueError if a network was trained by another
    recipe than is declared.
    """
    folder, count = experiment.outputs(outputs), images or experiment.images
    declared = {(recipe.model, recipe.seed): recipe for recipe in experiment.trainings(outputs)}
    of = experiment.families | families()
    datasets = dict.fromkeys(recipe.dataset for recipe in declared.values())
    first, levels = experiment.readings[0], experiment.levels
    curves = _curves(experiment.models, folder, count, first, datasets, of, experiment.draw, levels)
    every = curves.loc[[key for key in declared if key in curves.index]]
    if every.empty:
        raise FileNotFoundError(
            f"nothing of {experiment.name} is recorded under {folder} on the first {count:,} test images; "
            f"make experiment EXPERIMENT={experiment.name} records it on {experiment.images:,}"
        )
    for model, seed in every.index:
        made = Recipe.of(networks.read_record(networks.weights_path(model, seed, folder))).recorded
        if made != (wanted := declared[model, seed].recorded):
            raise ValueError(f"{model} with seed {seed} was trained by another recipe: {made}, not {wanted}")
    state = reached(curves, folder)
    kept = curves[~state["short"]] if experiment.leave_out_short else curves
    undeclared = [key for key in kept.index if key[0] in experiment.models and key not in declared]
    kept = kept.drop(index=undeclared)
    shown = tuple(model for model in experiment.models if model in kept.index.unique("model"))
    return Result(experiment, Trainings(shown, kept, count, of), every, state.loc[every.index])


def predictions(model: str, seed: int, images: int, outputs: Path = OUTPUTS) -> dict[str, Predictions]:
    """A training's recorded predictions, of these images or of all: `CLEAN` and each of the paper's noises -> them."""
    plans = [Plan(model=model, train_seed=seed, images=count, outputs=outputs) for count in (images, WHOLE)]
    parts = {}
    for noise in (CLEAN, *PAPER_NOISES):
        paths = (plan.part(noise).path for plan in plans)
        parts[noise] = Predictions.read(next(path for path in paths if path.is_file()))
    return parts


def by_statistics(experiment: Experiment, outputs: Path = OUTPUTS, images: int | None = None) -> pd.DataFrame:
    """The accuracies of an experiment's trainings by each of its statistics of activations, and by frozen ones.

    Under its first reading of the noise, at its levels, of all seeds that are declared: rows of `results.accuracies`,
    with accuracy (percent).
    """
    count = images or experiment.images
    table = accuracies(experiment.outputs(outputs), [count], experiment.models)
    kinds = {kind.model_dump_json(): kind for kind in (Activations(), *experiment.statistics)}.values()
    first, draw = experiment.readings[0], experiment.draw
    found = pd.concat([first.select(table, draw, **kind.model_dump()) for kind in kinds]).drop_duplicates()
    declared = pd.MultiIndex.from_tuples([(recipe.model, recipe.seed) for recipe in experiment.trainings(outputs)])
    found = found[found["attacks"].isin(experiment.levels)].set_index(["model", "seed"])
    found = found[found.index.isin(declared)].reset_index()
    return found.assign(accuracy=100 * found["correct"] / found["images"])
