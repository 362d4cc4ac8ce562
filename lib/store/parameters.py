"""From a notebook's `parameters` cell to checked settings."""

import ast
import difflib
import importlib
import sys
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from lib.store.files import ROOT

Settings = TypeVar("Settings", bound=BaseModel)
INJECTED = "# Parameters"  # the first line of the cell that papermill adds


class Gallery(BaseModel):
    """The parameters of `noise.ipynb`, which has no job of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(1_000, ge=1, le=10_000)
    attacks: int = Field(20, ge=0)
    draw: int = Field(0, ge=0)
    outputs: Path = Path("outputs")  # from the repository's root


def check(kind: type[Settings], namespace: dict[str, Any]) -> Settings:
    """The settings of a notebook, from its variables (`globals()`).

    papermill leaves a misspelt name unnoticed and hands lists and lower-case true or false over as text; here the
    first stops the notebook and the second become what they say.

    Raises:
        ValueError: for an unknown name, or a value of the wrong type or out of its range; it lists what is allowed.
    """
    for name in _injected_names(namespace.get("In", [])):
        if name not in kind.model_fields:
            near = difflib.get_close_matches(name, kind.model_fields, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown parameter {name!r}; {hint}choose from {', '.join(kind.model_fields)}")
    values = {name: namespace[name] for name in kind.model_fields}
    for name, value in values.items():
        if isinstance(value, str) and kind.model_fields[name].annotation is not str:
            values[name] = yaml.safe_load(value)
    try:
        return kind(**values)
    except ValidationError as error:
        raise ValueError("; ".join(map(_told, error.errors()))) from None


def imported(reference: str) -> Any:
    """What `package.module:name` names; one's own module may lie beside README.md.

    Raises:
        ValueError: if there is no such module, or it has no such name.
    """
    module, _, name = reference.partition(":")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import {reference!r}: {error}") from None


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
