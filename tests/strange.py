"""Networks that a stranger might bring: by name, those that can be measured and those that cannot, and why not."""

import functools
import sys
import threading
import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune

PIXELS = 56 * 56


def dense(*more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 30), nn.ReLU(), nn.Linear(30, 10), *more)


class Around(nn.Module):
    """A dense network with a function of images before it."""

    def __init__(self, before):
        super().__init__()
        self.before, self.inner = before, dense()

    def forward(self, images: Tensor):
        return self.inner(self.before(images))


class Inside(nn.Module):
    """A function of a dense network and images."""

    def __init__(self, function):
        super().__init__()
        self.function, self.inner = function, dense()

    def forward(self, images: Tensor):
        return self.function(self.inner, images)


def changed(change, body: nn.Module | None = None) -> nn.Module:
    """A dense network, or `body`, after `change(body)`."""
    body = body or dense()
    with torch.no_grad():
        change(body)
    return body


class OneByOne(nn.Module):
    """Each image goes one way or the other, by its mean brightness."""

    def __init__(self, above: float):
        super().__init__()
        self.above, self.bright, self.dark = above, dense(), dense()

    def forward(self, images: Tensor) -> Tensor:
        ways = (self.bright if image.mean() > self.above else self.dark for image in images)
        return torch.cat([way(image[None]) for way, image in zip(ways, images, strict=True)])


class Viewing(nn.Module):
    """Convolutions, then a `view`, as in many an example."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Linear(4 * 28 * 28, 10)

    def forward(self, images: Tensor) -> Tensor:
        found = self.first(images).relu()
        return self.last(found.view(found.size(0), -1))


class Negative(nn.Sequential):
    """Its layers begin as a dense network's do, but see the negative."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(-images)


class Recurrent(nn.Module):
    def __init__(self, *, squeezed: bool):
        super().__init__()
        self.rows, self.last, self.squeezed = nn.LSTM(56, 16, batch_first=True), nn.Linear(16, 10), squeezed

    def forward(self, images: Tensor) -> Tensor:
        rows = images.squeeze() if self.squeezed else images[:, 0]  # the former drops a batch of one
        return self.last(self.rows(rows)[0][:, -1])


def permuted(order: np.ndarray) -> nn.Module:
    return Around(lambda images: images.flatten(1)[:, order])


SHARED = nn.Linear(PIXELS, 10)


class Sparse(nn.Module):
    """Bright images alone go through a second network, as through a sparse expert."""

    def __init__(self, above: float):
        super().__init__()
        self.above, self.all, self.bright = above, dense(), dense()

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.nonzero(images.mean(dim=(1, 2, 3)) > self.above)[:, 0]
        answers = self.all(images)
        return answers.index_copy(0, rows, self.bright(images[rows])) if len(rows) else answers


class Masked(Sparse):
    def forward(self, images: Tensor) -> Tensor:
        bright, answers = images.mean(dim=(1, 2, 3)) > self.above, self.all(images)
        chosen = images[bright]
        return answers if chosen.shape[0] == 0 else answers.masked_scatter(bright[:, None], self.bright(chosen))


def in_bfloat16(inner: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return inner(images)


def ending(function) -> nn.Module:
    body = Inside(lambda inner, images: function(inner(images)))
    body.inner = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(784, 10))
    return body


# What no last layer may be followed by -> what its outputs then cannot do.
ENDS = {
    "softmax": (lambda z: z.softmax(dim=1), "be negative"),
    "sigmoid": (torch.sigmoid, "be negative"),
    "relu": (functional.relu, "be negative"),
    "tanh": (torch.tanh, "make a class certain beyond a probability of 0.4"),
    "of_length_one": (functional.normalize, "make a class certain"),
}


class Cosine(nn.Module):
    """A head of cosines at a learnt scale, as in metric learning."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(PIXELS, 30), nn.Parameter(torch.randn(10, 30))
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, images: Tensor) -> Tensor:
        found = functional.normalize(self.first(images.flatten(1)).relu())
        return self.scale * found @ functional.normalize(self.last).T


class Prototypes(nn.Module):
    """Minus the squared distances to ten points, as in LeNet-5: no logit is positive."""

    def __init__(self):
        super().__init__()
        self.first, self.points = nn.Linear(PIXELS, 30), nn.Parameter(torch.randn(10, 30))

    def forward(self, images: Tensor) -> Tensor:
        return -torch.cdist(self.first(images.flatten(1)), self.points).square()


class Spectrum(nn.Module):
    """A layer of complex weights."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(PIXELS, 10, dtype=torch.complex64) / 50)

    def forward(self, images: Tensor) -> Tensor:
        return (images.flatten(1).to(torch.complex64) @ self.weights).real


class Locking(nn.Identity):
    """Cannot be copied once it is used."""

    def forward(self, images: Tensor) -> Tensor:
        self.lock = threading.Lock()
        return images


class Noting(nn.Identity):
    """Keeps something other than tensors."""

    def get_extra_state(self) -> dict:
        return {"seen": 0}


def quantised() -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(*dense(), nn.LayerNorm(10)), {nn.Linear})


TRAINED = dense().state_dict()


FIT = {
    "dense": dense,
    "without_bias": lambda: nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 10, bias=False)),
    "lazy": lambda: nn.Sequential(nn.Conv2d(1, 4, 8, 4), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10)),
    "log_softmax": lambda: dense(nn.LogSoftmax(dim=1)),
    "dropout_in_training": lambda: dense(nn.Dropout(0.5)),
    "changing_its_images": lambda: Around(lambda images: images.mul_(2).sub_(0.5)),
    "computing_in_float64": lambda: Around(lambda images: images.double()).double(),
    "pooling_widely": lambda: nn.Sequential(nn.MaxPool2d(8), nn.Flatten(), nn.Linear(49, 10)),
    "seeing_black_and_white": lambda: Around(lambda images: (images > 0.5).float()),
    "scaling_each_image": lambda: Around(lambda images: images / (1 + images.std(dim=(1, 2, 3), keepdim=True))),
    "doubled_by_a_hook": lambda: changed(
        lambda body: body[1].register_forward_hook(lambda module, images, found: 2 * found)
    ),
    "sharing_a_bias": lambda: changed(
        lambda body: setattr(body[5], "bias", body[3].bias), dense(nn.ReLU(), nn.Linear(10, 10))
    ),
    "weight_norm": lambda: changed(lambda body: nn.utils.parametrizations.weight_norm(body[3])),
    "spectral_norm_of_old": lambda: changed(lambda body: nn.utils.spectral_norm(body[1])),
    "pruned": lambda: changed(lambda body: prune.random_unstructured(body[1], "weight", amount=0.5)),
    "scripted": lambda: torch.jit.script(Viewing()),
    "fx": lambda: torch.fx.symbolic_trace(Viewing()),
    "cosine": Cosine,
    "prototypes": Prototypes,
    "beginning_with_zeros": lambda: changed(lambda body: [weights.zero_() for weights in body[3].parameters()]),
    "with_batch_norm": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(PIXELS, 30), nn.BatchNorm1d(30), nn.Linear(30, 10)
    ),
    "viewing": Viewing,
    "negative": lambda: Negative(*dense()),
    "recurrent": lambda: Recurrent(squeezed=False),
    "one_by_one": lambda: OneByOne(0.0),
    "complex": Spectrum,
    "mostly_zeros": lambda: changed(lambda body: nn.init.sparse_(body[1].weight, 0.9)),
    "signs": lambda: changed(lambda body: body[1].weight.sign_().div_(50)),
    "log_softmax_in_training": lambda: Inside(
        lambda inner, images: inner(images).log_softmax(dim=1) if inner.training else inner(images)
    ),
}

UNFIT = {
    "nothing": (lambda: None, "gives a NoneType; allowed is a function that returns a torch module"),
    "wanting_an_argument": (lambda width: dense(), "cannot be made for 1x56x56 and 10 classes: TypeError: .*'width'"),
    "for_28x28": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        r"cannot evaluate 30 images: RuntimeError: mat1 and mat2 .*allowed is a network for any .* float32 of 1x56x56",
    ),
    "float64": (lambda: dense().double(), "same dtype.*float32 of 1x56x56"),
    "for_batches_of_64": (lambda: Around(lambda images: images.reshape(64, 1, 56, 56)), "any number of images"),
    "squeezing": (lambda: Recurrent(squeezed=True), "cannot evaluate 1 image: "),
    "nine": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 9)),
        r"a tensor \(30, 9\) for 30 images; allowed is one tensor of logits, \(30, 10\)",
    ),
    "two_answers": (lambda: Inside(lambda inner, images: (inner(images), images)), "a tuple for 30 images; allowed"),
    "votes": (lambda: Inside(lambda inner, images: (inner(images) > 0).long()), "of torch.int64, .* for 30 images"),
    "not_finite": (
        lambda: Inside(lambda inner, images: inner(images) / (images.mean(dim=(1, 2, 3)) < 0.3)[:, None]),
        r"NaN or infinity for \d+ of 30 digits; allowed",
    ),
    "dropout_for_ever": (lambda: Around(functional.dropout), "other logits for the same digits the second time"),
    "by_statistics_of_the_batch": (
        lambda: nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), nn.Linear(PIXELS, 10)),
        "a digit alone other logits than in a batch; allowed",
    ),
    "by_the_mean_of_many": (
        lambda: Inside(lambda inner, images: inner(images) - (inner(images).mean(dim=0) if len(images) > 40 else 0)),
        "other logits in a batch of 100 than of 30",
    ),
    "leaving_when_made": (lambda: sys.exit(3), "cannot be made for 1x56x56 and 10 classes: SystemExit: 3"),
    "constant": (lambda: Around(torch.zeros_like), "same logits whatever pixels are changed; .* lower learning rate"),
    "skipping": (
        lambda: nn.Sequential(nn.MaxPool2d(1, stride=4), nn.Flatten(), nn.Linear(14 * 14, 10)),
        "reads 196 of 784 pixels: the one in row 0, column 1 changes no logit",
    ),
    "leaving_an_edge": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 5, stride=4), nn.Flatten(), nn.Linear(8 * 13 * 13, 10)),
        "reads 729 of 784 pixels: the one in row 0, column 27 changes no logit",
    ),
    "cropping_in_the_dark": (
        lambda: Around(lambda images: functional.threshold(functional.pad(images[..., 8:-8, 8:-8], [8] * 4), 2.0, 0.0)),
        "reads 400 of 784 pixels",
    ),
    "frozen": (lambda: dense().requires_grad_(False), "has no parameters to train"),
    "without_gradient": (
        lambda: Inside(torch.no_grad()(lambda inner, images: inner(images))),
        "cannot be trained: RuntimeError: .* does not require grad",
    ),
    "another_answer_in_training": (
        lambda: Inside(lambda inner, images: (inner(images), 0) if inner.training else inner(images)),
        "in training returns a tuple for 2 images",
    ),
    "an_instance": (dense(), "is a module; allowed is a function that returns a new one"),
    "always_the_same": (functools.cache(dense), "gives the same module each time; allowed is a function that makes a"),
    "with_a_shared_layer": (lambda: nn.Sequential(nn.Flatten(), SHARED), "gives the same module each time"),
    "drawn_by_numpy": (
        lambda: changed(lambda body: body[1].bias.copy_(torch.from_numpy(np.random.default_rng().normal(size=30)))),
        "begins with other weights each time, whatever the seed; allowed are random",
    ),
    "shuffled": (
        lambda: permuted(np.random.default_rng().permutation(PIXELS)),
        "other logits once its weights are stored and read back; allowed is a network all of",
    ),
    "seeding_itself": (
        lambda: changed(lambda body: torch.manual_seed(0) and body[1].reset_parameters()),
        "same weights whatever the seed, so its trainings are not independent",
    ),
    "nearly_the_same": (
        lambda: changed(
            lambda body: [value.mul_(1e-6).add_(TRAINED[name]) for name, value in body.state_dict().items()]
        ),
        "not independent",
    ),
    "softmax_in_training": (
        lambda: Inside(lambda inner, images: inner(images).softmax(dim=1) if inner.training else inner(images)),
        "in training returns outputs that cannot be negative",
    ),
    "sparse_logits": (
        lambda: Inside(lambda inner, images: inner(images).to_sparse()),
        "of torch.float32, .*sparse_coo",
    ),
    "on_another_device": (lambda: Inside(lambda inner, images: inner(images).to("meta")), r"\(30, 10\) .* on meta"),
    "locking": (lambda: nn.Sequential(*dense(), Locking()), "cannot be copied once it is evaluated: TypeError: .*lock"),
    "too_small_for_float16": (
        lambda: changed(
            lambda body: [value.mul_(1e-9) for value in body.inner[3].parameters()],
            Inside(lambda inner, images: 1e9 * inner(images)),
        ),
        "loses its weights in float16",
    ),
    "read_from_elsewhere": (
        lambda: changed(lambda body: body.load_state_dict(TRAINED)),
        "not independent.*make import",
    ),
    "extra_state": (lambda: nn.Sequential(*dense(), Noting()), r"state_dict holds body.4._extra_state \(dict\)"),
    "quantised": (quantised, r"its state_dict holds .*\(dtype\).*allowed are tensors that are not quantised"),
} | {
    name: (functools.partial(ending, end), f"outputs that cannot {problem}.*leave out the softmax")
    for name, (end, problem) in ENDS.items()
}


globals().update(FIT | {name: make for name, (make, _) in UNFIT.items()})
