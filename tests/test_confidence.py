import math

import naive
import numpy as np
import pandas as pd
import pytest
import strange
import torch
from conftest import run_papermill, texts
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from worlds import pretend_training

from lib import networks
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
from lib.experiments import confidence, dropout
from lib.experiments.confidence import auroc, calibration_error, risk_area, risk_coverage
from lib.experiments.measure import trainings
from lib.noise import perturb
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import confidence_figures, confidence_tables
from lib.store import data
from lib.store.files import OUTPUTS, file_hash, read_arrays, write_arrays
from lib.training.recipe import Recipe

MODEL, FEW = "tiny:conv_net@quick", 40
LAST = {  # network -> the name of its last layer
    "fc": "body.3",
    "resnet18": "body.fc",
    "resnetv2_50": "body.head.fc",  # a 1x1 convolution
    "efficientnet_b1": "body.classifier.1",
    "cnn": "body.10",  # a 5x5 convolution
    "vgg19": "body.classifier.6",  # of layers that are folded
    "tiny:conv_net": "body.5",
    "timm:convnext_atto": "body.head.fc",
}

SOME = [0, 7, 29]  # of the thirty passes
NOT_CUT = {"complex", "log_softmax", "one_by_one", "scripted", "cosine", "prototypes"}  # of `strange.FIT`: refused


def some_images(number: int) -> np.ndarray:
    return data.load().test_images[:number]


def probabilities_with_dropout(net: nn.Module, layer: nn.Module, images: np.ndarray, passes=range(30)) -> np.ndarray:
    """Class probabilities (passes, n, 10), by a complete forward pass for each mask and image."""
    pixels = [torch.from_numpy(image[None, None].copy()) / 255 for image in images]

    def one_pass(number: int) -> Tensor:
        def drop(_, given: tuple[Tensor]) -> Tensor:
            kept = np.random.default_rng(0).random((30, *given[0].shape[1:])) >= 0.5
            return given[0] * torch.from_numpy(kept[number]) * 2

        hook = layer.register_forward_pre_hook(drop)
        found = torch.cat([net(each).softmax(dim=1) for each in pixels])
        hook.remove()
        return found

    with torch.inference_mode():
        return torch.stack([one_pass(number) for number in passes]).numpy()


@pytest.mark.parametrize(
    ("model", "compiled"),
    [
        *((model, False) for model in ("fc", "cnn", "tiny:conv_net")),
        *(pytest.param(model, model != "vgg19", marks=pytest.mark.slow) for model in LAST),
    ],
)
def test_dropout_falls_before_the_last_layer_whatever_the_network(model, compiled):
    net = networks.build(model, 3).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    plain, passes = dropout.Cut.of(net, model, compiled).evaluate(some_images(3))
    assert passes.shape == (30, 3, 10)
    np.testing.assert_allclose(plain, naive.probabilities(net, some_images(3)), atol=1e-4)
    layer = net.get_submodule(LAST[model])
    np.testing.assert_allclose(passes[SOME], probabilities_with_dropout(net, layer, some_images(3), SOME), atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items()), "net is not changed"


@pytest.mark.parametrize("name", strange.FIT)
def test_a_users_own_network_is_cut_correctly_or_refused(name):
    net = networks.build(f"strange:{name}").eval()
    try:
        cut = dropout.Cut.of(net, name)
    except ValueError as error:
        assert str(error).startswith(f"{name} does not end with") and name in NOT_CUT
    else:
        assert name not in NOT_CUT
        plain = naive.probabilities(net, some_images(20))
        np.testing.assert_allclose(cut.evaluate(some_images(20))[0], plain, atol=1e-4)


def test_a_prediction_does_not_depend_on_the_batch():
    cut = dropout.Cut.of(networks.build("tiny:conv_net").eval(), "tiny")
    images = some_images(networks.BATCH + 3)
    plain, passes = cut.evaluate(images)
    for number in (0, 1, networks.BATCH, networks.BATCH + 2):
        alone = cut.evaluate(images[number : number + 1])
        np.testing.assert_allclose(alone[0][0], plain[number], atol=1e-6)
        np.testing.assert_allclose(alone[1][:, 0], passes[:, number], atol=1e-6)


def test_doubts_by_their_definitions():
    random = np.random.default_rng(1)
    plain, passes = random.dirichlet(np.ones(10), 6), random.dirichlet(np.ones(10), (30, 6))
    plain[0], passes[:, 0] = np.eye(10)[3], np.eye(10)[3]  # no doubt at all
    found = dropout.doubts(plain, passes)

    def entropy(chances):
        return -sum(p * math.log(p) for p in chances if p > 0)

    for image in range(6):
        mean = [sum(one[image][k] for one in passes) / 30 for k in range(10)]
        assert found["predicted"][image] == plain[image].argmax()
        assert found["mean_predicted"][image] == max(range(10), key=mean.__getitem__)
        information = entropy(mean) - sum(entropy(one[image]) for one in passes) / 30
        variance = sum((one[image][k] - mean[k]) ** 2 for one in passes for k in range(10)) / 30
        expected = (1 - max(plain[image]), 1 - max(mean), entropy(mean), information, math.sqrt(variance))
        names = ("softmax", "mean", "entropy", "information", "spread")
        np.testing.assert_allclose([found[name][image] for name in names], expected, atol=1e-12)
    assert found["information"][0] == found["spread"][0] == 0 < found["information"][1]


def some_doubts(seed: int, ties: int, images: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Doubts with ties, wrong predictions with more doubt, and weights: all images once, then five samples."""
    random = np.random.default_rng(seed)
    wrong = random.random(images) < 0.3
    doubt = np.round(random.beta(1 + 2 * wrong, 4) * ties) / ties
    drawn = random.multinomial(images, np.full(images, 1 / images), size=5)
    return doubt, wrong, np.concatenate([np.ones((1, images)), drawn]).T


@pytest.mark.parametrize("ties", [4, 50, 10**9])
def test_the_auroc_is_that_of_scikit_learn(ties):
    doubt, wrong, weights = some_doubts(2, ties)
    expected = [roc_auc_score(wrong, doubt, sample_weight=sample) for sample in weights.T]
    np.testing.assert_allclose(auroc(*risk_coverage(doubt, wrong, weights)), expected)


def test_the_risk_area_is_the_mean_risk_over_all_numbers_kept():
    doubt, wrong, weights = some_doubts(3, 10**9)
    order = sorted(range(len(doubt)), key=doubt.__getitem__)
    risks = [np.mean(wrong[order[:kept]]) for kept in range(1, len(order) + 1)]
    found = risk_area(*risk_coverage(doubt, wrong, weights))
    assert found[0] == pytest.approx(np.mean(risks), abs=0.005)
    for sample, area in zip(weights.T, found, strict=True):
        repeated = np.repeat(np.arange(len(doubt)), sample.astype(int))
        own = risk_area(*risk_coverage(doubt[repeated], wrong[repeated], np.ones((len(repeated), 1))))
        assert area == pytest.approx(own[0]), "an image that is drawn twice counts twice"
    same = risk_coverage(np.zeros(len(wrong)), wrong, weights)  # the same doubt everywhere refuses at random
    np.testing.assert_allclose(auroc(*same), 0.5)
    np.testing.assert_allclose(risk_area(*same), wrong @ weights / len(wrong))


def test_the_calibration_error_by_its_definition():
    doubt, wrong, weights = some_doubts(5, 10**9)
    for sample, found in zip(weights.T, calibration_error(doubt, wrong, weights), strict=True):
        error = 0.0
        for place in range(15):
            low, high = place / 15, (place + 1) / 15
            inside = [i for i, d in enumerate(doubt) if low <= 1 - d < high or (place == 14 and d == 0)]
            times = [sample[i] for i in inside]
            if sum(times):
                sure = np.average([1 - doubt[i] for i in inside], weights=times)
                right = np.average([not wrong[i] for i in inside], weights=times)
                error += sum(times) / sum(sample) * abs(right - sure)
        assert found == pytest.approx(error)


@pytest.fixture(scope="module")
def found() -> confidence.Scores:
    """Scores of made-up predictions: more doubt where they are wrong. Rows 0 and 1 have under ten of a kind."""
    random = np.random.default_rng(0)
    rows = [("none", 0), *((noise, level) for noise in PAPER_NOISES for level in confidence.LEVELS[1:])]
    wrong = random.random((len(rows), 300)) < 0.3
    wrong[0], wrong[1] = [True] * 9 + [False] * 291, [False] * 9 + [True] * 291
    wrong[2] = [True] * 10 + [False] * 290
    doubts = {name: random.beta(1 + 2 * wrong, 4) for name in ("softmax", "mean", *confidence.DROPOUT)}
    return confidence.scores(confidence.Evaluated("fc", rows, wrong, wrong, doubts))


def test_intervals_are_those_of_scipys_bootstrap(found):
    doubt, wrong = found.evaluated.doubts["softmax"][3], found.evaluated.wrong[3]
    how = {"paired": True, "vectorized": False, "method": "percentile", "n_resamples": 500, "rng": 1}
    interval = bootstrap((wrong, doubt), roc_auc_score, **how).confidence_interval
    value, low, high = confidence.ends(found.auroc["softmax"][3])
    assert value == pytest.approx(roc_auc_score(wrong, doubt))
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.01)
    for measure in ("softmax", "mean"):
        each = found.calibration[measure]
        np.testing.assert_allclose(each[:, 1:].mean(axis=1), each[:, 0], atol=1e-6)
    wider = confidence.ends(found.auroc["softmax"][3], family=30)
    assert wider[1] < low < value < high < wider[2]


def test_an_auroc_needs_ten_wrong_predictions_and_ten_right_ones(found):
    each = found.auroc["softmax"]
    assert np.isnan(each[:2]).all() and np.isfinite(each[2:]).all()
    nothing = confidence.decided({"fc": each[0]}, 8, confidence.knows)
    assert nothing.loc["fc", "verdict"] == "undecided" and np.isnan(nothing.loc["fc", "low"])
    assert confidence_tables.column(nothing).tolist() == ["-"]


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        ("knows", 0.81, 0.9, "supported"),
        ("knows", 0.69, 0.81, "undecided"),
        ("knows", 0.5, 0.69, "contradicted"),
        ("confidently_wrong", 0.11, 0.2, "supported"),
        ("confidently_wrong", 0.05, 0.2, "undecided"),
        ("confidently_wrong", 0.05, 0.1, "contradicted"),
        ("confidently_wrong", math.nan, math.nan, "undecided"),
        ("differs", 0.001, 0.02, "higher"),
        ("differs", -0.02, -0.001, "lower"),
        ("differs", -0.009, 0.01, "no difference"),
        ("differs", math.nan, math.nan, "undecided"),
    ],
)
def test_an_interval_decides_a_statement_or_a_difference(rule, low, high, expected):
    assert getattr(confidence, rule)(low, high) == expected


def test_the_mean_over_noises_is_over_all_four_and_differences_are_paired(found):
    rows = [found.evaluated.rows.index((noise, 100)) for noise in PAPER_NOISES]
    expected = found.auroc["entropy"][rows].mean(axis=0)
    np.testing.assert_allclose(confidence.means({"fc": found}, "auroc", "entropy", 100)["fc"], expected)
    softmax = confidence.means({"fc": found}, "auroc", "softmax", 100)
    same = confidence.decided(confidence.less(softmax, softmax))
    assert same.loc["fc"].tolist() == [0, 0, 0, "undecided"]
    assert confidence.means({"fc": found}, "auroc", "disagreement", 100) == {}, "there is no other training"
    np.testing.assert_array_equal(found.evaluated.mean(found.auroc["softmax"], 0), found.auroc["softmax"][0])


def test_figures_show_the_scores(found):
    (axes,) = confidence_figures.auroc([found], ["softmax", "disagreement"], "heading").axes
    at_200 = confidence.means({"fc": found}, "auroc", "softmax", 200)["fc"][0]
    assert axes.lines[1].get_ydata()[-1] == pytest.approx(at_200, abs=1e-6)
    assert [text.get_text() for text in axes.texts] == ["plain softmax"]
    (axes,) = confidence_figures.calibration([found], "heading").axes
    rows = [found.evaluated.row(noise, 200) for noise in PAPER_NOISES]
    assert axes.lines[1].get_xdata()[0] == pytest.approx(100 * (1 - found.evaluated.wrong[rows].mean()))
    (axes,) = confidence_figures.refusal([found], 200, ["softmax"], "heading").axes
    (curve,) = axes.lines
    assert curve.get_ydata()[-1] == pytest.approx(100 * found.evaluated.wrong[rows].mean())
    surest = [np.argsort(found.evaluated.doubts["softmax"][row])[:150] for row in rows]
    half = np.mean([found.evaluated.wrong[row, own] for row, own in zip(rows, surest, strict=True)])
    assert np.interp(50, curve.get_xdata(), curve.get_ydata()) == pytest.approx(100 * half)


@pytest.fixture
def recorded(outputs):
    """A folder with a tiny trained network, swept and evaluated with dropout, and sweeps of two further trainings."""
    sweep(Plan(model=MODEL, images=FEW, outputs=outputs))
    for seed in (1, 2):
        pretend_training(outputs, Recipe(model=MODEL, seed=seed, outputs=outputs), FEW)
    assert dropout.record(MODEL, outputs, FEW) == {"computed": 1, "reused": 0, "checked": 0}
    return outputs


def test_the_record_holds_the_doubts_of_the_network_and_follows_from_its_weights(recorded, trained):
    part = dropout.doubts_of(MODEL, recorded, FEW)
    row = part.rows.index(("edge_to_altered", 100))
    images = perturb(some_images(FEW), "edge_to_altered", 100)
    net = networks.load(MODEL, outputs=trained)
    passes = probabilities_with_dropout(net, net.get_submodule("body.5"), images)
    plain = naive.probabilities(net, images)
    record, arrays = read_arrays(part.path)
    for name, values in dropout.doubts(plain.astype(float), passes.astype(float)).items():
        np.testing.assert_allclose(arrays[name][row], values, atol=2e-3, err_msg=name)
    assert record["weights"] == file_hash(networks.weights_path(MODEL, 0, trained)) and "commit" in record
    assert part.path.name.startswith("tiny-conv_net@quick-seed0-")
    checked = dropout.CHECKED_IMAGES * 17
    assert dropout.record(MODEL, recorded, FEW) == {"computed": 0, "reused": 1, "checked": checked}
    assert dropout.record(MODEL, recorded, FEW, recompute=True)["computed"] == 1
    for name in ("predicted", "entropy"):
        wrong = (arrays[name] + 1) % 10
        write_arrays(part.path, record, arrays | {name: wrong.astype(arrays[name].dtype)})
        with pytest.raises(ValueError, match=f"of {checked} predictions in .*recompute=True"):
            dropout.record(MODEL, recorded, FEW)


def test_the_notebook_runs_for_any_networks_and_disagreement_needs_other_trainings(recorded):
    own = confidence.evaluated(MODEL, trainings((MODEL,), recorded, FEW), recorded)
    predicted = dropout.doubts_of(MODEL, recorded, FEW).read()["predicted"]
    others = [confidence.swept(MODEL, seed, own.rows, FEW, recorded) for seed in (1, 2)]
    expected = [[sum(other[r, i] != predicted[r, i] for other in others) / 2 for i in range(FEW)] for r in range(17)]
    np.testing.assert_array_equal(own.doubts["disagreement"], expected)
    np.testing.assert_array_equal(own.wrong, predicted != data.load().test_labels[:FEW])

    executed = recorded / "confidence.ipynb"
    options = ("-y", f"models: ['{MODEL}']", "-p", "images", FEW, "-p", "outputs", recorded)
    run = run_papermill("notebooks/confidence.ipynb", executed, *options)
    assert run.returncode == 0, run.stderr
    assert "1 found recorded; 51" in texts(executed)
    assert len(list(recorded.glob("figures/confidence-*.svg"))) == 3
    (table,) = recorded.glob("confidence/scores-*.csv")
    assert len(pd.read_csv(table)) == 17 * (2 * len(confidence.MEASURES) + 2 + 1)

    for path in recorded.glob("predictions/tiny-conv_net@quick-seed[12]/*"):
        path.unlink()
    alone = confidence.evaluated(MODEL, trainings((MODEL,), recorded, FEW), recorded)
    assert alone.measures == own.measures[:-1], "without disagreement"


@pytest.mark.evidence
@pytest.mark.parametrize("model", NETWORKS)
def test_every_recorded_score_follows_from_the_recorded_doubts_and_these_agree_with_the_sweep(model):
    """Executing the notebook checks that the doubts follow from the weights."""
    table = pd.read_csv(OUTPUTS / "confidence" / "scores.csv").query("model == @model and score == 'auroc'")
    part = dropout.doubts_of(model)
    recorded, labels = part.read(), data.load().test_labels[:2_000]
    other = recorded["predicted"] != confidence.swept(model, dropout.SEED, part.rows, 2_000)
    assert other.mean() < 1e-3 and (recorded["softmax"][other] > 0.4).all(), "only where two classes are as likely"
    assert len(table) >= 17 * (1 + len(confidence.DROPOUT))
    for row in table.query("measure != 'disagreement'").dropna().itertuples():
        place = part.rows.index((row.noise, row.attacks))
        wrong = recorded["predicted"][place] != labels
        assert row.wrong == wrong.sum() and row.images == 2_000
        assert row.value == pytest.approx(roc_auc_score(wrong, recorded[row.measure][place]), abs=1e-4)
        assert row.low < row.value < row.high
