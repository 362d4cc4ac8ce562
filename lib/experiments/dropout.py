"""Monte Carlo dropout before a network's last layer (Gal and Ghahramani 2016; the paper's section 6).

The features before that layer are computed once; the layer is then evaluated `PASSES` times, each with other features
dropped. The masks are drawn once, with a seed, and are the same for every image: thirty thinned networks, whose
predictions for an image do not depend on the batch.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from tqdm import tqdm

from lib import networks
from lib.evaluation.sweep import TOLERANCE, confirmed
from lib.experiments.confidence import MASKS, PASSES, RATE, SEED, Doubts, doubts_of
from lib.store import parts
from lib.store.files import OUTPUTS, sampling, write_arrays

CHECKED_IMAGES = 3  # recomputed from each recorded file, at every noise and level
ROUNDING = 1e-3  # by which logits of OpenVINO and torch may differ


@dataclass(frozen=True)
class Cut:
    """A trained network, cut before its last layer."""

    below: Callable[[Tensor], Tensor]  # images (n, 1, 28, 28) in [0, 1] -> features
    layer: nn.Module  # features -> logits, a linear layer or a convolution
    shape: tuple[int, ...]  # of one image's features

    @classmethod
    def of(cls, net: networks.Net, model: str, compiled: bool = False) -> "Cut":
        """Cut a network in eval mode; `net` itself does not change.

        `compiled`: OpenVINO computes the features, three times as fast as torch, after seconds of compiling. Raises
        ValueError if its logits are not the output of its last linear layer or convolution.
        """
        net = networks.folded(copy.deepcopy(net)).to(memory_format=networks.memory_format(net))
        digits = torch.from_numpy(networks.probe_digits())[:, None] / 255
        with torch.inference_mode():
            logits, (name, shape) = net(digits.clone()), _last_layer(net, digits.clone())  # in-place operations
            layer = net.get_submodule(name)
            net.set_submodule(name, nn.Identity())
            forward = networks.compiled(net, digits.shape[-1]) if compiled else None
            found = cls((lambda pixels: torch.from_numpy(forward(pixels.numpy()))) if forward else net, layer, shape)
            try:
                same = torch.allclose(found.logits(found.features(digits.clone())), logits, atol=ROUNDING)
            except Exception:  # of a user's own network, which needs that layer or its shapes
                same = False
        if not same:
            raise ValueError(f"{model} does not end with a linear layer or a convolution; dropout has no place there")
        return found

    def features(self, pixels: Tensor) -> Tensor:
        return self.below(pixels).reshape(-1, *self.shape)

    def logits(self, features: Tensor) -> Tensor:
        return self.layer(features).flatten(1)

    def evaluate(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities of images (n, 28, 28) uint8: without dropout (n, 10), of each pass (PASSES, n, 10)."""
        logits = []
        masks = torch.from_numpy(_masks(self.shape))
        with torch.inference_mode():
            for batch in torch.from_numpy(images.copy())[:, None].split(networks.BATCH):
                features = self.features(batch / 255)
                thinned = [self.logits(features * mask) for mask in masks]
                logits.append(torch.stack([self.logits(features), *thinned]))
            probabilities = torch.cat(logits, dim=1).double().softmax(dim=-1).numpy()
        return probabilities[0], probabilities[1:]


@cache
def _masks(shape: tuple[int, ...]) -> np.ndarray:
    """The factor of every feature in each pass, (PASSES, *shape) float32: 0, or 1 over the share that is kept."""
    kept = np.random.default_rng(MASKS).random((PASSES, *shape)) >= RATE
    return (kept / (1 - RATE)).astype(np.float32)


def _last_layer(net: nn.Module, images: Tensor) -> tuple[str, tuple[int, ...]]:
    """The last linear layer or convolution that is called: its name, and the shape of its input for one image."""
    last = ("body", ())
    names = {module: name for name, module in net.named_modules() if isinstance(module, nn.Linear | _ConvNd)}

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        nonlocal last
        last = names[module], given[0].shape[1:] if given else ()

    hooks = [module.register_forward_pre_hook(note) for module in names]
    net(images)
    for hook in hooks:
        hook.remove()
    return last


def doubts(plain: np.ndarray, passes: np.ndarray) -> dict[str, np.ndarray]:
    """The recorded doubts (n,), from class probabilities without dropout (n, 10) and of each pass (passes, n, 10).

    predicted, softmax: the class without dropout, and 1 - its probability; mean_predicted, mean: the same for the mean
    over the passes. entropy: of that mean, nats. information: the mutual information of prediction and mask, nats.
    spread: the root of the predictive variance, summed over the classes.
    """
    mean = passes.mean(axis=0)
    entropy = entr(mean).sum(axis=-1)
    return {
        "predicted": plain.argmax(axis=-1).astype(np.uint8),
        "softmax": 1 - plain.max(axis=-1),
        "mean_predicted": mean.argmax(axis=-1).astype(np.uint8),
        "mean": 1 - mean.max(axis=-1),
        "entropy": entropy,
        "information": np.maximum(entropy - entr(passes).sum(axis=-1).mean(axis=0), 0),  # not below 0 by rounding
        "spread": np.sqrt(passes.var(axis=0).sum(axis=-1)),
    }


def record(model: str, outputs: Path = OUTPUTS, images: int = 2_000, recompute: bool = False) -> dict[str, int]:
    """Evaluate a trained network, or recompute a sample of what is recorded already (`parts.complete`).

    Raises FileNotFoundError, which names the command, if the network is not trained, and ValueError if the record does
    not follow from the weights or the network cannot be cut (`Cut.of`).
    """
    wanted = doubts_of(model, outputs, images)
    compiled = recompute or not wanted.path.is_file()  # not worth it for a sample
    cut = Cut.of(networks.load(model, SEED, outputs), model, compiled)
    origin = parts.origin(model, SEED, networks.weights_path(model, SEED, outputs))

    def make(part: Doubts, bar: tqdm) -> None:
        found = []
        for attacked in part.attacked(np.arange(images)):
            found.append(doubts(*cut.evaluate(attacked)))
            bar.update(len(attacked))
        arrays = {name: np.stack([row[name] for row in found]) for name in found[0]}
        small = {name: each if each.dtype == np.uint8 else each.astype(np.float16) for name, each in arrays.items()}
        write_arrays(part.path, origin | {"recipe": part.recipe}, small)

    options = {"check": lambda part: _check(part, cut), "recompute": recompute, "title": f"{model} with dropout"}
    return parts.complete([wanted], origin["weights"], make, **options)


def _check(part: Doubts, cut: Cut) -> int:
    """Recompute a sample (`files.sampling`) of a recorded file from the weights (`confirmed`)."""
    index = sampling(part.path).integers(part.recipe["images"], size=CHECKED_IMAGES)
    recorded = {name: values[:, index].ravel() for name, values in part.read().items()}
    plain, passes = cut.evaluate(part.attacked(index).reshape(-1, 28, 28))
    found = doubts(plain, passes)
    rows = np.arange(len(plain))
    wrong = np.zeros(len(plain), bool)
    for name in recorded.keys() - {"predicted", "mean_predicted"}:
        wrong |= np.abs(found[name] - recorded[name]) > TOLERANCE
    for name, chances in (("predicted", plain), ("mean_predicted", passes.mean(axis=0))):
        wrong |= chances[rows, recorded[name]] < chances.max(axis=-1) - TOLERANCE
    return confirmed(wrong, np.tile(index, len(part.rows)), part.path)
