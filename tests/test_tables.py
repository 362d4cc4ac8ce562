"""Tables and figures of comparisons: what stands in them follows from the trainings."""

import math

import numpy as np
import pytest
from worlds import flat, pretend

from lib.claims import foreground
from lib.evaluation.plan import CLEAN
from lib.experiments.measure import Compared, predictions
from lib.paper import PAPER_NOISES, read_table_1
from lib.report import comparison_figures, tables
from lib.report.figures import NETWORK_COLOURS
from lib.report.tables import BOUND
from lib.statistics.contrasts import UNDECIDED, means, pairs, ranking
from lib.statistics.curves import area

AREAS = {noise: area(noise) for noise in PAPER_NOISES}
FIRST = PAPER_NOISES[0]


@pytest.mark.parametrize(
    ("ends", "digits", "sign", "expected"),
    [
        ((68.94, 68.4, 69.44), 1, "", "68.9 (68.4 to 69.4)"),
        ((1.23, -0.02, 2.5), 1, "+", "+1.2 (-0.0 to +2.5)"),  # an end below 0 says so
        ((-0.001, -1, 1), 1, "+", "-0.0 (-1.0 to +1.0)"),
        ((0.0, -1, 1), 2, "+", "+0.00 (-1.00 to +1.00)"),
        ((-0.0, 0.0, 0.0), 1, "", "0.0 (0.0 to 0.0)"),
        ((5, math.nan, math.nan), 0, "", "5 (one training)"),
        ((math.nan, math.nan, math.nan), 1, "", "-"),
        ((3, -math.inf, 4), 1, "", "3.0 (to 4.0)"),
        ((3, 2, math.inf), 1, "+", "+3.0 (from +2.0)"),
        ((3, -math.inf, math.inf), 1, "", "3.0"),
        ((math.inf, math.inf, math.inf), 1, "", "not reached"),
        ((math.inf, 100, math.inf), 0, "", "not reached (from 100)"),
    ],
)
def test_a_value_with_its_interval(ends, digits, sign, expected):
    assert tables.interval(*ends, digits, sign).replace(BOUND, " ") == expected


EACH = {"resnet18": [50, 51.0], "resnet34": [60, 61.0], "resnet50": [90, 91.0], "resnet101": [95.0]}


def test_pairs_that_are_decided_have_the_better_network_first():
    apart = pairs(flat(EACH | {"vgg19": [10, 11.0]}), AREAS)
    table = tables.decided(apart)
    assert list(table.columns) == list(tables.SHORT.values())
    assert "ResNet-18 over VGG-19" in table.index and table.loc["ResNet-50 over ResNet-34", "BtW"].startswith("+30.0")
    assert not any("ResNet-101" in pair for pair in table.index), "one training decides nothing"
    assert len(table) == (apart["verdict"] != UNDECIDED).sum() / 4
    every = tables.by_noise(apart, tables.over(apart), ("gain", "low", "high"), column="score")
    assert every.loc["ResNet-101 over ResNet-50", "EtA"].replace(BOUND, " ") == "+4.5 (one training)"


def test_table_1_has_half_the_interval_and_none_of_one_training():
    found = flat({"vgg19": [60, 62.0], "fc": [70.0], "resnet18": [50, 52.0]})
    table, paper = tables.table_1(found), read_table_1().set_index(["model", "noise", "attacks"])["accuracy"]
    half = 4.302653 * np.sqrt(2 / 2)  # t of 0.975 with two degrees of freedom, variance 2 of two trainings each
    expected = f"61.0 ±{half:.1f} ({paper['vgg19', FIRST, 200]:.1f})"
    assert table.loc[("VGG-19", 200), "WtB"].replace(BOUND, " ") == expected
    assert table.loc[("FC", 200), "WtB"] == f"70.0 ({paper['fc', FIRST, 200]:.1f})"
    assert "(" not in table.loc[("ResNet-18", 200), "WtB"], "the paper does not have it"
    own = paper["fc"][paper["fc"].index.get_level_values("attacks") > 0]
    apart = tables.beside_paper(found)
    assert apart.loc["FC", "mean difference"] == pytest.approx((70 - own).mean()) and "ResNet-18" not in apart.index


def test_the_summary_ranks_ours_and_the_papers():
    found = flat({"fc": [60, 62.0], "vgg19": [80, 82.0], "resnet50": [10, 11.0]})
    areas = means(found, AREAS)
    table = tables.summary(found, areas, ranking(found, pairs(found, AREAS), areas)).replace(BOUND, " ", regex=True)
    assert table.loc[("WtB", "VGG-19"), ["rank", "paper's rank"]].tolist() == ["1", "1"]
    assert table.loc[("WtB", "ResNet-50"), "attacks until 50 %"] == "0"
    assert table.loc[("WtB", "VGG-19"), "attacks until 50 %"] == "not reached"
    assert table.loc[("EtA", "FC"), "paper's rank"] == "2"


def test_every_training_is_a_thin_line_and_only_means_of_several_have_a_band():
    figure = comparison_figures.panels(flat({"vgg19": [60, 62, 64.0], "fc": [70.0]}), "What")
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    thick = [line for line in drawn if line.get_linewidth() > 2]
    assert len(drawn) == 3 + 1 + 1 and [line.get_ydata()[0] for line in thick] == [62], "a single training is thin"
    assert {line.get_color() for line in drawn} == {NETWORK_COLOURS["vgg19"], NETWORK_COLOURS["fc"]}
    bands = [band for band in axes.collections if band.get_paths()]
    ((_, low), (_, high)) = bands[0].get_paths()[0].get_extents().get_points()
    half = 4.302653 * 2 / np.sqrt(3)
    assert len(bands) == 1 and (low, high) == pytest.approx((62 - half, 62 + half), abs=1e-3)
    words = figure.get_suptitle()
    assert "2,000" in words and "VGG-19 3, FC 1" in words


def test_areas_show_each_training_and_its_mean():
    found = flat({"resnet18": [50, 60.0], "resnet34": [70.0]})
    areas = means(found, AREAS)
    each = found.scores(lambda curves: curves.T.groupby("noise").mean().T)
    for figure in (
        comparison_figures.areas(found, each, areas, "What"),
        comparison_figures.against_depth(found, each, areas, {"resnet18": 18, "resnet34": 34}, "What"),
    ):
        axes = figure.axes[0]
        numbers = {value for line in axes.lines for shown in (line.get_xdata(), line.get_ydata()) for value in shown}
        assert {50, 60, 55, 70} <= numbers
        bands = [lines for lines in axes.collections if max(lines.get_linewidth(), default=0) > 5]
        assert len(bands) == 1, "of the network with two trainings"


def test_at_equal_pixels_an_image_counts_in_proportion():
    right = np.array([[1, 1], [1, 1], [0, 0]])
    white = np.array([[0, 0], [10, 10], [17, 20]])  # the first digit has 17 white pixels
    black = np.array([[0, 0], [10, 10], [20, 20]])
    np.testing.assert_allclose(foreground.at_equal_pixels(right, white, black), [[1, 1], [1, 1], [0.3, 0]])
    black = np.array([[0, 0], [8, 10], [18, 19]])  # drawn again, black pixels run short too
    np.testing.assert_allclose(foreground.at_equal_pixels(right, white, black), [[1, 1], [0.8, 1], [0.1, 0]])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("recorded")
    for model, steep in {"fc": 0.3, "resnet18": 0.8}.items():
        pretend(outputs, model, steep)
    return outputs


def test_black_to_white_is_read_off_at_the_pixels_that_white_to_black_altered(recorded):
    found = Compared(images=60, outputs=recorded).trainings(("fc", "resnet18"))
    equal, altered = foreground.equal_pixels(found, recorded)
    wtb, btw = foreground.WHITE, foreground.BLACK
    for model in found.models:
        ours, before = equal.curves.loc[(model, 0)], found.curves.loc[(model, 0)]
        others = [noise for noise in PAPER_NOISES if noise != btw]
        np.testing.assert_array_equal(ours[others], before[others])
        assert ours[btw, 200] > before[btw, 200] + 5, "after fewer altered pixels"
    parts = predictions("fc", 0, 60, recorded)
    assert altered == {"white": parts[wtb].pixels[-1].mean(), "black": parts[btw].pixels[-1].mean()}
    table = foreground.white_minus_black({"equal attacks": found, "equal pixels": equal})
    assert table["verdict"].eq(UNDECIDED).all(), "one training of each"
    assert parts[CLEAN].predicted.shape == (1, 60)
    shown = tables.trained(found, recorded)
    assert shown.loc["FC", ["trainings", "epochs"]].tolist() == [1, "1"]
