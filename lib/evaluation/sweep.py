"""The sweep (section 3.4): what a trained network predicts at every noise, level and draw, kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from lib import networks
from lib.evaluation.plan import UNNAMED, Plan, SweepPart
from lib.store import data, parts
from lib.store.files import ROOT, read_arrays, sampling, write_arrays

if TYPE_CHECKING:
    from lib.networks.net import Net

CHECKED_CELLS = 50  # predictions recomputed from the weights for each recorded file
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
        """What such a file holds; ValueError, which names it, if it is damaged or holds something else."""
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
    """Record what the network predicts for every part of the plan (section 3.4); what is recorded is checked and kept.

    In the counts (`parts.complete`), `checked` are cells, recomputed from the weights and found the same; none where
    the weights are not kept. Raises FileNotFoundError, which names the command, if the network is not trained, and
    ValueError if recorded predictions do not follow from the weights, the network was trained on another data set or
    that has fewer images, or it cannot be evaluated (`networks.probed`).
    """
    if not plan.weights.is_file() and recorded(plan) and not plan.recompute:
        return {"computed": 0, "reused": len(plan.parts()), "checked": 0}
    net = networks.load(plan.model, plan.train_seed, ROOT / plan.outputs, plan.dataset)
    if plan.space not in (networks.HEIGHT, net.size):
        raise ValueError(f"space={plan.space}: {plan.model} reads {net.reads}; choose space={networks.HEIGHT}")
    data.check_count(plan.images, data.load(plan.dataset).test_images, "images", plan.dataset)
    networks.probed(net, plan.model)
    record = parts.origin(plan.model, plan.train_seed, plan.weights)
    evaluator = Evaluator(net, record, plan.engine, plan.bfloat16, plan.space)
    return parts.complete(
        plan.parts(),
        record["weights"],
        make=evaluator.write,
        check=evaluator.check,
        recompute=plan.recompute,
        title=f"{plan.model} sweep",
    )


def recorded(plan: Plan) -> bool:
    """Whether every part of the plan is on disk, made by the weights that lie there now, or whose record does."""
    return parts.recorded(plan.parts(), plan.weights)


def confirmed(wrong: np.ndarray, images: np.ndarray, path: Path) -> int:
    """The number of recomputed predictions; ValueError if one of them is `wrong` in its file.

    `images` (n,) are the numbers of their test images.
    """
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {len(wrong)} predictions in {path} do not follow from the weights, "
            f"the first for test image {images[wrong][0]}; run it again with recompute=True"
        )
    return len(wrong)


class Evaluator:
    """What one trained network predicts for the parts of a sweep, under whichever statistics a part asks for."""

    def __init__(self, net: "Net", record: dict, engine: str = "auto", bfloat16: bool = False, space: int = 28):
        """`record` is what each file records besides the part's recipe (`parts.origin`); the rest is as in `Plan`."""
        self.net, self.record = net, record
        self.engine, self.bfloat16, self.space = engine, bfloat16, space
        self._fixed: dict[str, networks.Predictor] = {}

    def predict(self, part: SweepPart, bar: tqdm) -> Predictions:
        """The predictions for every image and level of a part; `bar` is moved on by an image at a time.

        An image that the attacks since the last level left as it was (nothing eligible left) is not evaluated again.
        """
        digits, recipe = self._digits(part), part.recipe
        images, labels = self._seen(digits.test_images[: recipe["images"]]), digits.test_labels[: recipe["images"]]
        levels, predictor = recipe["levels"], self.predictor(part)
        # (levels, n, H, W), 2x (levels, n)
        noisy, attacked, altered = part.attack(images, np.arange(len(images)), levels)
        predicted, probability = np.empty(attacked.shape, np.uint8), np.empty(attacked.shape, np.float16)
        together = networks.STATISTICS_BATCH if part.statistics == "batch" else networks.BATCH
        changed = np.arange(len(images))
        for row, level in enumerate(levels):
            if row and part.statistics == "frozen":
                predicted[row], probability[row] = predicted[row - 1], probability[row - 1]
                changed = np.flatnonzero((noisy[row] != noisy[row - 1]).any(axis=(1, 2)))
            bar.update(len(images) - len(changed))
            probabilities = predictor(level)
            for start in range(0, len(changed), together):
                batch = changed[start : start + together]
                found = probabilities(noisy[row, batch])  # (batch, 10)
                predicted[row, batch] = found.argmax(axis=1)
                probability[row, batch] = found[np.arange(len(found)), labels[batch]]
                bar.update(len(found))
        record = self.record | {"recipe": recipe}
        return Predictions(predicted, probability, attacked.astype(np.uint16), record, altered.astype(np.uint16))

    def write(self, part: SweepPart, bar: tqdm) -> None:
        """Record the predictions of a part."""
        self.predict(part, bar).write(part.path)

    def _frozen(self) -> networks.Predictor:
        return networks.predictor(self.net, self.engine, self.bfloat16, self.space)

    def remember(self) -> None:
        """Compute no image twice under frozen statistics: readings of the noise share some of their noisy images."""
        probabilities = self._frozen()
        known: dict[bytes, np.ndarray] = {}

        def found(images: np.ndarray) -> np.ndarray:
            keys = [image.tobytes() for image in images]
            new = [number for number, key in enumerate(keys) if key not in known]
            known.update(zip([keys[number] for number in new], probabilities(images[new]), strict=True))
            return np.stack([known[key] for key in keys])

        self._fixed["frozen"] = found

    def predictor(self, part: SweepPart) -> Callable[[int], "networks.Predictor"]:
        """Level -> the predictor that has this part's statistics at this level."""
        if part.statistics in ("frozen", "batch"):
            if part.statistics not in self._fixed:
                batch = part.statistics == "batch"
                self._fixed[part.statistics] = networks.batch_predictor(self.net) if batch else self._frozen()
            return lambda level: self._fixed[part.statistics]
        engine = "torch" if self.engine == "auto" else self.engine  # OpenVINO's translation takes longer than it saves
        training = self._digits(part).split()[0]
        chosen = part.trained_on(len(training))
        clean = self._seen(training[chosen])
        fit = networks.adapt
        if part.statistics == "moments":
            wanted, restored = networks.moments(self.net, clean), (UNNAMED | part.recipe)["restored"]
            fit = partial(networks.restore_moments, wanted=wanted, restored=restored)

        def at(level: int) -> networks.Predictor:
            noisy = part.adapting(clean, FIRST_TRAINING_IMAGE + chosen, level)
            return networks.predictor(fit(self.net, noisy), engine, self.bfloat16, self.space)

        return at

    def check(self, part: SweepPart) -> int:
        """Recompute a sample (`files.sampling`) of a recorded part's cells from the weights (`confirmed`).

        With statistics that are not frozen the cells are of one level; with those of each batch they are one batch.
        """
        recorded, random = Predictions.read(part.path), sampling(part.path)
        digits, levels = self._digits(part), part.recipe["levels"]
        images, labels = self._seen(digits.test_images[: part.recipe["images"]]), digits.test_labels
        row = random.integers(len(levels), size=CHECKED_CELLS)
        index = random.integers(len(images), size=CHECKED_CELLS)
        if part.statistics == "batch":
            start = index[0] - index[0] % networks.STATISTICS_BATCH
            index = np.arange(start, min(start + networks.STATISTICS_BATCH, len(images)))
        if part.statistics != "frozen":
            row = np.full(len(index), row[0])
        cell = np.arange(len(index))
        noisy, attacked, altered = part.attack(images[index], index, levels)
        found = self.predictor(part)(levels[row[0]])(noisy[row, cell])  # (cells, 10)
        wrong = np.abs(found[cell, labels[index]] - recorded.probability[row, index]) > TOLERANCE
        wrong |= found[cell, recorded.predicted[row, index]] < found.max(axis=1) - TOLERANCE
        wrong |= attacked[row, cell] != recorded.attacked[row, index]
        if recorded.altered is not None:
            wrong |= altered[row, cell] != recorded.altered[row, index]
        return confirmed(wrong, index, part.path)

    def _digits(self, part: SweepPart) -> data.Digits:
        return data.load((UNNAMED | part.recipe)["dataset"])

    def _seen(self, images: np.ndarray) -> np.ndarray:
        """The images at the size at which the noise falls."""
        return networks.upscale(images, self.space, self.net.resize)
