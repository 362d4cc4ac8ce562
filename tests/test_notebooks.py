import ast
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import run_cells, run_papermill, texts
from pydantic import BaseModel
from worlds import pretend_all

from lib.adversarial.runs import AttackPlan
from lib.evaluation.plan import Plan
from lib.experiments.confidence import Confidence
from lib.experiments.declaration import Asked
from lib.experiments.measure import Compared, Measured, Varied
from lib.explorer.one_digit import Opening
from lib.paper import NETWORKS
from lib.store import parameters
from lib.store.files import OUTPUTS, ROOT
from lib.training.fit import train
from lib.training.recipe import Recipe

COMPARISONS = ("architectures", "depth", "curves", "claims", "paper")
KINDS: dict[str, type[BaseModel]] = {
    "noise": parameters.Gallery,
    "explore": Opening,
    "train": Recipe,
    "sweep": Plan,
    "attacks": AttackPlan,
    "confidence": Confidence,
    "experiment": Asked,
    **dict.fromkeys(COMPARISONS[:-1], Compared),
    **dict.fromkeys(("components", "resolution"), Varied),
    **dict.fromkeys(("readings", "complexity", "normalisation", "paper"), Measured),
}
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTE = runpy.run_path(str(ROOT / "workflow" / "execute"))
EXECUTED = sorted(path for path in OUTPUTS.glob("**/*.ipynb") if "logs" not in path.parts)


def cells(path, kind="code"):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source_of(executed: Path) -> Path:
    """Of `noise.ipynb`, of `noise-images-50.ipynb` with further parameters, of `sweep/fc-seed0.ipynb`."""
    name = executed.parent.name if executed.parent != OUTPUTS else executed.stem.partition("-")[0]
    return ROOT / "notebooks" / f"{name}.ipynb"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sources_hold_no_outputs_and_have_the_parameters_and_defaults_of_lib(path):
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells(path))
    tagged = [cell["source"] for cell in cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    (source,), fields, variables = map("".join, tagged), KINDS[path.stem].model_fields, {}
    assert {*re.findall(r"^(\w+): .*# ", source, re.M)} == fields.keys(), "one line each, with a comment"
    exec(source, variables)
    for name, field in fields.items():
        assert field.is_required() or str(variables[name]) == str(field.get_default()), name
    # A run with other parameters leaves the usual figures alone.
    tree = ast.parse("\n".join("".join(cell["source"]).replace("%matplotlib", "# ") for cell in cells(path)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [call.args[1] for call in calls if ast.unparse(call.func) == "figures.save"]
    assert not any(isinstance(name, ast.Constant) for name in names) or fields.keys() <= {"outputs", "recompute"}


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: str(path.relative_to(OUTPUTS)))
def test_executed_notebooks_are_whole_of_this_source_and_in_normal_form(path):
    code = [cell for cell in cells(path) if "injected-parameters" not in cell["metadata"].get("tags", [])]
    counts = [cell["execution_count"] for cell in cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])
    assert [cell["source"] for cell in code] == [cell["source"] for cell in cells(source_of(path))]
    assert not re.search(r"/(home|root|work|tmp|Users)/", path.read_text()), "a path of the machine that ran it"
    notebook = json.loads(path.read_text())
    assert EXECUTE["normal_form"](notebook) == notebook
    assert notebook["metadata"].keys() <= {"kernelspec", "language_info"}
    assert all(cell["metadata"].keys() <= {"tags"} for cell in notebook["cells"])
    ids = {cell["id"] for cell in json.loads(source_of(path).read_text())["cells"]} | {"injected-parameters"}
    assert {cell["id"] for cell in notebook["cells"]} <= ids


def a_run(number: int) -> dict:
    """What papermill and nbclient leave of one notebook; `number` stands for all that differs from run to run."""

    def random(what: str) -> str:
        return hashlib.md5(f"{what} {number}".encode()).hexdigest()

    times = {"start_time": f"2026-01-0{number}T12:00:00", "duration": number / 7, "output_path": f"/{number}/a.ipynb"}
    view = {EXECUTE["VIEW"]: {"model_id": random("box")}, "text/plain": f"<Box object at 0x{random('place')[:12]}>"}
    bar = f"fc epoch 1: 100%|####| 40/40 [00:0{number}<00:00, {number}.25s/images]\nloss 0.25 [1, 2]\n"
    cells = [
        nbformat.v4.new_code_cell("a = 1", id=random("cell")[:8], metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell("train()", id="b-1", outputs=[nbformat.v4.new_output("stream", text=bar)]),
        nbformat.v4.new_code_cell("box", id="b-2", outputs=[nbformat.v4.new_output("display_data", view)]),
    ]
    for cell in cells:
        cell["metadata"] |= {"papermill": times, "execution": {"iopub.status.busy": times["start_time"]}}
    metadata = {
        "language_info": {"name": "python", "version": f"3.11.{number}"},
        "papermill": times,
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {random("box"): {}}, "version_major": 2}},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def test_two_runs_that_find_the_same_have_one_normal_form():
    normal_form = EXECUTE["normal_form"]
    first, second = (normal_form(a_run(number)) for number in (1, 2))
    assert first == second == normal_form(first) != a_run(1)
    nbformat.validate(nbformat.from_dict(first))
    _, stream, box = first["cells"]
    assert stream["outputs"][0]["text"] == "fc epoch 1: 100%|####| 40/40\nloss 0.25 [1, 2]\n"
    assert box["outputs"][0]["data"] == {"text/plain": "<Box object>"}, "what stands for a widget where no kernel runs"
    assert "widgets" not in first["metadata"]


@pytest.mark.parametrize("name", ["sweep", "train", "attacks", "readings", "noise", *COMPARISONS[:-1]])
def test_each_command_ends_with_what_came_out(name):
    executed = [path for path in EXECUTED if name in (path.stem, path.parent.name)]
    assert executed
    for path in executed:
        shown = EXECUTE["results"](json.loads(path.read_text()))
        assert shown and all(shown) and not re.search(r"\*\*|object>", "".join(shown)), path
    title, time = EXECUTE["introduction"](json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())).splitlines()
    assert title.endswith("?") and re.match(r"Time.*(second|minute)", time)


PIP = """Processing /opt/wheels/torch-2.14.1-cp311-cp311-linux_x86_64.whl (from -r requirements.lock (line 1))
Collecting absl-py==2.3 (from -r requirements.lock (line 2))
  Downloading absl_py-2.3-py3-none-any.whl.metadata (3.3 kB)
  Downloading torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl (888.1 MB)
  Using cached small-1.0-py3-none-any.whl (1.4 MB)
Requirement already satisfied: tqdm==4.67 in ./.venv/lib (from -r requirements.lock (line 40))
Collecting zipp==4.1.2 (from -r requirements.lock (line 41))
Installing collected packages: absl-py, torch, zipp
"""


def test_installing_says_how_far_it_is():
    progress = runpy.run_path(str(ROOT / ".ci" / "install.py"))["progress"]
    told = list(progress(PIP.splitlines(), 41))
    assert told[:2] == ["  torch 2.14.1, 888.1 MB", "  90 % of the list"]
    assert told[2] == "  100 % of the list" and "unpacking" in told[3] and len(told) == 4


@pytest.mark.evidence
def test_the_first_command_shows_its_result_and_leaves_the_checkout_clean(tmp_path):
    """`make sweep` in a checkout of its own."""
    folder = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(".*", "docs", "logs", "checkpoints", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, folder, ignore=left_out)
    shutil.copy(ROOT / ".gitignore", folder)
    (folder / ".venv").symlink_to(sys.prefix)

    own = os.environ | {"PYTHONPATH": str(folder)}

    def run(*command: str) -> str:
        ran = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.compression=0")
    run(*git, "init", "--quiet")
    run(*git, "add", "--all", ":!.venv")
    run(*git, "commit", "--quiet", "--message", "as it came")
    printed = run("make", "--assume-old=.venv/.ready", "sweep")
    *_, table, executed, following = printed.strip().rsplit("\n", 3)
    assert table.startswith(("White to Black", "Black to White", "Edge to Altered", "Random Pixel Invert"))
    assert executed == "Executed notebook: outputs/sweep/fc-seed0.ipynb"
    assert following.startswith("Next: make explore")
    assert "Executing Cell" not in printed and "object>" not in printed
    assert run(*git, "status", "--porcelain", ":!.venv") == ""


def test_the_explorer_reads_well_without_a_kernel_and_without_network():
    """A figure stands before each viewer, and a line of text for it: saved widgets are drawn by scripts from afar."""
    shown = [output.get("data", {}) for cell in cells(OUTPUTS / "explore.ipynb") for output in cell["outputs"]]
    viewer = "turn its knobs with `make explore`"
    kinds = ["figure" if "image/png" in data else "viewer" if viewer in str(data) else "text" for data in shown]
    viewers = [place for place, kind in enumerate(kinds) if kind == "viewer"]
    assert len(viewers) == 4
    for before, viewer in zip([-1, *viewers], viewers, strict=False):
        assert "figure" in kinds[before + 1 : viewer]
    assert "widget" not in json.dumps([json.loads((OUTPUTS / "explore.ipynb").read_text())["metadata"], shown])


def quick_run(name: str, outputs: Path, *arguments: str) -> str:
    """What a notebook shows that ran with its quick parameters."""
    executed = outputs / f"{name}.ipynb"
    parameters = ("-f", f"params/quick/{name}.yaml", "-p", "outputs", outputs)
    run = run_papermill(f"notebooks/{name}.ipynb", executed, *parameters, *arguments)
    assert run.returncode == 0, run.stderr
    return texts(executed)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """train, then sweep with the quick parameters: the folder of results, with the executed notebooks."""
    outputs = tmp_path_factory.mktemp("quick")
    for name in ("train", "sweep"):
        quick_run(name, outputs)
    return outputs


@pytest.mark.slow
def test_training_shows_its_progress_and_what_it_reached(quick):
    shown = texts(quick / "train.ipynb")
    assert re.search(r"fc@quick epoch 1 of at most 1: 100%", shown)
    assert re.search(r"ended after 1 epoch at \*\*\d\d\.\d\d %\*\* of 5,000 validation images", shown)
    assert (quick / "weights" / "fc@quick-seed0.safetensors").is_file()


@pytest.mark.slow
def test_the_sweep_shows_curves_and_leaves_results(quick):
    shown = texts(quick / "sweep.ipynb")
    assert "17 parts computed" not in shown and "9 parts computed, 0 found recorded" in shown
    assert "200 test images correctly" in shown
    lines = (quick / "accuracy.csv").read_text().splitlines()
    assert len(lines) == 1 + 1 + 4 * 2 * 2
    assert len(list(quick.glob("figures/sweep-fc@quick-seed0-*.svg"))) == 1, "not named like a sweep of all images"


@pytest.mark.evidence
def test_the_attacks_show_table_2_and_leave_results(tmp_path):
    train(Recipe(**yaml.safe_load((ROOT / "params/quick/train.yaml").read_text()), outputs=tmp_path))
    shown = quick_run("attacks", tmp_path)
    assert "6 blocks computed, 0 found recorded" in shown
    assert "No sweep of fc@quick is recorded" in shown
    assert len(list(tmp_path.glob("attacks/fc@quick-seed0/*.npz"))) == 6
    assert len(list(tmp_path.glob("figures/attacks-*fc@quick-seed0-*.svg"))) == 2


@pytest.mark.slow
def test_a_sweep_from_the_notebooks_own_folder_to_standard_output(quick):
    """As in the README: standard output is no terminal, the notebook goes there and the results where they belong."""
    before = (quick / "accuracy.csv").read_bytes()
    given = ("-f", "../params/quick/sweep.yaml", "-p", "outputs", quick)
    run = run_papermill("sweep.ipynb", *given, folder=ROOT / "notebooks")
    assert run.returncode == 0, run.stderr
    assert "0 parts computed, 9 found recorded; 450 recorded predictions recomputed" in texts(run.stdout)
    assert (quick / "accuracy.csv").read_bytes() == before


@pytest.fixture(scope="module")
def pretended(tmp_path_factory):
    """A folder with sweeps of all eight networks, none of which exists, and with the figures of the paper."""
    outputs = tmp_path_factory.mktemp("all")
    shutil.copytree(OUTPUTS / "figures", outputs / "figures", ignore=shutil.ignore_patterns("*.svg"))
    pretend_all(outputs, NETWORKS)
    return outputs


@pytest.mark.evidence
@pytest.mark.parametrize("notebook", COMPARISONS)
def test_comparisons_run_with_what_is_recorded(pretended, tmp_path, notebook):
    executed, given = tmp_path / f"{notebook}.ipynb", ("-p", "images", 60, "-p", "outputs", pretended)
    if notebook in ("claims", "paper"):  # of networks that do not exist no attacks can be recorded
        with pytest.raises(FileNotFoundError, match="claim 12 needs attacks on resnet50"):
            run_cells(notebook, *given)
        return
    run = run_papermill(f"notebooks/{notebook}.ipynb", executed, *given)
    assert run.returncode == 0, run.stderr
    drawn = len(list(pretended.glob(f"figures/{notebook}*.svg")))
    assert drawn >= (2 if notebook in ("architectures", "depth", "curves") else 0)
    assert "nan" not in texts(executed).lower().split()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("few")
    pretend_all(outputs, ["fc", "resnet18"])
    return outputs


@pytest.mark.parametrize("notebook", COMPARISONS)
def test_comparisons_name_what_is_not_recorded(few, notebook):
    with pytest.raises(FileNotFoundError, match=r"recorded .*resnet50 \(make sweep MODEL=resnet50\)") as told:
        run_cells(notebook, "-p", "images", 60, "-p", "outputs", few)
    assert "MODEL=fc" not in str(told.value) and not (few / "figures").exists()


@pytest.mark.parametrize(
    ("notebook", "arguments", "message"),
    [
        ("sweep", ["-p", "model", "resnt50"], "unknown model 'resnt50'; choose from fc, resnet18"),
        ("sweep", ["-p", "draws", "-1"], "draws: Input should be greater than or equal to 1, not -1"),
        ("sweep", ["-p", "modle", "fc"], "unknown parameter 'modle'; did you mean 'model'"),
        ("sweep", ["-p", "model", "resnet34@none"], "make train MODEL=resnet34@none"),
        ("sweep", ["-p", "space", "32"], "space: Input should be 28 or 56, not 32"),
        ("readings", ["-p", "model", "fc"], "unknown parameter 'model'; choose from images, outputs"),
        ("train", ["-p", "learning_rate", "0.5"], "is not the paper's recipe"),
        ("explore", ["-p", "c", "11"], "c: Input should be less than or equal to 10, not 11"),
        ("explore", ["-p", "noise", "snow"], "unknown noise 'snow'; choose from random_pixel_invert"),
        ("architectures", ["-p", "images", "1"], "images: Input should be greater than or equal to 2, not 1"),
        ("paper", ["-y", "models: [fc, vgg19]"], "unknown parameter 'models'; choose from images, outputs"),
        ("depth", ["-y", "models: [vgg19]"], "'vgg19' is not a ResNet; choose from resnet18"),
        ("curves", [], "make sweep MODEL=fc"),
        ("attacks", ["-p", "model", "resnet34@none"], "make train MODEL=resnet34@none"),
        ("attacks", ["-y", "{steps: {deepfol: 5}}"], "unknown attack 'deepfol'; choose from deepfool, basic_iterative"),
        ("noise", ["-p", "attacks", "-5"], "attacks: Input should be greater than or equal to 0, not -5"),
    ],
)
def test_wrong_parameters_stop_at_once_and_write_nothing(tmp_path, notebook, arguments, message):
    outputs = tmp_path / "outputs"
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        run_cells(notebook, *arguments, "-p", "outputs", outputs)
    assert not outputs.exists()


@pytest.mark.evidence
def test_a_wrong_parameter_stops_papermill_and_writes_nothing(tmp_path):
    outputs = tmp_path / "outputs"
    run = run_papermill("notebooks/sweep.ipynb", "-p", "model", "resnt50", "-p", "outputs", outputs)
    assert run.returncode != 0 and "unknown model 'resnt50'; choose from fc, resnet18" in run.stderr
    assert not outputs.exists()


def test_the_papers_parameters_are_the_defaults():
    """params/paper says what the notebooks do anyway, five draws apart."""
    train, sweep = (yaml.safe_load((ROOT / f"params/paper/{name}.yaml").read_text()) for name in ("train", "sweep"))
    assert Recipe(model="resnet50", **train) == Recipe(model="resnet50")
    assert Plan(model="resnet50", **sweep) == Plan(model="resnet50", draws=5)


def test_make_says_in_a_line_that_python_is_too_old(tmp_path):
    source, script = (ROOT / ".ci" / "check_machine.py").read_text(), tmp_path / "check.py"
    for old, new, told in (
        ("(3, 11) <=", "(3, 98) <=", r"Python 3\.11, 3\.12 or 3\.13 is needed, .*\n"),
        ("GIGABYTES = 8", "GIGABYTES = 1e9", r"The environment needs .*\n"),
    ):
        script.write_text(source.replace(old, new))
        run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
        assert run.returncode == 1 and re.fullmatch(told, run.stderr)
