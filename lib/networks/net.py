"""A network as it is trained and asked: normalisation and upscaling before the architecture."""

import math
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy

from lib.networks.architectures import CLASSES, NETS, RESIZE, SIZE, architecture, check_size, mean_and_deviation
from lib.store.files import in_short

FOLDED = "body.classifier.0.weight"  # in VGG
LIBRARIES = ("torch", "torchvision", "timm", "lib")  # whose modules take images in any memory format


class Net(nn.Module):
    """From (n, 1, 28, 28) floats in [0, 1] to (n, 10) logits.

    Normalisation and the upscaling to `size` are its first steps, so that they travel with the weights; images that are
    of this size already stay as they are.
    """

    def __init__(
        self, body: nn.Module, normalize: str | Sequence[float] = "mnist", resize: str = "nearest", size: int = SIZE
    ):
        super().__init__()
        self.mean, self.deviation = mean_and_deviation(normalize)
        self.resize, self.size = resize, size
        self.body = body

    @property
    def reads(self) -> str:
        """What its body is given, in words."""
        return f"1x{self.size}x{self.size}"

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.deviation
        images = functional.interpolate(images, size=(self.size, self.size), mode=self.resize)
        return self.body(images)


def build(
    model: str,
    seed: int = 0,
    *,
    normalize: str | Sequence[float] = "mnist",
    resize: str = "nearest",
    size: int = SIZE,
) -> Net:
    """A network with fresh weights: the same seed gives the same ones, and torch's own generator is left alone.

    Raises:
        ValueError: if `model`, `normalize`, `resize` or `size` is unknown, or the network cannot be made; a line.
    """
    mean_and_deviation(normalize)
    if resize not in RESIZE:
        raise ValueError(f"unknown resize {resize!r}; choose from {', '.join(RESIZE)}")
    make = architecture(model)
    if isinstance(make, nn.Module):
        raise ValueError(f"{model} is a module; allowed is a function that returns a new one")
    check_size(model, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            body = make()
            if isinstance(body, nn.Module):
                _give_shapes(body, size)
        except (Exception, SystemExit) as error:  # of anyone's code
            told = in_a_line(error)
            raise ValueError(f"{model} cannot be made for 1x{size}x{size} and {CLASSES} classes: {told}") from None
    if not isinstance(body, nn.Module):
        raise ValueError(f"{model} gives a {type(body).__name__}; allowed is a function that returns a torch module")
    return Net(body, normalize, resize, size)


def _give_shapes(body: nn.Module, size: int) -> None:
    """Let lazy layers, which learn their shapes from the first images, see some."""
    if any(map(is_lazy, (*body.parameters(), *body.buffers()))):
        with torch.no_grad():
            body.eval()(torch.zeros(2, 1, size, size))
        body.train()


def in_a_line(error: BaseException) -> str:
    """What somebody else's code raised, and where: the last line outside torch."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{Path(torch.__file__).parent}/" not in frame.filename] or frames
    return f"{in_short(error)} ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})"


@cache
def parameters(model: str) -> int:
    """How many numbers the training of a network sets.

    Raises:
        ValueError: as `build`.
    """
    return sum(weights.numel() for weights in _shapes(model).parameters())


@cache
def effective_parameters(model: str) -> int:
    """The same without copies: VGG's pooling repeats each input of its first dense layer (`repeats_of`)."""
    net = _shapes(model)
    repeats = repeats_of(net) or 1
    copies = net.get_parameter(FOLDED).numel() * (repeats - 1) // repeats if repeats > 1 else 0
    return parameters(model) - copies


def _shapes(model: str) -> Net:
    """A network whose weights do not matter: none for those of `NETS`, while anyone's own may need some to be made."""
    if model.partition("@")[0] not in NETS:
        return build(model)
    with torch.device("meta"):
        return Net(architecture(model)())


def upscale(images: np.ndarray, size: int, resize: str) -> np.ndarray:
    """Images (n, H, H) uint8 as (n, size, size) uint8, as `Net` upscales them, to the nearest brightness."""
    if images.shape[1:] == (size, size):
        return images
    upscaled = functional.interpolate(torch.from_numpy(images.copy()).float()[:, None], size=(size, size), mode=resize)
    return upscaled[:, 0].round().to(torch.uint8).numpy()


def memory_format(net: nn.Module) -> torch.memory_format:
    """channels_last, except for modules of one's own, and for grouped convolutions on a processor without AVX-512.

    The latter (EfficientNet) trained 4 times slower with it there, with AVX-512 1.6 times faster
    (`benchmarks/sweep.py`); the former may call `Tensor.view`, which cannot flatten such images.
    """
    grouped = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in net.modules())
    slow = grouped and torch.backends.cpu.get_cpu_capability() != "AVX512"
    own = any(type(module).__module__.partition(".")[0] not in LIBRARIES for module in net.modules())
    return torch.contiguous_format if slow or own else torch.channels_last


def folded(net: Net) -> Net:
    """VGG without its pooling and with its first dense layer folded (`repeats_of`); any other network as it is.

    The logits are the same, with a quarter of the weights.
    """
    if not (repeats := repeats_of(net)):
        return net
    first, *rest = net.body.classifier
    dense = nn.Linear(first.in_features // repeats, first.out_features)
    with torch.no_grad():
        dense.weight.copy_(fold(first.weight, repeats))
        dense.bias.copy_(first.bias)
    small = Net(nn.Sequential(net.body.features, nn.Flatten(), dense, *rest), resize=net.resize, size=net.size)
    small.mean, small.deviation = net.mean, net.deviation
    return small.train(net.training)


def repeats_of(net: Net) -> int:
    """How often VGG's pooling repeats each feature: at 56x56 its last map is 1x1, and 7x7 pooling copies it 49 times.

    The copies' weights then act as their sum alone, and share it equally when restored. 0 for other networks.
    """
    body = net.body
    if type(body) is not tv.VGG or not isinstance(body.avgpool, nn.AdaptiveAvgPool2d):
        return 0
    halvings = sum(isinstance(layer, nn.MaxPool2d) for layer in body.features)
    return math.prod(body.avgpool.output_size) if net.size >> halvings == 1 else 0


def fold(weights: Tensor, repeats: int) -> Tensor:
    """A dense layer's weights (out, in) where `repeats` inputs each are always equal: one column for all of them."""
    return weights.unflatten(1, (-1, repeats)).sum(dim=2)  # (4096, 512)
