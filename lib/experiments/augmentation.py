"""Does training on one noise help against the others? The paper's FC, trained for one epoch with each noise.

The paper trains on clean images. Here every training image goes through `PixelNoise`, with new noise in each batch; the
rest follows the paper (section 3.3). All have the same seed, and with it the initial weights and the order of the
images. There is one training of each kind: the spread between trainings is not measured.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import networks
from lib.evaluation.plan import CLEAN
from lib.evaluation.results import interval
from lib.noise import NOISES, perturb
from lib.paper import PAPER_NOISES, TABLE_1_LEVELS
from lib.statistics.bootstrap import limits, resample
from lib.statistics.contrasts import verdict
from lib.store import data, parts
from lib.store.files import provenance, read_arrays, write_arrays
from lib.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

MODEL, SEED = "fc", 0
DRAWING: dict[str, Any] = {"replacement": False, "source": "current"}
TESTED = 2_000  # test images, from the first on
COPIES = 4  # of each pixel, in the upscaled image


class Augmented(parts.Part):
    """The predictions under all noises after one training with a noise or without: one file, weights not kept."""

    @property
    def label(self) -> str:
        return self.recipe["noise"]

    @property
    def size(self) -> int:
        return self.recipe["train_images"]

    def made(self, record: dict, weights: str) -> bool:
        return record["recipe"] == self.recipe

    def right(self) -> np.ndarray:
        """Whether each prediction is right, (noises, levels, images) bool, in the order of the recipe's `tested`."""
        labels = data.load().test_labels[: self.recipe["images"]]
        return read_arrays(self.path)[1]["predicted"] == labels


def trainings(outputs: Path, train_images: int = 55_000, images: int = TESTED) -> list[Augmented]:
    """The training without noise, then one with each of the paper's noises, from 0 to 200 attacks an image."""
    shared = {
        "model": MODEL,
        "seed": SEED,
        "train_images": train_images,
        "attacks": [0, TABLE_1_LEVELS[-1]],  # of a training image
        "images": images,
        "tested": {noise: NOISES[noise].c for noise in PAPER_NOISES},
        "levels": list(TABLE_1_LEVELS),
        "draw": 0,
        **DRAWING,
    }
    return [Augmented(outputs / "augmentation", {"noise": noise, **shared}) for noise in (CLEAN, *PAPER_NOISES)]


def complete(wanted: list[Augmented], recompute: bool = False) -> dict[str, int]:
    """Train and test what is not recorded yet (`parts.complete`)."""

    def make(part: Augmented, bar: tqdm) -> None:
        predicted = predictions(train(part.recipe, bar), part.recipe)
        write_arrays(part.path, {"recipe": part.recipe, **provenance()}, {"predicted": predicted})

    return parts.complete(wanted, "", make, check=lambda _: 0, recompute=recompute, title="training with the noises")


def train(recipe: dict, bar: tqdm) -> nn.Module:
    """Train for one epoch on the first of the training images; `bar` counts images."""
    import torch
    from torch import nn
    from torch.nn import functional

    from lib.noise import PixelNoise

    rule = Recipe(model=recipe["model"])
    images, labels = (array[: recipe["train_images"]] for array in data.load().split()[:2])
    pixels, classes = torch.from_numpy(images.copy())[:, None], torch.from_numpy(labels.astype(np.int64))
    clean = recipe["noise"] == CLEAN
    augment = nn.Identity() if clean else PixelNoise(recipe["noise"], recipe["attacks"], **DRAWING)
    net = collapsed(networks.build(recipe["model"], recipe["seed"]))
    first, *others = net.parameters()
    groups = [{"params": [first], "lr": COPIES * rule.learning_rate}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=rule.learning_rate, momentum=rule.momentum)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe["seed"])
        for batch in torch.randperm(len(pixels)).split(rule.batch_size):
            loss = functional.cross_entropy(net(augment(pixels[batch]) / 255), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.update(len(batch))
    return net


def collapsed(net: networks.Net) -> nn.Module:
    """FC on images that are not upscaled, (n, 1, 28, 28): the same function for a quarter of the work.

    Upscaling copies each pixel `COPIES` times, so each first-layer weight is the sum of the weights of the copies. With
    a learning rate `COPIES` times as high, SGD trains the same function as in `net`.
    """
    import torch
    from torch import nn
    from torchvision.transforms import v2

    flatten, dense, *rest = net.body
    side = networks.SIZE // 2
    first = nn.utils.skip_init(nn.Linear, side * side, dense.out_features)
    with torch.no_grad():
        first.weight.copy_(dense.weight.unflatten(1, (side, 2, side, 2)).sum(dim=(2, 4)).flatten(1))
        first.bias.copy_(dense.bias)
    return nn.Sequential(v2.Normalize([net.mean], [net.deviation]), flatten, first, *rest)


def predictions(net: nn.Module, recipe: dict) -> np.ndarray:
    """The predicted classes at every level of every noise tested, (noises, levels, images) uint8."""
    import torch

    images = data.load().test_images[: recipe["images"]]
    found = []
    for noise, c in recipe["tested"].items():
        noisy = perturb(images, noise, recipe["levels"], c=c, seed=recipe["draw"], **DRAWING)  # (levels, n, 28, 28)
        with torch.inference_mode():
            found.append([net(torch.from_numpy(level)[:, None] / 255).argmax(dim=1).numpy() for level in noisy])
    return np.array(found, np.uint8)


def compared(tested: list[Augmented], attacks: int) -> pd.DataFrame:
    """Accuracy of each training on clean images and at one level of each noise; ValueError if it was not tested.

    Columns: trained, noise (of the training and of the test, or `CLEAN`), accuracy, low, high (percent, 95 % interval
    over images), gain, gain_low, gain_high (points above the training without noise, paired over images; all intervals
    hold together with 95 %), verdict (of the gain; empty for the training without noise).
    """
    recipe = tested[0].recipe
    if attacks not in recipe["levels"][1:]:
        raise ValueError(f"{attacks} attacks were not tested; choose from {recipe['levels'][1:]}")
    level = recipe["levels"].index(attacks)
    right = np.stack([part.right() for part in tested])  # (trainings, noises, levels, images)
    right = np.concatenate([right[:, :1, 0], right[:, :, level]], axis=1)  # (trainings, 1 + noises, images)
    gain = right.astype(np.int8) - right[0]  # whole numbers, so that every machine finds the same means
    low, high = limits(100 * resample(gain), family=gain[1:, :, 0].size)
    names, rows = [part.recipe["noise"] for part in tested], []
    for (row, trained), (column, noise) in product(enumerate(names), enumerate((CLEAN, *recipe["tested"]))):
        at, found = (row, column), right[row, column]
        gained = (100 * gain[at].mean(), low[at], high[at], verdict(low[at], high[at]) if row else "")
        rows.append((trained, noise, 100 * found.mean(), *interval(found[None]), *gained))
    columns = ["trained", "noise", "accuracy", "low", "high", "gain", "gain_low", "gain_high", "verdict"]
    return pd.DataFrame(rows, columns=columns)
