"""The folder of the results, atomic writes, locks, and the provenance of a result."""

import contextlib
import errno
import glob
import hashlib
import io
import json
import logging
import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Callable, Generator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ROOT / "outputs"
ANYONE = 0o666  # the mode of a lock's file; the folder's mode says who may write
NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
LEASE = 300  # seconds
LIBRARIES = ("torch", "torchvision", "fastai", "timm", "openvino", "numba", "numpy", "foolbox")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with an open binary file that becomes `path` once it is complete; a reader never sees a part of it.

    Raises PermissionError, which names the folder, without the right to write, and OSError, which names the file, if
    the disk is full or has a fault.
    """
    _make_folder(path)
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(PermissionError):  # mounts such as CIFS know no modes
            os.chmod(name, 0o644)  # mkstemp gives 0600
        os.replace(name, path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save raises another on top of it
        raise (_of_file(cause, path) if isinstance(cause, OSError) else error) from None
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def _of_file(error: OSError, path: Path) -> OSError:
    """The error with the file that it is about, if it names none, and what to do if the disk or a quota is full."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not full and (error.errno is None or error.filename is not None):
        return error
    advice = "free some space" if full else "give another folder for the results with -p outputs FOLDER"
    message = f"{'the disk is full' if full else error.strerror}; {advice}"
    return OSError(error.errno, f"{message} and run the same command again: finished parts are kept", str(path))


def may_write(path: Path) -> bool:
    """Whether this user may create or replace `path`, by the rights on its nearest existing folder."""
    folder = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if folder.stat().st_mode & stat.S_ISVTX and path.exists():  # as /tmp: only a file's owner may replace it
        return os.geteuid() in (0, path.stat().st_uid, folder.stat().st_uid)
    return _allowed(folder, os.W_OK | os.X_OK)


def _allowed(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def write_derived(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """`write_atomically` for what can be derived from recorded results; without the right to write, it only warns."""
    if may_write(path):
        write_atomically(path, write)
    else:
        logging.getLogger(__name__).warning(f"{path} is not written: no right to write there")


def _make_folder(path: Path) -> None:
    if not may_write(path):
        message = "no right to write in this folder; choose another for the results with -p outputs FOLDER"
        raise PermissionError(errno.EACCES, message, str(path.parent))
    path.parent.mkdir(parents=True, exist_ok=True)


def write_arrays(path: Path, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and the record of what made them as one compressed .npz file."""
    named: dict[str, Any] = {**arrays, "record": np.array(json.dumps(record))}
    write_atomically(path, lambda file: np.savez_compressed(file, **named))


def read_arrays(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The record and the arrays of a file that `write_arrays` wrote; ValueError if it is damaged."""
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as file:  # np.load leaves the end of a file, and so its checksum, unread
            members = {name.removesuffix(".npy"): io.BytesIO(file.read(name)) for name in file.namelist()}
        arrays = {name: np.lib.format.read_array(member, allow_pickle=False) for name, member in members.items()}
        return dict(json.loads(str(arrays.pop("record")))), arrays
    except MemoryError:
        raise
    except Exception as error:  # the bytes are in memory, so any error means that they are damaged
        raise ValueError(f"damaged file {path} ({in_short(error)}); delete it and run the same command again") from None


def in_short(error: BaseException) -> str:
    """The error's type and message on one line, at most 300 characters."""
    return textwrap.shorten(f"{type(error).__name__}: {error}".removesuffix(": "), 300)


@contextlib.contextmanager
def lock(path: Path, timeout: float = -1) -> Generator[None]:
    """Hold the lock of the work that makes `path`. It is free again when its process ends.

    Where the file system has no flock (some Lustre and NFS mounts), the holder renews a lease instead. A process that
    waits takes it over `LEASE` seconds after the last renewal. Whoever waits prints once which process holds the lock.

    `timeout` is in seconds; -1 waits without end. Raises filelock.Timeout if another process still holds the lock, and
    PermissionError, which names the folder or the lock's file, if this user may not write there.
    """
    _make_folder(path)
    file = path.parent / f".{path.name}.lock"
    if file.exists():
        with contextlib.suppress(OSError):
            file.chmod(ANYONE)
        if not _allowed(file, os.R_OK | os.W_OK):
            message = "another user's lock; its owner, or you while no process uses it, may delete it"
            raise PermissionError(errno.EACCES, message, str(file))
    held: BaseFileLock = FileLock(file, mode=ANYONE, fallback_to_soft=False)
    try:
        _acquire(held, timeout, file)
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise _of_file(error, file) from None
        held = SoftFileLease(file.with_suffix(".lease"), lease_duration=LEASE)
        _acquire(held, timeout, file)
    try:
        yield
    finally:
        held.release()


def _acquire(held: BaseFileLock, timeout: float, file: Path) -> None:
    """Acquire it, and write into `file` who holds it since when, which is printed for a process that has to wait."""
    try:
        held.acquire(timeout=0)
    except Timeout:
        if timeout == 0:
            raise
        holder = file.read_text("utf-8", "replace") if file.exists() else ""
        over = f"{LEASE // 60} minutes after its last sign of life this run takes over; "
        text = f"waiting for {file.name}, held by {holder or 'another process'}; "
        text += over if isinstance(held, SoftFileLease) else ""
        tqdm.write(f"{text}if that process has ended, delete {held.lock_file}", file=sys.stdout)
        held.acquire(timeout=timeout)
    with contextlib.suppress(OSError), open(os.open(file, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as text:
        text.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")


def visible(folder: Path, pattern: str) -> list[Path]:
    """The files under `folder` that match a glob pattern, sorted; neither hidden ones (`._NAME`) nor broken links."""
    found = (folder / name for name in glob.glob(pattern, root_dir=folder, recursive=True))
    return sorted(path for path in found if path.is_file())


def file_hash(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def recipe_hash(recipe: dict) -> str:
    """Eight hexadecimal digits that identify a set of parameters, independent of their order."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]


def sampling(path: Path) -> np.random.Generator:
    """What a check recomputes of a file: the same for the same commit and content, so that nobody chooses it."""
    commit = provenance()["commit"].removesuffix("-dirty")
    return np.random.default_rng([int(file_hash(path), 16), *commit.encode()])


def provenance() -> dict[str, str]:
    """The commit of this checkout, with `-dirty` if `lib/` differs from it, and the versions of the libraries.

    It is that of the repository whose root is `ROOT`, even inside another one or with GIT_DIR set, or else "unknown".
    """
    git = ["git", "--git-dir", str(ROOT / ".git"), "--work-tree", str(ROOT), "--no-optional-locks"]
    try:
        commit, changes = (
            subprocess.check_output([*git, *arguments], stderr=subprocess.DEVNULL, encoding="utf-8", cwd=ROOT).strip()
            for arguments in (["rev-parse", "--verify", "HEAD"], ["status", "--porcelain", "--", "lib"])
        )
    except (FileNotFoundError, subprocess.CalledProcessError):  # no git, or an archive without a repository
        commit, changes = "unknown", ""
    return {"commit": f"{commit}-dirty" if changes else commit, **{name: version(name) for name in LIBRARIES}}
