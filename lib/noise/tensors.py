"""The noises on tensors, on any device, for the default reading (`replacement=True`, `source="clean"`).

Under this reading only the first attack on a pixel alters it. So one map, the number of that attack, gives every level,
and all attacks of all images are drawn at once. The pixels are those of `perturb`, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.noise import colour
from lib.noise.perturbation import MOST_ATTACKS, check_seed, checked_index, stream_keys
from lib.noise.rules import Noise, Tables, default_c, find, is_whole, tabulated

MOST_PIXELS = 2**26  # of an image; above, too many random numbers would have to be rejected
WORDS_AT_ONCE = 2**24  # random numbers that are drawn at once, over all images


@dataclass(frozen=True)
class AttackMap:
    """Which attack alters which pixel, and to what.

    Attributes:
        images: (n, H, W) or (n, H, W, 3) uint8, clean.
        altered: as `images`; each pixel after an attack on it.
        first: (n, H, W) int32, the number of the first attack on each pixel, from 0; `attacks` where there is none.
        eligible: (n,) int64, eligible pixels.
        attacks: the most that were drawn.
    """

    images: Tensor
    altered: Tensor
    first: Tensor
    eligible: Tensor
    attacks: int

    def at(self, level: int | Tensor) -> Tensor:
        """The images after `level` attacks, as `images`; a tensor (n,) gives each image its own level.

        Raises:
            ValueError: if an integer level is not from 0 to `attacks`; a tensor is not checked.
        """
        hit = self._hit(level)
        return torch.where(hit[..., None] if self.images.ndim == 4 else hit, self.altered, self.images)

    def count(self, level: int | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attacks made, pixels altered and pixels still eligible, (n,) int64 each, as `perturb_and_count`."""
        other = self.altered != self.images
        changed = self._hit(level) & (other.any(dim=-1) if self.images.ndim == 4 else other)
        return (self.eligible > 0) * level, changed.sum(dim=(1, 2)), self.eligible

    def _hit(self, level: int | Tensor) -> Tensor:
        if isinstance(level, Tensor):
            return self.first < level[:, None, None]
        if not is_whole(level, self.attacks):
            raise ValueError(f"level must be an integer from 0 to {self.attacks}, the attacks drawn, not {level!r}")
        return self.first < level


def attack_map(
    images: Tensor,
    noise: str | Noise,
    attacks: int,
    *,
    c: float | None = None,
    seed: int = 0,
    index: Tensor | Sequence[int] | None = None,
) -> AttackMap:
    """Attack `attacks` pixels of every image as `perturb` does by default, on the device of the images.

    Nothing waits for the device, so a sweep on a graphics card can queue one level after another::

        attacked = attack_map(images, "white_to_black", 200, seed=draw, index=index)
        for level in levels:
            logits = network(attacked.at(level))

    Args:
        images: (n, H, W) uint8, or (n, H, W, 3) uint8 with red, green and blue; not changed.
        noise: a name in `NOISES`, or a `Noise`.
        attacks: the highest level, from 0 to `MOST_ATTACKS`.
        c: the constant of equations (3) and (4), above 0; None: the noise's default.
        seed: the draw, from 0 to 2**63 - 1.
        index: (n,) the images' numbers in their data set, from 0 to 2**63 - 1; None: 0..n-1. The values of a tensor
            are not checked.

    Raises:
        ValueError: if another argument is not as described; it says what was given and what is allowed.
    """
    shape = tuple(images.shape) if isinstance(images, Tensor) else None
    if shape is None or images.dtype != torch.uint8 or images.ndim not in (3, 4) or shape[3:] not in ((), (3,)):
        given = type(images).__name__ if shape is None else f"{images.dtype} {shape}"
        raise ValueError(f"images must be a uint8 tensor (n, H, W) or (n, H, W, 3), not {given}")
    n, height, width = shape[:3]
    if not 0 < height * width <= MOST_PIXELS:
        raise ValueError(f"an image must have 1 to 2**26 pixels here, not {height} x {width}")
    if not is_whole(attacks, MOST_ATTACKS):
        raise ValueError(f"attacks must be an integer from 0 to {MOST_ATTACKS:,}, not {attacks!r}")
    check_seed(seed)
    tables = tabulated(find(noise), default_c(noise, c))
    if not isinstance(index, Tensor):
        index = torch.from_numpy(checked_index(index, shape[:1]))
    if index.shape != (n,) or index.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"index must hold {n} integers, not {index.dtype} of the shape {tuple(index.shape)}")
    return map_tabulated(images, tables, int(attacks), seed, index.to(images.device, torch.int64))


def map_tabulated(images: Tensor, tables: Tables, attacks: int, seed: int, index: Tensor) -> AttackMap:
    """`attack_map` of a noise as tables, for arguments that are checked."""
    device = images.device
    table, eligible, kind, near = (torch.as_tensor(array, device=device) for array in tables[1:])
    grey = _luminance(images) if images.ndim == 4 else images
    n, height, width = grey.shape
    pixels = height * width
    mask = eligible[grey.long()]  # (n, H, W)
    if len(near) > 1:
        mask &= _beside(grey, kind, near)
    mask = mask.reshape(n, pixels)
    rank = mask.cumsum(dim=1) - 1  # of an eligible pixel among those of its image
    count = mask.sum(dim=1)
    keys = [key - 2**64 if key >= 2**63 else key for key in stream_keys(tables, seed)]  # as int64 has these bits
    pixel_stream, outcome_stream = (_mixed(torch.full((1,), key, device=device), index) for key in keys)
    hit = _first_attacks(pixel_stream, count, pixels, attacks)  # (n, pixels), by rank
    first = torch.where(mask, hit.gather(1, rank.clamp(min=0)), attacks)
    outcome = torch.zeros_like(first)
    if len(table) > 1:
        outcome = (_words(outcome_stream[:, None], first) * len(table)) >> 32
    flat = grey.reshape(n, pixels)
    after = torch.where(mask, table[outcome, flat.long()], flat).reshape(grey.shape)
    altered = _relit(images, grey, after) if images.ndim == 4 else after
    return AttackMap(images, altered, first.to(torch.int32).reshape(grey.shape), count, attacks)


def _first_attacks(stream: Tensor, count: Tensor, pixels: int, attacks: int) -> Tensor:
    """The number of the first attack on each eligible pixel, (n, pixels) int64 by rank; `attacks` where there is none.

    A random number whose low bits are below a threshold is rejected, with a probability below pixels / 2**32, and the
    next one is taken. So many more numbers are drawn than attacks that there are too few in less than one of 10**20.
    """
    n = len(stream)
    first = torch.full((n, pixels), attacks, device=stream.device)
    choices = count.clamp(min=1)[:, None]
    threshold = 2**32 % choices
    taken = torch.zeros((n, 1), dtype=torch.int64, device=stream.device)  # words accepted so far
    words = attacks + 16 + 8 * attacks * pixels // 2**32
    step = max(1, WORDS_AT_ONCE // max(n, 1))
    for begin in range(0, words, step):
        product = _words(stream[:, None], torch.arange(begin, min(begin + step, words), device=stream.device)) * choices
        accepted = (product & 0xFFFFFFFF) >= threshold
        attack = taken + accepted.cumsum(dim=1) - 1
        attack = torch.where(accepted & (count[:, None] > 0), attack, attacks).clamp(max=attacks)
        first.scatter_reduce_(1, product >> 32, attack, "amin")
        taken = taken + accepted.sum(dim=1, keepdim=True)
    return first


def _words(stream: Tensor, step: Tensor) -> Tensor:
    """The random numbers of 32 bits at these steps of a stream."""
    return _shifted(_mixed(stream, step), 32)


def _mixed(state: Tensor, step: Tensor) -> Tensor:
    """`kernel._mixed` in int64, which wraps around: the constants are those there less 2**64."""
    z = state + (step + 1) * (0x9E3779B97F4A7C15 - 2**64)
    z = (z ^ _shifted(z, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    z = (z ^ _shifted(z, 27)) * (0x94D049BB133111EB - 2**64)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """The 64 bits moved to the right, zeros behind them."""
    return (z >> bits) & (2 ** (64 - bits) - 1)


def _beside(grey: Tensor, kind: Tensor, near: Tensor) -> Tensor:
    """Whether a neighbour makes a pixel eligible, (n, H, W) bool."""
    _, height, width = grey.shape
    kinds = torch.nn.functional.pad(kind[grey.long()].long(), (1, 1, 1, 1))  # 0: outside the image
    own = kinds[:, 1:-1, 1:-1]
    found = torch.zeros_like(own, dtype=torch.bool)
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                found |= near[own, kinds[:, y : y + height, x : x + width]]
    return found


def _luminance(colours: Tensor) -> Tensor:
    """`colour.luminance`."""
    one = int(colour.WEIGHTS.sum())
    return ((_weighted(colours) + one // 2) // one).to(torch.uint8)


def _weighted(colours: Tensor) -> Tensor:
    weights = torch.as_tensor(colour.WEIGHTS, device=colours.device)
    return (colours.long() * weights).sum(dim=-1)


def _relit(colours: Tensor, grey: Tensor, after: Tensor) -> Tensor:
    """`kernel.relight`: colours (n, H, W, 3) of luminance `grey` at another, `after`, both (n, H, W)."""
    one = int(colour.WEIGHTS.sum())
    value, now, wanted = colours.long(), _weighted(colours)[..., None], one * after.long()[..., None]
    left = 255 * one - now
    darker = (2 * value * wanted + now - 1) // (2 * now).clamp(min=1)
    lighter = 255 - (2 * (255 - value) * (255 * one - wanted) + left) // (2 * left).clamp(min=1)
    lit = torch.where(wanted < now, darker, lighter).to(torch.uint8)
    return torch.where((after == grey)[..., None], colours, lit)
