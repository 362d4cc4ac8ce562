"""What the first page shows, against the recorded predictions; and what README says of it."""

import numpy as np
import pytest

from lib.evaluation.plan import Plan
from lib.evaluation.sweep import Predictions
from lib.experiments.declaration import load
from lib.noise import perturb
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import front
from lib.store import data

DECLARED = load("normalisation")
ATTACKS = 200


@pytest.fixture(scope="module")
def scores():
    return front.by_statistics(ATTACKS, models=NETWORKS)


def test_accuracies_by_statistics_are_those_of_the_predictions(scores):
    labels = data.load().test_labels[: DECLARED.images]
    for statistics in ("adapted", "moments"):
        plan = Plan(model="resnet18", images=DECLARED.images, levels=DECLARED.levels, statistics=statistics)
        parts = [Predictions.read(plan.part(noise).path) for noise in PAPER_NOISES]
        right = [np.mean(part.predicted[part.record["recipe"]["levels"].index(ATTACKS)] == labels) for part in parts]
        assert scores.loc[("resnet18", 0), statistics] == pytest.approx(100 * np.mean(right))
    assert (scores["frozen"].diff().dropna() <= 0).all()


def test_readme_says_what_adapted_statistics_give_back(scores):
    """More than half of what is lost, to every network that has statistics; FC is no longer the best."""
    own = scores.dropna(subset="adapted")
    assert len(own) >= 4
    assert ((own["adapted"] - own["frozen"]) / (100 - own["frozen"]) > 0.5).all()
    assert scores["frozen"].idxmax()[0] == "fc" and (own["adapted"] > scores.loc[("fc", 0), "frozen"]).all()


def test_the_digit_is_misread_under_this_noise():
    (clean, noisy), (name, below) = front.misread(Plan(model="resnet18"), "random_pixel_invert", 20)
    index = np.flatnonzero((data.load().test_images == clean).all(axis=(1, 2)))
    np.testing.assert_array_equal(noisy, perturb(clean[None], "random_pixel_invert", [20], index=index)[0, 0])
    label, read, adapted = (int(text[-1]) for text in (name, *below.splitlines()[1:]))
    assert label == data.load().test_labels[index[0]] == adapted != read
