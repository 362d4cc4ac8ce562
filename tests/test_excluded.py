import numpy as np
import pandas as pd
import pytest

from lib import networks
from lib.evaluation.readings import DEFAULT
from lib.experiments import excluded
from lib.noise import perturb
from lib.paper import read_table_1
from lib.store import data

PAPER = read_table_1().assign(seed=0, paper=lambda table: table["accuracy"], **DEFAULT.model_dump())


def test_inverted_colours_swap_the_two_noises():
    wide = PAPER.query("attacks > 0").pivot(index=["model", "attacks"], columns="noise", values="paper")
    swapped = np.sqrt(((wide["white_to_black"] - wide["black_to_white"]) ** 2).mean())
    assert excluded.inverted(PAPER) == (0, pytest.approx(swapped))
    other = {"white_to_black": "black_to_white", "black_to_white": "white_to_black"}
    ours = PAPER.merge(PAPER.assign(noise=PAPER["noise"].replace(other)), on=["model", "noise", "attacks", "seed"])
    ours = ours.rename(columns={"accuracy_y": "accuracy", "paper_x": "paper"})
    assert excluded.inverted(ours) == (pytest.approx(swapped), 0)


def test_no_equation_leaves_a_byte_and_one_pixel_for_a_batch_is_white_as_often_as_digits_are():
    assert excluded.beyond_a_byte() == 0
    assert excluded.white_pixels(50) == pytest.approx(200 * (data.load().test_images[:50] > 0).mean())


def test_repetitions_that_accumulate_are_averaged_over_their_levels():
    rows = [
        {"model": "fc", "seed": 0, "noise": noise, "attacks": x, "accuracy": 100 - x / 2.5, "paper": paper}
        for noise, paper in (("white_to_black", 85.0), ("black_to_white", 83.0))
        for x, paper in zip((0, *excluded.REPEATED), (99, paper, 0, 0, 0, 0), strict=True)
    ]
    alone, added = [84 - 85, 84 - 83], [52 - 85, 52 - 83]  # 100 - 40 / 2.5, and its mean over 40, 80, ... 200
    found = excluded.accumulated(pd.DataFrame(rows))
    assert found == pytest.approx([np.sqrt(np.mean(np.square(gaps))) for gaps in (alone, added)])


@pytest.mark.slow
def test_unscaled_pixels_are_255_times_as_bright_to_the_network_of_the_folder(tmp_path):
    digits = data.load()
    images = digits.test_images[: excluded.IMAGES]
    noisy = perturb(images, "black_to_white", 10)
    scaled = np.where(noisy != images, noisy, images / 255)
    net = networks.load("fc")
    first, second = [part for part in net.body if hasattr(part, "weight")]
    pixels = ((scaled.repeat(2, axis=1).repeat(2, axis=2) - 0.1307) / 0.3081).reshape(len(images), -1)
    hidden = np.maximum(pixels @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    predicted = (hidden @ second.weight.detach().numpy().T + second.bias.detach().numpy()).argmax(axis=1)
    right = 100 * (predicted == digits.test_labels[: len(images)]).mean()
    assert excluded.unscaled() == pytest.approx(right, abs=0.3)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        excluded.unscaled(tmp_path)
