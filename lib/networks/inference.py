"""Class probabilities of images, fast: OpenVINO on a CPU, torch on a GPU."""

import copy
import logging
import warnings
from collections.abc import Callable
from threading import Lock

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lib.networks.architectures import CLASSES, ENGINES, Predictor
from lib.networks.net import Net, device, folded, in_a_line, memory_format, upscale
from lib.networks.probe import probe_digits

HEIGHT = 28  # pixels a side before the upscaling
BATCH = 2_000 if device().type == "cuda" else 100  # images a forward pass; larger ones are not faster on a CPU
Forward = Callable[[np.ndarray], np.ndarray]  # (n, 1, size, size) float32 in [0, 1] -> probabilities (n, 10)
ROUNDING = 1e-3  # of a probability, by which engines may differ
LOG = logging.getLogger(__name__)


def predictor(net: Net, engine: str = "auto", bfloat16: bool = False, size: int = HEIGHT) -> Predictor:
    """A function from images (n, size, size) uint8 to class probabilities (n, 10) float32.

    `net` is in eval mode and stays as it is; `size` is 28, or the network's own for images that are upscaled already.
    The engine is "openvino" (CPU), "torch" (GPU where there is one), or "auto": torch on a GPU, else openvino, and
    torch with a warning where OpenVINO cannot run the network. `bfloat16`, for torch alone, is autocast: faster on a
    GPU and slightly different. Raises ValueError if the engine is unknown, cannot do bfloat16, or is "openvino" and
    differs from torch.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose from {', '.join(ENGINES)}")
    chosen = ("torch" if device().type == "cuda" else "openvino") if engine == "auto" else engine
    if bfloat16 and chosen == "openvino":
        raise ValueError("bfloat16 is for engine='torch'")
    small = folded(copy.deepcopy(net))
    small = nn.Sequential(_collapsed(small) if size == HEIGHT else small, nn.Softmax(dim=1)).eval()
    try:
        forward = _torch(small, bfloat16) if chosen == "torch" else _openvino_as_torch(small, net, size)
    except ValueError as error:
        if engine == "openvino":
            raise ValueError(f"{error}; choose engine='torch'") from None
        LOG.warning(f"{error}; torch is used instead, which is slower")  # OpenVINO's handler inserts no arguments
        forward = _torch(nn.Sequential(copy.deepcopy(net), nn.Softmax(dim=1)).eval())

    def probabilities(images: np.ndarray) -> np.ndarray:
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        found = [forward(batch[:, None] / np.float32(255)) for batch in batches]
        return np.concatenate([np.empty((0, CLASSES), np.float32), *found])

    return probabilities


class _Watch(TorchFunctionMode):
    """Notes whether a forward pass reads values out of tensors, which a translation would hold constant."""

    OUT = {"__bool__", "__float__", "__int__", "__index__", "__array__", "item", "tolist", "numpy", "equal", "allclose"}
    OUT |= {"is_nonzero", "__contains__", "__format__", "nonzero", "argwhere", "masked_select", "unique", "bincount"}
    OUT |= {"unique_consecutive", "unique_dim"}
    seen = False

    def __torch_function__(self, function, types, args: tuple = (), kwargs=None):
        name = getattr(function, "__name__", "")
        self.seen |= name in self.OUT or (name == "where" and len(args) + len(kwargs or {}) == 1)
        index = args[-1] if name == "__getitem__" else ()
        for part in index if isinstance(index, tuple) else (index,):  # a mask's true entries decide the shape
            self.seen |= isinstance(part, torch.Tensor) and part.dtype in (torch.bool, torch.uint8) and part.ndim > 0
        return function(*args, **(kwargs or {}))


def _openvino_as_torch(small: nn.Module, net: Net, size: int) -> Forward:
    """`small` in OpenVINO. Raises ValueError unless it gives digits, alone and together, the probabilities of `net`."""
    images = upscale(probe_digits(), size, net.resize)[:, None] / np.float32(255)
    with torch.no_grad(), _Watch() as watch:
        expected = net(torch.from_numpy(images)).float().softmax(dim=1)  # numpy has no bfloat16
    if watch.seen:
        raise ValueError("OpenVINO cannot follow this network, which takes values out of its tensors")
    try:
        forward = compiled(small, size)
        found = np.concatenate([forward(images[:1]), forward(images[1:])])
    except Exception as error:  # whatever the network's own code may raise when it is traced
        raise ValueError(f"OpenVINO cannot run this network: {in_a_line(error)}") from None
    apart = np.abs(found - expected.numpy()).max() if found.shape == expected.shape else np.inf
    if apart > ROUNDING or np.isnan(apart):
        raise ValueError(f"OpenVINO's probabilities differ from torch's by up to {apart:.2g}")
    return forward


def _collapsed(net: Net) -> nn.Module:
    """A fully connected net that reads 28x28 directly, with a quarter of the products; any other network unchanged."""
    body = net.body
    if type(body) is not nn.Sequential or [type(part) for part in body[:2]] != [nn.Flatten, nn.Linear]:
        return net
    flatten, dense, *rest = body
    hooked = any(part._forward_pre_hooks or part._forward_hooks for part in (net, body, flatten, dense))
    if hooked or dense.in_features != net.size**2 or flatten.start_dim != 1:
        return net
    # normalisation and upscaling are linear, and so become part of the first dense layer
    pixels = torch.eye(HEIGHT * HEIGHT, dtype=torch.float64).unflatten(1, (1, HEIGHT, HEIGHT))
    upscaled = functional.interpolate(pixels, size=(net.size, net.size), mode=net.resize).flatten(1)  # (784, 3136)
    weights = dense.weight.detach().double()
    collapsed = nn.Linear(HEIGHT * HEIGHT, dense.out_features)
    with torch.no_grad():
        collapsed.weight.copy_(weights @ upscaled.T / net.deviation)
        bias = 0 if dense.bias is None else dense.bias
        collapsed.bias.copy_(bias - net.mean / net.deviation * weights.sum(dim=1))
    return nn.Sequential(flatten, collapsed, *rest)


def compiled(net: nn.Module, size: int) -> Forward:
    """The network in OpenVINO, for images (n, 1, size, size) float32."""
    import openvino  # only where it is used: it takes a second to load

    example = torch.zeros(2, 1, size, size)
    level = logging.root.level
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore", category=torch.jit.TracerWarning):
            graph = openvino.convert_model(net, example_input=example, input=[-1, 1, size, size])
    finally:
        logging.root.setLevel(level)  # it is ERROR after a network that OpenVINO cannot convert
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}  # else bfloat16 on some processors
    forward, one_at_a_time = openvino.Core().compile_model(graph, "CPU", settings), Lock()

    def probabilities(images: np.ndarray) -> np.ndarray:
        with one_at_a_time:  # a second thread would take the first one's result
            return forward(images)[0].copy()

    return probabilities


def _torch(net: nn.Module, bfloat16: bool = False) -> Forward:
    where = device()
    net = net.to(where, memory_format=memory_format(net))

    def forward(images: np.ndarray) -> np.ndarray:
        # float32 throughout: a GPU's convolutions would otherwise round to TF32's 10 bits
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with exact, torch.inference_mode(), torch.autocast(where.type, torch.bfloat16, enabled=bfloat16):
            return net(torch.from_numpy(images).to(where)).float().cpu().numpy()

    return forward
