"""Where trainings are started from: an experiment is trained and evaluated, and what is recorded is not made again.

`python -m lib.experiments.run components 0 1 2` does it for these training seeds, without seeds for all; it may be
stopped at any moment and goes on where it was.
"""

import argparse
from collections.abc import Collection
from pathlib import Path

from filelock import Timeout

from lib import networks
from lib.evaluation import bundle, results
from lib.evaluation.plan import SweepPart
from lib.evaluation.sweep import Evaluator
from lib.experiments import drift
from lib.experiments.declaration import WHOLE, Experiment, load, packaged
from lib.store import parts
from lib.store.files import OUTPUTS, lock
from lib.store.parts import kept_record, weights_hash
from lib.training.recipe import Recipe


def run(
    experiment: Experiment,
    seeds: Collection[int] | None = None,
    outputs: Path = OUTPUTS,
    models: Collection[str] | None = None,
    recompute: bool = False,
) -> int:
    """Train and evaluate what is not recorded yet, and return how many trainings that were.

    Several processes may work on one experiment: a training that another one is at is left to the end. `seeds` and
    `models` are those of the trainings; None: all that are declared. With `recompute`, a network is trained again where
    predictions are missing and its weights are not kept. If that gives the recorded weights, what is recorded stays; if
    not (on another kind of machine), the training is replaced as a whole. Raises ValueError if a network was trained by
    another recipe, or cannot be trained or evaluated.
    """
    todo = [recipe for recipe in experiment.trainings(outputs) if seeds is None or recipe.seed in seeds]
    todo = [recipe for recipe in todo if models is None or recipe.model in models]
    worked, busy = 0, []
    for recipe in todo:
        try:
            worked += _work(experiment, recipe, todo, outputs, recompute, timeout=0)
        except Timeout:
            busy.append(recipe)
    return worked + sum(_work(experiment, recipe, todo, outputs, recompute) for recipe in busy)


def missing(experiment: Experiment, recipe: Recipe) -> list[SweepPart]:
    """What a training is still to be evaluated on; a part counts as recorded if a file of all test images holds it.

    Raises ValueError if what is recorded was made by another recipe of training.
    """
    record = kept_record(recipe.weights)
    if record and (made := Recipe.of(record).recorded) != recipe.recorded:
        raise ValueError(f"{recipe.weights.stem} was trained by another recipe: {made}, not {recipe.recorded}")
    made_by, path = weights_hash(recipe.weights), experiment.bundle_path(recipe)
    together = bundle.Bundle.read(path) if path else None

    def recorded(part: SweepPart) -> bool:
        if together is not None and together.holds(part, made_by):
            return True
        either = (part, part.on(WHOLE))
        return made_by is not None and any(each.path.is_file() and each.holds(made_by) for each in either)

    return [part for part in experiment.parts(recipe) if not recorded(part)]


def _work(
    experiment: Experiment, recipe: Recipe, todo: list[Recipe], outputs: Path, recompute: bool, timeout: float = -1
) -> bool:
    """Whether something was missing, which is then made."""
    with lock(recipe.weights.with_suffix(".cell"), timeout):  # a second process must not train what this one deletes
        wanted = missing(experiment, recipe)
        still = experiment.drift and not drift.recorded(recipe)
        if not wanted and not still:
            return False
        trained = recipe.weights.is_file()
        if not trained:
            from lib.training.fit import train  # imports torch

            longer = [other for other in todo if other.begins_with(recipe) and other.max_epochs > recipe.max_epochs]
            own = recipe.model_copy(update={"recompute": recompute})
            train(own, next((other for other in longer if missing(experiment, other)), None))
            # other weights than those recorded replace what was computed from them
            wanted = missing(experiment, recipe)
        if wanted:
            _evaluate(experiment, recipe, wanted)
        if still:
            drift.record(recipe)
        if not experiment.keep_weights and not trained and not _needed(recipe, outputs):
            recipe.weights.unlink()
        return True


def _needed(recipe: Recipe, outputs: Path) -> bool:
    """Whether an experiment of this repository is still to evaluate this training."""
    declared = ((other, own) for other in packaged().values() for own in other.trainings(outputs))
    declared = [(other, own) for other, own in declared if own == recipe]
    return any(missing(other, own) or (other.drift and not drift.recorded(own)) for other, own in declared)


def _evaluate(experiment: Experiment, recipe: Recipe, todo: list[SweepPart]) -> None:
    """Record the predictions of a trained network: a file for each part, or one bundle.

    The network is not probed: a training that has failed is recorded too.
    """
    net = networks.load(recipe.model, recipe.seed, recipe.outputs, recipe.dataset)
    origin = parts.origin(recipe.model, recipe.seed, recipe.weights)
    evaluator, title = Evaluator(net, origin), f"{recipe.weights.stem} evaluated"
    if path := experiment.bundle_path(recipe):
        evaluator.remember()
        bundle.complete(path, todo, origin["weights"], evaluator.predict, title)
    else:
        parts.complete(todo, origin["weights"], evaluator.write, check=lambda _: 0, recompute=False, title=title)


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("experiment", help="a name in params/experiments, or one's own .yaml file")
    options.add_argument("seeds", nargs="*", type=int, help="of the trainings; none: all that are declared")
    options.add_argument("--model", action="append", help="one of its networks; may be repeated; none: all")
    options.add_argument("--outputs", type=Path, default=OUTPUTS, help="the folder of the results")
    options.add_argument("--recompute", action="store_true", help="train again where the weights are not kept")
    given = options.parse_args()
    run(load(given.experiment), given.seeds or None, given.outputs.absolute(), given.model, given.recompute)
    results.write_accuracy(given.outputs.absolute())


if __name__ == "__main__":
    main()
