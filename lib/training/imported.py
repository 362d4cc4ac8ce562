"""Weights that were trained elsewhere: `python -m lib.training.imported MODEL FILE`, or `make import`."""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import load
from torch import Tensor

from lib import networks
from lib.store import data
from lib.store.files import file_hash, lock, provenance
from lib.store.parameters import in_a_line, read
from lib.training.fit import record_weights
from lib.training.recipe import Recipe

WORD = "imported"  # after the @ of a network's name that has none: never the name of a training by the rule


def read_weights(file: Path) -> dict:
    """What a `.safetensors` file, or one of torch's, holds; no code in it is run. ValueError if it holds no weights."""
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    content = file.read_bytes()
    try:
        tensors = content[8:9] == b"{"  # of .safetensors, behind the length of its header
        content = load(content) if tensors else torch.load(io.BytesIO(content), "cpu", weights_only=True)
    except Exception as error:  # the bytes are in memory, so any error means that they are damaged
        allowed = "allowed are .safetensors and torch.save(net.state_dict(), ...), not a whole module"
        raise ValueError(f"no weights in {file} ({type(error).__name__}); {allowed}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds a {type(content).__name__}; allowed is a state_dict")
    return content


def _candidates(content: dict, depth: int = 8) -> Iterator[dict[str, Tensor]]:
    """The state_dicts in a checkpoint, and of each the parts whose names begin alike, without that, as `module.`.

    Dictionaries and names are followed to this depth: a dictionary may hold itself.
    """
    names = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if names:
        yield names
    parts: dict[str, dict] = {}
    for name, value in names.items():
        first, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(first, {})[rest] = value
    for part in (*parts.values(), *content.values()):
        if depth and isinstance(part, dict):
            yield from _candidates(part, depth - 1)


def _kind(value: Tensor) -> str:
    """Its shape and what it holds: what must agree for weights to fit."""
    kind = "floats" if value.is_floating_point() else "complex" if value.is_complex() else "integers"
    usual = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    return f"{tuple(value.shape)} {kind if usual else f'{value.dtype}, {value.layout} on {value.device}'}"


def fill(net: networks.Net, content: dict, source: str) -> None:
    """Put the weights in a checkpoint into the network's body. Raises ValueError if names or shapes do not fit."""
    own = {name: _kind(value) for name, value in net.body.state_dict().items()}
    problems = []
    for weights in _candidates(content):
        found = {name: _kind(value) for name, value in weights.items()}
        if found == own:
            net.body.load_state_dict(weights)
            return
        wrong = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
        problems.append((len(wrong), f"{wrong[0]}: {found.get(wrong[0], 'missing')}, not {own.get(wrong[0], 'there')}"))
    detail = min(problems)[1] if problems else "it holds no tensors"
    raise ValueError(f"the weights in {source} are not those of this network: {detail}")


def import_weights(recipe: Recipe, file: Path) -> dict:
    """Record weights that were trained elsewhere as those of `recipe.model`, which is kept apart by its @WORD.

    Of the recipe only the name, the seed, the data set and the preparation of the images are used. Returns the record,
    as of `training.fit.train`, without a history, with `imported`: the file's name and hash. Raises ValueError if the
    weights do not fit the network, it cannot be measured (`networks.probed`), or its name is taken by other weights and
    `recompute` is not set.
    """
    net = networks.build(recipe.model, recipe.seed, **recipe.input)
    networks.as_stored(net)  # raises if it keeps something else than tensors
    fill(net, read_weights(file), str(file))
    networks.restore(net, networks.as_stored(net))
    networks.probed(net.eval(), recipe.model)
    with lock(recipe.weights):
        before = networks.recorded_tensors(recipe.weights)
        if before not in (None, networks.tensors_hash(networks.as_stored(net))) and not recipe.recompute:
            raise ValueError(f"{recipe.weights.stem} holds other weights; choose another @WORD, or --recompute")
        *_, images, labels = data.load(recipe.dataset).split()
        correct = networks.predictor(net)(images).argmax(axis=1) == labels
        outcome = {
            "imported": {"file": file.name, "sha256": file_hash(file)},
            "stored_accuracy": round(100 * float(correct.mean()), 4),
        }
        record_weights(net, recipe.weights, recipe.in_record | outcome | provenance())
    return networks.read_record(recipe.weights)


def main(arguments: list[str] | None = None) -> None:
    """The command line of `make import`."""
    parser = argparse.ArgumentParser(prog="make import", description=__doc__)
    parser.add_argument("model", help="the network that the weights belong to: mine:net, resnet18, timm:NAME")
    parser.add_argument("file", type=Path, help=".safetensors, or a state_dict by torch.save")
    parser.add_argument("--seed", type=int, default=0, help="tells several trainings of one network apart")
    for name in ("normalize", "resize", "dataset"):
        parser.add_argument(f"--{name}", default=Recipe.model_fields[name].default, help="as in training")
    parser.add_argument("--size", type=int, default=networks.SIZE, help="pixels a side that the network reads")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder for the results")
    parser.add_argument("--recompute", action="store_true", help="replace other weights of this name")
    chosen = vars(parser.parse_args(arguments))
    file = chosen.pop("file").expanduser()
    if "@" not in chosen["model"]:
        chosen["model"] += f"@{WORD}"
    try:
        recipe = Recipe(**chosen | {"normalize": read("normalize", chosen["normalize"])})
        record = import_weights(recipe, file)
    except (ValueError, OSError) as error:
        parser.exit(1, f"{in_a_line(error) if isinstance(error, ValidationError) else error}\n")
    print(
        f"{recipe.model} seed {recipe.seed}: {record['stored_accuracy']:.2f} % of the validation images; an accuracy "
        f"near 10 % means other inputs than in training: --normalize, --resize, --size.\n"
        f"Next: make sweep MODEL={recipe.model}" + (f" SEED={recipe.seed}" if recipe.seed else "")
    )


if __name__ == "__main__":
    main()
