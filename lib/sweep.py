"""The sweep (section 3.4): what a trained network answers at every noise, level and draw, kept on disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import Timeout
from tqdm import tqdm

from lib import data, nets
from lib.inference import BLOCK, Predictor, predictor
from lib.plan import CLEAN, Part, Plan
from lib.progress import progress_bar
from lib.records import ROOT, file_hash, lock, provenance, read_arrays, write_arrays

CHECKED_CELLS = 50  # predictions recomputed from the weights for each recorded file
TOLERANCE = 0.01  # of a probability: other processors and engines round differently, files hold float16


@dataclass(frozen=True)
class Predictions:
    """What one file holds: arrays (levels, images), and the record of what made them."""

    predicted: np.ndarray  # uint8, the class
    probability: np.ndarray  # float16, of the true class
    attacked: np.ndarray  # uint16, draws really made
    altered: np.ndarray  # uint16, pixels whose brightness differs from the clean image's
    record: dict  # the part's recipe, model, training seed, hash of the weights, versions, commit

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        record, arrays = read_arrays(path)
        if record["recipe"]["noise"] == CLEAN:  # files of the clean images may be older than the array
            arrays.setdefault("altered", np.zeros_like(arrays["attacked"]))
        return cls(**arrays, record=record)

    def write(self, path: Path) -> None:
        arrays = {name: value for name, value in vars(self).items() if name != "record"}
        write_arrays(path, self.record, arrays)


def sweep(plan: Plan) -> dict[str, int]:
    """Record what the network answers for every part of the plan; what is recorded already is checked and kept.

    Paper: section 3.4. Several processes may work on the same network. A run that is killed keeps its finished parts.

    Returns:
        counts: parts `computed` and `reused`, and `checked` cells, recomputed from the weights and found the same.

    Raises:
        FileNotFoundError: if the network is not trained; it names the command that does.
        ValueError: if recorded predictions do not follow from the weights.
    """
    net = nets.load(plan.model, plan.train_seed, ROOT / plan.outputs)
    weights = file_hash(nets.weights_path(plan.model, plan.train_seed, ROOT / plan.outputs))
    probabilities = predictor(net, plan.engine, plan.bfloat16, plan.space)
    digits = data.load()
    images = nets.upscale(digits.test_images[: plan.images], plan.space, net.resize)
    labels = digits.test_labels[: plan.images]

    parts = plan.parts()
    reused = [] if plan.recompute else [part for part in parts if _holds(part, weights)]
    for part in reused:
        _check(part, probabilities, images, labels)

    record = {"model": plan.model, "train_seed": plan.train_seed, "weights": weights, **provenance()}
    todo = [part for part in parts if part not in reused]
    computed = 0
    if todo:
        with progress_bar(sum(part.cells for part in todo), f"{plan.model} sweep", "image") as bar:
            for part in in_turn(todo):
                if not plan.recompute and _holds(part, weights):  # another process was here
                    bar.update(part.cells)
                else:
                    predict(part, probabilities, images, labels, record, bar).write(part.path)
                    computed += 1
    return {"computed": computed, "reused": len(parts) - computed, "checked": CHECKED_CELLS * len(reused)}


def recorded(plan: Plan) -> bool:
    """Whether every part of the plan is on disk, made by the weights that lie there now."""
    path = nets.weights_path(plan.model, plan.train_seed, ROOT / plan.outputs)
    if not path.is_file() or not all(part.path.is_file() for part in plan.parts()):
        return False
    weights = file_hash(path)
    return all(_holds(part, weights) for part in plan.parts())


def _holds(part: Part, weights: str) -> bool:
    """Whether the part is on disk and was made by its very recipe and these weights."""
    if not part.path.is_file():
        return False
    record, _ = read_arrays(part.path)
    return record["recipe"] == part.recipe and record["weights"] == weights


def in_turn(parts: list) -> Iterator:
    """Each part with the lock of its `path` held: first those that no other process is at, then the rest."""
    busy = []
    for part in parts:
        try:
            with lock(part.path, timeout=0):
                yield part
        except Timeout:
            busy.append(part)
    for part in busy:
        with lock(part.path):
            yield part


def predict(part: Part, probabilities: Predictor, images, labels, record: dict, bar: tqdm) -> Predictions:
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
        for start in range(0, len(asked), BLOCK):
            block = asked[start : start + BLOCK]
            found = probabilities(noisy[level, block])  # (block, 10)
            predicted[level, block] = found.argmax(axis=1)
            probability[level, block] = found[np.arange(len(found)), labels[block]]
            bar.update(len(found))
    counts = attacked.astype(np.uint16), altered.astype(np.uint16)
    return Predictions(predicted, probability, *counts, record | {"recipe": part.recipe})


def _check(part: Part, probabilities: Predictor, images: np.ndarray, labels: np.ndarray) -> None:
    """Recompute a random sample of a recorded part's cells from the weights.

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
    wrong |= altered[row, cell] != recorded.altered[row, index]
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {CHECKED_CELLS} predictions in {part.path} do not follow from the weights, "
            f"the first for test image {index[wrong][0]} at {levels[row[wrong][0]]} attacks; "
            "sweep again with recompute=True"
        )
