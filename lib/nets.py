"""The eight networks (section 3.3), the CNN behind Table 2, anyone's own, and their weights on disk."""

import importlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import safetensors
import timm
import torch
import torchvision.models as tv
from pydantic import AfterValidator
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from lib.records import OUTPUTS, ROOT, write_atomically

SIZE = 56  # pixels a side after the upscaling (section 3.1)
CLASSES = 10

# Mean and standard deviation of brightness in [0, 1]; ImageNet's are the averages of its three channels.
NORMALIZE = {"mnist": (0.1307, 0.3081), "none": (0.0, 1.0), "imagenet": (0.449, 0.226)}
RESIZE = ("nearest", "bilinear")


def fully_connected() -> nn.Module:
    """3136 -> 3136 (ReLU) -> 10, one hidden unit for each pixel of 56x56."""
    pixels = SIZE * SIZE
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, pixels), nn.ReLU(), nn.Linear(pixels, CLASSES))


class EverySecondPixel(nn.Module):
    """From 56x56 back to 28x28: undoes the nearest upscaling exactly."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, ::2, ::2]


def small_cnn() -> nn.Module:
    """The CNN of Schott et al. 2018 (arXiv:1805.09190), which the paper's Table 2 quotes; it reads 28x28.

    Four convolutions without padding: kernels 5, 4, 3, 5; strides 1, 2, 2, 1; channels 20, 70, 256, 10, as its authors'
    code has them (`get_CNN` in bethgelab/AnalysisBySynthesis). Batch normalisation and ELU between them, in this order:
    that the order is theirs is not known.
    """
    return nn.Sequential(
        EverySecondPixel(),
        nn.Conv2d(1, 20, 5),  # (n, 20, 24, 24)
        nn.BatchNorm2d(20),
        nn.ELU(),
        nn.Conv2d(20, 70, 4, stride=2),  # (n, 70, 11, 11)
        nn.BatchNorm2d(70),
        nn.ELU(),
        nn.Conv2d(70, 256, 3, stride=2),  # (n, 256, 5, 5)
        nn.BatchNorm2d(256),
        nn.ELU(),
        nn.Conv2d(256, CLASSES, 5),  # (n, 10, 1, 1)
        nn.Flatten(),
    )


def one_channel(architecture: Callable[..., nn.Module]) -> nn.Module:
    """A torchvision network without pretrained weights whose first convolution reads one channel."""
    body = architecture(weights=None, num_classes=CLASSES)
    name, first = next((n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d))
    conv = nn.Conv2d(1, first.out_channels, first.kernel_size, first.stride, first.padding, bias=first.bias is not None)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    body.set_submodule(name, conv)
    return body


def _check_timm(name: str) -> None:
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        raise ValueError(f"timm has no model {name!r}; near it: {', '.join(near) or 'nothing'}")


def from_timm(name: str) -> nn.Module:
    """Any timm architecture, for 1x56x56 and 10 classes, without pretrained weights.

    Raises:
        ValueError: if timm has no such model.
    """
    _check_timm(name)
    config = timm.get_pretrained_cfg(name)
    size = {"img_size": SIZE} if config is not None and config.fixed_input_size else {}
    return timm.create_model(name, pretrained=False, in_chans=1, num_classes=CLASSES, **size)


# name -> a function that returns a network for 1x56x56 with fresh weights.
NETS: dict[str, Callable[[], nn.Module]] = {
    "fc": fully_connected,
    "resnet18": lambda: one_channel(tv.resnet18),
    "resnet34": lambda: one_channel(tv.resnet34),
    "resnet50": lambda: one_channel(tv.resnet50),
    "resnet101": lambda: one_channel(tv.resnet101),
    "resnetv2_50": lambda: from_timm("resnetv2_50"),
    "vgg19": lambda: one_channel(tv.vgg19),
    "efficientnet_b1": lambda: one_channel(tv.efficientnet_b1),
    "cnn": small_cnn,
}
PAPER = tuple(model for model in NETS if model != "cnn")  # those that the paper trains

TITLES = {
    "fc": "FC",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnetv2_50": "ResNet-50V2",
    "vgg19": "VGG-19",
    "efficientnet_b1": "EfficientNet-B1",
    "cnn": "small CNN",
}


def title(model: str) -> str:
    """A network's name in print, as the paper has it; a recipe of its own behind it: `ResNet-18 (gentle)`."""
    name, _, word = model.partition("@")
    return TITLES.get(name, name) + (f" ({word})" if word else "")


class Net(nn.Module):
    """From (n, 1, 28, 28) floats in [0, 1] to (n, 10) logits.

    Normalisation and the upscaling to 56x56 are its first steps, so that they travel with the weights; images that are
    56x56 already stay as they are.
    """

    def __init__(self, body: nn.Module, normalize: str = "mnist", resize: str = "nearest"):
        super().__init__()
        self.mean, self.deviation = NORMALIZE[normalize]
        self.resize = resize
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.deviation
        images = functional.interpolate(images, size=(SIZE, SIZE), mode=self.resize)  # (n, 1, 56, 56)
        return self.body(images)


def architecture(model: str) -> Callable[[], nn.Module]:
    """The function that makes the network `model`, without the `@variant` that a name may end with.

    Args:
        model: a key of `NETS`; `timm:NAME` for any timm model; or `package.module:function`, the function
            returning a module for 1x56x56 and 10 classes. `@WORD` at its end names another training recipe.

    Raises:
        ValueError: if there is no such network; it lists the choices.
    """
    name = model.partition("@")[0]
    if name in NETS:
        return NETS[name]
    module_name, colon, function_name = name.partition(":")
    choices = f"choose from {', '.join(NETS)}, timm:NAME, or package.module:function"
    if not colon:
        raise ValueError(f"unknown model {model!r}; {choices}")
    if module_name == "timm":
        _check_timm(function_name)
        return lambda: from_timm(function_name)
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # one's own module may lie beside README.md
    try:
        return getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import model {model!r}: {error}; {choices}") from None


def _checked(model: str) -> str:
    architecture(model)
    return model


Known = Annotated[str, AfterValidator(_checked)]  # a network's name among a notebook's parameters


def build(model: str, seed: int = 0, *, normalize: str = "mnist", resize: str = "nearest") -> Net:
    """A network with fresh weights: the same seed gives the same ones, and torch's own generator is left alone.

    Raises:
        ValueError: if `model`, `normalize` or `resize` is unknown.
    """
    if normalize not in NORMALIZE:
        raise ValueError(f"unknown normalize {normalize!r}; choose from {', '.join(NORMALIZE)}")
    if resize not in RESIZE:
        raise ValueError(f"unknown resize {resize!r}; choose from {', '.join(RESIZE)}")
    make = architecture(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = make()
    return Net(body, normalize, resize)


def parameters(model: str) -> int:
    """How many numbers the training of a network sets."""
    with torch.device("meta"):  # shapes alone, no weights
        return sum(weights.numel() for weights in architecture(model)().parameters())


def effective_parameters(model: str) -> int:
    """The same without copies: VGG's pooling repeats each input of its first dense layer (`_repeats`)."""
    with torch.device("meta"):
        net = Net(architecture(model)())
    repeats = _repeats(net) or 1
    copies = net.get_parameter(FOLDED).numel() * (repeats - 1) // repeats if repeats > 1 else 0
    return parameters(model) - copies


def upscale(images: np.ndarray, size: int, resize: str) -> np.ndarray:
    """Images (n, H, H) uint8 as (n, size, size) uint8, as `Net` upscales them, to the nearest brightness."""
    if images.shape[1:] == (size, size):
        return images
    upscaled = functional.interpolate(torch.from_numpy(images.copy()).float()[:, None], size=(size, size), mode=resize)
    return upscaled[:, 0].round().to(torch.uint8).numpy()


def memory_format(net: nn.Module) -> torch.memory_format:
    """channels_last, except for grouped convolutions (EfficientNet) on a processor without AVX-512.

    There they trained 4 times slower with it, with AVX-512 1.6 times faster (`benchmarks/sweep.py`).
    """
    grouped = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in net.modules())
    slow = grouped and torch.backends.cpu.get_cpu_capability() != "AVX512"
    return torch.contiguous_format if slow else torch.channels_last


def file_stem(model: str, train_seed: int) -> str:
    """The start of the name of every file about one trained network."""
    return f"{model.replace(':', '-')}-seed{train_seed}"


def weights_path(model: str, train_seed: int = 0, outputs: Path = OUTPUTS) -> Path:
    return outputs / "weights" / f"{file_stem(model, train_seed)}.safetensors"


FOLDED = "body.classifier.0.weight"  # in VGG


def as_stored(net: Net) -> dict[str, Tensor]:
    """The weights as files hold them: kernels and matrices in float16, vectors and running statistics in float32.

    VGG's first dense layer is folded (`_repeats`) from 25088 to 512 inputs, or the file would be 279 MB instead of 78.
    """
    weights = net.state_dict()
    if repeats := _repeats(net):
        weights[FOLDED] = _fold(weights[FOLDED], repeats)
    return {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in weights.items()
    }


def restore(net: Net, weights: dict[str, Tensor]) -> None:
    """Put `as_stored` weights back into `net`, whose own parameters stay in float32."""
    if repeats := _repeats(net):
        weights = weights | {FOLDED: weights[FOLDED].float().repeat_interleave(repeats, dim=1) / repeats}
    net.load_state_dict(weights)


def _repeats(net: Net) -> int:
    """How often VGG's pooling repeats each feature: at 56x56 its last map is 1x1, and 7x7 pooling copies it 49 times.

    The copies' weights then act as their sum alone, and share it equally when restored. 0 for other networks.
    """
    return math.prod(net.body.avgpool.output_size) if isinstance(net.body, tv.VGG) else 0


def _fold(weights: Tensor, repeats: int) -> Tensor:
    return weights.unflatten(1, (-1, repeats)).sum(dim=2)  # (4096, 512)


def folded(net: Net) -> Net:
    """VGG without its pooling and with its first dense layer folded (`_repeats`); any other network as it is.

    The logits are the same, with a quarter of the weights.
    """
    if not (repeats := _repeats(net)):
        return net
    first, *rest = net.body.classifier
    dense = nn.Linear(first.in_features // repeats, first.out_features)
    with torch.no_grad():
        dense.weight.copy_(_fold(first.weight, repeats))
        dense.bias.copy_(first.bias)
    small = Net(nn.Sequential(net.body.features, nn.Flatten(), dense, *rest), resize=net.resize)
    small.mean, small.deviation = net.mean, net.deviation
    return small.train(net.training)


def save_weights(net: Net, path: Path, record: dict) -> None:
    """Write the weights as `as_stored` gives them, with `record` in the file's header."""
    content = save(as_stored(net), metadata={"record": json.dumps(record)})
    write_atomically(path, lambda file: file.write(content))


def read_record(path: Path) -> dict:
    """What made a weights file: the recipe, the history of its training, versions and commit."""
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["record"])


def load(model: str, train_seed: int = 0, outputs: Path = OUTPUTS) -> Net:
    """The trained network in eval mode, in float32, from its weights file.

    Raises:
        FileNotFoundError: if it has not been trained; it names the command that does.
    """
    architecture(model)
    path = weights_path(model, train_seed, outputs)
    if not path.is_file():
        command = f"make train MODEL={model}" + (f" SEED={train_seed}" if train_seed else "")
        raise FileNotFoundError(f"{model} with seed {train_seed} is not trained: no {path}; make it with: {command}")
    from lib.recipe import Recipe  # which knows networks itself

    recipe = Recipe.of(read_record(path))
    net = build(model, train_seed, normalize=recipe.normalize, resize=recipe.resize)
    restore(net, load_file(path))
    return net.eval()
