"""Every claim on networks that obey it and on networks that do not, and beside the paper's own numbers."""

import math

import numpy as np
import pytest
from worlds import pretend_training, trainings

from lib.claims import claims, shapes
from lib.claims.claims import CLAIMS, Evidence, statements
from lib.claims.statements import CONTRADICTED, SUPPORTED, verdict
from lib.evaluation.readings import SECOND
from lib.experiments.measure import Compared
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import tables
from lib.statistics.contrasts import UNDECIDED
from lib.training.recipe import Recipe

LEVELS = np.arange(0, 201, 10)
WTB, BTW, RPI, ETA = PAPER_NOISES
ABOUT_NETWORKS = range(1, 11)
NEAR = {noise: {"resnet50": 10.0, "resnet18": 11.0, "cnn@slow": 12.0} for noise in PAPER_NOISES}

# A world in which claims 1 to 9 are true: points lost at 200 attacks, on straight curves.
TRUE = {
    WTB: {"resnet18": 95, "resnet34": 90, "resnet50": 45, "resnet101": 40, "resnetv2_50": 31, "vgg19": 5}
    | {"efficientnet_b1": 40, "fc": 50},
    BTW: {"resnet18": 95, "resnet34": 90, "resnet50": 45, "resnet101": 40, "resnetv2_50": 31, "vgg19": 18}
    | {"efficientnet_b1": 95, "fc": 45},
    RPI: {"resnet18": 95, "resnet34": 90, "resnet50": 45, "resnet101": 40, "resnetv2_50": 31, "vgg19": 29}
    | {"efficientnet_b1": 80, "fc": 50},
    ETA: {"resnet18": 80, "resnet34": 70, "resnet50": 60, "resnet101": 50, "resnetv2_50": 46, "vgg19": 20}
    | {"efficientnet_b1": 65, "fc": 30},
}


def world(lost: dict, models=NETWORKS, count: int = 3, spread: float = 0.3, **other_counts: int) -> Evidence:
    """Trainings that lose so many points, give or take their spread; other numbers of them by name."""
    random = np.random.default_rng(0)
    accuracy = {}
    for model in models:
        ends = np.array([[lost[noise][model]] for noise in PAPER_NOISES])  # (noises, 1)
        ends = ends + random.normal(0, spread, (other_counts.get(model, count), len(PAPER_NOISES), 1))
        accuracy[model] = 99 - ends * LEVELS / 200
    return Evidence(trainings(accuracy), NEAR)


def changed(**lost: float) -> dict:
    """`TRUE` with other losses on every noise."""
    return {noise: own | lost for noise, own in TRUE.items()}


@pytest.mark.parametrize("claim", range(1, 10))
def test_a_claim_that_is_true_is_supported(claim):
    found = statements(claim, world(TRUE))
    assert verdict(found) == "supported", [(own.bounds.says, own.value) for own in found if own.verdict != SUPPORTED]


@pytest.mark.parametrize("claim", range(1, 10))
def test_a_claim_is_contradicted_where_the_networks_stand_the_other_way_round(claim):
    reverse = {noise: {model: 100 - lost for model, lost in own.items()} for noise, own in TRUE.items()}
    assert verdict(statements(claim, world(reverse))) == "contradicted"


@pytest.mark.parametrize("claim", range(1, 10))
def test_with_one_training_of_each_network_nothing_is_decided(claim):
    found = statements(claim, world(TRUE, count=1))
    assert {own.verdict for own in found} == {UNDECIDED}


@pytest.mark.parametrize("claim", range(1, 10))
def test_trainings_that_lie_far_apart_decide_nothing(claim):
    assert verdict(statements(claim, world(TRUE, spread=60))) != "supported"


def test_what_rests_on_one_training_is_undecided_and_the_rest_is_not():
    found = statements(9, world(TRUE, efficientnet_b1=1))
    assert [own.verdict for own in found] == [SUPPORTED, UNDECIDED, SUPPORTED, SUPPORTED, SUPPORTED]
    assert [own.so_in for own in found] == [(3, 3), (1, 1), (3, 3), (3, 3), (3, 3)]


def test_a_threshold_is_found_where_there_is_one_and_depth_alone_is_none():
    even = world(changed(resnet34=70, resnet50=45, resnet101=20))
    assert verdict(statements(2, even)) == "contradicted", "6 points at 50 attacks are no threshold"
    assert verdict(statements(1, even)) != "supported", "the last step gains as much as the one before"
    fading = world(changed(resnet18=90, resnet34=60, resnet50=45, resnet101=40))
    assert verdict(statements(1, fading)) == "supported"
    losing = world(changed(resnet101=99))
    assert verdict(statements(1, losing)) == "contradicted"
    large = {noise: own | ({"resnet34": 99, "resnet50": 20} if noise == ETA else {}) for noise, own in TRUE.items()}
    assert statements(3, world(large))[-1].verdict == CONTRADICTED, (
        "a larger threshold on Edge to Altered than elsewhere"
    )


def test_efficientnet_must_be_far_below_the_others():
    near = world(TRUE | {BTW: TRUE[BTW] | {"efficientnet_b1": 60}})
    found = {own.bounds.id: own.verdict for own in statements(6, near)}
    assert found["btw-efficientnet_b1-last"] == SUPPORTED and found["btw-100-efficientnet_b1-last"] == CONTRADICTED
    middle = world(TRUE | {ETA: TRUE[ETA] | {"efficientnet_b1": 40}})
    found = {own.bounds.id: own.verdict for own in statements(6, middle)}
    assert found["eta-efficientnet_b1-near-bottom"] == CONTRADICTED
    last_but_one = world(TRUE | {ETA: TRUE[ETA] | {"efficientnet_b1": 55}})
    assert verdict(statements(6, last_but_one)) == "supported"


def shaped(names: dict[str, str], count: int = 3) -> Evidence:
    """Curves of these shapes on all noises; a straight line for the rest."""
    made, random = shapes.examples(LEVELS), np.random.default_rng(0)
    curves = {
        model: made[names.get(model, "line")] + random.normal(0, 0.05, (count, 4, len(LEVELS))) for model in NETWORKS
    }
    return Evidence(trainings(curves), NEAR)


def test_shapes_are_asked_of_each_training():
    told = {model: shape for model, (shape, *_) in claims.SHAPED.items()}
    found = statements(10, shaped(told))
    assert verdict(found) == "supported" and found[0].so_in == (12, 12)
    assert found[0].trainings == dict.fromkeys(claims.SHAPED, 3)
    assert verdict(statements(10, shaped({}))) == "undecided", "FC's three are straight, the other nine are not told so"
    assert verdict(statements(10, shaped(told | {"fc": "sigmoid"}))) == "undecided", "9 of 12"
    assert verdict(statements(10, shaped({"fc": "sigmoid"}))) == "contradicted"
    assert claims.shaped(shaped(told).trainings, "fc").tolist() == [True, True, True]


def test_where_the_noise_ends_needs_no_network():
    found = statements(11, world(TRUE))
    assert [own.verdict for own in found] == 3 * [SUPPORTED] + 2 * [CONTRADICTED]
    assert all(math.isnan(own.paper) and own.trainings == {} for own in found)
    assert set(tables.statements(found)["so in"]) == {"-"}


def test_the_noises_are_near_to_pointwise_if_every_margin_is_above_0():
    assert verdict(statements(12, world(TRUE))) == "supported"
    far = NEAR | {ETA: {"resnet50": -10.0, "resnet18": -11.0, "cnn@slow": -12.0}}
    found = statements(12, world(TRUE)._replace(margins=far))
    assert verdict(found) == "contradicted" and found[2].so_in == (0, 3) and len(found) == 3
    mixed = NEAR | {ETA: {"resnet50": -10.0, "resnet18": 10.0}}
    assert verdict(statements(12, world(TRUE)._replace(margins=mixed))) == "undecided"
    alone = {noise: {"resnet50": 40.0} for noise in PAPER_NOISES}
    assert verdict(statements(12, world(TRUE)._replace(margins=alone))) == "undecided", "one network attacked"
    assert found[0].paper == pytest.approx((44.7 - 21.0) - (91.0 - 87.9)), "White to Black in the paper's Table 2"


def test_claim_12_is_not_judged_without_its_attacks(tmp_path):
    with pytest.raises(FileNotFoundError, match="make attacks MODEL=resnet50"):
        claims.margins(tmp_path)


# The paper's own numbers


def test_the_papers_own_tables_bear_out_every_statement_that_they_can():
    known = []
    for number, claim in CLAIMS.items():
        for bounds in claim.bounds(claims.printed()) if number != 11 else ():
            if not math.isnan(bounds.value):
                known.append(number)
                assert bounds.least < bounds.value <= bounds.most, (number, bounds.says, bounds.value)
    assert set(known) == {4, 5, 6, 7, 8, 9, 12}, "the others are about networks or numbers that no table has"


def test_the_papers_own_numbers_stand_beside_ours():
    """By hand from Table 1: the areas of EfficientNet-B1 and, the next lowest, FC on Black to White."""
    found = {own.bounds.id: own for own in statements(6, world(TRUE))}
    assert found["btw-200-efficientnet_b1-last"].paper == pytest.approx(39.58 - 13.28)
    ours, fc = (98.70, 96.98, 85.99, 46.02, 13.28), (97.12, 94.76, 89.07, 68.55, 39.58)
    areas = [np.trapezoid(each, [0, 10, 40, 100, 200]) / 200 for each in (ours, fc)]
    assert found["btw-efficientnet_b1-last"].paper == pytest.approx(areas[1] - areas[0])
    assert math.isnan(statements(2, world(TRUE))[0].paper), "Table 1 has no 50 attacks"


# Around the claims


@pytest.mark.parametrize("claim", ABOUT_NETWORKS)
def test_no_claim_is_judged_without_one_of_its_networks(claim):
    some = tuple(model for model in NETWORKS if model not in ("resnet50", "vgg19", "resnet34"))
    with pytest.raises(ValueError, match=r"this needs .*(resnet50|vgg19|resnet34).*; recorded are fc, resnet18"):
        statements(claim, world(TRUE, some))


def test_an_id_stands_for_one_statement_whichever_claims_make_it():
    found = {number: [own.bounds for own in statements(number, world(TRUE))] for number in CLAIMS}
    for number, own in found.items():
        assert len({bounds.id for bounds in own}) == len(own), number
    pairs = {(bounds.id, bounds.says) for own in found.values() for bounds in own}
    assert len(pairs) == len({name for name, _ in pairs}) == len({says for _, says in pairs})


def test_claims_are_about_one_recipe_of_each_network():
    curves = {"fc": np.full((2, 4, 21), 90.0), "efficientnet_b1@slow": np.full((3, 4, 21), 70.0)}
    found = claims.by_architecture(trainings(curves))
    assert found.models == ("fc", "efficientnet_b1") and found.seeds == {"fc": (0, 1), "efficientnet_b1": (0, 1, 2)}
    with pytest.raises(ValueError, match="one recipe of each network, not fc, fc@long"):
        claims.by_architecture(trainings({"fc": curves["fc"], "fc@long": curves["fc"]}))


def test_under_the_other_reading_are_judged_the_claims_that_can_be(tmp_path):
    asked = Compared(images=60, outputs=tmp_path)
    assert claims.under_other_reading(asked) == {}
    for model, seed in (("resnet50", 1), ("resnet50", 2), ("resnetv2_50", 0), ("resnetv2_50", 4)):
        pretend_training(tmp_path, Recipe(model=model, seed=seed, outputs=tmp_path), 60, source=SECOND.source)
    found = claims.under_other_reading(asked)
    assert list(found) == [4] and found[4][0].trainings == {"resnetv2_50": 2, "resnet50": 2}
    table = tables.under_readings({4: statements(4, world(TRUE))}, found)
    assert table.loc[4, "from the clean image"].startswith("supported (") and len(table) == 1
    assert table.loc[4, "statements that differ"].endswith("of 5")


def test_claims_in_a_table():
    found = {number: statements(number, world(TRUE, efficientnet_b1=1)) for number in (4, 9)}
    table = tables.claims(found)
    assert table["verdict"].tolist() == ["supported", "undecided"]
    assert table.loc[9, "confidence"] == "-" and table.loc[4, "confidence"].endswith("%")
    assert table.iloc[:, -1].tolist() == ["5, 0, 0", "4, 0, 1"]
    shown = tables.statements(found[9])
    assert list(shown.columns) == ["number", "claimed", "verdict", "paper", "trainings", "so in"]
    assert shown["claimed"].unique().tolist() == ["above 5", "-5 to 5"]
    assert shown["trainings"].str.replace(tables.BOUND, " ").tolist()[:2] == ["VGG-19 3", "EfficientNet-B1 1"]
    assert "(" not in shown["number"].iloc[1], "one training has no interval"
    known = tables.statements(statements(7, world(TRUE, vgg19=1)))["number"].iloc[0].replace(tables.BOUND, " ")
    assert known.count("(to ") == 1, "one end is not known"


@pytest.mark.parametrize(("share", "told"), [(math.nan, "-"), (0.9834, "98.3 %"), (0.9999, "> 99.9 %")])
def test_how_sure_is_never_certain(share, told):
    assert tables.sure(share).replace(tables.BOUND, " ") == told


def test_a_residual_network_of_similar_size_stands_beside_one_without():
    table = tables.sizes({model: claims.similar(model) for model in ("vgg19", "fc")})
    assert table["beside"].tolist() == ["ResNet-50", "EfficientNet-B1"]
    assert table["times as many"].tolist() == ["1.7", "1.5"]
