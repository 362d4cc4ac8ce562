"""Does a network know when it is lost? Its doubt beside whether it is right, over recorded answers.

Every score is computed for all the images and for each bootstrap sample of them, the same samples as everywhere
(`statistics.resample`): whatever is made of scores, a mean over noises or a difference, is paired over the images. What
they say is of one training; what another would know is not asked.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.evaluation.plan import CLEAN
from lib.experiments.measure import Compared, predictions
from lib.paper import PAPER_NOISES
from lib.statistics.bootstrap import limits, resample
from lib.statistics.contrasts import verdict
from lib.statistics.curves import Trainings
from lib.store import data
from lib.store.files import OUTPUTS, write_derived

DROPOUT = ("entropy", "spread", "information")
MEASURES = ("softmax", *DROPOUT, "disagreement")  # of doubt
BINS = 15  # of the calibration error
FEWEST = 10  # wrong answers, and right ones, for an AUROC
KNOWS, LOST = 0.8, 0.7  # AUROC
SURE = 0.9  # softmax maximum
TENTH = 0.1  # of the wrong answers

TOGETHER = 100  # samples of the images


class Confidence(Compared):
    """The parameters of `confidence.ipynb`."""

    recompute: bool = False


@dataclass(frozen=True)
class Answers:
    """What one network answered, a row for the clean images and for each noise and number of attacks."""

    model: str
    rows: list[tuple[str, int]]  # noise (or `CLEAN`), attacks
    wrong: np.ndarray  # (rows, images) bool, without dropout
    mean_wrong: np.ndarray  # the same, by the mean of the dropout passes
    doubts: dict[str, np.ndarray]  # of `MEASURES`, and `mean`: 1 - the largest probability of that mean
    others: int  # further trainings, from which the disagreement is

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(measure for measure in MEASURES if measure in self.doubts)

    def row(self, noise: str, attacks: int) -> int:
        return self.rows.index((noise if attacks else CLEAN, attacks))


def answers(model: str, trainings: Trainings, outputs: Path = OUTPUTS) -> Answers:
    """The recorded answers of a network's first training (`dropout.record`), and what its further ones say of them.

    Raises:
        FileNotFoundError: if they are not recorded.
    """
    from lib.experiments.dropout import SEED, doubts_of  # with torch, for which a check of parameters need not wait

    part = doubts_of(model, outputs, trainings.images)
    found = {name: values.astype(float) for name, values in part.read().items()}
    predicted, mean_predicted = found.pop("predicted"), found.pop("mean_predicted")
    labels = data.load().test_labels[: trainings.images]
    seeds = [seed for seed in trainings.seeds[model] if seed != SEED]
    if seeds:
        others = [swept(model, seed, part.rows, trainings.images, outputs) for seed in seeds]
        found["disagreement"] = (np.stack(others) != predicted).mean(axis=0)
    return Answers(model, part.rows, predicted != labels, mean_predicted != labels, found, len(seeds))


def swept(model: str, seed: int, rows: list[tuple[str, int]], images: int, outputs: Path = OUTPUTS) -> np.ndarray:
    """The classes that a training's sweep recorded for these rows, (rows, images)."""
    parts = predictions(model, seed, images, outputs)
    levels = {noise: part.record["recipe"]["levels"] for noise, part in parts.items()}
    return np.stack([parts[noise].predicted[levels[noise].index(level), :images] for noise, level in rows])


def refusing(doubt: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many answers are kept, and how many of them are wrong, as the refused become fewer: the surest first.

    Equally sure answers are kept or refused together.

    Args:
        doubt: (n,).
        wrong: (n,) bool.
        weights: (n, samples), how often an image is in each sample, by any factor.

    Returns:
        (1 + different doubts, samples) each, from 0 on.
    """
    order = np.argsort(doubt, kind="stable")
    last = np.flatnonzero(np.diff(doubt[order], append=np.inf))
    ordered = weights[order]
    kept = np.cumsum(ordered, axis=0)[last]
    errors = np.cumsum(ordered * wrong[order, None].astype(weights.dtype), axis=0)[last]
    none = np.zeros((1, weights.shape[1]), weights.dtype)
    return np.concatenate([none, kept]), np.concatenate([none, errors])


def auroc(kept: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The chance that a wrong answer carries more doubt than a right one, equal doubts counted half: (samples,).

    The area beside the curve of `refusing`, that of right answers kept against wrong ones; nan without either.
    """
    right = kept - errors
    with np.errstate(invalid="ignore"):
        return np.trapezoid(right, errors, axis=0) / (right[-1] * errors[-1])


def risk_area(kept: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The area under the risk-coverage curve (Geifman and El-Yaniv 2017), (samples,), 0 to 1.

    The mean share of wrong answers among those kept, over all numbers kept; on straight lines between the numbers of
    `refusing`, and below the first of them as there.
    """
    risk = np.divide(errors, kept, out=np.zeros_like(kept), where=kept > 0)
    risk[0] = risk[1]
    return np.trapezoid(risk, kept, axis=0) / kept[-1]


def calibration_error(doubt: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The expected calibration error (Guo et al. 2017), (samples,), 0 to 1; arguments as for `refusing`.

    How far the share of right answers lies from the mean confidence, 1 - `doubt`, in `BINS` equal bins of confidence;
    the mean over the bins, weighted by the answers in them.
    """
    place = np.minimum(((1 - doubt) * BINS).astype(int), BINS - 1)
    apart = np.zeros((BINS, len(doubt)), weights.dtype)
    apart[place, np.arange(len(doubt))] = doubt - wrong
    return np.abs(apart @ weights).sum(axis=0) / weights.sum(axis=0)


@dataclass(frozen=True)
class Scores:
    """One network's scores, each for all the images and then for every bootstrap sample: (rows, 1 + samples)."""

    answers: Answers
    auroc: dict[str, np.ndarray]  # of each measure
    risk: dict[str, np.ndarray]  # `risk_area` of each measure
    calibration: dict[str, np.ndarray]  # `calibration_error` of softmax and of mean
    confidently: np.ndarray  # share of the wrong answers whose softmax maximum is `SURE` or more; nan: none is wrong

    def mean(self, score: np.ndarray, attacks: int) -> np.ndarray:
        """The mean over the noises at so many attacks, (1 + samples,); nan if a noise has none."""
        return score[[self.answers.row(noise, attacks) for noise in PAPER_NOISES]].mean(axis=0)


def scores(found: Answers) -> Scores:
    """The AUROC is nan where fewer than `FEWEST` answers are wrong, or right."""
    images = found.wrong.shape[1]
    often = np.rint(images * resample(np.eye(images)))  # whole numbers, whose sums are exact
    weights = np.concatenate([np.ones((1, images)), often]).astype(np.float32)
    some = [np.ascontiguousarray(each.T) for each in np.split(weights, range(TOGETHER, len(weights), TOGETHER))]

    def areas(measure: str) -> np.ndarray:
        """(AUROC and risk, rows, 1 + samples)."""
        rows = zip(found.doubts[measure], found.wrong, strict=True)
        return np.stack([np.concatenate([_areas(*row, each) for each in some], axis=1) for row in rows], axis=1)

    def calibration(name: str, wrong: np.ndarray) -> np.ndarray:
        rows = zip(found.doubts[name], wrong, strict=True)
        return _level(np.stack([np.concatenate([calibration_error(*row, each) for each in some]) for row in rows]))

    both = {measure: areas(measure) for measure in found.measures}
    states = {"softmax": found.wrong, "mean": found.mean_wrong}  # what gives its answer a probability
    sure = found.wrong & (found.doubts["softmax"] <= 1 - SURE)
    with np.errstate(invalid="ignore"):
        confidently = (sure @ weights.T) / (found.wrong @ weights.T)
    return Scores(
        found,
        {measure: each[0] for measure, each in both.items()},
        {measure: each[1] for measure, each in both.items()},
        {name: calibration(name, wrong) for name, wrong in states.items()},
        confidently,
    )


def _areas(doubt: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(AUROC and risk, samples)."""
    curve = refusing(doubt, wrong, weights)
    few = min(wrong.sum(), (~wrong).sum()) < FEWEST
    return np.stack([np.full(weights.shape[1], np.nan) if few else auroc(*curve), risk_area(*curve)])


def _level(sampled: np.ndarray) -> np.ndarray:
    """Samples moved so that their mean is the value: in a sample of the images a calibration error is larger."""
    moved = sampled - sampled[:, 1:].mean(axis=1, keepdims=True) + sampled[:, :1]
    return np.concatenate([sampled[:, :1], moved[:, 1:]], axis=1)


def ends(sampled: np.ndarray, family: int = 1) -> tuple[float, float, float]:
    """The value, and the ends of its interval, which holds with 95 % together with the others of its `family`.

    Args:
        sampled: (1 + samples,), the value first; if it is nan, so are the ends. A sample in which no answer is wrong
            may be nan, and is left out.
    """
    value, *samples = sampled
    if np.isnan(value):
        return np.nan, np.nan, np.nan
    low, high = limits(np.array(samples)[~np.isnan(samples)], family)
    return float(value), float(low), float(high)


def means(found: dict[str, Scores], score: str, measure: str, attacks: int) -> dict[str, np.ndarray]:
    """The mean over the noises of each network that has this measure: model -> (1 + samples,).

    Args:
        score: auroc, risk or calibration.
    """
    each = {model: (own, getattr(own, score)) for model, own in found.items()}
    return {model: own.mean(values[measure], attacks) for model, (own, values) in each.items() if measure in values}


def less(some: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What each of `some` has more than the other of its name, paired over the samples."""
    return {name: values - other[name] for name, values in some.items()}


def judged(
    values: dict[str, np.ndarray], family: int = 1, answer: Callable[[float, float], str] = verdict
) -> pd.DataFrame:
    """Numbers with their intervals and what these answer to a question: columns value, low, high, answer.

    Args:
        values: name -> (1 + samples,).
        family: how many intervals there are on which the answers to this question rest.
        answer: of an interval's ends.
    """
    rows = {name: ends(sampled, family) for name, sampled in values.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])
    return table.assign(answer=[answer(row.low, row.high) for row in table.itertuples()])


def knowing(low: float, high: float) -> str:
    """Whether a network knows when it is lost, from the interval of an AUROC."""
    if np.isnan(low):
        return "cannot be said"
    return "knows" if low > KNOWS else "does not" if high < LOST else "in part"


def confident(low: float, high: float) -> str:
    """Whether more than a tenth of the wrong answers are given confidently, from the interval of their share."""
    return "confidently wrong" if low > TENTH else "seldom" if high <= TENTH else "undecided"


def table(all_scores: Iterable[Scores]) -> pd.DataFrame:
    """Every score with its own 95 % interval.

    Columns: model, noise, attacks, images, wrong (answers), measure (of doubt, `mean` too), score (auroc, risk_area,
    calibration_error, confidently_wrong), value, low, high (shares; empty where there is none).
    """
    rows = []
    for found in all_scores:
        own = [("auroc", found.auroc), ("risk_area", found.risk), ("calibration_error", found.calibration)]
        for score, values in [*own, ("confidently_wrong", {"softmax": found.confidently})]:
            for measure, each in values.items():
                for (noise, attacks), wrong, sampled in zip(found.answers.rows, found.answers.wrong, each, strict=True):
                    of = (found.answers.model, noise, attacks, wrong.size, wrong.sum(), measure, score)
                    rows.append((*of, *np.round(ends(sampled), 4)))
    columns = ["model", "noise", "attacks", "images", "wrong", "measure", "score", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def write_table(all_scores: Iterable[Scores], path: Path) -> None:
    """Write `table` as a CSV file where this user may."""
    content = table(all_scores).to_csv(index=False, lineterminator="\n").encode()
    write_derived(path, lambda file: file.write(content))
