"""What happens in a fastai Learner between batches and epochs: the rule of section 3.3, progress, and checkpoints."""

import time
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.learner import Recorder
from torch import Tensor

from lib.store.files import write_atomically
from lib.store.progress import progress_bar
from lib.training.recipe import Recipe

CHECKPOINT_SECONDS = 60
SHOWN_SECONDS = 1  # between two losses beside the bar


class StepDecay(Callback):
    """Sets the learning rate once an epoch: `rate` x `decay`^epoch (section 3.3)."""

    def __init__(self, rate: float, decay: float, epochs_done: int):
        self.rate, self.decay, self.epochs_done = rate, decay, epochs_done

    def before_epoch(self):
        self.opt.set_hyper("lr", self.rate * self.decay ** (self.epochs_done + self.epoch))


class History(Callback):
    """Records the loss of every batch and the outcome of every epoch in `state`, and shows progress.

    Losses stay on the device until the bar shows them: reading each would make a card wait for every batch.
    """

    order = Recorder.order + 1

    def __init__(self, state: dict, recipe: Recipe):
        self.state, self.recipe = state, recipe
        self.unread: list[Tensor] = []

    def before_train(self):
        batches = -(-self.recipe.train_images // self.recipe.batch_size)
        epoch = len(self.state["epochs"]) + 1
        what = f"{self.recipe.model} epoch {epoch} of at most {self.recipe.max_epochs}"
        self.bar = progress_bar(batches, what, "batch", done=self.state["batch"])
        self.started = self.shown = time.monotonic()

    def after_batch(self):
        if self.training:
            self.unread.append(self.loss.detach())
            self.state["batch"] += 1
            now = time.monotonic()
            if now - self.shown >= SHOWN_SECONDS:
                self.read_losses()
                self.bar.set_postfix(loss=f"{np.mean(self.state['losses'][-50:]):.3f}", refresh=False)
                self.shown = now
            self.bar.update()
            self.state["seconds"] += now - self.started
            self.started = now

    def read_losses(self):
        """Move the losses since the last call into `state`."""
        if self.unread:
            self.state["losses"] += torch.stack(self.unread).tolist()
            self.unread.clear()

    def after_train(self):
        self.read_losses()
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
                "accuracy": round(100 * float(validation_accuracy), 4),  # float32 leaves 99.1 % just below it
                "seconds": round(self.state["seconds"], 1),
            }
        )
        self.state |= {"batch": 0, "seconds": 0.0}


class Resume(Callback):
    """Makes every batch depend on (seed, epoch, batch) only, and writes a checkpoint once a minute."""

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
        self.history.read_losses()
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
