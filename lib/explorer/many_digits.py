"""Many digits at one state, step by step, so that a viewer can show what is known so far and stop at any time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib.evaluation import results
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import recorded
from lib.explorer.one_digit import IMAGES_A_STEP, State, digits, probabilities
from lib.noise import perturb
from lib.paper import LEVELS


@dataclass(frozen=True)
class Fooled:
    """Digits that a network gets right without noise and wrong with it."""

    numbers: list[int]  # in the test set
    labels: list[int]
    predicted: list[int]  # what the noisy ones were taken for
    searched: int  # digits looked at, from the first on


@dataclass(frozen=True)
class LiveCurves:
    """Accuracy of some networks at the levels computed so far."""

    accuracy: dict[str, list[float]]  # network -> percent at the first of the paper's levels
    images: int  # test images, from the first on
    done: int  # forward passes made
    total: int  # forward passes of all levels and networks


def next_wrong(state: State) -> Iterator[tuple[int, int | None]]:
    """Search from the digit after the state's, once around the test set, for one that its network gets wrong.

    Yields:
        (digits searched so far, the number found or None), step by step; the find is the last.
    """
    labels = digits(state.dataset).test_labels
    total = len(labels)
    order = (state.number + 1 + np.arange(total)) % total
    for start in range(0, total, IMAGES_A_STEP):
        numbers = order[start : start + IMAGES_A_STEP]
        wrong = _answers(state, numbers, state.attacks) != labels[numbers]
        found = int(numbers[wrong.argmax()]) if wrong.any() else None
        yield start + len(numbers), found
        if found is not None:
            return


def fooled(state: State, wanted: int = 24, most: int = 2_000) -> Iterator[Fooled]:
    """Test images right at 0 attacks and wrong at the state's level, as in the paper's Figure 1.

    Args:
        wanted: stop after so many.
        most: search no more digits than these.
    """
    labels = digits(state.dataset).test_labels
    numbers, predicted, searched, most = [], [], 0, min(most, len(labels))
    while searched < most and len(numbers) < wanted:
        block = np.arange(searched, min(searched + IMAGES_A_STEP, most))
        noisy = _answers(state, block, state.attacks)
        hits = np.flatnonzero(noisy != labels[block])
        hits = hits[_answers(state, block[hits], 0) == labels[block[hits]]]
        numbers = (numbers + block[hits].tolist())[:wanted]
        predicted = (predicted + noisy[hits].tolist())[:wanted]
        searched = numbers[-1] + 1 if len(numbers) == wanted else searched + len(block)
        yield Fooled(numbers, labels[numbers].tolist(), predicted, searched)


def live_curves(state: State, models: list[str], images: int = 500) -> Iterator[LiveCurves]:
    """Accuracy of `models` on the first test images under the state's noise and c, level by level.

    Paper: Figures 7 and 8, there at the default c. `model` and `attacks` of the state do not matter.
    """
    labels = digits(state.dataset).test_labels[:images]
    images = len(labels)
    states = {model: replace(state, model=model) for model in models}
    accuracy: dict[str, list[float]] = {model: [] for model in models}
    done, total = 0, len(LEVELS) * len(models) * images
    for attacks in LEVELS:
        noisy = attacked_digits(state, np.arange(images), attacks)  # (images, 28, 28)
        for model in models:
            right = 0
            for start in range(0, images, IMAGES_A_STEP):
                block = slice(start, start + IMAGES_A_STEP)
                answers = probabilities(states[model], noisy[block]).argmax(axis=1)
                right += int((answers == labels[block]).sum())
                done += len(answers)
                if start + IMAGES_A_STEP >= images:
                    accuracy[model].append(100 * right / images)
                yield LiveCurves({name: list(values) for name, values in accuracy.items()}, images, done, total)


def recorded_curve(state: State, model: str) -> pd.DataFrame | None:
    """The recorded curve of a network under the state's noise at that noise's own c, as `results.curves` gives it.

    None where none is recorded, or only one that other weights made.
    """
    plan = Plan(
        model=model,
        train_seed=state.train_seed,
        noises=[state.noise],
        replacement=state.replacement,
        source=state.source,
        dataset=state.dataset,
        images=min(10_000, len(digits(state.dataset).test_labels)),
        outputs=state.outputs,
    )
    return results.curves(plan) if recorded(plan) else None


def attacked_digits(state: State, numbers: list[int] | np.ndarray, attacks: int) -> np.ndarray:
    """Test images (n, 28, 28) uint8 after so many attacks of the state's noise (section 3.2)."""
    numbers = np.asarray(numbers, int)  # of no digits, too
    return perturb(digits(state.dataset).test_images[numbers], attacks=attacks, index=numbers, **state.noise_arguments)


def _answers(state: State, numbers: np.ndarray, attacks: int) -> np.ndarray:
    return probabilities(state, attacked_digits(state, numbers, attacks)).argmax(axis=1)
