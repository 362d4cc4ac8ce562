"""Training by the paper's rule (section 3.3) with a fastai Learner; a run that is killed continues where it was."""

import time
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner, Recorder
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from fastai.torch_core import default_device
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lib import data, nets
from lib.progress import progress_bar
from lib.records import ROOT, lock, provenance, recipe_hash, write_atomically

PAPER_TARGET = 99.0  # percent of the validation images; the fully connected net has no target (section 3.3)
CHECKPOINT_SECONDS = 60


class Recipe(BaseModel):
    """All that decides the weights of one network; the defaults are the paper's rule as we read it.

    A recipe that differs from them goes by a name of its own, `MODEL@WORD`, so that it never passes for the paper's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    seed: int = Field(0, ge=0)  # initial weights, order of the images, dropout
    learning_rate: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    decay: float = Field(0.1, gt=0, le=1)  # the learning rate is multiplied by it after every epoch
    batch_size: int = Field(64, ge=2)
    target: float | None = Field(None, ge=0, le=100)  # validation accuracy, percent; None: the paper's rule
    max_epochs: int = Field(4, ge=1)
    train_images: int = Field(55_000, ge=2, le=55_000)  # the first of the training images
    normalize: Literal["mnist", "none", "imagenet"] = "mnist"
    resize: Literal["nearest", "bilinear"] = "nearest"
    outputs: Path = Field(Path("outputs"), exclude=True)  # from the repository's root
    recompute: bool = Field(False, exclude=True)  # train although weights by this recipe are recorded

    @field_validator("model")
    @classmethod
    def _known_model(cls, model: str) -> str:
        nets.architecture(model)
        return model

    @model_validator(mode="after")
    def _variant_has_a_name(self) -> "Recipe":
        changed = self.model_dump(exclude={"model", "seed"}, exclude_defaults=True)
        if changed and "@" not in self.model:
            raise ValueError(
                f"{changed} is not the paper's recipe; give the network a name of its own, such as '{self.model}@WORD'"
            )
        return self

    @property
    def weights(self) -> Path:
        return nets.weights_path(self.model, self.seed, ROOT / self.outputs)

    @property
    def stop_at(self) -> float:
        """Validation accuracy in percent; infinity where only `max_epochs` ends the training."""
        rule = float("inf") if self.model.partition("@")[0] == "fc" else PAPER_TARGET
        return rule if self.target is None else self.target

    def is_finished(self, epochs: list[dict]) -> bool:
        """Whether training ends after these epochs (section 3.3)."""
        return len(epochs) >= self.max_epochs or any(epoch["accuracy"] >= self.stop_at for epoch in epochs)


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


class StepDecay(Callback):
    """Sets the learning rate once an epoch: `rate` x `decay`^epoch (section 3.3)."""

    def __init__(self, rate: float, decay: float, epochs_done: int):
        self.rate, self.decay, self.epochs_done = rate, decay, epochs_done

    def before_epoch(self):
        self.opt.set_hyper("lr", self.rate * self.decay ** (self.epochs_done + self.epoch))


class History(Callback):
    """Records the loss of every batch and the outcome of every epoch in `state`, and shows progress."""

    order = Recorder.order + 1

    def __init__(self, state: dict, recipe: Recipe):
        self.state, self.recipe = state, recipe

    def before_train(self):
        batches = -(-self.recipe.train_images // self.recipe.batch_size)
        epoch = len(self.state["epochs"]) + 1
        what = f"{self.recipe.model} epoch {epoch} of at most {self.recipe.max_epochs}"
        self.bar = progress_bar(batches, what, "batch", done=self.state["batch"])
        self.started = time.monotonic()

    def after_batch(self):
        if self.training:
            self.state["losses"].append(self.loss.item())
            self.state["batch"] += 1
            self.bar.set_postfix(loss=f"{np.mean(self.state['losses'][-50:]):.3f}", refresh=False)
            self.bar.update()
            now = time.monotonic()
            self.state["seconds"] += now - self.started
            self.started = now

    def after_train(self):
        self.bar.close()

    def after_epoch(self):
        _, validation_loss, validation_accuracy = self.recorder.values[-1]
        batches = self.state["batch"]
        self.state["epochs"].append(
            {
                "epoch": len(self.state["epochs"]) + 1,
                "learning_rate": self.opt.hypers[-1]["lr"],
                "train_loss": float(np.mean(self.state["losses"][-batches:])),
                "validation_loss": float(validation_loss),
                "accuracy": 100 * float(validation_accuracy),
                "seconds": round(self.state["seconds"], 1),
            }
        )
        self.state |= {"batch": 0, "seconds": 0.0}


class Resume(Callback):
    """Makes every batch depend on (seed, epoch, batch) alone, and keeps the run on disk once a minute."""

    order = History.order + 1

    def __init__(self, state: dict, recipe: Recipe, path: Path):
        self.state, self.recipe, self.path = state, recipe, path
        self.saved = time.monotonic()

    def _stream(self, batch: int = 0) -> int:
        """A seed for this epoch's order (batch 0) or for the dropout of its batch 1, 2, ..."""
        entropy = np.random.SeedSequence([self.recipe.seed, len(self.state["epochs"]), batch])
        return int(entropy.generate_state(1, np.uint64)[0] >> 1)

    def before_train(self):
        loader = self.dls.train
        generator = torch.Generator().manual_seed(self._stream())
        order = torch.randperm(self.recipe.train_images, generator=generator).tolist()
        loader.order = order[self.state["batch"] * self.recipe.batch_size :]

    def before_batch(self):
        if self.training:
            torch.manual_seed(self._stream(self.state["batch"] + 1))

    def after_batch(self):
        if self.training and time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            self.save()

    def after_epoch(self):
        self.save()

    def save(self):
        content = {**self.state, "net": self.learn.model.state_dict(), "optimizer": self.opt.state_dict()}
        write_atomically(self.path, lambda file: torch.save(content, file))
        self.saved = time.monotonic()


class StopAtTarget(Callback):
    """Ends the training after the first epoch that reaches the target (section 3.3)."""

    order = Resume.order + 1

    def __init__(self, state: dict, recipe: Recipe):
        self.state, self.recipe = state, recipe

    def after_epoch(self):
        if self.recipe.is_finished(self.state["epochs"]):
            raise CancelFitException


def train(recipe: Recipe) -> dict:
    """Train one network and write its weights file, or find it written; a killed run continues.

    Paper: section 3.3. The validation images are the last 5,000 training images; the test set is not touched.

    Returns:
        the record in the header of the weights file: `recipe`, `epochs` (a dict each), `losses` (one a batch),
        `stored_accuracy` (percent of the validation images, with the weights as stored), versions, commit.

    Raises:
        ValueError: if weights by another recipe lie under this name.
    """
    made_by = recipe.model_dump(mode="json")
    stem = f"{nets.file_stem(recipe.model, recipe.seed)}-{recipe_hash(made_by)}"
    checkpoint = ROOT / recipe.outputs / "checkpoints" / f"{stem}.pt"
    with lock(checkpoint):
        if recipe.weights.is_file() and not recipe.recompute:
            record = nets.read_record(recipe.weights)
            if record["recipe"] != made_by:
                raise ValueError(
                    f"{recipe.weights} was made by another recipe: {record['recipe']}; choose another "
                    f"@WORD for {made_by}, or recompute=True to replace it"
                )
            return record
        maker = provenance()  # of the code as it is when the run begins
        net, history = _fit(recipe, checkpoint)
        record = {"recipe": made_by, **history, "threads": torch.get_num_threads(), **maker}
        nets.save_weights(net, recipe.weights, record)
        checkpoint.unlink()
    return nets.read_record(recipe.weights)


def _fit(recipe: Recipe, checkpoint: Path) -> tuple[nets.Net, dict]:
    """The trained network, its weights rounded as they will be stored, and what happened; from a checkpoint if any."""
    train_images, train_labels, valid_images, valid_labels = data.load().split()
    count = recipe.train_images
    loaders = DataLoaders(
        TensorLoader(train_images[:count], train_labels[:count], recipe.batch_size),
        TensorLoader(valid_images, valid_labels, 250),
    )
    net = nets.build(recipe.model, recipe.seed, normalize=recipe.normalize, resize=recipe.resize)
    net = net.to(default_device(), memory_format=nets.memory_format(net))
    learner = Learner(
        loaders,
        net,
        loss_func=CrossEntropyLossFlat(),
        opt_func=partial(OptimWrapper, opt=torch.optim.SGD, momentum=recipe.momentum),
        metrics=accuracy,
    )
    learner.recorder.add_time = False
    learner.create_opt()
    state = {"epochs": [], "losses": [], "batch": 0, "seconds": 0.0}
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True, map_location=default_device())
        net.load_state_dict(saved.pop("net"))
        learner.opt.load_state_dict(saved.pop("optimizer"))
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
    net.load_state_dict(nets.as_stored(net))
    return net, {
        "epochs": state["epochs"],
        "losses": [round(loss, 4) for loss in state["losses"]],
        "stored_accuracy": 100 * float(learner.validate()[1]),
    }
