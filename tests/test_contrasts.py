"""Scores of curves, the bootstrap over images, and contrasts of means over trainings in worlds whose truth is known."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, studentized_range, t, tukey_hsd
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from worlds import flat, trainings

from lib.paper import LEVELS, NETWORKS, PAPER_NOISES
from lib.statistics import bootstrap as images
from lib.statistics import curves
from lib.statistics.contrasts import (
    HIGHER,
    LOWER,
    NO_DIFFERENCE,
    UNDECIDED,
    Spread,
    contrasts,
    estimate,
    mean_curves,
    means,
    pairs,
    ranking,
    trainings_needed,
    verdict,
)
from lib.statistics.curves import area, area_under_curve, at, less, relative

WTB, BTW, RPI, ETA = PAPER_NOISES
WORLDS = 10_000
MEAN = {"mean": area()}


# Scores


@pytest.mark.parametrize(
    ("accuracy", "attacks", "expected"),
    [([80, 80, 80], [0, 10, 40], 80), ([100, 0], [0, 200], 50), ([100, 50, 0], [0, 10, 40], (75 * 10 + 25 * 30) / 40)],
)
def test_area_under_a_curve(accuracy, attacks, expected):
    assert area_under_curve(np.array(accuracy), attacks) == pytest.approx(expected)
    assert area_under_curve(np.array([[accuracy], [accuracy]]), attacks).shape == (2, 1)


@pytest.mark.parametrize("attacks", [[0, 10, 10], [10, 0, 20], [5]])
def test_attacks_must_increase(attacks):
    with pytest.raises(ValueError, match="strictly increasing"):
        area_under_curve(np.zeros(len(attacks)), attacks)


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([100, 60, 40, 30], 15),
        ([100, 90, 80, 51], np.inf),
        ([40, 30, 20, 10], 0),
        ([100, 50, 40, 30], 10),
        ([100, 40, 60, 30], 10 * 50 / 60),  # the first time counts
        ([50, 50, 50, 50], 0),
    ],
)
def test_attacks_until_half_are_wrong(accuracy, expected):
    found = curves.attacks_until(np.array([accuracy, accuracy], float), [0, 10, 20, 30])
    np.testing.assert_allclose(found, expected)


def test_scores_are_named_by_noise_and_level():
    values = np.random.default_rng(0).random((3, 4, len(LEVELS))) * 100
    found = trainings({"fc": values})
    np.testing.assert_allclose(found.scores(area(BTW)), area_under_curve(values[:, 1], LEVELS))
    np.testing.assert_allclose(found.scores(area()), area_under_curve(values, LEVELS).mean(axis=1))
    np.testing.assert_allclose(found.scores(at(50, ETA)), values[:, 3, 5])
    np.testing.assert_allclose(found.scores(less(at(50, ETA), at(0, RPI))), values[:, 3, 5] - values[:, 2, 0])
    shares = 100 * area_under_curve(values[:, 0], LEVELS) / values[:, 0, 0]
    np.testing.assert_allclose(found.scores(relative(WTB)), shares)
    assert found.scores(at(55)).isna().all(), "not measured"


def test_the_bootstrap_is_scipys_and_pairs_what_it_resamples():
    values = np.random.default_rng(3).random((2, 400)) < [[0.3], [0.9]]
    sampled = images.resample(values)
    assert sampled.shape == (images.REPEATS, 2)
    np.testing.assert_array_equal(sampled[:, 0], images.resample(values[0]), "whatever goes with it")
    for number in range(2):
        own = (values[number].astype(float),)
        theirs = bootstrap(own, np.mean, method="percentile", n_resamples=2000, rng=0).confidence_interval
        np.testing.assert_allclose([side[number] for side in images.limits(sampled)], theirs, atol=0.006)
    low, high = images.limits(np.concatenate([np.full(100, 7.0), np.full(1900, np.inf)])[:, None])
    assert low == 7 and high == np.inf


# One statistic


def test_two_networks_that_vary_alike_have_students_interval():
    one = np.random.default_rng(0).normal(60, 2, 4)
    found = flat({"fc": one, "vgg19": one[::-1] - 5})
    ours = estimate(found, area(), {"fc": 1, "vgg19": -1})
    theirs = CompareMeans(DescrStatsW(one), DescrStatsW(one[::-1] - 5)).tconfint_diff()
    assert ours.ends() == pytest.approx(theirs) and ours.freedom == 6


def test_the_larger_variance_counts():
    calm, wild = np.array([49.0, 51.0]), np.array([20.0, 50.0, 80.0])
    found = Spread.of({"fc": calm, "vgg19": calm + 7, "resnet18": wild}, dict.fromkeys(NETWORKS, "one"))
    pooled = (2 + 2 + 1800) / 4
    for weights, squared in [
        ({"fc": 1}, pooled / 2),
        ({"resnet18": 1}, 900 / 3),
        ({"resnet18": 1, "fc": -0.5}, 900 / 3 + 0.25 * pooled / 2),
    ]:
        _, error, freedom = found.contrast(weights)
        assert error**2 == pytest.approx(squared) and freedom == 4


def test_families_do_not_lend_each_other_their_spread():
    """Welch's interval, of two networks that are a family each; the spread of a third one plays no part."""
    one, other = np.random.default_rng(1).normal(60, 1, 5), np.random.default_rng(2).normal(60, 6, 3)
    found = flat({"fc": one, "vgg19": other, "resnet18": [0, 100.0]}, families={})
    ours = estimate(found, area(), {"fc": 1, "vgg19": -1})
    theirs = CompareMeans(DescrStatsW(one), DescrStatsW(other)).tconfint_diff(usevar="unequal")
    assert ours.ends() == pytest.approx(theirs)


def test_relatives_that_are_not_shown_are_part_of_the_spread():
    every = flat({"fc": [60, 61.0], "fc98": [50, 70.0]})
    shown = every.only(["fc"])
    assert estimate(shown, area(), {"fc": 1}).error == estimate(every, area(), {"fc": 1}).error
    with pytest.raises(ValueError, match="this needs fc98; recorded are fc"):
        estimate(shown, area(), {"fc98": 1})


def test_one_training_decides_nothing():
    found = flat({"fc": [1.0, 2.0], "vgg19": [9.0]})
    ours = estimate(found, area(), {"vgg19": 1, "fc": -1})
    assert ours.value == 7.5 and math.isnan(ours.error) and ours.freedom == 0 and np.isnan(ours.ends()).all()
    table = mean_curves(found).set_index("model")
    assert table.loc["vgg19", ["low", "high"]].isna().all(axis=None) and table.loc["fc", "low"].notna().all()
    apart = pairs(found, MEAN)
    assert apart["low"].isna().all() and apart["verdict"].tolist() == [UNDECIDED]
    order = ranking(found, apart, means(found, MEAN))
    assert order[["best", "worst"]].to_numpy().tolist() == 2 * [[1, 2]]


def test_mean_curves_are_the_estimates_of_every_level():
    random = np.random.default_rng(4)
    found = trainings({"fc": random.random((3, 4, 21)) * 100, "vgg19": random.random((2, 4, 21)) * 100})
    table = mean_curves(found)
    assert list(table.columns) == ["noise", "model", "attacks", "trainings", "mean", "low", "high"]
    row = table.query("noise == @RPI and model == 'vgg19' and attacks == 120").iloc[0]
    ours = estimate(found, at(120, RPI), {"vgg19": 1})
    low, high = np.clip(ours.ends(), 0, 100)
    assert (row["mean"], row["low"], row["high"], row["trainings"]) == pytest.approx((ours.value, low, high, 2))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 9, HIGHER),
        (-9, -0.1, LOWER),
        (-1.9, 1.9, NO_DIFFERENCE),
        (-2.1, 1, UNDECIDED),
        (0.1, 0.2, HIGHER),
        (math.nan, math.nan, UNDECIDED),
    ],
)
def test_verdicts(low, high, expected):
    assert verdict(low, high, margin=2) == expected
    assert verdict(low, high) == (UNDECIDED if expected == NO_DIFFERENCE else expected)


def test_contrasts_say_what_is_missing():
    found = flat({"fc": [60, 62.0], "vgg19": [70.0]})
    asked = {"known": {"fc": 1}, "once": {"vgg19": 1, "fc": -1}, "never": {"resnet18": 1, "fc": -1}}
    table = contrasts(found, asked, MEAN, {}).set_index("question")
    assert table["trainings"].tolist() == [2, 1, 0]
    assert np.isnan(table.loc["never", "estimate"]) and table.loc["once", "estimate"] == 9
    assert table.loc[["once", "never"], "low"].isna().all() and table["verdict"].tolist()[1:] == 2 * [UNDECIDED]


def test_intervals_that_hold_together_are_bonferronis():
    found = flat({"fc": [60, 62.0], "vgg19": [70, 75.0]})
    asked = {"one": {"fc": 1, "vgg19": -1}}
    alone, four = (contrasts(found, asked, MEAN, together).iloc[0] for together in ({}, {"mean": 4}))
    ratio = (four["high"] - four["estimate"]) / (alone["high"] - alone["estimate"])
    assert ratio == pytest.approx(t.isf(0.025 / 4, 2) / t.isf(0.025, 2))


# All pairs


def test_the_intervals_of_all_pairs_are_tukeys_where_networks_spread_alike():
    each = {"fc": [60, 62, 64.0], "resnet18": [70, 72, 74.0], "vgg19": [63, 65, 67.0]}
    theirs, models = tukey_hsd(*each.values()).confidence_interval(0.95), list(each)
    for row in pairs(flat(each), MEAN).itertuples():
        i, j = models.index(row.first), models.index(row.second)
        assert (row.low, row.high) == pytest.approx((theirs.low[j, i], theirs.high[j, i]), abs=1e-3)


def test_ranks_are_those_that_the_pairs_leave_open():
    found = flat({"resnet18": [50, 51.0], "resnet34": [60, 61.0], "resnet50": [90, 91.0], "resnet101": [95.0]})
    order = ranking(found, pairs(found, MEAN), means(found, MEAN)).set_index("model")[["rank", "best", "worst"]]
    assert order.loc["resnet101"].tolist() == [1, 1, 4], "one training can have any rank"
    assert order.loc["resnet50"].tolist() == [2, 1, 2] and order.loc["resnet18"].tolist() == [4, 3, 4]


# How often the intervals are wrong


def worlds(counts: list[int], spreads: list[float], truth: float = 0) -> Spread:
    random = np.random.default_rng(0)
    sets = zip(NETWORKS, counts, spreads, strict=True)
    values = {m: random.normal(truth * place, spread, (n, WORLDS)) for place, (m, n, spread) in enumerate(sets)}
    return Spread.of(values, dict.fromkeys(NETWORKS, "one"))


def wrong(counts: list[int], spreads: list[float], tukey: bool = False, truth: float = 0) -> float:
    """The share of worlds in which an interval of any two of eight networks misses the truth."""
    found, freedom, every = worlds(counts, spreads, truth), sum(counts) - len(counts), list(combinations(range(8), 2))
    wide = studentized_range.ppf(0.95, len(counts), freedom) / 2**0.5 if tukey else t.isf(0.025 / len(every), freedom)
    missed = np.zeros(WORLDS, bool)
    for one, other in every:
        value, error, _ = found.contrast({NETWORKS[one]: 1, NETWORKS[other]: -1})
        missed |= abs(value - truth * (one - other)) > wide * error
    return missed.mean()


CHANCE = 3 * math.sqrt(0.05 * 0.95 / WORLDS)  # of a share of worlds that is 5 %


@pytest.mark.parametrize("each", [2, 3, 5])
def test_equal_networks_are_told_apart_in_five_percent_of_the_worlds_at_most(each):
    counts = 8 * [each]
    alike = wrong(counts, 8 * [1.0])
    assert 0.005 < alike <= 0.05 + CHANCE, "a rule that never decides is not one"
    assert alike <= wrong(counts, 8 * [1.0], tukey=True) <= 0.05 + CHANCE
    assert wrong(counts, [3.0, *7 * [1.0]]) <= 0.05 + CHANCE
    assert wrong(counts, [*4 * [3.0], *4 * [1.0]]) <= 0.05 + CHANCE
    assert wrong(counts, 8 * [1.0], truth=4.0) == alike, "wherever the truth is"


def test_the_limit_of_the_rule_is_a_wild_network_with_few_trainings():
    counts = [5, 4, 3, 3, 2, 3, 2, 3]
    assert wrong(counts, 8 * [2.0]) <= 0.05 + CHANCE
    assert 0.07 < wrong(counts, [*6 * [1.0], 3.0, 1.0]) < 0.11


def test_what_differs_is_told_apart():
    """Eight networks 4 points apart, three trainings each with a deviation of 1: each of the neighbours."""
    value, error, _ = worlds(8 * [3], 8 * [1.0], truth=4.0).contrast({NETWORKS[1]: 1, NETWORKS[0]: -1})
    assert (value > t.isf(0.025 / 28, 16) * error).mean() > 0.6


@pytest.mark.parametrize(("difference", "deviation", "expected"), [(2, 2.2, 20), (5, 2.2, 5), (10, 2.2, 3)])
def test_the_trainings_that_a_difference_needs(difference, deviation, expected):
    assert abs(trainings_needed(difference, deviation) - expected) <= 1


def test_curves_are_read_from_a_table_with_pandas_alone():
    rows = [
        {"model": "fc", "seed": seed, "noise": noise, "attacks": attacks, "correct": 100 - attacks // 4, "images": 100}
        for seed in (0, 1)
        for noise, attacks in [("none", 0), *((n, a) for n in PAPER_NOISES for a in LEVELS[1:])]
    ]
    table = pd.DataFrame(rows)
    found = curves.wide(table)
    assert found.shape == (2, 4 * 21) and found.loc[("fc", 1), (BTW, 200)] == 50
    assert found[ETA, 0].tolist() == [100, 100]
    gone = table[~((table["seed"] == 1) & (table["noise"] == RPI) & (table["attacks"] == 60))]
    assert curves.wide(gone).index.tolist() == [("fc", 0)], "a training without a level is not complete"
    with pytest.raises(ValueError, match="duplicate"):
        curves.wide(pd.concat([table, table]))
