"""Checks of recorded results against evidence outside the file that is checked; none of them needs weights.

Each check yields a line for each problem: the file, and what it contradicts. A network's prediction follows from the
image, so files of one training agree on every noisy image that they share; the noise follows from its seed; a
class and the probability of the true class bound each other; what was recorded once stays.
"""

import json
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from lib import networks
from lib.adversarial.attacks import perturbation_sizes
from lib.adversarial.runs import Block
from lib.evaluation.bundle import Bundle
from lib.evaluation.plan import CLEAN, UNNAMED, SweepPart
from lib.evaluation.sweep import TOLERANCE, Predictions
from lib.experiments import augmentation
from lib.networks import CLASSES
from lib.store import data
from lib.store.files import ROOT, file_hash, read_arrays
from lib.store.parts import kept_record, weights_hash
from lib.training.recipe import Recipe

CHANCE = 1 / CLASSES
LISTING = "outputs/SHA256SUMS"
TIES = 2e-4  # of the images that two files share: the share whose classes may differ by rounding
STORED, APART = 0.1, 2.5  # points: rounding the weights; between validation and test images, without noise


@dataclass(frozen=True)
class Recorded:
    """What one training predicted under one noise: a file of `predictions/`, or a part of a bundle."""

    name: str
    weights: Path
    record: dict
    predicted: np.ndarray  # (levels, images)
    probability: np.ndarray  # of the true class, (levels, images); nan where it is not recorded
    counts: dict[str, np.ndarray]  # `drawn` and `altered` pixels, (levels, images), or means (levels,) in a bundle

    @property
    def part(self) -> SweepPart:
        return SweepPart(Path(self.name).parent, self.record["recipe"])

    @property
    def labels(self) -> np.ndarray:
        return _labels(self.record["recipe"])

    @property
    def noise(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws, pixels altered, and a hash of each image, (levels, images), from the seed and the recipe."""
        recipe = UNNAMED | self.record["recipe"]
        deciding = {"noise", "images", "levels", "c", "draw", "replacement", "source", "white_above"} & recipe.keys()
        return _noise(recipe["dataset"], json.dumps({name: recipe[name] for name in sorted(deciding)}))


def _labels(recipe: dict) -> np.ndarray:
    return data.load(recipe.get("dataset", UNNAMED["dataset"])).test_labels[: recipe["images"]]


@cache
def _noise(dataset: str, recipe: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part = SweepPart(Path(), json.loads(recipe))
    images = data.load(dataset).test_images[: part.recipe["images"]]
    noisy, drawn, altered = part.attack(images, np.arange(len(images)), part.recipe["levels"])
    key = np.random.default_rng(0).integers(2**63, size=images[0].size, dtype=np.uint64)
    hashes = [level.reshape(len(level), -1).astype(np.uint64) @ key for level in noisy]  # modulo 2**64
    return drawn, altered, np.stack(hashes)


@lru_cache(maxsize=1)  # several checks read the same; they are not asked again after a file has changed
def recorded(outputs: Path, stem: str = "*") -> tuple[Recorded, ...]:
    """All recorded predictions, or those of one training."""
    found = []
    for path in sorted(outputs.glob(f"predictions/{stem}/*.npz")):
        own = Predictions.read(path)
        counts = {"drawn": own.attacked} | ({} if own.altered is None else {"altered": own.altered})
        weights = outputs / "weights" / f"{path.parent.name}.safetensors"
        name = str(path.relative_to(outputs))
        found.append(Recorded(name, weights, own.record, own.predicted, own.probability, counts))
    for path in sorted(outputs.glob(f"readings/**/{stem}.npz")):
        bundle = Bundle.read(path)
        for key, record in bundle.records.items():
            predicted = (bundle.errors[key] + _labels(record["recipe"])) % np.uint8(CLASSES)
            counts = {name: np.array(record[name]) for name in ("drawn", "altered")}
            weights = path.parents[2] / "weights" / f"{path.stem}.safetensors"
            name = f"{path.relative_to(outputs).with_suffix('')}/{key}.npz"
            unknown = np.full(predicted.shape, np.nan, np.float16)
            found.append(Recorded(name, weights, record, predicted, unknown, counts))
    return tuple(found)


def with_dropout(outputs: Path) -> Iterator[tuple[Path, dict, dict[str, np.ndarray], list[Recorded]]]:
    """Each file of `confidence/`: its record and arrays, and the predictions without dropout in it."""
    for path in sorted(outputs.glob("confidence/*.npz")):
        record, arrays = read_arrays(path)
        parts, row = [], 0
        for recipe in record["recipe"]["asked"]:
            own = slice(row, row := row + len(recipe["levels"]))
            sure, predicted = 1 - arrays["softmax"][own].astype(float), arrays["predicted"][own]
            chance = np.where(predicted == _labels(recipe), sure, np.nan)
            weights = outputs / "weights" / f"{networks.file_stem(record['model'], record['train_seed'])}.safetensors"
            name = str(path.relative_to(outputs))
            parts.append(Recorded(name, weights, record | {"recipe": recipe}, predicted, chance, {}))
        yield path, record, arrays, parts


def names(outputs: Path) -> Iterator[str]:
    """A file is named by its network and recipe, and holds predictions of the weights that its record names."""
    of: dict[Path, set[str]] = defaultdict(set)
    for each in [*recorded(outputs), *(part for *_, parts in with_dropout(outputs) for part in parts)]:
        if "confidence" not in each.name and Path(each.name) != each.part.path:
            yield f"{each.name}: the name of its recipe is {each.part.path.name}"
        if networks.file_stem(each.record["model"], each.record["train_seed"]) != each.weights.stem:
            yield f"{each.name}: of {each.record['model']} seed {each.record['train_seed']}"
        of[each.weights].add(each.record["weights"])
    known: dict[str, Path] = {}
    for weights, found in of.items():
        if len(found | {weights_hash(weights)} - {None}) > 1:
            yield f"{weights.stem}: predictions and record name several weights: {', '.join(sorted(found))}"
        if (other := known.setdefault(min(found), weights)) != weights:
            yield f"{weights.stem}: the weights of {other.stem}"


def pixels(outputs: Path) -> Iterator[str]:
    """The pixels drawn and altered follow from seed and recipe, for every image and level."""
    for each in recorded(outputs):
        for name, own in zip(("drawn", "altered"), each.noise, strict=False):
            known = each.counts.get(name, own)
            if not np.allclose(known, own if known.ndim == 2 else own.mean(axis=1)):
                yield f"{each.name}: pixels {name} do not follow from its recipe"


def probabilities(outputs: Path) -> Iterator[str]:
    """The true class is predicted if its probability is above a half, and not if it is below chance."""
    for each in recorded(outputs):
        chance, right = each.probability, each.predicted == each.labels
        wrong = (chance < 0) | (chance > 1 + TOLERANCE) | (each.predicted >= CLASSES)
        wrong |= np.where(right, chance < CHANCE - TOLERANCE, chance > 0.5 + TOLERANCE)
        if wrong.any() or (np.isnan(chance).any() and each.name.startswith("predictions")):
            yield f"{each.name}: {wrong.sum()} classes contradict the probability of the true class"


def same_images(outputs: Path) -> Iterator[str]:
    """Files of one training agree on the noisy images that they share, and levels on one that noise left as it was."""
    of: dict[str, list[Recorded]] = defaultdict(list)
    for each in [*recorded(outputs), *(part for *_, parts in with_dropout(outputs) for part in parts)]:
        if each.part.statistics == "frozen" and not each.record["recipe"].get("bfloat16"):
            of[each.record["weights"]].append(each)
    for own in of.values():
        key = np.concatenate(
            [(3 * each.noise[2] + np.arange(each.labels.size, dtype=np.uint64)).ravel() for each in own]
        )
        predicted = np.concatenate([each.predicted.ravel() for each in own])
        chance = np.concatenate([each.probability.ravel() for each in own]).astype(float)
        order = np.lexsort((np.isnan(chance), key))  # of one image, the known probabilities first
        shared = key[order][1:] == key[order][:-1]
        first, second = order[:-1][shared], order[1:][shared]
        differ = predicted[first] != predicted[second]
        apart = np.abs(chance[first] - chance[second]) > TOLERANCE
        if apart.any() or differ.sum() > max(1, TIES * shared.sum()):
            source = np.repeat(np.arange(len(own)), [each.predicted.size for each in own])
            files = {own[number].name for side in (first, second) for number in source[side[differ | apart]]}
            found = f"{differ.sum()} classes, {apart.sum()} probabilities"
            yield f"{own[0].weights.stem}: {found} differ between equal images of {', '.join(sorted(files))}"


def records(outputs: Path) -> Iterator[str]:
    """The record of a training agrees with its rule, with itself, with the weights, and with its predictions."""
    clean = {
        each.weights: 100 * (each.predicted == each.labels).mean()
        for each in recorded(outputs)
        if each.record["recipe"]["noise"] == CLEAN and each.part.statistics == "frozen"
    }
    for path in sorted(outputs.glob("**/weights/*.json")):
        weights = path.with_suffix(".safetensors")
        record = kept_record(weights) or {}
        recipe, epochs, wrong = Recipe.of(record), record["epochs"], []
        if weights.is_file():
            header = networks.read_record(weights) | {"weights": file_hash(weights)}
            wrong += [name for name in record if header.get(name) != record[name]]
        steps = -(-recipe.train_images // recipe.batch_size)
        finished = [recipe.is_finished(epochs[: number + 1]) for number in range(len(epochs))]
        if any(finished[:-1]) or not finished[-1] or len(record["losses"]) != steps * len(epochs):
            wrong.append("epochs")
        for number, epoch in enumerate(epochs):
            losses = record["losses"][number * steps : (number + 1) * steps]
            rate = recipe.learning_rate * recipe.decay**number
            expected = {"epoch": number + 1, "learning_rate": rate, "train_loss": np.mean(losses)}
            wrong += [name for name, value in expected.items() if abs(epoch[name] - value) > 1e-4]
        percent = np.array([*(epoch["accuracy"] for epoch in epochs), record["stored_accuracy"]])
        right = percent * len(data.load(recipe.dataset).split()[3]) / 100
        if (abs(right - right.round()) > 0.01).any() or abs(percent[-1] - percent[-2]) > STORED:
            wrong.append("accuracy")
        if not abs(percent[-1] - clean.get(weights, np.nan)) < APART:
            wrong.append(f"{clean.get(weights, np.nan):.2f} % of the test images")
        if wrong:
            yield f"{path.relative_to(outputs)}: contradicts its rule, weights or predictions in {', '.join(wrong)}"


def attacks(outputs: Path) -> Iterator[str]:
    """What an attack found: its sizes and whether it fools follow from the images."""
    for path in sorted(outputs.glob("attacks/*/*.npz")):
        record, found = read_arrays(path)
        block = Block(path.parent, record["recipe"])
        weights = outputs / "weights" / f"{path.parent.name}.safetensors"
        digits = data.load(networks.read_record(weights)["recipe"].get("dataset", "mnist"))
        l0, l2, linf = perturbation_sizes(found["adversarial"], digits.test_images[block.index])
        fooled = found["predicted"] != digits.test_labels[block.index]
        own = {"l0": l0, "l2": l2, "linf": linf, "fooled": fooled, "started": found["started"] | (found["l0"] > 0)}
        wrong = [name for name, value in own.items() if not np.allclose(found[name], value)]
        wrong += ["name"] * (block.path != path) + ["weights"] * (record["weights"] != weights_hash(weights))
        if wrong:
            yield f"{path.relative_to(outputs)}: does not follow from the images: {', '.join(wrong)}"


def dropout(outputs: Path) -> Iterator[str]:
    """The entropy and the variance of ten probabilities are bounded by the largest, which chance bounds."""
    for path, _, arrays, _ in with_dropout(outputs):
        given = {name: values.astype(float) for name, values in arrays.items()}
        others, entropy = given["mean"], given["entropy"]
        largest = np.clip(1 - others, 1e-9, 1)
        own = -largest * np.log(largest) - others * np.log(np.clip(others, 1e-9, 1))
        wrong = (entropy < -np.log(largest) - TOLERANCE) | (entropy > own + others * np.log(CLASSES - 1) + TOLERANCE)
        wrong |= (given["information"] > entropy + TOLERANCE) | (given["information"] < 0)
        wrong |= given["spread"] ** 2 > 1 - largest**2 - others**2 / (CLASSES - 1) + TOLERANCE
        wrong |= (given["softmax"] > 1 - CHANCE + TOLERANCE) | (others > 1 - CHANCE + TOLERANCE)
        if wrong.any():
            yield f"{path.relative_to(outputs)}: {wrong.sum()} doubts are no doubts of ten probabilities"


def augmented(outputs: Path) -> Iterator[str]:
    """Level 0 of every noise is the clean images; trainings are named by their recipes and differ."""
    seen: dict[bytes, Path] = {}
    for path in sorted(outputs.glob("augmentation/*.npz")):
        record, arrays = read_arrays(path)
        predicted = arrays["predicted"]  # (noises, levels, images)
        same = (predicted[:, 0] == predicted[0, 0]).all() and (predicted < CLASSES).all()
        if not same or augmentation.Augmented(path.parent, record["recipe"]).path != path:
            yield f"{path.relative_to(outputs)}: the clean images have several classes, or its name is not its recipe's"
        if (other := seen.setdefault(predicted.tobytes(), path)) != path:
            yield f"{path.relative_to(outputs)}: the predictions of {other.name}"


def listing(text: str) -> dict[str, str]:
    """Of a list of `sha256sum`: file -> hash."""
    return {name: digest for digest, name in (line.split("  ") for line in text.splitlines())}


def history(outputs: Path) -> Iterator[str]:
    """No commit's recorded file has changed or gone, unless its training was replaced by one whose bits are recorded.

    Nothing is found outside a git repository.
    """
    now = listing((outputs / "SHA256SUMS").read_text(encoding="utf-8"))
    kept = [json.loads(path.read_bytes()) for path in outputs.glob("**/weights/*.json")]
    trained = {record["weights"]: "tensors" in record for record in kept}
    for commit in _git("log", "--format=%H", "--", LISTING).decode().split():
        for name, digest in listing(_git("show", f"{commit}:{LISTING}").decode()).items():
            if now.get(name) != digest:
                old, new = _weights(_git("show", f"{commit}:{name}")), outputs / Path(name).relative_to("outputs")
                made = _weights(new.read_bytes()) if new.is_file() else ""
                if old in trained or not trained.get(made, new.suffix == ".safetensors"):
                    yield f"{name}: not what commit {commit[:8]} recorded, of the same training"


def _git(*arguments: str) -> bytes:
    run = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    return run.stdout if run.returncode == 0 else b""


def _weights(content: bytes) -> str:
    """The hash of the weights that a recorded file names, "" if it names none."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        file.write(content)
        file.flush()
        packed = content.startswith(b"PK")
        text = json.dumps(read_arrays(Path(file.name))[0]) if packed else content.decode(errors="replace")
    found = re.search(r'"weights": "([0-9a-f]{16})"', text)
    return found[1] if found else ""


Check = Callable[[Path], Iterator[str]]
CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (names, pixels, probabilities, same_images, records, attacks, dropout, augmented, history)
}
