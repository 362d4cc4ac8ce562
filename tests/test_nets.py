import json
import shlex
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lib import networks
from lib.networks import inference
from lib.store import data
from lib.store.files import file_hash
from lib.training.recipe import Recipe

BATCH_NORM = ("_bn", "_bn_after", "_tanh_bn", "_tanh_bn_after", "_sigmoid_bn", "_sigmoid_bn_after")
# Parameters of the published architectures with a one-channel first convolution and ten classes, counted by hand from
# torchvision's (timm's for V2) ImageNet counts: minus 2 channels of the first kernel, minus 990 rows of the last layer.
PUBLISHED = {
    "fc": 3136 * 3136 + 3136 + 31360 + 10,
    "resnet18": 11_689_512 - 2 * 64 * 49 - 990 * 513,
    "resnet34": 21_797_672 - 2 * 64 * 49 - 990 * 513,
    "resnet50": 25_557_032 - 2 * 64 * 49 - 990 * 2049,
    "resnet101": 44_549_160 - 2 * 64 * 49 - 990 * 2049,
    "resnetv2_50": 25_549_352 - 2 * 64 * 49 - 990 * 2049,
    "vgg19": 143_667_240 - 2 * 64 * 9 - 990 * 4097,
    "efficientnet_b1": 7_794_184 - 2 * 32 * 9 - 990 * 1281,
    "fc_rgb": 3 + 3 * 3136 * 3136 + 3136 + 31360 + 10,
    "resnetv2_50_stem": 25_549_352 - 2 * 64 * 49 - 990 * 2049 + 2 * 64,
    **dict.fromkeys(("resnetv2_50_keras", "resnetv2_50_keras_m"), 25_568_360 - 2 * 64 * 49 - 990 * 2049),  # trainable
    **{f"fc{hidden}": (3136 + 1) * hidden + (hidden + 1) * 10 for hidden in (98, 392, 784, 1568, 6272)},
    "vgg19_bn": 143_678_248 - 2 * 64 * 9 - 990 * 4097,
    **dict.fromkeys(("resnet18_gn", "resnet18_ln"), 11_689_512 - 2 * 64 * 49 - 990 * 513),
    "resnet18_nobn": 11_689_512 - 2 * 64 * 49 - 990 * 513 - 4_800,  # a bias in place of two numbers for each channel
    **dict.fromkeys(("fc_tanh", "fc_sigmoid"), 3136 * 3136 + 3136 + 31360 + 10),
    **{f"fc{name}": 3136 * 3136 + 3 * 3136 + 31360 + 10 for name in BATCH_NORM},
    "cnn": (25 + 3) * 20 + (16 * 20 + 3) * 70 + (9 * 70 + 3) * 256 + (25 * 256 + 1) * 10,
}


TIMM = ["timm:convnext_atto", "timm:vit_small_patch14_dinov2", "timm:mobilenetv3_small_100"]


@pytest.mark.slow
@pytest.mark.parametrize("model", [*(name for name in networks.NETS if name not in networks.FAMILY), *TIMM])
def test_networks_have_the_published_size_and_ten_logits(model):
    net = networks.build(model).eval()
    assert model in TIMM or networks.parameters(model) == PUBLISHED[model]
    with torch.inference_mode():
        assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fc", "efficientnet_b1", "timm:convnext_atto", "tiny:conv_net"])
def test_the_seed_decides_the_weights_and_nothing_else_moves(model):
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    one, same, other = networks.build(model, 1), networks.build(model, 1), networks.build(model, 2)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_network_normalises_and_doubles_every_pixel():
    images = torch.rand(2, 1, 28, 28)
    expected = ((images - 0.1307) / 0.3081).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(networks.Net(nn.Identity())(images), expected)


@pytest.mark.parametrize("size", networks.SIZES)
@pytest.mark.parametrize("resize", networks.RESIZE)
def test_the_body_sees_the_size_that_is_chosen(size, resize):
    images = torch.randint(256, (2, 1, 28, 28), dtype=torch.uint8)
    seen = networks.Net(nn.Identity(), "none", resize, size)(images.float())
    expected = networks.upscale(images[:, 0].numpy(), size, resize)
    assert seen.shape == (2, 1, size, size)
    torch.testing.assert_close(seen[:, 0].round().to(torch.uint8), torch.from_numpy(expected))
    if size == 28 or resize == "nearest":
        assert torch.equal(seen[:, :, :: size // 28, :: size // 28], images.float())


@pytest.mark.parametrize("model", [*networks.HIDDEN, "fc_rgb", "cnn"])
def test_networks_of_one_size_say_so(model):
    for make in (networks.build, Recipe):
        with pytest.raises(ValueError, match=r"reads images of 56x56 alone, not of 112x112"):
            make(model=f"{model}@word", size=112)


def test_a_dense_net_of_ones_own_is_collapsed_at_any_size():
    body = nn.Sequential(nn.Flatten(), nn.Linear(112 * 112, 10))
    net = networks.Net(body, "mnist", "bilinear", 112).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    assert inference._collapsed(net)[1].in_features == 784
    np.testing.assert_allclose(networks.predictor(net)(images), naive.probabilities(net, images), atol=1e-4)


def test_the_small_cnn_reads_the_images_as_they_were():
    """Schott et al. have no upscaling: the body on 56x56 is the four convolutions on 28x28, to the last bit."""
    net = networks.build("cnn", normalize="none").eval()
    images = torch.rand(5, 1, 28, 28)
    with torch.inference_mode():
        assert torch.equal(net(images), net.body[1:](images))
    assert net.body[1:](images).shape == (5, 10)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"model": "resnt50"}, "unknown model 'resnt50'; choose from fc, .*timm:NAME, or package.module:func"),
        ({"model": "timm:resnet5o"}, "timm has no model 'resnet5o'"),
        ({"model": "no_such_module:net"}, "cannot import 'no_such_module:net'.*choose from fc"),
        ({"model": "tiny:no_such_function"}, "cannot import 'tiny:no_such_function'"),
        ({"normalize": "minst"}, "unknown normalize 'minst'; choose from mnist, none, imagenet, fashion-mnist"),
        ({"resize": "area"}, "unknown resize 'area'; choose from nearest, bilinear"),
        ({"size": 32}, "unknown size 32; choose from 28, 56, 112"),
    ],
)
def test_what_is_unknown_lists_the_choices(chosen, message):
    with pytest.raises(ValueError, match=message):
        networks.build(**{"model": "resnet18"} | chosen)


def test_a_network_without_weights_names_the_command(tmp_path):
    message = r"resnet34 .* is not trained.*make train MODEL=resnet34 SEED=3"
    with pytest.raises(FileNotFoundError, match=message) as raised:
        networks.load("resnet34", 3, outputs=tmp_path / "a b")
    assert shlex.split(str(raised.value).partition("with: ")[2])[-1] == f"ARGS=-p outputs '{tmp_path / 'a b'}'"
    with pytest.raises(ValueError, match="unknown model"):
        networks.load("resnet33", outputs=tmp_path)


def test_weights_come_back_as_they_were_stored(tmp_path):
    net = networks.build("tiny:conv_net", 5)
    with torch.no_grad():
        net.body[1].running_mean += 1 / 3
    path = networks.weights_path("tiny:conv_net", 5, tmp_path)
    networks.save_weights(net, path, {"recipe": Recipe(model="tiny:conv_net", seed=5).recorded, "note": 1})
    loaded = networks.load("tiny:conv_net", 5, tmp_path)
    assert not loaded.training and networks.read_record(path)["note"] == 1
    for name, value in net.state_dict().items():
        kept = value.half().float() if value.ndim > 1 else value
        assert torch.equal(loaded.state_dict()[name], kept), name
        assert loaded.state_dict()[name].dtype == value.dtype


def test_weights_that_are_not_those_of_their_record_are_refused(tmp_path):
    path = networks.weights_path("tiny:conv_net", 5, tmp_path)
    record = {"recipe": Recipe(model="tiny:conv_net", seed=5).recorded}
    networks.save_weights(networks.build("tiny:conv_net", 5), path, record)
    path.with_suffix(".json").write_text(json.dumps(record | {"weights": file_hash(path)}))
    networks.load("tiny:conv_net", 5, tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80  # the sign of a number, which stays finite
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"conv_net-seed5.safetensors is not the file that was trained.*restore it"):
        networks.load("tiny:conv_net", 5, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("resize", networks.RESIZE)
def test_vgg_folds_for_storage_and_for_speed_and_gives_the_same_logits(resize):
    net, restored = (networks.build("vgg19", seed, normalize="imagenet", resize=resize).eval() for seed in (0, 1))
    for parameter in net.parameters():  # as far as float16 stores them without rounding, save for the folded layer
        parameter.data = parameter.data.half().float()
    stored = networks.as_stored(net)
    assert stored[networks.FOLDED].shape == (4096, 512)
    assert sum(value.nbytes for value in stored.values()) < 80e6
    networks.restore(restored, stored)
    small = networks.folded(net)
    assert networks.parameters("vgg19") - networks.effective_parameters("vgg19") == (25088 - 512) * 4096
    assert sum(weights.numel() for weights in small.parameters()) == networks.effective_parameters("vgg19")
    assert networks.effective_parameters("resnet18") == networks.parameters("resnet18")
    images = torch.rand(3, 1, 28, 28)
    with torch.inference_mode():
        logits = net(images)
        torch.testing.assert_close(restored(images), logits, rtol=0, atol=2e-3 * float(logits.std()))
        torch.testing.assert_close(small(images), logits, rtol=0, atol=1e-4 * float(logits.std()))
    again = networks.as_stored(restored)
    assert all(torch.equal(again[name], stored[name]) for name in stored)
    other = networks.build("cnn")
    assert networks.folded(other) is other


def test_threads_do_not_take_each_others_predictions():
    """As a viewer's steps do, beside the notebook's own cells."""
    predict = networks.predictor(networks.build("cnn").eval(), engine="openvino")
    some, more = (data.load().test_images[first : first + n] for first, n in ((0, 10), (50, 25)))
    expected = [predict(some), predict(more)]
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(predict, 100 * [some, more])):
            np.testing.assert_array_equal(found, expected[number % 2])


@pytest.mark.parametrize(("capability", "efficientnet"), [("AVX2", "contiguous_format"), ("AVX512", "channels_last")])
def test_memory_format_follows_network_and_processor(monkeypatch, capability, efficientnet):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert networks.memory_format(networks.build("efficientnet_b1")) == getattr(torch, efficientnet)
    assert networks.memory_format(networks.build("resnet18")) == torch.channels_last
    assert networks.memory_format(networks.build("strange:viewing")) == torch.contiguous_format


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.1}, "'learning_rate': 0.1.* is not the paper's recipe.*'fc@WORD'"),
        ({"train_images": 55_001}, "less than or equal to 55000"),
        ({"normalize": "minst"}, "unknown normalize 'minst'; choose from mnist, none, .*dataset"),
        ({"dataset": "fashion"}, "unknown data set 'fashion'; choose from mnist, fashion-mnist"),
        ({"model": "resnet18", "size": 28}, "'size': 28.* is not the paper's recipe.*'resnet18@WORD'"),
        ({"model": "resnet18@32", "size": 32}, "Input should be 28, 56 or 112"),
        ({"lr": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_recipe_is_reported(change, message):
    with pytest.raises(ValidationError, match=message):
        Recipe(**{"model": "fc"} | change)
