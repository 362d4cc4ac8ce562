"""Where the weights of a trained network lie, and the record of its training; read without torch."""

import json
import shlex
from pathlib import Path

from lib.store.files import OUTPUTS, in_short
from lib.store.parts import check_name, file_stem, kept_record


def weights_path(model: str, train_seed: int = 0, outputs: Path = OUTPUTS) -> Path:
    """Where the weights of a trained network lie."""
    return outputs / "weights" / f"{file_stem(model, train_seed)}.safetensors"


def read_record(path: Path) -> dict:
    """What made a weights file (`training.fit.train`), from its header, or from the record kept in its place.

    Raises FileNotFoundError, with the command that trains it, if there is neither, and ValueError if the file is
    damaged.
    """
    import safetensors

    if not path.is_file():
        if kept := kept_record(path):
            return kept
        model, _, seed = path.stem.rpartition("-seed")
        command = training_command(path)
        raise FileNotFoundError(f"{model} with seed {seed} is not trained: no {path}; make it with: {command}")
    path.open("rb").close()  # reports a missing right to read; safetensors would report a missing file
    try:
        with safetensors.safe_open(path, framework="np") as file:
            record = json.loads(file.metadata()["record"])
        record = record | {"recipe": dict(record["recipe"])}
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from None
    check_name(path, record["recipe"])
    return record


def training_command(path: Path, options: str = "") -> str:
    """The command that makes this weights file, with further `options` of papermill."""
    model, _, seed = path.stem.rpartition("-seed")
    command = f"make train MODEL={model}" + (f" SEED={seed}" if seed != "0" else "")
    if (outputs := path.parents[1]) != OUTPUTS and "outputs" not in options:
        options = f"-p outputs {shlex.quote(str(outputs))} {options}".strip()
    return command + (f" ARGS={shlex.quote(options)}" if options else "")


def damaged(path: Path, error: Exception) -> ValueError:
    """The error for a file that does not hold the weights of a network that was trained here."""
    found = f"no weights in {path} ({in_short(error)})"
    return ValueError(f"{found}; restore the file, or delete it and train the network again")
