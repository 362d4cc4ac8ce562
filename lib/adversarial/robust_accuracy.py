"""Robust accuracy of attacks and noises by one definition, beside the paper's Table 2.

An image is robust at a bound if the network classifies it correctly and no misclassified image was found within the
bound: by an attack its adversarial image, by a noise the image at its first level (draw 0) that is misclassified.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lib.adversarial.attacks import ATTACKS, WHITE, perturbation_sizes
from lib.adversarial.runs import AttackPlan, findings
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.results import COUNTS, interval
from lib.evaluation.sweep import Predictions, recorded
from lib.paper import PAPER_NOISES, TABLE_2_LEVELS, read_table_2
from lib.statistics.bootstrap import limits, resample
from lib.statistics.contrasts import verdict
from lib.store import data

L2_BOUND = 1.5  # of the accuracies that the paper quotes (Schott et al. 2018)
QUOTED = ("pointwise", "deepfool", "boundary")  # the attacks whose accuracies the paper quotes there
AT_BOUND = ["method", "accuracy", "low", "high", "n", "unstarted"]
TERMS = {  # of comparing a noise with the attacks, `nearness`
    "paper_bound": "200 attacks, L2 ≤ 1.5",
    "paper_groups": "40 and 200 attacks, L2 ≤ 1.5",
    "equal_pixels": "equal pixels",
    "equal_l2": "equal L2",
}


def swept(attack_plan: AttackPlan) -> Plan | None:
    """The sweep of the attacked network over the paper's noises; None if it is not recorded with these weights."""
    shared = attack_plan.model_dump(include={"model", "train_seed", "outputs"})
    count = min(COUNTS[-1], len(data.load(attack_plan.dataset).test_images))
    plan = Plan(**shared, dataset=attack_plan.dataset, images=count, draws=1)
    return plan if recorded(plan) else None


def outcomes(attack_plan: AttackPlan) -> pd.DataFrame:
    """What every method found for each test image: the attacks, then the noises if the network's sweep is recorded.

    Columns: method, image (its number), label, predicted, fooled, started, l0 (pixels), l2, linf (brightness from 0
    to 1).
    """
    plan = swept(attack_plan)
    noises = [_found_by_noise(plan, noise, attack_plan.images) for noise in plan.noises] if plan else []
    return pd.concat([*_found_by_attacks(attack_plan), *noises], ignore_index=True)


def _found_by_attacks(attack_plan: AttackPlan) -> Iterator[pd.DataFrame]:
    labels = data.load(attack_plan.dataset).test_labels
    for block, found in findings(attack_plan):
        known = {"method": block.recipe["attack"], "image": block.index, "label": labels[block.index]}
        yield pd.DataFrame(known | {name: value for name, value in vars(found).items() if name != "adversarial"})


def by_steps(attack_plan: AttackPlan) -> pd.DataFrame:
    """The attacks that are recorded with several numbers of steps on the same images.

    Columns: those of `at_bound`, at L2 <= 1.5, with steps and l2 (the median distance, over the images fooled).
    """
    rows = []
    for attack, several in ((name, attack_plan.recorded_steps(name)) for name in attack_plan.attacks):
        for steps in several if len(several) > 1 else []:
            found = pd.concat(_found_by_attacks(attack_plan.alone(attack, steps)))
            middle = found.loc[found["fooled"], "l2"].median()
            rows.append(at_bound(found, "l2", L2_BOUND).assign(steps=steps, l2=middle))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=[*AT_BOUND, "steps", "l2"])


def pictures(attack_plan: AttackPlan, method: str, images: list[int]) -> np.ndarray:
    """What a method found for these test images, (n, 28, 28) uint8; the original image where it found nothing."""
    if method in PAPER_NOISES and (plan := swept(attack_plan)):
        return _first_wrong(plan, method, attack_plan.images)[0][images]
    found = np.concatenate([found.adversarial for _, found in findings(attack_plan.alone(method))])
    return np.rint(found[images] / (WHITE / 255)).astype(np.uint8)


def _evaluated(plan: Plan, noise: str, count: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The levels from 0 on, the images of draw 0 at each (levels, n, 28, 28), the predictions (levels, n)."""
    images, part = data.load(plan.dataset).test_images[:count], plan.part(noise)
    noisy, *_ = part.attack(images, np.arange(count), part.recipe["levels"])
    predicted = [Predictions.read(each.path).predicted[:, :count] for each in (plan.part(CLEAN), part)]
    return [0, *part.recipe["levels"]], np.concatenate([images[None], noisy]), np.concatenate(predicted)


def _first_wrong(plan: Plan, noise: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images that the network misclassifies, (n, 28, 28) uint8, and its predictions for them, (n,)."""
    _, noisy, predicted = _evaluated(plan, noise, count)
    first = (predicted != data.load(plan.dataset).test_labels[:count]).argmax(axis=0)  # 0 where it is never wrong
    index = np.arange(count)
    return noisy[first, index], predicted[first, index]


def _found_by_noise(plan: Plan, noise: str, count: int) -> pd.DataFrame:
    digits, (found, predicted) = data.load(plan.dataset), _first_wrong(plan, noise, count)
    labels, sizes = digits.test_labels[:count], _sizes(found, digits.test_images[:count])
    columns = {"label": labels, "predicted": predicted, "fooled": predicted != labels, "started": True}
    return pd.DataFrame({"method": noise, "image": np.arange(count), **columns, **sizes})


def _sizes(noisy: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(("l0", "l2", "linf"), perturbation_sizes(257 * noisy.astype(np.uint16), images), strict=True))


def robust(outcomes: pd.DataFrame, norm: str, bound: float) -> pd.Series:
    """Whether each image is robust at `norm` (l0, l2 or linf) <= `bound`; it is if it was not fooled."""
    return ~outcomes["fooled"] | (outcomes[norm] > bound)


def at_bound(outcomes: pd.DataFrame, norm: str, bound: float) -> pd.DataFrame:
    """Accuracy of every method at a bound: method, accuracy, low, high (percent, `interval`), n, unstarted."""
    rows = []
    for method, frame in outcomes.groupby("method", sort=False):
        correct = robust(frame, norm, bound).to_numpy()[None]
        unstarted = int((~frame["started"]).sum())
        rows.append((method, 100 * correct.mean(), *interval(correct), len(frame), unstarted))
    return pd.DataFrame(rows, columns=AT_BOUND)


def at_levels(attack_plan: AttackPlan) -> pd.DataFrame:
    """Accuracy at every level of the noises by itself, as in the paper, and how far the images were moved.

    Columns: method, attacks, accuracy, low, high, n, l0, l2 (means over the images). Empty without a sweep.
    """
    digits = data.load(attack_plan.dataset)
    images, labels = digits.test_images[: attack_plan.images], digits.test_labels[: attack_plan.images]
    plan, rows = swept(attack_plan), []
    each = {noise: _evaluated(plan, noise, len(images)) for noise in plan.noises} if plan else {}
    for noise, levels in each.items():
        for attacks, noisy, predicted in zip(*levels, strict=True):
            correct, sizes = (predicted == labels)[None], _sizes(noisy, images)
            far = (sizes["l0"].mean(), sizes["l2"].mean())
            rows.append((noise, attacks, 100 * correct.mean(), *interval(correct), len(labels), *far))
    return pd.DataFrame(rows, columns=["method", "attacks", "accuracy", "low", "high", "n", "l0", "l2"])


def table2(attack_plan: AttackPlan, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Table 2 with everything that is needed to repeat a row, and the paper's accuracy where it has one.

    Columns: method, paper, accuracy, low, high (percent), norm, bound, n (test images, from the first on), steps, seed
    (attacks: of the plan; noises: the draw), unstarted (images for which an attack found no start: robust).
    """
    attacks = at_bound(outcomes[outcomes["method"].isin(ATTACKS)], "l2", L2_BOUND)
    steps = [block.recipe["steps"] for name in attacks["method"] for block in attack_plan.blocks(name)[:1]]
    attacks = attacks.assign(norm="L2", bound=L2_BOUND, steps=steps, seed=attack_plan.seed)
    noises = at_levels(attack_plan).query("attacks in @TABLE_2_LEVELS").rename(columns={"attacks": "bound"})
    noises = noises.assign(norm="attacks", steps=noises["bound"], seed=0, unstarted=0)
    rows = pd.concat([attacks, noises]) if len(noises) else attacks
    paper = read_table_2().rename(columns={"attacks": "bound", "accuracy": "paper"}).fillna({"bound": L2_BOUND})
    columns = ["method", "paper", "accuracy", "low", "high", "norm", "bound", "n", "steps", "seed", "unstarted"]
    return rows.merge(paper, on=["method", "bound"], how="left")[columns]


@dataclass(frozen=True)
class Nearness:
    """Accuracies of one noise and of `QUOTED` over the images that all four were run on."""

    noise: str
    terms: str  # a key of TERMS
    bound: float  # of the attacks: L2, or pixels on equal pixels
    accuracy: np.ndarray  # (1 + samples, 5), percent: the noise for Pointwise, for the others, then QUOTED
    n: int

    @cached_property
    def margin(self) -> np.ndarray:
        """(1 + samples,), points: how much nearer the noise is to Pointwise than to the nearer of the other two."""
        return _margin(*self.accuracy.T)


def _margin(near, far, pointwise, deepfool, boundary):
    """The margin of a noise whose accuracy is `near` against Pointwise and `far` against the other two."""
    return np.minimum(abs(far - deepfool), abs(far - boundary)) - abs(near - pointwise)


def nearness(attack_plan: AttackPlan, outcomes: pd.DataFrame) -> Iterator[Nearness]:
    """Every noise on each of `TERMS` (claim 12); nothing without a sweep or without one of the three attacks.

    The first two terms take the attacks at L2 <= 1.5, as the paper quotes them, and the noise at 200 attacks; or, as
    the paper groups its Table 2, at 200 for DeepFool and Boundary and at 40 for Pointwise. Equal pixels: 200 changed at
    most by each. Equal L2: the mean distance that the noise at 200 attacks moves the images, at most.
    """
    plan, (few, last) = swept(attack_plan), TABLE_2_LEVELS
    if not plan or not {*QUOTED} <= {*outcomes["method"]}:
        return
    moved = at_levels(attack_plan).query("attacks == @last").set_index("method")["l2"]
    for noise in plan.noises:
        levels, _, predicted = _evaluated(plan, noise, attack_plan.images)
        labels = data.load(plan.dataset).test_labels[: attack_plan.images]
        right = {level: predicted[levels.index(level)] == labels for level in TABLE_2_LEVELS}
        sides = (("l2", L2_BOUND, last, last), ("l2", L2_BOUND, few, last), ("l0", last), ("l2", moved[noise]))
        for terms, (norm, bound, *attacks) in zip(TERMS, sides, strict=True):
            found = outcomes.assign(robust=robust(outcomes, norm, bound))
            table = found.pivot(index="image", columns="method", values="robust")[[noise, noise, *QUOTED]].dropna()
            correct = table.to_numpy(bool, copy=True)  # (images, 5)
            for side, level in enumerate(attacks):
                correct[:, side] = right[level][table.index]
            accuracy = 100 * np.concatenate([correct.mean(axis=0, keepdims=True), resample(correct.T)])
            yield Nearness(noise, terms, bound, accuracy, len(table))


def margins(found: list[Nearness]) -> pd.DataFrame:
    """The margins with their 95 % intervals, paired over the images.

    Columns: method, terms (a key of TERMS), bound, near, far (accuracy of the noise against Pointwise, and against the
    others), pointwise, deepfool, boundary (percent), margin, low, high (points), n, verdict (of the margin: higher,
    lower, undecided).
    """
    rows = []
    for own in found:
        low, high = map(float, limits(own.margin[1:]))
        rows.append((own.noise, own.terms, own.bound, *own.accuracy[0], own.margin[0], low, high, own.n))
    columns = ["method", "terms", "bound", "near", "far", *QUOTED, "margin", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns).assign(verdict=lambda own: list(map(verdict, own["low"], own["high"])))


def paper_margins() -> pd.DataFrame:
    """The margins in the paper's own Table 2: method, terms (the first two keys of TERMS), margin (points)."""
    paper = read_table_2().fillna({"attacks": 0}).set_index(["method", "attacks"])["accuracy"]
    quoted = [paper[attack, 0] for attack in QUOTED]
    noises = [method for method, attacks in paper.index if attacks == TABLE_2_LEVELS[-1]]
    rows = [
        (noise, terms, _margin(paper[noise, near], paper[noise, TABLE_2_LEVELS[-1]], *quoted))
        for terms, near in zip(TERMS, reversed(TABLE_2_LEVELS), strict=False)
        for noise in noises
    ]
    return pd.DataFrame(rows, columns=["method", "terms", "margin"])
