"""The networks by name: the paper's eight (section 3.3), the CNN of Table 2, variants of them, timm's, and your own."""

from __future__ import annotations  # torch, torchvision and timm are imported where a network is made

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator

from lib.networks.variants import CLASSES, DENSE, FAMILY, HIDDEN, NORMALISED, SIZE, Variant
from lib.store.parameters import imported

if TYPE_CHECKING:
    from torch import nn

PIXELS = SIZE * SIZE
SIZES = (28, 56, 112)  # pixels a side to which the images may be upscaled

# Mean and standard deviation of brightness in [0, 1]; ImageNet's are the averages of its three channels.
NORMALIZE = {
    "mnist": (0.1307, 0.3081),
    "none": (0.0, 1.0),
    "imagenet": (0.449, 0.226),
    "fashion-mnist": (0.2860, 0.3530),
}
LONGEST = 120  # bytes of a network's name: most file systems allow 255 for a file's, of which ours add up to 80
RESIZE = ("nearest", "bilinear")
ENGINES = ("auto", "openvino", "torch")  # what computes a network's predictions
STATISTICS_BATCH = 64  # images whose statistics batch normalisation shares where each batch has its own, as in training
# Which moments are restored: of every layer but the last, of the first, of all but the first and the last, the means or
# the variances alone, or the means of the logits alone.
RESTORED = ("all", "first", "rest", "means", "variances", "logits")
Predictor = Callable[[np.ndarray], np.ndarray]  # images (n, size, size) uint8 -> class probabilities (n, 10) float32


def fully_connected(hidden: int = PIXELS, activation: str = "relu", norm: str = "none", channels: int = 1) -> nn.Module:
    """3136 -> hidden -> 10 with an activation and perhaps batch normalisation; in the paper one hidden unit a pixel."""
    from torch import nn

    layers = [{"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation]()]
    if norm != "none":
        layers.insert(0 if norm == "before" else 1, nn.BatchNorm1d(hidden))
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * PIXELS, hidden), *layers, nn.Linear(hidden, CLASSES))


def fully_connected_rgb() -> nn.Module:
    """The same where the grey image comes as three equal channels: 9408 -> 3136 (ReLU) -> 10."""
    from torch import nn

    three = nn.Conv2d(1, 3, 1, bias=False).requires_grad_(False)
    nn.init.ones_(three.weight)
    return nn.Sequential(three, *fully_connected(channels=3))


def resnetv2_50_stem() -> nn.Module:
    """ResNet-50V2 as section 3.3 describes it: batch normalisation, then ReLU, after the first convolution."""
    from torch import nn

    body = from_timm("resnetv2_50")
    body.set_submodule("stem.conv", nn.Sequential(body.get_submodule("stem.conv"), nn.BatchNorm2d(64), nn.ReLU()))
    return body


def small_cnn() -> nn.Module:
    """The CNN of Schott et al. 2018 (arXiv:1805.09190), which the paper's Table 2 quotes; it reads 28x28.

    The convolutions are those of its authors' code (`get_CNN` in bethgelab/AnalysisBySynthesis). Whether batch
    normalisation and ELU have the authors' order is not known.
    """
    from torch import nn

    layers: list[nn.Module] = [nn.MaxPool2d(1, stride=2)]  # every second pixel: undoes the nearest upscaling exactly
    for before, after, kernel, stride in ((1, 20, 5, 1), (20, 70, 4, 2), (70, 256, 3, 2)):  # maps of 24x24, 11x11, 5x5
        layers += [nn.Conv2d(before, after, kernel, stride), nn.BatchNorm2d(after), nn.ELU()]
    return nn.Sequential(*layers, nn.Conv2d(256, CLASSES, 5), nn.Flatten())


def from_torchvision(name: str) -> nn.Module:
    """A torchvision network without pretrained weights whose first convolution reads one channel."""
    from torch import nn
    from torchvision.models import get_model

    body = get_model(name, weights=None, num_classes=CLASSES)
    where, first = next((n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d))
    conv = nn.Conv2d(1, first.out_channels, first.kernel_size, first.stride, first.padding, bias=first.bias is not None)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    body.set_submodule(where, conv)
    return body


def from_timm(name: str) -> nn.Module:
    """Any timm architecture, for 1x56x56 and 10 classes, without pretrained weights."""
    import timm

    config = timm.get_pretrained_cfg(name)
    size = {"img_size": SIZE} if config is not None and config.fixed_input_size else {}
    return timm.create_model(name, pretrained=False, in_chans=1, num_classes=CLASSES, **size)


def residual(function: str, *given: Variant, **options: float) -> nn.Module:
    """A ResNet by this function of `residual.py`, which is imported when it is called."""
    from lib.networks import residual

    return getattr(residual, function)(*given, **options)


# name -> its title, and a function that returns a network for 1x56x56 with fresh weights.
_KNOWN: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "fc": ("FC", fully_connected),
    **{f"resnet{n}": (f"ResNet-{n}", partial(from_torchvision, f"resnet{n}")) for n in (18, 34, 50, 101)},
    "resnetv2_50": ("ResNet-50V2", partial(from_timm, "resnetv2_50")),
    "vgg19": ("VGG-19", partial(from_torchvision, "vgg19")),
    "efficientnet_b1": ("EfficientNet-B1", partial(from_torchvision, "efficientnet_b1")),
    "cnn": ("small CNN", small_cnn),
    "fc_rgb": ("FC, three channels", fully_connected_rgb),
    "resnetv2_50_stem": ("ResNet-50V2, stem as described", resnetv2_50_stem),
    "resnetv2_50_keras": ("ResNet-50V2, Keras", partial(residual, "keras_resnet50v2")),
    "resnetv2_50_keras_m": (
        "ResNet-50V2, Keras, torch's momentum",
        partial(residual, "keras_resnet50v2", momentum=0.1),
    ),
    "vgg19_bn": ("VGG-19, batch norm", partial(from_torchvision, "vgg19_bn")),
    **{name: (variant.title, partial(residual, "resnet", variant)) for name, variant in (FAMILY | NORMALISED).items()},
    **{name: (dense.title, partial(fully_connected, **vars(dense))) for name, dense in DENSE.items()},
    **{f"fc{n}": (f"FC, {n:,} hidden units", partial(fully_connected, n)) for n in HIDDEN.values() if n != PIXELS},
}
NETS = {name: make for name, (_, make) in _KNOWN.items()}
TITLES = {name: printed for name, (printed, _) in _KNOWN.items()}


def check_size(model: str, size: int) -> None:
    """Raises ValueError if `size` is not one of `SIZES`, or the network reads images of `SIZE` only."""
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}; choose from {', '.join(map(str, SIZES))}")
    name = model.partition("@")[0]
    if size != SIZE and name in {*HIDDEN, *DENSE, "fc_rgb", "cnn"}:
        raise ValueError(f"{name} reads images of {SIZE}x{SIZE} alone, not of {size}x{size}; choose another network")


def title(model: str) -> str:
    """A network's name in print, as in the paper, and its recipe if it has one: `ResNet-18 (gentle)`."""
    name, _, word = model.partition("@")
    return TITLES.get(name, name) + (f" ({word})" if word else "")


def architecture(model: str) -> Callable[[], nn.Module]:
    """The function that makes the network `model`, a module for 1x56x56 and 10 classes.

    `model` is a key of `NETS`, `timm:NAME`, or `package.module:function`; `@WORD` at its end names a training recipe.
    Raises ValueError if there is no such network, or its name cannot be part of a file's name.
    """
    name, at, word = model.partition("@")
    if (length := len(model.encode())) > LONGEST:
        raise ValueError(f"a network's name is part of the names of files: at most {LONGEST} bytes, not {length}")
    if at and not re.fullmatch(r"[\w.+=,-]+", word):
        raise ValueError(f"the word behind @ must be of letters, digits and . _ - + = , alone, not {word!r}")
    if name in NETS:
        return NETS[name]
    module_name, colon, function_name = name.partition(":")
    choices = f"choose from {', '.join(NETS)}, timm:NAME, or package.module:function"
    if not colon:
        raise ValueError(f"unknown model {model!r}; {choices}")
    if module_name == "timm":
        import timm

        if not timm.is_model(function_name):
            near = ", ".join(timm.list_models(f"*{function_name.split('_')[0]}*")[:5])
            raise ValueError(f"timm has no model {function_name!r}; near it: {near or 'nothing'}")
        return partial(from_timm, function_name)
    try:
        return imported(name)
    except ValueError as error:
        raise ValueError(f"{error}; {choices}") from None


def _valid(check: Callable) -> AfterValidator:
    """Accepts a parameter's value, unchanged, if `check(value)` raises no ValueError."""
    return AfterValidator(lambda value: (check(value), value)[1])


Known = Annotated[str, _valid(architecture)]  # a network's name among a notebook's parameters


def mean_and_deviation(normalize: str | Sequence[float]) -> tuple[float, float]:
    """Of brightness in [0, 1]: those of a key of `NORMALIZE`, or the two numbers given; ValueError otherwise."""
    if isinstance(normalize, str) and normalize in NORMALIZE:
        return NORMALIZE[normalize]
    if isinstance(normalize, str) or len(normalize) != 2 or not 0 < normalize[1] < float("inf"):
        choices = f"{', '.join(NORMALIZE)}, dataset (in a recipe), or [mean, deviation] with a deviation above 0"
        raise ValueError(f"unknown normalize {normalize!r}; choose from {choices}")
    return normalize[0], normalize[1]


Normalize = Annotated[str | tuple[float, float], _valid(mean_and_deviation)]
