"""Files on disk: damaged, hidden, another user's, in a repository that is not ours."""

import ast
import contextlib
import errno
import fcntl
import io
import os
import random
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock

import filelock
import numpy as np
import pytest
import torch
from conftest import start_python
from filelock import Timeout
from safetensors.numpy import save

from lib import networks
from lib.evaluation import results, sweep
from lib.evaluation.plan import Plan
from lib.report import figures
from lib.store import data, files
from lib.training import fit
from lib.training.recipe import Recipe

NOBODY = 65534
RECORD = {"recipe": {"noise": "none"}, "weights": "0123"}
ARRAYS = {
    "predicted": np.arange(60, dtype=np.uint8).reshape(3, 20),
    "probability": np.linspace(0, 1, 60, dtype=np.float16),
}


@contextlib.contextmanager
def a_second_user():
    """What is done here is done by a user who owns nothing; for a user who is not root it is that user still."""
    if os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@pytest.fixture
def shared():
    """A folder that every user can reach (pytest's own are for one alone)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def to_be_read(folder: Path) -> None:
    """Takes the right to write away from everyone, root excepted."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_as_written(path: Path) -> bool:
    """Whether a file reads as what was written; if not, the one clear error."""
    try:
        record, arrays = files.read_arrays(path)
    except ValueError as error:
        message = rf"damaged file {path} \(.*\); delete it and run the same command again"  # `.` is no new line
        assert re.fullmatch(message, str(error)), error
        return False
    assert record == RECORD and arrays.keys() == ARRAYS.keys()
    return all(arrays[name].dtype == ARRAYS[name].dtype and (arrays[name] == ARRAYS[name]).all() for name in ARRAYS)


DAMAGE = {  # of content at some place
    "a flipped bit": lambda content, at, chance: content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :],
    "cut short": lambda content, at, chance: content[:at],
    "a hole": lambda content, at, chance: content[:at] + content[at + 7 :],
    "zeros": lambda content, at, chance: content[:at] + bytes(len(content) - at),
    "other bytes": lambda content, at, chance: content[:at] + chance.randbytes(9) + content[at + 9 :],
    "text": lambda content, at, chance: b"version https://git-lfs.github.com/spec/v1\n",
    "an array alone": lambda content, at, chance: b"\x93NUMPY\x01\0" + content[:200],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_reads_as_it_was_written_or_is_reported_in_a_line(tmp_path, damage):
    path = tmp_path / "x.npz"
    files.write_arrays(path, RECORD, ARRAYS)
    assert is_as_written(path)
    whole, chance, read = path.read_bytes(), random.Random(damage), 0
    for _ in range(60):
        content = DAMAGE[damage](whole, chance.randrange(len(whole)), chance)
        path.write_bytes(content)
        if content != whole and not is_as_written(path):
            read += 1
    assert read > 40


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
RECORDS = ["fc", "[]", '{"recipe": "fc"}', '{"recipe": {"model": "fc"}}']


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"404: Not Found", POINTER, bytes(1000), save({"a": np.zeros(3)})),
        *(save({"a": np.zeros(3)}, {"record": record}) for record in RECORDS),
        save({"body.1.weight": np.zeros((2, 2))}, {"record": RECORDS[-1]}),
    ],
    ids=range(10),
)
def test_what_holds_no_weights_is_named_in_a_line(tmp_path, content):
    path = networks.weights_path("fc", 0, tmp_path)
    path.parent.mkdir()
    path.write_bytes(content)
    message = r"^no weights in [^\n]*fc-seed0\.safetensors \([^\n]*\); restore the file, or"
    with pytest.raises(ValueError, match=message):
        networks.load("fc", 0, tmp_path)


def test_weights_that_are_cut_short_or_of_another_network_are_named(tmp_path):
    path = networks.weights_path("fc", 0, tmp_path)
    networks.save_weights(networks.build("fc"), path, {"recipe": {"model": "fc"}})
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:5000], whole + b"\n"):
        path.write_bytes(content)
        for read in (lambda: networks.load("fc", 0, tmp_path), lambda: fit.train(Recipe(model="fc", outputs=tmp_path))):
            with pytest.raises(ValueError, match=r"^no weights in .*fc-seed0"):
                read()
    networks.save_weights(networks.build("cnn"), path, {"recipe": {"model": "fc"}})
    with pytest.raises(ValueError, match=r"^no weights in .*fc-seed0.*Missing key"):
        networks.load("fc", 0, tmp_path)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_kept(tmp_path):
    recipe = Recipe(model="fc@short", train_images=64, max_epochs=1, outputs=tmp_path)
    checkpoint = fit._checkpoint(recipe)
    checkpoint.parent.mkdir()
    for content in (b"", bytes(1000)):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=rf"^damaged checkpoint {checkpoint} \(\w+\); delete it, and the training"):
            fit.train(recipe)
        assert checkpoint.read_bytes() == content and not recipe.weights.exists()


def broken(file):
    file.write(b"new")
    raise RuntimeError("broken")


class Faulty(io.RawIOBase):
    """A file with room for 1,000 bytes."""

    def __init__(self, error: int):
        self.room, self.error = 1_000, error

    def write(self, content) -> int:
        self.room -= len(content)
        if self.room < 0:
            raise OSError(self.error, os.strerror(self.error))
        return len(content)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (broken, "^broken$"),
        (lambda _: Path("/dev/full").write_bytes(b"x"), r"the disk is full; free some space.*weights\.bin"),
        (lambda _: torch.save(torch.zeros(9_000), Faulty(errno.ENOSPC)), r"the disk is full; free .*weights\.bin"),
        (lambda _: Faulty(errno.EDQUOT).write(bytes(9_000)), r"the disk is full; free some space.*weights\.bin"),
        (lambda _: Faulty(errno.EIO).write(bytes(9_000)), r"error; give another folder .*-p outputs F.*weights\.bin"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file(tmp_path, write, message):
    path = tmp_path / "weights.bin"
    path.write_text("old")
    with pytest.raises((RuntimeError, OSError), match=message):
        files.write_atomically(path, write)
    assert [*tmp_path.iterdir()] == [path] and path.read_text() == "old"


def test_hidden_files_are_not_seen(tmp_path):
    for name in ("fc/b.npz", "fc/a.npz", "._x/c.npz", "fc/._a.npz", ".ipynb_checkpoints/d.npz", "fc/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Mac OS X")
    assert files.visible(tmp_path / "none", "*/*.npz") == []
    (tmp_path / "fc" / "folder.npz").mkdir()
    (tmp_path / "fc" / "nowhere.npz").symlink_to(tmp_path / "gone.npz")
    (tmp_path / "fc" / "z.npz").symlink_to(tmp_path / "fc" / "a.npz")
    found = files.visible(tmp_path, "*/*.npz")
    assert found == [tmp_path / "fc" / f"{name}.npz" for name in "abz"], "no folder, no link that leads nowhere"


def test_a_second_user_who_may_write_uses_the_first_ones_locks(shared):
    shared.chmod(0o777)
    path, old = shared / "accuracy.csv", shared / ".x.npz.lock"
    with files.lock(path):
        pass
    assert stat.S_IMODE((shared / ".accuracy.csv.lock").stat().st_mode) == 0o666
    with a_second_user(), files.lock(path, timeout=0):
        files.write_atomically(path, lambda file: file.write(b"second"))
    with files.lock(path, timeout=0):
        with a_second_user(), pytest.raises(Timeout), files.lock(path, timeout=0):
            pass
        files.write_atomically(path, lambda file: file.write(b"first"))
    with a_second_user():
        assert path.read_bytes() == b"first"
    old.touch(mode=0o644)  # the first user alone may open it, who mends that
    if os.geteuid() == 0:
        with a_second_user(), pytest.raises(PermissionError, match=r"another user's lock.*\.x\.npz\.lock"):
            files.lock(shared / "x.npz").__enter__()
    with files.lock(shared / "x.npz", timeout=0):
        pass
    with a_second_user(), files.lock(shared / "x.npz", timeout=0):
        pass


HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path
from lib.store import files
def flock(*_):
    raise OSError(getattr(errno, sys.argv[2]), "as on some network file systems")
if sys.argv[2] != "flock":
    fcntl.flock = flock
with files.lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


@pytest.mark.parametrize("missing", ["flock", "ENOSYS", "EOPNOTSUPP"])
def test_a_lock_names_its_holder_and_goes_with_it(tmp_path, monkeypatch, capsys, missing):
    path = tmp_path / "x.npz"

    def held(seconds: float) -> subprocess.Popen:
        process = start_python(HOLDER, path, missing, seconds)
        assert process.stdout and process.stdout.readline() == "held\n"
        return process

    if missing != "flock":
        monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(getattr(errno, missing), "missing")))
    process = held(2)
    with pytest.raises(Timeout), files.lock(path, timeout=0):
        pass
    with files.lock(path):
        assert process.wait() == 0
    (waiting,) = capsys.readouterr().out.splitlines()
    assert f"process {process.pid} on {socket.gethostname()} since 20" in waiting and f"delete {tmp_path}" in waiting
    assert ("5 minutes" in waiting) == (missing != "flock")

    process = held(60)
    process.kill()
    process.wait()
    with files.lock(path, timeout=5):
        assert capsys.readouterr().out == ""
    if missing != "flock":  # killed on another computer, which this one cannot ask
        monkeypatch.setattr(files, "LEASE", 1)
        lease = tmp_path / ".x.npz.lease"
        with filelock.SoftFileLease(tmp_path / ".other.lease", lease_duration=1) as other:
            left = Path(other.lock_file).read_text()
        lease.write_text(left.replace(socket.gethostname(), "another-computer"))
        with files.lock(path, timeout=60):
            assert "takes over" in capsys.readouterr().out


@pytest.mark.parametrize("error", [errno.EIO, errno.EDEADLK, errno.ESTALE, errno.EINVAL])
def test_another_error_of_flock_is_raised_with_the_file_and_what_to_do(tmp_path, monkeypatch, error):
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(error, os.strerror(error))))
    with (
        pytest.raises(OSError, match=rf"{os.strerror(error)}; give another folder .*\.x\.npz\.lock"),
        files.lock(tmp_path / "x.npz"),
    ):
        pass


def test_in_a_folder_as_tmp_each_user_replaces_what_is_his_own(shared, caplog):
    shared.chmod(0o1777)
    path, own = shared / "accuracy.csv", shared / "own.csv"
    files.write_atomically(path, lambda file: file.write(b"first"))
    if os.geteuid() == 0:
        with a_second_user():
            assert not files.may_write(path) and files.may_write(own)
            files.write_derived(path, lambda file: file.write(b"second"))
            files.write_atomically(own, lambda file: file.write(b"second"))
            assert files.may_write(own)
        assert path.read_bytes() == b"first" and len(caplog.messages) == 1
    files.write_atomically(path, lambda file: file.write(b"again"))
    assert path.read_bytes() == b"again"


def test_what_is_missing_or_may_not_be_read_is_not_called_damaged(shared, monkeypatch):
    monkeypatch.setattr(data, "DATA", shared)
    for path, error in ((shared / "x.npz", FileNotFoundError), (shared, IsADirectoryError)):
        with pytest.raises(error, match=path.name):
            files.read_arrays(path)
    weights = networks.weights_path("fc", 0, shared)
    networks.save_weights(networks.build("fc"), weights, {"recipe": {"model": "fc"}})
    digits = shared / "mnist" / "train-images-idx3-ubyte.gz"
    digits.parent.mkdir()
    shutil.copy(files.ROOT / "data" / "mnist" / digits.name, digits)
    for path, read in ((weights, lambda: networks.read_record(weights)), (digits, lambda: data.load())):
        path.chmod(0o600)
        if os.geteuid() == 0:
            with a_second_user(), pytest.raises(PermissionError, match=path.name):
                read()


def test_who_may_only_read_gets_an_error_and_leaves_nothing(shared, caplog):
    (shared / "outputs").mkdir()
    to_be_read(shared)
    for path in (shared / "x.npz", shared / "outputs" / "x.npz", shared / "not" / "yet" / "x.npz"):
        with a_second_user():
            assert not files.may_write(path)
            for attempt in (
                lambda path: files.lock(path).__enter__(),
                lambda path: files.write_atomically(path, lambda file: file.write(b"x")),
            ):
                with pytest.raises(PermissionError, match=f"no right to write .*'{path.parent}'"):
                    attempt(path)
            files.write_derived(path, lambda file: file.write(b"x"))
        assert len(caplog.messages) == 1 and caplog.messages[0].startswith(str(path))
        caplog.clear()
    assert not contents(shared)


def test_what_is_trained_and_swept_is_read_without_the_right_to_write(trained, shared):
    outputs = shared / "outputs"
    shutil.copytree(trained, outputs)
    recipe = Recipe(model="tiny:conv_net@quick", train_images=4000, max_epochs=2, learning_rate=0.05, outputs=outputs)
    plan = Plan(model=recipe.model, levels=[0, 20], images=100, outputs=outputs)
    sweep.sweep(plan)
    results.write_accuracy(outputs)
    for lock in outputs.rglob("*.lock"):
        lock.unlink()
    before = contents(outputs)
    to_be_read(shared)
    with a_second_user():
        assert fit.train(recipe)["recipe"] == recipe.recorded
        assert sweep.sweep(plan)["reused"] == 5
        assert results.write_accuracy(outputs).is_file()
        curves = results.curves(plan)
        figures.save(figures.noise_curves(curves, "", curves.iloc[:0]), "sweep", outputs)
        more = plan.model_copy(update={"levels": [0, 30]})
        with pytest.raises(PermissionError, match="no right to write in this folder"):
            sweep.sweep(more)
    assert contents(outputs) == before


KERNEL = """
import os, sys
import numba, numpy as np
sys.path.insert(0, sys.argv[1])
from lib import noise
numba.njit(lambda x: x + 1)(1)  # Numba whole, wherever Python lies
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
print(noise.__file__, noise.perturb(np.full((1, 28, 28), 255, np.uint8), "white_to_black", 5).sum())
"""


@pytest.mark.slow
def test_the_noise_is_compiled_where_nothing_may_be_written(shared):
    shutil.copytree(files.ROOT / "lib", shared / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    to_be_read(shared)
    environment = {**os.environ, "HOME": str(shared / "home"), "XDG_CACHE_HOME": str(shared / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", KERNEL, shared]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(shared / "lib" / "noise" / "__init__.py"), str((784 - 5) * 255)]
    assert not list(shared.rglob("__pycache__"))


GIT = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "safe.directory=*"]


def commit(folder: Path) -> str:
    """The new commit of a repository with all that lies in the folder."""
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*GIT, *arguments], cwd=folder, check=True)
    return subprocess.check_output([*GIT, "rev-parse", "HEAD"], cwd=folder, text=True).strip()


def test_a_checkout_has_unix_line_endings_and_untouched_binaries_whatever_autocrlf_says(tmp_path):
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    for name in (".gitattributes", "workflow/execute", "notebooks/sweep.ipynb", "data/mnist/t10k-labels-idx1-ubyte.gz"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files.ROOT / name, source / name)
    (source / "x.npz").write_bytes(b"a\r\nb\n")
    commit(source)
    subprocess.run([*GIT, "-c", "core.autocrlf=true", "clone", "-q", str(source), str(clone)], check=True)
    for path in source.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            assert (clone / path.relative_to(source)).read_bytes() == path.read_bytes()


UNKNOWN_USER = """
import pwd
def unknown(_):
    raise KeyError
pwd.getpwuid = unknown
import lib, openvino
from pathlib import Path
print(Path.home())
"""


def test_a_user_unknown_to_the_system_needs_no_home_folder():
    """As in many containers."""
    own = {name: value for name, value in os.environ.items() if name != "HOME"}
    run = subprocess.run([sys.executable, "-c", UNKNOWN_USER], env=own, capture_output=True, text=True, cwd=files.ROOT)
    assert run.stdout == "/nonexistent\n", run.stderr


def test_no_text_is_read_in_the_encoding_of_the_readers_locale():
    sources = [path for folder in ("lib", "workflow", ".ci") for path in (files.ROOT / folder).rglob("*.py")]
    for path in [*sources, files.ROOT / "workflow" / "execute"]:
        for call in (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)):
            given = {keyword.arg for keyword in call.keywords} | {getattr(word, "value", "") for word in call.args}
            called = ast.unparse(call.func)
            bare = called.startswith("subprocess.") and given & {"text", "universal_newlines"}
            assert not bare, f"{path}:{call.lineno}"
            if called == "open" or called.endswith(("read_text", "write_text")):
                assert given & {"encoding", "utf-8", "rb", "wb"}, f"{path}:{call.lineno}"


def test_provenance_counts_no_repository_but_this_checkout(tmp_path, monkeypatch):
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    (inner / "lib").mkdir(parents=True)
    (inner / "lib" / "x.py").write_text("x = 1\n")
    around = commit(outer)

    def found(root: Path = inner) -> str:
        """Also where the environment names another repository, as in a hook."""
        monkeypatch.setattr(files, "ROOT", root)
        commits = {files.provenance()["commit"]}
        with monkeypatch.context() as hook:
            hook.setenv("GIT_DIR", str(outer / ".git"))
            (same,) = commits | {files.provenance()["commit"]}
        return same

    assert found() == "unknown", "an archive, though the repository around it holds its files"
    subprocess.run([*GIT, "init", "-q"], cwd=inner, check=True)
    assert found() == "unknown", "a repository without a commit"
    own = commit(inner)
    assert own != around and found() == own
    (inner / "README.md").write_text("x")
    assert found() == own
    (inner / "lib" / "x.py").write_text("x = 2\n")
    assert found() == f"{own}-dirty"
    worktree = tmp_path / "worktree"
    subprocess.run([*GIT, "worktree", "add", "-q", "--detach", str(worktree)], cwd=inner, check=True)
    assert found(worktree) == own


def test_provenance_is_read_by_a_second_user(shared, monkeypatch):
    (shared / "lib").mkdir()
    own = commit(shared)
    monkeypatch.setattr(files, "ROOT", shared)
    monkeypatch.setenv("HOME", str(shared))
    to_be_read(shared)
    with a_second_user():
        assert files.provenance()["commit"] == own
