"""Readings of the noise in plans and files: each has files of its own where its pixels are its own."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lib import networks
<<<<<<< HEAD
from lib.evaluation.plan import CLEAN, UNNAMED, Plan
from lib.evaluation.readings import Reading
=======
from lib.evaluation import results
from lib.evaluation.plan import CLEAN, UNNAMED, USUAL_NOISES, Plan, SweepPart
>>>>>>> noise
from lib.evaluation.sweep import Predictions, sweep
from lib.noise import NOISES, SOURCES, deciding, perturb_and_count
from lib.store import data
from lib.store.files import write_arrays

MODEL = "tiny:conv_net@quick"
DRAWINGS = list(itertools.product((False, True), SOURCES))

# Names of files: with another name they would be lost, and a file of the first reading must not pass for the default.
NAMES = {  # noise -> under the default, under the first reading
    "none": ("none-7ece65e4", "none-7ece65e4"),
    "white_to_black": ("white_to_black-draw0-9fdabb4d", "white_to_black-draw0-6849e558"),
    "black_to_white": ("black_to_white-draw0-d3c5f5d7", "black_to_white-draw0-50ca1d9a"),
    "random_pixel_invert": ("random_pixel_invert-draw0-5064874a", "random_pixel_invert-draw0-9ccf58a5"),
    "edge_to_altered": ("edge_to_altered-draw0-3c41ed28", "edge_to_altered-draw0-5ae13e6f"),
}


<<<<<<< HEAD
@pytest.mark.parametrize("noise", NAMES)
def test_files_keep_their_names(noise):
    usual, first = (Plan(model="fc", **how).part(noise) for how in ({}, {"replacement": False, "source": "current"}))
    assert (usual.path.stem, first.path.stem) == NAMES[noise] and usual.path.is_file()
    assert not UNNAMED.keys() & first.recipe.keys() and first.drawing == (False, "current")
    assert noise == CLEAN or usual.drawing == (True, "clean")
    for change, named in (({"space": 56}, NAMES), ({"white_above": 100}, {"white_to_black"})):
        other = Plan(model="fc", **change)
        assert (other.part(noise).path != usual.path) == (noise in named) and other.name != "fc-seed0"
=======
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
>>>>>>> noise


def test_a_file_of_one_reading_never_passes_for_another(tmp_path):
    """Not even under the other's name: the recipe in the file decides."""
    for noise in NOISES:
        parts = {drawn: Plan(model="fc", replacement=drawn[0], source=drawn[1]).part(noise) for drawn in DRAWINGS}
        for one, other in itertools.permutations(DRAWINGS, 2):
            same = deciding(noise, NOISES[noise].c, *one) == deciding(noise, NOISES[noise].c, *other)
            assert (parts[one] == parts[other]) == (parts[one].path == parts[other].path) == same
            path = tmp_path / parts[other].path.name
            write_arrays(path, {"recipe": parts[one].recipe, "weights": "0123"}, {})
            assert replace(parts[other], folder=tmp_path).holds("0123") == same


<<<<<<< HEAD
=======
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


>>>>>>> noise
def test_noise_on_56_falls_on_single_pixels_and_passes_the_networks_own_upscaling_by(trained):
    plan = Plan(model=MODEL, space=56, levels=[0, 20, 100], images=60, draws=1, outputs=trained)
    assert sweep(plan) == {"computed": 5, "reused": 0, "checked": 0}
    assert sweep(plan) == {"computed": 0, "reused": 5, "checked": 250}
    net = networks.load(MODEL, outputs=trained)
    images = data.load().test_images[:60].repeat(2, axis=1).repeat(2, axis=2)
    for noise in USUAL_NOISES:
        noisy, attacked, altered, _ = perturb_and_count(images, noise, 100)
        with torch.inference_mode():
            pixels = torch.from_numpy(noisy)[:, None].float() / 255
            found = net.body((pixels - 0.1307) / 0.3081).argmax(dim=1).numpy()
        recorded = Predictions.read(plan.part(noise).path)
        for name, expected in (("predicted", found), ("attacked", attacked), ("altered", altered)):
            np.testing.assert_array_equal(getattr(recorded, name)[1], expected)


WRONG = {
    "white_above": (-1, "greater than or equal to 0"),
    "edges_c": (0, "greater than 0"),
    "source": ("later", "unknown source 'later'; choose from clean, "),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_reading_is_refused(name):
    value, message = WRONG[name]
    with pytest.raises(ValidationError, match=message):
        Reading(**{name: value})
    with pytest.raises(ValidationError, match=message):
        Plan(model="fc", **{"c" if name == "edges_c" else name: value})
