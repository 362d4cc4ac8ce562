"""What the paper prints: its noises, levels and figures, and the numbers of its Tables 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd  # which takes longer to import than the check of a notebook's parameters

PAPER_NOISES = ("white_to_black", "black_to_white", "random_pixel_invert", "edge_to_altered")  # sections 3.2 and 4
LEVELS = tuple(range(0, 201, 10))  # attacked pixels in Figures 7 and 8
TABLE_1_LEVELS = (0, 10, 40, 100, 200)
TABLE_2_LEVELS = (40, 200)  # of the noises
PAPER_TARGET = 99.0  # percent of the validation images; the fully connected net has no target (section 3.3)

# Networks in the paper's order; those of Figure 7 are those of Table 1.
FIGURE_7 = ("resnet50", "resnetv2_50", "vgg19", "efficientnet_b1", "fc")
FIGURE_8 = ("resnet18", "resnet34", "resnet50", "resnet101")
NETWORKS = ("fc", *FIGURE_8, "resnetv2_50", "vgg19", "efficientnet_b1")  # all that it trains


def read_table_1() -> pd.DataFrame:
    """The paper's Table 1: model, noise, attacks, accuracy (percent)."""
    return _read("table1.csv")


def read_table_2() -> pd.DataFrame:
    """The paper's Table 2: method, attacks (pixels, of the noises), accuracy (percent)."""
    return _read("table2.csv")


def _read(table: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(Path(__file__).with_name(table))
