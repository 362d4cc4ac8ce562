import numpy as np

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
    assert told.startswith("**FC and VGG-19 survive the noises best, ResNet-34 falls most**")
    assert "FC 81.0" in told and "lie 30.0" in told.replace("\N{NO-BREAK SPACE}", " ")
    assert "Of their 6 pairs 5 are told apart" in told
    assert "Of ResNet-50 (90.0) there is one training" in told


def test_nothing_is_said_of_architectures_where_nothing_is_sure():
    assert "nothing is said of architectures" in abstract.survivors(trained(fc=[80], vgg19=[70, 71]))
    assert "No network is surely better" in abstract.survivors(trained(fc=[80, 60], vgg19=[75, 64]))


def test_the_best_comes_first():
    table = abstract.survival(trained(resnet18=[60, 62], fc=[80, 82], vgg19=[70]))
    assert table["model"].tolist() == ["fc", "vgg19", "resnet18"] and table["mean"].tolist() == [81, 70, 61]
    own = table.set_index("model")
    assert np.isnan(own.loc["vgg19", "low"]) and own.loc["fc", "low"] < 81 < own.loc["fc", "high"]
