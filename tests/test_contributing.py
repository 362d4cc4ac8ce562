"""What CONTRIBUTING.md tells to do, done: its code blocks are executed and its commands' parameters taken."""

import re
import shlex

import numpy as np
import pytest
from conftest import papermill_parameters

from lib.claims import claims
from lib.claims.statements import verdict
from lib.evaluation import results
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
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


def recorded() -> list:
    """All that the recorded networks are asked for, in their order, and how many draws there are of it."""
    plans = [Plan(model=model) for model in NETWORKS]
    return [(part.path, part.recipe) for plan in plans for part in plan.parts()] + [p.recorded_draws() for p in plans]


def test_a_noise_joins_and_changes_nothing_recorded(monkeypatch):
    code, [asked] = section("Add a noise")
    before, noise = recorded(), eval(code, {"Noise": Noise})
    monkeypatch.setitem(NOISES, noise.name, noise)
    assert recorded() == before
    plan = Plan(**asked | {"noises": asked["noises"].strip("[]").split(",")})
    assert [part.recipe["noise"] for part in plan.parts()] == ["none", "grey_to_white"]
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
