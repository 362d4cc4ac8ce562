"""Networks asked as in training: batch normalisation by each batch's own statistics, not by those of the training.

A PyTorch program that forgets `model.eval()` asks so. `python -m lib.readings.batch_statistics NETWORK ...` asks what
is not recorded yet, under the reading of the noise that is nearest to Table 1.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from lib import networks
from lib.evaluation.plan import CLEAN, USUAL_NOISES, SweepPart
from lib.evaluation.sweep import Predictions
from lib.readings.answers import AnswerFile, Ask, complete
from lib.readings.matrix import DEFAULT
from lib.store import data
from lib.store.files import OUTPUTS
from lib.store.parts import origin

BATCH = 64  # images, as in training
IMAGES = 2_000  # the first of the test images
ATTACKS = 200
MODELS = ("resnet18", "resnet50", "resnetv2_50", "efficientnet_b1")  # of those that have batch normalisation


def parts(model: str, outputs: Path = OUTPUTS, images: int = IMAGES) -> list[SweepPart]:
    """The clean images, then each noise at `ATTACKS`."""
    found = []
    for noise in (CLEAN, *USUAL_NOISES):
        part = DEFAULT.part(model, noise, outputs, images)
        levels = part.recipe["levels"] if noise == CLEAN else [ATTACKS]
        found.append(SweepPart(part.folder, part.recipe | {"levels": levels, "batch_statistics": BATCH}))
    return found


def answers_path(model: str, outputs: Path = OUTPUTS) -> Path:
    """Where a network's answers by each batch's own statistics lie."""
    return outputs / "readings" / "batch-statistics" / f"{networks.file_stem(model, 0)}.npz"


def run(model: str, outputs: Path = OUTPUTS, images: int = IMAGES) -> int:
    """Ask a trained network what is not recorded yet (`answers.complete`); how many parts.

    Raises:
        FileNotFoundError: if something is missing and the network is not trained; it names the command that does.
    """
    weights, digits = networks.weights_path(model, 0, outputs), data.load().test_images[:images]

    def begin() -> Ask:
        classes, record = by_batch(networks.probed(networks.load(model, 0, outputs), model)), origin(model, 0, weights)

        def ask(part: SweepPart, bar: tqdm) -> Predictions:
            noisy, drawn, altered = part.attack(digits, np.arange(images), part.recipe["levels"])
            predicted = np.stack([classes(level) for level in noisy]).astype(np.uint8)
            bar.update(part.size)
            return Predictions(predicted, np.zeros(0), drawn, record | {"recipe": part.recipe}, altered)

        return ask

    wanted = parts(model, outputs, images)
    return complete(answers_path(model, outputs), wanted, weights, begin, f"{model} by batch statistics")


def by_batch(net: networks.Net) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images (n, 28, 28) uint8 to their classes (n,), asked in batches of `BATCH` as they lie.

    Only batch normalisation is as in training; dropout stays off, and `net` stays as it is.
    """
    net = copy.deepcopy(net).to(memory_format=networks.memory_format(net))
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = None

    def classes(images: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(images.copy())[:, None].float() / 255
        with torch.inference_mode():
            return torch.cat([net(batch).argmax(dim=1) for batch in pixels.split(BATCH)]).numpy()

    return classes


def accuracies(models: tuple[str, ...] = MODELS, outputs: Path = OUTPUTS, images: int = IMAGES) -> pd.DataFrame:
    """What is recorded: columns model, noise (`CLEAN` among them), attacks, accuracy (percent)."""
    rows = []
    for model in models:
        answers = AnswerFile.read(answers_path(model, outputs))
        for part in parts(model, outputs, images):
            if answers.holds(part, None):
                told = zip(part.recipe["levels"], answers.accuracy(part), strict=True)
                rows += [(model, part.recipe["noise"], attacks, accuracy) for attacks, accuracy in told]
    return pd.DataFrame(rows, columns=["model", "noise", "attacks", "accuracy"])


if __name__ == "__main__":
    for model in sys.argv[1:] or MODELS:
        run(model)
