import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pretend import pretend
from pydantic import ValidationError
from scipy import stats
from torch.nn import functional

from lib import networks
from lib.analysis import normalisation
from lib.analysis.compared import Comparison
from lib.analysis.statements import FAILS, HOLDS
from lib.evaluation import results
from lib.evaluation.plan import CLEAN, UNNAMED, Plan, SweepPart
from lib.evaluation.sweep import Predictions, sweep
from lib.explorer import many_digits, one_digit
from lib.noise import NOISES, SOURCES, deciding, perturb, perturb_and_count, white_to_black
from lib.readings import distance, effects, runs
from lib.readings.answers import AnswerFile
from lib.readings.options import OPTIONS, Grid, Reading
from lib.report import reading_tables, sentences
from lib.store import data
from lib.store.files import OUTPUTS, write_arrays
from lib.training.fit import train

MODEL = "tiny:conv_net@quick"

# Names of files that are recorded: a name that changes would lose them.
RECORDED = {
    ("fc", "none", 0): "none-7ece65e4",
    ("fc", "white_to_black", 0): "white_to_black-draw0-6849e558",
    ("fc", "black_to_white", 3): "black_to_white-draw3-8be71f43",
    ("fc", "random_pixel_invert", 4): "random_pixel_invert-draw4-09998873",
    ("resnet18", "edge_to_altered", 0): "edge_to_altered-draw0-5ae13e6f",
}


@pytest.mark.parametrize(("model", "noise", "draw"), RECORDED)
def test_files_that_name_no_reading_keep_theirs(model, noise, draw):
    path = Plan(model=model, replacement=False, source="current").part(noise, draw).path
    assert path.stem == RECORDED[model, noise, draw] and path.is_file()
    recipe = Predictions.read(path).record["recipe"]
    assert not UNNAMED.keys() & recipe.keys()
    assert SweepPart(path.parent, recipe).drawing == (False, "current")


def test_a_file_of_one_reading_never_passes_for_another(tmp_path):
    """Not even under the other's name: what the recipe in it says decides, and what it leaves out never changes."""
    drawings = list(itertools.product((False, True), SOURCES))
    for noise in NOISES:
        parts = {
            drawing: Plan(model="fc", replacement=drawing[0], source=drawing[1]).part(noise) for drawing in drawings
        }
        for one, other in itertools.permutations(drawings, 2):
            same = deciding(noise, NOISES[noise].c, *one) == deciding(noise, NOISES[noise].c, *other)
            assert (parts[one] == parts[other]) == (parts[one].path == parts[other].path) == same
            record = {"recipe": parts[one].recipe, "weights": "0123"}
            path = tmp_path / parts[other].path.name
            write_arrays(path, record, {})
            assert replace(parts[other], folder=tmp_path).holds("0123") == same


ALL = {CLEAN, *NOISES}


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ({"space": 56}, ALL),
        ({"replacement": True}, {"random_pixel_invert", "white_to_black", "edge_to_altered"}),
        ({"replacement": True, "source": "clean"}, ALL - {CLEAN}),
        ({"source": "clean"}, {"edge_to_altered"}),
        ({"white_above": 100}, {"white_to_black"}),
    ],
)
def test_another_reading_has_files_of_its_own_where_pixels_differ(change, others):
    usual, other = Plan(model="fc"), Plan(model="fc", **change)
    assert {noise for noise in ALL if usual.part(noise).path != other.part(noise).path} == others
    assert usual.name == "fc-seed0" != other.name


DRAWN = {
    (False, "now"): {"replacement": False, "source": "current"},
    (False, "clean"): {"replacement": False, "source": "clean"},
    (True, "now"): {"replacement": True, "source": "current"},
    (True, "clean"): {"replacement": True, "source": "list"},
}  # revisit and eligibility as `perturb` names them


def test_a_part_attacks_as_its_plan_says():
    """Every reading of the attacks, against the noise asked with all its options, whether they decide or not."""
    images, index = data.load().test_images[40:60], np.arange(40, 60)
    for noise, replacement, source, above in itertools.product(NOISES, (False, True), SOURCES, (0, 100)):
        drawing = {"replacement": replacement, "source": source}
        plan = Plan(model="fc", white_above=above, **drawing)
        found = plan.part(noise, 3).attack(images, index, [30, 200])
        kind = white_to_black(above) if noise == "white_to_black" else noise
        asked = perturb_and_count(images, kind, [30, 200], seed=3, index=index, **drawing)
        for one, other in zip(found, asked[:3], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("resize", networks.RESIZE)
def test_images_are_upscaled_as_the_network_does(resize):
    images = data.load().test_images[:20]
    upscaled = networks.upscale(images, 56, resize)
    pixels = torch.from_numpy(images.copy()).float()[:, None]
    exact = functional.interpolate(pixels, size=(56, 56), mode=resize)[:, 0].numpy()
    assert upscaled.dtype == np.uint8 and np.abs(upscaled - exact).max() <= 0.5
    if resize == "nearest":
        np.testing.assert_array_equal(upscaled, images.repeat(2, axis=1).repeat(2, axis=2))
    assert networks.upscale(images, 28, resize) is images


def test_noise_on_56_falls_on_single_pixels_and_passes_the_networks_own_upscaling_by(trained):
    plan = Plan(model=MODEL, space=56, levels=[0, 20, 100], images=60, draws=1, outputs=trained)
    assert sweep(plan) == {"computed": 5, "reused": 0, "checked": 0}
    assert sweep(plan) == {"computed": 0, "reused": 5, "checked": 250}
    net = networks.load(MODEL, outputs=trained)
    images = data.load().test_images[:60].repeat(2, axis=1).repeat(2, axis=2)
    for noise in NOISES:
        noisy, attacked, altered, _ = perturb_and_count(images, noise, 100)
        np.testing.assert_array_equal(altered, (noisy != images).sum(axis=(1, 2)))
        with torch.inference_mode():
            pixels = torch.from_numpy(noisy)[:, None].float() / 255
            found = functional.softmax(net.body((pixels - 0.1307) / 0.3081), dim=1).numpy()
        recorded = Predictions.read(plan.part(noise).path)
        np.testing.assert_array_equal(recorded.predicted[1], found.argmax(axis=1))
        np.testing.assert_array_equal(recorded.attacked[1], attacked)
        assert recorded.altered is not None
        np.testing.assert_array_equal(recorded.altered[1], altered)


def test_accuracy_csv_tells_readings_apart(trained):
    plan = Plan(model=MODEL, levels=[20], images=50, draws=1, outputs=trained)
    changes = ({}, {"replacement": True}, {"space": 56, "white_above": 100})
    for change in changes:
        sweep(plan.model_copy(update=change))
    table = results.accuracy_table(trained).query("images == 50 and noise == 'white_to_black'")
    told = [f"replacement={how} source=current" for how in (False, True, False)]
    told[2] += " space=56 white_above=100"
    assert sorted(table["reading"]) == sorted(told)
    table = table.set_index("reading").loc[told]
    for change, (_, row) in zip(changes, table.iterrows(), strict=True):
        curve = results.curves(plan.model_copy(update=change)).query("noise == 'white_to_black' and attacks == 20")
        assert 100 * row["correct"] / 50 == curve["accuracy"].iloc[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": 32}, "Input should be 28 or 56"),
        ({"source": "later"}, "unknown source 'later'; choose from clean, "),
        ({"white_above": 255}, "less than or equal to 254"),
        ({"white_above": -1}, "greater than or equal to 0"),
        ({"replacement": "sometimes"}, "Input should be a valid boolean"),
        ({"draws": 10**20}, "less than or equal to 1000"),
        ({"levels": [0, 70_000]}, "levels must be 65,535 or less, not"),
    ],
)
def test_a_wrong_reading_is_told(change, message):
    with pytest.raises(ValidationError, match=message):
        Plan(model="fc", **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnt50"}, "unknown model 'resnt50'; choose from fc"),
        ({"normalize": ["mnst"]}, "Input should be 'mnist', 'none' or 'imagenet'"),
        ({"epochs": [0]}, "greater than or equal to 1"),
        ({"seeds": [1, 1]}, r"each value once, not \[1, 1\]"),
        ({"space": []}, "at least 1 item"),
        ({"white_above": [300]}, "less than or equal to 254"),
        ({"revisits": [True]}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_grid_is_told(change, message):
    with pytest.raises(ValidationError, match=message):
        Grid(**change)


def test_readings_come_in_order_of_distance_from_ours():
    readings = Grid().readings()
    changes = [len(reading.changes) for reading in readings]
    assert len(set(readings)) == 3 * 2 * 3 * 2 * 2 * 2 * 2 and changes == sorted(changes)
    assert readings[0] == Reading() and readings[0].name == "ours"
    assert len(Grid(changes=1).readings()) == 1 + 2 + 1 + 2 + 4
    assert Reading(normalize="none", epochs=1, revisit=True).name == "normalize none, epochs 1, revisit yes"


def test_another_grid_does_not_replace_the_table_of_the_usual_one():
    assert Grid().name == "fc" and Grid(model="timm:resnet10t").name == "timm-resnet10t"
    names = {Grid(**change).name for change in ({}, {"seeds": [1]}, {"space": [28]}, {"images": 9}, {"changes": 1})}
    assert len(names) == 5, "a part of the grid does not take the place of the whole"


def test_weights_are_named_by_what_is_not_ours():
    def name(reading, **change):
        return Grid(**change).recipe(reading, 2).model

    assert name(Reading()) == name(Reading(revisit=True, space=56)) == "fc"
    assert name(Reading(normalize="none", resize="bilinear", epochs=1)) == "fc@none-bilinear-e1"
    assert name(Reading(epochs=2), model="fc@few", train_images=100) == "fc@few-e2"
    recipes = {Grid().recipe(reading, 0) for reading in Grid().readings()}
    assert len(recipes) == len({recipe.weights for recipe in recipes}) == 18


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A grid of a tiny network, worked off."""
    chosen = Grid(
        model=MODEL,
        seeds=[0, 1],
        normalize=["none"],
        resize=["nearest"],
        epochs=[1, 2],
        space=[28],
        white_above=[0],
        images=60,
        train_images=640,
        outputs=tmp_path_factory.mktemp("grid"),
    )
    assert runs.run(chosen) == 2 * 2 * (1 + 2 + 3 + 2 + 4)  # seeds x epochs x (clean, RPI, WtB, BtW, EtA)
    return chosen


@pytest.mark.slow
def test_the_grid_records_what_its_networks_answer(small):
    digits = data.load()
    labels = digits.test_labels[:60].astype(int)
    table = effects.accuracies(small)
    assert len(table) == 8 * 2 * (1 + 4 * 4)
    for reading, seed, noise in itertools.product(small.readings()[::3], (0, 1), NOISES):
        net = networks.load(small.recipe(reading, seed).model, seed, small.folder)
        assert (net.mean, net.deviation) == networks.NORMALIZE[reading.normalize]
        drawn = DRAWN[reading.revisit, reading.eligibility]
        noisy = perturb(digits.test_images[:60], noise, 100, seed=seed, **drawn)
        with torch.inference_mode():
            found = net(torch.from_numpy(noisy)[:, None].float() / 255).argmax(dim=1).numpy()
        answers = AnswerFile.read(small.answers_path(reading, seed))
        (part,) = (part for part in small.parts(reading, seed) if part.recipe["noise"] == noise)
        row = part.recipe["levels"].index(100)
        np.testing.assert_array_equal(answers.errors[part.path.stem][row], (found - labels) % 10)
        cell = table.query("reading == @reading.name and seed == @seed and noise == @noise and attacks == 100")
        assert cell["correct"].tolist() == [(found == labels).sum()]


@pytest.mark.slow
def test_answers_name_what_made_them(small):
    reading = Reading(normalize="none", epochs=1, revisit=True)
    answers = AnswerFile.read(small.answers_path(reading, 1))
    assert answers.training["recipe"]["normalize"] == "none" and len(answers.training["epochs"]) == 1
    record = answers.records[small.parts(reading, 1)[-1].path.stem]
    assert record["recipe"]["revisit"] and record["recipe"]["draw"] == 1 and record["commit"] and record["openvino"]
    assert record["weights"] == results.file_hash(small.recipe(reading, 1).weights)


@pytest.mark.slow
def test_only_what_is_missing_is_worked_off(small):
    """A part that is gone, without and with the weights; and nothing where all is there and the weights are not."""
    path = small.answers_path(small.readings()[0], 0)
    whole = AnswerFile.read(path)
    gone = next(name for name in whole.errors if name.startswith("edge_to_altered"))
    for kept in (whole.errors, whole.records):
        kept.pop(gone)
    whole.write(path)
    assert [len(parts) for _, _, parts in runs.missing(small)] == [1]
    assert runs.run(small) == 1 and runs.run(small) == 0
    weights = small.recipe(small.readings()[0], 0).weights
    content = weights.read_bytes()
    weights.unlink()
    assert runs.missing(small) == []
    weights.write_bytes(content[:-4] + b"\0\0\0\0")
    assert sum(len(parts) for _, _, parts in runs.missing(small)) == 12, "other weights: all their answers are void"
    weights.write_bytes(content)


@pytest.mark.slow
def test_a_longer_training_goes_on_where_a_shorter_one_ended(small, tmp_path):
    """The weights of two epochs, trained on from those of one, are those of two epochs at once."""
    reading = next(reading for reading in small.readings() if reading.epochs == 2)
    recipe = small.recipe(reading, 1)
    alone = small.model_copy(update={"outputs": tmp_path, "epochs": [2]}).recipe(reading, 1)
    record = runs.train(alone)
    kept = networks.read_record(recipe.weights)
    assert record["losses"] == kept["losses"] and len(kept["losses"]) == 20
    one, other = (networks.load(r.model, 1, r.outputs).state_dict() for r in (recipe, alone))
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(ValueError, match="does not go on where"):
        runs.train(alone, then=alone.model_copy(update={"max_epochs": 1}))


@pytest.mark.slow
def test_a_network_that_is_trained_already_is_not_trained_again(small, tmp_path):
    few = small.model_copy(update={"outputs": tmp_path, "seeds": [1], "epochs": [1], "revisit": [False]})
    wanted = few.recipe(few.readings()[0], 1)
    outside = wanted.model_copy(update={"outputs": tmp_path})
    train(outside)
    train(outside.model_copy(update={"model": "tiny:conv_net@other-none-e1", "max_epochs": 2}))
    runs.run(few)
    assert wanted.weights.read_bytes() == outside.weights.read_bytes()
    other = few.model_copy(update={"model": "tiny:conv_net@other"})
    runs.run(other)
    assert networks.read_record(other.recipe(few.readings()[0], 1).weights)["recipe"]["max_epochs"] == 1, (
        "another recipe"
    )


@pytest.mark.slow
def test_the_same_cells_made_again_stand_beside_the_first(small, tmp_path):
    again = small.model_copy(update={"outputs": tmp_path, "seeds": [1], "epochs": [1]})
    runs.run(again)
    beside = effects.beside_recorded(again, small.outputs)
    assert len(beside) == 12 and beside["different"].sum() == 0
    path = again.answers_path(again.readings()[0], 1)
    turned = AnswerFile.read(path)
    for errors in turned.errors.values():
        errors[0, :3] = (errors[0, :3] + 1) % 10
    turned.write(path)
    assert (effects.beside_recorded(again, small.outputs)["different"] == 3).all()


def made_up(accuracy):
    """A table as `effects.accuracies` gives it: (reading, seed, noise, attacks) -> percent."""
    rows = [
        reading.labels
        | {"reading": reading.name, "changes": len(reading.changes), "seed": seed}
        | {"noise": noise, "attacks": attacks, "accuracy": percent}
        for (reading, seed, noise, attacks), percent in accuracy.items()
    ]
    return pd.DataFrame(rows)


def test_distances_by_hand():
    """Two cells, two seeds: the mean is 3 and 4 points off, the seeds 1 point to either side in the first cell."""
    ours, other = Reading(), Reading(revisit=True)
    noise = "white_to_black"
    table = made_up(
        {
            (ours, 0, noise, 10): 92.0, (ours, 0, noise, 40): 54.0,
            (ours, 1, noise, 10): 94.0, (ours, 1, noise, 40): 54.0,
            (other, 0, noise, 10): 90.0, (other, 0, noise, 40): 51.0,
            (ours, 0, noise, 0): 99.0, (ours, 1, noise, 0): 99.0, (other, 0, noise, 0): 99.0,
        }
    )  # fmt: skip
    paper = pd.DataFrame({"noise": noise, "attacks": [0, 10, 40], "accuracy": [97.0, 90.0, 50.0]})
    near, far = distance.to_paper(table, paper).itertuples()
    assert near.reading == "revisit yes" and near.seeds == 1 and near.consistent is None
    assert near.distance == pytest.approx(np.sqrt(1 / 2))
    assert far.distance == pytest.approx(np.sqrt((3**2 + 4**2) / 2))
    assert (far.least, far.most) == pytest.approx((np.sqrt((2**2 + 4**2) / 2), np.sqrt((4**2 + 4**2) / 2)))
    assert far.white_to_black == far.distance and far.clean == 99 and np.isnan(far.black_to_white)
    assert far.outside == 2 and far.consistent is False, (
        "the second cell and the clean images have no spread, so no room"
    )
    assert far.behind == pytest.approx(np.sqrt((2**2 + 4**2) / 2) - near.distance), "over the seed that both have"
    paper["accuracy"] = [99.0, 90.0, 54.0]
    assert distance.to_paper(table, paper).set_index("reading").loc["ours", "consistent"], (
        "3 points off, and room for more"
    )
    room = distance.room(table[table["reading"] == "ours"].pivot(index="seed", columns="attacks", values="accuracy"))
    assert room[10] == pytest.approx(stats.t.ppf(1 - 0.025 / 3, 1) * np.sqrt(2) * np.sqrt(3 / 2) + 0.005)


def test_options_are_printed_in_words():
    reading = Reading(normalize="none", epochs=1, revisit=True, white_above=100, eligibility="clean")
    told = "normalisation: none, epochs: 1, attacked again: yes, white: b > 100, eligible by: clean image"
    assert reading_tables.in_words(reading.name) == told and reading_tables.in_words("ours") == "ours"
    assert reading_tables.tried(Grid().readings()).loc["noise on"].tolist() == ["space", "28x28", "56x56"]
    assert reading_tables.tried(Grid().readings())["parameter"].tolist() == OPTIONS


def test_what_the_readings_can_give_lies_between_their_extremes():
    ours, other = Reading(), Reading(revisit=True)
    noise = "white_to_black"
    table = made_up({(ours, 0, noise, 10): 90.0, (other, 0, noise, 10): 80.0, (ours, 1, noise, 10): 94.0})
    for number, beyond in ((79, True), (80, False), (85, False), (94, False), (95, True)):
        paper = pd.DataFrame({"noise": [noise], "attacks": [10], "accuracy": [float(number)]})
        row = distance.envelope(table, paper).iloc[0]
        assert (row["least"], row["with"], row["most"], row["by"]) == (80, "revisit yes", 94, "ours")
        assert row["beyond"] == beyond


@pytest.mark.slow
def test_a_reading_that_is_the_papers_is_seldom_rejected():
    """The paper as one training more, 2,000 times, with one cell and with two that are independent."""
    random = np.random.default_rng(0)
    for levels in ([10], [10, 40]):
        rejected = 0
        for _ in range(2000):
            network = random.normal(size=(4, len(levels)))  # three trainings, and the paper's
            table = made_up(
                {
                    (Reading(), seed, "white_to_black", attacks): 50 + network[seed, place]
                    for seed in range(3)
                    for place, attacks in enumerate(levels)
                }
            )
            paper = pd.DataFrame({"noise": "white_to_black", "attacks": levels, "accuracy": 50 + network[3]})
            rejected += not distance.to_paper(table, paper).iloc[0].consistent
        assert rejected / 2000 == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))


def test_main_effects_by_hand():
    accuracy = {}
    for seed, noise, (attacks, lower) in itertools.product(
        (0, 1, 2), ("white_to_black", "black_to_white"), ((10, 0), (40, 8))
    ):
        base = 90 - lower + seed
        revisits = (4 if noise == "white_to_black" else 0) + seed
        for reading in (
            Reading(),
            Reading(normalize="none"),
            Reading(revisit=True),
            Reading(normalize="none", revisit=True),
        ):
            both = 6 if len(reading.changes) == 2 else 0
            accuracy[reading, seed, noise, attacks] = base + revisits * reading.revisit + both
    table = effects.main_effects(made_up(accuracy)).set_index(["option", "value", "noise"])
    assert len(table) == 4
    row = table.loc["revisit", "yes", "white_to_black"]
    assert row["effect"] == pytest.approx(5) and row["seeds"] == 3 and row["pairs"] == 2
    assert row["high"] - row["effect"] == pytest.approx(4.30265 / np.sqrt(3), abs=1e-4)
    assert (row["least"], row["mean"], row["most"]) == pytest.approx((5, 8, 11))
    assert table.loc["normalize", "none", "black_to_white"]["effect"] == 0


def test_an_option_that_cannot_touch_a_noise_has_no_row_and_copies_count_once():
    accuracy = {}
    for seed, normalize, white in itertools.product((0, 1), ("mnist", "none"), (0, 100)):
        reading = Reading(normalize=normalize, white_above=white)
        accuracy[reading, seed, "black_to_white", 10] = 60.0 + seed - 5 * (normalize == "none")
    table = made_up(accuracy)
    moved = effects.main_effects(table)
    assert moved[["option", "value", "pairs"]].to_numpy().tolist() == [["normalize", "none", 1]]
    paper = pd.DataFrame({"noise": "black_to_white", "attacks": [0, 10], "accuracy": [99.0, 50.0]})
    (row,) = effects.by_option(moved, table, distance.to_paper(table, paper)).itertuples()
    assert row.black_to_white == -5 and row.size == pytest.approx(2.5)
    assert (row.farther, row.mean, row.nearest, row.farthest) == pytest.approx((-5, -5, -5, -5))


def falling(falls: float):
    return lambda noise, attacks: 1 - falls * attacks / 200


def test_equal_networks_are_not_put_in_an_order(tmp_path):
    for model in normalisation.MODELS:
        pretend(tmp_path, model, falling(0.9 if model == "fc" else 0.5), 400)
    orders = normalisation.orders(normalisation.networks(Comparison(images=400, draws=1, outputs=tmp_path), ""), {})
    assert set(orders.values()) <= {"ResNet-18 ≈ EfficientNet-B1 > FC", "EfficientNet-B1 ≈ ResNet-18 > FC"}


def test_three_claims_are_asked_of_three_networks(tmp_path):
    for model, falls in {"fc": 0.4, "resnet18": 0.5, "efficientnet_b1": 0.9}.items():
        pretend(tmp_path, f"{model}@none", falling(falls), 400)
    asked = Comparison(images=400, draws=1, outputs=tmp_path)
    compared = normalisation.networks(asked, "@none")
    judged = {number: [own.verdict for own in found] for number, found in normalisation.statements(compared).items()}
    assert judged == {6: 4 * [HOLDS], 7: [FAILS, HOLDS, HOLDS, HOLDS], 9: [FAILS, HOLDS]}
    areas = normalisation.areas_and_ranks(compared)
    assert [text.split(", ")[1] for text in areas["EtA"]] == ["rank 1", "rank 2", "rank 3"]
    assert float(areas.loc["FC", "WtB"].split(",")[0]) == pytest.approx(80, abs=5)
    assert set(normalisation.orders(compared, {}).values()) == {"FC > ResNet-18 > EfficientNet-B1"}
    sure = normalisation.told_apart(compared, {"white_to_black": 6})
    assert sure["white_to_black", "efficientnet_b1", "fc"] == -1 == -sure["white_to_black", "fc", "efficientnet_b1"]
    assert sure["white_to_black", "fc", "resnet18"] == 0 and sure["black_to_white", "fc", "resnet18"] == 1
    by_spread = normalisation.orders(compared, {"white_to_black": 6})
    assert by_spread["white_to_black"] == "FC ≈ ResNet-18 > EfficientNet-B1", "5 and 20 points apart"
    assert by_spread["black_to_white"] == "FC > ResNet-18 > EfficientNet-B1"
    with pytest.raises(FileNotFoundError, match="make sweep MODEL=efficientnet_b1"):
        normalisation.networks(asked, "")
    assert normalisation.both(tmp_path) == {}


RECORDED_GRID = Grid()


def test_the_recorded_table_is_what_the_answers_give():
    recorded = pd.read_csv(RECORDED_GRID.folder / "fc.csv")
    found = effects.wide(
        effects.accuracies(RECORDED_GRID.model_copy(update={"changes": int(recorded["changes"].max())}))
    )
    pd.testing.assert_frame_equal(recorded.astype({name: str for name in OPTIONS}), found.round(2), check_dtype=False)


def test_how_far_recorded_trainings_are_apart():
    cells = pd.read_csv(RECORDED_GRID.folder / "fc.csv").query("changes == 0").filter(like=" ")
    apart = cells.max() - cells.min()
    assert cells.shape == (3, 16)
    words = f"lie up to {apart.max():.1f} points apart in one cell of Table 1, {apart.mean():.1f} in the mean"
    assert f"3 trainings of FC {words}" in sentences.seed_spread(RECORDED_GRID.outputs, ["fc", "vgg19"])
    assert sentences.seed_spread(RECORDED_GRID.outputs, ["vgg19"]) == ""
    by_noise = effects.trainings_apart(RECORDED_GRID.folder.parent, ["fc", "vgg19"])
    clean = pd.read_csv(RECORDED_GRID.folder / "fc.csv").query("changes == 0")["clean"]
    levels = [clean, *(cells[f"white_to_black {attacks}"] for attacks in (10, 40, 100, 200))]
    areas = sum(
        (left + right) / 2 * step / 200
        for left, right, step in zip(levels[:-1], levels[1:], (10, 30, 60, 100), strict=True)
    )
    assert by_noise["white_to_black"] == pytest.approx(areas.max() - areas.min(), abs=0.011)
    at_40 = cells["edge_to_altered 40"]
    assert by_noise["edge_to_altered 40"] == pytest.approx(at_40.max() - at_40.min(), abs=0.011)
    assert effects.trainings_apart(RECORDED_GRID.folder.parent, ["vgg19"]) == {}


@pytest.mark.evidence
def test_a_recorded_cell_comes_out_again(tmp_path):
    """One epoch of fc trained anew and swept at our reading of the attacks: other machines round otherwise."""
    one = {option: [getattr(Reading(epochs=1), option)] for option in OPTIONS}
    again = Grid(**one, seeds=[0], outputs=tmp_path)
    assert runs.run(again) == 5
    beside = effects.beside_recorded(again, OUTPUTS)
    assert len(beside) == 5 and beside["difference"].max() < 1.5


def test_the_explorer_lays_no_recorded_curve_of_another_reading_under_a_live_one():
    def recorded(noise, replacement):
        return many_digits.recorded_curve(one_digit.State(model="fc", noise=noise, replacement=replacement), "fc")

    assert recorded("white_to_black", False) is not None and recorded("white_to_black", True) is None
    pd.testing.assert_frame_equal(recorded("black_to_white", True), recorded("black_to_white", False))
