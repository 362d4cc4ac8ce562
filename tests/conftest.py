import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from papermill import cli
from papermill.translators import PythonTranslator

from lib.store.files import ROOT
from lib.training.fit import train
from lib.training.recipe import Recipe

for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "ARGS"):  # of a `make test` above
    os.environ.pop(name, None)

TESTS = Path(__file__).parent


def start_python(code: str, *arguments: object) -> subprocess.Popen:
    """Run code in a process of its own, which can be killed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_python(code: str, *arguments: object) -> tuple[int, str]:
    """The exit status of such a process (-9: killed), and what it printed."""
    process = start_python(code, *arguments)
    printed, _ = process.communicate()
    return process.returncode, printed


def run_papermill(*arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """papermill as a user types it, in `folder`, standard output redirected."""
    command = [str(Path(sys.executable).with_name("papermill")), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def papermill_parameters(*arguments: object) -> dict:
    """What papermill's command line makes of these arguments, without running the notebook."""
    with mock.patch("papermill.cli.execute_notebook") as execute:
        run = CliRunner().invoke(cli.papermill, [str(argument) for argument in arguments])
    assert run.exit_code == 0, run.output
    return execute.call_args.kwargs["parameters"]


def texts(notebook: Path | str) -> str:
    """All that an executed notebook shows as text."""
    content = json.loads(notebook.read_text() if isinstance(notebook, Path) else notebook)
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", [])]
    shown = [output.get("data", {}).get(kind, []) for output in outputs for kind in ("text/plain", "text/markdown")]
    return "\n".join("".join(lines) for lines in [*shown, *(output.get("text", []) for output in outputs)])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "trained" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A folder of results that holds a tiny trained network, `tiny:conv_net@quick`."""
    outputs = tmp_path_factory.mktemp("trained")
    train(Recipe(model="tiny:conv_net@quick", train_images=4000, max_epochs=2, learning_rate=0.05, outputs=outputs))
    return outputs


@pytest.fixture
def outputs(trained, tmp_path) -> Path:
    """Results of a test's own, with the tiny network's weights."""
    shutil.copytree(trained / "weights", tmp_path / "weights")
    return tmp_path


def run_cells(notebook: str, *arguments) -> dict:
    """The variables of a notebook whose cells ran in this process, papermill's own with these arguments among them."""
    given = PythonTranslator.codify(papermill_parameters(f"{notebook}.ipynb", *arguments))
    notebook_cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text())["cells"]
    first, *others = ["".join(cell["source"]) for cell in notebook_cells if cell["cell_type"] == "code"]
    variables = {"In": [first, given]}
    for source in [first, given, *others]:
        exec(source.replace("%matplotlib inline", ""), variables)
    return variables
