import copy
import functools
import logging
import re
from contextlib import nullcontext

import naive
import numpy as np
import pytest
import strange
import torch
import torchvision.models as tv
from torch import nn

from lib import networks
from lib.adversarial import runs
from lib.adversarial.runs import AttackPlan
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
from lib.explorer import one_digit
from lib.networks import probe
from lib.networks.inference import predictor
from lib.noise import perturb
from lib.store import data
from lib.store.files import OUTPUTS
from lib.training.fit import train
from lib.training.recipe import Recipe
from lib.training.rehearsal import rehearse


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The digits are read by every rehearsal; here once for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", functools.cache(data.load))
        yield


def built(name: str) -> networks.Net:
    return networks.build(f"strange:{name}").eval()


@pytest.mark.parametrize("name", strange.FIT)
def test_a_network_that_can_be_measured_passes(name):
    rehearse(Recipe(model=f"strange:{name}"))


@pytest.mark.parametrize("name", strange.UNFIT)
def test_a_network_that_cannot_is_reported_in_a_line_before_anything_is_written(name, tmp_path):
    with pytest.raises(ValueError, match=strange.UNFIT[name][1]) as raised:
        train(Recipe(model=f"strange:{name}", outputs=tmp_path))
    assert "\n" not in str(raised.value) and str(raised.value).startswith(f"strange:{name} ")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("timm:vit_small_patch32_224", "reads 256 of 784 pixels: the one in row 0, column 16"),
        ("timm:hrnet_w18_small", "cannot evaluate 30 images: RuntimeError"),
        ("timm:botnet26t_256", r"cannot .*: AssertionError \(\w+.py, line \d+: _assert"),
    ],
)
def test_a_timm_name_that_cannot_read_the_whole_image_is_reported(model, message):
    with pytest.raises(ValueError, match=message) as raised:
        rehearse(Recipe(model=model))
    assert "\n" not in str(raised.value)


# One network of each kind; their tables are tested in test_nets.py and test_residual.py.
KINDS = ["fc", "resnet18", "resnetv2_50", "vgg19", "efficientnet_b1", "cnn", "fc_rgb", "fc_sigmoid_bn_after"]
KINDS += ["half_plain18_nobn", "half_preact18", "half_resnet50", "resnet18_ln"]
KINDS += ["tiny:conv_net", "timm:convnext_atto", "timm:vit_small_patch8_224"]


@pytest.mark.slow
@pytest.mark.parametrize("model", KINDS)
def test_a_fresh_network_of_the_paper_passes(model):
    rehearse(Recipe(model=model))


@pytest.mark.evidence
@pytest.mark.parametrize("path", sorted((OUTPUTS / "weights").glob("*.safetensors")), ids=lambda path: path.stem)
def test_a_recorded_network_passes(path):
    recipe = Recipe.of(networks.read_record(path))
    net = networks.load(recipe.model, recipe.seed)
    assert networks.probed(net, recipe.model) is net


@pytest.mark.parametrize(
    ("name", "train_images", "batch_size", "fits"),
    [("with_batch_norm", 1025, 64, False), ("with_batch_norm", 1025, 100, True), ("dense", 1025, 64, True)],
)
def test_a_last_batch_of_one_image_is_refused_where_it_cannot_be_trained_on(name, train_images, batch_size, fits):
    message = f"^train_images={train_images} in batches of {batch_size} .* one image;.*Expected more than 1 value"
    with nullcontext() if fits else pytest.raises(ValueError, match=message):
        rehearse(Recipe(model=f"strange:{name}@few", train_images=train_images, batch_size=batch_size))


@pytest.mark.parametrize("name", ["dropout_in_training", "dropout_for_ever", "with_batch_norm"])
def test_no_random_number_is_taken_and_a_probed_network_is_left_as_it_was(name):
    torch.manual_seed(99)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises(ValueError) if name in strange.UNFIT else nullcontext():
        rehearse(Recipe(model=f"strange:{name}"))
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpys).all()  # noqa: NPY002
    net = built("with_batch_norm")
    weights = copy.deepcopy(net.state_dict())
    assert networks.probed(net, "mine") is net and not net.training
    assert all(torch.equal(net.state_dict()[name], value) for name, value in weights.items())
    assert all(value.grad is None for value in net.parameters())


@pytest.mark.parametrize("name", ["skipping", "cropping_in_the_dark", "leaving_an_edge"])
def test_unread_pixels_are_those_that_change_nothing_one_by_one(name):
    net = built(name)
    images = probe.as_read(probe.probe_digits()[::3])
    with torch.no_grad():
        expected = net(images)
        changing = np.zeros((28, 28), bool)
        for row, column in np.ndindex(28, 28):
            for brightness in (0, 1):
                changed = images.clone()
                changed[:, 0, row, column] = brightness
                changing[row, column] |= not torch.equal(net(changed), expected)
        np.testing.assert_array_equal(probe.unread_pixels(net, name, images), ~changing)


def test_the_digits_are_of_every_class_and_of_every_noise():
    digits, found = probe.probe_digits(), data.load()
    classes = [found.train_labels[(found.train_images == digit).all(axis=(1, 2))][0] for digit in digits[:10]]
    assert classes == list(range(10))
    altered = (digits[10:].reshape(4, 5, 28, 28) != digits[:5]).sum(axis=(2, 3))
    assert (altered > 50).all() and (altered <= 200).all()


@pytest.mark.parametrize(
    "name", ["without_bias", "negative", "doubled_by_a_hook", "weight_norm", "computing_in_float64", "lazy", "viewing"]
)
@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_every_engine_predicts_as_the_network_does(name, engine, caplog):
    net = built(name)
    images = perturb(data.load().test_images[:130], "black_to_white", 40)
    np.testing.assert_allclose(predictor(net, engine)(images), naive.probabilities(net, images), atol=1e-4)
    assert not caplog.records


def negative_when_traced(images: torch.Tensor) -> torch.Tensor:
    return -images if torch.jit.is_tracing() else images


def refuse_two(images: torch.Tensor) -> torch.Tensor:
    """Networks are traced with two images."""
    if len(images) == 2:
        raise ValueError("not two images")
    return images


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (strange.OneByOne(0.0), "takes values out of its tensors"),
        (strange.Sparse(9.0), "takes values out of its tensors"),
        (strange.Masked(9.0), "takes values out of its tensors"),
        (strange.Around(negative_when_traced), "OpenVINO's probabilities differ from torch's by up to 0"),
        (strange.Around(refuse_two), "OpenVINO cannot run this network: .*not two images"),
    ],
)
def test_where_openvino_cannot_follow_torch_is_used_and_it_is_said(body, message, caplog):
    net = networks.Net(body).eval()
    images = perturb(data.load().test_images[:130], "black_to_white", 40)
    with caplog.at_level(logging.WARNING):
        found = predictor(net)(images)
    np.testing.assert_allclose(found, naive.probabilities(net, images), atol=1e-5)
    (record,) = caplog.records
    assert re.fullmatch(f".*{message}.*; torch is used instead, which is slower", str(record.msg))  # one line
    with pytest.raises(ValueError, match=f"{message}.*choose engine='torch'"):
        predictor(net, "openvino")


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_network_in_bfloat16_is_evaluated(engine):
    net, digits = networks.Net(strange.Inside(strange.in_bfloat16)).eval(), probe.probe_digits()
    expected = naive.probabilities(networks.Net(net.body.inner).eval(), digits)
    np.testing.assert_allclose(predictor(net, engine)(digits), expected, atol=0.02)


def stored(name: str, outputs) -> str:
    """Weights on disk of a network that was never probed."""
    recipe = Recipe(model=f"strange:{name}", outputs=outputs)
    networks.save_weights(networks.build(recipe.model), recipe.weights, {"recipe": recipe.recorded})
    return recipe.model


@pytest.mark.parametrize("name", ["by_statistics_of_the_batch", "leaving_an_edge", "not_finite", "nine"])
def test_no_sweep_attack_or_viewer_asks_a_network_that_cannot_be_measured(name, tmp_path):
    model = stored(name, tmp_path)
    for ask in (
        lambda: sweep(Plan(model=model, images=10, draws=1, outputs=tmp_path)),
        lambda: runs.run(AttackPlan(model=model, images=2, attacks=["deepfool"], outputs=tmp_path)),
        lambda: one_digit.look(one_digit.State(model=model, outputs=tmp_path)),
    ):
        with pytest.raises(ValueError, match=strange.UNFIT[name][1]):
            ask()
        assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_the_explorer_shows_the_papers_networks_without_the_probe(monkeypatch):
    """They pass it, as the tests above hold, and it would double the wait for the first prediction."""
    monkeypatch.setattr(probe, "probed", pytest.fail)
    state = one_digit.State(model="fc", number=0)
    one_digit._loaded.cache_clear()
    assert one_digit.look(state).before.argmax() == state.label


def test_lazy_layers_have_their_shapes_and_follow_the_seed():
    assert networks.parameters("strange:lazy") == 64 * 4 + 4 + 2 * 4 + 4 * 13 * 13 * 10 + 10
    assert networks.parameters("strange:lazy", 28) == 64 * 4 + 4 + 2 * 4 + 4 * 6 * 6 * 10 + 10
    one, same, other = (networks.build("strange:lazy", seed).body[3].weight for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert networks.build("strange:lazy").training


def test_only_a_vgg_whose_pooling_repeats_is_folded():
    with torch.device("meta"):
        whole, shorter, unpooled = tv.vgg11(), tv.vgg11(), tv.vgg11()
    del shorter.features[-1]
    unpooled.avgpool = nn.Identity()
    assert [networks.repeats_of(networks.Net(body)) for body in (whole, shorter, unpooled)] == [49, 0, 0]
