import numpy as np
import pandas as pd
import pytest
from worlds import pretend

from lib import networks
from lib.evaluation.plan import Plan
from lib.evaluation.results import curves
from lib.noise import perturb
from lib.paper import FIGURE_7, PAPER_NOISES, read_table_1
from lib.readings import excluded
from lib.store import data


def paper(**columns):
    return read_table_1().assign(**columns)


def test_inverted_colours_swap_the_two_noises():
    assert excluded.inverted(paper()) == (0, pytest.approx(by_hand_swapped()))
    other = paper()
    names = {"white_to_black": "black_to_white", "black_to_white": "white_to_black"}
    other["noise"] = other["noise"].replace(names)
    assert excluded.inverted(other) == (pytest.approx(by_hand_swapped()), 0)


def by_hand_swapped():
    rows = read_table_1().query("attacks > 0").pivot(index=["model", "attacks"], columns="noise", values="accuracy")
    return np.sqrt(((rows["white_to_black"] - rows["black_to_white"]) ** 2).mean())


def test_no_equation_of_the_noises_leaves_a_byte():
    assert excluded.beyond_a_byte() == dict.fromkeys(PAPER_NOISES, 0)


def test_one_pixel_for_a_batch_is_white_as_often_as_digits_are():
    images = data.load().test_images[:50]
    table = pd.DataFrame({"noise": "white_to_black", "attacks": [40, 40, 100], "accuracy": [90.0, 80.0, 1.0]})
    white, ours, theirs = excluded.one_pixel_for_a_batch(table, 50)
    assert white == pytest.approx(200 * (images > 0).mean()) and ours == 85
    assert theirs == pytest.approx(np.mean([44.72, 48.88, 74.78, 53.06, 40.57]), abs=1)


def test_repetitions_that_accumulate_are_averaged_over_their_levels(tmp_path):
    found = {}
    for model in FIGURE_7:
        pretend(tmp_path, model, lambda noise, attacks: 1 - attacks / 250, images=60)
        found[model] = curves(Plan(model=model, images=60, outputs=tmp_path)).set_index(["noise", "attacks"])[
            "accuracy"
        ]
    alone, added = [], []
    for row in read_table_1().query("attacks == 40").itertuples():
        ours = [found[row.model][row.noise, 40 * repeat] for repeat in (1, 2, 3, 4, 5)]
        alone.append((ours[0] - row.accuracy) ** 2)
        added.append((sum(ours) / 5 - row.accuracy) ** 2)
    told = excluded.accumulated(tmp_path, images=60)
    assert told == pytest.approx((np.sqrt(np.mean(alone)), np.sqrt(np.mean(added)))) and told[1] > told[0] + 10


@pytest.mark.slow
def test_unscaled_pixels_are_255_times_as_bright_to_the_network():
    digits = data.load()
    images = digits.test_images[: excluded.IMAGES]
    noisy = perturb(images, "black_to_white", 10)
    scaled = images / 255
    scaled[noisy != images] = noisy[noisy != images]
    net = networks.load("fc")
    dense = [part for part in net.body if hasattr(part, "weight")]
    pixels = ((scaled.repeat(2, axis=1).repeat(2, axis=2) - 0.1307) / 0.3081).reshape(len(images), -1)
    hidden = np.maximum(pixels @ dense[0].weight.detach().numpy().T + dense[0].bias.detach().numpy(), 0)
    answers = (hidden @ dense[1].weight.detach().numpy().T + dense[1].bias.detach().numpy()).argmax(axis=1)
    ours, printed = excluded.unscaled()
    assert ours == pytest.approx(100 * (answers == digits.test_labels[: len(images)]).mean(), abs=0.3)
    assert printed == 94.76
