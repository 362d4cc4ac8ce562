"""Where results lie, how they reach the disk whole, and what made them."""

import contextlib
import errno
import glob
import hashlib
import io
import json
import logging
import os
import stat
import subprocess
import tempfile
import textwrap
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ROOT / "outputs"
ANYONE = 0o666  # the mode of a lock's file, which is empty; the folder's mode says who may write
LIBRARIES = ("torch", "torchvision", "fastai", "timm", "openvino", "numba", "numpy", "foolbox")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with an open binary file that becomes `path` once it is complete.

    A reader, or a run that is killed, sees the old file or the new one, never a part.

    Raises:
        PermissionError: if this user may not write there; it names the folder.
        OSError: if the disk is full; it names the file, and nothing is left of it.
    """
    _make_folder(path)
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


def may_write(path: Path) -> bool:
    """Whether this user may make or replace `path`: by the nearest of its folders that there is."""
    folder = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if folder.stat().st_mode & stat.S_ISVTX and path.exists():  # as /tmp: each may replace what is his own
        return os.geteuid() in (0, path.stat().st_uid, folder.stat().st_uid)
    return _allowed(folder, os.W_OK | os.X_OK)


def _allowed(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def write_derived(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """`write_atomically` of what follows from recorded results; a user who may only read them is told in a line."""
    if may_write(path):
        write_atomically(path, write)
    else:
        logging.getLogger(__name__).warning("%s is left as it is: no right to write there", path)


def _make_folder(path: Path) -> None:
    if not may_write(path):
        told = "no right to write in this folder; -p outputs FOLDER names another one for the results"
        raise PermissionError(errno.EACCES, told, str(path.parent))
    path.parent.mkdir(parents=True, exist_ok=True)


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
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as file:  # np.load leaves the end of a file, and so its checksum, unread
            members = {name.removesuffix(".npy"): io.BytesIO(file.read(name)) for name in file.namelist()}
        arrays = {name: np.lib.format.read_array(member, allow_pickle=False) for name, member in members.items()}
        return dict(json.loads(str(arrays.pop("record")))), arrays
    except MemoryError:
        raise
    except Exception as error:  # from bytes in memory: whatever it is, they are not what was written
        raise ValueError(f"damaged file {path} ({in_short(error)}); delete it and run the same command again") from None


def in_short(error: BaseException) -> str:
    """`ValueError: what it says`, shortened to 300 characters."""
    return textwrap.shorten(f"{type(error).__name__}: {error}".removesuffix(": "), 300)


def lock(path: Path, timeout: float = -1) -> FileLock:
    """A lock for the work that makes `path`; it goes when its process does. `timeout` in seconds, -1: wait.

    Whoever may write in the folder may use it, whose file it be.

    Raises:
        PermissionError: if this user may not write there; it names the folder or the lock's file.
    """
    _make_folder(path)
    file = path.parent / f".{path.name}.lock"
    if file.exists():
        with contextlib.suppress(OSError):
            file.chmod(ANYONE)
        if not _allowed(file, os.R_OK | os.W_OK):
            told = "another user's lock; its owner, or you while nobody is at work, may delete it"
            raise PermissionError(errno.EACCES, told, str(file))
    return FileLock(file, timeout=timeout, mode=ANYONE)


def visible(folder: Path, pattern: str) -> list[Path]:
    """The files under `folder` that a glob pattern names, in order, without hidden ones such as macOS's `._NAME`.

    A folder of such a name is none, nor is a link that leads nowhere.
    """
    return sorted(path for name in glob.glob(pattern, root_dir=folder) if (path := folder / name).is_file())


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
    """Of the repository whose top is this checkout, never of one around it or of one that the environment names."""
    repository = ["--git-dir", str(ROOT / ".git"), "--work-tree", str(ROOT), "--no-optional-locks"]

    def git(*arguments: str) -> str:
        answer = subprocess.run(["git", *repository, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
        return answer.stdout.strip()

    try:
        commit = git("rev-parse", "--verify", "HEAD")
        return commit + ("-dirty" if git("status", "--porcelain", "--", "lib") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):  # a machine without git, an archive without a repository
        return "unknown"
