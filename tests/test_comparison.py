import numpy as np
import pytest
from pretend import pretend
from scipy.stats import bootstrap

from lib import networks
from lib.analysis.compared import Comparison
from lib.evaluation import statistics
from lib.paper import FIGURE_7, FIGURE_8
from lib.report import sentences, tables


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
