"""The grid of readings at work: what is missing is trained and swept, and what was answered is kept in small files."""

import itertools
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from lib import networks
from lib.evaluation.plan import SweepPart
from lib.evaluation.sweep import predict
from lib.readings.answers import AnswerFile
from lib.readings.options import Grid, Reading
from lib.store import data
from lib.store.files import file_hash, lock, write_atomically
from lib.store.parts import origin
from lib.store.progress import progress_bar
from lib.training.fit import train

Job = tuple[Reading, int, list[SweepPart]]  # parts to sweep with the network of this reading and training seed


def missing(grid: Grid) -> list[Job]:
    """What is not recorded yet, in the order of `Grid.readings`. Parts that readings have in common come once."""
    jobs, seen = {}, set()
    recorded: dict[Path, tuple[AnswerFile, str | None]] = {}
    for reading, seed in itertools.product(grid.readings(), grid.seeds):
        path, weights = grid.answers_path(reading, seed), grid.recipe(reading, seed).weights
        if path not in recorded:
            recorded[path] = AnswerFile.read(path), file_hash(weights) if weights.is_file() else None
        answers, made_by = recorded[path]
        for part in grid.parts(reading, seed):
            if (path, part.path) not in seen and not answers.holds(part, made_by):
                job = jobs.setdefault((len(reading.changes), path, reading.space), (reading, seed, []))
                job[2].append(part)
            seen.add((path, part.path))
    return list(jobs.values())


def run(grid: Grid) -> int:
    """Train and sweep what is missing; the number of parts computed. A run that is stopped goes on where it was.

    Weights that are not on disk are trained again if a part of theirs is missing; then the network is asked all anew.

    The bar counts forward passes of all the sweeps that were missing, and its time left is theirs; each training has a
    bar of its own.
    """
    jobs = missing(grid)
    total, done = sum(part.size for _, _, parts in jobs for part in parts), 0
    for number, (reading, seed, parts) in enumerate(jobs, 1):
        _train(grid, reading, seed)
        what = f"{grid.recipe(reading, seed).model} seed {seed}, {number} of {len(jobs)}"
        with progress_bar(total, what, "image", done=done) as bar:
            _sweep(grid, reading, seed, parts, bar)
        done += sum(part.size for part in parts)
    computed = sum(len(parts) for _, _, parts in jobs)
    return computed + run(grid) if jobs else 0


def _train(grid: Grid, reading: Reading, seed: int) -> None:
    """The network of the reading and, on the way to it, those of fewer epochs: each goes on where the last one ends.

    One that was trained by the same recipe outside the grid is taken from there.
    """
    wanted = grid.recipe(reading, seed)
    if wanted.weights.is_file():
        return
    trained = wanted.model_copy(update={"outputs": grid.outputs})
    if trained.weights.is_file() and trained.of(networks.read_record(trained.weights)).recorded == trained.recorded:
        write_atomically(wanted.weights, lambda file: file.write(trained.weights.read_bytes()))
        return
    chain = sorted(
        (grid.recipe(replace(reading, epochs=epochs), seed) for epochs in grid.epochs),
        key=lambda recipe: recipe.max_epochs,
    )
    for recipe, then in itertools.zip_longest(chain, chain[1:]):
        train(recipe, then)


def _sweep(grid: Grid, reading: Reading, seed: int, parts: list[SweepPart], bar: tqdm) -> None:
    recipe, path = grid.recipe(reading, seed), grid.answers_path(reading, seed)
    net = networks.load(recipe.model, seed, grid.folder)
    probabilities = networks.predictor(net, size=reading.space)
    digits = data.load()
    images = networks.upscale(digits.test_images[: grid.images], reading.space, net.resize)
    labels = digits.test_labels[: grid.images]
    training = {key: value for key, value in networks.read_record(recipe.weights).items() if key != "losses"}
    record = origin(recipe.model, seed, recipe.weights)
    with lock(path):
        answers = AnswerFile.read(path)
        if answers.training != training:  # of other weights
            answers = AnswerFile({}, {}, training)
        try:
            for part in parts:
                if answers.holds(part, record["weights"]):  # another process was here
                    bar.update(part.size)
                    continue
                found = predict(part, probabilities, images, labels, record, bar)
                pixels = found.attacked.sum(axis=1, dtype=int).tolist()
                answers.add(part, found, labels, {"pixels_attacked": pixels})
        finally:  # a run that is stopped keeps its finished parts; one that is killed loses a minute or two
            answers.write(path)
