"""The sweep (section 3.4): what a trained network answers at every noise, level and draw, kept on disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib import networks
from lib.evaluation.plan import Plan, SweepPart
from lib.store import data, parts
from lib.store.files import ROOT, read_arrays, write_arrays

CHECKED_CELLS = 50  # predictions recomputed from the weights for each recorded file
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
    probabilities = networks.predictor(net, plan.engine, plan.bfloat16, plan.space)
    images = networks.upscale(digits.test_images[: plan.images], plan.space, net.resize)
    labels = digits.test_labels[: plan.images]
    record = parts.origin(plan.model, plan.train_seed, plan.weights)

    def make(part: SweepPart, bar: tqdm) -> None:
        predict(part, probabilities, images, labels, record, bar).write(part.path)

    return parts.complete(
        plan.parts(),
        record["weights"],
        make,
        check=lambda part: _check(part, probabilities, images, labels),
        recompute=plan.recompute,
        title=f"{plan.model} sweep",
    )


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
    asked = np.arange(len(images))
    for level in range(len(levels)):
        if level:
            predicted[level], probability[level] = predicted[level - 1], probability[level - 1]
            asked = np.flatnonzero((noisy[level] != noisy[level - 1]).any(axis=(1, 2)))
        bar.update(len(images) - len(asked))
        for start in range(0, len(asked), networks.BATCH):
            batch = asked[start : start + networks.BATCH]
            found = probabilities(noisy[level, batch])  # (batch, 10)
            predicted[level, batch] = found.argmax(axis=1)
            probability[level, batch] = found[np.arange(len(found)), labels[batch]]
            bar.update(len(found))
    record = record | {"recipe": part.recipe}
    return Predictions(predicted, probability, attacked.astype(np.uint16), record, altered.astype(np.uint16))


def _check(part: SweepPart, probabilities: networks.Predictor, images: np.ndarray, labels: np.ndarray) -> int:
    """Recompute a random sample of a recorded part's cells from the weights: their number.

    Raises:
        ValueError: if one differs by more than rounding.
    """
    recorded = Predictions.read(part.path)
    levels = part.recipe["levels"]
    random = np.random.default_rng()
    row = random.integers(len(levels), size=CHECKED_CELLS)
    index = random.integers(len(images), size=CHECKED_CELLS)
    cell = np.arange(CHECKED_CELLS)
    noisy, attacked, altered = part.attack(images[index], index, levels)
    found = probabilities(noisy[row, cell])  # (cells, 10)
    wrong = np.abs(found[cell, labels[index]] - recorded.probability[row, index]) > TOLERANCE
    wrong |= found[cell, recorded.predicted[row, index]] < found.max(axis=1) - TOLERANCE
    wrong |= attacked[row, cell] != recorded.attacked[row, index]
    if recorded.altered is not None:
        wrong |= altered[row, cell] != recorded.altered[row, index]
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {CHECKED_CELLS} predictions in {part.path} do not follow from the weights, "
            f"the first for test image {index[wrong][0]} at {levels[row[wrong][0]]} attacks; "
            "sweep again with recompute=True"
        )
    return CHECKED_CELLS
