"""Activation statistics estimated again on other images, without labels.

Noise moves the mean and variance of activations away from those of the training. `adapt` re-estimates the statistics of
batch normalisation (Schneider et al. 2020, arXiv:2006.16971; Benz et al. 2021, arXiv:2010.03630), `restore_moments`
does the same for any network, and `batch_predictor` uses those of each batch (Nado et al. 2020, arXiv:2006.10963).
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.networks.architectures import RESTORED, STATISTICS_BATCH, Predictor
from lib.networks.net import memory_format

CONSTANT = 1e-6  # a unit with less than this share of its clean variance counts as constant
ROUNDING = 1e-3  # of a layer's largest output, by which it may differ when computed by its new weights
BatchNorm = nn.modules.batchnorm._BatchNorm
Moments = tuple[Tensor, Tensor]  # mean (units,), unbiased variance (units,)
Weighted = nn.Conv1d | nn.Conv2d | nn.Linear


def adapt(net: nn.Module, images: np.ndarray | Tensor) -> nn.Module:
    """A copy of `net` in eval mode, on its device, whose batch normalisation has the statistics of `images`.

    All images pass through the network together, with batch normalisation alone as in training: every layer gets the
    exact mean and unbiased variance over all images, given that the layers before it have theirs. The pass needs memory
    for the largest activations: ResNet-50 about 1 MB an image, VGG-19 (`restore_moments`) about 3 MB.

    `images` are (n, H, W) uint8, which become (n, 1, H, W) in [0, 1], or a float tensor as `net` reads it: training
    images under the noise to come, never test images. About 1,000 are enough, 32 help. Raises ValueError if `net` has
    no batch normalisation with running statistics, or the images have another shape or type or are too few.
    """
    adapted = copy.deepcopy(net).eval()
    momenta = {layer: layer.momentum for layer in _normalisations(adapted)}
    for layer in momenta:
        layer.reset_running_stats()
        layer.momentum, layer.training = None, True
    _forward(adapted, images)
    for layer, momentum in momenta.items():
        layer.momentum = momentum
    return adapted.eval()


def moments(net: nn.Module, images: np.ndarray | Tensor) -> dict[str, Moments]:
    """Mean and variance over `images` (as for `adapt`) of the pre-activations of every unit, and of the logits.

    A unit is an output channel of a convolution, over all its places, or an output of a dense layer. Layers come by
    their names, in the order in which they are computed. Raises ValueError if `net` has no such layer or uses one
    twice, or the images have another shape or type or are too few for a variance.
    """
    net = copy.deepcopy(net).eval()
    names = {layer: name for name, layer in net.named_modules() if isinstance(layer, Weighted)}
    found: dict[str, Moments] = {}

    def note(layer: nn.Module, _, output: Tensor) -> None:
        if names[layer] in found:
            raise ValueError(f"{_name(net)} uses its layer {names[layer]} twice; allowed is once")
        found[names[layer]] = _moments(layer, output)

    for layer in names:
        layer.register_forward_hook(note)
    _forward(net, images)
    return found


def restore_moments(
    net: nn.Module, images: np.ndarray | Tensor, wanted: dict[str, Moments], restored: str = "all"
) -> nn.Module:
    """A copy of `net` whose units have the moments `wanted` on `images`: the control for `adapt`, for any network.

    Each unit gets a factor and an offset, layer by layer in one pass, given that the layers before it have theirs. They
    are folded into the layer's weight and bias, so that the copy is as fast as `net`. A unit that is constant on
    `images` gets the offset alone.

    `images` are as for `adapt`; `wanted` is `moments(net, clean)`, best of the same images without noise; `restored` is
    one of `RESTORED`, by default every layer's but the last one's. Raises ValueError as `moments` does, if there is no
    such layer, or if a layer's output does not follow its weights (weight standardisation).
    """
    choices = {"first": slice(0, 1), "rest": slice(1, -1), "logits": slice(-1, None)}
    chosen = list(wanted)[choices.get(restored, slice(0, -1))]
    if restored not in RESTORED or not chosen or len(wanted) < 2:
        layers = f"{len(wanted)} convolutions and dense layers"
        raise ValueError(f"{_name(net)} has {layers}, so no moments {restored!r}; choose from {', '.join(RESTORED)}")
    fitted = copy.deepcopy(net).eval()
    layers = {fitted.get_submodule(name): name for name in chosen}

    def restore(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        mean, variance = _moments(layer, output)
        wanted_mean, wanted_variance = (values.to(mean) for values in wanted[layers[layer]])
        if restored == "variances":
            wanted_mean = mean
        if restored in ("means", "logits"):
            wanted_variance = variance
        constant = (variance <= CONSTANT * wanted_variance) | (variance == 0)
        factor = torch.where(constant, 1, wanted_variance / variance).sqrt()
        offset = wanted_mean - factor * mean
        weight, bias = layer.weight.detach(), 0 if layer.bias is None else layer.bias.detach()
        layer.weight = nn.Parameter(weight * factor.view(-1, *[1] * (weight.ndim - 1)))
        layer.bias = nn.Parameter(bias * factor + offset)
        axis = -1 if isinstance(layer, nn.Linear) else 1
        output = (output.movedim(axis, -1) * factor + offset).movedim(-1, axis)
        apart = (layer.forward(inputs[0][:1]) - output[:1]).abs().max()
        if apart > ROUNDING * (1 + output[:1].abs().max()):
            raise ValueError(f"the output of {layers[layer]} ({type(layer).__name__}) does not follow its weights")
        return output

    hooks = [layer.register_forward_hook(restore) for layer in layers]
    _forward(fitted, images)
    for hook in hooks:
        hook.remove()
    return fitted


def batch_predictor(net: nn.Module) -> Predictor:
    """A function from images (n, H, W) uint8 to class probabilities (n, 10) by the statistics of each batch.

    Batches are `STATISTICS_BATCH` images in their order; the last one may be smaller. Raises ValueError if `net` has no
    batch normalisation, and the function itself if the last batch is too small.
    """
    by_batch = copy.deepcopy(net).eval()
    for layer in _normalisations(by_batch):
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = None

    def probabilities(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), STATISTICS_BATCH)
        logits = [_forward(by_batch, images[start : start + STATISTICS_BATCH]) for start in starts]
        return functional.softmax(torch.cat(logits), dim=1).numpy()

    return probabilities


def _normalisations(net: nn.Module) -> list[nn.Module]:
    found = [layer for layer in net.modules() if isinstance(layer, BatchNorm) and layer.running_mean is not None]
    if not found:
        raise ValueError(
            f"{_name(net)} has no batch normalisation with running statistics to adapt; restore its moments instead: "
            "restore_moments(), or statistics='moments' of a sweep"
        )
    return found


def _name(net: nn.Module) -> str:
    return type(getattr(net, "body", net)).__name__


def _forward(net: nn.Module, images: np.ndarray | Tensor) -> Tensor:
    """Logits of all images in one pass, on a GPU where there is one; `net` is back on its own device afterwards."""
    bytes_of_grey = isinstance(images, np.ndarray) and images.ndim == 3 and images.dtype == np.uint8
    if not (bytes_of_grey or (isinstance(images, Tensor) and images.is_floating_point())) or not len(images):
        kind = f"{images.dtype} {tuple(images.shape)}" if hasattr(images, "dtype") else type(images).__name__
        raise ValueError(f"images must be (n, H, W) uint8 or a float tensor with n of 1 or more, not {kind}")
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images.copy())[:, None].float() / 255
    own = next((weights.device for weights in net.parameters()), torch.device("cpu"))
    device = torch.device("cuda") if torch.cuda.is_available() else own
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # as in `inference`
    try:
        with exact, torch.no_grad():
            return net.to(device, memory_format=memory_format(net))(images.to(device)).cpu()
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(f"{len(images)} images are too few for the variance of a channel ({error})") from None
    finally:
        net.to(own)


def _moments(layer: nn.Module, output: Tensor) -> Moments:
    if isinstance(layer, nn.Linear):
        output = output.flatten(0, -2)  # (places, units)
    mean, variance = output.new_zeros(output.shape[1]), output.new_ones(output.shape[1])
    functional.batch_norm(output, mean, variance, training=True, momentum=1.0)  # several times faster than var_mean
    return mean, variance
