"""Recorded trainings made again and compared: `python -m lib.experiments.audit [NUMBER | all]`, or `make audit`.

The commit decides which, so that nobody chooses. Nothing that is recorded is read while a training is made, or changed.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import hypergeom, t
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from lib import networks
from lib.evaluation.bundle import Bundle
from lib.evaluation.plan import SweepPart
from lib.evaluation.results import accuracies
from lib.evaluation.sweep import Evaluator, Predictions
from lib.experiments.checks import Recorded, recorded
from lib.experiments.declaration import WHOLE, Experiment, families, packaged
from lib.experiments.run import missing
from lib.paper import PAPER_NOISES, TABLE_1_LEVELS
from lib.statistics.contrasts import Spread
from lib.statistics.curves import area, area_under_curve, wide
from lib.store import data
from lib.store.files import OUTPUTS, lock, provenance, write_atomically
from lib.store.parts import kept_record
from lib.training.callbacks import stream
from lib.training.fit import train
from lib.training.recipe import Recipe

AUDITS = "audit.csv"  # under outputs: the trainings made again so far
# What is the same where the same bits are expected.
MACHINE = ("device", "processor", "instructions", "threads", "precision", "torch")
UNLIKELY = 0.001  # the probability with which another training of the same network would be as far away
FIRST = 0.05  # of the first loss, by which machines and precisions differ
FASTEST = 5e11  # floating-point operations a second of one thread; more are a graphics card's
IMAGES = 2_000  # test images on which the networks are compared
FORGED = (1, 3, 9)  # trainings: one, those of a network, those of three
COLUMNS = ["training", "machine", "bits", "losses", "differ", "recorded", "again", "far", "fits", "commit"]
PAGE, HEADING = OUTPUTS / "README.md", "<!-- make audit -->\n\n"
Training = tuple[Experiment, Recipe]


def trainings(outputs: Path = OUTPUTS) -> dict[str, Training]:
    """Every training that is declared with the four noises, by the name of its weights."""
    found: dict[str, Training] = {}
    for experiment in packaged().values():
        if {*PAPER_NOISES} <= {*experiment.noises} and {*TABLE_1_LEVELS} <= {*experiment.levels}:
            for recipe in experiment.trainings(outputs):
                found.setdefault(recipe.weights.stem, (experiment, recipe))
    return found


def drawn(names: list[str], commit: str) -> list[str]:
    """The trainings in the order in which this commit draws them."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{commit} {name}".encode()).digest())


def operations(recipe: Recipe) -> int:
    """Floating-point operations of training, as often as `max_epochs` allows."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        networks.build(recipe.model, recipe.seed, **recipe.input).eval()(torch.zeros(1, 1, 28, 28))
    return 3 * counter.get_total_flops() * recipe.train_images * recipe.max_epochs  # a backward pass costs two


def first_loss(recipe: Recipe) -> float:
    """The loss of the first batch, before any step of training."""
    images, labels, *_ = data.load(recipe.dataset).split()
    order = torch.randperm(recipe.train_images, generator=torch.Generator().manual_seed(stream(recipe.seed, 0)))
    batch = order[: recipe.batch_size].numpy()
    net = networks.build(recipe.model, recipe.seed, **recipe.input).train()
    torch.manual_seed(stream(recipe.seed, 0, 1))
    with torch.no_grad():
        logits = net(torch.from_numpy(images[batch])[:, None].float() / 255)
    return float(functional.cross_entropy(logits, torch.from_numpy(labels[batch].astype(np.int64))))


def beginnings(outputs: Path) -> Iterator[str]:
    """The first loss of a training follows from seed and recipe, and no processor trains faster than `FASTEST`."""
    for path in sorted(outputs.glob("**/weights/*.json")):
        record = kept_record(path.with_suffix(".safetensors")) or {}
        recipe = Recipe.of(record)
        if abs(record["losses"][0] - (found := first_loss(recipe))) > FIRST:
            yield f"{path.relative_to(outputs)}: its first loss is {record['losses'][0]}, not {found:.4f}"
        seconds = sum(epoch["seconds"] for epoch in record["epochs"]) * recipe.max_epochs / len(record["epochs"])
        if record.get("device", "cpu") == "cpu" and operations(recipe) > FASTEST * record["threads"] * seconds:
            yield f"{path.relative_to(outputs)}: trained faster than a processor can"


def from_weights(outputs: Path) -> Iterator[str]:
    """A sample of all predictions of networks whose weights are kept, recomputed (`Evaluator.check`)."""
    for weights in sorted(outputs.glob("weights/*.safetensors")):
        recipe = networks.read_record(weights)["recipe"]
        net = networks.load(recipe["model"], recipe["seed"], outputs, recipe.get("dataset", "mnist"))
        evaluator = Evaluator(net, {})
        for each in recorded(outputs, weights.stem):
            with tempfile.TemporaryDirectory() as folder:  # parts of bundles have no file
                part = SweepPart(Path(folder), each.record["recipe"])
                if part.statistics in ("frozen", "batch"):
                    counts = [count.astype(np.uint16) for count in each.noise[:2]]
                    chance = each.probability.astype(np.float16)
                    Predictions(each.predicted, chance, counts[0], each.record, counts[1]).write(part.path)
                    try:
                        evaluator.check(part)
                    except ValueError as error:
                        yield f"{each.name}: {error}"


def again(recipe: Recipe) -> tuple[dict, Evaluator]:
    """A training made again in a folder of its own, on as many threads as the recorded one: its record, its network."""
    threads = torch.get_num_threads()
    torch.set_num_threads((kept_record(recipe.weights) or {}).get("threads", threads))
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = train(recipe.model_copy(update={"outputs": Path(folder)}))
            return made, Evaluator(networks.load(recipe.model, recipe.seed, Path(folder), recipe.dataset), {})
    finally:
        torch.set_num_threads(threads)


def compared(experiment: Experiment, recipe: Recipe, made: dict, evaluator: Evaluator) -> dict:
    """A recorded training beside the same one made again (`again`): a row of `AUDITS`.

    training, machine. bits: whether all losses and classes, and the weights where their hash is recorded, are the same.
    losses: percent of the losses that are the same to four decimals. differ: percent of the classes that are not.
    recorded, again: areas over `TABLE_1_LEVELS`, the mean of the noises, percent. far: how far apart two trainings of
    this network are once in 1 / `UNLIKELY` times, points. fits: the bits are the same or, unless the record names this
    kind of machine, the areas are not far apart and the first losses, before training, agree.
    """
    record = kept_record(recipe.weights) or {}
    pairs = [_classes(each, evaluator) for each in _first_reading(experiment, recipe)]
    same = all((old == new).all() for old, new in pairs)
    same &= all(record[name] == made[name] for name in ("losses", "tensors") if name in record)
    losses = [old == new for old, new in zip(record.get("losses", []), made["losses"], strict=False)]
    labels = data.load(recipe.dataset).test_labels[: pairs[0][0].shape[1]]
    (clean, *noisy) = [[100 * (classes == labels).mean(axis=1) for classes in pair] for pair in pairs]
    curves = [np.stack([np.concatenate([clean[side], each[side]]) for each in noisy]) for side in (0, 1)]
    old, new = (float(area_under_curve(curve, np.array(TABLE_1_LEVELS)).mean()) for curve in curves)
    far = _far(experiment, recipe)
    alike = bool(record) and all(record.get(key) == made[key] for key in MACHINE)
    near = abs(new - old) <= far and abs(record.get("losses", made["losses"])[0] - made["losses"][0]) <= FIRST
    return {
        "training": recipe.weights.stem,
        "machine": ", ".join(str(made[key]) for key in MACHINE),
        "bits": bool(same),
        "losses": round(100 * float(np.mean(losses)), 2) if losses else None,
        "differ": round(100 * float(np.mean([(old != new).mean() for old, new in pairs])), 3),
        "recorded": round(old, 2),
        "again": round(new, 2),
        "far": round(far, 2),
        "fits": bool(same or (not alike and near)),
    }


def _first_reading(experiment: Experiment, recipe: Recipe) -> list[Recorded]:
    """What is recorded of a training under the experiment's first reading: without noise, then each of its noises."""
    known = {Path(each.name).name: each for each in recorded(recipe.weights.parents[1], recipe.weights.stem)}
    parts = [part for part in experiment.parts(recipe) if part.statistics == "frozen"][: 1 + len(experiment.noises)]
    whole = [SweepPart(part.folder, part.recipe | {"images": WHOLE}) for part in parts]
    return [known.get(part.path.name) or known[all_.path.name] for part, all_ in zip(parts, whole, strict=True)]


def _classes(each: Recorded, evaluator: Evaluator) -> tuple[np.ndarray, np.ndarray]:
    """The recorded classes and those of a network, (levels, images), at `TABLE_1_LEVELS` and on at most `IMAGES`."""
    recipe = each.record["recipe"]
    rows = [row for row, level in enumerate(recipe["levels"]) if level in TABLE_1_LEVELS]
    images, levels = min(IMAGES, recipe["images"]), [recipe["levels"][row] for row in rows]
    with tqdm(disable=True) as bar:
        new = evaluator.predict(SweepPart(Path(), recipe | {"images": images, "levels": levels}), bar)
    return each.predicted[rows, :images], new.predicted


def _far(experiment: Experiment, recipe: Recipe) -> float:
    """Points of area that two trainings of a network are apart with a probability of `UNLIKELY`, by all others."""
    of = experiment.families | families()
    family = {model for model, name in of.items() if name == of[recipe.model]}
    table = accuracies(recipe.weights.parents[1], [min(IMAGES, experiment.images)], family)
    chosen = experiment.readings[0].select(table, experiment.draw, dataset=recipe.dataset)
    others = (
        area()(wide(chosen, levels=TABLE_1_LEVELS))
        .drop((recipe.model, recipe.seed), errors="ignore")
        .groupby(level="model")
    )
    found = Spread.of({str(model): areas.to_numpy() for model, areas in others}, of)
    known = recipe.model in found.models
    place = found.models.index(recipe.model) if known else int(np.nanargmin(found.variances))  # its family's
    return float(t.isf(UNLIKELY / 2, found.freedom[0]) * np.sqrt(2 * found.variances[place]))


def made_on(outputs: Path = OUTPUTS) -> pd.DataFrame:
    """On what the recorded trainings were made: device, torch, threads, whether the weights' hash is recorded; counts.

    Where a training has no record, as far as its predictions say it.
    """
    rows = {}
    for path in sorted(outputs.glob("readings/**/*.npz")):
        rows[path.stem] = "not recorded", next(iter(Bundle.read(path).records.values()))["torch"], "-", "no"
    for path in sorted(outputs.glob("**/weights/*.json")):
        record = kept_record(path.with_suffix(".safetensors")) or {}
        hashed = "yes" if "tensors" in record else "no"
        rows[path.stem] = record.get("device", "cpu"), record["torch"], str(record["threads"]), hashed
    columns = ["device", "torch", "threads", "weights hashed"]
    return pd.DataFrame([*rows.values()], columns=columns).value_counts(sort=False).rename("trainings").reset_index()


def caught(outputs: Path = OUTPUTS) -> pd.DataFrame:
    """The probability in percent that the audits so far have caught forged trainings, if they were any of the recorded.

    Columns: trainings, made again (of these), the same bits, and caught for each number in `FORGED`.
    """
    total, table = int(made_on(outputs)["trainings"].sum()), read(outputs).drop_duplicates("training", keep="last")
    found = {"trainings": total, "made again": len(table), "the same bits": int(table["bits"].sum())}
    each = {f"{n} forged, %": round(100 * float(1 - hypergeom.pmf(0, total, n, len(table))), 1) for n in FORGED}
    return pd.DataFrame([found | each])


def page(outputs: Path = OUTPUTS) -> str:
    """`made_on`, `caught` and the trainings made again, as they stand in `outputs/README.md`."""
    again = read(outputs).drop(columns="commit")
    return "\n\n".join(table.to_markdown(index=False) for table in (made_on(outputs), caught(outputs), again))


def read(outputs: Path = OUTPUTS) -> pd.DataFrame:
    """The trainings made again so far, rows of `again`; none if there is no file."""
    path = outputs / AUDITS
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=COLUMNS)


def audit(number: int | None = None, cheapest: int | None = None, outputs: Path = OUTPUTS) -> pd.DataFrame:
    """Make the first `number` trainings that the commit draws (None: all) again, or the `cheapest` of these."""
    known = trainings(outputs)
    commit = provenance()["commit"].removesuffix("-dirty")
    there = (name for name in drawn([*known], commit) if not missing(*known[name]))
    names = list(islice(there, number))
    if cheapest is not None:
        names = sorted(names, key=lambda name: operations(known[name][1]))[:cheapest]
    wanted = tqdm([known[name] for name in names], "trained again", unit="training")
    rows = [compared(experiment, recipe, *again(recipe)) for experiment, recipe in wanted]
    return pd.DataFrame(rows, columns=COLUMNS[:-1]).assign(commit=commit)


def main() -> None:
    """The command line; the exit status is 1 if a training does not fit its record."""
    options = argparse.ArgumentParser(prog="make audit", description=__doc__)
    number = "of the trainings that the commit draws, all, or 0: the page alone"
    options.add_argument("number", nargs="?", default="2", help=number)
    options.add_argument("--cheapest", type=int, help="only so many of these, the cheapest")
    asked = options.parse_args()
    found = audit(None if asked.number == "all" else int(asked.number), asked.cheapest)
    with lock(path := OUTPUTS / AUDITS):
        table = pd.concat([read(), found]).drop_duplicates(["training", "machine"], keep="last")
        write_atomically(path, lambda file: table.to_csv(file, index=False, lineterminator="\n"))
        before, *_ = PAGE.read_text(encoding="utf-8").partition(HEADING)
        text = f"{before}{HEADING}{page()}\n"
        write_atomically(PAGE, lambda file: file.write(text.encode()))
    print(found.to_string(index=False), caught().to_string(index=False), sep="\n\n")
    sys.exit(0 if found["fits"].all() else 1)


if __name__ == "__main__":
    main()
