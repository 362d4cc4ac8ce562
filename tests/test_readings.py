import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import CLEAN, UNNAMED, USUAL_NOISES, Plan, SweepPart
from lib.evaluation.sweep import Predictions, sweep
from lib.explorer import many_digits, one_digit
from lib.noise import NOISES, SOURCES, deciding, perturb_and_count, white_to_black
from lib.store import data
from lib.store.files import write_arrays

MODEL = "tiny:conv_net@quick"

# Names of files: one that changes would lose them, and one of before must not pass for one of now.
RECORDED = {
    ("fc", "none"): "none-7ece65e4",
    ("fc", "white_to_black"): "white_to_black-draw0-9fdabb4d",
    ("fc", "black_to_white"): "black_to_white-draw0-d3c5f5d7",
    ("fc", "random_pixel_invert"): "random_pixel_invert-draw0-5064874a",
    ("resnet18", "edge_to_altered"): "edge_to_altered-draw0-3c41ed28",
}
BEFORE = {  # the first default: without replacement from the current image
    "white_to_black": "white_to_black-draw0-6849e558",
    "black_to_white": "black_to_white-draw0-50ca1d9a",
    "random_pixel_invert": "random_pixel_invert-draw0-9ccf58a5",
    "edge_to_altered": "edge_to_altered-draw0-5ae13e6f",
}


@pytest.mark.parametrize(("model", "noise"), RECORDED)
def test_files_of_the_default_keep_their_names(model, noise):
    path = Plan(model=model).part(noise).path
    assert path.stem == RECORDED[model, noise] and path.is_file()
    recipe = Predictions.read(path).record["recipe"]
    assert noise == CLEAN or SweepPart(path.parent, recipe).drawing == (True, "clean")


@pytest.mark.parametrize("noise", USUAL_NOISES)
def test_files_that_name_no_reading_are_of_the_first_one(noise):
    part = Plan(model="fc", replacement=False, source="current").part(noise)
    assert part.path.stem == BEFORE[noise] and not UNNAMED.keys() & part.recipe.keys()
    assert part.drawing == (False, "current")
    assert part.path != Plan(model="fc").part(noise).path


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


ALL = {CLEAN, *USUAL_NOISES}


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ({"space": 56}, ALL),
        ({"replacement": False}, ALL - {CLEAN}),
        ({"replacement": False, "source": "current"}, ALL - {CLEAN}),
        ({"source": "current"}, ALL - {CLEAN}),
        ({"white_above": 100}, {"white_to_black"}),
    ],
)
def test_another_reading_has_files_of_its_own_where_pixels_differ(change, others):
    usual, other = Plan(model="fc"), Plan(model="fc", **change)
    assert {noise for noise in ALL if usual.part(noise).path != other.part(noise).path} == others
    assert usual.name == "fc-seed0" != other.name


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
    for noise in USUAL_NOISES:
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
    changes = ({}, {"source": "current"}, {"space": 56, "white_above": 100})
    for change in changes:
        sweep(plan.model_copy(update=change))
    table = results.accuracy_table(trained).query("images == 50 and noise == 'white_to_black'")
    told = [f"replacement=True source={source}" for source in ("clean", "current", "clean")]
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


def test_the_explorer_lays_no_recorded_curve_of_another_reading_under_a_live_one():
    def recorded(**drawing):
        return many_digits.recorded_curve(one_digit.State(model="fc", noise="white_to_black", **drawing), "fc")

    assert recorded() is not None and recorded(replacement=False, source="current") is None
