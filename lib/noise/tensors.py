"""The noises on tensors, on any device, for the default reading (`replacement=True`, `source="clean"`).

Under this reading only the first attack on a pixel alters it. So one map, the number of that attack, gives every level,
and all attacks of all images are drawn at once. The pixels are those of `perturb`, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lib.noise import colour
from lib.noise.perturbation import MOST_ATTACKS, beside, check_seed, checked_index, stream_keys
from lib.noise.rules import Noise, Tables, default_c, find, is_whole, tabulated

MOST_MAP_PIXELS = 2**26  # of an image; above, too many random numbers would have to be rejected
WORDS_AT_ONCE = 2**24  # random numbers that are drawn at once, over all images


@dataclass(frozen=True)
class AttackMap:
    """Which attack alters which pixel, and to what."""

    images: Tensor  # (n, H, W) or (n, H, W, 3) uint8, clean
    altered: Tensor  # as `images`; each pixel after an attack on it
    first: Tensor  # (n, H, W) int32, the number of the first attack on each pixel, from 0; `attacks` without one
    eligible: Tensor  # (n,) int64, eligible pixels
    attacks: int  # the highest level

    def at(self, level: int | Tensor) -> Tensor:
        """The images after `level` attacks, 0 to `attacks`; a tensor (n,), not checked, gives each image its own."""
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
    """Attack as `perturb` does by default, on the device of the images.

    Nothing waits for the device, so a sweep on a graphics card can queue one level after another: take `attacked =
    attack_map(images, "white_to_black", 200, seed=draw, index=index)`, then `network(attacked.at(level))` for every
    level.

    `images` are (n, H, W) uint8, or (n, H, W, 3) uint8 with red, green and blue, and are not changed. `attacks` is the
    highest level, from 0 to `MOST_ATTACKS`; the rest is as in `perturb`. Raises ValueError if an argument is not as
    described, but the values of a tensor `index` are not checked.
    """
    shape = tuple(images.shape) if isinstance(images, Tensor) else ()
    if len(shape) not in (3, 4) or shape[3:] not in ((), (3,)) or images.dtype != torch.uint8:
        given = f"{images.dtype} {shape}" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images must be a uint8 tensor (n, H, W) or (n, H, W, 3), not {given}")
    n, height, width = shape[:3]
    if not 0 < height * width <= MOST_MAP_PIXELS:
        raise ValueError(f"an image must have 1 to 2**26 pixels here, not {height} x {width}")
    if not is_whole(attacks, MOST_ATTACKS):
        raise ValueError(f"attacks must be an integer from 0 to {MOST_ATTACKS:,}, not {attacks!r}")
    check_seed(seed)
    tables = tabulated(find(noise), default_c(noise, c))
    if not isinstance(index, Tensor):
        index = torch.from_numpy(checked_index(index, n))
    if index.shape != (n,) or index.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"index must hold {n} integers, not {index.dtype} of the shape {tuple(index.shape)}")
    return map_tabulated(images, tables, int(attacks), seed, index.to(images.device, torch.int64))


def map_tabulated(images: Tensor, tables: Tables, attacks: int, seed: int, index: Tensor) -> AttackMap:
    """`attack_map` of a noise as tables, for arguments that are checked."""
    table, eligible, kind, near = (torch.as_tensor(array, device=images.device) for array in tables[1:])
    grey, exact = images, None
    if images.ndim == 4:  # as `colour.luminance`
        one = int(colour.WEIGHTS.sum())
        exact = (images.long() * torch.as_tensor(colour.WEIGHTS, device=images.device)).sum(dim=-1)
        grey = ((exact + one // 2) // one).to(torch.uint8)
    n, pixels = len(grey), grey.shape[1] * grey.shape[2]
    mask = eligible[grey.long()]  # (n, H, W)
    if len(near) > 1:
        mask &= beside(torch.nn.functional.pad(kind[grey.long()].long(), (1, 1, 1, 1)), near)
    mask = mask.reshape(n, pixels)
    rank = mask.cumsum(dim=1) - 1  # of an eligible pixel among those of its image
    count = mask.sum(dim=1)
    pixel_stream, outcome_stream = (_mixed(key, index) for key in stream_keys(tables, seed).view(np.int64).tolist())
    hit = _first_attacks(pixel_stream, count, pixels, attacks)  # (n, pixels), by rank
    first = torch.where(mask, hit.gather(1, rank.clamp(min=0)), attacks)
    outcome = torch.zeros_like(first)
    if len(table) > 1:
        outcome = (_words(outcome_stream[:, None], first) * len(table)) >> 32
    flat = grey.reshape(n, pixels)
    after = torch.where(mask, table[outcome, flat.long()], flat).reshape(grey.shape)
    altered = after if exact is None else _relit(images, exact, grey, after)
    return AttackMap(images, altered, first.to(torch.int32).reshape(grey.shape), count, attacks)


def _first_attacks(stream: Tensor, count: Tensor, pixels: int, attacks: int) -> Tensor:
    """The number of the first attack on each eligible pixel, (n, pixels) int64 by rank; `attacks` without one."""
    n = len(stream)
    first = torch.full((n, pixels), attacks, device=stream.device)
    choices = count.clamp(min=1)[:, None]
    threshold = 2**32 % choices
    taken = torch.zeros((n, 1), dtype=torch.int64, device=stream.device)  # words accepted so far
    # A word is rejected with a probability below pixels / 2**32; these are too few in less than one case of 10**20.
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


def _mixed(state: int | Tensor, step: Tensor) -> Tensor:
    """`kernel._mixed` in int64, which wraps around: the constants are those there less 2**64."""
    z = state + (step + 1) * (0x9E3779B97F4A7C15 - 2**64)
    z = (z ^ _shifted(z, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    z = (z ^ _shifted(z, 27)) * (0x94D049BB133111EB - 2**64)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A logical right shift of 64-bit integers."""
    return (z >> bits) & (2 ** (64 - bits) - 1)


def _relit(colours: Tensor, exact: Tensor, grey: Tensor, after: Tensor) -> Tensor:
    """`kernel.relight`: colours (n, H, W, 3) at the luminances `after`; theirs is `grey`, rounded from `exact`."""
    one = int(colour.WEIGHTS.sum())
    value, now, wanted = colours.long(), exact[..., None], one * after.long()[..., None]
    left = 255 * one - now
    darker = (2 * value * wanted + now - 1) // (2 * now).clamp(min=1)
    lighter = 255 - (2 * (255 - value) * (255 * one - wanted) + left) // (2 * left).clamp(min=1)
    lit = torch.where(wanted < now, darker, lighter).to(torch.uint8)
    return torch.where((after == grey)[..., None], colours, lit)
