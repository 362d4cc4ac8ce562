"""Networks asked as in training: batch normalisation by each batch's own statistics, not by those of the training.

A PyTorch program that forgets `model.eval()` asks so. `python -m lib.readings.batch_statistics NETWORK ...` asks what
is not recorded yet, under the reading of the noise that is nearest to Table 1.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lib import networks
from lib.evaluation.plan import CLEAN, USUAL_NOISES, SweepPart
from lib.evaluation.sweep import Predictions
from lib.readings.answers import AnswerFile
from lib.readings.matrix import IMAGES, SHOWN
from lib.store import data
from lib.store.files import OUTPUTS, lock
from lib.store.parts import origin
from lib.store.progress import progress_bar

BATCH = 64  # images, as in training
MODELS = ("resnet18", "resnet50", "resnetv2_50", "efficientnet_b1")  # of those that have batch normalisation


def parts(model: str, outputs: Path = OUTPUTS, images: int = IMAGES) -> list[SweepPart]:
    """The clean images, then each noise at the levels of Table 1."""
    found = [SHOWN[0].part(model, noise, outputs, images) for noise in (CLEAN, *USUAL_NOISES)]
    return [SweepPart(part.folder, part.recipe | {"batch_statistics": BATCH}) for part in found]


def answers_path(model: str, outputs: Path = OUTPUTS) -> Path:
    return outputs / "readings" / "batch-statistics" / f"{networks.file_stem(model, 0)}.npz"


def run(model: str, outputs: Path = OUTPUTS, images: int = IMAGES) -> int:
    """Ask a trained network what is not recorded yet; how many parts.

    Raises:
        FileNotFoundError: if the network is not trained; it names the command that does.
    """
    path, weights = answers_path(model, outputs), networks.weights_path(model, 0, outputs)
    answers = AnswerFile.read(path)
    if all(answers.holds(part, None) for part in parts(model, outputs, images)):
        return 0
    answer = by_batch(networks.load(model, 0, outputs))
    record = origin(model, 0, weights)
    digits, labels = data.load().test_images[:images], data.load().test_labels[:images]
    with lock(path):
        answers = AnswerFile.read(path)
        todo = [part for part in parts(model, outputs, images) if not answers.holds(part, record["weights"])]
        with progress_bar(sum(part.size for part in todo), f"{model} by batch statistics", "image") as bar:
            for part in todo:
                noisy, drawn, altered = part.attack(digits, np.arange(images), part.recipe["levels"])
                predicted = np.stack([answer(level) for level in noisy]).astype(np.uint8)
                found = Predictions(predicted, np.zeros(0), drawn, record | {"recipe": part.recipe})
                answers.add(part, found, labels, {"altered": altered.mean(axis=1).tolist()})
                answers.write(path)
                bar.update(part.size)
    return len(todo)


def by_batch(net: networks.Net) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images (n, 28, 28) uint8 to their classes (n,), asked in batches of `BATCH` as they lie.

    Only batch normalisation is as in training; dropout stays off, and what the network has learnt is not changed.
    """
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = None

    def classes(images: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(images.copy())[:, None].float() / 255
        with torch.inference_mode():
            return torch.cat([net(batch).argmax(dim=1) for batch in pixels.split(BATCH)]).numpy()

    return classes


if __name__ == "__main__":
    for model in sys.argv[1:] or MODELS:
        run(model)
