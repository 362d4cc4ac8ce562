"""The map of `lib/` holds: every room imports only what stands left of it, at the top of a module or within."""

import ast
import re

import pytest

import lib
from lib.store.files import ROOT


def rooms(text: str) -> list[str]:
    """The rooms of the map in a text, from left to right; `adversarial`, beside them, apart."""
    (line,) = re.findall(r"store ->.*", text)
    return line.split(" -> ")


ROOMS = rooms(lib.__doc__ or "")
ORDER = {room: float(place) for place, room in enumerate(["paper", *ROOMS])}
ORDER["adversarial"] = ORDER["statistics"] + 0.5
MODULES = sorted((ROOT / "lib").glob("*/*.py"))


def imported_rooms(source: str) -> set[str]:
    """The rooms, or modules of `lib/` itself, that a module's code imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "lib":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lib."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lib.")}
    return found


def test_the_map_names_every_room():
    folders = {path.parent.name for path in MODULES}
    assert folders == ORDER.keys() - {"paper"}
    assert rooms((ROOT / "CONTRIBUTING.md").read_text()) == ROOMS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_room_imports_only_what_stands_left_of_it(path):
    own = path.parent.name
    beyond = {room for room in imported_rooms(path.read_text()) - {own} if ORDER[room] >= ORDER[own]}
    assert not beyond, f"{own} reaches for {beyond}"
