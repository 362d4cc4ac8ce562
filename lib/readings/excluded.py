"""What else could explain the paper's numbers, each with the number that speaks against it."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import networks
from lib.evaluation.plan import USUAL_NOISES
from lib.noise import NOISES, eligible_pixels, perturb
from lib.paper import read_table_1
from lib.readings.matrix_distances import distance, swept
from lib.store import data
from lib.store.files import OUTPUTS

WHITE, BLACK = "white_to_black", "black_to_white"
REPEATS = 5  # noise draws of an image in the paper
IMAGES = 1_000  # the first of the test images, where a network is asked


def inverted(table: pd.DataFrame) -> tuple[float, float]:
    """If the paper's digits were black on white: the distance to Table 1 as we have it, and with the noises swapped.

    White to Black would then be what we call Black to White. In points, over the entries of these two noises.

    Args:
        table: rows of one reading of `matrix_distances.curves`.
    """
    noisy = table[table["attacks"] > 0]
    swapped = noisy.assign(noise=noisy["noise"].replace({WHITE: BLACK, BLACK: WHITE}))
    both = [rows[rows["noise"].isin([WHITE, BLACK])] for rows in (noisy, swapped)]
    return distance(both[0]), distance(both[1])


def beyond_a_byte() -> dict[str, int]:
    """If brightness overflowed: for how many of the 256 brightnesses a noise's equation leaves 0..255, at its own c."""
    made = {name: [NOISES[name].alter(b, NOISES[name].c) for b in range(256)] for name in USUAL_NOISES}
    return {name: sum(not 0 <= value <= 255 for value in values) for name, values in made.items()}


def one_pixel_for_a_batch(table: pd.DataFrame, images: int) -> tuple[float, float, float]:
    """If all images of a batch were attacked at the same pixels: what White to Black would do.

    Args:
        table: `matrix_distances.curves` of a reading without replacement.

    Returns:
        how many of 200 such pixels are white in a digit (mean); our accuracy at 40 attacks, and the paper's at 200
        (percent, mean of the networks).
    """
    white = eligible_pixels(data.load().test_images[:images], WHITE).mean()
    ours = table[(table["noise"] == WHITE) & (table["attacks"] == 40)]["accuracy"].mean()
    paper = read_table_1().query("noise == @WHITE and attacks == 200")["accuracy"].mean()
    return 200 * float(white), float(ours), float(paper)


def accumulated(outputs: Path = OUTPUTS, images: int = 10_000) -> tuple[float, float]:
    """If each repetition went on with the copy of the last: the distance to Table 1 at 40 attacks, without and so.

    The paper's number at 40 would be the mean of those at 40, 80, 120, 160 and 200. Points, from the recorded sweeps.
    """
    ours = swept(outputs, images)
    wide = ours.pivot(index=["model", "noise"], columns="attacks", values="accuracy")
    added = wide[[40 * repeat for repeat in range(1, REPEATS + 1)]].mean(axis=1)
    found = [values.rename("accuracy").reset_index().assign(attacks=40) for values in (wide[40], added)]
    return distance(found[0]), distance(found[1])


def unscaled(outputs: Path = OUTPUTS) -> tuple[float, float]:
    """If attacked pixels got 0 to 255 in images of 0 to 1: FC after ten attacks of Black to White, so and in the paper.

    In percent; ours of the first `IMAGES` test images.
    """
    digits = data.load()
    images, labels = digits.test_images[:IMAGES], digits.test_labels[:IMAGES]
    noisy = perturb(images, BLACK, 10).astype(np.float32)
    pixels = torch.from_numpy(np.where(noisy == images, noisy / 255, noisy))[:, None]
    with torch.inference_mode():
        right = networks.load("fc", outputs=outputs)(pixels).argmax(dim=1).numpy() == labels
    paper = read_table_1().query("model == 'fc' and noise == @BLACK and attacks == 10")["accuracy"].item()
    return 100 * float(right.mean()), paper
