"""Statistics of accuracy curves, and the bootstrap over test images."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from lib.evaluation import statistics


@pytest.mark.parametrize(
    ("accuracy", "attacks", "expected"),
    [
        ([80, 80, 80], [0, 10, 40], 80),
        ([100, 0], [0, 200], 50),
        ([100, 50, 0], [0, 10, 40], (75 * 10 + 25 * 30) / 40),
    ],
)
def test_area_under_a_curve(accuracy, attacks, expected):
    assert statistics.area_under_curve(np.array(accuracy), attacks) == pytest.approx(expected)
    stacked = np.array([[accuracy], [accuracy]])
    assert statistics.area_under_curve(stacked, attacks).shape == (2, 1)


@pytest.mark.parametrize("attacks", [[0, 10, 10], [10, 0, 20], [5]])
def test_attacks_must_increase(attacks):
    with pytest.raises(ValueError, match="strictly increasing, not"):
        statistics.area_under_curve(np.zeros(len(attacks)), attacks)


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
    found = statistics.attacks_until(np.array([accuracy, accuracy], float), [0, 10, 20, 30])
    np.testing.assert_allclose(found, expected)


def test_ranks_put_the_highest_first_and_share_the_better_place():
    np.testing.assert_array_equal(statistics.ranks(np.array([[3.0, 1, 2], [5, 1, 5]])), [[1, 3, 2], [1, 3, 1]])


def test_the_bootstrap_is_scipys_and_pairs_what_it_resamples():
    values = np.random.default_rng(3).random((2, 400)) < [[0.3], [0.9]]
    means = statistics.resample(values)
    assert means.shape == (statistics.REPEATS, 2)
    np.testing.assert_array_equal(means, statistics.resample(values), "the same samples again")
    np.testing.assert_array_equal(means[:, 0], statistics.resample(values[0]), "whatever goes with it")
    np.testing.assert_allclose(means * 400, np.round(means * 400), atol=1e-9)
    for number in range(2):
        theirs = bootstrap((values[number].astype(float),), np.mean, method="percentile", rng=0).confidence_interval
        np.testing.assert_allclose([side[number] for side in statistics.limits(means)], theirs, atol=0.005)


def test_limits_are_in_order_where_some_are_infinite():
    values = np.concatenate([np.full(100, 7.0), np.full(1900, np.inf)])[:, None]
    low, high = statistics.limits(values)
    assert low == 7 and high == np.inf


def test_an_interval_says_higher_lower_or_nothing():
    assert [statistics.verdict(*pair) for pair in [(0.1, 2), (-2, -0.1), (-1, 1)]] == ["higher", "lower", "undecided"]
