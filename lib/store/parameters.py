"""The check of a notebook's parameters: from its `parameters` cell to settings."""

import ast
import contextlib
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.store.files import ROOT, in_short, recipe_hash

Settings = TypeVar("Settings", bound=BaseModel)
INJECTED = "# Parameters\n"  # the first line of the cell that papermill adds before the check
PAPERMILL = "PAPERMILL_"  # how the names begin that papermill adds by itself with --inject-paths
PARAMETER = ("-p", "--parameters")  # papermill's options
LARGEST_SEED = 2**63 - 1  # of a training or a draw


class Gallery(BaseModel):
    """The parameters of `noise.ipynb`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(2_000, ge=1, le=10_000)
    attacks: int = Field(20, ge=0, le=28 * 28)
    draw: int = Field(0, ge=0, le=LARGEST_SEED)
    train_images: int = Field(55_000, ge=2, le=55_000)  # of each training with a noise
    outputs: Path = Path("outputs")  # from the repository's root
    recompute: bool = False


def check(kind: type[Settings], namespace: dict[str, Any]) -> Settings:
    """The settings of a notebook, from its variables (`globals()`), as they were typed on papermill's command line.

    papermill ignores a misspelt name, passes lists and lower-case true or false on as text, and converts any text that
    looks like a number. If a parameter is assigned later, each cell prints a reminder until it is checked. Raises
    ValueError, which lists what is allowed, for an unknown name, or a value of the wrong type or out of its range.
    """
    before = takewhile(lambda cell: "check(" not in cell, namespace.get("In", []))
    for name in [name for cell in before if cell.startswith(INJECTED) for name in _assigned(cell)]:
        if name not in kind.model_fields and not name.startswith(PAPERMILL):
            raise ValueError(f"unknown parameter {name!r}; {hint(name, kind.model_fields)}")
    if missing := [name for name in kind.model_fields if name not in namespace]:
        raise ValueError(f"no value for {', '.join(missing)}; run the cell that gives all parameters")
    readers, values = {str: _text, Path: _path}, {}
    for name, field in kind.model_fields.items():
        values[name] = readers.get(field.annotation, read)(name, namespace[name])
        if _has_truth(values[name]) and bool not in (field.annotation, *get_args(field.annotation)):
            raise ValueError(f"{name}: must be no truth value, not {values[name]!r}")
    try:
        settings = kind(**values)
    except ValidationError as error:
        raise ValueError(in_a_line(error)) from None
    _remind(namespace, {name: namespace[name] for name in kind.model_fields})
    return settings


def _remind(namespace: dict[str, Any], checked: dict[str, Any]) -> None:
    """Print a line before every cell that runs while one of the parameters is not as it was checked."""

    def before_cell(info: Any) -> None:
        changed = [name for name, value in checked.items() if repr(namespace.get(name)) != repr(value)]
        if changed and "check(" not in info.raw_cell and not _assigned(info.raw_cell) & checked.keys():
            print(f"Note: {', '.join(changed)} changed after the check; run the cell with parameters.check again")

    if shell := namespace.get("get_ipython", lambda: None)():
        for callback in shell.events.callbacks["pre_run_cell"][:]:
            if callback.__qualname__ == before_cell.__qualname__:
                shell.events.unregister("pre_run_cell", callback)
        shell.events.register("pre_run_cell", before_cell)


def _has_truth(value: Any) -> bool:
    """Whether a value is a bool, which would pass for 1 or 0, or a list that contains one."""
    return isinstance(value, bool) or (isinstance(value, list) and any(map(_has_truth, value)))


def _text(name: str, value: Any) -> Any:
    """Text as it was typed: after the last `-p NAME` of papermill, the kernel's parent, where papermill converts it."""
    import psutil

    if isinstance(value, str | Path):
        return value
    try:
        words = psutil.Process().parent().cmdline()
    except (psutil.Error, AttributeError):
        words = []
    typed = [words[i + 2] for i in range(len(words) - 2) if words[i] in PARAMETER and words[i + 1] == name]
    if not typed and type(value) is not int:
        raise ValueError(f"{name}: must be text, not {value!r}; put it in quotes")
    return typed[-1] if typed else str(value)


def _path(name: str, value: Any) -> Path:
    """A path as it was typed; a leading ~ is the home folder."""
    text = str(_text(name, value))
    if not text.strip():
        raise ValueError(f"{name}: must be a folder, not {text!r}")
    path = Path(os.path.expanduser(text))  # Path's own would also expand ./~
    if text.startswith("~") and path == Path(text):
        raise ValueError(f"{name}: there is no home folder {path.parts[0]!r}")
    nearest = next(folder for folder in (ROOT / path, *(ROOT / path).parents) if os.path.lexists(folder))
    if not nearest.is_dir():
        raise ValueError(f"{name}: must be a folder, but {nearest} is not one")
    return path


def read(name: str, value: Any) -> Any:
    """The value that text stands for where the parameter is not text itself; [..] and {..} are read as YAML."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return _plain(yaml.load(value, yaml.BaseLoader))
        except yaml.YAMLError as error:
            problem = " ".join(str(getattr(error, "problem", error)).split())
            raise ValueError(f"{name}: cannot read {value!r}: {problem}") from None
    return _plain(value)


def _plain(value: Any) -> Any:
    """Scalars as papermill reads them from the command line, and null."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    return None if value in ("None", "null", "~") else value


def each_once(names: list[str]) -> list[str]:
    """The names; raises ValueError if one of them is repeated."""
    if len(set(names)) < len(names):
        raise ValueError(f"each once, not {names}")
    return names


def named(stem: str, settings: BaseModel) -> str:
    """The name of a figure: `stem` for the default parameters, else with a hash of those that were changed."""
    chosen = settings.model_dump(mode="json", exclude={"outputs", "recompute"}, exclude_defaults=True)
    return f"{stem}-{recipe_hash(chosen)}" if chosen else stem


def imported(reference: str) -> Any:
    """The object `package.module:name`, also of a file beside README.md; ValueError in one line if it cannot be
    imported.
    """
    module, _, name = reference.partition(":")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    try:
        found = importlib.import_module(module)
        first = module.partition(".")[0]
        own, file = ROOT / f"{first}.py", getattr(sys.modules[first], "__file__", None)
        if own.is_file() and own != Path(file or "").resolve():  # it stands behind Python's own modules
            raise ImportError(f"{own} has the name of another module, {file or 'a built-in one'}; rename it")
        if not hasattr(found, name):
            raise AttributeError(f"{getattr(found, '__file__', None) or module} has no {name!r}")
        return getattr(found, name)
    except (Exception, SystemExit) as error:  # of anyone's code
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
        where = f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno}: {lines[-1].line})" if lines else ""
        raise ValueError(f"cannot import {reference!r}: {in_short(error)}{where}") from None


def hint(name: str, choices: Iterable[str]) -> str:
    """What may be meant by a name, and what is allowed: `did you mean 'plus'? choose from plus, minus`."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=1)
    return "".join(f"did you mean {each!r}? " for each in near) + f"choose from {', '.join(choices) or 'none'}"


def in_a_line(error: ValidationError, names: Mapping[str, Iterable[str]] = MappingProxyType({})) -> str:
    """One line for an error of pydantic; the messages of our own validators contain the value already.

    `names`: a field -> the names that are allowed within it, and "" -> those that are allowed in all others.
    """
    lines = []
    for problem in error.errors():
        where, text = [str(place) for place in problem["loc"]], problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            text = f"unknown; {hint(where[-1], names.get(where[0], names.get('', ())))}"
        elif problem["type"] != "value_error":
            text += f", not {problem['input']!r}"
        lines.append(": ".join([*filter(None, where), text]))
    return "; ".join(lines)


def _assigned(cell: str) -> set[str]:
    """The variables that a cell assigns; an empty set if it is not plain Python."""
    try:
        nodes = [*ast.walk(ast.parse(cell))]
    except SyntaxError:
        return set()
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
