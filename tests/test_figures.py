from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.pylabtools import print_figure
from matplotlib import rc_context
from matplotlib.colors import to_hex, to_rgb

from lib.adversarial.attacks import ATTACKS
from lib.networks import DENSE, FAMILY, HIDDEN, NETS, NORMALISED
from lib.noise import NOISES
from lib.paper import NETWORKS
from lib.report import figures


@pytest.fixture
def curves():
    rows = [(noise, x, 90 - x / (2 + number)) for number, noise in enumerate(NOISES) for x in (0, 10, 100)]
    table = pd.DataFrame(rows, columns=["noise", "attacks", "accuracy"])
    return table.assign(low=table["accuracy"] - 1, high=table["accuracy"] + 1)


def test_every_noise_has_a_line_a_band_and_looks_of_its_own(curves):
    paper = pd.DataFrame({"noise": ["white_to_black"], "attacks": [10], "accuracy": [50.0]})
    axes = figures.noise_curves(curves, "heading", paper, model="vgg19").axes[0]
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    for number, noise in enumerate(NOISES):
        line = lines[figures.title(noise)]
        expected = curves[curves["noise"] == noise]
        np.testing.assert_array_equal(line.get_xdata(), expected["attacks"])
        np.testing.assert_array_equal(line.get_ydata(), expected["accuracy"])
        band = axes.collections[number].get_paths()[0].vertices[:, 1]
        assert band.min() == expected["low"].min() and band.max() == expected["high"].max()
        assert line.get_color() == figures.NETWORK_COLOURS["vgg19"]
    looks = {(line.get_marker(), line.get_linestyle()) for line in lines.values()}
    assert len(looks) == len(lines)
    (point,) = [line for line in axes.lines if list(line.get_ydata()) == [50.0]]
    assert point.get_markeredgecolor() == "black" and point.get_markerfacecolor() == "white", "the paper's"


def test_a_noise_keeps_its_look_when_others_are_left_out(curves):
    whole = figures.noise_curves(curves, "").axes[0].lines
    alone = figures.noise_curves(curves[curves["noise"] == "edge_to_altered"], "").axes[0].lines
    assert alone[0].get_marker() == whole[3].get_marker() != whole[2].get_marker()


def test_a_grid_shows_every_image_as_it_is():
    images = np.arange(6 * 4, dtype=np.uint8).reshape(2, 3, 2, 2)
    figure = figures.digits(images, labels=[["a", "b", "c"], ["d", "e", "f"]], rows=["one", "two"])
    for axes, image, label in zip(figure.axes, images.reshape(6, 2, 2), "abcdef", strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
        assert axes.images[0].get_clim() == (0, 255) and axes.get_xlabel() == label
    assert [figure.axes[0].get_ylabel(), figure.axes[3].get_ylabel()] == ["one", "two"]


def test_the_same_figure_is_the_same_file(curves, tmp_path):
    def written():
        figures.save(figures.noise_curves(curves, "heading"), "curves", tmp_path)
        return [(tmp_path / "figures" / f"curves.{suffix}").read_bytes() for suffix in ("svg", "png")]

    first = written()
    own: dict[str, Any] = {"image.origin": "lower", "text.usetex": True, "axes.facecolor": "black"}
    own |= {"font.family": "serif"}
    own |= {"savefig.facecolor": "red", "savefig.bbox": "tight", "savefig.dpi": 30, "axes.unicode_minus": False}
    own |= {"figure.constrained_layout.use": True, "lines.linewidth": 9, "svg.fonttype": "none", "xtick.labelsize": 30}
    images = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
    grid = print_figure(figures.digits(images), fmt="png")  # as a notebook shows it
    with rc_context(own):  # a reader's matplotlibrc
        assert first == written() and grid == print_figure(figures.digits(images), fmt="png")
    assert figures.saved("curves", "curves", tmp_path).data == first[1]
    with pytest.raises(FileNotFoundError, match=r"others\.png"):
        figures.saved("others", "no such figure", tmp_path)


def test_training_shows_every_batch_and_epoch():
    epochs = [{"epoch": n, "validation_loss": 1 / n, "accuracy": 90 + n} for n in (1, 2)]
    (axes,) = figures.training({"losses": [3.0, 2.0, 1.0, 0.5], "epochs": epochs}).axes
    assert axes.lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0, 0.5]
    assert axes.lines[2].get_xdata().tolist() == [2, 4] and axes.lines[2].get_ydata().tolist() == [1, 0.5]


def test_every_network_has_a_look_of_its_own_in_colour_and_in_grey():
    # Those of which one part was changed are told apart by it, in figures of their own.
    varied = {*FAMILY, *NORMALISED, *HIDDEN, *DENSE, "vgg19_bn", "resnetv2_50_keras", "resnetv2_50_keras_m"}
    known = NETS.keys() - varied | {"fc"}
    models = [*known, *(f"{model}@word" for model in known)]
    looks = [figures.network_look(model) for model in models]
    assert {*figures.NETWORK_COLOURS} == known
    assert len({(look["color"], look["markerfacecolor"]) for look in looks}) == len(models)
    assert len({(look["marker"], look["linestyle"]) for look in looks}) == len(models), "without colours"


def test_a_colour_means_one_thing():
    attacks = [figures.attack_look(attack) for attack in ATTACKS]
    assert len({(look["color"], str(look["linestyle"])) for look in attacks}) == len(attacks)
    marks = [figures.CLEAN, figures.FOOLED, figures.LIGHTER, figures.DARKER, figures.NO_NETWORK]
    colours = [*figures.NETWORK_COLOURS.values(), *marks, *{look["color"] for look in attacks}, "black"]
    assert len({to_hex(colour) for colour in colours}) == len(colours)


# What is left of linear red, green and blue (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "all colours": np.eye(3),
    "no red": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "no green": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "no blue": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


@pytest.mark.parametrize("seen", SEEN)
def test_who_is_colour_blind_tells_the_papers_networks_apart(seen):
    """By the distance in CIELAB, of which 2 can just be seen."""
    encoded = np.array([to_rgb(figures.NETWORK_COLOURS[model]) for model in NETWORKS])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = np.clip(linear @ np.transpose(SEEN[seen]), 0, 1) @ to_xyz.T / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)[np.triu_indices(len(NETWORKS), 1)]
    assert apart.min() > 15
