import subprocess

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib.networks import NETS
from lib.noise import NOISES
from lib.report import figures
from lib.store import files, progress


@pytest.fixture
def curves():
    rows = [
        (noise, attacks, 90 - attacks / (2 + number), 1.0)
        for number, noise in enumerate(NOISES)
        for attacks in (0, 10, 100)
    ]
    table = pd.DataFrame(rows, columns=["noise", "attacks", "accuracy", "width"])
    return table.assign(low=table["accuracy"] - 1, high=table["accuracy"] + 1)


def test_every_noise_has_a_line_a_band_and_looks_of_its_own(curves):
    paper = pd.DataFrame({"noise": ["white_to_black"], "attacks": [10], "accuracy": [50.0]})
    axes = figures.noise_curves(curves, "heading", paper).axes[0]
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    for number, noise in enumerate(NOISES):
        line = lines[figures.title(noise)]
        expected = curves[curves["noise"] == noise]
        np.testing.assert_array_equal(line.get_xdata(), expected["attacks"])
        np.testing.assert_array_equal(line.get_ydata(), expected["accuracy"])
        band = axes.collections[number].get_paths()[0].vertices[:, 1]
        assert band.min() == expected["low"].min() and band.max() == expected["high"].max()
    looks = {(to_hex(line.get_color()), line.get_marker(), line.get_linestyle()) for line in lines.values()}
    assert len(looks) == len(lines)
    assert [50.0] in [list(line.get_ydata()) for line in axes.lines], "the paper's point"


def test_a_noise_keeps_its_colour_when_others_are_left_out(curves):
    whole = figures.noise_curves(curves, "").axes[0].lines
    alone = figures.noise_curves(curves[curves["noise"] == "edge_to_altered"], "").axes[0].lines
    assert alone[0].get_color() == whole[3].get_color()


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
    assert first == written()
    assert figures.saved("curves", "curves", tmp_path).data == first[1]
    with pytest.raises(FileNotFoundError, match=r"others\.png"):
        figures.saved("others", "no such figure", tmp_path)


def test_training_shows_every_batch_and_epoch():
    epochs = [{"epoch": n, "validation_loss": 1 / n, "accuracy": 90 + n} for n in (1, 2)]
    left, right = figures.training({"losses": [3.0, 2.0, 1.0, 0.5], "epochs": epochs}).axes
    assert left.lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0, 0.5]
    assert left.lines[2].get_xdata().tolist() == [2, 4] and right.lines[0].get_ydata().tolist() == [91, 92]


def test_a_recipe_has_one_name_in_any_order():
    assert files.recipe_hash({"a": 1, "b": 2}) == files.recipe_hash({"b": 2, "a": 1})
    assert files.recipe_hash({"a": 1, "b": 2}) != files.recipe_hash({"a": 1, "b": 3})


def test_provenance_names_the_commit():
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=files.ROOT, capture_output=True, text=True).stdout.strip()
    assert files.provenance()["commit"].removesuffix("-dirty") == (head or "unknown")


def test_a_broken_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def broken(file):
        file.write(b"new")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.write_atomically(path, broken)
    assert [file.name for file in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"


def test_progress_names_the_work_and_the_time_left(capsys):
    with progress.progress_bar(100, "work", "image", done=50) as bar:
        bar.update(20)
        bar.refresh()
    shown = capsys.readouterr().out
    assert "work:  70%" in shown and "70/100" in shown and "<" in shown


def test_every_network_has_a_look_of_its_own_in_colour_and_in_grey():
    keys = ("color", "linestyle", "marker", "markerfacecolor")
    models = [*NETS, *(f"{model}@word" for model in NETS)]
    looks = [tuple(figures.network_look(model)[key] for key in keys) for model in models]
    assert len(set(looks)) == len(models)
    assert len({look[0] for look in looks}) == len(NETS)
    assert len({look[1:3] for look in looks}) == len(models), "without colours"
