"""Does a network that has seen one noise in its training withstand the others? The paper's FC for one epoch with each.

The paper trains on clean images alone. Here every training image goes through `PixelNoise`, anew in each batch; all
else is the paper's rule (section 3.3), and the seed, so that the weights at first and the order of the images are the
same for all. One training each: how far another seed would lie from it is not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import networks
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

CLEAN = "none"
MODEL, SEED = "fc", 0
DRAWING: dict[str, Any] = {"replacement": False, "source": "current"}
TESTED = 2_000  # the first of the test images
COPIES = 4  # of each pixel in the upscaled image


@dataclass(frozen=True)
class Augmented(parts.Part):
    """One training with a noise or with none, and its answers to all noises: one file, without the weights."""

    @property
    def label(self) -> str:
        return self.recipe["noise"]

    @property
    def size(self) -> int:
        return self.recipe["train_images"]

    def made(self, record: dict, weights: str) -> bool:
        return record["recipe"] == self.recipe

    def right(self) -> np.ndarray:
        """(noises, levels, images) bool, in the order of the recipe's `tested`."""
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


def complete(asked: list[Augmented], recompute: bool = False) -> dict[str, int]:
    """Train and test what is not recorded: how many were `computed`, and how many `reused`."""

    def make(part: Augmented, bar: tqdm) -> None:
        predicted = answers(train(part.recipe, bar), part.recipe)
        write_arrays(part.path, {"recipe": part.recipe, **provenance()}, {"predicted": predicted})

    return parts.complete(asked, "", make, check=lambda _: 0, recompute=recompute, title="training with the noises")


def train(recipe: dict, bar: tqdm) -> nn.Module:
    """One epoch over the first of the training images; `bar` is moved on by an image at a time."""
    import torch
    from torch import nn
    from torch.nn import functional

    from lib.noise import PixelNoise

    rule = Recipe(model=recipe["model"])
    images, labels, _, _ = data.load().split()
    pixels = torch.from_numpy(images[: recipe["train_images"]].copy())[:, None]  # (n, 1, 28, 28) uint8
    classes = torch.from_numpy(labels[: recipe["train_images"]].astype(np.int64))
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
    """FC as it reads (n, 1, 28, 28): each first weight the sum of the four whose pixels the upscaling makes equal.

    SGD that lets these weights learn four times as fast trains what it would train in `net`, for a quarter of the work.
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


def answers(net: nn.Module, recipe: dict) -> np.ndarray:
    """What it answers at every level of every noise tested: (noises, levels, images) uint8."""
    import torch

    images = data.load().test_images[: recipe["images"]]
    found = []
    for noise, c in recipe["tested"].items():
        noisy = perturb(images, noise, recipe["levels"], c=c, seed=recipe["draw"], **DRAWING)  # (levels, n, 28, 28)
        with torch.inference_mode():
            found.append([net(torch.from_numpy(level)[:, None] / 255).argmax(dim=1).numpy() for level in noisy])
    return np.array(found, np.uint8)


def compared(asked: list[Augmented], attacks: int) -> pd.DataFrame:
    """Accuracy of each training on clean images and after so many attacks of each noise.

    Columns: trained, noise (of the training and of the test, or `CLEAN`), accuracy, low, high (percent, 95 % interval
    over images), gain, gain_low, gain_high (points more than the training without noise; paired over images, the
    intervals of one call hold with 95 % together), verdict (higher, lower or undecided, by the gain's interval; empty
    for that training itself).

    Raises:
        ValueError: if it was not tested at so many attacks.
    """
    recipe = asked[0].recipe
    if attacks not in recipe["levels"][1:]:
        raise ValueError(f"no {attacks} attacks were tested; choose from {recipe['levels'][1:]}")
    level = recipe["levels"].index(attacks)
    right = np.stack([part.right() for part in asked])  # (trainings, noises, levels, images)
    right = np.concatenate([right[:, :1, 0], right[:, :, level]], axis=1)  # (trainings, 1 + noises, images)
    gain = right.astype(np.int8) - right[0]  # whole numbers, whose means every machine finds the same
    low, high = limits(100 * resample(gain), family=gain[1:, :, 0].size)
    rows = []
    for row, part in enumerate(asked):
        for column, tested in enumerate((CLEAN, *recipe["tested"])):
            found, ends = right[row, column], (low[row, column], high[row, column])
            gained = (100 * gain[row, column].mean(), *ends, verdict(*ends) if row else "")
            rows.append((part.recipe["noise"], tested, 100 * found.mean(), *interval(found[None]), *gained))
    columns = ["trained", "noise", "accuracy", "low", "high", "gain", "gain_low", "gain_high", "verdict"]
    return pd.DataFrame(rows, columns=columns)
