"""What a network must do to be measured, asked of it on real digits before it is trained, swept or shown."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from lib.networks.architectures import CLASSES
from lib.networks.net import Net, in_a_line
from lib.noise import perturb
from lib.paper import PAPER_NOISES
from lib.store import data

ROUNDING = 1e-4  # of the answers' range: other batches add up in another order
TOGETHER = 100  # images a forward pass, as in a sweep
SOME = slice(None, None, 3)  # of the digits, clean and noisy ones among them


def probed(net: Net, model: str) -> Net:
    """The network itself, in eval mode, if it answers as one must whose resilience is to be measured.

    It gives ten finite logits for every digit, clean or noisy; the same ones when it is asked again, alone or among
    others; and each of the 28x28 pixels can change them. torch's random numbers are left as they were.

    Raises:
        ValueError: otherwise; a line that names the `model` and says what was found and what is allowed.
    """
    images = _pictures()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        answers = asked(net, model, images)
        if (answers >= 0).all() and torch.allclose(answers.sum(dim=1), torch.ones(()).to(answers), atol=1e-3):
            raise ValueError(f"{model} answers with probabilities; allowed are logits: leave out its last softmax")
        if not _alike(asked(net, model, images), answers):
            raise ValueError(
                f"{model} answers the same digits otherwise when asked again; allowed is the same answer each time in "
                "eval mode: give F.dropout its training=self.training"
            )
        alone = torch.cat([asked(net, model, image[None]) for image in images[SOME]])
        if not _alike(alone, answers[SOME]):
            raise ValueError(
                f"{model} answers a digit alone otherwise than among others; allowed are answers that follow from one "
                "image each: no statistics of the batch in eval mode, as of BatchNorm2d(track_running_stats=False)"
            )
        many = images.repeat(TOGETHER // len(images) + 1, 1, 1, 1)[:TOGETHER]
        if not _alike(asked(net, model, many)[: len(images)], answers):
            raise ValueError(
                f"{model} answers digits otherwise among {TOGETHER} than among {len(images)}; allowed are answers that "
                "follow from one image each"
            )
        unread = unread_pixels(net, model, images)
    if unread.all():
        raise ValueError(
            f"{model} answers alike whatever pixels are changed; allowed is a network that every pixel can change: if "
            "it is trained, its training has failed, and a lower learning rate may help"
        )
    if unread.any():
        row, column = np.argwhere(unread)[0]
        raise ValueError(
            f"{model} reads {unread.size - unread.sum()} of {unread.size} pixels: the one in row {row}, column "
            f"{column} changes no answer; allowed is a network that every pixel can change: let its patches and "
            f"strides cover {net.reads}"
        )
    return net


@cache
def digits() -> np.ndarray:
    """(30, 28, 28) uint8: the first training image of each class; then five of them after 200 attacks of each noise."""
    found = data.load()
    clean = found.train_images[[np.flatnonzero(found.train_labels == digit)[0] for digit in range(CLASSES)]]
    return np.concatenate([clean, *(perturb(clean[:5], noise, 200) for noise in PAPER_NOISES)])


def _pictures() -> Tensor:
    """The same as a network is given them: (30, 1, 28, 28) float32, 0 to 1."""
    return torch.from_numpy(digits()[:, None] / np.float32(255))


def asked(net: Net, model: str, images: Tensor) -> Tensor:
    """Its logits (n, 10) for images (n, 1, 28, 28).

    Raises:
        ValueError: if it raises an error, or returns anything else; a line.
    """
    number = len(images)
    try:
        answers = net(images)
    except (Exception, SystemExit) as error:  # of anyone's code
        allowed = f"allowed is a network for any number of images, float32 of {net.reads}"
        told = in_a_line(error)
        raise ValueError(f"{model} cannot answer {number} image{'s' * (number > 1)}: {told}; {allowed}") from None
    allowed = f"allowed is one tensor of logits, ({number}, {CLASSES})"
    if not isinstance(answers, Tensor):
        raise ValueError(f"{model} answers {number} images with a {type(answers).__name__}; {allowed}")
    if answers.shape != (number, CLASSES) or not answers.is_floating_point():
        kind = "" if answers.is_floating_point() else f" of {answers.dtype}"
        raise ValueError(f"{model} answers {number} images with a tensor {tuple(answers.shape)}{kind}; {allowed}")
    if wrong := int((~answers.isfinite()).any(dim=1).sum()):
        raise ValueError(f"{model} answers {wrong} of {number} digits with NaN or infinity; {allowed}, all finite")
    return answers


def answer_alike(net: Net, other: Net, model: str) -> bool:
    """Whether two networks in eval mode give the digits the same answers."""
    images = _pictures()
    with torch.no_grad():
        return _alike(asked(other, model, images), asked(net, model, images))


def _alike(some: Tensor, other: Tensor) -> bool:
    return float((some - other).abs().max()) <= ROUNDING * float(other.max() - other.min())


def unread_pixels(net: Net, model: str, images: Tensor) -> np.ndarray:
    """(28, 28) bool: the pixels that change nothing in the answers.

    Where the gradient of a random sum of the answers is not zero for some digit, the pixel is read. Where it is, as
    under a ReLU that rests, it is really changed, black to white or back, first with all the others of the kind.
    """
    images = images[SOME]
    left = torch.from_numpy(np.flatnonzero(~_has_gradient(net, model, images)))
    for base in images:
        if not len(left) or not _matter_together(net, model, images, left):
            break
        left = left[~_matter(net, model, base, left)]
    unread = np.zeros(images[0].numel(), bool)
    unread[left] = True
    return unread.reshape(images.shape[-2:])


def _has_gradient(net: Net, model: str, images: Tensor) -> np.ndarray:
    """(784,) bool."""
    with torch.enable_grad():
        inputs = images.clone().requires_grad_()
        answers = asked(net, model, inputs)
        try:
            (slopes,) = torch.autograd.grad((answers * torch.randn_like(answers)).sum(), inputs)
        except RuntimeError:  # it has none: a forward pass under no_grad, say
            slopes = torch.zeros_like(images)
    return (slopes.isfinite() & (slopes != 0)).any(dim=0).flatten().numpy()


def _matter_together(net: Net, model: str, images: Tensor, pixels: Tensor) -> bool:
    changed = images.flatten(1).clone()
    changed[:, pixels] = torch.rand(len(images), len(pixels))
    return not torch.equal(asked(net, model, changed.view_as(images)), asked(net, model, images))


def _matter(net: Net, model: str, image: Tensor, pixels: Tensor) -> Tensor:
    """(n,) bool: whether the answer to this image changes with each of the pixels, one at a time.

    In batches of one size, so that an answer is compared with one that was computed in the same place.
    """
    size = min(len(pixels), 100)
    same = image.expand(size, *image.shape)
    before = asked(net, model, same)
    found = []
    for some in pixels.split(size):
        changed = same.flatten(1).clone()
        rows = torch.arange(len(some))
        changed[rows, some] = (changed[rows, some] < 0.5).to(changed)
        after = asked(net, model, changed.view_as(same))
        found.append((after != before).any(dim=1)[: len(some)])
    return torch.cat(found)
