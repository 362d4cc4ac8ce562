"""The page that plays: one HTML file with real trained weights, which needs no kernel and no network.

`python docs/play/build.py play.html` writes it, and `make site` too.
"""

import base64
import copy
import hashlib
import json
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib import networks
from lib.evaluation.plan import USUAL_NOISES
from lib.networks.residual import Block
from lib.noise import NOISES, perturb
from lib.store import data
from lib.store.files import OUTPUTS, ROOT, write_atomically

HERE = Path(__file__).resolve().parent
TRAINED = {"fc": OUTPUTS, "cnn@slow": OUTPUTS, "quarter_resnet18@page": HERE}  # where the weights of each are kept
LEVELS = (0, 50, 100, 150, 200)  # attacks at which statistics are estimated; in between the page interpolates
ESTIMATED_ON = 1_000  # training images, the first
DIGITS = 200  # test images, the first
DRAWS = 100  # streams of random picks that the page offers


class Numbers(list[np.ndarray]):
    """All arrays of the page behind one another."""

    def put(self, values: Tensor | np.ndarray | None) -> list[int] | None:
        """Append an array; where it begins and ends."""
        if values is None:
            return None
        flat = np.asarray(values.detach() if isinstance(values, Tensor) else values, "<f4").ravel()
        self.append(flat)
        end = sum(map(len, self))
        return [end - len(flat), end]

    def packed(self) -> str:
        """Base64 of the deflated bytes, all first bytes of the numbers before all second ones and so on."""
        planes = np.concatenate(self).view(np.uint8).reshape(-1, 4).T
        return base64.b64encode(zlib.compress(planes.tobytes())).decode()


def norms(net: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    """Its layers of batch normalisation, in the order in which `described` meets them."""
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


def estimate(net: networks.Net, images: np.ndarray) -> networks.Net:
    """A copy whose batch normalisation has the statistics of these images (n, 28, 28) uint8, taken as one batch."""
    net = copy.deepcopy(net).to(memory_format=networks.memory_format(net))  # faster so
    for norm in norms(net):
        norm.train()
        norm.momentum = 1.0  # of the running statistics nothing stays
    with torch.inference_mode():
        net(torch.tensor(images)[:, None] / 255)
    return net.eval()


def with_moments(net: networks.Net, images: np.ndarray) -> networks.Net:
    """A fully connected net that reads 28 x 28, with a layer in front of its ReLU that restores each unit's moments.

    Nearest upscaling repeats each pixel in a block of 2 x 2, so the weights of a block act as their sum. The layer is
    batch normalisation with the mean and variance of clean `images` as statistics, and the same mean and deviation as
    bias and weight: it changes nothing until its statistics are estimated on other images.
    """
    _, first, relu, last = net.body
    side = net.size // 2
    with torch.inference_mode():
        dense = nn.Linear(side * side, first.out_features)
        dense.weight.copy_(first.weight.double().unflatten(1, (side, 2, side, 2)).sum((2, 4)).flatten(1))
        dense.bias.copy_(first.bias)
        moments = nn.BatchNorm1d(first.out_features)
    small = networks.Net(nn.Sequential(nn.Flatten(), dense, moments, relu, last), size=side).eval()
    small.mean, small.deviation = net.mean, net.deviation
    small = estimate(small, images)
    moments = norms(small)[0]
    with torch.no_grad():
        moments.weight.copy_((moments.running_var + moments.eps).sqrt())
        moments.bias.copy_(moments.running_mean)
    return small


def described(module: nn.Module, put: Callable, statistics: dict[nn.Module, dict]) -> list[dict]:
    """The layers of a network as `network.js` runs them, with the places of their arrays.

    Raises:
        ValueError: if it has a layer that the page does not know.
    """

    def inside(part: nn.Module) -> list[dict]:
        return described(part, put, statistics)

    def arrays() -> dict:
        return {"weight": put(module.weight), "bias": put(module.bias)}

    match module:
        case nn.Sequential():
            return [layer for part in module for layer in inside(part)]
        case nn.Flatten() | nn.Identity():
            return []
        case Block() if module.shortcut is not None:
            paths = {"branch": inside(module.branch), "shortcut": inside(module.shortcut)}
            return [{"kind": "residual", **paths}, {"kind": "relu"}]
        case nn.ReLU() | nn.ELU(alpha=1.0):
            return [{"kind": type(module).__name__.lower()}]
        case nn.AdaptiveAvgPool2d(output_size=1):
            return [{"kind": "mean"}]
        case nn.MaxPool2d():
            place = {"kernel": module.kernel_size, "stride": module.stride, "padding": module.padding}
            return [{"kind": "largest", **place}]
        case nn.Linear():
            return [{"kind": "dense", "outputs": module.out_features, **arrays()}]
        case nn.Conv2d(groups=1, dilation=(1, 1)):
            place = {name: getattr(module, name)[0] for name in ("stride", "padding")} | {
                "kernel": module.kernel_size[0]
            }
            return [{"kind": "convolution", "outputs": module.out_channels, **place, **arrays()}]
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return [{"kind": "norm", "epsilon": module.eps, **arrays(), **statistics[module]}]
    raise ValueError(f"the page cannot run the layer {module}; add it to network.js")


def network(model: str, noisy: Sequence[np.ndarray], clean: np.ndarray, numbers: Numbers) -> dict:
    """A trained network as the page holds it: its layers, and statistics as trained and for each of `noisy`."""
    net = networks.load(model, 0, TRAINED[model])
    normalised = bool(norms(net))
    net = net if normalised else with_moments(net, clean)
    estimated = [norms(found) for found in (net, *(estimate(net, images) for images in noisy))]
    statistics = {
        norm: {
            "means": numbers.put(torch.stack([each.running_mean for each in same])),
            "variances": numbers.put(torch.stack([each.running_var for each in same])),
        }
        for norm, *same in zip(norms(net), *estimated, strict=True)
    }
    upscaled = [{"kind": "upscale"}] if net.size == 2 * clean.shape[1] else []
    return {
        "load": f'networks.load("{model}", 0, Path("{TRAINED[model].relative_to(ROOT)}"))',
        "title": networks.title(model.partition("@")[0]),
        "normalised": normalised,
        "mean": net.mean,
        "deviation": net.deviation,
        "layers": upscaled + described(net.body, numbers.put, statistics),
    }


def stream_key(noise: str, draw: int) -> str:
    """The key of a noise's random streams in one draw, as `lib.noise.perturb` makes it, in hexadecimal."""
    return f"0x{hashlib.sha256(f'{noise} {draw}'.encode()).digest()[7::-1].hex()}"


def build(page: Path) -> None:
    """Write the page."""
    digits, numbers = data.load(), Numbers()
    clean = digits.train_images[:ESTIMATED_ON]
    other = DRAWS  # a draw that the page does not offer
    noisy = [images for noise in USUAL_NOISES for images in perturb(clean, noise, LEVELS[1:], seed=other)]
    content = {
        "networks": [network(model, noisy, clean, numbers) for model in TRAINED],
        "levels": LEVELS,
        "estimatedOn": ESTIMATED_ON,
        "noises": {
            name: {"c": NOISES[name].c, "keys": [stream_key(name, draw) for draw in range(DRAWS)]}
            for name in USUAL_NOISES
        },
        "digits": numbers.put(digits.test_images[:DIGITS]),
        "labels": digits.test_labels[:DIGITS].tolist(),
    }
    parts = {name: (HERE / name).read_text() for name in ("page.css", "noise.js", "network.js", "page.js")}
    parts |= {"content": json.dumps(content), "numbers": numbers.packed()}
    html = re.sub(r"\{\{([\w.]+)\}\}", lambda found: parts[found[1]], (HERE / "page.html").read_text())
    write_atomically(page, lambda file: file.write(html.encode()))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
