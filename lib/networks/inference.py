"""Class probabilities of images, fast: OpenVINO on a CPU, torch on a GPU."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lib.networks.architectures import CLASSES, ENGINES, SIZE, Predictor
from lib.networks.net import Net, folded, memory_format

HEIGHT = 28  # pixels a side before the upscaling
BATCH = 100  # images a forward pass; larger ones are not faster on a CPU


def predictor(net: Net, engine: str = "auto", bfloat16: bool = False, size: int = HEIGHT) -> Predictor:
    """A function from images (n, size, size) uint8 to class probabilities (n, 10) float32.

    Args:
        net: in eval mode; it is copied, not changed.
        engine: "openvino" (CPU), "torch" (GPU where there is one), or "auto": torch on a GPU, else openvino.
        bfloat16: torch only: autocast, faster on a GPU and slightly different.
        size: 28, or 56 for images that are upscaled already.

    Raises:
        ValueError: if the engine is unknown or cannot do bfloat16.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose from {', '.join(ENGINES)}")
    if engine == "auto":
        engine = "torch" if torch.cuda.is_available() else "openvino"
    if bfloat16 and engine == "openvino":
        raise ValueError("bfloat16 is for engine='torch'")
    net = folded(copy.deepcopy(net))
    net = nn.Sequential(_collapsed(net) if size == HEIGHT else net, nn.Softmax(dim=1)).eval()
    forward = _torch(net, bfloat16) if engine == "torch" else _openvino(net, size)

    def probabilities(images: np.ndarray) -> np.ndarray:
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return np.concatenate([forward(batch[:, None] / np.float32(255)) for batch in batches] or [_NOTHING])

    return probabilities


_NOTHING = np.empty((0, CLASSES), np.float32)


def _collapsed(net: Net) -> nn.Module:
    """A fully connected net that reads 28x28 at once, with a quarter of the products; any other network as it is.

    Normalisation and upscaling are linear, and so part of the first dense layer: with U the upscaling, W the layer's
    weights and b its bias, W U (x - mean) / deviation + b.
    """
    if not (isinstance(net.body, nn.Sequential) and [type(part) for part in net.body[:2]] == [nn.Flatten, nn.Linear]):
        return net
    flatten, dense, *rest = net.body
    pixels = torch.eye(HEIGHT * HEIGHT, dtype=torch.float64).unflatten(1, (1, HEIGHT, HEIGHT))
    upscaled = functional.interpolate(pixels, size=(SIZE, SIZE), mode=net.resize).flatten(1)  # (784, 3136)
    weights = dense.weight.detach().double()
    collapsed = nn.Linear(HEIGHT * HEIGHT, dense.out_features)
    with torch.no_grad():
        collapsed.weight.copy_(weights @ upscaled.T / net.deviation)
        collapsed.bias.copy_(dense.bias - net.mean / net.deviation * weights.sum(dim=1))
    return nn.Sequential(flatten, collapsed, *rest)


def _openvino(net: nn.Module, size: int) -> Callable[[np.ndarray], np.ndarray]:
    import openvino  # only where it is asked for: it loads for a second

    example = torch.zeros(2, 1, size, size)
    with torch.no_grad():
        graph = openvino.convert_model(net, example_input=example, input=[-1, 1, size, size])
    # float32 throughout: some processors would otherwise compute in bfloat16
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return lambda images: compiled(images)[0].copy()


def _torch(net: nn.Module, bfloat16: bool) -> Callable[[np.ndarray], np.ndarray]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = net.to(device, memory_format=memory_format(net))

    def forward(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            return net(torch.from_numpy(images).to(device)).float().cpu().numpy()

    return forward
