"""Accuracy at a bound, attacks and noises by one definition, and the paper's Table 2 beside it.

An image is robust at a bound if the network gets it right and nothing wrong was found within the bound. What an attack
finds is its adversarial image; what a noise finds is the first of its levels, in draw 0, that the network gets wrong.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import data
from lib.attacks import ATTACKS, WHITE, distances
from lib.noise import NOISES
from lib.plan import CLEAN, Plan
from lib.records import file_hash
from lib.results import interval
from lib.sweep import Predictions
from lib.trials import Trials, recorded

L2_BOUND = 1.5  # of the accuracies that the paper quotes (Schott et al. 2018)
LEVELS = (40, 200)  # attacked pixels of the noises in Table 2
RESAMPLES = 10_000  # of the images, for the interval of a margin


def swept(trials: Trials) -> Plan | None:
    """The recorded sweep of the trials' network over all noises, or None where there is none by its weights."""
    plan = Plan(model=trials.model, train_seed=trials.train_seed, draws=1, outputs=trials.outputs)
    weights = file_hash(trials.weights)
    whole = all(p.path.is_file() and Predictions.read(p.path).record["weights"] == weights for p in plan.parts())
    return plan if whole else None


def outcomes(trials: Trials) -> pd.DataFrame:
    """A row for every method (attack, then noise) and test image: what it found.

    Columns: method, image (its number), label, predicted, fooled, started, l0 (pixels), l2, linf (brightness from 0
    to 1). Noises only where the network's sweep is recorded.
    """
    labels = data.load().test_labels
    frames = []
    for block, found in recorded(trials):
        columns = {name: value for name, value in vars(found).items() if name != "adversarial"}
        frames.append(
            pd.DataFrame(
                {"method": block.recipe["attack"], "image": block.index, "label": labels[block.index], **columns}
            )
        )
    plan = swept(trials)
    if plan:
        frames += [_found_by_noise(plan, noise, trials.images) for noise in plan.noises]
    return pd.concat(frames, ignore_index=True)


def pictures(trials: Trials, method: str, images: list[int]) -> np.ndarray:
    """What a method found for these test images, as (n, 28, 28) uint8; the images themselves where it found nothing."""
    if method in NOISES:
        return _first_wrong(swept(trials), method, trials.images)[0][images]
    alone = trials.model_copy(update={"attacks": [method]})
    found = np.concatenate([found.adversarial for _, found in recorded(alone)])
    return np.rint(found[images] / (WHITE / 255)).astype(np.uint8)


def _shown(plan: Plan, noise: str, count: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The levels from 0 on; what was shown there in draw 0, (levels, n, 28, 28); the answers, (levels, n)."""
    images, part = data.load().test_images[:count], plan.part(noise)
    noisy, _ = part.attack(images, np.arange(count), part.recipe["levels"])
    answers = [Predictions.read(each.path).predicted[:, :count] for each in (plan.part(CLEAN), part)]
    return [0, *part.recipe["levels"]], np.concatenate([images[None], noisy]), np.concatenate(answers)


def _first_wrong(plan: Plan, noise: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images that the network gets wrong (n, 28, 28) uint8, and what it takes them for (n,)."""
    _, noisy, answers = _shown(plan, noise, count)
    first = (answers != data.load().test_labels[:count]).argmax(axis=0)  # 0 where it is never wrong
    index = np.arange(count)
    return noisy[first, index], answers[first, index]


def _found_by_noise(plan: Plan, noise: str, count: int) -> pd.DataFrame:
    digits = data.load()
    found, predicted = _first_wrong(plan, noise, count)
    l0, l2, linf = distances(257 * found.astype(np.uint16), digits.test_images[:count])
    labels = digits.test_labels[:count]
    columns = {"label": labels, "predicted": predicted, "fooled": predicted != labels, "started": True}
    return pd.DataFrame({"method": noise, "image": np.arange(count), **columns, "l0": l0, "l2": l2, "linf": linf})


def robust(outcomes: pd.DataFrame, norm: str, bound: float) -> pd.Series:
    """Whether each outcome's image is robust at `norm` (l0, l2 or linf) <= `bound`; what was not fooled is."""
    return ~outcomes["fooled"] | (outcomes[norm] > bound)


def at_bound(outcomes: pd.DataFrame, norm: str, bound: float) -> pd.DataFrame:
    """Accuracy of every method at a bound: method, accuracy, low, high (percent, `interval`), n, unstarted."""
    rows = []
    for method, frame in outcomes.groupby("method", sort=False):
        correct = robust(frame, norm, bound).to_numpy()[None]
        unstarted = int((~frame["started"]).sum())
        rows.append((method, 100 * correct.mean(), *interval(correct), len(frame), unstarted))
    return pd.DataFrame(rows, columns=["method", "accuracy", "low", "high", "n", "unstarted"])


def at_levels(trials: Trials) -> pd.DataFrame:
    """Accuracy of the noises at every level by itself, as the paper counts it, and how far the images were moved.

    Columns: method, attacks, accuracy, low, high, n, l0, l2 (means over the images). Empty without a sweep.
    """
    images, labels = (each[: trials.images] for each in (data.load().test_images, data.load().test_labels))
    plan, rows = swept(trials), []
    for noise in plan.noises if plan else []:
        for attacks, noisy, answers in zip(*_shown(plan, noise, trials.images), strict=True):
            correct = (answers == labels)[None]
            l0, l2, _ = distances(257 * noisy.astype(np.uint16), images)
            rows.append((noise, attacks, 100 * correct.mean(), *interval(correct), len(labels), l0.mean(), l2.mean()))
    return pd.DataFrame(rows, columns=["method", "attacks", "accuracy", "low", "high", "n", "l0", "l2"])


def paper_table() -> pd.DataFrame:
    """The paper's Table 2: method, attacks (pixels, of the noises), accuracy (percent)."""
    return pd.read_csv(Path(__file__).with_name("table2.csv"))


def table2(trials: Trials, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Table 2 with all that a row needs to be repeated, and the paper's accuracy where it has one.

    Columns: method, paper, accuracy, low, high (percent), norm, bound, n (the test images from 0 on), steps, seed
    (attacks: of the trials; noises: the draw), unstarted (attacks that found no start: counted as robust).
    """
    attacks = at_bound(outcomes[outcomes["method"].isin(ATTACKS)], "l2", L2_BOUND)
    steps = [block.recipe["steps"] for name in attacks["method"] for block in trials.blocks(name)[:1]]
    attacks = attacks.assign(norm="L2", bound=L2_BOUND, steps=steps, seed=trials.seed)
    noises = at_levels(trials).query("attacks in @LEVELS").rename(columns={"attacks": "bound"})
    noises = noises.assign(norm="pixels attacked", steps=noises["bound"], seed=0, unstarted=0)
    rows = pd.concat([attacks, noises]) if len(noises) else attacks
    paper = paper_table().rename(columns={"attacks": "bound", "accuracy": "paper"}).fillna({"bound": L2_BOUND})
    columns = ["method", "paper", "accuracy", "low", "high", "norm", "bound", "n", "steps", "seed", "unstarted"]
    return rows.merge(paper, on=["method", "bound"], how="left")[columns]


def margins(trials: Trials, outcomes: pd.DataFrame) -> pd.DataFrame:
    """How much nearer each noise at 200 attacks sits to Pointwise than to DeepFool or Boundary (claim 12).

    The margin is the noise's distance in accuracy from the nearer of DeepFool and Boundary, less that from Pointwise,
    over the images that all four were run on. On three terms: as the paper sets them side by side (the noise at 200
    attacks, the attacks at L2 <= 1.5); at most 200 pixels changed; at most as far in L2 as the noise moves the mean
    image. Its 95 % interval is that of a paired bootstrap over the images.

    Columns: method, terms, accuracy (of the noise), pointwise, deepfool, boundary (percent), margin, low, high
    (points), n, nearer ("Pointwise", "DeepFool or Boundary"; "undecided" where the interval holds 0). Empty without
    a sweep or one of the three attacks.
    """
    last, quoted, rows = max(LEVELS), ["pointwise", "deepfool", "boundary"], []
    columns = ["method", "terms", "accuracy", *quoted, "margin", "low", "high", "n", "nearer"]
    if not swept(trials) or not {*quoted} <= {*outcomes["method"]}:
        return pd.DataFrame(columns=columns)
    levels = at_levels(trials).query("attacks == @last").set_index("method")
    for noise, moved in levels["l2"].items():
        shown, _, answers = _shown(swept(trials), noise, trials.images)
        right = answers[shown.index(last)] == data.load().test_labels[: trials.images]
        for terms, norm, bound in (
            ("as in the paper", "l2", L2_BOUND),
            (f"{last} pixels", "l0", last),
            (f"L2 {moved:.1f}", "l2", moved),
        ):
            table = outcomes.assign(robust=robust(outcomes, norm, bound)).pivot(
                index="image", columns="method", values="robust"
            )
            table = table[[noise, *quoted]].dropna()
            if terms == "as in the paper":
                table[noise] = right[table.index]
            robust_percent = 100 * table.to_numpy(float)
            margin, low, high = _margin(robust_percent)
            nearer = "Pointwise" if low > 0 else "DeepFool or Boundary" if high < 0 else "undecided"
            rows.append((noise, terms, *robust_percent.mean(axis=0), margin, low, high, len(table), nearer))
    return pd.DataFrame(rows, columns=columns)


def _margin(robust: np.ndarray) -> tuple[float, float, float]:
    """The margin and its interval; `robust` (images, 4), percent: noise, Pointwise, DeepFool, Boundary."""
    picks = np.random.default_rng(0).integers(len(robust), size=(RESAMPLES, len(robust)))
    means = np.concatenate([robust.mean(axis=0, keepdims=True), robust[picks].mean(axis=1)])  # (1 + resamples, 4)
    to_pointwise, *to_others = np.abs(means[:, 1:] - means[:, :1]).T
    margin = np.minimum(*to_others) - to_pointwise
    return float(margin[0]), *map(float, np.percentile(margin[1:], [2.5, 97.5]))


def paper_margins() -> pd.DataFrame:
    """The same margin from the paper's own Table 2: method, attacks, margin (points), above 0 nearer to Pointwise."""
    paper = paper_table()
    own = paper.set_index("method")["accuracy"]
    noises = paper.dropna().astype({"attacks": int})
    others = np.minimum(*(abs(noises["accuracy"] - own[name]) for name in ("deepfool", "boundary")))
    return noises.assign(margin=others - abs(noises["accuracy"] - own["pointwise"]))[["method", "attacks", "margin"]]
