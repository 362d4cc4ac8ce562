"""Two corruptions that this project did not invent: shot and impulse noise of MNIST-C (Mu and Gilmer 2019).

Expected before the first number: under impulse noise the order of the networks is that of the paper's noises (FC and
VGG-19 first) and adaptation gains 10 points or more for each network with batch normalisation; shot noise, which leaves
the background black, costs little and adaptation gains less than 5.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation.plan import SweepPart
from lib.experiments.declaration import load
from lib.paper import NETWORKS
from lib.store import data
from lib.store.files import OUTPUTS, write_derived
from lib.store.parts import weights_hash

IMAGES, ADAPTED_ON = 2_000, 1_000
FILE = "mnist-c.csv"
COLUMNS = ["model", "seed", "statistics", "corruption", "images", "correct", "weights"]


def shot_noise(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Poisson counts of at most 3 photons a pixel: severity 5, that of the published MNIST-C. (n, 28, 28) uint8."""
    return (255 * (random.poisson(images / 255 * 3) / 3).clip(0, 1)).astype(np.uint8)


def impulse_noise(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each pixel becomes black or white, as probable, in 17 % of the cases: severity 4, as published."""
    hit, white = random.random((2, *images.shape)) < np.array([0.17, 0.5])[:, None, None, None]
    return np.where(hit, 255 * white, images).astype(np.uint8)


CORRUPTIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "none": lambda images, _: images,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
}


def evaluate(model: str, outputs: Path = OUTPUTS, images: int = IMAGES) -> pd.DataFrame:
    """A trained network under both corruptions by frozen and adapted statistics and restored moments: `COLUMNS`."""
    net, digits = networks.load(model, 0, outputs), data.load()
    training = digits.split()[0]
    chosen = SweepPart(outputs, {"adapted_on": ADAPTED_ON}).trained_on(len(training))
    made_by, rows = weights_hash(networks.weights_path(model, 0, outputs)), []
    for corruption, corrupt in CORRUPTIONS.items():
        test = corrupt(digits.test_images[:images], np.random.default_rng(0))
        clean = training[chosen]
        noisy = corrupt(clean, np.random.default_rng(1))
        fitted = {"frozen": net, "moments": networks.restore_moments(net, noisy, networks.moments(net, clean))}
        if model not in load("normalisation").without_normalisation:
            fitted["adapted"] = networks.adapt(net, noisy)
        for statistics, adapted in fitted.items():
            predicted = networks.predictor(adapted, "torch")(test).argmax(axis=1)
            correct = int((predicted == digits.test_labels[:images]).sum())
            rows.append((model, 0, statistics, corruption, images, correct, made_by))
    return pd.DataFrame(rows, columns=COLUMNS)


def table(outputs: Path = OUTPUTS, images: int = IMAGES) -> pd.DataFrame:
    """`evaluate` of the paper's networks; what is not recorded of their weights is computed and recorded."""
    path = outputs / FILE
    found = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=COLUMNS)
    for model in NETWORKS:
        weights = networks.weights_path(model, 0, outputs)
        recorded = set(zip(found["weights"], found["images"], strict=True))
        if weights.is_file() and (weights_hash(weights), images) not in recorded:
            found = pd.concat([found[found["model"] != model], evaluate(model, outputs, images)], ignore_index=True)
            content = found.to_csv(index=False, lineterminator="\n").encode()
            write_derived(path, lambda file, content=content: file.write(content))
    return found
