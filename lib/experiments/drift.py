"""How far noise moves a network's activations and its margin: measured on training images, without labels."""

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation.plan import USUAL_NOISES, Plan
from lib.evaluation.sweep import FIRST_TRAINING_IMAGE
from lib.store import data
from lib.store.files import write_atomically
from lib.store.parts import weights_hash
from lib.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

IMAGES = 500  # the first of the training images
ATTACKS = (50, 100, 200)
CONSTANT = 1e-3  # a unit whose deviation is below this share of its layer's mean deviation is not counted


def path(recipe: Recipe) -> Path:
    """Where the drift of a training is recorded."""
    return recipe.outputs / "drift" / f"{recipe.weights.stem}.csv"


def recorded(recipe: Recipe) -> bool:
    """Whether the drift of these weights is recorded; of any weights, where none are known."""
    made_by = weights_hash(recipe.weights)
    return path(recipe).is_file() and made_by in (None, *pd.read_csv(path(recipe))["weights"])


def record(recipe: Recipe) -> None:
    """Measure and record a trained network's drift, a row for each noise and number of attacks.

    Columns: model, seed, noise, attacks, shift, scale, margin (`drift`), images, weights (their hash).
    """
    net = networks.load(recipe.model, recipe.seed, recipe.outputs, recipe.dataset)
    clean, index = data.load(recipe.dataset).train_images[:IMAGES], np.arange(IMAGES)
    rows = []
    for noise, attacks in product(USUAL_NOISES, ATTACKS):
        noisy = Plan(model=recipe.model).part(noise).attack(clean, FIRST_TRAINING_IMAGE + index, [attacks])[0][0]
        rows.append({"noise": noise, "attacks": attacks} | drift(net, clean, noisy))
    own = {"model": recipe.model, "seed": recipe.seed}
    table = pd.DataFrame([own | row for row in rows]).assign(images=IMAGES, weights=weights_hash(recipe.weights))
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    write_atomically(path(recipe), lambda file: file.write(text.encode()))


def drift(net: "nn.Module", clean: np.ndarray, noisy: np.ndarray) -> dict[str, float]:
    """How far the noise on the same images (n, H, W) moves the pre-activations of each unit, and the margin.

    shift: root mean square over a layer's units of the change of the mean, in deviations on `clean`; scale: the same of
    the natural logarithm of the ratio of deviations; both the mean over the layers but the last. margin: the mean gap,
    on `noisy`, between the logit of the class predicted on `clean` and the largest other one, divided by that gap on
    `clean`; it is negative where most predictions change.
    """
    import torch
    from torch.nn import functional

    before, after = networks.moments(net, clean), networks.moments(net, noisy)
    shifts, scales = [], []
    for name in list(before)[:-1]:
        (mean, variance), (moved, spread) = before[name], after[name]
        alive = variance.sqrt() > CONSTANT * variance.sqrt().mean()
        shifts.append(((moved - mean)[alive] ** 2 / variance[alive]).mean().sqrt().item())
        floor = CONSTANT**2 * variance[alive]  # of a unit that noise makes constant
        scales.append(((spread[alive].maximum(floor) / variance[alive]).log() / 2).square().mean().sqrt().item())
    with torch.no_grad():
        logits, noisy_logits = (net(networks.as_read(images)) for images in (clean, noisy))
    known = functional.one_hot(logits.argmax(dim=1), logits.shape[1]).bool()  # the class read without noise
    gaps = [found[known] - found.masked_fill(known, -torch.inf).amax(dim=1) for found in (noisy_logits, logits)]
    margin = (gaps[0].mean() / gaps[1].mean()).item()
    return {"shift": float(np.mean(shifts)), "scale": float(np.mean(scales)), "margin": margin}
