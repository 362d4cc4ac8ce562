import numpy as np
import pandas as pd
import pytest

from lib import networks
from lib.experiments import excluded
from lib.noise import perturb
from lib.paper import read_table_1
from lib.store import data


def test_inverted_colours_swap_the_two_noises():
    paper = read_table_1().assign(paper=lambda table: table["accuracy"])
    wide = paper.query("attacks > 0").pivot(index=["model", "attacks"], columns="noise", values="paper")
    swapped = ((wide["white_to_black"] - wide["black_to_white"]) ** 2).mean() ** 0.5
    assert excluded.inverted(paper) == (0, pytest.approx(swapped))


def test_no_equation_leaves_a_byte_and_one_pixel_for_a_batch_is_white_as_often_as_digits_are():
    assert excluded.beyond_a_byte() == 0
    assert excluded.white_pixels(50) == pytest.approx(200 * (data.load().test_images[:50] > 0).mean())


def test_repetitions_that_accumulate_are_averaged_over_their_levels():
    rows = pd.DataFrame({"attacks": [0, 40, 80, 120, 160, 200], "accuracy": [100, 84, 68, 52, 36, 20], "paper": 85.0})
    assert excluded.accumulated(rows.assign(model="fc", seed=0, noise="white_to_black")) == (1, 85 - 52)


@pytest.mark.slow
def test_unscaled_pixels_are_255_times_as_bright_to_the_network_of_the_folder(tmp_path):
    digits, net = data.load(), networks.load("fc")
    images = digits.test_images[: excluded.IMAGES]
    noisy = perturb(images, "black_to_white", 10)
    scaled = np.where(noisy != images, noisy, images / 255)
    first, second = [part for part in net.body if hasattr(part, "weight")]
    pixels = ((scaled.repeat(2, axis=1).repeat(2, axis=2) - 0.1307) / 0.3081).reshape(len(images), -1)
    hidden = np.maximum(pixels @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    predicted = (hidden @ second.weight.detach().numpy().T + second.bias.detach().numpy()).argmax(axis=1)
    right = 100 * (predicted == digits.test_labels[: len(images)]).mean()
    assert excluded.unscaled() == pytest.approx(right, abs=0.3)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        excluded.unscaled(tmp_path)
