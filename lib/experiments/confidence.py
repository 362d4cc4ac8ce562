"""Does a network know when it is lost? Whether its recorded predictions are wrong where it is in doubt.

Every score is computed for all images and for each bootstrap sample of them, the same samples everywhere
(`bootstrap.resample`), so means over noises and differences between scores are paired over the images. The scores
describe one training of each network; they do not say what another training would give.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.evaluation.plan import CLEAN, Plan, SweepPart
from lib.experiments.measure import Compared, predictions
from lib.paper import PAPER_NOISES
from lib.statistics.bootstrap import SAMPLES_TOGETHER, limits, resample
from lib.statistics.contrasts import UNDECIDED, verdict
from lib.statistics.curves import Trainings
from lib.store import data, parts
from lib.store.files import OUTPUTS, read_arrays, write_derived

PASSES = 30  # of Monte Carlo dropout (`dropout.py`)
RATE = 0.5  # share of the features that a pass drops
MASKS = 0  # seed of the masks
LEVELS = [0, 20, 50, 100, 200]  # attacks
SEED = 0  # the training; the weights of further trainings are not kept
DROPOUT = ("entropy", "spread", "information")
MEASURES = ("softmax", *DROPOUT, "disagreement")  # of doubt
BINS = 15  # of the calibration error
FEWEST = 10  # wrong predictions, and right ones, for an AUROC
KNOWS, LOST = 0.8, 0.7  # AUROC
SURE = 0.9  # softmax maximum
TENTH = 0.1  # of the wrong predictions
NEGLIGIBLE = 0.01  # difference of an AUROC


class Confidence(Compared):
    """The parameters of `confidence.ipynb`."""

    recompute: bool = False


class Doubts(parts.Part):
    """One network's predictions with and without dropout, on the clean images and at each noise and level."""

    @property
    def label(self) -> str:
        return networks.file_stem(self.recipe["model"], SEED)

    @property
    def size(self) -> int:
        return len(self.rows) * self.recipe["images"]

    @property
    def rows(self) -> list[tuple[str, int]]:
        """Noise and number of attacks of each row of the arrays (rows, images)."""
        return [(part["noise"], level) for part in self.recipe["asked"] for level in part["levels"]]

    def attacked(self, index: np.ndarray) -> np.ndarray:
        """The test images of these numbers under every noise and level, (rows, n, 28, 28) uint8."""
        images = data.load().test_images[index]
        swept = [SweepPart(self.folder, recipe) for recipe in self.recipe["asked"]]
        return np.concatenate([part.attack(images, index, part.recipe["levels"])[0] for part in swept])

    def read(self) -> dict[str, np.ndarray]:
        """The arrays of `doubts`, (rows, images)."""
        return read_arrays(self.path)[1]


def doubts_of(model: str, outputs: Path = OUTPUTS, images: int = 2_000) -> Doubts:
    """The file of one network: the paper's noises under the default reading, draw 0."""
    plan = Plan(model=model, levels=LEVELS, images=images, noises=list(PAPER_NOISES), draw=0)
    dropped = {"passes": PASSES, "rate": RATE, "masks": MASKS}
    swept = [part.recipe for part in plan.parts()]
    return Doubts(outputs / "confidence", {"model": model, "images": images, **dropped, "asked": swept})


@dataclass(frozen=True)
class Evaluated:
    """Predictions of one network and its doubt, a row for the clean images and for each noise and level."""

    model: str
    rows: list[tuple[str, int]]  # noise (or `CLEAN`), attacks
    wrong: np.ndarray  # (rows, images) bool, without dropout
    mean_wrong: np.ndarray  # the same, by the mean of the dropout passes
    doubts: dict[str, np.ndarray]  # of `MEASURES`, and `mean`: 1 - the largest probability of that mean

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(measure for measure in MEASURES if measure in self.doubts)

    @property
    def levels(self) -> list[int]:
        """The numbers of attacks, 0 first."""
        return sorted({attacks for _, attacks in self.rows})

    def row(self, noise: str, attacks: int) -> int:
        return self.rows.index((noise if attacks else CLEAN, attacks))

    def mean(self, values: np.ndarray, attacks: int) -> np.ndarray:
        """The mean over the noises at one level of values (rows, ...); nan if it is nan under one noise."""
        return values[[self.row(noise, attacks) for noise in PAPER_NOISES]].mean(axis=0)


def evaluated(model: str, trainings: Trainings, outputs: Path = OUTPUTS) -> Evaluated:
    """The recorded predictions of a network's first training (`dropout.record`), and how many others disagree."""
    part = doubts_of(model, outputs, trainings.images)
    found = {name: values.astype(float) for name, values in part.read().items()}
    predicted, mean_predicted = found.pop("predicted"), found.pop("mean_predicted")
    labels = data.load().test_labels[: trainings.images]
    others = [seed for seed in trainings.seeds[model] if seed != SEED]
    if others:
        classes = [swept(model, seed, part.rows, trainings.images, outputs) for seed in others]
        found["disagreement"] = (np.stack(classes) != predicted).mean(axis=0)
    return Evaluated(model, part.rows, predicted != labels, mean_predicted != labels, found)


def swept(model: str, seed: int, rows: list[tuple[str, int]], images: int, outputs: Path = OUTPUTS) -> np.ndarray:
    """The classes that the sweep of one training recorded for these rows, (rows, images)."""
    parts = predictions(model, seed, images, outputs)
    levels = {noise: part.record["recipe"]["levels"] for noise, part in parts.items()}
    return np.stack([parts[noise].predicted[levels[noise].index(level), :images] for noise, level in rows])


def risk_coverage(doubt: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many predictions are kept, and how many of these are wrong, if those with the most doubt are refused.

    Of `doubt` (n,), `wrong` (n,) bool and `weights` (n, samples), how often each image is in each sample, up to a
    factor: (1 + distinct doubts, samples) each, from 0 on. Predictions with equal doubt are kept or refused together.
    """
    order = np.argsort(doubt, kind="stable")
    last = np.flatnonzero(np.diff(doubt[order], append=np.inf))
    ordered = weights[order]
    kept = np.cumsum(ordered, axis=0)[last]
    errors = np.cumsum(ordered * wrong[order, None].astype(weights.dtype), axis=0)[last]
    none = np.zeros((1, weights.shape[1]), weights.dtype)
    return np.concatenate([none, kept]), np.concatenate([none, errors])


def auroc(kept: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The chance that a wrong prediction has more doubt than a right one, equal doubts counted half: (samples,).

    The area of right predictions kept over wrong ones kept (`risk_coverage`); nan without either.
    """
    right = kept - errors
    with np.errstate(invalid="ignore"):
        return np.trapezoid(right, errors, axis=0) / (right[-1] * errors[-1])


def risk_area(kept: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The area under the risk-coverage curve (Geifman and El-Yaniv 2017), (samples,), 0 to 1.

    The share of wrong predictions among those kept, averaged over all numbers kept.
    """
    risk = np.divide(errors, kept, out=np.zeros_like(kept), where=kept > 0)
    risk[0] = risk[1]
    return np.trapezoid(risk, kept, axis=0) / kept[-1]


def calibration_error(doubt: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The expected calibration error (Guo et al. 2017), (samples,), 0 to 1; arguments as for `risk_coverage`.

    The distance between accuracy and mean confidence in `BINS` equal bins of confidence (1 - `doubt`), averaged.
    """
    place = np.minimum(((1 - doubt) * BINS).astype(int), BINS - 1)
    apart = np.zeros((BINS, len(doubt)), weights.dtype)
    apart[place, np.arange(len(doubt))] = doubt - wrong
    return np.abs(apart @ weights).sum(axis=0) / weights.sum(axis=0)


@dataclass(frozen=True)
class Scores:
    """One network's scores, each for all images and then for every bootstrap sample: (rows, 1 + samples)."""

    evaluated: Evaluated
    auroc: dict[str, np.ndarray]  # of each measure; nan with fewer than `FEWEST` wrong predictions, or right ones
    risk: dict[str, np.ndarray]  # `risk_area` of each measure
    calibration: dict[str, np.ndarray]  # `calibration_error` of softmax and of mean
    confidently: np.ndarray  # share of the wrong predictions whose softmax maximum is `SURE` or more; nan: none wrong


def scores(found: Evaluated) -> Scores:
    """Every score of one network, on all images and on the bootstrap samples."""
    images = found.wrong.shape[1]
    often = np.rint(images * resample(np.eye(images)))  # whole numbers, whose sums are exact
    weights = np.concatenate([np.ones((1, images)), often]).astype(np.float32)
    places = range(SAMPLES_TOGETHER, len(weights), SAMPLES_TOGETHER)
    some = [np.ascontiguousarray(each.T) for each in np.split(weights, places)]

    def sampled(score: Callable, name: str, wrong: np.ndarray) -> np.ndarray:
        """(..., rows, 1 + samples)."""
        rows = zip(found.doubts[name], wrong, strict=True)
        return np.stack([np.concatenate([score(*row, each) for each in some], axis=-1) for row in rows], axis=-2)

    both = {measure: sampled(_areas, measure, found.wrong) for measure in found.measures}
    wrong = {"softmax": found.wrong, "mean": found.mean_wrong}  # where a prediction has a probability
    calibration = {name: _centred(sampled(calibration_error, name, own)) for name, own in wrong.items()}
    sure = found.wrong & (found.doubts["softmax"] <= 1 - SURE)
    with np.errstate(invalid="ignore"):
        confidently = (sure @ weights.T) / (found.wrong @ weights.T)
    aurocs, risks = ({measure: each[place] for measure, each in both.items()} for place in (0, 1))
    return Scores(found, aurocs, risks, calibration, confidently)


def _areas(doubt: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(AUROC and risk, samples)."""
    curve = risk_coverage(doubt, wrong, weights)
    few = min(wrong.sum(), (~wrong).sum()) < FEWEST
    return np.stack([np.full(weights.shape[1], np.nan) if few else auroc(*curve), risk_area(*curve)])


def _centred(sampled: np.ndarray) -> np.ndarray:
    """Samples moved so that their mean is the value: resampling the images inflates a calibration error."""
    moved = sampled - sampled[:, 1:].mean(axis=1, keepdims=True) + sampled[:, :1]
    return np.concatenate([sampled[:, :1], moved[:, 1:]], axis=1)


def ends(sampled: np.ndarray, family: int = 1) -> tuple[float, float, float]:
    """The value and the ends of its 95 % interval; the intervals of one `family` hold together (Bonferroni).

    `sampled` is (1 + samples,), the value first; if it is nan, so are the ends. Samples that are nan are skipped.
    """
    value, *samples = sampled
    if np.isnan(value):
        return np.nan, np.nan, np.nan
    low, high = limits(np.array(samples)[~np.isnan(samples)], family)
    return float(value), float(low), float(high)


def means(found: dict[str, Scores], score: str, measure: str, attacks: int) -> dict[str, np.ndarray]:
    """The mean over the noises of a score (auroc, risk or calibration) for each network that has this measure."""
    each = {model: (own.evaluated, getattr(own, score)) for model, own in found.items()}
    return {model: own.mean(values[measure], attacks) for model, (own, values) in each.items() if measure in values}


def less(some: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each of `some` minus the one of the same name, paired over the samples."""
    return {name: values - other[name] for name, values in some.items()}


def decided(
    values: dict[str, np.ndarray], family: int = 1, rule: Callable[[float, float], str] = verdict
) -> pd.DataFrame:
    """Values (1 + samples,) by name with their intervals (`ends`) and the verdicts of a rule on the ends of these.

    Columns: value, low, high, verdict.
    """
    rows = {name: ends(sampled, family) for name, sampled in values.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])
    return table.assign(verdict=list(map(rule, table["low"], table["high"])))


def differs(low: float, high: float) -> str:
    """The verdict on a difference of two AUROCs: higher, lower, no difference (within `NEGLIGIBLE`), undecided."""
    return verdict(low, high, NEGLIGIBLE)


def knows(low: float, high: float) -> str:
    """Whether a network knows when it is lost, from the interval of an AUROC: supported, contradicted, undecided."""
    return "supported" if low > KNOWS else "contradicted" if high < LOST else UNDECIDED


def confidently_wrong(low: float, high: float) -> str:
    """Whether more than a tenth of the wrong predictions are confident, from the interval of their share."""
    return "supported" if low > TENTH else "contradicted" if high <= TENTH else UNDECIDED


def write_table(all_scores: Iterable[Scores], path: Path) -> None:
    """Write every score with its own 95 % interval as a CSV file, unless the file may not be written.

    Columns: model, noise, attacks, images, wrong (predictions), measure (of doubt, or `mean`), score (auroc, risk_area,
    calibration_error, confidently_wrong), value, low, high (shares; empty where there is none).
    """
    rows = []
    for found in all_scores:
        own = {"auroc": found.auroc, "risk_area": found.risk, "calibration_error": found.calibration}
        own["confidently_wrong"] = {"softmax": found.confidently}
        about = found.evaluated
        for score, measure, each in ((score, *pair) for score, values in own.items() for pair in values.items()):
            for key, wrong, sampled in zip(about.rows, about.wrong, each, strict=True):
                key = (about.model, *key, wrong.size, wrong.sum(), measure, score)
                rows.append((*key, *np.round(ends(sampled), 4)))
    columns = ["model", "noise", "attacks", "images", "wrong", "measure", "score", "value", "low", "high"]
    content = pd.DataFrame(rows, columns=columns).to_csv(index=False, lineterminator="\n").encode()
    write_derived(path, lambda file: file.write(content))
