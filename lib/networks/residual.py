"""ResNets built once with options, so that one part is changed at a time.

Paper: section 6 asks for components "altered independently from one another". Residual and plain networks are those of
He et al. 2016a (arXiv:1512.03385), pre-activation that of He et al. 2016b (arXiv:1603.05027).
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lib.networks.variants import CLASSES, Variant

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # depth -> blocks in each stage
CHANNELS = 64  # behind the first convolution and in the first stage, at width 1
EXPANSION = 4  # a bottleneck's output has this many times the channels of its 3x3 convolution


class Block(nn.Module):
    """Convolutions, the addition of what came in, and ReLU (He et al. 2016a, Figure 5); or without the addition."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None):
        super().__init__()
        self.branch, self.shortcut, self.relu = branch, shortcut, nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        found = self.branch(images)
        return self.relu(found if self.shortcut is None else found + self.shortcut(images))


class PreActivationBlock(nn.Module):
    """Normalisation and ReLU first, nothing behind the addition (He et al. 2016b, Figure 4 (e))."""

    def __init__(self, activation: nn.Module, branch: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.activation, self.branch, self.shortcut = activation, branch, shortcut

    def forward(self, images: Tensor) -> Tensor:
        active = self.activation(images)  # what a projection reads, as in the authors' code
        return self.branch(active) + self.shortcut(active if isinstance(self.shortcut, nn.Conv2d) else images)


def resnet(variant: Variant) -> nn.Module:
    """A network of the family with fresh weights, from one channel to `CLASSES` logits.

    Where the number of channels or the resolution changes, the shortcut is a strided 1x1 convolution (with
    normalisation, but for pre-activation). Pre-activation's first block has no activation of its own, since one stands
    in front of it, and one more follows the last block (He et al. 2016b, section 3). Without batch normalisation the
    convolutions have a bias.

    Initial weights are torchvision's. They are drawn in the order of the layers, projections last: from the same random
    state, networks that differ in shortcuts, normalisation or pooling begin with the same weights in shared layers.
    """
    with torch.random.fork_rng(devices=[]):  # what layers draw when they are made does not count
        net = nn.Sequential(*_layers(variant))
    named = [(name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for _, layer in sorted(named, key=lambda pair: "shortcut" in pair[0]):
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
            continue
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return net


def keras_resnet50v2(momentum: float = 0.01) -> nn.Module:
    """ResNet-50V2 as `keras.applications` defines it, which uses the same name as the paper.

    The last block of a stage, not the first of the next, halves the resolution. The first convolution has a bias, and
    so have those in front of an addition. Batch normalisation has eps 1.001e-5 and momentum 0.99, which torch counts as
    0.01. Initial weights are Glorot's.
    """

    def activation(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels, eps=1.001e-5, momentum=momentum), nn.ReLU()]

    layers, before = [nn.Conv2d(1, CHANNELS, 7, 2, padding=3), nn.ZeroPad2d(1), nn.MaxPool2d(3, stride=2)], CHANNELS
    for stage, blocks in enumerate(BLOCKS[50]):
        channels, after = CHANNELS * 2**stage, EXPANSION * CHANNELS * 2**stage
        for number in range(blocks):
            stride = 2 if number == blocks - 1 and stage < 3 else 1
            branch = [nn.Conv2d(before, channels, 1, bias=False), *activation(channels)]
            branch += [nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False), *activation(channels)]
            branch += [nn.Conv2d(channels, after, 1)]
            shortcut = nn.MaxPool2d(1, stride) if number else nn.Conv2d(before, after, 1)
            layers.append(PreActivationBlock(nn.Sequential(*activation(before)), nn.Sequential(*branch), shortcut))
            before = after
    net = nn.Sequential(*layers, *activation(before), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, CLASSES))
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


def _layers(variant: Variant) -> Iterator[nn.Module]:
    channels = round(CHANNELS * variant.width)
    yield from (_convolution(variant, 1, channels, 7, 2), _norm(variant, channels), nn.ReLU(inplace=True))
    if variant.pool:
        yield nn.MaxPool2d(3, stride=2, padding=1)
    before = channels
    for stage, blocks in enumerate(BLOCKS[variant.depth]):
        for number in range(blocks):
            stride = 2 if stage > 0 and number == 0 else 1
            block, before = _block(variant, before, channels * 2**stage, stride, first=stage == number == 0)
            yield block
    if variant.skips == "preact":
        yield nn.Sequential(_norm(variant, before), nn.ReLU())
    yield from (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, CLASSES))


def _block(variant: Variant, before: int, channels: int, stride: int, first: bool) -> tuple[nn.Module, int]:
    """A block that reads `before` channels, and how many it gives; a bottleneck's stride is that of its 3x3 kernel."""
    after = channels * (EXPANSION if variant.depth >= 50 else 1)
    shapes = [(before, channels, 3, stride), (channels, after, 3, 1)]
    if variant.depth >= 50:
        shapes = [(before, channels, 1, 1), (channels, channels, 3, stride), (channels, after, 1, 1)]
    layers = []
    for shape in shapes:
        layers += [_convolution(variant, *shape), _norm(variant, shape[1]), nn.ReLU(inplace=True)]
    branch, preact = nn.Sequential(*layers[:-1]), variant.skips == "preact"
    shortcut: nn.Module = nn.Identity()
    if stride > 1 or before != after:
        projection = _convolution(variant, before, after, 1, stride)
        shortcut = projection if preact else nn.Sequential(projection, _norm(variant, after))
    if preact:  # its activation is not in place: the shortcut reads the same images
        activation = nn.Identity() if first else nn.Sequential(_norm(variant, before), nn.ReLU())
        return PreActivationBlock(activation, branch[:-1], shortcut), after
    return Block(branch, None if variant.skips == "none" else shortcut), after


def _convolution(variant: Variant, before: int, after: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=not variant.norm)


def _norm(variant: Variant, channels: int) -> nn.Module:
    """Group normalisation has 32 groups, as Wu and He 2018 (arXiv:1803.08494) advise; layer normalisation has one."""
    if variant.norm in ("group", "layer"):
        return nn.GroupNorm(32 if variant.norm == "group" else 1, channels)
    return nn.BatchNorm2d(channels) if variant.norm else nn.Identity()
