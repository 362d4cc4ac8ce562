"""The pixel noises (section 3.2): the rule of one attack, and attacked images.

For NumPy arrays `perturb`, `perturb_and_count` and `eligible_pixels`; for tensors on any device `attack_map`; as a
transform of torchvision `PixelNoise`. A noise is a `Noise`, or a name in `NOISES`.
"""

import importlib
from typing import Any

from lib.noise.perturbation import SOURCES, deciding, eligible_pixels, perturb, perturb_and_count  # noqa: F401
from lib.noise.rules import NOISES, Noise, altered_table, default_c, find, white_to_black  # noqa: F401

NEEDS_TORCH = {"PixelNoise": "lib.noise.transform", "attack_map": "lib.noise.tensors"}


def __getattr__(name: str) -> Any:
    """What needs torch is imported at its first use."""
    if name in NEEDS_TORCH:
        return getattr(importlib.import_module(NEEDS_TORCH[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
