"""Networks compared over their trainings: the intervals, and what figures, tables and sentences make of them."""

import numpy as np
import pandas as pd
import pytest
from pretend import pretend
from scipy.stats import t, tukey_hsd

from lib.analysis import foreground, pairs
from lib.analysis.statements import at
from lib.analysis.trainings import Asked, Trainings, areas, recorded_parts
from lib.evaluation.plan import Plan
from lib.paper import PAPER_NOISES, read_table_1
from lib.report import comparison_figures, comparison_tables
from lib.report.figures import NETWORK_COLOURS
from lib.report.tables import BOUND

ATTACKS = np.array([0, 10, 40, 100, 200])
FIRST = PAPER_NOISES[0]


def flat(each: dict[str, list[float]], attacks: np.ndarray = ATTACKS) -> Trainings:
    """Networks whose trainings have these accuracies (percent) at every level of every noise."""
    accuracy = {
        model: np.broadcast_to(np.array(own, float)[:, None, None], (len(own), len(PAPER_NOISES), len(attacks)))
        for model, own in each.items()
    }
    seeds = {model: tuple(range(len(own))) for model, own in each.items()}
    return Trainings(tuple(each), attacks, 2_000, seeds, accuracy)


def tukeys(each: dict[str, list[float]]) -> dict[tuple[str, str], tuple[float, float]]:
    """The second minus the first of each pair by scipy."""
    found, models = tukey_hsd(*each.values()).confidence_interval(0.95), list(each)
    return {
        (models[i], models[j]): (found.low[j, i], found.high[j, i])
        for i in range(len(models))
        for j in range(i + 1, len(models))
    }


def test_the_intervals_are_tukeys_where_networks_spread_alike():
    each = {"fc": [60, 62, 64.0], "resnet18": [70, 72, 74.0], "vgg19": [63, 65, 67.0]}
    for row in pairs.differences(flat(each)).itertuples():
        low, high = tukeys(each)[row.first, row.second]
        assert (row.low, row.high) == pytest.approx((low, high), abs=1e-3)
        assert row.gain == pytest.approx((low + high) / 2)


def test_the_intervals_are_never_narrower_than_tukeys():
    each = {"fc": [60, 60.5, 61, 60.2], "resnet18": [70, 78.0], "vgg19": [63, 65, 67.0]}
    for row in pairs.differences(flat(each)).itertuples():
        low, high = tukeys(each)[row.first, row.second]
        assert row.low < low + 1e-3 and row.high > high - 1e-3


def test_a_recipe_is_set_beside_the_papers_rule_for_the_same_network():
    each = {"fc": [60, 62, 64.0], "vgg19": [63, 65, 67.0], "fc@slow": [70, 72, 74.0], "resnet18@slow": [1, 2.0]}
    found = pairs.by_recipe(flat(each))
    assert found[["first", "second"]].drop_duplicates().values.tolist() == [["fc", "fc@slow"]]
    half = t.isf(0.025 / 4, 7) * np.sqrt(4 * 2 / 3)  # own variance 4 where the pooled one, 24.5 / 7, is less
    for row in found.itertuples():
        assert (row.gain, row.low, row.high) == pytest.approx((10, 10 - half, 10 + half))
    alone = t.isf(0.025, 7) * np.sqrt(4 * 2 / 3)
    assert tables_text(flat(each)) == (
        f"FC (slow) minus FC is +10.0 (+{10 - alone:.1f} to +{10 + alone:.1f}) points of area, mean of the noises "
        "(3 and 3 trainings): **higher**."
    )


def test_a_recipe_trained_once_decides_nothing():
    trainings = flat({"fc": [60, 62, 64.0], "fc@slow": [90.0]})
    assert pairs.by_recipe(trainings)[["low", "high"]].isna().all(axis=None)
    assert tables_text(trainings).endswith("(1 and 3 trainings): **undecided**.")


def test_without_another_recipe_it_is_said():
    trainings = flat({"fc": [60, 62, 64.0]})
    assert tables_text(trainings) == "No network is recorded by two recipes."
    found = pairs.by_recipe(trainings)
    assert comparison_tables.by_noise(found, comparison_tables.over(found), ["gain", "low", "high"]).empty


def tables_text(trainings: Trainings) -> str:
    return comparison_tables.recipes_told(trainings).replace(BOUND, " ")


EACH = {"resnet18": [50, 51.0], "resnet34": [60, 61.0], "resnet50": [90, 91.0], "resnet101": [95.0]}


def test_a_cut_holds_the_networks_asked_for_in_their_order():
    cut = flat(EACH).only(model for model in ("resnet101", "resnet18"))
    assert cut.models == ("resnet101", "resnet18") and cut.seeds == {"resnet101": (0,), "resnet18": (0, 1)}
    assert pairs.differences(cut)["second"].unique().tolist() == ["resnet18"]
    with pytest.raises(KeyError, match="vgg19"):
        cut.only(["vgg19"])


def test_a_network_with_one_training_can_have_any_rank():
    trainings = flat(EACH)
    apart, means = pairs.differences(trainings), pairs.mean_areas(trainings)
    order = pairs.ranking(apart, means).query("noise == @FIRST").set_index("model")
    assert order.loc["resnet101"].tolist() == [FIRST, 1, 1, 4]
    assert order.loc["resnet50"].tolist() == [FIRST, 2, 1, 2], "only the unknown one can be above"
    assert order.loc["resnet18"].tolist() == [FIRST, 4, 3, 4]
    assert means.set_index("model").loc["resnet101", ["low", "high"]].isna().all(axis=None)
    assert apart.query("second == 'resnet101'")[["low", "high"]].isna().all(axis=None)
    told = comparison_tables.counted(apart)
    assert told.startswith("Of 24 comparisons 12 are decided and 12 undecided, 12 of them because a network has one")
    assert "ResNet-34 above ResNet-18; ResNet-50 above ResNet-18 and ResNet-34." in told
    decided = comparison_tables.decided(apart).replace(comparison_tables.BOUND, " ").splitlines()
    assert len(decided) == 4 and decided[0].count(" over ") == 3 and "ResNet-101" not in decided[0]
    assert "ResNet-50 over ResNet-34 30.0 (" in decided[0], "the better one first"


def test_with_one_training_of_each_nothing_is_decided():
    trainings = flat({"fc": [10.0], "resnet18": [90.0]})
    apart = pairs.differences(trainings)
    assert apart["gain"].eq(80).all() and apart["low"].isna().all()
    assert comparison_tables.counted(apart).startswith("Of 4 comparisons 0 are decided")
    assert pairs.ranking(apart, pairs.mean_areas(trainings))[["best", "worst"]].to_numpy().tolist() == 8 * [[1, 2]]


def test_steps_follow_the_order_and_gains_shrink():
    trainings = flat(EACH)
    steps = pairs.steps(trainings).query("noise == @FIRST")
    assert list(zip(steps["first"], steps["second"], strict=True)) == [
        ("resnet18", "resnet34"),
        ("resnet34", "resnet50"),
        ("resnet50", "resnet101"),
    ]
    np.testing.assert_allclose(steps["gain"], [10, 30, 4.5])
    np.testing.assert_allclose(pairs.steps(trainings, lambda noise: at(40, noise))["gain"][:3], [10, 30, 4.5])
    fewer = pairs.shrinking(trainings).query("noise == @FIRST")
    np.testing.assert_allclose(fewer["fewer"], [-20, 25.5])
    assert fewer["high"].iloc[0] < 0 and np.isnan(fewer["low"].iloc[1])
    told = comparison_tables.steps_counted(pairs.steps(trainings))
    assert "Of 12 steps" in told and "8 make the network more resilient, 0 less, and 4 are undecided" in told
    every = pairs.shrinking(trainings)
    table = comparison_tables.by_noise(every, comparison_tables.through(every), ["fewer", "low", "high"])
    assert table.loc["ResNet-18 → ResNet-34 → ResNet-50", "EtA"].startswith("-20.0 (")


def test_table_1_has_half_the_interval_and_none_of_one_training():
    trainings = flat({"vgg19": [60, 62.0], "fc": [70.0], "resnet18": [50, 52.0]})
    table = comparison_tables.table_1(trainings)
    paper = read_table_1().set_index(["model", "noise", "attacks"])["accuracy"]
    half = 4.302653 * np.sqrt(2 / 2)  # t of 0.975 with two degrees of freedom, variance 2 of two trainings each
    assert table.loc[("VGG-19", 200), "WtB"].replace(comparison_tables.BOUND, " ") == (
        f"61.0 ±{half:.1f} ({paper['vgg19', FIRST, 200]:.1f})"
    )
    assert table.loc[("FC", 200), "WtB"] == f"70.0 ({paper['fc', FIRST, 200]:.1f})"
    assert "(" not in table.loc[("ResNet-18", 200), "WtB"], "the paper does not have it"
    apart = comparison_tables.beside_paper(trainings)
    own = paper["fc"][paper["fc"].index.get_level_values("attacks") > 0]
    assert apart.loc["FC", "mean difference"] == pytest.approx((70 - own).mean()) and "ResNet-18" not in apart.index


def test_every_training_is_a_thin_line_and_only_means_of_several_have_a_band():
    trainings = flat({"vgg19": [60, 62, 64.0], "fc": [70.0]})
    figure = comparison_figures.panels(trainings, "What")
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    thick = [line for line in drawn if line.get_linewidth() > 2]
    assert len(drawn) == 3 + 1 + 1 and [line.get_ydata()[0] for line in thick] == [62], "a single training is thin"
    assert {line.get_color() for line in drawn} == {NETWORK_COLOURS["vgg19"], NETWORK_COLOURS["fc"]}
    bands = [band for band in axes.collections if band.get_paths()]
    assert len(bands) == 1
    ((_, low), (_, high)) = bands[0].get_paths()[0].get_extents().get_points()
    half = 4.302653 * 2 / np.sqrt(3)
    assert (low, high) == pytest.approx((62 - half, 62 + half), abs=1e-3)
    words = figure.get_suptitle() + " ".join(text.get_text() for text in figure.legends[0].get_texts())
    assert "n = 2,000 test images; trainings: VGG-19 3, FC 1" in words
    assert axes.get_xlabel() == "" and figure.axes[2].get_xlabel() == "attacks"


def test_areas_show_each_training_and_its_mean():
    trainings = flat({"resnet18": [50, 60.0], "resnet34": [70.0]})
    each, means = areas(trainings), pairs.mean_areas(trainings)
    for figure in (
        comparison_figures.areas(trainings, each, means, "What"),
        comparison_figures.against_depth(trainings, each, means, {"resnet18": 18, "resnet34": 34}, "What"),
    ):
        axes = figure.axes[0]
        numbers = {value for line in axes.lines for data in (line.get_xdata(), line.get_ydata()) for value in data}
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
        pretend(outputs, model, lambda noise, x, s=steep: 0.98 - s * x / 200, images=60)
    return outputs


def test_black_to_white_is_read_off_at_the_pixels_that_white_to_black_altered(recorded):
    trainings = Asked(images=60, outputs=recorded).measure(("fc", "resnet18"))
    equal, altered = foreground.equal_pixels(trainings, recorded)
    wtb, btw = foreground.WHITE, foreground.BLACK
    for model in trainings.models:
        ours, before = equal.accuracy[model][0], trainings.accuracy[model][0]
        others = [number for number in range(4) if number != btw]
        np.testing.assert_array_equal(ours[others], before[others])
        assert ours[btw, -1] > before[btw, -1] + 5, "after fewer altered pixels"
    _, *noisy = recorded_parts(Plan(model="fc", images=60, outputs=recorded))
    assert altered == {"white": noisy[wtb].pixels[-1].mean(), "black": noisy[btw].pixels[-1].mean()}
    found = foreground.white_minus_black({"equal attacks": trainings, "equal pixels": equal})
    assert found["leaning"].eq("undecided").all(), "one training of each"
    assert comparison_tables.leanings(found).splitlines() == [
        "- At **equal attacks**, undecided: FC, ResNet-18.",
        "- At **equal pixels**, undecided: FC, ResNet-18.",
    ]
    assert "for 0 of 2 networks: none. At equal pixels the mean difference is lower in 2" in comparison_tables.moved(
        found
    )
    table = comparison_tables.trained(trainings, recorded)
    assert table.loc["FC", ["trainings", "epochs"]].tolist() == [1, "1"]


def test_what_is_not_recorded_is_named_with_its_command(recorded):
    commands = r"vgg19 \(make sweep MODEL=vgg19\), resnet34 \(make sweep MODEL=resnet34\)$"
    with pytest.raises(FileNotFoundError, match=commands):
        Asked(images=60, outputs=recorded).measure(("fc", "vgg19", "resnet34"))
    with pytest.raises(ValueError, match="each once"):
        Asked(models=["fc", "fc"])


def curves_apart(white: list[float], black: list[float]) -> Trainings:
    """FC with these areas under White to Black and Black to White, a training each."""
    trainings = flat({"fc": white})
    accuracy = trainings.accuracy["fc"].copy()
    accuracy[:, foreground.BLACK] = np.array(black)[:, None]
    return Trainings(("fc",), ATTACKS, 2_000, {"fc": tuple(range(len(white)))}, {"fc": accuracy})


def test_white_minus_black_pairs_the_noises_of_one_training():
    """Trainings far apart, the difference always the same: the interval is of the difference."""
    found = foreground.white_minus_black({"equal attacks": curves_apart([40, 60, 80.0], [30, 51, 69.0])}).iloc[0]
    assert found["mean"] == pytest.approx(10) and found["leaning"] == "background"
    assert found["each"] == pytest.approx([10, 9, 11])
    assert found["high"] - found["low"] == pytest.approx(2 * 4.302653 / np.sqrt(3), abs=1e-4)


def test_the_margin_parts_the_papers_networks_as_the_paper_does():
    paper = foreground.paper()
    near = {model for model in paper.index if abs(paper[model]) < foreground.NEARLY_EQUAL}
    assert near == {"resnet50", "resnetv2_50", "fc"}
    levels = np.array([0.0, 10, 40, 100, 200])
    apart = np.array([0, 99.07 - 98.40, 97.36 - 94.51, 89.35 - 83.10, 74.83 - 62.14])
    assert paper["vgg19"] == pytest.approx((np.diff(levels) * (apart[1:] + apart[:-1]) / 2).sum() / 200)
    ends = [(-1, 1), (6, 9), (-9, -6), (4, 6), (np.nan, np.nan)]
    answers = ["nearly equal", "background", "foreground", "undecided", "undecided"]
    assert [foreground.leaning(*pair) for pair in ends] == answers


def test_the_difference_at_the_papers_levels_is_made_as_the_papers_own_is():
    paper = read_table_1().query("model == 'vgg19'").set_index(["noise", "attacks"])["accuracy"].unstack()
    levels = np.array([0, 10, 20, 40, 100, 150, 200])
    accuracy = np.array([[np.interp(levels, paper.columns, paper.loc[noise]) for noise in PAPER_NOISES]])
    accuracy[..., [2, 5]] = 0  # levels that the paper does not have
    found = Trainings(("vgg19",), levels, 2_000, {"vgg19": (0,)}, {"vgg19": accuracy})
    assert foreground.at_paper_levels(found)["vgg19"] == pytest.approx(foreground.paper()["vgg19"])


def test_pixels_of_the_mean_digit():
    found = foreground.pixels(1)  # the first test image is a seven
    assert 50 < found["white"] < 200 and found["white"] + found["black"] > 700


def test_the_papers_rank_is_by_the_area_under_its_five_levels():
    assert comparison_tables.paper_ranks(["vgg19", "fc"])["edge_to_altered", "fc"] == 2
    order = pd.DataFrame({"noise": [FIRST], "model": ["fc"], "rank": [1], "best": [1], "worst": [2]})
    trainings = flat({"fc": [40, 44.0], "vgg19": [60, 62.0]})
    row = comparison_tables.summary(trainings, pairs.mean_areas(trainings), order).iloc[0]
    assert row["could be"] == "1 to 2" and row["paper's rank"] == "2" and row["attacks until 50 %"] == "0"
