"""What happens in a fastai Learner between batches and epochs: the rule of section 3.3, progress, and checkpoints."""

import time
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.learner import AvgSmoothLoss, Recorder
from torch import Tensor

from lib.store.files import write_atomically
from lib.store.progress import progress_bar
from lib.training.recipe import Recipe

CHECKPOINT_SECONDS = 60
SHOWN_SECONDS = 1  # between two losses beside the bar


class Uncounted(AvgSmoothLoss):
    """In place of fastai's smoothed loss, which is not shown: its reading would make a GPU wait for every batch."""

    def accumulate(self, learn: object) -> None:
        self.count += 1


def stream(seed: int, epoch: int, batch: int = 0) -> int:
    """A seed for the order of the images in an epoch (0, 1, ...; batch 0), or for the dropout of its batch 1, 2, ..."""
    return int(np.random.SeedSequence([seed, epoch, batch]).generate_state(1, np.uint64)[0] >> 1)


class Rule(Callback):
    """Trains by the recipe (section 3.3), records batches and epochs in `state`, and writes a checkpoint once a minute.

    Every batch depends on (seed, epoch, batch) only, so that a resumed training ends with the same weights. Losses stay
    on the device until they are shown or saved: reading each would make a GPU wait for every batch.
    """

    order = Recorder.order + 1

    def __init__(self, state: dict, recipe: Recipe, path: Path):
        self.state, self.recipe, self.path = state, recipe, path
        self.unread: list[Tensor] = []
        self.saved = time.monotonic()

    def before_epoch(self):
        self.opt.set_hyper("lr", self.recipe.learning_rate * self.recipe.decay ** len(self.state["epochs"]))

    def before_train(self):
        recipe, done = self.recipe, self.state["batch"]
        seed = stream(recipe.seed, len(self.state["epochs"]))
        order = torch.randperm(recipe.train_images, generator=torch.Generator().manual_seed(seed)).tolist()
        self.dls.train.get_idxs = lambda: order[done * recipe.batch_size :]
        what = f"{recipe.model} epoch {len(self.state['epochs']) + 1} of at most {recipe.max_epochs}"
        self.bar = progress_bar(-(-recipe.train_images // recipe.batch_size), what, "batch", done=done)
        self.started = self.shown = time.monotonic()

    def before_batch(self):
        if self.training:
            torch.manual_seed(stream(self.recipe.seed, len(self.state["epochs"]), self.state["batch"] + 1))

    def after_batch(self):
        if not self.training:
            return
        self.unread.append(self.loss.detach())
        self.state["batch"] += 1
        now = time.monotonic()
        if now - self.shown >= SHOWN_SECONDS:
            self._read_losses()
            self.bar.set_postfix(loss=f"{np.mean(self.state['losses'][-50:]):.3f}", refresh=False)
            self.shown = now
        self.bar.update()
        self.state["seconds"] += now - self.started
        self.started = now
        if now - self.saved >= CHECKPOINT_SECONDS:
            self.save()

    def _read_losses(self):
        if self.unread:
            self.state["losses"] += torch.stack(self.unread).tolist()
            self.unread.clear()

    def after_train(self):
        self._read_losses()
        self.bar.close()

    def after_epoch(self):
        _, validation_loss, validation_accuracy = self.recorder.values[-1]
        self.state["epochs"].append(
            {
                "epoch": len(self.state["epochs"]) + 1,
                "learning_rate": self.opt.hypers[-1]["lr"],
                "train_loss": float(np.mean(self.state["losses"][-self.state["batch"] :])),
                "validation_loss": float(validation_loss),
                "accuracy": round(100 * float(validation_accuracy), 4),  # float32 leaves 99.1 % just below it
                "seconds": round(self.state["seconds"], 1),
            }
        )
        self.state |= {"batch": 0, "seconds": 0.0}
        self.save()
        if self.recipe.is_finished(self.state["epochs"]):
            raise CancelFitException

    def save(self):
        self._read_losses()
        content = {**self.state, "net": self.learn.model.state_dict(), "optimizer": self.opt.state_dict()}
        write_atomically(self.path, lambda file: torch.save(content, file))
        self.saved = time.monotonic()
