from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pretend import pretend
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar

from lib import networks
from lib.analysis import claims, comparison, depth, foreground
from lib.analysis.compared import Comparison
from lib.analysis.comparison import Answers
from lib.analysis.statements import judge_all, verdict
from lib.evaluation import results, statistics
from lib.paper import FIGURE_7, FIGURE_8, PAPER_NOISES, read_table_1
from lib.report import sentences, tables


def answers(right, draws=1, models=None, attacks=None, altered=None):
    """Answers from (models, levels, images) counts, the same under every noise."""
    right = np.asarray(right, np.uint8)
    count, levels, images = right.shape
    attacks = np.arange(levels) * 10 if attacks is None else np.asarray(attacks)
    altered = np.broadcast_to(attacks[None, :, None], (4, levels, images)) if altered is None else altered
    names = tuple(models or list(networks.NETS)[:count])
    return Answers(names, attacks, draws, np.broadcast_to(right, (4, *right.shape)), np.asarray(altered, np.float32))


def counted(*accuracies, images=1000):
    """(models, levels, images): curves in percent as nested sets of images, the first ones right."""
    return np.arange(images) < (np.array(accuracies) * images / 100)[..., None]


@pytest.mark.parametrize(
    ("accuracy", "attacks", "expected"),
    [
        ([80, 80, 80], [0, 10, 40], 80),
        ([100, 0], [0, 200], 50),
        ([100, 50, 0], [0, 10, 40], (75 * 10 + 25 * 30) / 40),
    ],
)
def test_area_under_a_curve(accuracy, attacks, expected):
    assert statistics.area_under_curve(np.array(accuracy), attacks) == pytest.approx(expected)
    stacked = np.array([[accuracy], [accuracy]])
    assert statistics.area_under_curve(stacked, attacks).shape == (2, 1)


@pytest.mark.parametrize("attacks", [[0, 10, 10], [10, 0, 20], [5]])
def test_attacks_must_increase(attacks):
    with pytest.raises(ValueError, match="strictly increasing, not"):
        statistics.area_under_curve(np.zeros(len(attacks)), attacks)


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([100, 60, 40, 30], 15),
        ([100, 90, 80, 51], np.inf),
        ([40, 30, 20, 10], 0),
        ([100, 50, 40, 30], 10),
        ([100, 40, 60, 30], 10 * 50 / 60),  # the first time counts
        ([50, 50, 50, 50], 0),
    ],
)
def test_attacks_until_half_are_wrong(accuracy, expected):
    found = statistics.attacks_until(np.array([accuracy, accuracy], float), [0, 10, 20, 30])
    np.testing.assert_allclose(found, expected)


def test_ranks_put_the_highest_first_and_share_the_better_place():
    np.testing.assert_array_equal(statistics.ranks(np.array([[3.0, 1, 2], [5, 1, 5]])), [[1, 3, 2], [1, 3, 1]])


def test_the_bootstrap_is_scipys_and_pairs_what_it_resamples():
    values = np.random.default_rng(3).random((2, 400)) < [[0.3], [0.9]]
    means = statistics.resample(values)
    assert means.shape == (statistics.REPEATS, 2)
    np.testing.assert_array_equal(means, statistics.resample(values), "the same samples again")
    np.testing.assert_array_equal(means[:, 0], statistics.resample(values[0]), "whatever goes with it")
    np.testing.assert_allclose(means * 400, np.round(means * 400), atol=1e-9)
    for number in range(2):
        theirs = bootstrap((values[number].astype(float),), np.mean, method="percentile", rng=0).confidence_interval
        np.testing.assert_allclose([side[number] for side in statistics.limits(means)], theirs, atol=0.005)


def test_limits_are_in_order_where_some_are_infinite():
    values = np.concatenate([np.full(100, 7.0), np.full(1900, np.inf)])[:, None]
    low, high = statistics.limits(values)
    assert low == 7 and high == np.inf


def test_an_interval_says_higher_lower_or_nothing():
    assert [statistics.verdict(*pair) for pair in [(0.1, 2), (-2, -0.1), (-1, 1)]] == ["higher", "lower", "undecided"]


def test_identical_networks_do_not_differ_however_wide_their_intervals():
    right = np.random.default_rng(0).random((1, 3, 200)) < [[[0.9], [0.6], [0.3]]]
    both = answers(np.repeat(right, 2, axis=0))
    summary = comparison.summaries(both)
    assert (summary["area_high"] - summary["area_low"] > 5).all()
    gain = comparison.gains(both, [both.models])
    assert (gain[["gain", "low", "high"]] == 0).all(axis=None)


def test_gains_are_paired_over_images():
    """The second network is right wherever the first is, and on one image in ten more."""
    right = counted([60, 40], [70, 50])
    gain = comparison.gains(answers(right), [("fc", "resnet18")])
    np.testing.assert_allclose(gain["gain"], 10)
    assert (gain["low"] > 8).all() and (gain["high"] < 12).all()
    unpaired = comparison.summaries(answers(right)).query("model == 'fc'")
    assert (unpaired["area_high"] - unpaired["area_low"] > (gain["high"] - gain["low"]).to_numpy()).all()
    at_level = comparison.gains(answers(counted([60, 40], [70, 45])), [("fc", "resnet18")], attacks=10)
    np.testing.assert_allclose(at_level["gain"], 5)
    with pytest.raises(ValueError, match=r"no level of 15 attacks; choose from \[0, 10\]"):
        comparison.gains(answers(right), [("fc", "resnet18")], attacks=15)


def test_the_sign_test_is_mcnemars_with_one_draw():
    first = np.array([1] * 5 + [1] * 1 + [0] * 8 + [0] * 6)
    second = np.array([1] * 5 + [0] * 1 + [1] * 8 + [0] * 6)
    right = np.stack([[first, first], [second, second]])
    row = comparison.sign_tests(answers(right), [("fc", "resnet18")], [10]).iloc[0]
    assert (row["only_first"], row["only_second"]) == (1, 8)
    assert row["p"] == pytest.approx(2 * (1 + 9) / 2**9)  # by hand
    assert row["p"] == pytest.approx(mcnemar([[5, 1], [8, 6]], exact=True).pvalue)
    assert row["gain"] == pytest.approx(100 * 7 / 20)


def test_several_draws_of_an_image_count_as_one():
    right = np.array([[[3, 3, 0, 1]] * 2, [[1, 3, 2, 2]] * 2])  # of 3 draws
    row = comparison.sign_tests(answers(right, draws=3), [("fc", "resnet18")], [0]).iloc[0]
    assert (row["only_first"], row["only_second"]) == (1, 2) and row["p"] == 1


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less():
    right = np.stack([counted([50, 50, 50, 50])[0], counted([51.5, 51, 50.8, 50])[0]])
    table = comparison.sign_tests(answers(right), [("fc", "resnet18")], [0, 10, 20, 30])
    order = table["p"].sort_values().index
    expected, worst = {}, 0.0
    for place, row in enumerate(order):
        worst = max(worst, min(1.0, (len(table) - place) * table.loc[row, "p"]))
        expected[row] = worst
    np.testing.assert_allclose(table["holm"], pd.Series(expected).loc[table.index])
    assert (table["holm"] >= table["p"]).all() and table["p"].min() == pytest.approx(2 / 2**15)
    assert comparison.sign_tests(answers(right), [], [0]).empty


def test_the_ranking_names_each_and_the_next():
    found = comparison.ranking(answers(counted([50, 30], [90, 70], [60, 40])))
    first = found[found["noise"] == PAPER_NOISES[0]]
    assert list(zip(first["upper"], first["lower"], strict=True)) == [("resnet18", "resnet34"), ("resnet34", "fc")]
    np.testing.assert_allclose(first["lead"], [30, 10])
    ranks = comparison.summaries(answers(counted([50, 30], [90, 70], [60, 40]))).query("noise == @PAPER_NOISES[0]")
    assert ranks[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[3, 3, 3], [1, 1, 1], [2, 2, 2]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Pretended sweeps: fc in two draws, resnet18 and resnet50 in one, resnet101 under-trained."""
    outputs = tmp_path_factory.mktemp("recorded")
    for model, steep, draws, validation in (
        ("fc", 0.3, 2, 98.0),
        ("resnet18", 0.8, 1, 99.1),
        ("resnet50", 0.5, 1, 99.0),
        ("resnet101", 0.6, 1, 95.0),
    ):
        pretend(
            outputs, model, lambda noise, x, s=steep: 0.98 - s * x / 200, images=60, draws=draws, validation=validation
        )
    return outputs


def compare(outputs, *models, **asked):
    return Comparison(models=list(models), images=60, outputs=outputs, **asked).choose(FIGURE_7)


def test_networks_are_told_with_their_size_training_and_draws(recorded):
    compared = compare(recorded, "resnet50", "fc", "resnet101")
    assert compared.models == ("resnet50", "fc", "resnet101") and compared.common_draws == 1
    told = sentences.under_trained(compared)
    assert told.startswith("All 3 networks are measured. **Under-trained: ResNet-101**"), "fc is excepted from the rule"
    assert sentences.under_trained(compare(recorded, "fc")) == "All 1 networks are measured."
    assert "n = 60 test images, 1 noise draw each" in sentences.heading(compared, "A")
    assert "1 to 2 noise draws" in sentences.heading(compared, "A", common=False)
    table = tables.networks(compared)
    assert table.loc["FC", "measured"] == "60 images, 2 noise draws"
    assert table["validation %"].tolist() == ["99.00", "98.00", "95.00 (under 99.0)"]


def test_ours_stand_beside_the_papers_table_1(recorded):
    compared = compare(recorded, "fc", "resnet18")
    table = tables.table_1(compared.curves(), (*compared.models, "vgg19"))
    assert (table.loc["VGG-19"].xs("ours (95 %)", axis=1, level=1) == "-").all(axis=None)
    assert table.loc[("VGG-19", 200), "WtB"].tolist() == ["-", "74.83"]
    assert table.loc[("ResNet-18", 200), ("WtB", "paper (difference)")] == "-"
    ours, paper = (text.split() for text in table.loc[("FC", 200), "WtB"])
    assert float(ours[0]) - float(paper[0]) == pytest.approx(float(paper[1].strip("()")), abs=0.011)


def test_neighbours_follow_the_order_asked_for(recorded):
    pairs = [("resnet18", "resnet50"), ("resnet50", "resnet101")]
    assert comparison.neighbours(compare(recorded, "resnet18", "resnet50", "resnet101")) == pairs


def test_paired_answers_give_the_accuracies_of_the_curves(recorded):
    compared = compare(recorded, "fc")
    found = comparison.measure(compared)
    assert found.draws == 2 and found.right.shape == (4, 1, 21, 60)
    curves = results.curves(compared.comparison.plan("fc")).set_index(["noise", "attacks"])["accuracy"].unstack()
    np.testing.assert_allclose(found.accuracy[:, 0], curves.loc[list(PAPER_NOISES)])
    assert (found.altered[foreground.BLACK, -1] == 200).all() and (found.altered[foreground.WHITE, -1] < 200).any()
    beside = comparison.measure(compare(recorded, "fc", "resnet18"))
    assert beside.draws == 1, "the draws that both have seen"


def test_every_network_that_is_not_recorded_is_named_with_its_command(recorded):
    with pytest.raises(FileNotFoundError) as told:
        Comparison(images=60, outputs=recorded).choose(FIGURE_7)
    missing = ("resnetv2_50", "vgg19", "efficientnet_b1")
    assert str(told.value).endswith(": " + ", ".join(f"{model} (make sweep MODEL={model})" for model in missing))
    assert "with 60 images, training seed 0" in str(told.value)
    with pytest.raises(FileNotFoundError, match=r"in 2 noise draws.*: resnet18 \(make sweep MODEL=resnet18\)$"):
        compare(recorded, "fc", "resnet18", draws=2)
    with pytest.raises(FileNotFoundError, match="fc@long"):
        compare(recorded, "fc", "fc@long")


def test_wrong_names_stop_at_once():
    with pytest.raises(ValueError, match="unknown model 'vgg91'; choose from fc"):
        Comparison(models=["vgg91"])
    with pytest.raises(ValueError, match="each network once"):
        Comparison(models=["fc", "fc"])
    with pytest.raises(ValueError, match="models: all of resnet18, resnet34, resnet50, resnet101 are needed"):
        Comparison(models=["resnet18", "resnet34@gentle"]).choose(FIGURE_8, whole=True)


def test_predictions_by_other_weights_do_not_count(recorded, tmp_path):
    pretend(tmp_path, "fc", lambda noise, x: 0.9 - x / 400, images=60)
    path = networks.weights_path("fc", 0, tmp_path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(FileNotFoundError, match=r"not recorded .* fc"):
        compare(tmp_path, "fc")


RESNETS = list(FIGURE_8)
STEPS = list(pairwise(RESNETS))


def at_fifty(*accuracies):
    """ResNets with these accuracies at 50 attacks and thereafter."""
    return answers(counted(*([99, value, value] for value in accuracies)), models=RESNETS, attacks=[0, 50, 200])


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ((40, 45, 80, 85), "supported"),
        ((40, 70, 82, 85), "contradicted"),  # the step before is larger
        ((40, 41, 46, 47), "contradicted"),  # larger than all others, and small
        ((40, 45, 44, 60), "contradicted"),  # no gain at all
        ((40, 54, 68.1, 70), "undecided"),  # hardly larger than the step before
        ((40, 42, 52.1, 54), "undecided"),  # hardly large enough
    ],
)
def test_a_threshold_is_a_step_larger_than_all_others(accuracies, expected):
    found = judge_all(depth.threshold(claims.measured(at_fifty(*accuracies))))
    assert verdict(found) == expected
    assert [own.value for own in found if own.bounds.id[3:] == "-50-resnet50-over-resnet34"] == pytest.approx(
        3 * [accuracies[2] - accuracies[1]]
    )


def test_no_threshold_is_sought_without_the_networks_it_needs():
    three = answers(counted([99, 40], [99, 45], [99, 80]), models=RESNETS[:3], attacks=[0, 50])
    with pytest.raises(ValueError, match="this needs resnet101; there are resnet18, resnet34, resnet50"):
        judge_all(depth.threshold(claims.measured(three)))


def test_steps_are_counted_by_their_intervals():
    found = at_fifty(40, 60, 70, 65)
    counts = tables.step_counts(depth.steps(found, STEPS), depth.changes(found, STEPS))
    assert counts["steps"].to_numpy().tolist() == 4 * [[2, 1, 0]]
    assert counts["gains, beside the step before"].to_numpy().tolist() == 4 * [[1, 0, 1, 0]]
    table = tables.edge_steps(depth.steps(found, STEPS), comparison.sign_tests(found, STEPS, [0, 50]))
    assert table["better at"].tolist() == ["1 of 2 levels", "1 of 2 levels", "0 of 2 levels"]
    assert table["worse at"].tolist() == ["0 of 2 levels", "0 of 2 levels", "1 of 2 levels"]
    assert table.loc["ResNet-18 → ResNet-34", "area (points)"].startswith("+17.5")


def test_gains_that_shrink_and_gains_for_ten_layers():
    found = at_fifty(40, 60, 70, 71)
    steps = depth.steps(found, STEPS).query("noise == @PAPER_NOISES[0]")
    shares = np.array([10 / 16, 10 / 16, 10 / 51])
    np.testing.assert_allclose(steps["ten"], steps["gain"] * shares)
    np.testing.assert_allclose(steps["gain"], np.array([20, 10, 1]) * (0.5 * 50 + 150) / 200)
    changes = depth.changes(found, STEPS)
    assert (changes["low"] > 0).all() and len(changes) == 2 * 4
    assert depth.changes(found, STEPS[:1]).empty


def test_a_step_of_no_layers_has_no_gain_for_ten():
    right = counted([50, 40], [90, 70])
    found = depth.steps(answers(right, models=["resnet50", "resnetv2_50"]), [("resnet50", "resnetv2_50")])
    assert found["ten"].isna().all() and (found["gain"] > 0).all()
    told = tables.by_noise(found, "first", ["ten", "ten_low", "ten_high"])
    assert (told == "-").all(axis=None)


def test_resilience_stands_beside_depth_and_size():
    table = depth.resilience(at_fifty(40, 60, 70, 71)).query("noise == @PAPER_NOISES[0]")
    assert table["layers"].tolist() == [18, 34, 50, 101]
    sizes = [sum(p.numel() for p in networks.build(model).parameters()) for model in ("resnet18", "resnet34")]
    assert table["parameters"].tolist()[:2] == sizes
    with pytest.raises(ValueError, match="'vgg19' is no ResNet; choose from resnet18"):
        depth.layers("vgg19")


def test_at_equal_pixels_an_image_counts_in_proportion():
    right = np.zeros((4, 1, 3, 2), np.uint8)
    right[foreground.BLACK, 0] = [[1, 1], [1, 1], [0, 0]]
    altered = np.zeros((4, 3, 2), np.float32)
    altered[foreground.WHITE] = [[0, 0], [10, 10], [17, 20]]  # the first digit has 17 white pixels
    altered[foreground.BLACK] = [[0, 0], [10, 10], [20, 20]]
    found = Answers(("fc",), np.array([0, 10, 20]), 1, right, altered)
    np.testing.assert_allclose(foreground.at_equal_pixels(found)[0], [[1, 1], [1, 1], [0.3, 0]], atol=1e-6)
    altered[foreground.BLACK] = [[0, 0], [8, 10], [18, 19]]  # drawn again, black pixels run short too
    np.testing.assert_allclose(foreground.at_equal_pixels(found)[0], [[1, 1], [0.8, 1], [0.1, 0]], atol=1e-6)


def test_a_network_blind_to_the_kind_of_pixel_is_nearly_equal_only_at_equal_pixels():
    """It falls with each pixel altered, and White to Black alters 40 at most: that alone makes equal attacks differ."""
    attacks = np.arange(0, 201, 10)
    images = 500
    altered = np.broadcast_to(attacks[None, :, None], (4, len(attacks), images)).astype(np.float32).copy()
    altered[foreground.WHITE] = np.minimum(altered[foreground.WHITE], 40)
    strength = np.random.default_rng(0).uniform(0, 250, images)
    found = Answers(("fc",), attacks, 1, (strength > altered)[:, None].astype(np.uint8), altered)
    table = foreground.white_minus_black(found).set_index("measure")
    assert table.loc["equal attacks", "leaning"] == "background" and table.loc["equal attacks", "difference"] > 20
    assert table.loc["equal pixels", "leaning"] == "nearly equal"
    assert abs(table.loc["equal pixels", "difference"]) < 0.5


def test_the_margin_parts_the_papers_networks_as_the_paper_does():
    paper = foreground.paper()
    near = {model for model in paper.index if abs(paper[model]) < foreground.NEARLY_EQUAL}
    assert near == {"resnet50", "resnetv2_50", "fc"}
    levels = np.array([0.0, 10, 40, 100, 200])
    apart = np.array([0, 99.07 - 98.40, 97.36 - 94.51, 89.35 - 83.10, 74.83 - 62.14])
    assert paper["vgg19"] == pytest.approx((np.diff(levels) * (apart[1:] + apart[:-1]) / 2).sum() / 200)
    assert [foreground.leaning(*pair) for pair in [(-1, 1), (6, 9), (-9, -6), (4, 6)]] == [
        "nearly equal",
        "background",
        "foreground",
        "undecided",
    ]


def test_pixels_of_the_mean_digit():
    found = foreground.pixels(1)  # the first test image is a seven
    assert 50 < found["white"] < 200 and found["short"] == 1 and found["white"] + found["black"] > 700


def test_numbers_in_tables():
    assert tables.spread(12.345, -0.04, 20.0, 1, "+").replace(tables.BOUND, " ") == "+12.3 (+0.0 to +20.0)"
    assert tables.spread(np.inf, np.inf, np.inf) == "not reached"
    assert tables.spread(np.inf, 190.2, np.inf, 0).replace(tables.BOUND, " ") == "not reached (190 to not reached)"
    assert tables.paper_ranks(["vgg19", "fc"])["edge_to_altered", "fc"] == 2
    curve = read_table_1().query("model == 'fc'").assign(low=0.0, high=0.0)
    shifted = curve.assign(accuracy=curve["accuracy"] + 2, low=curve["accuracy"] - 1, high=curve["accuracy"] + 1)
    row = tables.differences(shifted).iloc[0]
    assert (row["network"], row["cells"]) == ("FC", 16) and row["mean"] == pytest.approx(2)


def test_findings_in_words():
    found = at_fifty(40, 60, 70, 71)
    assert sentences.ranking(comparison.ranking(found)).count("ResNet-101, ResNet-50 by") == 4
    assert sentences.tests(comparison.sign_tests(found, STEPS[:1], [50])).startswith("Of 4 tests 4 find a difference")
    leanings = sentences.leanings(foreground.white_minus_black(found))
    assert leanings.splitlines()[0] == (
        "- At **equal attacks**, nearly equal: ResNet-18, ResNet-34, ResNet-50, ResNet-101."
    )


def test_the_difference_at_the_papers_levels_is_made_as_the_papers_own_is():
    paper = read_table_1().query("model == 'vgg19'").set_index(["noise", "attacks"])["accuracy"].unstack()
    levels = np.array([0, 10, 20, 40, 100, 150, 200])
    accuracy = np.array([[np.interp(levels, paper.columns, paper.loc[noise])] for noise in PAPER_NOISES])
    accuracy[..., [2, 5]] = 0  # levels that the paper does not have
    found = Answers(("vgg19",), levels, 1, None, None)
    vars(found)["accuracy"] = accuracy
    assert foreground.at_paper_levels(found)["vgg19"] == pytest.approx(foreground.paper()["vgg19"])


def test_a_network_that_fell_short_is_replaced_by_a_better_training(tmp_path):
    def straight(noise, attacks):
        return 1 - 0.5 * attacks / 200

    for model, validation in {
        "fc": 98,
        "resnet18": 99.2,
        "resnet34": 96,
        "resnet34@gentle": 99.1,
        "resnet34@worse": 90,
    }.items():
        pretend(tmp_path, model, straight, 60, validation=validation)
    pretend(tmp_path, "resnet34@none", straight, 60, normalize="none")
    compared = compare(tmp_path, "fc", "resnet18", "resnet34")
    assert compared.short == ("resnet34",), "the fully connected net has no target"
    other = compared.instead()
    assert {variant: own.models for variant, own in other.items()} == {
        "resnet34@gentle": ("fc", "resnet18", "resnet34@gentle")
    }
    assert compare(tmp_path, "fc", "resnet18").instead() == {}
