import numpy as np

from lib.analysis.claims import CLAIMS
from lib.analysis.statements import Bounds, Mean, Statement
from lib.analysis.trainings import Trainings
from lib.paper import PAPER_NOISES
from lib.report import abstract


def trained(**areas):
    """Flat curves: each training keeps this many percent of the digits at every level of every noise."""
    accuracy = {
        model: np.array(each, float)[:, None, None] * np.ones((1, len(PAPER_NOISES), 3))
        for model, each in areas.items()
    }
    seeds = {model: tuple(range(len(each))) for model, each in areas.items()}
    return Trainings(tuple(areas), np.array([0, 100, 200]), 2_000, seeds, accuracy)


def test_those_that_are_not_told_apart_are_named_together():
    told = abstract.survivors(
        trained(fc=[80, 81, 82], vgg19=[79, 80, 81], resnet18=[60, 61, 62], resnet34=[50, 51, 52], resnet50=[90])
    )
    assert "**Of 4 networks that were trained several times FC and VGG-19 keep most, ResNet-34 keeps least.**" in told
    assert "FC 81.0" in told and "lie 30.0" in told.replace("\N{NO-BREAK SPACE}", " ")
    assert "5 of the 6 pairs of these networks can be told apart" in told
    assert "FC above ResNet-18 and ResNet-34; VGG-19 above ResNet-18 and ResNet-34; ResNet-18 above ResNet-34." in told
    assert "ResNet-50 (90.0) has one training, which settles nothing" in told


def test_what_is_told_apart_from_neither_end_is_not_named():
    told = abstract.survivors(trained(fc=[80, 81, 82], vgg19=[69, 71.5, 74], resnet18=[60, 61, 62]))
    assert "FC keeps most, ResNet-18 keeps least.**" in told
    told = abstract.survivors(trained(fc=[76, 81, 86], vgg19=[66, 71, 76], resnet18=[56, 61, 66]))
    assert "FC keeps most, ResNet-18 keeps least.**" in told


def test_nothing_is_said_of_architectures_where_nothing_is_sure():
    assert "nothing is said of architectures" in abstract.survivors(trained(fc=[80], vgg19=[70, 71]))
    assert "No network is surely better" in abstract.survivors(trained(fc=[80, 60], vgg19=[75, 64]))


def test_the_best_comes_first():
    table = abstract.survival(trained(resnet18=[60, 62], fc=[80, 82], vgg19=[70]))
    assert table["model"].tolist() == ["fc", "vgg19", "resnet18"] and table["mean"].tolist() == [81, 70, 61]
    own = table.set_index("model")
    assert np.isnan(own.loc["vgg19", "low"]) and own.loc["fc", "low"] < 81 < own.loc["fc", "high"]


def test_readings_stand_beside_each_other_and_a_network_that_lacks_one_has_a_dash():
    first, second = trained(fc=[80, 82], vgg19=[90, 91, 95]), trained(vgg19=[70])
    table = abstract.by_reading({"one": first, "other": second})
    assert table.index.tolist() == ["VGG-19", "FC"], "the best under the first reading is the first"
    assert table.loc["VGG-19", "other (%)"].startswith("70.0") and table.loc["FC", "other (%)"] == "-"
    assert table.loc["FC", "trainings, one"] == "2" and table.loc["FC", "trainings, other"] == "-"


def test_claims_are_told_by_name_and_what_one_training_leaves_open_apart():
    def about(networks, verdict, error, end):
        numbers = (Mean(1.0, 1.0, 3, np.ones(1), dict.fromkeys(networks, 1)),)
        return Statement(Bounds("a", "a", numbers, 0, 2), 1.0, -end, end, verdict, error)

    found = {
        1: [about(["fc"], "undecided", 1.0, np.inf)],
        2: [about(["fc"], "undecided", 0.2, 3.0)],
        4: [about(["fc"], "fails", 0.01, 3.0), about(["fc"], "undecided", 1.0, np.inf)],
    }
    lines = abstract.judged(found).replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert "- **supported**: none." in lines
    failing = f"{CLAIMS[4].name} (4, 99.0 %): 1 of 2 statements fails: *a* is 1.0 (-3.0 to 3.0), claimed 0 to 2."
    assert f"    - {failing}" in lines
    assert f"- **undecided**: {CLAIMS[1].name} (1); {CLAIMS[2].name} (2)." in lines
    assert lines[-1].startswith("Of the undecided claims 1 rests in part on a network with one training")


def test_of_several_statements_that_fail_the_surest_is_told():
    own = [
        Statement(Bounds(name, name, (Mean(0, 1, 3),), 1, 2), value, value - 1, value + 1, "fails", error)
        for name, value, error in (("near", -1.0, 0.04), ("far", -9.0, 0.001))
    ]
    assert "2 of 2 statements fail, above all: *far* is -9.0" in abstract.judged({2: own})
