"""The sweep (section 3.4): what a trained network predicts at every noise, level and draw, kept on disk.

`python -m lib.evaluation.sweep FILE.yaml` sweeps all networks that the file names, such as `params/normalisation.yaml`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from lib import networks
from lib.evaluation.plan import Plan, SweepPart
from lib.store import data, parts
from lib.store.files import ROOT, read_arrays, write_arrays

CHECKED_CELLS = 50  # predictions recomputed from the weights for each recorded file
ARRAYS = ("predicted", "probability", "attacked", "altered")  # of `Predictions`
FIRST_TRAINING_IMAGE = 10_000  # its number where noise is drawn: the test images have those before
TOLERANCE = 0.01  # of a probability: other processors and engines round differently, files hold float16


@dataclass(frozen=True)
class Predictions:
    """What one file holds: arrays (levels, images), and the record of what made them."""

    predicted: np.ndarray  # uint8, the class
    probability: np.ndarray  # float16, of the true class
    attacked: np.ndarray  # uint16, draws that found a pixel
    record: dict  # the part's recipe, model, training seed, hash of the weights, versions, commit
    altered: np.ndarray | None = None  # uint16, pixels whose brightness is not the clean image's, where counted

    @property
    def pixels(self) -> np.ndarray:
        """Pixels altered, (levels, images); draws where a file counts these alone, since none of them came twice."""
        return self.attacked if self.altered is None else self.altered

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """What such a file holds.

        Raises:
            ValueError: if it is damaged, or holds something else; it names the file.
        """
        record, arrays = read_arrays(path)
        wanted = {"predicted", "probability", "attacked"}
        if arrays.keys() - {"altered"} != wanted or not {"recipe", "model", "train_seed", "weights"} <= record.keys():
            raise ValueError(f"{path} holds no predictions but {', '.join(arrays)}; take it out of this folder")
        shape = len(record["recipe"]["levels"]), record["recipe"]["images"]
        kinds = {name: (array.shape, array.dtype.kind) for name, array in arrays.items()}
        if wrong := [name for name, kind in kinds.items() if kind != (shape, "f" if name == "probability" else "u")]:
            raise ValueError(f"{path} holds other arrays than its record tells: {wrong[0]}; take it out of this folder")
        return cls(**arrays, record=record)

    def write(self, path: Path) -> None:
        arrays = {name: value for name, value in vars(self).items() if name != "record" and value is not None}
        write_arrays(path, self.record, arrays)


def sweep(plan: Plan) -> dict[str, int]:
    """Record what the network answers for every part of the plan; what is recorded already is checked and kept.

    Paper: section 3.4. Where all is recorded and the weights are not kept, nothing can be checked.

    Returns:
        the counts of `parts.complete`; `checked` are cells, recomputed from the weights and found the same.

    Raises:
        FileNotFoundError: if the network is not trained; it names the command that does.
        ValueError: if recorded predictions do not follow from the weights, the network was trained on another data set
            or that has fewer images, or it is not fit to be measured (`networks.probed`).
    """
    if not plan.weights.is_file() and recorded(plan) and not plan.recompute:
        return {"computed": 0, "reused": len(plan.parts()), "checked": 0}
    net = networks.load(plan.model, plan.train_seed, ROOT / plan.outputs, plan.dataset)
    if plan.space not in (networks.HEIGHT, net.size):
        raise ValueError(f"space={plan.space}: {plan.model} reads {net.reads}; choose space={networks.HEIGHT}")
    digits = data.load(plan.dataset)
    data.check_count(plan.images, digits.test_images, "images", plan.dataset)
    networks.probed(net, plan.model)
    images = networks.upscale(digits.test_images[: plan.images], plan.space, net.resize)
    labels = digits.test_labels[: plan.images]
    record = parts.origin(plan.model, plan.train_seed, plan.weights)
    predictor = _predictors(plan, net, digits)

    def make(part: SweepPart, bar: tqdm) -> None:
        predictor_at = predictor(part)
        if part.statistics == "frozen":
            return predict(part, predictor_at(0), images, labels, record, bar).write(part.path)
        levels = part.recipe["levels"]
        found = [predict(part.at(level), predictor_at(level), images, labels, record, bar) for level in levels]
        arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in ARRAYS}
        Predictions(**arrays, record=record | {"recipe": part.recipe}).write(part.path)

    return parts.complete(
        plan.parts(),
        record["weights"],
        make,
        check=lambda part: _check(part, predictor(part), images, labels),
        recompute=plan.recompute,
        title=f"{plan.model} sweep",
    )


def _predictors(
    plan: Plan, net: networks.Net, digits: data.Digits
) -> Callable[[SweepPart], Callable[[int], networks.Predictor]]:
    """Part -> level -> the predictor that has this part's statistics at this level."""
    if plan.statistics == "frozen":
        frozen = networks.predictor(net, plan.engine, plan.bfloat16, plan.space)
        return lambda part: lambda level: frozen
    if plan.statistics == "batch":
        by_batch = networks.batch_predictor(net)
        return lambda part: lambda level: by_batch
    engine = "torch" if plan.engine == "auto" else plan.engine  # OpenVINO's translation takes longer than it saves
    training = digits.split()[0]

    def predictor(part: SweepPart) -> Callable[[int], networks.Predictor]:
        chosen = part.trained_on(len(training))
        clean = networks.upscale(training[chosen], plan.space, net.resize)
        wanted = networks.moments(net, clean) if plan.statistics == "moments" else None

        def at(level: int) -> networks.Predictor:
            noisy = part.attack(clean, FIRST_TRAINING_IMAGE + chosen, [level])[0][0]
            fitted = networks.restore_moments(net, noisy, wanted) if wanted else networks.adapt(net, noisy)
            return networks.predictor(fitted, engine, plan.bfloat16, plan.space)

        return at

    return predictor


def recorded(plan: Plan) -> bool:
    """Whether every part of the plan is on disk, made by the weights that lie there now, or whose record does."""
    return parts.recorded(plan.parts(), plan.weights)


def predict(part: SweepPart, probabilities: networks.Predictor, images, labels, record: dict, bar: tqdm) -> Predictions:
    """What a network answers for every image and level of a part; `bar` is moved on by an image at a time.

    An image that the attacks since the last level have left as it was (nothing eligible left) is not asked again.
    """
    levels = part.recipe["levels"]
    noisy, attacked, altered = part.attack(images, np.arange(len(images)), levels)  # (levels, n, H, W), 2x (levels, n)
    predicted = np.empty(attacked.shape, np.uint8)
    probability = np.empty(attacked.shape, np.float16)
    together = networks.STATISTICS_BATCH if part.statistics == "batch" else networks.BATCH
    asked = np.arange(len(images))
    for level in range(len(levels)):
        if level:
            predicted[level], probability[level] = predicted[level - 1], probability[level - 1]
            asked = np.flatnonzero((noisy[level] != noisy[level - 1]).any(axis=(1, 2)))
        bar.update(len(images) - len(asked))
        for start in range(0, len(asked), together):
            batch = asked[start : start + together]
            found = probabilities(noisy[level, batch])  # (batch, 10)
            predicted[level, batch] = found.argmax(axis=1)
            probability[level, batch] = found[np.arange(len(found)), labels[batch]]
            bar.update(len(found))
    record = record | {"recipe": part.recipe}
    return Predictions(predicted, probability, attacked.astype(np.uint16), record, altered.astype(np.uint16))


def _check(
    part: SweepPart, predictor_at: Callable[[int], networks.Predictor], images: np.ndarray, labels: np.ndarray
) -> int:
    """Recompute a random sample of a recorded part's cells from the weights: their number.

    Where statistics are not frozen it is of one level; by each batch's own statistics it is one batch.

    Raises:
        ValueError: if one differs by more than rounding.
    """
    recorded = Predictions.read(part.path)
    levels = part.recipe["levels"]
    random = np.random.default_rng()
    row = random.integers(len(levels), size=CHECKED_CELLS)
    index = random.integers(len(images), size=CHECKED_CELLS)
    if part.statistics == "batch":
        start = index[0] - index[0] % networks.STATISTICS_BATCH
        index = np.arange(start, min(start + networks.STATISTICS_BATCH, len(images)))
    if part.statistics != "frozen":
        row = np.full(len(index), row[0])
    cell = np.arange(len(index))
    noisy, attacked, altered = part.attack(images[index], index, levels)
    found = predictor_at(levels[row[0]])(noisy[row, cell])  # (cells, 10)
    wrong = np.abs(found[cell, labels[index]] - recorded.probability[row, index]) > TOLERANCE
    wrong |= found[cell, recorded.predicted[row, index]] < found.max(axis=1) - TOLERANCE
    wrong |= attacked[row, cell] != recorded.attacked[row, index]
    if recorded.altered is not None:
        wrong |= altered[row, cell] != recorded.altered[row, index]
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {len(cell)} predictions in {part.path} do not follow from the weights, "
            f"the first for test image {index[wrong][0]} at {levels[row[wrong][0]]} attacks; "
            "sweep again with recompute=True"
        )
    return len(cell)


def plans(path: Path) -> list[Plan]:
    """What a file such as `params/normalisation.yaml` declares: the settings of its `plan` for its `networks`."""
    declared = yaml.safe_load(path.read_text())
    return [
        Plan(model=model, statistics=statistics, **declared["plan"])
        for model, chosen in declared["networks"].items()
        for statistics in chosen
    ]


if __name__ == "__main__":
    for plan in plans(Path(sys.argv[1])):
        print(plan.model, plan.statistics, sweep(plan), flush=True)
