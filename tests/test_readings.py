"""Readings of the noise in plans and files: each has files of its own where its pixels are its own."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import networks
from lib.evaluation.plan import CLEAN, UNNAMED, USUAL_NOISES, Plan
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


@pytest.mark.parametrize("noise", NAMES)
def test_files_keep_their_names(noise):
    usual, first = (Plan(model="fc", **how).part(noise) for how in ({}, {"replacement": False, "source": "current"}))
    assert (usual.path.stem, first.path.stem) == NAMES[noise] and usual.path.is_file()
    assert not UNNAMED.keys() & first.recipe.keys() and first.drawing == (False, "current")
    assert noise == CLEAN or usual.drawing == (True, "clean")
    fashion = {"dataset": "fashion-mnist"}
    for change, named in (({"space": 56}, NAMES), (fashion, NAMES), ({"white_above": 100}, {"white_to_black"})):
        other = Plan(model="fc", **change)
        assert (other.part(noise).path != usual.path) == (noise in named) and other.name != "fc-seed0"


def test_a_file_of_one_reading_never_passes_for_another(tmp_path):
    """Not even under the other's name: the recipe in the file decides."""
    for noise in USUAL_NOISES:
        parts = {drawn: Plan(model="fc", replacement=drawn[0], source=drawn[1]).part(noise) for drawn in DRAWINGS}
        for one, other in itertools.permutations(DRAWINGS, 2):
            same = deciding(noise, NOISES[noise].c, *one) == deciding(noise, NOISES[noise].c, *other)
            assert (parts[one] == parts[other]) == (parts[one].path == parts[other].path) == same
            path = tmp_path / parts[other].path.name
            write_arrays(path, {"recipe": parts[one].recipe, "weights": "0123"}, {})
            assert replace(parts[other], folder=tmp_path).holds("0123") == same


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
