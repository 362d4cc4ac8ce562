"""Effects on simulated trainings, of which the truth is known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from lib.analysis import effects as module
from lib.analysis.components import cells
from lib.analysis.effects import MEAN, QUESTIONS, difference, doubling, effects, summed
from lib.networks import HIDDEN
from lib.paper import PAPER_NOISES

EXPERIMENTS = list(QUESTIONS)
SPREAD = 1.5  # points between trainings of one network


def simulated(experiment: str, seed: int, truth: dict | None = None, seeds=3, spread=None, blocks=1.0) -> pd.DataFrame:
    """A table as `components.measure` gives it: area is 60 plus the cell's truth, the seed's effect and its own."""
    random = np.random.default_rng(seed)
    models = [cell.name for cell in cells(experiment)]
    block = random.normal(0, blocks, (seeds, len(PAPER_NOISES)))
    rows = []
    for model, own in itertools.product(models, range(seeds)):
        errors = block[own] + random.normal(0, (spread or {}).get(model, SPREAD), len(PAPER_NOISES))
        for noise, error in zip(PAPER_NOISES, errors, strict=True):
            area = 60 + (truth or {}).get(model, 0) + error
            rows.append({"model": model, "seed": own, "noise": noise, "area": area, "short": False})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_question_is_about_cells_that_are_trained(experiment):
    names = {cell.name for cell in cells(experiment)}
    for question in QUESTIONS[experiment].values():
        assert question.weights.keys() <= names
        assert sum(question.weights.values()) == pytest.approx(0)
    asked = set().union(*(question.weights for question in QUESTIONS[experiment].values()))
    assert asked == names, "no cell is trained for nothing"


def test_weights_are_the_effects_they_are_called():
    assert difference(["a", "b"], ["c"]) == {"a": 0.5, "b": 0.5, "c": -1}
    values = {"x": 3 + 5 * np.log2(10), "y": 3 + 5 * np.log2(18), "z": 3 + 5 * np.log2(34)}
    assert sum(
        weight * values[cell] for cell, weight in doubling({"x": 10, "y": 18, "z": 34}).items()
    ) == pytest.approx(5)
    assert summed((2, {"a": 1, "b": -1}), (-1, {"b": 1, "c": -1})) == {"a": 2, "b": -3, "c": 1}


def known(experiment: str) -> tuple[dict, dict]:
    """A truth for each cell, drawn once, and what every question's effect then is."""
    random = np.random.default_rng(7)
    truth = {cell.name: float(random.normal(0, 8)) for cell in cells(experiment)}
    questions = QUESTIONS[experiment].items()
    return truth, {name: sum(w * truth[cell] for cell, w in question.weights.items()) for name, question in questions}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_without_spread_the_effects_are_the_truth(experiment):
    truth, expected = known(experiment)
    nothing = dict.fromkeys(truth, 1e-9)
    found = effects(simulated(experiment, 0, truth, spread=nothing, blocks=3), experiment)
    assert [*dict.fromkeys(found["question"])] == [*QUESTIONS[experiment]]
    assert all(own.tolist() == [*PAPER_NOISES, MEAN] for _, own in found.groupby("question")["noise"])
    np.testing.assert_allclose(found["estimate"], found["question"].map(expected), atol=1e-6)
    signs = found["question"].map(expected).map(lambda value: "higher" if value > 0 else "lower")
    assert (found["verdict"] == signs).all() and (found["trainings"] == 3).all() and not found["near"].any()


def test_the_interval_is_statsmodels_where_all_cells_spread_alike(monkeypatch):
    """Against the formula of a randomised block, one contrast typed out; no cell's own variance counts here."""
    table = simulated("resolution", 1)
    monkeypatch.setattr(module.np, "fmax", lambda own, common: own * 0 + common)
    found = effects(table, "resolution").query("question == 'bilinear'").set_index("noise")
    for noise in PAPER_NOISES:
        fit = ols("area ~ 0 + C(model) + C(seed, Sum)", table[table["noise"] == noise]).fit()
        name = "C(model)[half_resnet18@slow{}]".format
        terms = f"0.5*{name('-bilinear')} - 0.5*{name('')} + 0.5*{name('-112-bilinear')} - 0.5*{name('-112')}"
        weights = [terms_of(terms).get(parameter, 0) for parameter in fit.params.index]
        test = fit.t_test(weights)
        low, high = test.conf_int(alpha=0.05 / 4)[0]
        assert found.loc[noise, "estimate"] == pytest.approx(test.effect[0])
        assert found.loc[noise, ["low", "high"]].tolist() == pytest.approx([low, high])


def terms_of(text: str) -> dict[str, float]:
    """`0.5*a - 0.5*b` as numbers by name."""
    parts = text.replace(" - ", " + -").split(" + ")
    return {name: float(factor) for factor, name in (part.split("*") for part in parts)}


def held(experiment: str, repeats: int, spread=None, seeds: int = 3) -> tuple[float, float]:
    """How often the interval of a mean of the noises holds the truth, and how often all of the four noises' do."""
    truth, expected = known(experiment)
    found = [
        effects(simulated(experiment, repeat, truth, seeds, spread), experiment).assign(repeat=repeat)
        for repeat in range(repeats)
    ]
    table = pd.concat(found)
    table["held"] = table["question"].map(expected).between(table["low"], table["high"])
    alone, four = table[table["noise"] == MEAN], table[table["noise"] != MEAN]
    return alone["held"].mean(), four.groupby(["question", "repeat"])["held"].all().mean()


@pytest.mark.slow
@pytest.mark.parametrize(("experiment", "repeats"), [("components", 40), ("resolution", 250), ("complexity", 100)])
def test_intervals_hold_the_truth_as_often_as_they_say(experiment, repeats):
    mean, together = held(experiment, repeats)
    assert 0.93 <= mean <= 0.995 and 0.93 <= together <= 0.995


@pytest.mark.slow
def test_they_do_so_where_plain_networks_spread_farther():
    spread = {cell.name: 2 * SPREAD for cell in cells("components") if "plain" in cell.model}
    mean, together = held("components", 40, spread)
    assert mean >= 0.92 and together >= 0.92


def test_seeds_that_raise_all_cells_alike_do_not_widen_the_intervals():
    narrow, wide = (effects(simulated("components", 3, blocks=blocks), "components") for blocks in (0, 20))
    np.testing.assert_allclose(narrow["high"] - narrow["low"], wide["high"] - wide["low"])


@pytest.mark.parametrize(
    ("truth", "spread", "verdict"),
    [(10, 0.5, "higher"), (-10, 0.5, "lower"), (0, 0.05, "same"), (0, 8, "undecided"), (1, 0.01, "higher")],
)
def test_verdicts(truth, spread, verdict):
    """Two trainings of each cell around 60, or 60 + truth where the upscaling is bilinear."""
    models = [cell.name for cell in cells("resolution")]
    rows = [
        {"model": model, "seed": seed, "noise": noise, "short": False}
        | {"area": 60 + truth * ("bilinear" in model) + spread * (-1) ** (seed + number)}
        for (number, model), seed, noise in itertools.product(enumerate(models), range(2), PAPER_NOISES)
    ]
    found = effects(pd.DataFrame(rows), "resolution").query("question == 'bilinear'")
    np.testing.assert_allclose(found["estimate"], truth, atol=1e-9)
    assert set(found["verdict"]) == {verdict}


def test_an_undecided_effect_is_near_if_five_trainings_would_decide_it():
    table = pd.concat([simulated("resolution", repeat).assign(repeat=repeat) for repeat in range(30)])
    found = pd.concat([effects(own, "resolution") for _, own in table.groupby("repeat")])
    half = (found["high"] - found["low"]) / 2
    decided = found["verdict"] != "undecided"
    assert (found["near"] == ((found["estimate"].abs() > half * np.sqrt(3 / 5)) & ~decided)).all()
    assert found["near"].any() and decided.any()


@pytest.mark.slow
def test_five_trainings_where_three_leave_it_near_seldom_find_what_is_not_there():
    """Of effects that are 0, although they are looked at twice."""
    wrong = []
    for repeat in range(400):
        table = simulated("resolution", repeat, seeds=5)
        first, last = effects(table[table["seed"] < 3], "resolution"), effects(table, "resolution")
        judged = first["verdict"].mask(first["near"], last["verdict"])
        wrong += judged[first["noise"] == MEAN].isin(["higher", "lower"]).tolist()
    assert np.mean(wrong) <= 0.05


def test_a_training_short_of_the_bound_is_no_evidence():
    table = simulated("resolution", 5)
    bad = (table["model"] == "half_resnet18@slow-bilinear") & (table["seed"] == 1)
    found = effects(table.assign(short=bad, area=table["area"].mask(bad, -1e6)), "resolution")
    assert found["estimate"].abs().max() < 10
    assert set(found.query("question == 'bilinear'")["trainings"]) == {2}
    assert set(found.query("question == 'size'")["trainings"]) == {3}


def test_what_is_not_trained_often_enough_is_left_open():
    table = simulated("resolution", 6)
    once = table[(table["model"] != "half_resnet18@slow-28") | (table["seed"] == 0)]
    found = effects(once, "resolution").query("question == 'size'")
    assert found["low"].isna().all() and found["estimate"].notna().all() and set(found["verdict"]) == {"undecided"}
    gone = effects(table[table["model"] != "half_resnet18@slow-28"], "resolution").query("question == 'size'")
    assert gone["estimate"].isna().all() and set(gone["verdict"]) == {"undecided"}
    single = effects(table[table["seed"] == 0], "resolution")
    assert single["low"].isna().all() and single["estimate"].notna().all() and not single["near"].any()


def test_dense_nets_and_convolutions_do_not_lend_each_other_their_spread():
    wild = simulated("components", 8, spread=dict.fromkeys(HIDDEN, 50.0))
    tame = simulated("components", 8)
    one, other = (effects(table, "components").set_index(["question", "noise"]) for table in (wild, tame))
    conv = one.index.get_level_values("question") != "hidden units"
    pd.testing.assert_frame_equal(one[conv], other[conv])
    width = (one["high"] - one["low"]) / (other["high"] - other["low"])
    assert (width[~conv] > 5).all()


def test_another_score_is_asked_about_by_name():
    table = simulated("complexity", 9).assign(relative=lambda table: table["area"] * 2)
    area, relative = effects(table, "complexity"), effects(table, "complexity", "relative")
    np.testing.assert_allclose(relative["estimate"], 2 * area["estimate"])
