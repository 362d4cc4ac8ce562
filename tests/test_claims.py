"""Every claim on networks that obey it and on networks that do not, and beside the paper's own numbers."""

import math

import numpy as np
import pytest
from scipy.stats import t
from worlds import pretend_training, trainings

from lib.claims import checks, claims, shapes
from lib.claims.claims import CLAIMS, Evidence, statements
from lib.claims.statements import CONTRADICTED, SUPPORTED, sureness, verdict
from lib.evaluation.readings import SECOND
from lib.experiments import table1
from lib.experiments.measure import Compared
from lib.paper import NETWORKS, PAPER_NOISES, TABLE_1_LEVELS, read_table_1
from lib.report import claim_figures, tables
from lib.statistics.contrasts import UNDECIDED
from lib.training.recipe import Recipe

LEVELS = np.arange(0, 201, 10)
WTB, BTW, RPI, ETA = PAPER_NOISES
ABOUT_NETWORKS = range(1, 11)
NEAR = {noise: {"resnet50": 10.0, "resnet18": 11.0, "cnn@slow": 12.0} for noise in PAPER_NOISES}

# A world in which claims 1 to 9 are true: points lost at 200 attacks, on straight curves.
RESNETS = {"resnet18": 95, "resnet34": 90, "resnet50": 45, "resnet101": 40, "resnetv2_50": 31}
TRUE = {
    WTB: RESNETS | {"vgg19": 5, "efficientnet_b1": 40, "fc": 50},
    BTW: RESNETS | {"vgg19": 18, "efficientnet_b1": 95, "fc": 45},
    RPI: RESNETS | {"vgg19": 29, "efficientnet_b1": 80, "fc": 50},
    ETA: dict(zip(RESNETS, (80, 70, 60, 50, 46), strict=True)) | {"vgg19": 20, "efficientnet_b1": 65, "fc": 30},
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
def test_a_claim_is_supported_in_a_world_where_it_is_true_and_contradicted_the_other_way_round(claim):
    found = statements(claim, world(TRUE))
    assert verdict(found) == "supported", [(own.bounds.says, own.value) for own in found if own.verdict != SUPPORTED]
    reverse = {noise: {model: 100 - lost for model, lost in own.items()} for noise, own in TRUE.items()}
    assert verdict(statements(claim, world(reverse))) == "contradicted"
    assert {own.verdict for own in statements(claim, world(TRUE, count=1))} == {UNDECIDED}, "one training of each"
    assert verdict(statements(claim, world(TRUE, spread=60))) != "supported", "trainings that lie far apart"


def test_what_rests_on_one_training_is_undecided_and_the_rest_is_not():
    found = statements(9, world(TRUE, efficientnet_b1=1))
    assert [own.verdict for own in found] == [SUPPORTED, UNDECIDED, SUPPORTED, SUPPORTED, SUPPORTED]


def test_a_threshold_is_found_where_there_is_one_and_depth_alone_is_none():
    even = world(changed(resnet34=70, resnet50=45, resnet101=20))
    assert verdict(statements(2, even)) == "contradicted", "6 points at 50 attacks are no threshold"
    assert verdict(statements(1, even)) != "supported", "the last step gains as much as the one before"
    fading = world(changed(resnet18=90, resnet34=60, resnet50=45, resnet101=40))
    assert verdict(statements(1, fading)) == "supported"
    losing = world(changed(resnet101=99))
    assert verdict(statements(1, losing)) == "contradicted"
    large = TRUE | {ETA: TRUE[ETA] | {"resnet34": 99, "resnet50": 20}}
    assert statements(3, world(large))[-1].verdict == CONTRADICTED, "the threshold is larger on EtA than elsewhere"


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
    each = {model: random.normal(made[names.get(model, "line")], 0.05, (count, 4, len(LEVELS))) for model in NETWORKS}
    return Evidence(trainings(each), NEAR)


def test_shapes_are_asked_of_each_training():
    told = {model: shape for model, (shape, *_) in claims.SHAPED.items()}
    found = statements(10, shaped(told))
    assert verdict(found) == "supported" and found[0].value == 100
    assert found[0].trainings == dict.fromkeys(claims.SHAPED, 3)
    assert verdict(statements(10, shaped({}))) == "undecided", "FC's three are straight, the other nine are not told so"
    assert verdict(statements(10, shaped(told | {"fc": "sigmoid"}))) == "undecided", "9 of 12"
    assert verdict(statements(10, shaped({"fc": "sigmoid"}))) == "contradicted"
    assert claims.shaped(shaped(told).trainings, "fc").tolist() == [True, True, True]


def test_where_the_noise_ends_needs_no_network():
    found = statements(11, world(TRUE))
    assert [own.verdict for own in found] == 3 * [SUPPORTED] + 2 * [CONTRADICTED]
    assert all(math.isnan(own.paper) and own.trainings == {} for own in found)
    assert set(tables.statements(found)["trainings"]) == {"-"}


def test_the_noises_are_near_to_pointwise_if_every_margin_is_above_0():
    assert verdict(statements(12, world(TRUE))) == "supported"
    far = NEAR | {ETA: {"resnet50": -10.0, "resnet18": -11.0, "cnn@slow": -12.0}}
    found = statements(12, world(TRUE)._replace(margins=far))
    assert verdict(found) == "contradicted" and len(found) == 3
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
    assert table.loc[4, "from the clean image"] == "supported" and len(table) == 1
    assert table.loc[4, "statements that differ"].endswith("of 5")


def test_claims_in_tables_and_in_the_figure():
    reverse = changed(resnetv2_50=99)
    found = {number: statements(number, world(reverse, efficientnet_b1=1)) for number in (4, 9, 11)}
    table = tables.claims(found)
    assert table["verdict"].tolist() == ["contradicted", "undecided", "contradicted"]
    assert table.loc[11, "by"] == "c = 0.5: % grey; c = 0.8: % grey" and table.loc[9, "by"] == "-"
    shown = tables.statements(found[9])
    assert list(shown.columns) == ["paper", "ours", "ours - paper", "claimed", "verdict", "trainings"]
    assert shown["claimed"].unique().tolist() == ["above 5 (our bound)", "-5 to 5 (our bound)"]
    assert shown["trainings"].str.replace(tables.BOUND, " ").tolist()[:2] == ["VGG-19 3", "EfficientNet-B1 1"]
    assert "(" not in shown["ours"].iloc[1] + shown["ours - paper"].iloc[1], "one training has no interval"
    for own, text in zip(found[9], shown["ours - paper"], strict=True):
        assert text.startswith(f"{own.value - own.paper:+.1f}")
    known = tables.statements(statements(7, world(TRUE, vgg19=1)))["ours"].iloc[0].replace(tables.BOUND, " ")
    assert known.count("(to ") == 1, "one end is not known"
    figure = claim_figures.sizes(found, "what is seen")
    rows = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    assert rows == [own.bounds.says for number in found for own in found[number]]


# What could take a verdict away


def test_if_table_1_were_right_a_verdict_is_as_often_as_by_hand(monkeypatch):
    """Claim 4 on areas drawn for eight networks of three trainings each, with the formulas of a textbook."""
    monkeypatch.setattr(claims, "similar", {"vgg19": "resnet50", "fc": "efficientnet_b1"}.get)
    evidence = world(TRUE, spread=3.0)
    found = checks.simulated(evidence, 500)
    assert found.index.tolist() == [4, 5, 6, 7, 8, 9] and found.sum(axis=1).to_numpy() == pytest.approx(1)

    def areas(curves):
        return np.stack([np.trapezoid(curves[n][list(TABLE_1_LEVELS)], TABLE_1_LEVELS) / 200 for n in PAPER_NOISES], 1)

    each = areas(evidence.trainings.curves).reshape(8, 3, 4)
    apart = (each - each.mean(axis=1, keepdims=True)).reshape(24, 4)
    drawn = np.random.default_rng(1).multivariate_normal(np.zeros(4), apart.T @ apart / 16, (20_000, 8, 3))
    drawn = np.concatenate([drawn, drawn.mean(axis=-1, keepdims=True)], axis=-1)  # and the mean of the noises
    own = drawn.var(axis=2, ddof=1)
    variance = np.maximum(own, own.mean(axis=1, keepdims=True))
    new, old = (NETWORKS.index(model) for model in ("resnetv2_50", "resnet50"))
    paper = read_table_1().pivot(index="model", columns=["noise", "attacks"], values="accuracy")
    truth = np.subtract(*areas(paper.loc[["resnetv2_50", "resnet50"]]))
    gain = np.append(truth, truth.mean()) + drawn.mean(axis=2)[:, new] - drawn.mean(axis=2)[:, old]
    half = t.ppf(1 - 0.025 / 5, 16) * np.sqrt((variance[:, new] + variance[:, old]) / 3)
    low, high = gain - half, gain + half
    supported = (low[:, :4] > 0).all(axis=1) & (low[:, 4] > 5) & (high[:, 4] < 10)
    contradicted = (high[:, :4] < 0).any(axis=1) | (high[:, 4] < 5) | (low[:, 4] > 10)
    assert 0.1 < supported.mean() < 0.9, "a case in which the rule may go either way"
    assert found.loc[4, SUPPORTED] == pytest.approx(supported.mean(), abs=0.07)
    assert found.loc[4, CONTRADICTED] == pytest.approx(contradicted.mean(), abs=0.02)


def test_what_turns_a_verdict_and_what_stands_without_some_networks(monkeypatch):
    """One training of ResNet-50V2 lies below ResNet-50's; one network attacked differs from the other two."""
    monkeypatch.setattr(claims, "similar", {"vgg19": "resnet50", "fc": "efficientnet_b1"}.get)
    beside = {noise: {"resnet50": 10.0, "resnet18": 10.1, "cnn@slow": 10.2} for noise in PAPER_NOISES}
    evidence = world(TRUE)._replace(margins=beside | {ETA: beside[ETA] | {"cnn@slow": -12.0}})
    evidence.trainings.curves.loc[("resnetv2_50", 2)] -= 12
    found = {number: statements(number, evidence) for number in CLAIMS}
    table = checks.checks(found, evidence, ("fc", "resnetv2_50"))
    assert table["verdict"].loc[[4, 12]].tolist() == ["undecided", "undecided"]
    assert table["turned by"].loc[[4, 11, 12]].tolist() == [[("resnetv2_50", 2)], [], [("cnn@slow", 0)]]
    assert table["without"].loc[[1, 4, 7]].tolist() == ["supported", "", ""], "nothing is left of claims 4 and 7"
    assert [len(statements(9, evidence._replace(left_out=out))) for out in ((), ("fc",), ("fc", "vgg19"))] == [5, 4, 3]
    errors = sorted(1 - sureness(own) for own in found.values() if verdict(own) != UNDECIDED)
    standing = next((n for n, error in enumerate(errors) if error > 0.05 / (len(found) - n)), len(errors))
    assert table["holm"].sum() == standing, "by hand: the smallest at 5 % / 12, the next at 5 % / 11, ..."
    for number, row in table.iterrows():
        kept = row["verdict"] != UNDECIDED and row["without"] == row["verdict"] and not row["turned by"] and row["holm"]
        assert row["holds"] == (kept and not (row["verdict"] == CONTRADICTED and row[CONTRADICTED] > 0.05)), number
    shown = tables.claims(found, table, ("fc", "resnetv2_50"))
    assert shown.loc[4, "overturned by omitting"] == "ResNet-50V2 2"
    assert shown.loc[4, shown.columns[-2]] == "nothing left"


def test_prediction_intervals_of_table_1_are_those_worked_out_by_hand():
    """One network of four trainings, by the textbook's formula, and where the paper's numbers lie in it."""
    paper = read_table_1().query("model == 'fc'").pivot(index="noise", columns="attacks", values="accuracy")
    apart = np.array([-3.0, -1.0, 1.0, 3.0])[:, None, None] + np.array([0.0, 2.0, 5.0, 8.0])[:, None]  # by noise
    found = trainings({"fc": paper.loc[list(PAPER_NOISES)].to_numpy() + apart}, TABLE_1_LEVELS)
    (row,) = table1.replication(found).to_dict("records")
    deviation = np.std([-3, -1, 1, 3], ddof=1)
    for further in table1.FURTHER:
        half = t.ppf(0.975, 3) * deviation * math.sqrt(1 / 4 + 1 / further)
        assert row[further] == 4 * sum(off <= half for off in (0, 2, 5, 8)), further
    assert row["entries"] == 16 and row["difference"] == pytest.approx(3.75) and row["replicates"]
    assert row["rms"] == pytest.approx(math.sqrt((0 + 4 + 25 + 64) / 4))


def test_trainings_are_moved_to_all_images_by_their_own_network(monkeypatch):
    found = trainings({"fc": np.full((3, 4, 21), 90.0), "vgg19": np.full((2, 4, 21), 70.0)})
    whole = trainings({"fc": np.full((1, 4, 21), 92.0)})
    monkeypatch.setattr(table1, "recorded", lambda *_: whole)
    moved = table1.on_all_images(found)
    assert moved.models == ("fc",) and (moved.curves.loc["fc"] == 92).all(axis=None) and moved.images == 10_000


def test_a_residual_network_of_similar_size_stands_beside_one_without():
    table = tables.sizes({model: claims.similar(model) for model in ("vgg19", "fc")})
    assert table["beside"].tolist() == ["ResNet-50", "EfficientNet-B1"]
    assert table["times as many"].tolist() == ["1.7", "1.5"]
