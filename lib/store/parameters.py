"""From a notebook's `parameters` cell to checked settings."""

import ast
import contextlib
import difflib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from lib.store.files import ROOT, in_short, recipe_hash

Settings = TypeVar("Settings", bound=BaseModel)
INJECTED = "# Parameters"  # the first line of the cell that papermill adds
PARAMETER = ("-p", "--parameters")  # papermill's options
LARGEST_SEED = 2**63 - 1  # of a training or a draw


class Gallery(BaseModel):
    """The parameters of `noise.ipynb`, which has no job of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(2_000, ge=1, le=10_000)
    attacks: int = Field(20, ge=0, le=28 * 28)
    draw: int = Field(0, ge=0, le=LARGEST_SEED)
    train_images: int = Field(55_000, ge=2, le=55_000)  # of each training with a noise
    outputs: Path = Path("outputs")  # from the repository's root
    recompute: bool = False


def check(kind: type[Settings], namespace: dict[str, Any]) -> Settings:
    """The settings of a notebook, from its variables (`globals()`).

    papermill leaves a misspelt name unnoticed, hands lists and lower-case true or false over as text, and makes a
    number of any text that looks like one. Here the first stops the notebook, the second become what they say, and for
    a name or a path the text is taken as it was typed.

    Raises:
        ValueError: for an unknown name, or a value of the wrong type or out of its range; it lists what is allowed.
    """
    for name in _injected_names(namespace.get("In", [])):
        if name not in kind.model_fields:
            near = difflib.get_close_matches(name, kind.model_fields, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown parameter {name!r}; {hint}choose from {', '.join(kind.model_fields)}")
    readers = {str: _text, Path: _path}
    values = {
        name: readers.get(field.annotation, _read)(name, namespace[name]) for name, field in kind.model_fields.items()
    }
    for name, field in kind.model_fields.items():
        if _has_truth(values[name]) and bool not in (field.annotation, *get_args(field.annotation)):
            raise ValueError(f"{name}: must be no truth value, not {values[name]!r}")
    try:
        return kind(**values)
    except ValidationError as error:
        raise ValueError("; ".join(map(_told, error.errors()))) from None


def _has_truth(value: Any) -> bool:
    """Whether it is True or False, which would count as 1 or 0, or a list with one of them."""
    return isinstance(value, bool) or (isinstance(value, list) and any(map(_has_truth, value)))


def _text(name: str, value: Any) -> Any:
    """A name as it was typed: what papermill has made a number, a truth value or None is looked up where it stood."""
    if isinstance(value, str | Path):
        return value
    typed = _typed(name)
    if typed is not None:
        return typed
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{name}: must be text, not {value!r}; put it in quotes")


def _path(name: str, value: Any) -> Path:
    """A path as it was typed, with ~ for the home folder."""
    text = str(_text(name, value))
    if not text.strip():
        raise ValueError(f"{name}: must be a folder, not {text!r}")
    path = Path(os.path.expanduser(text))  # Path's own would also expand ./~
    if text.startswith("~") and path == Path(text):
        raise ValueError(f"{name}: there is no home folder {path.parts[0]!r}")
    nearest = next(folder for folder in (ROOT / path, *(ROOT / path).parents) if os.path.lexists(folder))
    if not nearest.is_dir():
        raise ValueError(f"{name}: must be a folder, but {nearest} is none")
    return path


def _read(name: str, value: Any) -> Any:
    """What text says where a number, a truth value, a list or the like is wanted: [..] and {..} are read as YAML."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return _plain(yaml.load(value, yaml.BaseLoader))
        except yaml.YAMLError as error:
            problem = " ".join(str(getattr(error, "problem", error)).split())
            raise ValueError(f"{name}: cannot read {value!r}: {problem}") from None
    return _plain(value)


def _plain(value: Any) -> Any:
    """Scalars as papermill reads those of the command line, and null."""
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


def _typed(name: str) -> str | None:
    """What stands behind the last `-p NAME` on the command line of papermill, which has started this kernel."""
    import psutil

    try:
        words = psutil.Process().parent().cmdline()
    except (psutil.Error, AttributeError):
        return None
    found = [words[i + 2] for i in range(len(words) - 2) if words[i] in PARAMETER and words[i + 1] == name]
    return found[-1] if found else None


def each_once(names: list[str]) -> list[str]:
    """Raises ValueError if one of them stands there twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"each once, not {names}")
    return names


def named(stem: str, settings: BaseModel) -> str:
    """The name of a figure: `stem` where the notebook's parameters are the usual ones, else one of their own."""
    chosen = settings.model_dump(mode="json", exclude={"outputs", "recompute"}, exclude_defaults=True)
    return f"{stem}-{recipe_hash(chosen)}" if chosen else stem


def imported(reference: str) -> Any:
    """What `package.module:name` names; one's own module may lie beside README.md.

    Raises:
        ValueError: if there is no such module, another module has its name, it cannot be imported, or it has no such
            name; a line.
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


def _told(problem: ErrorDetails) -> str:
    """One of pydantic's findings in a line; our own validators name what was given themselves."""
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if problem["type"] == "value_error" else f", not {problem['input']!r}"
    return ": ".join([*map(str, problem["loc"][:1]), message + given])


def _injected_names(cells: list[str]) -> set[str]:
    """The variables set in papermill's cell among the cells that have run."""
    injected = (ast.parse(cell) for cell in cells if cell.startswith(INJECTED))
    assignments = (node for tree in injected for node in ast.walk(tree) if isinstance(node, ast.Assign))
    return {target.id for node in assignments for target in node.targets if isinstance(target, ast.Name)}
