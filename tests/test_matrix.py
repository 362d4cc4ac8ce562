import itertools
import json
import math
import shutil

import naive
import numpy as np
import pandas as pd
import pytest
import torch
from worlds import pretend

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import CLEAN, USUAL_NOISES, WHITE, Plan
from lib.paper import FIGURE_7, read_table_1
from lib.readings import matrix, matrix_distances, white
from lib.readings.answers import AnswerFile
from lib.readings.matrix import LEVELS, READINGS
from lib.readings.matrix_distances import (
    ALL,
    OPTIONS,
    THREE,
    curves,
    distances,
    flattening,
    left_out,
    ranking,
    right_answers,
)
from lib.report import noise_readings
from lib.store import data
from lib.store.files import file_hash

MODEL, FEW, ROW = "tiny:conv_net@quick", 5, LEVELS.index(100)
ANSWERED = [model for model in FIGURE_7 if matrix.answers_path(model).is_file()]


@pytest.fixture(scope="module")
def asked(trained, tmp_path_factory):
    """A folder with what the tiny network answers under every reading."""
    outputs = tmp_path_factory.mktemp("matrix")
    shutil.copytree(trained / "weights", outputs / "weights")
    assert matrix.run(MODEL, outputs, FEW) == 1 + 3 + 7 + 3 + 10  # clean, RPI, WtB, BtW, EtA
    return outputs


def test_every_reading_is_answered_as_the_slow_rules_and_torch_say(asked):
    images, labels = data.load().test_images[:FEW], data.load().test_labels[:FEW].astype(int)
    net, answers = networks.load(MODEL, outputs=asked), AnswerFile.read(matrix.answers_path(MODEL, asked))
    right = right_answers((MODEL,), asked, FEW)
    for number, reading in enumerate(READINGS):
        for column, noise in enumerate(USUAL_NOISES):
            c = reading.edges_c if noise == "edge_to_altered" else 1.25 if noise == "random_pixel_invert" else 2.0
            told = c, 0, reading.replacement, reading.source, reading.white_above
            noisy = [naive.attack(image, noise, 100, c, 0, index, *told[2:]) for index, image in enumerate(images)]
            pixels = torch.from_numpy(np.stack(noisy))[:, None].float() / 255
            with torch.inference_mode():
                error = (net(pixels).argmax(dim=1).numpy() - labels) % 10
            part = reading.part(MODEL, noise, asked, FEW).path.stem
            np.testing.assert_array_equal(answers.errors[part][ROW], error)
            np.testing.assert_array_equal(right[number, 0, column, ROW], error == 0)
            altered = (np.stack(noisy) != images).sum(axis=(1, 2)).mean()
            assert answers.records[part]["altered"][ROW] == altered <= answers.records[part]["drawn"][ROW] <= 100


def test_what_is_missing_is_asked_once(asked):
    path = matrix.answers_path(MODEL, asked)
    whole = AnswerFile.read(path)
    assert matrix.run(MODEL, asked, FEW) == 0
    gone = READINGS[3].part(MODEL, "edge_to_altered", asked, FEW).path.stem
    kept = {name: record for name, record in whole.records.items() if name != gone}
    AnswerFile({name: whole.errors[name] for name in kept}, kept).write(path)
    with pytest.raises(
        ValueError, match=r"quick has not answered .*edge_to_altered.*run python -m lib.readings.matrix"
    ):
        right_answers((MODEL,), asked, FEW)
    assert matrix.run(MODEL, asked, FEW) == 1
    again = AnswerFile.read(path)
    assert again.errors.keys() == whole.errors.keys()
    for name, errors in whole.errors.items():
        np.testing.assert_array_equal(again.errors[name], errors)


def test_answers_of_other_weights_are_void_and_stay_where_no_weights_are(asked, tmp_path):
    shutil.copytree(asked, tmp_path, dirs_exist_ok=True)
    first, weights = READINGS[:1], networks.weights_path(MODEL, 0, tmp_path)
    assert matrix.run(MODEL, tmp_path, FEW, readings=first, noises=[WHITE]) == 0
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"\0\0\0\0")
    record = weights.with_suffix(".json")
    told = json.loads(record.read_text()) | {"weights": file_hash(weights)}
    record.write_text(json.dumps(told))
    assert matrix.run(MODEL, tmp_path, FEW, readings=first, noises=[WHITE]) == 1
    for path in (weights, record):
        path.unlink()
    assert matrix.run(MODEL, tmp_path, FEW, readings=first, noises=[WHITE]) == 0
    record.write_text(json.dumps(told | {"weights": "of another training"}))
    with pytest.raises(FileNotFoundError, match="are not kept; make them anew"):
        matrix.run(MODEL, tmp_path, FEW, readings=first, noises=[WHITE])


def test_the_two_whites_are_compared_on_the_same_images(tmp_path):
    """Of networks that do not exist: the sweep above 0, and answers above 100 that are all right."""
    pretend(tmp_path, "fc", lambda noise, attacks: 1 - attacks / 250, images=60)
    assert white.distances(outputs=tmp_path, images=60).empty
    part = white.ABOVE_100.part("fc", WHITE, tmp_path, 60)
    right, record = np.zeros((4, 60), np.uint8), {"recipe": part.recipe, "weights": "any"}
    AnswerFile({part.path.stem: right}, {part.path.stem: record}).write(matrix.answers_path("fc", tmp_path))
    (found,) = white.distances(outputs=tmp_path, images=60).to_dict("records")
    paper = read_table_1().query("model == 'fc' and noise == @WHITE and attacks > 0").set_index("attacks")["accuracy"]
    assert found["above_100"] == pytest.approx(np.sqrt(((100 - paper) ** 2).mean()))
    curve = results.curves(Plan(model="fc", images=60, outputs=tmp_path)).query("noise == @WHITE").set_index("attacks")
    gaps = curve.loc[paper.index, "accuracy"] - paper
    assert found["above_0"] == pytest.approx(np.sqrt((gaps**2).mean()))


def test_curves_are_the_answers_level_by_level(asked):
    table, right = curves((MODEL,), asked, FEW), right_answers((MODEL,), asked, FEW)
    assert len(table) == len(READINGS) * 4 * 5 and table["attacks"].unique().tolist() == [0, *LEVELS]
    answers = AnswerFile.read(matrix.answers_path(MODEL, asked))
    for number, column in itertools.product((0, 7, 19), range(4)):
        own = table[(table[OPTIONS] == list(vars(READINGS[number]).values())).all(axis=1)]
        own = own[own["noise"] == USUAL_NOISES[column]]
        assert own["accuracy"].tolist()[1:] == (100 * right[number, 0, column].mean(axis=-1)).tolist()
        part = READINGS[number].part(MODEL, USUAL_NOISES[column], asked, FEW).path.stem
        assert own["altered"].tolist() == [0, *answers.records[part]["altered"]]
        assert (own["low"] <= own["accuracy"]).all() and (own["accuracy"] <= own["high"]).all()


def test_curves_that_grow_flatter_are_told():
    lost = {
        "edge_to_altered": (3, 1),
        "white_to_black": (2, 2),
        "black_to_white": (1, 4),
        "random_pixel_invert": (5, 0),
    }
    rows = [
        (model, noise, attacks, accuracy, attacks / 2)
        for (noise, (early, late)), model in itertools.product(lost.items(), ("fc", "vgg19"))
        for attacks, accuracy in ((0, 99), (10, 98), (40, 90), (100, 90 - 6 * early), (200, 90 - 6 * early - 10 * late))
    ]
    table = pd.DataFrame(rows, columns=["model", "noise", "attacks", "accuracy", "altered"])
    found = flattening(table)
    for noise, (early, late) in lost.items():
        assert found.loc[noise].tolist() == pytest.approx([early, late, late / early, 100])
    assert "altered" not in flattening(table.drop(columns="altered"))


MODELS = ("fc", *THREE)


@pytest.fixture(scope="module")
def pretended():
    """Answers of four networks to 40 images under every reading, drawn by lot."""
    random = np.random.default_rng(5)
    often = random.uniform(0.3, 1, (len(READINGS), len(MODELS), 4, 4, 1))
    return random.random((len(READINGS), len(MODELS), 4, 4, 40)) < often


def by_hand(right, reading, models, noises):
    """The distance entry by entry, in plain numbers."""
    squares = []
    for row in read_table_1().itertuples():
        if row.attacks and row.model in models and row.noise in noises:
            at = reading, MODELS.index(row.model), USUAL_NOISES.index(row.noise), LEVELS.index(row.attacks)
            squares.append((sum(right[at].tolist()) / 40 * 100 - row.accuracy) ** 2)
    assert len(squares) == 4 * len(models) * len(noises)
    return math.sqrt(sum(squares) / len(squares))


def test_distances_are_those_computed_by_hand(pretended):
    table = distances(pretended, MODELS)
    without = {f"without {model}": [other for other in MODELS if other != model] for model in MODELS}
    sets = {ALL: list(MODELS), ", ".join(THREE): THREE, **without, **{model: [model] for model in MODELS}}
    assert set(table["networks"]) == set(sets) and len(table) == len(sets) * 5 * len(READINGS)
    for (members, noise), own in table.groupby(["networks", "noise"], sort=False):
        noises = USUAL_NOISES if noise == ALL else [noise]
        hand = [by_hand(pretended, reading, sets[members], noises) for reading in range(len(READINGS))]
        np.testing.assert_allclose(own["distance"], hand, rtol=1e-12)
        assert own[OPTIONS].to_dict("records") == [vars(reading) for reading in READINGS]
        assert own["nearest"].tolist() == [far == own["distance"].min() for far in own["distance"]]
        assert own["share"].sum() == pytest.approx(100, abs=1)  # ties count for both


def test_readings_are_ranked_and_chosen_anew_without_each_network(pretended):
    table = distances(pretended, MODELS)
    ranked, without = ranking(table), left_out(table)
    hand = sorted(range(len(READINGS)), key=lambda reading: by_hand(pretended, reading, MODELS, USUAL_NOISES))
    assert ranked[OPTIONS].to_dict("records") == [vars(READINGS[number]) for number in hand]
    assert ranked["distance"].is_monotonic_increasing
    assert ranked.loc[0, "fc"] == pytest.approx(by_hand(pretended, hand[0], ["fc"], USUAL_NOISES))
    assert ranked.loc[0, "white_to_black"] == pytest.approx(by_hand(pretended, hand[0], MODELS, ["white_to_black"]))
    assert without["without"].tolist() == list(MODELS)
    for row in without.to_dict("records"):
        others = [model for model in MODELS if model != row["without"]]
        far = [by_hand(pretended, reading, others, USUAL_NOISES) for reading in range(len(READINGS))]
        best = READINGS[int(np.argmin(far))]
        assert {name: row[name] for name in OPTIONS} == vars(best) and row["distance"] == pytest.approx(min(far))
        assert row["same"] == (best == READINGS[hand[0]])


def test_recorded_answers_are_of_the_weights_on_disk_and_all_there():
    right = right_answers(tuple(ANSWERED))
    assert right.shape == (20, len(ANSWERED), 4, 4, 2000)
    least = right[..., 0, :].mean(axis=-1)
    assert "fc" in ANSWERED and (least > 0.5).all(), "10 attacks leave most images right under every reading"


@pytest.fixture(scope="module")
def recorded():
    return distances(right_answers())


def test_the_default_is_what_the_rule_chooses(recorded):
    assert len(READINGS) == 20 and ranking(recorded).loc[0, OPTIONS].tolist() == list(vars(matrix.DEFAULT).values())
    plan = Plan(model="fc")
    assert (plan.replacement, plan.source, plan.white_above) == (True, "clean", 0)
    assert plan.part(matrix.EDGES).recipe["c"] == matrix.DEFAULT.edges_c


def test_the_distance_on_all_images_is_that_of_the_sweeps(recorded):
    """Against Table 1 entry by entry; the bound is the issue's."""
    table = matrix_distances.swept()
    found = table.set_index(["model", "noise", "attacks"])["accuracy"]
    noisy = [row for row in read_table_1().itertuples() if row.attacks]
    squares = {
        (row.model, row.noise, row.attacks): (found[row.model, row.noise, row.attacks] - row.accuracy) ** 2
        for row in noisy
    }
    three = [square for (model, *_), square in squares.items() if model in THREE]
    shown = noise_readings.on_all_images(ranking(recorded), table).iloc[0]
    assert len(squares) == 80 and shown["all five"] == round(math.sqrt(sum(squares.values()) / 80), 1)
    assert shown.iloc[5] == round(math.sqrt(sum(three) / 48), 1) <= 9


def test_the_readings_are_told_in_words(recorded):
    ranked, without = ranking(recorded), left_out(recorded)
    told = noise_readings.nearest(ranked, without)
    assert "**with replacement, clean image**, white is b > 0 and c of Edge to Altered is 1.25" in told
    assert f"**{ranked.loc[0, 'distance']:.1f} points**" in told and "nearest in 5 of 5 cases" in told
    table = noise_readings.ranking(ranked)
    assert table.index[0] == ("with replacement, clean image", "b > 0", 1.25) and len(table) == len(READINGS)
    assert table["all"].tolist() == ranked["distance"].round(1).tolist()
    assert noise_readings.by_network(ranked)["FC"].tolist() == ranked["fc"].round(1).tolist()
    lines = noise_readings.left_out(without)
    assert lines.index.get_level_values("without").tolist() == [networks.title(model) for model in FIGURE_7]
    assert (lines["the same reading as of all five"] == "yes").tolist() == without["same"].tolist()
    least = f"ResNet-50V2: {ranked['resnetv2_50'].min():.1f} points at least"
    assert least in noise_readings.unexplained(ranked)


def test_three_ways_of_drawing_are_set_beside_the_paper():
    table = curves()
    figure = noise_readings.beside_paper(table, matrix.SHOWN)
    assert len(figure.axes) == 20
    ours, paper = figure.axes[1].lines[0], figure.axes[1].lines[-1]  # ResNet-50, White to Black
    panel = f"model == {FIGURE_7[0]!r} and noise == {USUAL_NOISES[1]!r}"
    rows = noise_readings._of(table, matrix.SHOWN[0]).query(panel)
    assert ours.get_ydata().tolist() == rows["accuracy"].tolist()
    printed = read_table_1().query(panel)
    assert paper.get_ydata().tolist() == printed["accuracy"].tolist()
    flat = noise_readings.flattened(table, matrix.SHOWN)
    assert flat.loc[("the paper", "EtA"), "ratio"] == "0.34" and len(flat) == 16
    assert float(flat.loc[("with replacement, clean image", "WtB"), "pixels altered at 200"]) < 140


@pytest.mark.evidence
@pytest.mark.parametrize("model", ANSWERED)
def test_recorded_answers_follow_from_the_weights(model):
    """Some images of every part anew."""
    index = np.random.default_rng().choice(matrix.IMAGES, 10, replace=False)
    digits = data.load()
    probabilities = networks.predictor(networks.load(model))
    answers = AnswerFile.read(matrix.answers_path(model))
    for part in matrix.parts(model):
        noisy, *_ = part.attack(digits.test_images[index], index, part.recipe["levels"])
        for level, images in enumerate(noisy):
            found = probabilities(images)  # (10, 10)
            told = (answers.errors[part.path.stem][level, index] + digits.test_labels[index]) % 10
            assert (found[np.arange(10), told] > found.max(axis=1) - 0.01).all(), part.recipe
    assert {part.recipe["noise"] for part in matrix.parts(model)} == {CLEAN, *USUAL_NOISES}
