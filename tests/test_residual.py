"""The family of ResNets: the published networks at full width, and one part changed at a time."""

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib import networks
from lib.networks import DENSE, FAMILY, HIDDEN, NORMALISED, Variant
from lib.networks.residual import BLOCKS, resnet


def learnt(net: nn.Module) -> nn.Module:
    """In eval mode, with running statistics and weights of normalisation that are not those of the beginning."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                values.data.uniform_(0.5, 1.5)
    return net.eval()


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_at_full_width_they_are_torchvisions(depth):
    theirs = learnt(networks.architecture(f"resnet{depth}")())
    ours = resnet(Variant(depth, width=1)).eval()
    state, names = theirs.state_dict(), list(ours.state_dict())
    ours.load_state_dict(dict(zip(names, state.values(), strict=True)))
    parameters = [[tuple(weights.shape) for weights in net.parameters()] for net in (ours, theirs)]
    assert parameters[0] == parameters[1]
    images = torch.rand(3, 1, 56, 56)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def plain_18(images: Tensor, weights: list[Tensor]) -> Tensor:
    """Plain-18 in functions alone (He et al. 2016a, Table 1); `weights` in the order of its layers."""
    given = iter(weights)

    def layer(images: Tensor, stride: int, padding: int) -> Tensor:
        images = functional.conv2d(images, next(given), stride=stride, padding=padding)
        scale, shift, mean, variance, _ = (next(given) for _ in range(5))
        return functional.relu(functional.batch_norm(images, mean, variance, scale, shift))

    images = functional.max_pool2d(layer(images, 2, 3), 3, 2, 1)
    for stride in (1, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1):
        images = layer(images, stride, 1)
    return functional.linear(images.mean(dim=(2, 3)), next(given), next(given))


def test_plain_18_is_what_it_is_when_built_independently():
    net = learnt(networks.architecture("half_plain18")())
    images = torch.rand(3, 1, 56, 56)
    with torch.inference_mode():
        expected = plain_18(images, list(net.state_dict().values()))
        torch.testing.assert_close(net(images), expected)
    assert expected.std(dim=0).min() > 0


def test_pre_activation_is_the_sum_of_what_each_block_adds():
    """He et al. 2016b, equation (4): without projections, the last block gives the first's input plus all branches."""
    net = learnt(resnet(Variant(18, "preact")))
    stem, (first, second) = net[:4], net[4:6]
    with torch.inference_mode():
        images = stem(torch.rand(2, 1, 56, 56))
        middle = images + first.branch(images)  # already active
        after = middle + second.branch(second.activation(middle))
        torch.testing.assert_close(net[4:6](images), after)
        active = net[6].activation(after)
        torch.testing.assert_close(net[6](after), net[6].branch(active) + net[6].shortcut(active))
    assert [type(layer) for layer in first.branch] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    assert [type(layer) for layer in net[-4]] == [nn.BatchNorm2d, nn.ReLU], "a last activation behind the last block"


def kernels(model: str, seed: int = 3) -> tuple[list[Tensor], list[Tensor]]:
    """The weights of the convolutions and of the last layer, in order; then those of the projections."""
    named = [pair for pair in networks.build(model, seed).named_parameters() if pair[1].ndim > 1]
    shortcuts = [weights for name, weights in named if "shortcut" in name]
    return [weights for name, weights in named if "shortcut" not in name], shortcuts


def same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("depth", BLOCKS)
def test_shortcuts_do_not_move_the_initial_weights(depth):
    each = (kernels(f"half_{kind}{depth}") for kind in ("resnet", "plain", "preact"))
    (residual, projections), (plain, none), (preact, other) = each
    assert same(residual, plain) and same(residual, preact) and same(projections, other) and not none
    assert len(residual) == depth and len(projections) == (4 if depth == 50 else 3)
    for model in ("half_resnet18_nobn", "half_resnet18_nopool") if depth == 18 else ():
        assert all(map(same, kernels(model), (residual, projections))), "nor do other parts"


NORMS = {"_nobn": None, "_gn": 32, "_ln": 1}  # end of a name -> groups of channels that are normalised together


@pytest.mark.parametrize("name", FAMILY | NORMALISED)
def test_each_variant_has_the_layers_its_name_says(name):
    variant = (FAMILY | NORMALISED)[name]
    *width, kind = re.sub("_(nobn|gn|ln|nopool)$", "", name).split("_")
    net = networks.architecture(name)()
    assert net[0].out_channels == 64 * {"quarter": 1 / 4, "half": 1 / 2}.get("".join(width), 1)
    assert net.eval()(torch.rand(2, 1, 56, 56)).shape == (2, 10)
    groups = {module.num_groups for module in net.modules() if isinstance(module, nn.GroupNorm)}
    expected = next((NORMS[end] for end in NORMS if name.endswith(end)), "batch")
    assert groups == ({expected} if isinstance(expected, int) else set())
    assert any(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == (expected == "batch")
    assert any(isinstance(module, nn.MaxPool2d) for module in net.modules()) == ("nopool" not in name)
    biased = {module.bias is not None for module in net.modules() if isinstance(module, nn.Conv2d)}
    assert biased == {expected is None}
    assert kind.rstrip("0123456789") == {"residual": "resnet", "none": "plain"}.get(variant.skips, variant.skips)
    assert kind.endswith(str(variant.depth)) and variant.title == networks.TITLES[name]
    assert len({networks.title(name) for name in networks.NETS}) == len(networks.NETS)


@pytest.mark.parametrize("model", [*HIDDEN, *DENSE])
def test_fully_connected_nets_have_the_layers_their_names_say(model):
    words = model.split("_")
    units = int(words[0].removeprefix("fc") or 3136)
    activation = nn.Tanh if "tanh" in words else nn.Sigmoid if "sigmoid" in words else nn.ReLU
    hidden = [activation, nn.BatchNorm1d] if "after" in words else [nn.BatchNorm1d, activation]
    net = networks.architecture(model)()
    assert [type(layer) for layer in net[2:-1]] == (hidden if "bn" in words else [activation])
    assert (net[1].in_features, net[1].out_features, net[-1].out_features) == (3136, units, 10)


@pytest.mark.parametrize(
    "change", [{}, {"skips": "none"}, {"skips": "preact"}, {"norm": False}, {"norm": "layer"}, {"pool": False}]
)
def test_every_weight_is_trained(change):
    """No layer is left out of the sum, and none ends in a ReLU that never opens."""
    torch.manual_seed(0)
    net = resnet(replace(Variant(10, width=0.25), **change))
    functional.cross_entropy(net(torch.rand(8, 1, 56, 56)), torch.arange(8)).backward()
    assert all(weights.grad is not None and weights.grad.abs().sum() > 0 for weights in net.parameters())
