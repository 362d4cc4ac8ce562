"""The pixel noises (section 3.2): the rules of one attack, and images attacked by them.

From here are imported `perturb`, `perturb_and_count` and `eligible_pixels` (of `lib.noise.perturbation`), `PixelNoise`
(of `lib.noise.transform`), `Noise` and `NOISES` (of `lib.noise.rules`).
"""

import importlib
from typing import Any

from lib.noise.perturbation import SOURCES, deciding, eligible_pixels, perturb, perturb_and_count  # noqa: F401
from lib.noise.rules import NOISES, Noise, altered_table, default_c, find, white_to_black  # noqa: F401


def __getattr__(name: str) -> Any:
    """`PixelNoise`, which needs torch: imported at its first use."""
    if name == "PixelNoise":
        return importlib.import_module("lib.noise.transform").PixelNoise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
