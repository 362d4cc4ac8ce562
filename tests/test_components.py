import itertools
import json

import numpy as np
import pytest
from conftest import run_cells
from pretend import pretend_all, pretend_cell

from lib import networks
from lib.analysis import components
from lib.analysis.components import Cell, cells, measure
from lib.evaluation.plan import Plan
from lib.evaluation.statistics import area_under_curve
from lib.evaluation.sweep import Predictions
from lib.networks import FAMILY, HIDDEN
from lib.paper import LEVELS, NETWORKS, PAPER_NOISES
from lib.store import data

FEW = 60  # test images


def test_the_components_are_the_factorial_that_is_said():
    varied = [cell for cell in cells("components") if cell.model not in HIDDEN]
    assert {cell.model for cell in varied} == FAMILY.keys() | {"resnet18"}
    options = [(cell.variant.skips, cell.variant.depth) for cell in varied if cell.model.startswith("half")]
    assert set(options) == set(itertools.product(("none", "residual", "preact"), (10, 18, 34, 50)))
    assert {cell.model for cell in cells("components")} - {cell.model for cell in varied} == HIDDEN.keys()


@pytest.mark.parametrize("experiment", components.EXPERIMENTS)
def test_every_cell_has_a_recipe_of_its_own_name(experiment):
    recipes = [cell.training(3) for cell in cells(experiment)]
    assert len({recipe.model for recipe in recipes}) == len(recipes)
    rules = {
        (recipe.dataset, recipe.stop_at, recipe.max_epochs, recipe.decay)
        for recipe in recipes
        if recipe.model.partition("@")[0] not in HIDDEN
    }
    assert len(rules) == len({dataset for dataset, *_ in rules}), "equal footing"
    assert all(Plan(model=recipe.model, train_seed=3) for recipe in recipes)


def test_an_unknown_experiment_lists_the_choices():
    with pytest.raises(ValueError, match="unknown experiment 'width'; choose from components"):
        cells("width")


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Two cells of an experiment on few images, trained and swept for one seed."""
    outputs = tmp_path_factory.mktemp("components")
    few = {"train_images": 640, "max_epochs": 2, "decay": 0.5}
    chosen = (Cell("fc98", "few", few | {"target": 99}), Cell("quarter_resnet18", "few", few | {"target": 1}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(components.EXPERIMENTS, "two", chosen)
        assert components.run("two", 1, outputs, FEW) == 2
        yield outputs


@pytest.mark.slow
def test_what_is_recorded_is_not_trained_again_though_its_weights_are_gone(worked):
    assert not list(worked.glob("weights/*.safetensors")) and len(list(worked.glob("weights/*.json"))) == 2
    assert components.run("two", 1, worked, FEW) == 0
    gone = sorted(worked.glob("predictions/fc98@few-seed1/*.npz"))[0]
    before = Predictions.read(gone).predicted
    gone.unlink()
    assert components.run("two", 1, worked, FEW) == 1
    np.testing.assert_array_equal(Predictions.read(gone).predicted, before)


@pytest.mark.slow
def test_scores_are_those_of_the_recorded_predictions(worked):
    table = measure("two", outputs=worked, images=FEW)
    assert len(table) == 2 * len(PAPER_NOISES) and table["seed"].unique().tolist() == [1]
    assert table["short"].tolist() == [True] * 4 + [False] * 4 and table["epochs"].tolist() == [2] * 4 + [1] * 4
    assert table["hidden"].dropna().unique().tolist() == [98] and table["width"].dropna().unique().tolist() == [0.25]
    labels = data.load().test_labels[:FEW]
    for row in table.itertuples():
        asked = Plan(model=row.model, train_seed=1, images=FEW, draws=1, outputs=worked)
        clean, noisy = (Predictions.read(asked.part(noise).path).predicted for noise in ("none", row.noise))
        curve = [100 * (answers == labels).mean() for answers in (*clean, *noisy)]
        assert row.clean == pytest.approx(curve[0]) and row.initial == pytest.approx(curve[5])
        assert row.area == pytest.approx(area_under_curve(np.array(curve), np.array(LEVELS)))
        assert row.relative == pytest.approx(100 * row.area / row.clean)
    record = networks.read_record(networks.weights_path("fc98@few", 1, worked))
    assert table["validation"].iloc[0] == record["epochs"][-1]["accuracy"]


@pytest.mark.slow
def test_predictions_by_another_recipe_are_told(worked, monkeypatch):
    other = Cell("fc98", "few", {"train_images": 320})
    monkeypatch.setitem(components.EXPERIMENTS, "other", (other,))
    with pytest.raises(ValueError, match=r"fc98@few-seed1 was trained by another recipe: .*640.*, not .*320"):
        measure("other", outputs=worked, images=FEW)


@pytest.mark.slow
def test_predictions_by_several_weights_count_as_none(worked, tmp_path):
    path = sorted(worked.glob("predictions/fc98@few-seed1/*.npz"))[0]
    kept = path.read_bytes()
    part = Predictions.read(path)
    part.record["weights"] = "another"
    part.write(path)
    assert set(measure("two", outputs=worked, images=FEW)["model"]) == {"quarter_resnet18@few"}
    path.write_bytes(kept)


def test_nothing_recorded_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m lib\.analysis\.components components 0 1 2"):
        measure("components", outputs=tmp_path)


@pytest.mark.parametrize("accuracy", [98.9, 99.0])
def test_one_that_does_not_reach_the_bound_is_short(accuracy, tmp_path):
    cell = Cell("half_plain50")
    recipe = cell.training(0, tmp_path)
    record = {"recipe": recipe.recorded, "weights": "hash", "epochs": [{"accuracy": accuracy}]}
    path = recipe.weights.with_suffix(".json")
    path.parent.mkdir()
    path.write_text(json.dumps(record))
    assert components._about(cell, recipe)["short"] == (accuracy < 99)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("notebook", components.EXPERIMENTS)
def test_notebooks_run_with_what_is_recorded(tmp_path, notebook, seeds):
    """Of pretended trainings; with one of each network nothing is decided."""
    for number, cell in enumerate(cells(notebook)):
        for seed in seeds:
            pretend_cell(tmp_path, cell, seed, FEW, 0.2 + 0.03 * number)
    pretend_all(tmp_path, [model for model in NETWORKS if model != "fc"] if notebook == "components" else [])
    variables = run_cells(notebook, "-p", "images", FEW, "-p", "outputs", tmp_path)
    assert len(list(tmp_path.glob(f"figures/{notebook}-*.svg"))) == (2 if notebook == "resolution" else 3)
    found = variables["found"]["area"] if notebook == "complexity" else variables["found"]
    assert (found["verdict"] == "undecided").all() == (len(seeds) == 1)


def test_a_notebook_says_what_records_its_trainings(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m lib\.analysis\.components resolution 0 1 2 records"):
        run_cells("resolution", "-p", "images", 50, "-p", "outputs", tmp_path)
