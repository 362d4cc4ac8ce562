"""A noise of one's own joins what asks for it and changes nothing that is recorded."""

import pytest

from lib import paper
from lib.adversarial import robust_accuracy
from lib.adversarial.runs import AttackPlan
from lib.claims import claims
from lib.evaluation.plan import Plan
from lib.experiments.declaration import load
from lib.experiments.measure import trainings
from lib.noise import NOISES, Noise
from lib.store.files import OUTPUTS

GREY_TO_WHITE = Noise("grey_to_white", "GtW", alter=lambda b, c: 255, c=1, eligible=lambda b: 0 < b < 255)


def parts(plan: Plan) -> list[str]:
    return [plan.name, *(part.path.name for part in plan.parts())]


def table_2() -> set[str]:
    attack_plan = AttackPlan(model="resnet50")
    return set(robust_accuracy.table2(attack_plan, robust_accuracy.outcomes(attack_plan))["method"])


READINGS = load("readings")
RECORDED = {
    "draws of a sweep": lambda: Plan(model="fc").recorded_draws(),
    "files of a sweep": lambda: parts(Plan(model="fc")),
    "figures of another sweep": lambda: parts(Plan(model="fc", images=50, levels=[0, 20])),
    "parts of the readings": lambda: [part.path.name for part in READINGS.parts(next(READINGS.trainings()))],
    "trainings": lambda: trainings(("fc",)).seeds,
    "Table 2": table_2,
    "claim 12": lambda: claims.margins(OUTPUTS),
}


@pytest.mark.slow
@pytest.mark.parametrize("recorded", RECORDED)
def test_a_new_noise_changes_nothing_recorded(monkeypatch, recorded):
    before = RECORDED[recorded]()
    assert before, "it is recorded"
    monkeypatch.setitem(NOISES, GREY_TO_WHITE.name, GREY_TO_WHITE)
    assert RECORDED[recorded]() == before


def test_a_new_noise_joins_the_sweep_that_asks_for_it(monkeypatch):
    monkeypatch.setitem(NOISES, GREY_TO_WHITE.name, GREY_TO_WHITE)
    asked = Plan(model="fc", noises=["grey_to_white"])
    assert asked.noises == ["grey_to_white"] and asked.recorded_draws() == 0
    assert asked.parts()[1].path.name.startswith("grey_to_white-draw0-")
    assert Plan(model="fc").recorded_draws() >= 1


def test_table_1_is_of_the_papers_noises_networks_and_levels():
    table = paper.read_table_1()
    assert list(table["model"].drop_duplicates()) == list(paper.FIGURE_7)
    assert set(table["noise"]) == set(paper.PAPER_NOISES) and set(table["attacks"]) == set(paper.TABLE_1_LEVELS)
