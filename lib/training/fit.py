"""Training by the paper's rule (section 3.3) with a fastai Learner; a run that is killed continues where it was."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from fastai.torch_core import default_device

from lib import networks
from lib.store import data
from lib.store.files import ROOT, file_hash, lock, provenance, recipe_hash, write_atomically
from lib.training.callbacks import History, Resume, StepDecay, StopAtTarget
from lib.training.recipe import Recipe
from lib.training.rehearsal import rehearse


class TensorLoader(DataLoader):
    """Batches cut from arrays in memory; `order` is the order of the images, all of them as they lie by default."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch_size: int):
        super().__init__(range(len(labels)), bs=batch_size)
        self.images = torch.from_numpy(images.copy()).unsqueeze(1)  # (n, 1, 28, 28) uint8
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.order = list(range(len(labels)))

    def get_idxs(self) -> list[int]:
        return self.order

    def create_item(self, index: int) -> int:
        return index

    def create_batch(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[indices].float() / 255, self.labels[indices]

    def retain(self, batch: tuple, _: list[int]) -> tuple:
        return batch


def train(recipe: Recipe, then: Recipe | None = None) -> dict:
    """Train one network and write its weights file, or find it written; a killed run continues.

    Paper: section 3.3. The validation images are the last 5,000 training images; the test set is not touched.

    Args:
        then: the same with more epochs, to be trained next: it goes on where this one ends, with the weights that it
            would reach from the start.

    Returns:
        the record in the header of the weights file: `recipe` (`Recipe.recorded`) with its version, `epochs` (a dict
        each), `losses` (one a batch),
        `stored_accuracy` (percent of the validation images, with the weights as stored), versions, commit.

    Raises:
        ValueError: if weights by another recipe lie under this name, `then` does not begin with this recipe, or the
            network could not be trained, stored or measured (`rehearse`).
    """
    if then is not None and not then.begins_with(recipe):
        raise ValueError(f"{then} does not go on where {recipe} ends")
    if recipe.weights.is_file() and not recipe.recompute:  # who may only read can have no lock
        return _recorded(recipe)
    rehearse(recipe)
    checkpoint = _checkpoint(recipe)
    with lock(checkpoint):
        if recipe.weights.is_file() and not recipe.recompute:  # another process was here
            return _recorded(recipe)
        maker = provenance()  # of the code as it is when the run begins
        net, history = _fit(recipe, checkpoint)
        made_by = {"recipe": recipe.recorded, "recipe_version": recipe.VERSION, "device": _device()}
        record = {**made_by, **history, "threads": torch.get_num_threads(), **maker}
        kept = recipe.weights.with_suffix(".json")  # against damage, and for where the weights are not kept
        kept.unlink(missing_ok=True)  # of other weights
        networks.save_weights(net, recipe.weights, record)
        told = json.dumps(record | {"weights": file_hash(recipe.weights)}) + "\n"
        write_atomically(kept, lambda file: file.write(told.encode()))
        if then is None or then.weights.is_file():
            checkpoint.unlink()
        else:
            checkpoint.replace(_checkpoint(then))
    return networks.read_record(recipe.weights)


def _recorded(recipe: Recipe) -> dict:
    record = networks.read_record(recipe.weights)
    if recipe.of(record).recorded != recipe.recorded:
        raise ValueError(
            f"{recipe.weights} was made by another recipe: {record['recipe']}; choose another "
            f"@WORD for {recipe.recorded}, or recompute=True to replace it"
        )
    return record


def _device() -> str:
    """What trains: the graphics card by its name, whose convolutions round to TF32 by torch's default, or the CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _optimizer(recipe: Recipe) -> Callable:
    """torch's own optimizer, for fastai; its learning rate is set by the callbacks."""
    if recipe.optimizer == "adam":
        return partial(OptimWrapper, opt=torch.optim.Adam)
    return partial(OptimWrapper, opt=torch.optim.SGD, momentum=recipe.momentum)


def _checkpoint(recipe: Recipe) -> Path:
    stem = f"{networks.file_stem(recipe.model, recipe.seed)}-{recipe_hash(recipe.recorded)}"
    return ROOT / recipe.outputs / "checkpoints" / f"{stem}.pt"


def _fit(recipe: Recipe, checkpoint: Path) -> tuple[networks.Net, dict]:
    """The trained network, its weights rounded as they will be stored, and what happened; from a checkpoint if any."""
    train_images, train_labels, valid_images, valid_labels = data.load(recipe.dataset).split()
    count = recipe.train_images
    loaders = DataLoaders(
        TensorLoader(train_images[:count], train_labels[:count], recipe.batch_size),
        TensorLoader(valid_images, valid_labels, 250),
    )
    net = networks.build(recipe.model, recipe.seed, **recipe.input)
    net = net.to(default_device(), memory_format=networks.memory_format(net))
    learner = Learner(
        loaders,
        net,
        loss_func=CrossEntropyLossFlat(),
        opt_func=_optimizer(recipe),
        metrics=accuracy,
    )
    learner.recorder.add_time = False
    learner.create_opt()
    state: dict[str, Any] = {"epochs": [], "losses": [], "batch": 0, "seconds": 0.0}
    if checkpoint.is_file():
        content = io.BytesIO(checkpoint.read_bytes())
        try:
            saved = torch.load(content, weights_only=True, map_location=default_device())
            net.load_state_dict(saved.pop("net"))
            learner.opt.load_state_dict(saved.pop("optimizer"))
        except Exception as error:  # from bytes in memory: whatever it is, they are not what was written
            told = f"damaged checkpoint {checkpoint} ({type(error).__name__}); delete it, and the training begins anew"
            raise ValueError(told) from None
        state = saved
    callbacks = [
        StepDecay(recipe.learning_rate, recipe.decay, len(state["epochs"])),
        History(state, recipe),
        Resume(state, recipe, checkpoint),
        StopAtTarget(state, recipe),
    ]
    if not recipe.is_finished(state["epochs"]):
        with learner.no_logging():
            learner.fit(recipe.max_epochs - len(state["epochs"]), lr=recipe.learning_rate, cbs=callbacks)
    kept = networks.build(recipe.model, recipe.seed, **recipe.input)  # as whoever reads the file will have it
    networks.restore(kept, networks.as_stored(net))
    learner.model = kept.to(default_device(), memory_format=networks.memory_format(kept))
    return kept, {
        "epochs": state["epochs"],
        "losses": [round(loss, 4) for loss in state["losses"]],
        "stored_accuracy": round(100 * float(learner.validate()[1]), 4),
    }
