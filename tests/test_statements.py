"""Several trainings of every network: how they are read, what is known of their means, and the rule that judges."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from pretend import pretend_training
from scipy.stats import studentized_range, t
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from lib.analysis import trainings
from lib.analysis.statements import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Bounds,
    Mean,
    Share,
    above,
    area,
    at,
    combined,
    judge,
    judge_all,
    less,
    mean_of,
    sureness,
    verdict,
)
from lib.analysis.trainings import Trainings, areas, means, measure_trainings, weighted
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.statistics import area_under_curve
from lib.evaluation.sweep import Predictions
from lib.paper import NETWORKS, PAPER_NOISES
from lib.store import data

WORLDS = 10_000
LEVELS = np.arange(0, 201, 10)
WTB, BTW, RPI, ETA = PAPER_NOISES


def drawn(counts: dict[str, int], seed: int = 0, spread: float = 2.0) -> Trainings:
    """Straight curves that end at some accuracy, drawn for each training."""
    random = np.random.default_rng(seed)
    ends = {model: random.normal(50, spread, (n, len(PAPER_NOISES), 1)) for model, n in counts.items()}
    accuracy = {model: 99 - (99 - own) * LEVELS / 200 for model, own in ends.items()}
    return Trainings(tuple(counts), LEVELS, 2_000, {model: tuple(range(n)) for model, n in counts.items()}, accuracy)


# What is read


def test_every_training_that_is_recorded_whole_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "WHOLE", 90)
    for seed, images in ((0, 90), (1, 60), (3, 60), (10, 60)):
        pretend_training(tmp_path, "fc", images, seed)
    pretend_training(tmp_path, "fc@long", 60)
    Plan(model="fc", train_seed=3, images=60, outputs=tmp_path).part(RPI).path.unlink()
    found = measure_trainings(("fc",), tmp_path, images=60)
    assert found.seeds == {"fc": (0, 1, 10)}, "seed 3 lacks a noise"
    assert found.accuracy["fc"].shape == (3, 4, 21) and found.images == 60
    assert (found.attacks == LEVELS).all()
    answers = Predictions.read(Plan(model="fc", images=90, outputs=tmp_path).part(ETA).path).predicted[:, :60]
    right = 100 * (answers == data.load().test_labels[:60]).mean(axis=1)
    assert found.accuracy["fc"][0, 3, 1:] == pytest.approx(right), "the first of all the images"
    assert (found.accuracy["fc"][:, :, 0] == found.accuracy["fc"][:, :1, 0]).all(), "clean images, once for all noises"
    assert measure_trainings(("fc@long",), tmp_path, images=60).seeds == {"fc@long": (0,)}, "another network"


def test_predictions_by_two_weights_are_no_training(tmp_path):
    pretend_training(tmp_path, "fc", 60)
    path = Plan(model="fc", images=60, outputs=tmp_path).part(CLEAN).path
    clean = Predictions.read(path)
    Predictions(clean.predicted, clean.probability, clean.attacked, clean.record | {"weights": "others"}).write(path)
    with pytest.raises(FileNotFoundError, match="make sweep MODEL=fc"):
        measure_trainings(("fc",), tmp_path, images=60)


def test_another_reading_or_recipe_is_never_taken_for_this_one(tmp_path):
    pretend_training(tmp_path, "fc", 60)
    with pytest.raises(FileNotFoundError, match="source=current"):
        measure_trainings(("fc",), tmp_path, images=60, source="current")
    with pytest.raises(FileNotFoundError, match="MODEL=fc@long"):
        measure_trainings(("fc@long",), tmp_path, images=60)


# Means over trainings


def test_areas_are_told_for_each_training():
    found = drawn({"fc": 3, "vgg19": 2})
    table = areas(found)
    assert len(table) == 4 * 5 and list(table.columns) == ["noise", "model", "seed", "area"]
    own = table.query("noise == @BTW and model == 'vgg19' and seed == 1")["area"].item()
    assert own == pytest.approx(area_under_curve(found.accuracy["vgg19"][1, 1], LEVELS))


def test_two_networks_that_vary_alike_have_students_interval():
    """Of two groups with the same spread by construction, statsmodels' pooled interval."""
    random = np.random.default_rng(0)
    one = random.normal(60, 2, 4)
    other = one[::-1] - 5
    value, error, freedom = weighted({"fc": one, "vgg19": other}, {"fc": 1, "vgg19": -1})
    expected = CompareMeans(DescrStatsW(one), DescrStatsW(other)).tconfint_diff()
    half = t.ppf(0.975, freedom) * error
    assert (value - half, value + half) == pytest.approx(expected) and freedom == 6


def test_the_larger_variance_counts():
    calm, wild = np.array([49.0, 51.0]), np.array([20.0, 50.0, 80.0])
    values = {"fc": calm, "vgg19": calm + 7, "resnet18": wild}
    pooled = (2 + 2 + 1800) / 4
    assert weighted(values, {"fc": 1})[1] ** 2 == pytest.approx(pooled / 2)
    assert weighted(values, {"resnet18": 1})[1] ** 2 == pytest.approx(900 / 3)
    assert weighted(values, {"resnet18": 1, "fc": -0.5})[1] ** 2 == pytest.approx(900 / 3 + 0.25 * pooled / 2)
    assert weighted(values, {"fc": 1})[2] == 4


def test_one_training_has_no_interval():
    values = {"fc": np.array([1.0, 2.0]), "vgg19": np.array([9.0])}
    value, error, freedom = weighted(values, {"fc": 1, "vgg19": -1})
    assert value == -7.5 and np.isnan(error) and freedom == 0
    assert weighted(values, {"fc": 1})[2] == 1
    found = drawn({"fc": 3, "vgg19": 1})
    table = means(found).set_index("model")
    assert table.loc["vgg19", ["low", "high"]].isna().all(axis=None)
    assert table.loc["fc", ["low", "high"]].notna().all(axis=None)
    none = judge_all([above(drawn({"fc": 1, "vgg19": 1}), WTB, "fc", "vgg19")])
    assert [own.verdict for own in none] == [UNDECIDED] and none[0].error == 1 and math.isinf(none[0].low)


def test_the_mean_of_every_level_has_an_interval():
    found = drawn({"fc": 3, "vgg19": 2, "resnet18": 5}, spread=0.5)
    table = means(found)
    assert list(table.columns) == ["noise", "model", "attacks", "trainings", "mean", "low", "high"]
    assert len(table) == 4 * 3 * 21 and list(table["noise"].unique()) == list(PAPER_NOISES)
    row = table.query("noise == @RPI and model == 'resnet18' and attacks == 200").iloc[0]
    ours = combined(found, at(200, RPI), {"resnet18": 1})
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((ours.value, *ours.ends(0.025)))
    assert row["trainings"] == 5


# The rule, in worlds whose truth is known


def worlds(counts: list[int], spreads: list[float], truth: float = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    sets = zip(NETWORKS, counts, spreads, strict=True)
    return {model: random.normal(truth * place, spread, (n, WORLDS)) for place, (model, n, spread) in enumerate(sets)}


def wrong(counts: list[int], spreads: list[float], tukey: bool = False, truth: float = 0) -> float:
    """The share of worlds in which an interval of any two of eight networks misses the truth."""
    values = worlds(counts, spreads, truth)
    freedom = sum(counts) - len(counts)
    every = list(combinations(values, 2))
    wide = studentized_range.ppf(0.95, len(counts), freedom) / 2**0.5 if tukey else t.isf(0.025 / len(every), freedom)
    missed = np.zeros(WORLDS, bool)
    for one, other in every:
        value, error, known = weighted(values, {one: 1, other: -1})
        assert known == freedom
        true = truth * (NETWORKS.index(one) - NETWORKS.index(other))
        missed |= abs(value - true) > wide * error
    return missed.mean()


CHANCE = 3 * math.sqrt(0.05 * 0.95 / WORLDS)  # of a share of worlds that is 5 %


@pytest.mark.parametrize("each", [2, 3, 5])
def test_equal_networks_are_told_apart_in_five_percent_of_the_worlds_at_most(each):
    counts = 8 * [each]
    alike = wrong(counts, 8 * [1.0])
    assert 0.005 < alike <= 0.05 + CHANCE, "a rule that never decides is none"
    assert alike <= wrong(counts, 8 * [1.0], tukey=True) <= 0.05 + CHANCE
    assert wrong(counts, [2.2, *7 * [1.0]]) <= 0.05 + CHANCE
    assert wrong(counts, [3.0, *7 * [1.0]]) <= 0.05 + CHANCE
    assert wrong(counts, [*4 * [3.0], *4 * [1.0]]) <= 0.05 + CHANCE


def test_intervals_cover_the_truth_wherever_it_is():
    assert wrong(8 * [3], 8 * [1.0], truth=4.0) == wrong(8 * [3], 8 * [1.0])


def test_the_limit_of_the_rule_is_a_wild_network_with_few_trainings():
    counts = [5, 4, 3, 3, 2, 3, 2, 3]
    assert wrong(counts, 8 * [2.0]) <= 0.05 + CHANCE
    assert wrong(counts, [1.0, *7 * [2.2]]) <= 0.05 + CHANCE, "the one that is trained most spreads least"
    assert 0.04 < wrong(counts, [*6 * [1.0], 2.2, 1.0]) < 0.07
    assert 0.07 < wrong(counts, [*6 * [1.0], 3.0, 1.0]) < 0.11, "as the docstring of `statements` says"


def test_what_differs_is_told_apart():
    """Eight networks 4 points apart, three trainings each with a deviation of 1: each of the neighbours."""
    values, freedom = worlds(8 * [3], 8 * [1.0], truth=4.0), 16
    value, error, _ = weighted(values, {NETWORKS[1]: 1, NETWORKS[0]: -1})
    assert (value > t.isf(0.025 / 28, freedom) * error).mean() > 0.6


def test_the_simulation_is_of_the_rule_itself():
    values = worlds(8 * [3], [2.2, *7 * [1.0]])
    value, error, freedom = weighted(values, {NETWORKS[1]: 1, NETWORKS[0]: -1})
    family = 28
    surely = value - t.isf(0.025 / family, freedom) * error > 0
    for world in [*np.flatnonzero(surely)[:5], *range(20)]:
        number = Mean(value[world], error[world], freedom)
        assert (judge(Bounds("id", "above 0", (number,), 0, math.inf), family).verdict == HOLDS) == surely[world]


# The rule, by hand


def number(low: float, high: float) -> Mean:
    """A mean whose 95 % interval this is, with ten degrees of freedom."""
    return Mean((low + high) / 2, (high - low) / 2 / t.isf(0.025, 10), 10)


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "family", "expected"),
    [
        (1, 2, 0, math.inf, 1, HOLDS),
        (-2, -1, 0, math.inf, 1, FAILS),
        (-1, 1, 0, math.inf, 1, UNDECIDED),
        (0.1, 1, 0, math.inf, 1, HOLDS),
        (0.1, 1, 0, math.inf, 20, UNDECIDED),  # one of twenty
        (-1, -0.1, 0, math.inf, 20, UNDECIDED),
        (6, 9, 5, 10, 1, HOLDS),
        (9, 12, 5, 10, 1, UNDECIDED),
        (11, 12, 5, 10, 1, FAILS),
        (3, 4, 5, 10, 1, FAILS),
        (4, 11, 5, 10, 1, UNDECIDED),
    ],
)
def test_a_statement_is_judged_by_its_interval(low, high, least, most, family, expected):
    found = judge(Bounds("id", "so", (number(low, high),), least, most), family)
    assert found.verdict == expected
    assert (found.error <= 0.05) == (expected != UNDECIDED), "decided by the probability of error and by the interval"
    inside, outside = found.low >= least and found.high <= most, found.high < least or found.low > most
    assert (inside, outside) == (expected == HOLDS, expected == FAILS)


@pytest.mark.parametrize(
    ("ends", "place", "expected"),
    [
        ([(1, 2), (3, 4), (5, 6)], 0, HOLDS),
        ([(-1, 2), (3, 4), (5, 6)], 0, UNDECIDED),
        ([(-1, 2), (3, 4), (5, 6)], 1, HOLDS),  # whichever is the least, the second least is above 0
        ([(-2, -1), (3, 4), (5, 6)], 0, FAILS),
        ([(-2, -1), (-4, -3), (5, 6)], 1, FAILS),
        ([(-2, -1), (-1, 3), (5, 6)], 1, UNDECIDED),
    ],
)
def test_the_least_of_some_numbers_or_the_second_least_is_judged(ends, place, expected):
    found = judge(Bounds("id", "so", tuple(number(*each) for each in ends), 0, math.inf, place), family=1)
    assert found.verdict == expected
    assert found.value == sorted(sum(each) / 2 for each in ends)[place]


def test_an_unknown_number_can_be_any():
    """The least of two is below where one surely is, above only if both are; the larger is above where one is."""
    unknown = Mean(8.0, math.nan, 0)
    for known, place, expected in (((1, 2), 0, UNDECIDED), ((-2, -1), 0, FAILS), ((1, 2), 1, HOLDS)):
        found = judge(Bounds("id", "so", (unknown, number(*known)), 0, math.inf, place), family=1)
        assert found.verdict == expected
    both = judge(Bounds("id", "so", (unknown, number(1, 2), number(-9, 2)), 0, math.inf, 1), family=1)
    assert both.verdict == UNDECIDED and both.low == pytest.approx(-9)


@pytest.mark.parametrize(
    ("right", "n", "expected"), [(5, 5, UNDECIDED), (6, 6, HOLDS), (0, 6, FAILS), (4, 6, UNDECIDED)]
)
def test_a_share_of_trainings_is_judged_exactly(right, n, expected):
    share = Share(np.arange(n) < right, {"fc": n})
    found = judge(Bounds("id", "most", (share,), 0.5, math.inf), family=1)
    assert found.verdict == expected and found.so_in == (right, n) and found.value == right / n
    assert (found.low, found.high) == pytest.approx(proportion_confint(right, n, 0.05, method="beta"))


def test_nothing_is_said_of_a_number_that_is_not_measured():
    with pytest.raises(ValueError, match="not measured: above 0"):
        judge(Bounds("id", "above 0", (Mean(math.nan, math.nan, 0),), 0, math.inf), 3)
    with pytest.raises(ValueError, match=r"this needs vgg19; there are fc, resnet18"):
        above(drawn({"fc": 2, "resnet18": 2}), WTB, "fc", "vgg19")


def test_the_verdict_needs_all_statements_and_one_failure_is_enough():
    made = {HOLDS: number(1, 2), FAILS: number(-2, -1), UNDECIDED: number(-1, 1)}

    def claim(*answers):
        return [judge(Bounds(answer, answer, (made[answer],), 0, math.inf), 2) for answer in answers]

    assert verdict(claim(HOLDS, HOLDS)) == "supported"
    assert verdict(claim(HOLDS, UNDECIDED)) == "undecided" and math.isnan(sureness(claim(HOLDS, UNDECIDED)))
    assert verdict(claim(HOLDS, FAILS, UNDECIDED)) == "contradicted"
    assert 0.95 < sureness(claim(HOLDS, FAILS)) < 1
    surer = [*claim(HOLDS), judge(Bounds("id", "so", (number(1, 1.1),), 0, math.inf), 2)]
    assert sureness(surer) == sureness(claim(HOLDS)), "a claim is as sure as its least sure statement"
    worse = [*claim(FAILS), judge(Bounds("id", "so", (number(-1.1, -1),), 0, math.inf), 2)]
    assert sureness(worse) > sureness(claim(FAILS)), "and as wrong as its surest failure"


def test_a_statement_counts_the_trainings_in_which_it_is_so():
    found = drawn({"fc": 3, "vgg19": 2})
    own = judge_all([above(found, WTB, "fc", "vgg19")])[0]
    table = areas(found).query("noise == @WTB")
    beside = table.query("model == 'vgg19'")["area"].mean()
    assert own.so_in == ((table.query("model == 'fc'")["area"] > beside).sum(), 3)
    assert own.trainings == {"fc": 3, "vgg19": 2}


def test_scores_are_of_each_training():
    found = drawn({"fc": 3})
    curves = found.accuracy["fc"]
    every = [area_under_curve(curves[:, place], LEVELS) for place in range(4)]
    assert area(WTB)(curves, LEVELS) == pytest.approx(every[0])
    assert area(*PAPER_NOISES)(curves, LEVELS) == pytest.approx(np.mean(every, axis=0))
    assert less(area(WTB), area(ETA))(curves, LEVELS) == pytest.approx(every[0] - every[3])
    assert at(50, BTW, RPI)(curves, LEVELS) == pytest.approx(curves[:, 1:3, 5].mean(axis=1))
    assert np.isnan(at(55, BTW)(curves, LEVELS)).all()
    assert mean_of(np.array([1.0, 2.0, 6.0])).ends(0.025) == pytest.approx(DescrStatsW([1, 2, 6]).tconfint_mean())


def test_all_that_a_claim_asks_shares_the_error():
    """By hand: two statements, of one number and of two, so that each interval is at 95 % for three."""
    found = drawn({"fc": 3, "vgg19": 3, "resnet18": 3})
    one, both = judge_all([above(found, WTB, "fc", "vgg19"), above(found, BTW, "fc", "vgg19", "resnet18")])
    gain = combined(found, area(WTB), {"fc": 1, "vgg19": -1})
    assert (one.low, one.high) == pytest.approx(gain.ends(0.025 / 3))
    gains = [combined(found, area(BTW), {"fc": 1, other: -1}) for other in ("vgg19", "resnet18")]
    assert both.low == pytest.approx(min(gain.ends(0.025 / 3)[0] for gain in gains))
    assert isinstance(areas(found), pd.DataFrame)
