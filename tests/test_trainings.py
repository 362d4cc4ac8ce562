import itertools
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from lib import networks
from lib.evaluation.plan import USUAL_NOISES
from lib.noise import perturb
from lib.paper import read_table_1
from lib.readings import matrix, trainings
from lib.readings.answers import AnswerFile
from lib.readings.trainings import BEGINNINGS, VALUES, Training
from lib.report import reading_tables
from lib.store import data
from lib.training.fit import train
from lib.training.recipe import Recipe

FEW, LEARNT = 40, 120  # test images, training images


def test_each_training_differs_from_its_beginning_in_one_choice():
    found = trainings.trainings()
    assert len(found) == 2 + 2 * sum(len(values) - 1 for values in VALUES.values())
    for name, change, training in found:
        first = asdict(BEGINNINGS[name])
        other = {choice: value for choice, value in asdict(training).items() if value != first[choice]}
        assert [f"{choice} {value}" for choice, value in other.items()] == ([change] if change else [])


def test_a_training_is_named_by_its_choices_and_one_of_ours_is_the_papers_rule():
    recipes = [training.recipe(1) for _, _, training in trainings.trainings()]
    assert len({recipe.model for recipe in recipes}) == len({str(recipe.changes) + recipe.model for recipe in recipes})
    ours = Training().recipe(1)
    assert ours.changes == {} and ours.model == "fc@e4-mnist-b64-sgd-r0.01"
    assert Training(optimizer="adam").recipe(0).learning_rate == trainings.ADAM_RATE
    rgb = Training(channels=3, normalize="none").recipe(0)
    assert rgb.model.startswith("fc_rgb@") and rgb.normalize == "none"


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Two of the trainings, one of which passes through the other, on few images."""
    outputs = tmp_path_factory.mktemp("trainings")
    chosen = [("ours", "epochs 1", Training(epochs=1)), ("ours", "epochs 2", Training(epochs=2))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings, "trainings", lambda: chosen)
        assert trainings.run(3, outputs, FEW, LEARNT) == 2 * (1 + 2 * 4)  # clean images, two readings
        assert trainings.run(3, outputs, FEW, LEARNT) == 0
        yield outputs


@pytest.mark.slow
def test_what_is_recorded_is_what_the_trained_networks_answer(worked):
    digits = data.load()
    images, labels = digits.test_images[:FEW], digits.test_labels[:FEW]
    table = trainings.accuracies((3,), worked, FEW, LEARNT)
    assert len(table) == 2 * 2 * (1 + 4 * 4) and table["epochs"].unique().tolist() == [1, 2]
    for epochs, reading, noise in itertools.product((1, 2), trainings.NOISES, USUAL_NOISES):
        recipe = Training(epochs=epochs).recipe(3, worked, LEARNT)
        assert len(networks.read_record(recipe.weights)["epochs"]) == epochs
        drawing = {"replacement": reading.replacement, "source": reading.source}
        noisy = perturb(images, noise, 100, seed=3, **drawing)
        with torch.inference_mode():
            pixels = torch.from_numpy(noisy)[:, None].float() / 255
            right = networks.load(recipe.model, 3, recipe.outputs)(pixels).argmax(dim=1).numpy() == labels
        cell = table.query("epochs == @epochs and noise == @noise and attacks == 100")
        cell = cell[(cell["replacement"] == reading.replacement) & (cell["source"] == reading.source)]
        assert cell["accuracy"].tolist() == [pytest.approx(100 * right.mean())]


@pytest.mark.slow
def test_answers_stay_where_the_weights_are_gone(worked, tmp_path):
    shutil.copytree(worked / "readings", tmp_path / "readings")
    shutil.rmtree(tmp_path / "readings" / "trainings" / "weights")
    assert trainings.run(3, tmp_path, FEW, LEARNT) == 0
    recipe = Training(epochs=2).recipe(3, tmp_path, LEARNT)
    path = matrix.answers_path(recipe.model, recipe.outputs, 3)
    whole = AnswerFile.read(path)
    gone = next(iter(whole.errors))
    for kept in (whole.errors, whole.records):
        kept.pop(gone)
    whole.write(path)
    assert trainings.missing(recipe, FEW)
    assert trainings.run(3, tmp_path, FEW, LEARNT) > 0 and recipe.weights.is_file(), "trained again for what is missing"


@pytest.mark.slow
def test_what_is_recorded_without_weights_is_not_trained_again_on_the_way_to_more_epochs(worked, tmp_path):
    """Two epochs are missing, one is recorded, as after a run on another machine."""
    shutil.copytree(worked / "readings", tmp_path / "readings")
    shutil.rmtree(tmp_path / "readings" / "trainings" / "weights")
    one, two = (Training(epochs=epochs).recipe(3, tmp_path, LEARNT) for epochs in (1, 2))
    path = matrix.answers_path(one.model, one.outputs, 3)
    kept = path.read_bytes()
    matrix.answers_path(two.model, two.outputs, 3).unlink()
    assert trainings.run(3, tmp_path, FEW, LEARNT) == 1 + 2 * 4
    assert two.weights.is_file() and not one.weights.exists() and path.read_bytes() == kept
    passed = Training(epochs=2).recipe(3, worked, LEARNT)  # by way of one epoch
    first, second = (networks.load(recipe.model, 3, recipe.outputs).state_dict() for recipe in (passed, two))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert trainings.run(3, tmp_path, FEW, LEARNT) == 0


def test_distances_are_those_computed_by_hand():
    paper = read_table_1().query("model == 'fc'")
    off = {0: 3.0, 1: -1.0}  # training seed -> points above the paper everywhere
    rows = [
        {"beginning": "ours", "change": "", "seed": seed, "replacement": True, "source": "clean"}
        | {"noise": row.noise, "attacks": row.attacks, "accuracy": row.accuracy + above}
        for (seed, above), row in itertools.product(off.items(), paper.itertuples())
    ]
    (found,) = trainings.distances(pd.DataFrame(rows)).to_dict("records")
    assert (found["distance"], found["least"], found["most"]) == pytest.approx((1, 1, 3)) and found["seeds"] == 2
    assert found["clean"] == pytest.approx(paper.query("attacks == 0")["accuracy"].mean() + 1)


def test_the_nearest_way_of_training_is_told_with_those_that_it_is_not_told_apart_from():
    columns = ["beginning", "change", "distance", "least", "most", "clean", "seeds"]
    rows = [
        ("ours", "", 15, 14, 16, 97, 3),
        ("fast", "", 10, 9, 11.5, 94, 3),
        ("fast", "epochs 2", 9, 8, 10, 89, 3),
        ("fast", "epochs 4", 12, 10.5, 13, 95, 3),
    ]
    found = pd.DataFrame(rows, columns=columns).assign(replacement=True, source="clean")
    other = found.assign(source="current", distance=1)
    said = reading_tables.nearest_training(pd.concat([found, other], ignore_index=True), matrix.DEFAULT)
    fast = "SGD at 0.1, batches of 64, no normalisation, 1 epoch"
    assert f"**{fast}, but epochs 2**: 9.0 (8.0 to 10.0) points, where our rule has 15.0 (14.0 to 16.0)" in said
    assert said.endswith(f"lies as near: {fast}, 10.0 (9.0 to 11.5), 94.0 % without noise.")


@pytest.mark.slow
def test_adam_is_torchs_adam(tmp_path):
    """One batch of all images, whose order then does not matter."""
    chosen = {"optimizer": "adam", "learning_rate": 0.001, "train_images": 100, "batch_size": 100, "max_epochs": 1}
    recipe = Recipe(model="fc@adam", outputs=tmp_path, **chosen)
    train(recipe)
    net = networks.build("fc@adam", 0)
    images, labels, *_ = data.load().split()
    pixels = torch.from_numpy(images[:100].copy())[:, None].float() / 255
    torch.nn.functional.cross_entropy(net(pixels), torch.from_numpy(labels[:100].astype(np.int64))).backward()
    torch.optim.Adam(net.parameters(), lr=0.001).step()
    ours, by_hand = networks.load("fc@adam", 0, tmp_path).state_dict(), networks.as_stored(net)
    for name in ("body.1.weight", "body.3.weight"):
        same = torch.isclose(ours[name], by_hand[name].float(), rtol=0, atol=1e-4)
        assert same.float().mean() > 0.99, name  # a gradient of nearly 0 may round to either sign
