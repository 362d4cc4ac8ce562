"""How far each reading of the noises lies from the paper's Table 1, and which one lies nearest.

The rule, written down before the numbers: the default is the reading with the least root mean square of ours minus the
paper's over the 80 noisy cells of Table 1, five networks x four noises x four levels. Whether it would also be chosen
without any one of the networks is reported beside it, and how often over other samples of the images.
"""

import itertools

import numpy as np
import pandas as pd

from lib import nets
from lib.noise import NOISES
from lib.records import file_hash, write_atomically
from lib.results import paper_table
from tools.matrix import FOLDER, IMAGES, LEVELS, READINGS, Errors, path

TABLE_1 = ("resnet50", "resnetv2_50", "vgg19", "efficientnet_b1", "fc")
THREE = ("efficientnet_b1", "resnet50", "vgg19")  # without those whose gap lies in how they are trained and built
ALL = "all"
REPEATS = 1_000  # bootstrap samples of the images


def scopes() -> dict[str, tuple[str, ...]]:
    """The sets of networks over which a distance is taken: all, the three, all without each one, each one."""
    without = {f"without {model}": tuple(other for other in TABLE_1 if other != model) for model in TABLE_1}
    return {ALL: TABLE_1, " ".join(THREE): THREE} | without | {model: (model,) for model in TABLE_1}


def right_answers() -> np.ndarray:
    """Whether each image is answered rightly: (readings, networks, noises, levels, images) bool.

    Raises:
        ValueError: if a network has not answered all readings with the weights that are on disk.
    """
    found = []
    for reading, model in itertools.product(READINGS, TABLE_1):
        answers, weights = Errors.read(path(model)), file_hash(nets.weights_path(model, 0))
        for part in (reading.part(model, noise) for noise in NOISES):
            if not answers.holds(part, weights):
                raise ValueError(f"{model} has not answered {part.recipe}; run tools.matrix")
            found.append(answers.errors[part.path.stem] == 0)
    return np.stack(found).reshape(len(READINGS), len(TABLE_1), len(NOISES), len(LEVELS), IMAGES)


def paper_accuracies() -> np.ndarray:
    """The noisy cells of Table 1: (networks, noises, levels), percent."""
    table = paper_table().set_index(["model", "noise", "attacks"])["accuracy"]
    return np.array([[[table[model, noise, level] for level in LEVELS] for noise in NOISES] for model in TABLE_1])


def distance(gaps: np.ndarray, models: tuple[str, ...], noise: str = ALL) -> np.ndarray:
    """Root mean square over the cells of some networks and one noise or all: (...), points.

    Args:
        gaps: (..., networks, noises, levels), ours minus the paper's.
    """
    rows = [TABLE_1.index(model) for model in models]
    columns = [number for number, name in enumerate(NOISES) if noise in (ALL, name)]
    return np.sqrt((gaps[..., rows, :, :][..., columns, :] ** 2).mean(axis=(-3, -2, -1)))


def measure(right: np.ndarray, repeats: int = REPEATS) -> pd.DataFrame:
    """A row for every set of networks, noise or all of them, and reading.

    Columns: networks, noise, the reading's four options, distance (points), `nearest` (whether none is nearer), `share`
    (of bootstrap samples of the images in which none is, percent; the same samples for all readings and networks).
    """
    random = np.random.default_rng(0)
    counts = random.multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), size=repeats).astype(np.float32)
    samples = np.stack([100 / IMAGES * (of_one.astype(np.float32) @ counts.T) for of_one in right])
    sampled = np.moveaxis(samples, -1, 0) - paper_accuracies()  # (repeats, readings, networks, noises, levels)
    gaps = 100 * right.mean(axis=-1) - paper_accuracies()
    tables = []
    for (name, models), noise in itertools.product(scopes().items(), (ALL, *NOISES)):
        table = pd.DataFrame([vars(reading) for reading in READINGS])
        table["distance"] = distance(gaps, models, noise)
        table["nearest"] = table["distance"] == table["distance"].min()
        each = distance(sampled, models, noise)  # (repeats, readings)
        table["share"] = 100 * (each == each.min(axis=1, keepdims=True)).mean(axis=0)
        table.insert(0, "networks", name)
        table.insert(1, "noise", noise)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    table = measure(right_answers())
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    write_atomically(FOLDER / "distances.csv", lambda file: file.write(text.encode()))
    keys = list(vars(READINGS[0]))
    print(table.query("noise == @ALL").pivot_table("distance", keys, "networks", sort=False).round(2).to_string())
    print(table.query("networks == @ALL").pivot_table("distance", keys, "noise", sort=False).round(2).to_string())
    print(table.query("noise == @ALL and (nearest or share > 0)").drop(columns="noise").to_string(index=False))
