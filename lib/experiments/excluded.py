"""What else could explain the paper's numbers, each with the number that speaks against it."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import networks
from lib.experiments.table1 import distance
from lib.noise import NOISES, eligible_pixels, perturb
from lib.paper import PAPER_NOISES
from lib.store import data
from lib.store.files import OUTPUTS

WHITE, BLACK = "white_to_black", "black_to_white"
REPETITIONS = 5  # of the noise in the paper
IMAGES = 1_000  # the first of the test images, for the explanation that a network is evaluated on
REPEATED = tuple(40 * repeat for repeat in range(1, REPETITIONS + 1))  # attacks, if they accumulate


def inverted(found: pd.DataFrame) -> tuple[float, float]:
    """If the paper's digits were black on white, White to Black would be what is here Black to White.

    The distance to Table 1 over these two noises as they are, and with their names swapped (points); `found` are
    `table1.entries` under one reading.
    """
    own = found[found["noise"].isin([WHITE, BLACK])]
    swapped = own["noise"].replace({WHITE: BLACK, BLACK: WHITE})
    paper = own.set_index(["model", "attacks", "noise"])["paper"].groupby(level=[0, 1, 2]).first()
    keys = pd.MultiIndex.from_arrays([own["model"], own["attacks"], swapped])
    return distance(own), distance(own.assign(paper=paper.loc[keys].to_numpy()))


def beyond_a_byte() -> int:
    """If brightness overflowed: the number of brightnesses from which a noise at its own c leaves 0 to 255."""
    noises = [NOISES[name] for name in PAPER_NOISES]
    return sum(not 0 <= noise.alter(b, noise.c) <= 255 for noise in noises for b in range(256))


def white_pixels(images: int) -> float:
    """If all images of a batch were attacked at the same pixels: how many of 200 are white in a digit (mean)."""
    return 200 * float(eligible_pixels(data.load().test_images[:images], WHITE).mean())


def accumulated(found: pd.DataFrame) -> tuple[float, float]:
    """If each repetition attacked the image that the last one left, accuracy at 40 attacks would be a mean of five.

    The distance to Table 1 at 40 attacks as it is, and so (points); `found` are `table1.entries` under one reading, at
    the levels `REPEATED`.
    """
    at_40 = found[found["attacks"] == REPEATED[0]]
    by = ["model", "seed", "noise"]
    mean = found[found["attacks"].isin(REPEATED)].groupby(by)["accuracy"].mean()
    return distance(at_40), distance(at_40.assign(accuracy=mean.loc[pd.MultiIndex.from_frame(at_40[by])].to_numpy()))


def unscaled(outputs: Path = OUTPUTS) -> float:
    """If attacked pixels were 0 to 255 in images of 0 to 1: accuracy of FC at 10 attacks of Black to White, percent.

    On the first `IMAGES` test images.
    """
    import torch

    digits = data.load()
    images, labels = digits.test_images[:IMAGES], digits.test_labels[:IMAGES]
    noisy = perturb(images, BLACK, 10).astype(np.float32)
    pixels = torch.from_numpy(np.where(noisy == images, noisy / 255, noisy))[:, None]
    with torch.inference_mode():
        predicted = networks.load("fc", outputs=outputs)(pixels).argmax(dim=1).numpy()
    return 100 * float((predicted == labels).mean())


def explanations(
    found: pd.DataFrame, without: pd.DataFrame, whole: pd.DataFrame, images: int, outputs: Path = OUTPUTS
) -> pd.DataFrame:
    """A row for each explanation: what is compared, the number as it is here, as it would be if so, and the paper's.

    Of `table1.entries` under the default reading, on this number of test images (`found`) and, at the levels
    `REPEATED`, on all of them (`whole`); and under a reading without replacement (`without`).
    """
    mean = found.groupby(["noise", "attacks"])[["accuracy", "paper"]].mean()
    fc = found.query("model == 'fc' and noise == @BLACK and attacks == 10").iloc[0]
    at_40 = without.query("noise == @WHITE and attacks == 40")["accuracy"].mean()
    at_200, white = mean.loc[(WHITE, 200)], f"accuracy at 200 WtB ({white_pixels(images):.0f} meet white), %"
    unscaled_pixels = ("accuracy of FC at 10 BtW, %", fc["accuracy"], unscaled(outputs), fc["paper"])
    rows = {
        "inverted colours": ("distance over WtB, BtW, points", *inverted(found), np.nan),
        "overflow of a byte": ("brightnesses that leave 0 to 255", beyond_a_byte(), np.nan, np.nan),
        "same pixels for a whole batch": (white, at_200["accuracy"], at_40, at_200["paper"]),
        "repetitions that accumulate": ("distance at 40 attacks, points", *accumulated(whole), np.nan),
        "attacked pixels of 0 to 255, others of 0 to 1": unscaled_pixels,
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["compared", "here", "if it were so", "paper"])
