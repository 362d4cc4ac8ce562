"""What a network must do to be measured, tried on digits before it is trained, evaluated or shown."""

import copy
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from lib.networks.architectures import CLASSES
from lib.networks.net import Net, in_a_line
from lib.noise import perturb
from lib.paper import PAPER_NOISES
from lib.store import data

ROUNDING = 1e-4  # of the logits' range: batches of other sizes are added up in another order
TOGETHER = 100  # images a forward pass, as in a sweep
SOME = slice(None, None, 3)  # of the digits, clean and noisy ones among them
STEPS = 25  # in which a network's weights are changed to see what its outputs can be
CERTAIN = 5.0  # log-odds of a class that a network's weights must be able to give: a probability of 0.993


def probed(net: Net, model: str) -> Net:
    """The network itself, in eval mode, if its robustness can be measured.

    It must give ten finite logits for every digit, clean or noisy; the same ones each time, alone and in a batch; and
    each of the 28x28 pixels must be able to change them. Otherwise ValueError names the `model`, in a line, and says
    what was found and what is allowed.
    """
    images = as_read(probe_digits())
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        found = logits(net, model, images)
        if not alike(logits(net, model, images), found):
            raise ValueError(
                f"{model} gives other logits for the same digits the second time; allowed is a network without "
                "randomness in eval mode: give F.dropout its training=self.training"
            )
        own = "allowed are logits that depend on one image each"
        alone = torch.cat([logits(net, model, image[None]) for image in images[SOME]])
        if not alike(alone, found[SOME]):
            raise ValueError(
                f"{model} gives a digit alone other logits than in a batch; {own}: no statistics of the batch in eval "
                "mode, as of BatchNorm2d(track_running_stats=False)"
            )
        many = images.repeat(TOGETHER // len(images) + 1, 1, 1, 1)[:TOGETHER]
        if not alike(logits(net, model, many)[: len(images)], found):
            raise ValueError(f"{model} gives digits other logits in a batch of {TOGETHER} than of {len(images)}; {own}")
        check_logits(net, model, found)
        unread = unread_pixels(net, model, images)
    if unread.any():
        row, column = np.argwhere(unread)[0]
        reads = f"reads {unread.size - unread.sum()} of {unread.size} pixels: the one in row {row}, column {column}"
        problem, hint = f"{reads} changes no logit", f"let its patches and strides cover {net.reads}"
        if unread.all():
            problem = "gives the same logits whatever pixels are changed"
            hint = "if it is trained, its training has failed, and a lower learning rate may help"
        raise ValueError(f"{model} {problem}; allowed is a network that every pixel can change: {hint}")
    return net


@cache
def probe_digits() -> np.ndarray:
    """(30, 28, 28) uint8: the first training image of each class; then five of them after 200 attacks of each noise."""
    clean = _clean_digits()
    return np.concatenate([clean, *(perturb(clean[:5], noise, 200) for noise in PAPER_NOISES)])


@cache
def _clean_digits() -> np.ndarray:
    found = data.load()
    return found.train_images[[np.flatnonzero(found.train_labels == digit)[0] for digit in range(CLASSES)]]


def as_read(images: np.ndarray) -> Tensor:
    """Images (n, H, W) uint8 as networks read them: (n, 1, H, W) float32, 0 to 1."""
    return torch.from_numpy(images[:, None] / np.float32(255))


def kept_logits(net: Net, model: str) -> list[list[float]]:
    """The logits (10, 10) that the record of a training keeps, to six digits, by which changed code is noticed."""
    images = _clean_digits().copy()  # without noise, whose code may change
    images[1::2] = 255 - images[1::2]
    with torch.no_grad():
        found = logits(net, model, as_read(images)).double()
    return [[float(f"{value:.6g}") for value in row] for row in found.tolist()]


def logits(net: Net, model: str, images: Tensor) -> Tensor:
    """The network's logits (n, 10) for images (n, 1, 28, 28). Raises ValueError if it returns anything else."""
    number = len(images)
    allowed = f"allowed is one tensor of logits, ({number}, {CLASSES})"
    try:
        found = net(images)
    except (Exception, SystemExit) as error:  # of anyone's code
        raise ValueError(
            f"{model} cannot evaluate {number} image{'s' * (number > 1)}: {in_a_line(error)}; allowed is a network for "
            f"any number of images, float32 of {net.reads}"
        ) from None
    if not isinstance(found, Tensor):
        raise ValueError(f"{model} returns a {type(found).__name__} for {number} images; {allowed}")
    plain = found.is_floating_point() and found.layout == torch.strided and found.device == images.device
    if found.shape != (number, CLASSES) or not plain:
        kind = "" if plain else f" of {found.dtype}, {found.layout} on {found.device}"
        raise ValueError(f"{model} returns a tensor {tuple(found.shape)}{kind} for {number} images; {allowed}")
    if wrong := int((~found.isfinite()).any(dim=1).sum()):
        raise ValueError(f"{model} returns NaN or infinity for {wrong} of {number} digits; {allowed}, all finite")
    return found


def alike(some: Tensor, other: Tensor) -> bool:
    """Whether logits (n, 10) are the same but for rounding."""
    return float((some - other).abs().max()) <= ROUNDING * float(other.max() - other.min())


def check_logits(net: Net, model: str, found: Tensor) -> None:
    """Raises ValueError if no weights would make these outputs (n, 10) logits of every sign, or one class certain."""
    images = as_read(probe_digits())[:2]  # of one alone, batch normalisation cannot train
    top = int(found[0].argmax())

    def odds(outputs: Tensor) -> Tensor:
        others = torch.cat([outputs[:, :top], outputs[:, top + 1 :]], dim=1)
        return outputs[0, top] - others.logsumexp(dim=1)[0]

    sought = {
        "cannot be negative": (bool((found < 0).any()), lambda outputs: -outputs.min(), 1e-3),
        "cannot make a class certain": (bool(found.softmax(dim=1).max() > 0.99), odds, CERTAIN),
    }
    for problem, (seen, score, target) in sought.items():
        if not seen and (reached := _climb(net, model, score, images, target)) < target:
            odds_or_value = f" beyond a probability of {1 / (1 + np.exp(-reached)):.2g}" if score is odds else ""
            raise ValueError(
                f"{model} returns outputs that {problem}{odds_or_value}, whatever its weights; allowed are logits: "
                "leave out the softmax, sigmoid, tanh or ReLU after its last layer"
            )


def _climb(net: Net, model: str, score: Callable[[Tensor], Tensor], images: Tensor, target: float) -> float:
    """The greatest `score` of a network's outputs that Adam finds by changing the weights of a copy.

    The weights registered last, most often those of the last layer, are tried alone first, since that is cheap. A
    network without a gradient reaches everything: training refuses it.
    """
    best, count = -np.inf, len(list(net.parameters()))
    for last in (4, count)[count <= 4 :]:
        try:
            copied = copy.deepcopy(net).requires_grad_(False)
        except Exception as error:  # of anyone's code
            raise ValueError(f"{model} cannot be copied once it is evaluated: {in_a_line(error)}") from None
        weights = [
            value.requires_grad_()
            for value in list(copied.parameters())[-last:]
            if value.dtype.is_floating_point or value.is_complex()
        ]
        optimizer = torch.optim.Adam(weights, lr=0.3)
        for _ in range(STEPS):
            with torch.enable_grad():
                reached = score(copied(images.clone()))
                if (best := max(best, reached.item())) >= target:
                    return best
                optimizer.zero_grad()
                try:
                    (-reached).backward()
                except RuntimeError:  # a forward pass without a gradient
                    return np.inf
            optimizer.step()
    return best


def unread_pixels(net: Net, model: str, images: Tensor) -> np.ndarray:
    """(28, 28) bool: the pixels that cannot change the logits of these images (n, 1, 28, 28).

    A pixel is read if the gradient of a random sum of the logits is not zero for some image. Where it is zero, as under
    a ReLU whose inputs are all negative, the pixel is changed, black to white or back, first with all others like it.
    """
    images = images[SOME]
    with torch.enable_grad():
        inputs = images.clone().requires_grad_()
        found = logits(net, model, inputs)
        try:
            (slopes,) = torch.autograd.grad((found * torch.randn_like(found)).sum(), inputs)
        except RuntimeError:  # it has none: a forward pass under no_grad, say
            slopes = torch.zeros_like(images)
    left = (~(slopes.isfinite() & (slopes != 0)).any(dim=0).flatten()).nonzero()[:, 0]
    for base in images:
        if not len(left):
            break
        together = images.flatten(1).clone()
        together[:, left] = torch.rand(len(images), len(left))
        if torch.equal(logits(net, model, together.view_as(images)), logits(net, model, images)):
            break
        left = left[~_matter(net, model, base, left)]
    unread = np.zeros(images.shape[-2:], bool)
    unread.flat[left.numpy()] = True
    return unread


def _matter(net: Net, model: str, image: Tensor, pixels: Tensor) -> Tensor:
    """(n,) bool: whether the logits of this image change with each pixel; in batches of one size, which round alike."""
    size = min(len(pixels), 100)
    same = image.expand(size, *image.shape)
    before = logits(net, model, same)
    found = []
    for some in pixels.split(size):
        changed = same.flatten(1).clone()
        rows = torch.arange(len(some))
        changed[rows, some] = (changed[rows, some] < 0.5).to(changed)
        after = logits(net, model, changed.view_as(same))
        found.append((after != before).any(dim=1)[: len(some)])
    return torch.cat(found)
