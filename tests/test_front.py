"""What the first page shows, against the recorded predictions; and what README says of it."""

import json
import re

import numpy as np
import pytest

from lib.evaluation.plan import Plan
from lib.evaluation.sweep import Predictions
from lib.experiments.declaration import load
from lib.experiments.measure import MEAN, measure
from lib.noise import perturb
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import front
from lib.store import data
from lib.store.files import OUTPUTS

DECLARED = load("normalisation")
ATTACKS = 200


@pytest.fixture(scope="module")
def scores():
    return front.statistics_at(ATTACKS, models=NETWORKS)


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


def test_readme_says_which_parts_matter():
    """Batch normalisation costs most, depth helps; shortcuts and width: the interval has 0 in it."""
    found = measure(load("components")).contrasts()
    found = found[found["noise"] == MEAN].set_index("question")
    whole = found[~found.index.str.contains(",| x ")]
    assert found.loc["normalisation", "high"] < 0 < found.loc["depth", "low"]
    assert whole["estimate"].idxmin() == "normalisation"
    for name in ("shortcuts", "width"):
        assert found.loc[name, "low"] < 0 < found.loc[name, "high"]


def test_the_text_takes_ten_minutes():
    """At most 2,500 words without tables and references, also those that cells make; the abstract at most 200."""
    texts = []
    for cell in json.loads((OUTPUTS / "paper.ipynb").read_text())["cells"]:
        shown = [output.get("data", {}).get("text/markdown", []) for output in cell.get("outputs", [])]
        texts += ["".join(text) for text in ([cell["source"]] if cell["cell_type"] == "markdown" else shown)]
    text, _, references = "\n".join(texts).partition("## References")
    read = re.sub(r"^\|.*$|\]\(.*?\)", "", text, flags=re.M)  # no tables, no addresses of links
    abstract = read.partition("## Abstract")[2].partition("\n## ")[0]
    assert references and 1_000 < len(re.findall(r"\w\S*", read)) <= 2_500
    assert 100 < len(re.findall(r"\w\S*", abstract)) <= 200
