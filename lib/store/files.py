"""Where results lie, how they reach the disk whole, and what made them."""

import errno
import hashlib
import io
import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ROOT / "outputs"
LIBRARIES = ("torch", "torchvision", "fastai", "timm", "openvino", "numba", "numpy", "foolbox")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with an open binary file that becomes `path` once it is complete.

    A reader, or a run that is killed, sees the old file or the new one, never a part.

    Raises:
        OSError: if the disk is full; it names the file, and nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp gives 0600
        os.replace(name, path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC,
                "the disk is full; free some space and run the same command again, finished parts are kept",
                str(path),
            ) from None
        raise
    finally:
        Path(name).unlink(missing_ok=True)


def write_arrays(path: Path, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and the record of what made them as one compressed .npz file."""
    content = io.BytesIO()
    named: dict[str, Any] = {**arrays, "record": np.array(json.dumps(record))}
    np.savez_compressed(content, **named)
    write_atomically(path, lambda file: file.write(content.getvalue()))


def read_arrays(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The record and the arrays of such a file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        with np.load(path) as file:
            arrays = dict(file)
        return json.loads(str(arrays.pop("record"))), arrays
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"damaged file {path} ({error}); delete it and run the same command again") from None


def lock(path: Path, timeout: float = -1) -> FileLock:
    """A lock for the work that makes `path`; it goes when its process does. `timeout` in seconds, -1: wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.parent / f".{path.name}.lock", timeout=timeout)


def file_hash(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def recipe_hash(recipe: dict) -> str:
    """Eight hexadecimal digits that name one set of parameters, whatever their order."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]


def provenance() -> dict[str, str]:
    """The commit of this checkout, with `-dirty` where `lib/` differs from it, and the libraries' versions."""
    return {"commit": _commit(), **{name: version(name) for name in LIBRARIES}}


def _commit() -> str:
    def git(*arguments: str) -> str:
        answer = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return answer.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
    except FileNotFoundError:  # a machine without git
        return "unknown"
    dirty = "-dirty" if commit and git("status", "--porcelain", "--", "lib") else ""
    return (commit or "unknown") + dirty
