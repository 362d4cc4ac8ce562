"""Recorded parts: a long computation in files, each computed once from one recipe and one network's weights."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import Timeout
from tqdm import tqdm

from lib.store.files import file_hash, in_short, lock, provenance, read_arrays, recipe_hash
from lib.store.progress import progress_bar


@dataclass(frozen=True)
class Part:
    """The content of one file, and the unit in which an interrupted run resumes."""

    folder: Path
    recipe: dict

    @property
    def label(self) -> str:
        """The readable beginning of the file's name."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many images the network classifies; the unit of the progress bar."""
        raise NotImplementedError

    @property
    def path(self) -> Path:
        """The file. Its name holds the recipe's hash: a part with another c or other steps has another file."""
        return self.folder / f"{self.label}-{recipe_hash(self.recipe)}.npz"

    def made(self, record: dict, weights: str) -> bool:
        """Whether a record names exactly this recipe, and the weights with this hash."""
        return record.get("recipe") == self.recipe and record.get("weights") == weights

    def holds(self, weights: str) -> bool:
        """Whether the part is on disk, made by exactly this recipe and these weights; ValueError if it is damaged."""
        return self.path.is_file() and self.made(read_arrays(self.path)[0], weights)


Kind = TypeVar("Kind", bound=Part)


def origin(model: str, train_seed: int, weights: Path) -> dict:
    """A record without its recipe: the network, its training seed, the hash of its weights, commit and versions."""
    return {"model": model, "train_seed": train_seed, "weights": file_hash(weights), **provenance()}


def weights_hash(weights: Path) -> str | None:
    """The hash of a weights file; where the weights are not kept, the one in the record of their training, if any."""
    record = kept_record(weights)  # raises where it is damaged, also beside its weights
    if weights.is_file():
        return file_hash(weights)
    return record["weights"] if record else None


def kept_record(weights: Path) -> dict | None:
    """The record of a training beside its weights, or in their place; None without one, ValueError if it is damaged."""
    path = weights.with_suffix(".json")
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_bytes())
        record = record | {"recipe": dict(record["recipe"]), "weights": record["weights"]}
    except (KeyError, TypeError, ValueError) as error:
        found = f"no record of a training in {path} ({in_short(error)})"
        raise ValueError(f"{found}; restore the file, or delete it") from None
    check_name(path, record["recipe"])
    return record


def file_stem(model: str, train_seed: int) -> str:
    """The start of the name of every file about one trained network."""
    return f"{model.replace(':', '-')}-seed{train_seed}"


def check_name(path: Path, recipe: dict) -> None:
    """Raises ValueError if a file of a training was copied or renamed: its recipe is of another network or seed."""
    model, seed = recipe.get("model"), recipe.get("seed")
    if path.stem != (stem := file_stem(str(model), seed or 0)):
        raise ValueError(
            f"{path} is a training of {model} with seed {seed} under another name: a copy is not another training; "
            f"delete it, or name it {stem}{path.suffix}"
        )


def recorded(parts: Sequence[Part], weights: Path) -> bool:
    """Whether every part is on disk, made by the current weights, whose hash is that of `weights_hash`."""
    if not all(part.path.is_file() for part in parts):
        return False
    made_by = weights_hash(weights)
    return made_by is not None and all(part.holds(made_by) for part in parts)


def in_turn(parts: Sequence[Kind]) -> Iterator[Kind]:
    """Each part while its lock is held: first the parts that no other process is working on, then the rest."""
    busy = []
    for part in parts:
        try:
            with lock(part.path, timeout=0):
                yield part
        except Timeout:
            busy.append(part)
    for part in busy:
        with lock(part.path):
            yield part


def complete(
    parts: Sequence[Kind],
    weights: str,
    make: Callable[[Kind, tqdm], None],
    check: Callable[[Kind], int],
    *,
    recompute: bool,
    title: str,
) -> dict[str, int]:
    """Check the recorded parts and make the missing ones, or all of them with `recompute`.

    Several processes may share them, and each finished part is kept. `weights` is the hash of the weights that must
    have made them. `make` writes a part, and advances the bar, which has this title, by its size. `check` verifies a
    recorded part and returns how much of it, or raises. Returns the numbers of parts `computed` and `reused`, and the
    sum of what `check` returned, `checked`.
    """
    reused = [] if recompute else [part for part in parts if part.holds(weights)]
    checked = sum(check(part) for part in reused)
    todo = [part for part in parts if part not in reused]
    computed = 0
    if todo:
        with progress_bar(sum(part.size for part in todo), title, "image") as bar:
            for part in in_turn(todo):
                if not recompute and part.holds(weights):  # another process made it meanwhile
                    bar.update(part.size)
                else:
                    make(part, bar)
                    computed += 1
    return {"computed": computed, "reused": len(parts) - computed, "checked": checked}
