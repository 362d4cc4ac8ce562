"""What the viewers show: the state, and a network's predictions for the digit that the state names. No widgets here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lib import networks, paper
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import Evaluator
from lib.noise import default_c, perturb_and_count
from lib.noise.perturbation import check_drawing
from lib.noise.rules import is_whole
from lib.store import data
from lib.store.files import OUTPUTS, ROOT, visible

if TYPE_CHECKING:
    from lib.experiments.dropout import Cut  # with torch, for which no viewer waits to open

MOST_ATTACKS = paper.LEVELS[-1]
SMALLEST_C, LARGEST_C = 0.1, 10.0
# Upper limits; the lower ones are 0.
LARGEST = {"number": 9_999, "attacks": MOST_ATTACKS, "draw": 2**31, "train_seed": 2**31}
# The stops of c's knob, denser where c matters more; the default c of each noise is among them.
STOPS = [*(n / 20 for n in range(2, 40)), *(n / 4 for n in range(8, 20)), *(n / 2 for n in range(10, 21))]
STATISTICS = {  # of activations, as in `Plan`, by their names for the reader
    "frozen": "of the training (frozen)",
    "adapted": "of noisy images (adapted)",
    "moments": "moments put back",
}
ADAPTED_ON, SHARED_BY = 128, 20  # noisy training images that they come from, and levels that share them, for speed
IMAGES_A_STEP = 25  # images in one step of work: few, so that a newer state or a cancel is handled soon
LEVELS_A_STEP = 10  # levels in one step of a strip: fewer still, because a turning knob interrupts it


@dataclass(frozen=True)
class State:
    """Everything that decides what a viewer shows; raises ValueError for a value out of its range."""

    model: str = "resnet18"
    number: int = 288  # test image, 0..9,999; for the reader's own digit it only picks the random stream
    noise: str = "white_to_black"
    c: float | None = None  # None: the noise's own
    attacks: int = 10
    draw: int = 0
    replacement: bool = True  # as in `perturb`, like the source
    source: str = "clean"
    statistics: str = "frozen"  # of activations: of the training, or of images with this noise
    own: bytes | None = None  # the reader's own digit: 28 x 28 brightnesses, row by row; None: the test image
    train_seed: int = 0
    dataset: str = "mnist"  # on which the network was trained
    outputs: Path = OUTPUTS

    def __post_init__(self):
        networks.architecture(self.model)
        if not isinstance(self.noise, str):
            raise ValueError(f"noise must be a name, not {self.noise!r}")
        c = default_c(self.noise, self.c)
        if not SMALLEST_C <= c <= LARGEST_C:
            raise ValueError(f"c must be {SMALLEST_C} to {LARGEST_C:g} here, not {c:g}")
        object.__setattr__(self, "c", c)
        for name, largest in (LARGEST | {"number": len(data.load(self.dataset).test_images) - 1}).items():
            if not is_whole(value := getattr(self, name), largest):
                raise ValueError(f"{name} must be an integer from 0 to {largest}, not {value!r}")
        check_drawing(self.replacement, self.source)
        if self.statistics not in STATISTICS:
            raise ValueError(f"unknown statistics {self.statistics!r}; choose from {', '.join(STATISTICS)}")
        if self.own is not None and len(self.own) != 28 * 28:
            raise ValueError(f"a digit has 28 x 28 brightnesses, not {len(self.own)}")

    @property
    def image(self) -> np.ndarray:
        """The clean digit, (28, 28) uint8."""
        if self.own is not None:
            return np.frombuffer(self.own, np.uint8).reshape(28, 28)
        return data.load(self.dataset).test_images[self.number]

    @property
    def label(self) -> int | None:
        """The digit's class; None for the reader's own digit, which has no label."""
        return int(data.load(self.dataset).test_labels[self.number]) if self.own is None else None

    def called(self, number: int) -> str:
        """A class in words: `7`, or `7 (sneaker)`."""
        names = data.CLASS_NAMES.get(self.dataset)
        return f"{number} ({names[number]})" if names else str(number)

    def turned(self, **changes) -> State:
        """The state with some values changed; another noise brings its default c."""
        return replace(self, **({"c": None} if "noise" in changes else {}) | changes)

    @property
    def noise_arguments(self) -> dict:
        """The keyword arguments of `perturb` without those that name images."""
        return {"seed": self.draw} | {name: getattr(self, name) for name in ("noise", "c", "replacement", "source")}


class Opening(BaseModel):
    """The parameters of `explore.ipynb`: what its viewers open on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "resnet18"
    train_seed: int = Field(0, ge=0, le=LARGEST["train_seed"])
    digit: int = Field(288, ge=0, le=LARGEST["number"])
    noise: str = "white_to_black"
    c: float | None = Field(None, ge=SMALLEST_C, le=LARGEST_C)
    attacks: int = Field(10, ge=0, le=LARGEST["attacks"])
    draw: int = Field(0, ge=0, le=LARGEST["draw"])
    replacement: bool = True
    source: str = "clean"
    dataset: data.KnownSet = "mnist"
    images: int = Field(500, ge=1, le=10_000)
    outputs: Path = Path("outputs")  # from the repository's root

    def state(self) -> State:
        """Raises ValueError for an unknown network or noise; the message lists the choices."""
        values = self.model_dump(exclude={"digit", "images", "outputs"})
        return State(**values, number=self.digit, outputs=ROOT / self.outputs)


@dataclass(frozen=True)
class Look:
    """One digit before and after its attacks, with the network's predictions for both."""

    state: State
    noisy: np.ndarray  # (28, 28) uint8
    hit: np.ndarray  # (28, 28) bool: altered by at least one attack
    attacked: int  # attacks that found a pixel
    altered: int  # pixels whose brightness is not the clean digit's
    left: int  # pixels still eligible
    before: np.ndarray  # (10,) class probabilities of the clean digit, by frozen statistics
    after: np.ndarray  # (10,), of the noisy one, by the state's statistics
    frozen: np.ndarray  # (10,), of the noisy one by frozen ones
    dropped: np.ndarray | None = None  # (2, 10), the mean over `dropout`'s passes; None: not possible

    @property
    def truth(self) -> int:
        """The digit's class; for the reader's own digit the class predicted before any attack."""
        return int(self.before.argmax()) if self.state.label is None else self.state.label


@dataclass(frozen=True)
class Strip:
    """The network's prediction after every number of attacks, as far as it is computed."""

    probability: np.ndarray  # (201,) of the true class; NaN: not computed yet
    predicted: np.ndarray  # (201,) class; -1: not computed yet
    truth: int

    @property
    def complete(self) -> bool:
        return not np.isnan(self.probability).any()

    @property
    def first_fooled(self) -> int | None:
        """The fewest attacks after which the prediction is wrong, or None; final once the strip is complete."""
        wrong = np.flatnonzero((self.predicted >= 0) & (self.predicted != self.truth))
        return int(wrong[0]) if len(wrong) else None


def trained(outputs: Path = OUTPUTS, train_seed: int = 0, dataset: str = "mnist") -> list[str]:
    """The networks of a data set with weights on disk, the paper's first; files without a record are skipped and
    logged.
    """
    found = set()
    for path in visible(outputs / "weights", f"*-seed{train_seed}.safetensors"):
        try:
            recipe = networks.read_record(path)["recipe"]
        except (OSError, ValueError) as error:
            logging.getLogger(__name__).warning(f"{path} does not say which network it holds: {error!r}")
        else:
            found |= {recipe["model"]} if recipe.get("dataset", "mnist") == dataset else set()
    return sorted(found, key=_in_order)


def choices(state: State) -> list[str]:
    """The networks that a viewer offers: the trained ones and the state's own, trained or not."""
    return sorted({*trained(state.outputs, state.train_seed, state.dataset), state.model}, key=_in_order)


def _in_order(model: str) -> tuple:
    """A sort key: the paper's networks, then the others of `NETS`, then the reader's own."""
    known = list(networks.NETS)
    name = model.partition("@")[0]
    return model not in paper.NETWORKS, known.index(name) if name in known else len(known), model


def look(state: State) -> Look:
    """The attacked digit with the class probabilities before and after (section 3.2), also with dropout."""
    *_, last = looks(state)
    return last


def looks(state: State) -> Iterator[Look]:
    """`look` without dropout as soon as the network is loaded, then with it, where dropout is possible."""
    noisy, attacked, left = _trail(replace(state, attacks=0))
    steps = noisy[: state.attacks + 1]
    hit = (steps[1:] != steps[:-1]).any(axis=0)
    counts = int(attacked[state.attacks]), int((steps[-1] != steps[0]).sum()), int(left[state.attacks])
    pair = np.stack([state.image, steps[-1]])
    network = _network(state)
    before, frozen = network.at_once(pair)
    if state.statistics != "frozen":
        yield Look(state, steps[-1], hit, *counts, before, probabilities(state, pair[1:])[0], frozen)
        return
    seen = Look(state, steps[-1], hit, *counts, before, frozen, frozen)
    if "cut" not in vars(network):
        yield seen
    yield seen if network.cut is None else replace(seen, dropped=network.cut.evaluate(pair)[1].mean(axis=0))


@lru_cache(16)
def _trail(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The digit after 0..200 attacks (201, 28, 28), the attacks that found a pixel and the pixels left, (201,) each."""
    noisy, attacked, _, left = perturb_and_count(
        state.image[None], attacks=range(MOST_ATTACKS + 1), index=np.array([state.number]), **state.noise_arguments
    )
    return noisy[:, 0], attacked[:, 0], left[:, 0]


_strips: dict[State, Strip] = {}


def strips(state: State) -> Iterator[Strip]:
    """The strip of the state's digit, coarse first, then finer; the last one is complete. `attacks` is ignored."""
    key = replace(state, attacks=0)
    if key in _strips:
        yield _strips[key]
        return
    noisy = _trail(key)[0]
    probability = np.full(MOST_ATTACKS + 1, np.nan, np.float32)
    predicted = np.full(MOST_ATTACKS + 1, -1)
    truth = state.label
    for chosen in _in_steps(state.statistics):
        found = probabilities(replace(key, attacks=int(chosen[len(chosen) // 2])), noisy[chosen])
        truth = int(found[0].argmax()) if truth is None else truth  # the first level chosen is 0
        probability[chosen], predicted[chosen] = found[:, truth], found.argmax(axis=1)
        strip = Strip(probability.copy(), predicted.copy(), truth)
        yield strip
    while len(_strips) >= 64:
        _strips.pop(next(iter(_strips)), None)
    _strips[key] = strip


def _in_steps(statistics: str) -> Iterator[np.ndarray]:
    """All levels: coarse first, then finer; those that share their statistics together."""
    levels = np.arange(MOST_ATTACKS + 1)
    if statistics != "frozen":
        yield from np.split(levels, levels[SHARED_BY // 2 :: SHARED_BY])
        return
    for start, step in ((0, 8), (4, 8), (2, 4), (1, 2)):
        for first in range(start, MOST_ATTACKS + 1, step * LEVELS_A_STEP):
            yield levels[first : first + step * LEVELS_A_STEP : step]


class Network:
    """A trained network: evaluated by torch once it is loaded, several times faster once OpenVINO has compiled it."""

    def __init__(self, model: str, train_seed: int, outputs: Path, dataset: str):
        self.net, self._model = networks.load(model, train_seed, outputs, dataset), model
        if model.partition("@")[0] not in networks.NETS:  # these pass, and the probe doubles the wait
            networks.probed(self.net, model)
        self._torch: networks.Predictor | None = networks.predictor(self.net, engine="torch")

    @cached_property
    def fast(self) -> networks.Predictor:
        self._torch = None  # no longer needed
        return networks.predictor(self.net)

    def at_once(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities (n, 10) of a few images (n, 28, 28), without the wait for the compiler."""
        return (self._torch or self.fast)(images)

    @cached_property
    def cut(self) -> Cut | None:
        """The network cut before its last layer, for dropout; None where that is not possible."""
        from lib.experiments import dropout  # with torch

        try:
            return dropout.Cut.of(self.net, self._model)
        except ValueError as error:
            logging.getLogger(__name__).info(str(error))


_loaded = lru_cache(Network)


def _network(state: State) -> Network:
    return _loaded(state.model, state.train_seed, state.outputs, state.dataset)


def probabilities(state: State, images: np.ndarray) -> np.ndarray:
    """Class probabilities (n, 10) of images (n, 28, 28) from the state's network, by the statistics for its level."""
    if state.statistics == "frozen":
        return _network(state).fast(images)
    level = (state.attacks + SHARED_BY // 2) // SHARED_BY * SHARED_BY
    return _fitted(replace(state, number=0, own=None, attacks=level))(images)


@lru_cache(2)
def _fitted(state: State) -> networks.Predictor:
    """The network with its statistics from training images under the state's noise and level."""
    return _at_levels(replace(state, attacks=0))(state.attacks)


@lru_cache(1)
def _at_levels(state: State) -> Callable[[int], networks.Predictor]:
    names = ("model", "train_seed", "dataset", "c", "draw", "replacement", "source", "statistics", "outputs")
    plan = Plan(noises=[state.noise], adapted_on=ADAPTED_ON, **{name: getattr(state, name) for name in names})
    return Evaluator(_network(state).net, {}, engine="torch").predictor(plan.part(state.noise))
