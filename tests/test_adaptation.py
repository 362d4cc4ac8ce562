import copy

import naive
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lib import networks
from lib.evaluation.plan import CLEAN, USUAL_NOISES, Plan
from lib.evaluation.sweep import Predictions, sweep
from lib.experiments import mnist_c
from lib.experiments.drift import drift
from lib.networks import RESTORED, adapt, as_read, batch_predictor, moments, restore_moments
from lib.noise import perturb
from lib.store import data

MODEL = "tiny:conv_net@quick"
NORMALISED = ("tiny:conv_net", "half_preact10", "timm:mobilenetv3_small_050")
CLEAN_IMAGES = data.load().train_images[:40]
NOISY = perturb(CLEAN_IMAGES, "black_to_white", 100)


def fresh(model: str) -> networks.Net:
    """Untrained, with running averages that are not those with which it begins."""
    net = networks.build(model).train()
    with torch.no_grad():
        net(as_read(CLEAN_IMAGES))
    return net.eval()


def adapted_layer_by_layer(net: nn.Module, images: np.ndarray) -> nn.Module:
    """The obvious slow way: one pass for every layer, each with all layers before it adapted."""
    net, seen = copy.deepcopy(net).eval(), {}
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.register_forward_pre_hook(lambda layer, inputs: seen.update({layer: inputs[0]}))
    pixels, unbiased = as_read(images), {}
    with torch.no_grad():
        net(pixels)
        for layer in list(seen):  # in the order in which they are computed
            net(pixels)
            values = seen[layer].swapaxes(0, 1).flatten(1).double()
            layer.running_mean.copy_(values.mean(dim=1))
            layer.running_var.copy_(values.var(dim=1, correction=0))
            unbiased[layer] = values.var(dim=1)
        for layer, variance in unbiased.items():
            layer.running_var.copy_(variance)
    return net


@pytest.mark.parametrize("model", NORMALISED)
def test_adapted_statistics_are_those_of_an_obvious_implementation(model):
    net = fresh(model)
    before = copy.deepcopy(net.state_dict())
    found, expected = adapt(net, NOISY), adapted_layer_by_layer(net, NOISY)
    assert not any(layer.training for layer in found.modules())
    for name, value in expected.state_dict().items():
        if "running" in name:
            assert not torch.equal(before[name], value)
            torch.testing.assert_close(found.state_dict()[name], value, rtol=1e-3, atol=1e-4)
        elif "tracked" not in name:
            assert torch.equal(found.state_dict()[name], before[name]), "weights stay"
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items()), "the network stays"
    pixels = as_read(NOISY)
    shuffled = adapt(net, pixels.flip(0))
    torch.testing.assert_close(shuffled(pixels), found(pixels), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", ["fc98", "half_plain10", "cnn"])
def test_restored_moments_are_those_of_clean_images(model):
    net = fresh(model)
    before = copy.deepcopy(net.state_dict())
    wanted, moved = moments(net, CLEAN_IMAGES), moments(net, NOISY)
    restored = restore_moments(net, NOISY, wanted)
    found = moments(restored, NOISY)
    layers = [name for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert list(found) == list(wanted) == layers
    for name in layers[:-1]:  # the logits stay
        mean, variance = found[name]
        scale = wanted[name][1].sqrt().max() + wanted[name][0].abs().max()
        alive = moved[name][1] > 1e-3 * moved[name][1].max()
        assert (mean - wanted[name][0]).abs().max() < 1e-2 * scale
        assert (variance.sqrt() - wanted[name][1].sqrt()).abs()[alive].max() < 2e-2 * scale
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items()), "the network stays"


@pytest.mark.parametrize("restored", RESTORED)
def test_moments_of_a_dense_layer_by_hand(restored):
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    clean, noisy = np.random.default_rng(0).integers(0, 256, (2, 50, 2, 2)).astype(np.uint8)
    noisy[:, 0, 0] = 255
    before, after = (net[:2](as_read(images)) for images in (clean, noisy))
    mean = before.mean(0) if restored in ("all", "first", "means") else after.mean(0)
    deviation = before.std(0) if restored in ("all", "first", "variances") else after.std(0)
    expected = net[3](((after - after.mean(0)) / after.std(0) * deviation + mean).relu())
    if restored == "logits":
        expected += net(as_read(clean)).mean(0) - net(as_read(noisy)).mean(0)
    wanted = moments(net, clean)
    if restored == "rest":  # between the first and the last layer there is none
        with pytest.raises(ValueError, match="no moments 'rest'"):
            restore_moments(net, noisy, wanted, restored)
    else:
        found = restore_moments(net, noisy, wanted, restored)(as_read(noisy))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_drift_by_hand():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    clean, noisy = np.random.default_rng(0).integers(0, 256, (2, 50, 2, 2)).astype(np.uint8)
    assert drift(net, clean, clean) == {"shift": 0, "scale": 0, "margin": 1}
    before, after = (net[:2](as_read(images)).detach().numpy() for images in (clean, noisy // 2))
    ratio = after.std(0) / before.std(0)
    differences = [np.diff(net(as_read(images)).detach().numpy()) for images in (noisy // 2, clean)]
    gaps = [(found * np.sign(differences[1])).mean() for found in differences]
    expected = {
        "shift": np.sqrt((((after.mean(0) - before.mean(0)) / before.std(0, ddof=1)) ** 2).mean()),
        "scale": np.sqrt((np.log(ratio) ** 2).mean()),
        "margin": gaps[0] / gaps[1],
    }
    assert drift(net, clean, noisy // 2) == pytest.approx(expected, rel=1e-3)


def test_the_corruptions_of_mnist_c_are_as_published():
    grey, random = np.full((50, 28, 28), 128, np.uint8), np.random.default_rng(0)
    impulse = mnist_c.impulse_noise(grey, random)
    shares = [(impulse == value).mean() for value in (0, 255)]
    assert shares == pytest.approx([0.085, 0.085], abs=0.01) and set(np.unique(impulse)) == {0, 128, 255}
    shot, rate = mnist_c.shot_noise(grey, random), 3 * 128 / 255
    assert {int(255 * count / 3) for count in range(4)} == set(np.unique(shot))
    for count in (0, 1, 2):
        expected = rate**count * np.exp(-rate) / (1, 1, 2)[count]
        assert (shot == int(255 * count / 3)).mean() == pytest.approx(expected, abs=0.01)
    assert not mnist_c.shot_noise(np.zeros_like(grey), random).any()


def test_a_mixture_deals_the_images_out_to_all_noises_and_levels():
    part = Plan(model="fc", statistics="adapted", adapted_to="mixture").part("black_to_white")
    digits, index = data.load().train_images[:280], np.arange(280)
    mixed = part.adapting(digits, index, 50)
    clean = np.flatnonzero((mixed == digits).all(axis=(1, 2)))
    assert set(range(0, 280, 7)) <= set(clean) and len(clean) < 60
    np.testing.assert_array_equal(mixed[1::28], perturb(digits[1::28], USUAL_NOISES[0], 10, index=index[1::28]))
    other = Plan(model="fc", statistics="adapted", adapted_to="edge_to_altered").part("black_to_white")
    expected = perturb(digits, "edge_to_altered", 50, index=index)
    np.testing.assert_array_equal(other.adapting(digits, index, 50), expected)


def test_each_batch_is_normalised_by_itself():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    images = np.random.default_rng(0).integers(0, 256, (100, 2, 2)).astype(np.uint8)
    before = copy.deepcopy(net.state_dict())
    found = batch_predictor(net)(images)
    assert before.keys() == net.state_dict().keys() and net[0].track_running_stats, "the network stays as it is"
    for start in (0, 64):
        pixels = images[start : start + 64] / 255
        normal = torch.from_numpy((pixels - pixels.mean()) / np.sqrt(pixels.var() + 1e-5)).float()
        expected = functional.softmax(net[2](normal.flatten(1)), dim=1).detach()
        np.testing.assert_allclose(found[start : start + 64], expected, atol=1e-5)


class Standardised(nn.Linear):
    def forward(self, images):
        return functional.linear(images, self.weight / self.weight.std(), self.bias)


NORM = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2))
LAYER = nn.Linear(4, 4)
DENSE = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
ODD = nn.Sequential(nn.Flatten(), Standardised(4, 3), nn.Linear(3, 2))
FOUR = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adapt(DENSE, FOUR), "no batch normalisation.*restore_moments"),
        (lambda: batch_predictor(DENSE), "no batch normalisation"),
        (lambda: adapt(NORM, FOUR[:1]), "1 images are too few"),
        (lambda: batch_predictor(NORM)(np.repeat(FOUR, 65, axis=0)[:65]), "1 images are too few"),
        (lambda: adapt(NORM, FOUR[:0]), r"n of 1 or more, not uint8 \(0, 2, 2\)"),
        (lambda: adapt(NORM, FOUR / 255), r"float tensor.*not float64 \(4, 2, 2\)"),
        (lambda: adapt(NORM, torch.from_numpy(FOUR)), "float tensor.*not torch.uint8"),
        (lambda: adapt(NORM, [FOUR]), "not list"),
        (lambda: restore_moments(DENSE, FOUR, moments(DENSE, FOUR)), "1 convolutions.*no moments 'all'"),
        (lambda: moments(nn.Sequential(nn.Flatten(), LAYER, LAYER, nn.Linear(4, 2)), FOUR), "uses its layer 1 twice"),
        (lambda: restore_moments(ODD, FOUR[::-1] * 9, moments(ODD, FOUR)), "Standardised.*not follow its weights"),
    ],
)
def test_what_cannot_be_adapted_is_reported(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def plan(outputs, **change):
    asked = {"model": MODEL, "levels": [0, 20, 100], "noises": ["black_to_white"], "images": 70, "outputs": outputs}
    return Plan(**asked | change)


@pytest.mark.parametrize("statistics", ["batch", "adapted", "moments"])
def test_a_sweep_records_what_the_network_predicts_with_such_statistics(outputs, statistics):
    asked = plan(outputs, statistics=statistics, adapted_on=50, draw=1)
    assert sweep(asked) == {"computed": 2, "reused": 0, "checked": 0}
    assert sweep(asked)["reused"] == 2
    net, digits = networks.load(MODEL, outputs=outputs), data.load()
    for part, draw in ((asked.part(CLEAN), 0), (asked.part("black_to_white"), 1)):
        recorded = Predictions.read(part.path)
        chosen = np.random.default_rng(draw).permutation(55_000)[:50]
        clean = digits.train_images[chosen]
        for row, level in enumerate(part.recipe["levels"]):
            noisy = perturb(clean, "black_to_white", level, seed=draw, index=10_000 + chosen)
            test = perturb(digits.test_images[:70], "black_to_white", level, seed=draw)
            if statistics == "batch":
                expected = batch_predictor(net)(test)
            else:
                restored = restore_moments(net, noisy, moments(net, clean))
                expected = naive.probabilities(adapt(net, noisy) if statistics == "adapted" else restored, test)
            np.testing.assert_array_equal(recorded.predicted[row], expected.argmax(axis=1))
            true = expected[np.arange(70), digits.test_labels[:70]]
            np.testing.assert_allclose(recorded.probability[row], true, atol=1e-3)
    assert {part.statistics for part in asked.parts()} == {statistics}
    wrong = Predictions.read(asked.part("black_to_white").path)
    wrong.predicted[:] = (wrong.predicted + 1) % 10
    wrong.write(asked.part("black_to_white").path)
    with pytest.raises(ValueError, match="do not follow from the weights"):
        sweep(asked)


def test_statistics_have_files_of_their_own_and_frozen_ones_keep_their_names(tmp_path):
    adapted = {"statistics": "adapted"}
    changes = [{}, {"statistics": "batch"}, adapted, adapted | {"adapted_on": 8}, adapted | {"adapted_to": "mixture"}]
    changes += [{"statistics": "moments"} | change for change in ({}, {"restored": "first"})]
    asked = [plan(tmp_path, **change) for change in changes]
    assert len({one.part(CLEAN).path for one in asked}) == len({one.name for one in asked}) == len(asked)
    assert asked[0].part(CLEAN).recipe.keys() == {"noise", "images", "bfloat16", "levels"}
    same = plan(tmp_path, **adapted, adapted_to="black_to_white")
    assert all(same.part(noise) == asked[2].part(noise) for noise in (CLEAN, "black_to_white"))
    assert asked[0].part("black_to_white") == plan(tmp_path, adapted_on=8).part("black_to_white")
    few, many = (one.part("black_to_white").trained_on(55_000) for one in (asked[3], asked[2]))
    assert len(set(many)) == 1_000 and many.max() < 55_000 and list(many[:8]) == list(few)
