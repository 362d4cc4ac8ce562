"""The pixel noises (section 3.2): the rules of one attack, and images attacked by them."""

from lib.noise.perturbation import SOURCES, deciding, eligible_pixels, perturb, perturb_and_count  # noqa: F401
from lib.noise.rules import NOISES, Noise, altered_table, default_c, find, white_to_black  # noqa: F401
