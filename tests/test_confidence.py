import math

import numpy as np
import pandas as pd
import pytest
import strange
import torch
from conftest import run_papermill, texts
from lib.analysis.trainings import measure_trainings
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from worlds import pretend_training

from lib import networks
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
from lib.experiments import confidence, dropout
from lib.experiments.confidence import auroc, calibration_error, refusing, risk_area
from lib.noise import perturb
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import confidence_figures, confidence_tables
from lib.report.tables import BOUND
from lib.store import data
from lib.store.files import OUTPUTS, file_hash, read_arrays, write_arrays

MODEL, FEW = "tiny:conv_net@quick", 40
LAST = {  # network -> its last layer, where a reader of its code finds it
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
NOT_CUT = {"log_softmax", "one_by_one"}  # of `strange.FIT`


def some_images(number: int) -> np.ndarray:
    return data.load().test_images[:number]


def answers_with_dropout(net: nn.Module, layer: nn.Module, images: np.ndarray, passes=range(30)) -> np.ndarray:
    """Class probabilities (passes, n, 10), by a whole forward pass for each mask, one image at a time."""
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
    plain, passes = dropout.Cut.of(net, model, compiled).ask(some_images(3))
    assert passes.shape == (30, 3, 10)
    with torch.inference_mode():
        pixels = torch.from_numpy(some_images(3)[:, None].copy()) / 255
        np.testing.assert_allclose(plain, net(pixels).softmax(dim=1).numpy(), atol=1e-4)
    layer = net.get_submodule(LAST[model])
    np.testing.assert_allclose(passes[SOME], answers_with_dropout(net, layer, some_images(3), SOME), atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items()), "it is left as it is"


def test_a_network_that_ends_otherwise_is_refused_with_a_line():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.scale = nn.Linear(56 * 56, 10), nn.Parameter(torch.tensor(3.0))

        def forward(self, images):
            return self.dense(images.flatten(1)) * self.scale

    for body in (Scaled(), nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))):
        with pytest.raises(ValueError, match=r"^mine does not end with a linear layer or a convolution"):
            dropout.Cut.of(networks.Net(body).eval(), "mine")


@pytest.mark.parametrize("name", strange.FIT)
def test_a_strangers_network_is_cut_rightly_or_not_at_all(name):
    net = networks.build(f"strange:{name}").eval()
    try:
        cut = dropout.Cut.of(net, name)
    except ValueError as error:
        assert str(error).startswith(f"{name} does not end with") and name in NOT_CUT
    else:
        assert name not in NOT_CUT
        with torch.inference_mode():
            plain = net(torch.from_numpy(some_images(20)[:, None].copy()) / 255).softmax(dim=1).numpy()
        np.testing.assert_allclose(cut.ask(some_images(20))[0], plain, atol=1e-4)


def test_an_answer_depends_on_its_image_alone():
    cut = dropout.Cut.of(networks.build("tiny:conv_net").eval(), "tiny")
    images = some_images(networks.BATCH + 3)
    plain, passes = cut.ask(images)
    for number in (0, 1, networks.BATCH, networks.BATCH + 2):
        alone = cut.ask(images[number : number + 1])
        np.testing.assert_allclose(alone[0][0], plain[number], atol=1e-6)
        np.testing.assert_allclose(alone[1][:, 0], passes[:, number], atol=1e-6)


def test_doubts_are_what_their_definitions_say():
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
    """Doubts of which many are equal, wrong answers that carry more of it, and samples of the images with the whole."""
    random = np.random.default_rng(seed)
    wrong = random.random(images) < 0.3
    doubt = np.round(random.beta(1 + 2 * wrong, 4) * ties) / ties
    drawn = random.multinomial(images, np.full(images, 1 / images), size=5)
    return doubt, wrong, np.concatenate([np.ones((1, images)), drawn]).T


@pytest.mark.parametrize("ties", [4, 50, 10**9])
def test_the_auroc_is_that_of_scikit_learn(ties):
    doubt, wrong, weights = some_doubts(2, ties)
    expected = [roc_auc_score(wrong, doubt, sample_weight=sample) for sample in weights.T]
    np.testing.assert_allclose(auroc(*refusing(doubt, wrong, weights)), expected)
    pairs = [(bad > good) + (bad == good) / 2 for bad in doubt[wrong] for good in doubt[~wrong]]
    assert auroc(*refusing(doubt, wrong, weights))[0] == pytest.approx(np.mean(pairs))


def test_the_risk_area_is_the_mean_risk_over_all_numbers_kept():
    doubt, wrong, weights = some_doubts(3, 10**9)
    order = sorted(range(len(doubt)), key=doubt.__getitem__)
    risks = [np.mean(wrong[order[:kept]]) for kept in range(1, len(order) + 1)]
    found = risk_area(*refusing(doubt, wrong, weights))
    assert found[0] == pytest.approx(np.mean(risks), abs=0.005)
    for sample, area in zip(weights.T, found, strict=True):
        repeated = np.repeat(np.arange(len(doubt)), sample.astype(int))
        own = risk_area(*refusing(doubt[repeated], wrong[repeated], np.ones((len(repeated), 1))))
        assert area == pytest.approx(own[0]), "an image that is drawn twice counts twice"


def test_a_doubt_that_says_nothing_refuses_at_random():
    _, wrong, weights = some_doubts(4, 10)
    same = refusing(np.zeros(len(wrong)), wrong, weights)
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


def pretended(images: int = 300, seed: int = 0, wrong: float = 0.3) -> confidence.Answers:
    """Answers of no network: the more doubt, the more of them are wrong."""
    random = np.random.default_rng(seed)
    rows = [("none", 0), *((noise, level) for noise in PAPER_NOISES for level in dropout.LEVELS[1:])]
    shape = (len(rows), images)
    fails = random.random(shape) < wrong
    doubts = {name: random.beta(1 + 2 * fails, 4) for name in ("softmax", "mean", *confidence.DROPOUT)}
    return confidence.Answers("fc", rows, fails, fails, doubts, 0)


def test_intervals_are_those_of_scipys_bootstrap():
    found = confidence.scores(pretended())
    answers = found.answers
    doubt, wrong = answers.doubts["softmax"][3], answers.wrong[3]
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


def test_without_ten_wrong_answers_there_is_no_auroc():
    answers = pretended()
    answers.wrong[0], answers.wrong[1] = False, True
    answers.wrong[0, :9], answers.wrong[1, :9] = True, False
    answers.wrong[2, :] = [True] * 10 + [False] * 290
    found = confidence.scores(answers).auroc["softmax"]
    assert np.isnan(found[:2]).all() and np.isfinite(found[2:]).all()
    none = confidence.judged({"fc": found[0]}, 8, confidence.knowing)
    assert none.loc["fc", "answer"] == "cannot be said" and np.isnan(none.loc["fc", "low"])


def test_numbers_in_words():
    table = pd.DataFrame(
        {"value": [0.5, 0.9, math.nan], "low": [0.4, 0.8, math.nan], "high": [0.6, 0.95, math.nan]},
        index=["fc", "vgg19", "resnet18"],
    ).assign(answer=["undecided", "higher", "undecided"])
    assert (
        confidence_tables.ends(table).replace(BOUND, " ")
        == "0.50 (0.40 to 0.60) for FC to 0.90 (0.80 to 0.95) for VGG-19"
    )
    assert confidence_tables.ends(table.iloc[2:]) == "not known"
    assert confidence_tables.counted(table, "undecided") == "2 of 3"
    told = confidence_tables.together({"a": confidence_tables.column(table, "+"), "b": pd.Series({"fc": "x"})})
    assert told.loc["VGG-19"].str.replace(BOUND, " ").tolist() == ["+0.900 (+0.800 to +0.950) higher", "-"]
    assert told.loc["ResNet-18", "a"] == "-" and told.index.tolist() == ["FC", "VGG-19", "ResNet-18"]


def test_figures_show_the_scores():
    found = confidence.scores(pretended())
    panels = confidence_figures.auroc([found], ["softmax"]).axes
    rows = [found.answers.row(PAPER_NOISES[1], level) for level in dropout.LEVELS]
    np.testing.assert_allclose(panels[1].lines[1].get_ydata(), found.auroc["softmax"][rows, 0], atol=1e-6)
    panels = confidence_figures.calibration([found]).axes
    right = 100 * (1 - found.answers.wrong[rows].mean(axis=1))
    np.testing.assert_allclose(panels[1].lines[1].get_xdata(), right)
    (curve,) = confidence_figures.refusal([found], [200]).axes[1].lines
    row = rows[-1]
    assert curve.get_ydata()[-1] == pytest.approx(100 * found.answers.wrong[row].mean())
    surest = np.argsort(found.answers.doubts["softmax"][row])[:150]
    assert np.interp(50, curve.get_xdata(), curve.get_ydata()) == pytest.approx(
        100 * found.answers.wrong[row, surest].mean()
    )


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0.81, 0.9, "knows"), (0.79, 0.9, "in part"), (0.6, 0.71, "in part"), (0.5, 0.69, "does not")],
)
def test_what_counts_as_knowing(low, high, answer):
    assert confidence.knowing(low, high) == answer


def test_what_counts_as_confidently_wrong():
    bounds = [(0.11, 0.2), (0.05, 0.2), (0.05, 0.1), (math.nan, math.nan)]
    assert [confidence.confident(*ends) for ends in bounds] == ["confidently wrong", "undecided", "seldom", "undecided"]


def test_the_mean_over_noises_is_over_all_four_and_differences_are_paired():
    found = confidence.scores(pretended())
    rows = [found.answers.rows.index((noise, 50)) for noise in PAPER_NOISES]
    np.testing.assert_allclose(found.mean(found.auroc["entropy"], 50), found.auroc["entropy"][rows].mean(axis=0))
    softmax = confidence.means({"fc": found}, "auroc", "softmax", 50)
    same = confidence.judged(confidence.less(softmax, softmax))
    assert same.loc["fc"].tolist() == [0, 0, 0, "undecided"]
    assert confidence.means({"fc": found}, "auroc", "disagreement", 50) == {}, "it has no other training"
    clean = found.mean(found.auroc["softmax"], 0)
    np.testing.assert_array_equal(clean, found.auroc["softmax"][0])


@pytest.fixture
def asked(trained, tmp_path):
    """A folder with a tiny trained network, swept and asked with dropout, and sweeps of two further trainings of it."""
    (tmp_path / "weights").symlink_to(trained / "weights")
    sweep(Plan(model=MODEL, images=FEW, outputs=tmp_path))
    for seed in (1, 2):
        pretend_training(tmp_path, MODEL, FEW, seed)
    assert dropout.record(MODEL, tmp_path, FEW) == {"computed": 1, "reused": 0, "checked": 0}
    return tmp_path


def test_what_is_recorded_is_what_the_network_answers(asked, trained):
    part = dropout.doubts_of(MODEL, asked, FEW)
    row = part.rows.index(("edge_to_altered", 100))
    images = perturb(some_images(FEW), "edge_to_altered", 100)
    net = networks.load(MODEL, outputs=trained)
    passes = answers_with_dropout(net, net.get_submodule("body.5"), images)
    with torch.inference_mode():
        plain = net(torch.from_numpy(images[:, None]) / 255).softmax(dim=1).numpy()
    recorded = part.read()
    for name, values in dropout.doubts(plain.astype(float), passes.astype(float)).items():
        np.testing.assert_allclose(recorded[name][row], values, atol=2e-3, err_msg=name)
    record, _ = read_arrays(part.path)
    assert record["weights"] == file_hash(networks.weights_path(MODEL, 0, trained)) and "commit" in record
    assert part.path.name.startswith("tiny-conv_net@quick-seed0-")


def test_a_second_run_recomputes_a_sample_and_finds_what_does_not_follow(asked):
    answers = dropout.CHECKED_IMAGES * 17
    assert dropout.record(MODEL, asked, FEW) == {"computed": 0, "reused": 1, "checked": answers}
    assert dropout.record(MODEL, asked, FEW, recompute=True)["computed"] == 1
    path = dropout.doubts_of(MODEL, asked, FEW).path
    record, arrays = read_arrays(path)
    for name in ("predicted", "entropy"):
        wrong = (arrays[name] + 1) % 10
        write_arrays(path, record, arrays | {name: wrong.astype(arrays[name].dtype)})
        with pytest.raises(ValueError, match=f"of {answers} answers in .* do not follow from the weights"):
            dropout.record(MODEL, asked, FEW)


def test_disagreement_is_the_share_of_other_trainings_that_answer_otherwise(asked):
    found = confidence.answers(MODEL, measure_trainings((MODEL,), asked, FEW), asked)
    predicted = dropout.doubts_of(MODEL, asked, FEW).read()["predicted"]
    others = [confidence.swept(MODEL, seed, found.rows, FEW, asked) for seed in (1, 2)]
    expected = [[sum(other[r, i] != predicted[r, i] for other in others) / 2 for i in range(FEW)] for r in range(17)]
    np.testing.assert_array_equal(found.doubts["disagreement"], expected)
    assert found.others == 2 and found.measures == confidence.MEASURES
    np.testing.assert_array_equal(found.wrong, predicted != data.load().test_labels[:FEW])


def test_the_notebook_answers_of_any_networks(asked):
    executed = asked / "confidence.ipynb"
    options = ("-y", f"models: ['{MODEL}']", "-p", "images", FEW, "-p", "outputs", asked)
    run = run_papermill("notebooks/confidence.ipynb", executed, *options)
    assert run.returncode == 0, run.stderr
    shown = texts(executed)
    assert "0 networks were asked, 1 found recorded; 51 of the recorded answers" in shown
    assert "trained networks know when they are lost" in shown
    assert len(list(asked.glob("figures/confidence-*.svg"))) == 3
    (table,) = asked.glob("confidence/scores-*.csv")
    assert len(pd.read_csv(table)) == 17 * (2 * len(confidence.MEASURES) + 2 + 1)


def test_one_training_disagrees_with_nobody(asked):
    for seed in (1, 2):
        for path in (asked / "predictions" / f"tiny-conv_net@quick-seed{seed}").iterdir():
            path.unlink()
    found = confidence.answers(MODEL, measure_trainings((MODEL,), asked, FEW), asked)
    assert found.others == 0 and "disagreement" not in found.measures


@pytest.mark.evidence
@pytest.mark.parametrize("model", NETWORKS)
def test_every_recorded_number_follows_from_what_is_recorded_and_agrees_with_the_sweep(model):
    """That it follows from the weights is checked where the notebook is executed."""
    table = pd.read_csv(OUTPUTS / "confidence" / "scores.csv").query("model == @model and score == 'auroc'")
    part = dropout.doubts_of(model)
    found, labels = part.read(), data.load().test_labels[:2_000]
    other = found["predicted"] != confidence.swept(model, dropout.SEED, part.rows, 2_000)
    assert other.mean() < 1e-3 and (found["softmax"][other] > 0.4).all(), "but where two classes are as likely"
    assert len(table) >= 17 * (1 + len(confidence.DROPOUT))
    for row in table.query("measure != 'disagreement'").dropna().itertuples():
        place = part.rows.index((row.noise, row.attacks))
        wrong = found["predicted"][place] != labels
        assert row.wrong == wrong.sum() and row.images == 2_000
        assert row.value == pytest.approx(roc_auc_score(wrong, found[row.measure][place]), abs=1e-4)
        assert row.low < row.value < row.high
