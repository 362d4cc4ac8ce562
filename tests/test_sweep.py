import contextlib
import itertools
import json
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import naive
import numpy as np
import pandas as pd
import pytest
from conftest import run_python, start_python
from pydantic import ValidationError
from tqdm import tqdm

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import CLEAN, USUAL_NOISES, Plan
from lib.evaluation.sweep import Evaluator, Predictions, sweep
from lib.networks import predictor
from lib.noise import perturb
from lib.store import data, parts
from lib.store.files import file_hash
from lib.store.parts import in_turn
from lib.training.fit import record_weights, train
from lib.training.recipe import Recipe

MODEL = "tiny:conv_net@quick"


@pytest.fixture(scope="module")
def done(trained, tmp_path_factory):
    """A folder with the sweep of `plan`."""
    outputs = tmp_path_factory.mktemp("done")
    shutil.copytree(trained / "weights", outputs / "weights")
    assert sweep(plan(outputs)) == {"computed": 9, "reused": 0, "checked": 0}
    return outputs


@pytest.fixture
def swept(done, tmp_path):
    """The same of one's own."""
    return shutil.copytree(done, tmp_path, dirs_exist_ok=True)


def plan(outputs, **change):
    return Plan(**{"model": MODEL, "levels": [0, 20, 100], "draws": 2, "images": 150, "outputs": outputs} | change)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.suffix != ".lock"}


def test_a_sweep_records_what_the_network_answers(swept):
    images, labels = data.load().test_images[:150], data.load().test_labels[:150]
    probabilities = partial(naive.probabilities, networks.load(MODEL, outputs=swept))
    for noise in USUAL_NOISES:
        for draw in range(2):
            recorded = Predictions.read(plan(swept).part(noise, draw).path)
            for row, attacks in enumerate([20, 100]):
                found = probabilities(perturb(images, noise, attacks, seed=draw))
                np.testing.assert_array_equal(recorded.predicted[row], found.argmax(axis=1))
                np.testing.assert_allclose(recorded.probability[row], found[np.arange(150), labels], atol=1e-3)
    clean = Predictions.read(plan(swept).part(CLEAN).path)
    np.testing.assert_array_equal(clean.predicted[0], probabilities(images).argmax(axis=1))


def test_an_image_that_attacks_no_longer_alter_is_not_asked_again(outputs):
    images = np.zeros((3, 28, 28), np.uint8)  # the last has no white pixel at all
    images[0, :2, :20] = 255  # 40 white pixels: none is left from 40 attacks on
    images[1, :10, :20] = 255
    once = plan(outputs, levels=[20, 50, 100], replacement=False, source="current")
    part, labels, asked = once.part("white_to_black"), np.zeros(3, int), []
    evaluator = Evaluator(networks.load(MODEL, 0, outputs), {})

    def probabilities(block):
        asked.append(len(block))
        return naive.probabilities(evaluator.net, block)

    evaluator._fixed["frozen"] = probabilities
    part = replace(part, recipe=part.recipe | {"images": 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda _: SimpleNamespace(test_images=images, test_labels=labels))
        found = evaluator.predict(part, tqdm(disable=True))
    assert asked == [3, 2, 1]
    for row, noisy in enumerate(part.attack(images, np.arange(3), [20, 50, 100])[0]):
        answers = naive.probabilities(evaluator.net, noisy)
        np.testing.assert_array_equal(found.predicted[row], answers.argmax(axis=1))
        np.testing.assert_allclose(found.probability[row], answers[:, 0], atol=1e-3)


def test_records_name_what_made_them(swept):
    recorded = Predictions.read(plan(swept).part("white_to_black").path).record
    assert recorded["recipe"] == {
        "noise": "white_to_black", "c": 2.0, "levels": [20, 100], "draw": 0, "images": 150, "bfloat16": False,
        "replacement": True, "source": "clean"
    }  # fmt: skip
    assert recorded["model"] == MODEL and recorded["train_seed"] == 0 and recorded["commit"]
    assert recorded["weights"] == file_hash(networks.weights_path(MODEL, 0, swept))
    assert recorded["openvino"] and recorded["numba"]


def test_a_second_run_changes_nothing_and_computes_what_is_missing_alone(swept):
    results.write_accuracy(swept)
    before = contents(swept)
    assert sweep(plan(swept)) == {"computed": 0, "reused": 9, "checked": 450}
    results.write_accuracy(swept)
    assert contents(swept) == before
    gone = plan(swept).part("edge_to_altered", 1).path
    gone.unlink()
    assert sweep(plan(swept))["computed"] == 1
    again = contents(swept)
    assert again.keys() == before.keys() and {swept / path for path in before if again[path] != before[path]} <= {gone}
    assert sweep(plan(swept, draws=3))["computed"] == 4, "a further draw adds its own parts"
    small = plan(swept, noises=["white_to_black"], draws=1, recompute=True)
    assert sweep(small) == {"computed": 2, "reused": 0, "checked": 0}


def test_other_parameters_have_results_of_their_own(outputs):
    sweep(plan(outputs, noises=["white_to_black"], draws=1))
    for change in ({"c": 3.0}, {"levels": [0, 20]}, {"images": 149}):
        assert sweep(plan(outputs, noises=["white_to_black"], draws=1, **change))["computed"] >= 1
    table = results.accuracies(outputs)
    keys = ["noise", "c", "attacks", "draw", "images"]
    assert not table.duplicated(keys).any()
    assert set(table["c"].dropna()) == {2.0, 3.0} and set(table["images"]) == {149, 150}


def test_draws_none_takes_those_recorded(swept):
    assert len(plan(swept / "nothing", draws=None).parts()) == 5
    assert len(plan(swept, draws=None).parts()) == 9
    assert results.curves(plan(swept, draws=None))["draws"].max() == 2


def test_new_weights_make_recorded_predictions_void(swept):
    small = plan(swept, noises=["white_to_black"], draws=1)
    path = networks.weights_path(MODEL, 0, swept)
    record_weights(networks.build(MODEL, 7), path, networks.read_record(path))
    assert results.accuracies(swept).empty, "what the weights before predicted is gone"
    assert sweep(small) == {"computed": 2, "reused": 0, "checked": 0}


def test_predictions_stay_where_the_weights_are_not_kept(swept):
    small = plan(swept, noises=["white_to_black"], draws=1)
    table, record = results.accuracies(swept), networks.read_record(small.weights)
    small.weights.unlink()
    assert networks.read_record(small.weights)["recipe"] == record["recipe"]
    assert sweep(small) == {"computed": 0, "reused": 2, "checked": 0}
    pd.testing.assert_frame_equal(results.accuracies(swept), table)
    with pytest.raises(FileNotFoundError, match=r"weights of .* are not kept.*make train MODEL="):
        sweep(small.model_copy(update={"recompute": True}))
    kept = small.weights.with_suffix(".json")
    whole = kept.read_text()
    kept.write_text(json.dumps(json.loads(whole) | {"weights": "another"}))
    with pytest.raises(ValueError, match="predictions of other weights"):
        results.accuracies(swept)
    for damaged in ("", whole[:40], "[]", '{"weights": "abc"}', "\x00"):
        kept.write_text(damaged)
        for ask in (networks.read_record, parts.weights_hash):
            with pytest.raises(ValueError, match=rf"no record of a training in .*{kept.name}"):
                ask(small.weights)
    kept.unlink()
    without = results.accuracies(swept)
    assert without["short"].isna().all() and table["short"].all(), "two epochs on few images do not reach 99 %"
    pd.testing.assert_frame_equal(without.drop(columns="short"), table.drop(columns="short"))
    with pytest.raises(FileNotFoundError, match="is not trained"):
        networks.read_record(small.weights)


def test_predictions_that_do_not_follow_from_the_weights_are_told(swept):
    small = plan(swept, noises=["white_to_black"], draws=1)
    path = small.part("white_to_black").path
    true = Predictions.read(path)
    replace(true, predicted=(true.predicted + 1) % 10).write(path)
    with pytest.raises(ValueError, match=r"of 50 predictions in .*white_to_black.* do not follow from the weights"):
        sweep(small)
    assert true.altered is not None
    for wrong in ({"probability": 1 - true.probability}, {"altered": true.altered + 1}):
        replace(true, **wrong).write(path)
        with pytest.raises(ValueError, match="do not follow from the weights"):
            sweep(small)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"damaged file .*white_to_black.*delete it and run"):
        sweep(small)


# Ends itself like kill -9 in the middle of part number argv[2].
SWEEP = """
import os, sys
from lib.evaluation import sweep
parts, predict = 0, sweep.Evaluator.predict
def predict_and_die(*arguments):
    global parts
    parts += 1
    found = predict(*arguments)
    if parts == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return found
sweep.Evaluator.predict = predict_and_die
plan = sweep.Plan(model="tiny:conv_net@quick", levels=[0, 20, 100], draws=2, images=150, outputs=sys.argv[1])
print(sweep.sweep(plan))
"""


@pytest.fixture(scope="module")
def dressed(tmp_path_factory):
    """Results of the tiny network, trained on Fashion-MNIST at its own normalisation and smoothly upscaled."""
    outputs = tmp_path_factory.mktemp("dressed")
    fashion = {"dataset": "fashion-mnist", "normalize": "fashion-mnist", "resize": "bilinear"}
    train(Recipe(model=MODEL, train_images=2000, max_epochs=1, outputs=outputs, **fashion))
    return outputs


@pytest.mark.slow
def test_another_data_set_is_asked_about_its_own_images(dressed):
    asked = plan(dressed, dataset="fashion-mnist", noises=["black_to_white"], draws=1)
    sweep(asked)
    articles = data.load("fashion-mnist")
    images, labels = articles.test_images[:150], articles.test_labels[:150]
    net = networks.load(MODEL, outputs=dressed, dataset="fashion-mnist")
    assert (net.mean, net.deviation, net.resize) == (0.2860, 0.3530, "bilinear")
    for row, attacks in enumerate((0, 20, 100)):
        found = naive.probabilities(net, perturb(images, "black_to_white", attacks)).argmax(axis=1)
        part, place = (asked.part("none"), 0) if row == 0 else (asked.part("black_to_white"), row - 1)
        np.testing.assert_array_equal(Predictions.read(part.path).predicted[place], found)
        curve = results.curves(asked)
        assert curve["accuracy"].iloc[row] == pytest.approx(100 * (found == labels).mean())
        table = results.accuracies(dressed)
        assert table.query("attacks == @attacks")["correct"].item() == (found == labels).sum()
    assert set(table["dataset"]) == {"fashion-mnist"}
    assert Predictions.read(asked.part("none").path).record["recipe"]["dataset"] == "fashion-mnist"


@pytest.mark.slow
def test_no_network_is_asked_about_another_data_set_than_its_own(dressed, outputs):
    told = "was trained on fashion-mnist: dataset must be fashion-mnist, not mnist"
    for ask in (lambda: sweep(plan(dressed)), lambda: networks.load(MODEL, outputs=dressed)):
        with pytest.raises(ValueError, match=told):
            ask()
    with pytest.raises(ValueError, match="was trained on mnist: dataset must be mnist, not fashion-mnist"):
        sweep(plan(outputs, dataset="fashion-mnist"))
    networks.weights_path(MODEL, 0, dressed).rename(dressed / "elsewhere")
    with pytest.raises(ValueError, match=told):
        sweep(plan(dressed))


@pytest.mark.slow
def test_noise_on_56_needs_a_network_that_reads_56(tmp_path):
    chosen = {"size": 28, "train_images": 128, "max_epochs": 1, "outputs": tmp_path}
    train(Recipe(model="quarter_resnet18@28", **chosen))
    small = plan(tmp_path, model="quarter_resnet18@28", images=20, draws=1)
    with pytest.raises(ValueError, match="space=56: quarter_resnet18@28 reads 1x28x28; choose space=28"):
        sweep(small.model_copy(update={"space": 56}))
    assert networks.load("quarter_resnet18@28", outputs=tmp_path).size == 28
    assert sweep(small)["computed"] == 5


def test_a_killed_sweep_keeps_its_finished_parts(outputs):
    assert run_python(SWEEP, outputs, 4)[0] == -9
    kept = contents(outputs / "predictions")
    assert len(kept) == 3
    assert sweep(plan(outputs)) == {"computed": 6, "reused": 3, "checked": 150}
    after = contents(outputs / "predictions")
    assert len(after) == 9 and all(after[path] == content for path, content in kept.items())


def test_two_processes_share_the_work(outputs):
    processes = [start_python(SWEEP, outputs, 0) for _ in range(2)]
    shown = [process.communicate()[0] for process in processes]
    counts = [json.loads(text[text.rindex("{") : text.rindex("}") + 1].replace("'", '"')) for text in shown]
    assert all(process.returncode == 0 for process in processes)
    assert sum(count["computed"] for count in counts) == 9
    assert len(contents(outputs / "predictions")) == 9


def test_a_part_that_another_process_is_at_comes_last(outputs):
    parts = plan(outputs).parts()[:3]
    held = contextlib.ExitStack()
    held.enter_context(results.lock(parts[0].path))
    seen = []
    for part in in_turn(parts):
        seen.append(part.path)
        if len(seen) == 2:
            held.close()
    assert seen == [parts[1].path, parts[2].path, parts[0].path]


@pytest.mark.parametrize(("normalize", "resize"), [*zip(networks.NORMALIZE, itertools.cycle(networks.RESIZE))])
def test_a_dense_net_that_reads_28x28_at_once_answers_as_the_whole_does(normalize, resize):
    net = networks.build("fc", 1, normalize=normalize, resize=resize).eval()
    images = perturb(data.load().test_images[:130], "black_to_white", 40)
    whole = naive.probabilities(net, images)
    np.testing.assert_allclose(predictor(net)(images), whole, atol=1e-5)
    upscaled = networks.upscale(images, networks.SIZE, resize)  # rounded to whole brightnesses
    np.testing.assert_allclose(predictor(net, size=networks.SIZE)(upscaled), whole, atol=0.01)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_answers_do_not_depend_on_the_batch(trained, engine):
    probabilities = predictor(networks.load(MODEL, outputs=trained), engine)
    images = data.load().test_images[:250]
    parts = np.concatenate([probabilities(images[:1]), probabilities(images[1:101]), probabilities(images[101:])])
    np.testing.assert_allclose(probabilities(images), parts, atol=1e-5)
    assert probabilities(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnt50"}, "unknown model 'resnt50'; choose from fc"),
        ({"noises": ["whitetoblack"]}, "unknown noise 'whitetoblack'; choose from random_pixel_invert"),
        ({"levels": [0, 20, 10]}, r"levels must ascend from 0 or more, not \[0, 20, 10\]"),
        ({"levels": []}, "at least 1 item"),
        ({"images": 10_001}, "less than or equal to 10000"),
        ({"c": 0.0}, "greater than 0"),
        ({"c": float("nan")}, "a finite number"),
        ({"dataset": "minst"}, "unknown data set 'minst'; choose from mnist, fashion-mnist"),
        ({"engine": "onnx"}, "unknown engine 'onnx'; choose from auto, openvino, torch"),
        ({"drawn": 1}, "Extra inputs are not permitted"),
        ({"draw": 1}, r"give draw=1 \(that one alone\) or draws=2 \(the first ones\), not both"),
        ({"source": "later"}, "unknown source 'later'; choose from clean, "),
        ({"white_above": -1}, "greater than or equal to 0"),
        ({"statistics": "frosen"}, "unknown statistics 'frosen'; choose from frozen, batch"),
        ({"statistics": "batch", "bfloat16": True}, "statistics='batch' is for engine='torch'"),
        ({"adapted_to": "blur"}, "unknown adapted_to 'blur'; choose from same, mixture, "),
        ({"statistics": "moments", "restored": "last"}, "unknown restored 'last'; choose from all, first"),
        ({"adapted_on": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_plan_is_told(tmp_path, change, message):
    with pytest.raises(ValidationError, match=message):
        plan(tmp_path, **change)


def test_a_sweep_without_weights_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="make train MODEL=resnet34"):
        sweep(plan(tmp_path, model="resnet34"))
    with pytest.raises(ValueError, match="bfloat16 is for engine='torch'"):
        predictor(networks.build("fc"), "openvino", bfloat16=True)


def test_one_draw_alone_makes_the_same_files_as_all_of_them(tmp_path):
    alone = [plan(tmp_path, draw=draw, draws=None) for draw in (0, 1)]
    together = {part.path for part in plan(tmp_path).parts()}
    assert set().union(*({part.path for part in one.parts()} for one in alone)) == together
    assert alone[1].part("white_to_black").recipe["draw"] == 1
    assert len({plan(tmp_path, draws=None).name, *(one.name for one in alone)}) == 3
