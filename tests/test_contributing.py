"""What CONTRIBUTING.md tells to do, done: its code blocks are executed and its commands' parameters taken."""

import re
import shlex

import numpy as np
import pytest
from conftest import papermill_parameters

from lib.adversarial import robust_accuracy
from lib.adversarial.runs import AttackPlan
from lib.claims import claims
from lib.claims.statements import verdict
from lib.evaluation import results
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
from lib.experiments.declaration import load
from lib.experiments.measure import trainings
from lib.noise import NOISES, Noise, perturb
from lib.paper import NETWORKS, PAPER_NOISES
from lib.statistics.curves import area
from lib.store import data
from lib.store.files import ROOT
from lib.training.fit import train
from lib.training.recipe import Recipe


def section(title: str) -> tuple[str, list[dict]]:
    """Its code, and the parameters of the notebook that each of its commands runs."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    code, commands = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "sh"))
    found = []
    for command in commands[0].splitlines():
        make, target, *settings = shlex.split(command)
        assert make == "make" and re.search(rf"^([a-z]+ )*{target}\b.*: ", (ROOT / "Makefile").read_text(), re.M)
        chosen = dict(setting.split("=", 1) for setting in settings)
        given = papermill_parameters(f"{target}.ipynb", *shlex.split(chosen.pop("ARGS", "")))
        found.append({"model": chosen.pop("MODEL", "fc")} | given)
        assert not chosen
    return code[0], found


def swept(**chosen) -> list:
    """All that the paper's networks are evaluated on, in its order, its names, and how many draws are recorded."""
    plans = [Plan(model=model, **chosen) for model in NETWORKS]
    return [(plan.name, plan.recorded_draws(), [(part.path, part.recipe) for part in plan.parts()]) for plan in plans]


def table_2() -> set[str]:
    attack_plan = AttackPlan(model="resnet50")
    return set(robust_accuracy.table2(attack_plan, robust_accuracy.outcomes(attack_plan))["method"])


READINGS = load("readings")
QUICK = {
    "sweeps": swept,
    "other sweeps": lambda: swept(images=50, levels=[0, 20]),
    "parts of the readings": lambda: [part.path for part in READINGS.parts(next(READINGS.trainings()))],
}
SLOW = {"trainings": lambda: trainings(("fc",)).seeds, "Table 2": table_2, "claim 12": claims.margins}


@pytest.mark.parametrize("recorded", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_noise_changes_nothing_recorded(monkeypatch, recorded):
    noise, found = eval(section("Add a noise")[0], {"Noise": Noise}), (QUICK | SLOW)[recorded]
    before = found()
    assert before, "it is recorded"
    monkeypatch.setitem(NOISES, noise.name, noise)
    assert found() == before


def test_a_noise_joins_by_its_entry(monkeypatch):
    code, [asked] = section("Add a noise")
    noise = eval(code, {"Noise": Noise})
    monkeypatch.setitem(NOISES, noise.name, noise)
    plan = Plan(**asked | {"noises": asked["noises"].strip("[]").split(",")})
    assert [part.recipe["noise"] for part in plan.parts()] == ["none", "grey_to_white"] and not plan.recorded_draws()
    images = data.load().test_images[:20]
    grey = (images > 0) & (images < 255)
    noisy = perturb(images, "grey_to_white", 20, seed=0, replacement=False, source="current")
    assert (noisy[~grey] == images[~grey]).all() and ((noisy != images).sum(axis=(1, 2)) == 20).all()


@pytest.mark.slow
def test_a_network_joins_by_its_name(tmp_path, monkeypatch):
    code, [trained, swept] = section("Add a network")
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    outputs = tmp_path / "outputs"
    train(Recipe(**trained, outputs=outputs))
    plan = Plan(**swept, outputs=outputs)
    assert sweep(plan)["computed"] == 1 + 4
    curves = results.curves(plan)
    assert set(curves["noise"]) == set(plan.noises)
    clean = curves.query("attacks == 0")["accuracy"]
    assert clean.nunique() == 1 and clean.iloc[0] > 50


def test_a_claim_is_judged_on_what_is_recorded(monkeypatch):
    code, _ = section("Add a claim")
    monkeypatch.setattr(claims, "CLAIMS", dict(claims.CLAIMS))
    exec(code, vars(claims) | {"CLAIMS": claims.CLAIMS})
    recorded = trainings(("fc", "vgg19"))
    found = claims.statements(13, claims.Evidence(recorded, {}))
    areas = [recorded.scores(area(noise)).groupby("model").mean() for noise in PAPER_NOISES]
    expected = [own["vgg19"] - own["fc"] for own in areas]
    np.testing.assert_allclose([statement.value for statement in found], expected)
    assert verdict(found) in ("supported", "contradicted", "undecided")
