"""The rule on numbers made by hand, and every claim on networks that obey it and on networks that do not."""

import dataclasses
import math

import numpy as np
import pytest
from pretend import pretend

from lib.adversarial.robust_accuracy import TERMS
from lib.analysis import claims
from lib.analysis.claims import CLAIMS, statements
from lib.analysis.compared import Comparison
from lib.analysis.comparison import Answers, measure
from lib.analysis.statements import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Bounds,
    Scores,
    Statement,
    allowing,
    flipped,
    judge,
    verdict,
)
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import sentences, tables

ATTACKS = np.arange(0, 201, 10)
SAMPLES = 400


def number(low: float, high: float) -> np.ndarray:
    """A number whose bootstrap samples lie evenly from low to high."""
    return np.concatenate([[(low + high) / 2], np.linspace(low, high, SAMPLES)])


@pytest.mark.parametrize(
    ("low", "high", "family", "expected"),
    [
        (1, 2, 1, HOLDS),
        (-2, -1, 1, FAILS),
        (-1, 1, 1, UNDECIDED),
        (-0.02, 1, 1, HOLDS),  # 2 % of the samples are below 0: within the 2.5 % of the tail
        (-1, 0.02, 1, FAILS),
        (-1, 0.02, 20, UNDECIDED),  # one of twenty, of which one is that far off by chance
        (-1, -0.02, 20, FAILS),
    ],
)
def test_a_statement_is_judged_by_its_interval(low, high, family, expected):
    assert judge(Bounds("id", "above 0", number(low, high), 0, math.inf), family).verdict == expected


def test_exactly_the_bound_is_not_above_it():
    assert judge(Bounds("id", "above 0", number(0, 0), 0, math.inf), 12).verdict == UNDECIDED
    assert judge(Bounds("id", "1", number(1, 1), 1, 1), 12).verdict == HOLDS
    assert judge(Bounds("id", "at most 0", number(0, 0), -math.inf, 0), 1).verdict == HOLDS


def test_nothing_is_said_of_a_number_that_is_not_measured():
    with pytest.raises(ValueError, match="not measured: above 0"):
        judge(Bounds("id", "above 0", np.full(SAMPLES + 1, np.nan), 0, math.inf), 3)


def test_both_bounds_count():
    assert judge(Bounds("id", "5 to 10", number(6, 9), 5, 10), 1).verdict == HOLDS
    assert judge(Bounds("id", "5 to 10", number(9, 12), 5, 10), 1).verdict == UNDECIDED
    assert judge(Bounds("id", "5 to 10", number(11, 12), 5, 10), 1).verdict == FAILS


def test_what_another_training_could_flip_is_undecided():
    seed_spread = {"white_to_black": 3.0, "white_to_black 50": 1.0, "foreground": 4.0}
    one_noise, early = ("white_to_black", 2), ("white_to_black 50", 2)
    said = {
        "2.5, where two trainings may move 3 each": (number(2, 3), 0, math.inf, *one_noise, UNDECIDED),
        "further than both": (number(6.1, 8), 0, math.inf, *one_noise, HOLDS),
        "further below than both": (number(-8, -6.1), 0, math.inf, *one_noise, FAILS),
        "at 50 attacks 1 each": (number(2, 3), 0, math.inf, *early, HOLDS),
        "at 50 attacks, two gains": (number(2, 3), 0, math.inf, "white_to_black 50", 4, UNDECIDED),
        "two gains": (number(-13, -10), 0, math.inf, "white_to_black", 4, UNDECIDED),
        "of ranks nothing is known": (number(1, 1), 2, 2, "", 0, FAILS),
        "at its bound, but nothing is known": (number(1, 1), 1, 1, "", 0, HOLDS),
        "of this noise nothing is known": (number(0.1, 0.2), 0, math.inf, "black_to_white", 2, HOLDS),
        "4.5 from the nearer bound": (number(0, 1), -5, 5, "foreground", 1, HOLDS),
        "2 from the nearer bound": (number(6, 8), -5, 5, "foreground", 1, UNDECIDED),
    }
    found = [judge(Bounds(says, says, *bounds), 1) for says, (*bounds, _) in said.items()]
    assert [own.verdict for own in allowing(found, seed_spread)] == [expected for *_, expected in said.values()]
    assert [own.verdict for own in allowing(found, {})] == [own.verdict for own in found]
    shown = tables.statements(found, seed_spread)["trainings"]
    assert list(shown.index[shown == "could flip it"]) == [
        says for says, (*_, expected) in said.items() if expected == UNDECIDED
    ]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([HOLDS, HOLDS], "supported"),
        ([HOLDS, UNDECIDED], "undecided"),
        ([HOLDS, FAILS, UNDECIDED], "contradicted"),
    ],
)
def test_the_verdict_needs_all_statements_and_one_failure_is_enough(answers, expected):
    assert verdict([Statement(None, 0, 0, 0, answer) for answer in answers]) == expected


def scores(falls: dict[str, dict[str, float]], models=NETWORKS) -> Scores:
    """Straight curves from 99 % down by so many points at 200 attacks, for each noise and network."""
    random = np.random.default_rng(0)
    ends = np.array([[falls[noise][model] for model in models] for noise in PAPER_NOISES])  # (noises, models)
    curves = 99 - ends[..., None] * ATTACKS / 200
    samples = curves + random.normal(0, 0.05, (SAMPLES, *ends.shape, 1)) * (ATTACKS > 0)
    return Scores(tuple(models), ATTACKS, np.concatenate([curves[None], samples]))


# A world in which claims 3, 4, 5, 7, 8 and 9 are true: points lost at 200 attacks.
ORDER = {"vgg19": 20, "fc": 30, "resnet101": 40, "resnetv2_50": 46, "resnet50": 60, "resnet34": 70, "resnet18": 80}
TRUE = {noise: {**ORDER, "efficientnet_b1": 90} for noise in PAPER_NOISES}
TRUE["white_to_black"] = TRUE["white_to_black"] | {"vgg19": 14, "efficientnet_b1": 34, "fc": 66, "resnetv2_50": 45}
TRUE["black_to_white"] = TRUE["black_to_white"] | {"vgg19": 30, "fc": 62, "resnet18": 85}
TRUE["white_to_black"]["resnet18"] = 85
TRUE["random_pixel_invert"] = TRUE["random_pixel_invert"] | {"vgg19": 39, "fc": 38}


def test_every_number_knows_how_often_other_trainings_enter_it():
    found = {
        own.bounds.id: (own.bounds.moved_by, own.bounds.times)
        for claim in (1, 2, 3, 4, 6, 7, 9)
        for own in statements(claim, scores(TRUE))
    }
    assert found["wtb-resnet34-over-resnet18"] == ("white_to_black", 2)
    assert found["wtb-smaller-gain-to-resnet50"] == ("white_to_black", 4)
    assert found["btw-50-resnet50-over-resnet34"] == ("black_to_white 50", 2)
    assert found["btw-50-resnet50-over-resnet34-resnet34-over-resnet18"] == ("black_to_white 50", 4)
    assert found["eta-50-no-threshold"] == ("edge_to_altered 50", 4)
    assert found["rpi-resnetv2_50-over-resnet50"] == ("random_pixel_invert", 2)
    assert found["fc-wtb-over-btw"] == ("foreground", 1)
    assert found["eta-rank-of-fc"] == ("", 0), "of ranks nothing is known"
    assert found[claims.gap_id("black_to_white")] == ("", 0)


@pytest.mark.slow
def test_an_id_stands_for_one_statement_whichever_claims_make_it():
    found = {number: [own.bounds for own in statements(number, with_margins(10))] for number in CLAIMS}
    for number, own in found.items():
        assert len({bounds.id for bounds in own}) == len(own), number
    pairs = {(bounds.id, bounds.says) for own in found.values() for bounds in own}
    assert len(pairs) == len({name for name, _ in pairs}) == len({says for _, says in pairs})


@pytest.mark.parametrize("claim", [3, 4, 5, 7, 9])
def test_a_claim_that_is_true_is_supported(claim):
    found = statements(claim, scores(TRUE))
    assert verdict(found) == "supported", [(own.bounds.says, own.value) for own in found if own.verdict != HOLDS]


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim < 11])
def test_a_claim_is_contradicted_where_the_networks_stand_the_other_way_round(claim):
    reverse = {noise: {model: 100 - lost for model, lost in own.items()} for noise, own in TRUE.items()}
    assert verdict(statements(claim, scores(reverse))) == "contradicted"


def test_a_threshold_is_found_where_there_is_one_and_depth_alone_is_none():
    steep = {noise: own | {"resnet34": 78, "resnet50": 30, "resnet101": 25} for noise, own in TRUE.items()}
    assert verdict(statements(2, scores(steep))) == "supported"
    even = {noise: own | {"resnet34": 60, "resnet50": 40, "resnet101": 20} for noise, own in TRUE.items()}
    assert verdict(statements(2, scores(even))) != "supported"
    assert verdict(statements(1, scores(even))) != "supported"
    losing = {noise: own | {"resnet34": 50, "resnet50": 60, "resnet101": 55} for noise, own in TRUE.items()}
    smaller = [
        own.verdict for own in statements(1, scores(losing)) if own.bounds.id.endswith("smaller-gain-to-resnet50")
    ]
    assert smaller == 4 * [FAILS], "a loss is no smaller gain"
    small = {noise: own | {"resnet34": 78, "resnet50": 58, "resnet101": 57} for noise, own in TRUE.items()}
    assert verdict(statements(2, scores(small))) == "contradicted", "5 points are no threshold"
    fast = {
        noise: own | {"resnet34": 70, "resnet50": 10, "resnet101": 5, "resnet18": 95} for noise, own in TRUE.items()
    }
    assert verdict(statements(2, scores(fast))) == "supported" and statements(3, scores(fast))[-1].verdict == FAILS
    assert statements(3, scores(small))[-1].verdict == HOLDS and statements(3, scores(steep))[-1].verdict == FAILS
    fading = {noise: own | {"resnet34": 50, "resnet50": 35, "resnet101": 30} for noise, own in TRUE.items()}
    assert verdict(statements(1, scores(fading))) == "supported"


def test_efficientnet_far_below_the_others():
    low = {noise: own | {"efficientnet_b1": 99} for noise, own in TRUE.items()}
    assert verdict(statements(6, scores(low))) == "supported"
    assert verdict(statements(6, scores(TRUE | {"black_to_white": ORDER | {"efficientnet_b1": 61}}))) == "contradicted"


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim < 11])
def test_no_claim_is_judged_without_one_of_its_networks(claim):
    some = tuple(model for model in NETWORKS if model not in ("resnet50", "vgg19", "resnet34"))
    with pytest.raises(ValueError, match=r"this needs (resnet50|vgg19|resnet34); there are fc, resnet18"):
        statements(claim, scores(TRUE, some))


def test_claim_12_is_not_judged_without_its_attacks(tmp_path):
    with pytest.raises(ValueError, match="not measured: WtB, 200 attacks"):
        statements(12, scores(TRUE))
    with pytest.raises(FileNotFoundError, match="make attacks MODEL=resnet50"):
        claims.attacked(Comparison(outputs=tmp_path))


def test_straight_lines_are_told_from_sigmoids():
    found = {own.bounds.id: own.verdict for own in statements(10, scores(TRUE))}
    assert {found[f"{short}-shape-of-fc"] for short in ("wtb", "btw", "rpi", "eta")} == {HOLDS}
    assert found["wtb-shape-of-efficientnet_b1"] == FAILS


def test_where_the_noise_ends_needs_no_network():
    found = statements(11, scores(TRUE))
    assert [own.verdict for own in found] == 3 * [HOLDS] + 2 * [FAILS]
    assert all(math.isnan(own.paper) for own in found)


def with_margins(low: float) -> Scores:
    """Margins of claim 12 above 0, but for one from `low` to 20 points above it."""
    margins = {(noise, terms): number(10, 20) for noise in PAPER_NOISES for terms in TERMS}
    margins["edge_to_altered", "paper_groups"] = number(low, low + 20)
    return dataclasses.replace(scores(TRUE), margins=margins)


@pytest.mark.parametrize(("low", "expected"), [(1, "supported"), (-1, "undecided"), (-40, "contradicted")])
def test_the_noises_are_near_to_pointwise_if_every_margin_is_above_0(low, expected):
    found = statements(12, with_margins(low))
    assert verdict(found) == expected and len(found) == 16
    assert found[0].paper == pytest.approx((44.7 - 21.0) - (91.0 - 44.7)), "White to Black in the paper's Table 2"
    assert sum(math.isnan(own.paper) for own in found) == 10, "it has no Random Pixel Invert and no equal terms"
    groups = {1: "holds (4 of 4)", -1: "holds (3 of 4), undecided (1 of 4)", -40: "holds (3 of 4), fails (1 of 4)"}
    assert f"*40 and 200 attacks, L2 ≤ 1.5*: {groups[low]}; *equal pixels*: holds (4 of 4)" in sentences.by_terms(found)


def test_claims_are_about_one_recipe_of_each_network():
    def answers(*models):
        return Answers(models, ATTACKS, 1, np.ones((4, len(models), 21, 9), np.uint8), np.zeros((4, 21, 9), np.float32))

    assert claims.measured(answers("fc", "efficientnet_b1@gentle")).models == ("fc", "efficientnet_b1")
    with pytest.raises(ValueError, match="one recipe of each network, not fc, fc@long"):
        claims.measured(answers("fc", "fc@long"))


def test_the_papers_own_numbers_stand_beside_ours():
    """By hand from Table 1: at 200 attacks and on Edge to Altered, FC is second of five."""
    printed = claims.printed()
    assert printed.at("black_to_white", "efficientnet_b1", 200)[0] == 13.28
    assert printed.gain("random_pixel_invert", "efficientnet_b1", "fc", 100)[0] == pytest.approx(64.16 - 47.75)
    places = next(own for own in statements(7, scores(TRUE)) if own.bounds.id == "eta-rank-of-fc")
    assert places.paper == 2
    assert math.isnan(statements(2, scores(TRUE))[0].paper), "Table 1 has no 50 attacks"


def test_ours_at_the_papers_levels_stands_beside_the_papers_number():
    made = scores(TRUE)
    bent = dataclasses.replace(made, accuracy=np.where(np.isin(ATTACKS, [0, 10, 40, 100, 200]), made.accuracy, 0.0))
    vgg = statements(9, made)[0], statements(9, bent)[0]
    assert vgg[1].coarse == pytest.approx(vgg[0].value) and vgg[1].value < vgg[0].value / 2


@pytest.mark.slow
def test_a_better_training_is_told_with_what_it_flips(tmp_path):
    def falling(points):
        return lambda noise, attacks: 1 - points / 100 * attacks / 200

    for place, model in enumerate(NETWORKS):
        if model != "resnet34":
            pretend(tmp_path, model, falling(40 + place), 200)
    pretend(tmp_path, "resnet34", falling(90), 200, validation=96)
    pretend(tmp_path, "resnet34@gentle", falling(5), 200, validation=99.1, decay=0.5)
    compared = Comparison(images=200, outputs=tmp_path).choose(NETWORKS)
    scored = claims.measured(measure(compared))
    by_rule = {number: statements(number, scored) for number in range(1, 11)}
    again = claims.retrained(compared)
    assert list(again) == ["resnet34@gentle"] and list(again["resnet34@gentle"]) == list(range(1, 11))
    told = sentences.retrained(compared, by_rule, again)
    assert "ResNet-34 (gentle)**, trained with decay 0.5: 99.10 % of the validation images after 1 epoch." in told
    assert "WtB: ResNet-34 over ResNet-18 (fails, then holds)" in told
    asked, pairs = flipped(by_rule, again["resnet34@gentle"])
    assert f"Of {asked} statements {len(pairs)} have another verdict: {sentences.flips(pairs)}." in told
    assert asked < sum(map(len, by_rule.values())), "what two claims say is asked once"
    kept = sentences.retrained(compared, by_rule, {"resnet34@gentle": by_rule})
    assert f"each of claims 1 to 10 keeps its verdict. Of {asked} statements 0 have another verdict." in kept
    told = sentences.retrained(compared, by_rule, {})
    assert told.startswith("- **ResNet-34**: no training that reaches 99.0 % is recorded") and "ResNet-18" not in told


def test_claims_in_a_table_and_in_a_sentence():
    found = {9: statements(9, scores(TRUE)), 12: statements(12, with_margins(-40))}
    table = tables.claims(found, {"foreground": 100.0})
    assert table["verdict"].tolist() == ["supported", "contradicted"]
    assert table["other trainings"].tolist() == ["undecided", "contradicted"]
    assert table[[HOLDS, FAILS, UNDECIDED]].to_numpy().tolist() == [[5, 0, 0], [15, 1, 0]]
    assert table["paper"].tolist() == ["5 of 5", "3 of 6"]
    assert sentences.counted(dict(table["verdict"])) == "contradicted: 1 (12); supported: 1 (9)"
    shown = tables.statements(found[9])
    assert list(shown.columns) == ["number", "claimed", "verdict", "paper", "at its levels"]
    assert shown["claimed"].unique().tolist() == ["above 5", "-5 to 5"]


def test_a_residual_network_of_similar_size_stands_beside_one_without():
    table = tables.sizes({model: claims.similar(model) for model in ("vgg19", "fc")})
    assert table["beside"].tolist() == ["ResNet-101", "ResNet-18"]
    assert table["times as many"].tolist() == ["1.1", "1.1"]
