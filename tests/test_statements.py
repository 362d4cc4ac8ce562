"""The rule that judges statements and claims, by hand."""

import math

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint
from worlds import trainings

from lib.claims.statements import CONTRADICTED, SUPPORTED, Bounds, above, judge, judge_all, sureness, verdict
from lib.paper import LEVELS, PAPER_NOISES
from lib.statistics.contrasts import UNDECIDED, Estimate, Share, estimate
from lib.statistics.curves import Trainings, area

WTB, BTW, RPI, ETA = PAPER_NOISES


def drawn(counts: dict[str, int], spread: float = 2.0) -> Trainings:
    """Straight curves that end at some accuracy, drawn for each training."""
    random = np.random.default_rng(0)
    ends = {model: random.normal(50, spread, (n, len(PAPER_NOISES), 1)) for model, n in counts.items()}
    return trainings({model: 99 - (99 - own) * np.array(LEVELS) / 200 for model, own in ends.items()})


def number(low: float, high: float) -> Estimate:
    """A mean whose 95 % interval this is, with ten degrees of freedom."""
    return Estimate((low + high) / 2, (high - low) / 2 / t.isf(0.025, 10), 10)


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "family", "expected"),
    [
        (1, 2, 0, math.inf, 1, SUPPORTED),
        (-2, -1, 0, math.inf, 1, CONTRADICTED),
        (-1, 1, 0, math.inf, 1, UNDECIDED),
        (0.1, 1, 0, math.inf, 1, SUPPORTED),
        (0.1, 1, 0, math.inf, 20, UNDECIDED),  # one of twenty
        (-1, -0.1, 0, math.inf, 20, UNDECIDED),
        (6, 9, 5, 10, 1, SUPPORTED),
        (9, 12, 5, 10, 1, UNDECIDED),
        (11, 12, 5, 10, 1, CONTRADICTED),
        (3, 4, 5, 10, 1, CONTRADICTED),
        (4, 11, 5, 10, 1, UNDECIDED),
    ],
)
def test_a_statement_is_judged_by_its_interval(low, high, least, most, family, expected):
    found = judge(Bounds("id", "so", (number(low, high),), least, most), family)
    assert found.verdict == expected
    assert (found.error <= 0.05) == (expected != UNDECIDED), "decided by the probability of error and by the interval"
    inside, outside = found.low >= least and found.high <= most, found.high < least or found.low > most
    assert (inside, outside) == (expected == SUPPORTED, expected == CONTRADICTED)


@pytest.mark.parametrize(
    ("ends", "place", "expected"),
    [
        ([(1, 2), (3, 4), (5, 6)], 0, SUPPORTED),
        ([(-1, 2), (3, 4), (5, 6)], 0, UNDECIDED),
        ([(-1, 2), (3, 4), (5, 6)], 1, SUPPORTED),  # whichever is the least, the second least is above 0
        ([(-2, -1), (3, 4), (5, 6)], 0, CONTRADICTED),
        ([(-2, -1), (-4, -3), (5, 6)], 1, CONTRADICTED),
        ([(-2, -1), (-1, 3), (5, 6)], 1, UNDECIDED),
    ],
)
def test_the_least_of_some_numbers_or_the_second_least_is_judged(ends, place, expected):
    found = judge(Bounds("id", "so", tuple(number(*each) for each in ends), 0, math.inf, place), family=1)
    assert found.verdict == expected
    assert found.value == sorted(sum(each) / 2 for each in ends)[place]


def test_an_unknown_number_can_be_any():
    """The least of two is below where one surely is, above only if both are; the larger is above where one is."""
    unknown = Estimate(8.0, math.nan, 0)
    for known, place, expected in (((1, 2), 0, UNDECIDED), ((-2, -1), 0, CONTRADICTED), ((1, 2), 1, SUPPORTED)):
        found = judge(Bounds("id", "so", (unknown, number(*known)), 0, math.inf, place), family=1)
        assert found.verdict == expected
    both = judge(Bounds("id", "so", (unknown, number(1, 2), number(-9, 2)), 0, math.inf, 1), family=1)
    assert both.verdict == UNDECIDED and both.low == pytest.approx(-9)


@pytest.mark.parametrize(
    ("right", "n", "expected"), [(5, 5, UNDECIDED), (6, 6, SUPPORTED), (0, 6, CONTRADICTED), (4, 6, UNDECIDED)]
)
def test_a_share_of_trainings_is_judged_exactly(right, n, expected):
    share = Share(np.arange(n) < right, {"fc": n})
    found = judge(Bounds("id", "most", (share,), 50, math.inf), family=1)
    assert found.verdict == expected and found.value == pytest.approx(100 * right / n)
    ends = proportion_confint(right, n, 0.05, method="beta")
    assert (found.low, found.high) == pytest.approx([100 * end for end in ends])


def test_nothing_is_said_of_a_number_that_is_not_measured():
    with pytest.raises(ValueError, match="not measured: above 0"):
        judge(Bounds("id", "above 0", (Estimate(math.nan, math.nan, 0),), 0, math.inf), 3)
    with pytest.raises(ValueError, match=r"this needs vgg19; recorded are fc, resnet18"):
        above(drawn({"fc": 2, "resnet18": 2}), WTB, "fc", "vgg19")


def test_the_verdict_needs_all_statements_and_one_failure_is_enough():
    made = {SUPPORTED: number(1, 2), CONTRADICTED: number(-2, -1), UNDECIDED: number(-1, 1)}

    def claim(*answers):
        return [judge(Bounds(answer, answer, (made[answer],), 0, math.inf), 2) for answer in answers]

    assert verdict(claim(SUPPORTED, SUPPORTED)) == "supported"
    assert verdict(claim(SUPPORTED, UNDECIDED)) == "undecided" and math.isnan(sureness(claim(SUPPORTED, UNDECIDED)))
    assert verdict(claim(SUPPORTED, CONTRADICTED, UNDECIDED)) == "contradicted"
    assert 0.95 < sureness(claim(SUPPORTED, CONTRADICTED)) < 1
    surer = [*claim(SUPPORTED), judge(Bounds("id", "so", (number(1, 1.1),), 0, math.inf), 2)]
    assert sureness(surer) == sureness(claim(SUPPORTED)), "a claim is as sure as its least sure statement"
    worse = [*claim(CONTRADICTED), judge(Bounds("id", "so", (number(-1.1, -1),), 0, math.inf), 2)]
    assert sureness(worse) > sureness(claim(CONTRADICTED)), "and as wrong as its surest failure"


def test_all_that_a_claim_asks_shares_the_error():
    """By hand: two statements, of one number and of two, so that each interval is at 95 % for three."""
    found = drawn({"fc": 3, "vgg19": 3, "resnet18": 3})
    one, both = judge_all([above(found, WTB, "fc", "vgg19"), above(found, BTW, "fc", "vgg19", "resnet18")])
    gain = estimate(found, area(WTB), {"fc": 1, "vgg19": -1})
    assert (one.low, one.high) == pytest.approx(gain.ends(0.025 / 3))
    gains = [estimate(found, area(BTW), {"fc": 1, other: -1}) for other in ("vgg19", "resnet18")]
    assert both.low == pytest.approx(min(gain.ends(0.025 / 3)[0] for gain in gains))
