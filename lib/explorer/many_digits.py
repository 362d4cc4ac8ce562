"""Many digits at one state, evaluated step by step: a viewer shows what is known so far, and can stop at any time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from lib.evaluation import results
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import recorded
from lib.explorer.one_digit import IMAGES_A_STEP, State, probabilities
from lib.noise import perturb
from lib.paper import LEVELS
from lib.store import data


@dataclass(frozen=True)
class Fooled:
    """Digits that a network reads correctly without noise and wrongly with it."""

    numbers: list[int]  # in the test set
    labels: list[int]
    predicted: list[int]  # the class predicted for each noisy digit
    searched: int  # digits looked at so far


@dataclass(frozen=True)
class LiveCurves:
    """Accuracy of some networks at the levels computed so far."""

    accuracy: dict[str, list[float]]  # network -> percent at the first of the paper's levels
    images: int  # test images, from the first on
    done: int  # forward passes made
    total: int  # forward passes of all levels and networks


def fooled(state: State, wanted: int = 24, most: int = 2_000, first: int = 0) -> Iterator[Fooled]:
    """Test images that the network reads correctly at 0 attacks and wrongly at the state's level (Figure 1), so far.

    The search goes from digit `first` around the end of the test set, to `wanted` finds or `most` digits.
    """
    labels = data.load(state.dataset).test_labels
    order = (first + np.arange(min(most, len(labels)))) % len(labels)
    numbers, predicted, searched = [], [], 0
    while searched < len(order) and len(numbers) < wanted:
        block = order[searched : searched + IMAGES_A_STEP]
        noisy = _predictions(state, block, state.attacks)
        hits = np.flatnonzero(noisy != labels[block])
        hits = hits[_predictions(state, block[hits], 0) == labels[block[hits]]][: wanted - len(numbers)]
        numbers, predicted = numbers + block[hits].tolist(), predicted + noisy[hits].tolist()
        searched += int(hits[-1]) + 1 if len(numbers) == wanted else len(block)
        yield Fooled(numbers, labels[numbers].tolist(), predicted, searched)


def live_curves(state: State, models: list[str], images: int = 500) -> Iterator[LiveCurves]:
    """Accuracy of `models` on the first test images, level by level (Figures 7 and 8); what is computed is kept."""
    labels = data.load(state.dataset).test_labels[:images]
    images = len(labels)
    states = {model: replace(state, model=model, number=0, own=None) for model in models}
    accuracy: dict[str, list[float]] = {model: [] for model in models}
    done, total = 0, len(LEVELS) * len(models) * images
    for attacks in LEVELS:
        for model in models:
            correct = 0
            for start in range(0, images, IMAGES_A_STEP):
                end = min(start + IMAGES_A_STEP, images)
                correct += _correct(replace(states[model], attacks=attacks), start, end)
                done += end - start
                if end == images:
                    accuracy[model].append(100 * correct / images)
                yield LiveCurves({name: list(values) for name, values in accuracy.items()}, images, done, total)


@lru_cache(2**17)
def _correct(state: State, start: int, end: int) -> int:
    """How many of the test images from `start` to before `end` are predicted correctly at the state's level."""
    numbers = np.arange(start, end)
    return int((_predictions(state, numbers, state.attacks) == data.load(state.dataset).test_labels[numbers]).sum())


def recorded_curve(state: State, model: str) -> pd.DataFrame | None:
    """The curve that is recorded for these weights, the state's noise and reading, and the default c, if any."""
    own = {name: getattr(state, name) for name in ("train_seed", "replacement", "source", "dataset", "outputs")}
    images = min(10_000, len(data.load(state.dataset).test_labels))
    plan = Plan(model=model, noises=[state.noise], images=images, **own)
    return results.curves(plan) if recorded(plan) else None


def attacked_digits(state: State, numbers: list[int] | np.ndarray, attacks: int) -> np.ndarray:
    """Test images (n, 28, 28) uint8 after so many attacks of the state's noise (section 3.2)."""
    numbers = np.asarray(numbers, int)  # an empty list would be float
    return perturb(
        data.load(state.dataset).test_images[numbers], attacks=attacks, index=numbers, **state.noise_arguments
    )


def _predictions(state: State, numbers: np.ndarray, attacks: int) -> np.ndarray:
    digits = attacked_digits(state, numbers, attacks)
    return probabilities(replace(state, attacks=attacks), digits).argmax(axis=1)
