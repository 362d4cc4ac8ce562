"""A network as it is trained and evaluated: normalisation and upscaling before the architecture."""

import copy
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
LIBRARIES = ("torch.nn.", "torchvision.", "timm.", "lib.")  # whose modules take images in any memory format


class Net(nn.Module):
    """From (n, 1, 28, 28) floats in [0, 1] to (n, 10) logits: normalisation, upscaling to `size`, then the body."""

    def __init__(
        self, body: nn.Module, normalize: str | Sequence[float] = "mnist", resize: str = "nearest", size: int = SIZE
    ):
        super().__init__()
        self.mean, self.deviation = mean_and_deviation(normalize)
        self.resize, self.size, self.body = resize, size, body

    @property
    def reads(self) -> str:
        """The shape of an image as its body reads it: `1x56x56`."""
        return f"1x{self.size}x{self.size}"

    def __deepcopy__(self, memo: dict) -> "Net":
        """A copy without gradients of computed tensors (the weights of `nn.utils.prune`), which torch cannot copy."""
        for module in self.modules():
            computed = {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
            vars(module).update({name: value.detach() for name, value in computed.items() if not value.is_leaf})
        memo[id(self)] = other = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(vars(self), memo))
        return other

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.deviation
        images = functional.interpolate(images, size=(self.size, self.size), mode=self.resize)
        return self.body(images)


def build(
    model: str, seed: int = 0, *, normalize: str | Sequence[float] = "mnist", resize: str = "nearest", size: int = SIZE
) -> Net:
    """A network with fresh weights, decided by the seed; ValueError if an argument is unknown or it cannot be made."""
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
            if isinstance(body, nn.Module) and any(map(is_lazy, (*body.parameters(), *body.buffers()))):
                with torch.no_grad():
                    body.eval()(torch.zeros(2, 1, size, size))  # lazy layers take their shapes from the first images
                body.train()
        except (Exception, SystemExit) as error:  # of anyone's code
            problem = in_a_line(error)
            raise ValueError(f"{model} cannot be made for 1x{size}x{size} and {CLASSES} classes: {problem}") from None
    if not isinstance(body, nn.Module):
        raise ValueError(f"{model} gives a {type(body).__name__}; allowed is a function that returns a torch module")
    return Net(body, normalize, resize, size)


def in_a_line(error: BaseException) -> str:
    """An error raised by a module from outside this project, and the last line outside torch that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{Path(torch.__file__).parent}/" not in frame.filename] or frames
    return f"{in_short(error)} ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})"


@cache
def parameters(model: str, size: int = SIZE) -> int:
    """Number of trained parameters, which depends on the images' `size` where layers are lazy."""
    return sum(weights.numel() for weights in _shapes(model, size).parameters())


@cache
def effective_parameters(model: str) -> int:
    """The same without copies: VGG's pooling repeats each input of its first dense layer (`repeats_of`)."""
    net = _shapes(model, SIZE)
    repeats = repeats_of(net)
    return parameters(model) - (net.get_parameter(FOLDED).numel() * (repeats - 1) // repeats if repeats else 0)


def _shapes(model: str, size: int) -> Net:
    """A network of which only the shapes count: without values for `NETS`; other modules may need values."""
    if model.partition("@")[0] not in NETS:
        return build(model, size=size)
    with torch.device("meta"):
        return Net(architecture(model)(), size=size)


def upscale(images: np.ndarray, size: int, resize: str) -> np.ndarray:
    """Images (n, H, H) uint8 upscaled to (n, size, size) uint8 as by `Net`, rounded to whole brightnesses."""
    if images.shape[1:] == (size, size):
        return images
    upscaled = functional.interpolate(torch.from_numpy(images.copy()).float()[:, None], size=(size, size), mode=resize)
    return upscaled[:, 0].round().to(torch.uint8).numpy()


def memory_format(net: nn.Module) -> torch.memory_format:
    """channels_last, but contiguous for modules from outside `LIBRARIES`, and for slow grouped convolutions.

    Modules from elsewhere may call `Tensor.view`, which cannot flatten channels_last images. Grouped convolutions train
    4 times slower with channels_last without AVX-512, and 1.6 times faster with it (`benchmarks/sweep.py`).
    """
    grouped = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in net.modules())
    slow = grouped and torch.backends.cpu.get_cpu_capability() != "AVX512"
    other = any(not type(module).__module__.startswith(LIBRARIES) for module in net.modules())
    return torch.contiguous_format if slow or other else torch.channels_last


def device() -> torch.device:
    """Where networks are trained and evaluated: on a CUDA card if there is one, else on the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")  # nothing recorded was compared with MPS


def machine(net: nn.Module) -> dict:
    """For a record: the device that the network is on, the processor and its instructions, threads and precision."""
    from llvmlite.binding import get_host_cpu_name

    where = next(net.parameters()).device
    on_card = where.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(where) if on_card else where.type,
        "processor": get_host_cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": "tf32" if on_card and torch.backends.cudnn.allow_tf32 else "float32",
    }


def folded(net: Net) -> Net:
    """VGG with the same logits from a quarter of the weights (`repeats_of`); any other network unchanged."""
    if not (repeats := repeats_of(net)):
        return net
    first, *rest = net.body.classifier
    dense = nn.Linear(first.in_features // repeats, first.out_features)
    with torch.no_grad():
        dense.weight.copy_(fold(first.weight, repeats))
        dense.bias.copy_(first.bias)
    body = nn.Sequential(net.body.features, nn.Flatten(), dense, *rest)
    return Net(body, (net.mean, net.deviation), net.resize, net.size).train(net.training)


def repeats_of(net: Net) -> int:
    """How often VGG's pooling repeats each feature, 49 times for images of 56x56; only their weights' sum matters."""
    body = net.body
    if type(body) is not tv.VGG or not isinstance(body.avgpool, nn.AdaptiveAvgPool2d):
        return 0
    halvings = sum(isinstance(layer, nn.MaxPool2d) for layer in body.features)
    return math.prod(body.avgpool.output_size) if net.size >> halvings == 1 else 0


def fold(weights: Tensor, repeats: int) -> Tensor:
    """A dense layer's weights (out, in) with one column for every `repeats` inputs, which are always equal."""
    return weights.unflatten(1, (-1, repeats)).sum(dim=2)  # (4096, 512)
