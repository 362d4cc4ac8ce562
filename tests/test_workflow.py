"""The workflow on a network that trains in seconds, in a copy of the project: killed, continued, and run once more."""

import contextlib
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import yaml
from conftest import texts
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib import paper
from lib.evaluation.sweep import Predictions
from lib.experiments.declaration import WHOLE, packaged
from lib.store.files import OUTPUTS, ROOT

SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", "Snakefile"]
WORKFLOW = """
seeds: [0]
networks:
  tiny:conv_net@quick: {draws: 1, recipe: {train_images: 500, max_epochs: 1}}
"""
STEM = "tiny-conv_net@quick-seed0"
NOTEBOOKS = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy without results, with one tiny network to measure."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("lib", "notebooks", "workflow", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copy(ROOT / "tests" / "tiny.py", folder)
    (folder / "params").mkdir()
    (folder / "params" / "workflow.yaml").write_text(WORKFLOW)
    return folder


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder)}


def snakemake(folder: Path, *arguments: str) -> str:
    """What Snakemake prints; it must succeed."""
    command = [*SNAKEMAKE, *arguments]
    run = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def begun(folder: Path, *arguments: str, log: Any) -> subprocess.Popen:
    """Snakemake in a session of its own, which can be killed."""
    options: dict = {"cwd": folder, "env": environment(folder), "stdout": log, "stderr": log}
    return subprocess.Popen([*SNAKEMAKE, *arguments], start_new_session=True, **options)


def parts(folder: Path) -> dict[Path, int]:
    """The recorded predictions, and which files they are."""
    return {path: path.stat().st_ino for path in (folder / "outputs" / "predictions" / STEM).glob("*.npz")}


def jobs(printed: str) -> dict[str, int]:
    """Rule -> number of jobs, from the table that Snakemake prints; empty where nothing was to do."""
    table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", printed, re.M)
    counts = dict(line.split() for line in table[1].splitlines()) if table else {}
    return {rule: int(count) for rule, count in counts.items() if rule not in ("all", "measured", "total")}


RUN = ("--cores", "2", "--rerun-incomplete", "--keep-incomplete", "--nolock", "measured")


@pytest.fixture(scope="module")
def measured(project) -> Path:
    """The copy with all its steps done."""
    snakemake(project, *RUN)
    return project


@pytest.mark.evidence
def test_killed_continued_and_then_nothing_is_left_to_do(project):
    process = begun(project, *RUN, log=subprocess.DEVNULL)
    while process.poll() is None and len(parts(project)) < 2:
        time.sleep(0.2)
    assert process.poll() is None, "it was to be killed halfway"
    started = psutil.Process(process.pid).children(recursive=True)  # kernels lead sessions of their own
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for child in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()  # by its id, unless that is another process by now
    psutil.wait_procs(started)
    before = parts(project)
    snakemake(project, *RUN)
    assert len(parts(project)) == 5  # none, and four noises
    assert before.items() <= parts(project).items(), "finished parts stay the very files they were"
    assert jobs(snakemake(project, *RUN)) == {}


@pytest.mark.evidence
def test_a_lost_part_is_recomputed_alone(measured):
    lost = next((measured / "outputs" / "predictions" / STEM).glob("black_to_white-draw0-*.npz"))
    kept = Predictions.read(lost)
    lost.unlink()
    assert jobs(snakemake(measured, *RUN)) == {"predict": 1, "sweep": 1}
    again = Predictions.read(lost)
    assert (again.predicted == kept.predicted).all() and (again.attacked == kept.attacked).all()
    assert not list((measured / "outputs" / "figures").glob(f"sweep-{STEM}-*")), "figures of single parts"


@pytest.mark.evidence
def test_after_a_clone_what_is_recorded_is_recognised(measured, tmp_path):
    """File times then mean nothing, and Snakemake's own notes are gone."""
    clone = tmp_path / "clone"
    shutil.copytree(measured, clone, ignore=shutil.ignore_patterns(".snakemake", "logs", "__pycache__"))
    for number, path in enumerate(sorted(clone.rglob("*"), key=lambda path: path.name[::-1])):
        os.utime(path, (1e9 + number, 1e9 + number))
    weights = clone / "outputs" / "weights" / f"{STEM}.safetensors"
    trained = weights.read_bytes()
    predicted = {path: path.read_bytes() for path in clone.glob("outputs/predictions/*/*.npz")}
    assert "predict" not in jobs(snakemake(clone, *RUN))
    assert weights.read_bytes() == trained
    assert all(path.read_bytes() == content for path, content in predicted.items())
    assert jobs(snakemake(clone, *RUN)) == {}


@pytest.mark.evidence
def test_a_change_of_the_library_runs_the_notebooks_anew_and_keeps_what_is_recorded(measured):
    figures = measured / "lib" / "report" / "figures.py"
    before = figures.read_text()
    figures.touch()
    assert jobs(snakemake(measured, *RUN, "--dry-run")) == {}, "the content is as it was"
    figures.write_text(before + "\n# a remark\n")
    assert jobs(snakemake(measured, *RUN, "--dry-run")) == {"train": 1, "sweep": 1}
    figures.write_text(before)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["slurm", "kubernetes"])
def test_a_cluster_would_run_every_part_apart(project, profile, tmp_path):
    storage = ("--default-storage-prefix", str(tmp_path)) if profile == "kubernetes" else ()
    printed = snakemake(project, "--profile", f"workflow/{profile}", *storage, "--dry-run", "--forceall")
    once = NOTEBOOKS - {"train", "sweep", "attacks"} | {"accuracy"}
    assert jobs(printed) == {"train": 1, "predict": 5, "sweep": 1} | dict.fromkeys(once, 1)
    assert "gpu" not in printed, "unless the configuration asks for one"


@pytest.mark.slow
def test_a_graphics_card_is_a_resource_of_trainings_and_evaluations(project):
    printed = snakemake(project, "--profile", "workflow/gpu", "--dry-run", "--forceall")
    asking = {job.split(":")[0] for job in described(printed) if re.search(r"resources: .*gpu=1", job)}
    assert asking == {
        f"rule {name}" for name in ("train", "predict", "noise", "confidence", "normalisation", "experiment")
    }


@pytest.fixture(scope="module")
def whole() -> str:
    """What Snakemake would do here if nothing were recorded."""
    return snakemake(ROOT, "--dry-run", "--forceall", "--cores", "2", "--nolock")


@pytest.mark.slow
def test_the_paper_asks_for_every_network_attack_and_reading(whole):
    asked = yaml.safe_load((ROOT / "params" / "workflow.yaml").read_text())
    networks, attacked = asked["networks"], [own for own in asked["networks"].values() if own.get("attacks")]
    assert {*paper.NETWORKS} < {*networks} and len(attacked) == 4
    found = jobs(whole)
    assert found["train"] == found["sweep"] == len(networks)
    assert found["predict"] == sum(1 + 4 * own.get("draws", 1) for own in networks.values())
    assert {rule for rule in found if rule.startswith("attacks_")} == {f"attacks_{number}" for number in range(4)}
    declared = sum(len(list(each.trainings())) for each in packaged().values())
    once = sum(rule.startswith("experiment_") for rule in found)
    assert 150 < once < declared, "what two experiments share comes once"
    assert found["readings"] == 1


def files(job: str, kind: str) -> set[str]:
    """The `input` or `output` of a job, as Snakemake prints it."""
    line = re.search(rf"^    {kind}: (.*)$", job, re.M)
    return {name.removesuffix(" (update)") for name in line[1].split(", ")} if line else set()


def described(printed: str) -> list[str]:
    """Each job, as Snakemake prints it."""
    return re.split(r"\n(?=(?:local)?rule )", printed.replace("localrule ", "rule "))


@pytest.mark.slow
def test_every_recorded_file_has_a_rule_and_comparisons_rest_on_all_predictions(whole):
    kinds = (".npz", ".json", ".csv", ".ipynb", ".html", ".png", ".svg")
    recorded = {path for path in OUTPUTS.rglob("*") if path.suffix in kinds}
    recorded |= set(OUTPUTS.glob("weights/*-seed0.safetensors"))
    recorded -= {path for path in recorded if "logs" in path.parts or path.name == "audit.csv"}
    twice = [part for own in packaged().values() for recipe in own.trainings() for part in own.parts(recipe)]
    recorded -= {part.path for part in twice if part.path != part.on(WHOLE).path and part.on(WHOLE).path.is_file()}
    names = {str(path.relative_to(ROOT)) for path in recorded}
    assert names <= {name for job in described(whole) for name in files(job, "output")}
    predictions = {name for name in names if re.match(r"outputs/(predictions|readings)/.*npz$", name)}
    compared = [job for job in described(whole) if re.match(r"rule (architectures|depth|curves|claims|paper):", job)]
    assert len(compared) == 5 and all(predictions <= files(job, "input") for job in compared)


@pytest.mark.slow
def test_from_nothing_the_whole_paper_in_small(tmp_path):
    """All rules and all notebooks, in a copy of the project without results; then nothing is left to do."""
    folder = tmp_path / "small"
    command = [sys.executable, str(ROOT / "workflow" / "quick"), str(folder), "--cores", "2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-5000:]
    assert re.search(r"To be made: \d+ trainings, .* hours", run.stderr)
    executed = list(folder.glob("outputs/**/*.ipynb"))  # of notebooks by their own names, or in folders of these
    assert {path.stem for path in executed} | {path.parent.name for path in executed} >= NOTEBOOKS
    page = (folder / "outputs" / "paper.html").read_text()
    assert page.count("<table") > 10 and page.count("<img") > 3
    again = subprocess.run([*command, "--dry-run"], capture_output=True, text=True)
    assert again.returncode == 0 and jobs(again.stdout + again.stderr) == {}


def test_differences_between_results_verdicts_first(tmp_path):
    head = "<table><thead><tr><th></th><th>points</th><th>verdict</th></tr></thead>"
    table = head + "<tr><th>depth</th><td>{}</td><td>{}</td></tr></table>"
    rows = "model,noise,attacks,images,correct,pixels_altered\nfc,none,0,2000,{},0\n"
    values = {
        "old": ("+0.5\xa0(-4.3\xa0to\xa0+5.3)", "undecided", 1950),
        "new": ("+7.5\xa0(-1.0\xa0to\xa0+9.0)", "higher", 1945),
    }
    for folder, (points, verdict, correct) in values.items():
        (tmp_path / folder).mkdir()
        shown = new_output("execute_result", {"text/html": table.format(points, verdict)})
        cell = new_code_cell(id="a", outputs=[shown])
        nbformat.write(new_notebook(cells=[cell]), tmp_path / folder / "depth.ipynb")
        (tmp_path / folder / "accuracy.csv").write_text(rows.format(correct))
    command = [sys.executable, str(ROOT / "workflow" / "compare"), str(tmp_path / "old"), str(tmp_path / "new")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[0] for line in printed[3:]] == ["verdict", "outside its interval", "within its interval"]
    assert printed[3].split("\t")[3:5] == ["undecided", "higher"] and float(printed[4].split("\t")[5]) == 7
    assert "fc none 0 2000" in printed[5] and float(printed[5].split("\t")[5]) == -0.25


@pytest.mark.slow
def test_a_training_that_is_not_asked_for_has_no_rule(project):
    """Its predictions may be recorded: without its weights nobody could check or complete them."""
    command = [*SNAKEMAKE, "--dry-run", "--cores", "1", "--nolock", "outputs/sweep/fc-seed7.ipynb"]
    run = subprocess.run(command, cwd=project, env=environment(project), capture_output=True, text=True)
    assert run.returncode != 0 and "MissingRuleException" in run.stdout + run.stderr


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A Makefile beside an environment that it takes for installed."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=folder, check=True)
    (folder / ".venv" / ".ready").touch()
    return folder


def make(folder: Path, *arguments: str) -> str:
    """What make would do."""
    return subprocess.run(["make", "-n", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_an_environment_made_in_another_folder_or_without_its_python_is_made_anew(checkout):
    anew = "-m venv --clear .venv\n"
    assert "venv " not in make(checkout, "lint")
    copied = shutil.copytree(checkout, checkout.with_name("copied"), symlinks=True)
    assert anew in make(copied, "lint") and anew not in make(checkout, "lint")
    moved = checkout.rename(checkout.with_name("moved"))
    assert anew in make(moved, "lint")
    moved.rename(checkout)
    assert anew not in make(checkout, "lint")
    python = (checkout / ".venv" / "bin" / "python").resolve()
    for link in (checkout / ".venv" / "bin").glob("python*"):
        link.unlink()
    assert anew in make(checkout, "lint"), "such as after an upgrade of the system"
    (checkout / ".venv" / "bin" / "python").symlink_to(python)
    assert anew not in make(checkout, "lint")
    (checkout / ".venv" / "bin" / "activate").unlink()
    assert anew in make(checkout, "lint"), "interrupted while it was made"
    shutil.rmtree(checkout / ".venv")
    assert "-m venv  .venv\n" in make(checkout, "lint")


def test_what_make_does_not_know_is_told(checkout):
    choices = "choose from PYTHON MODEL SEED EXPERIMENT ARGS WEIGHTS OLD NEW"
    for arguments, told in {
        ("sweep", "MODLE=resnet18"): f"unknown: MODLE; {choices}",
        ("sweep", "seed=3"): f"unknown: seed; {choices}",
        ("sweep", "MODEL="): "MODEL must not be empty",
        ("sweep", "SEED= "): "SEED must not be empty",
        ("swep",): "unknown: swep; these there are:\nmake ",
    }.items():
        run = subprocess.run(["make", *arguments], cwd=checkout, capture_output=True, text=True)
        assert run.returncode and told in run.stderr
    assert "-p c=2" in make(checkout, "sweep", "ARGS=-p images 5 -p c=2", "MODEL=timm:a@b-=1"), "an = in a value"


EXECUTED = sorted(NOTEBOOKS - {"paper", "explore"} | {"stills"})  # each by a target of its own


def test_arguments_reach_the_program_and_a_run_with_them_is_told_to_be_beside_what_is_recorded(checkout):
    others = ("lab", "explore", "app", "paper", "check")
    assert make(checkout, *others, "ARGS=--of-ones-own 1").count("--of-ones-own 1") == len(others)
    assert " -- " not in make(checkout, *EXECUTED, "MODEL=resnet18")
    assert make(checkout, *EXECUTED, "ARGS=-p images 50").count(" -- -p images 50 ") == len(EXECUTED)


def test_runs_with_other_parameters_have_other_names():
    beside = runpy.run_path(str(ROOT / "workflow" / "execute"))["beside"]
    recorded = Path("sweep", "fc@none-seed0.ipynb")
    assert beside(recorded, ["-p", "images", "200"]) == Path("sweep", "fc@none-seed0-images-200.ipynb")
    given = ["-p c 2.5", "-p c 25", "-p outputs /a", "-p outputs a", "-y {c:1}", "-y {c:[1]}", "-p outputs ../x"]
    given += [f"-p levels [{'0,' * 100}{last}]" for last in (1, 2)]
    names = {beside(recorded, further.split()) for further in given}
    assert len(names) == len(given) and recorded not in names
    assert all(path.parent == recorded.parent and len(path.name) < 120 for path in names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "200"], "No such option '--images'"),
        (["-p", "images"], "Option '-p' requires 2 arguments."),
        (["-p"], "Option '-p' requires 2 arguments."),
        (["train_seed", "0"], "Got unexpected extra arguments (train_seed 0)"),
        (["-f", "nofile.yaml"], "No such file or directory: 'nofile.yaml'"),
    ],
)
def test_a_wrong_option_is_told_without_a_traceback(tmp_path, options, message):
    run = runpy.run_path(str(ROOT / "workflow" / "execute"))["run"]
    with pytest.raises(SystemExit, match=re.escape(message)) as told:
        run(ROOT / "notebooks" / "sweep.ipynb", tmp_path / "log.ipynb", options)
    assert str(told.value).count("\n") == 1 and not list(tmp_path.iterdir())


def notebook(folder: Path, name: str, *cells: dict) -> list[str]:
    """A notebook of one's own in `folder`, and what executes it."""
    source = new_notebook(cells=[new_markdown_cell("# How long?"), *cells])
    source.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "notebooks").mkdir()
    nbformat.write(source, folder / "notebooks" / f"{name}.ipynb")
    return [sys.executable, str(ROOT / "workflow" / "execute"), name, "logs/fc.ipynb", f"{name}/fc.ipynb"]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["killed kernel", "SIGINT", "SIGTERM"])
def test_a_run_that_does_not_finish_ends_in_one_line(tmp_path, end):
    code = "import os, time\nprint('begun', flush=True)\n"
    code += "time.sleep(2)\nos.kill(os.getpid(), 9)" if end == "killed kernel" else "time.sleep(60)"
    command = notebook(tmp_path, "long", new_code_cell(code))
    options: dict = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    heeding = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
    run = subprocess.Popen(command, cwd=tmp_path, preexec_fn=heeding, **options)
    while run.stdout and (line := run.stdout.readline()) and "begun" not in line:
        pass
    if end != "killed kernel":
        run.send_signal(getattr(signal, end))
    (told,) = filter(None, run.communicate()[0].splitlines())
    assert "are kept" in told and "same command again" in told
    assert run.returncode == (1 if end == "killed kernel" else 130) and not [*tmp_path.glob("long/*.ipynb")]


@pytest.mark.slow
def test_a_run_with_other_parameters_overwrites_nothing(tmp_path):
    """What make runs, on a notebook of two cells."""
    first = new_code_cell("images = 100", metadata={"tags": ["parameters"]})
    command = notebook(tmp_path, "few", first, new_code_cell("print(images)"))

    def execute(*options: str) -> str:
        return subprocess.run([*command, *options], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert "Executed notebook: few/fc.ipynb\n" in execute()
    recorded = {path: path.read_bytes() for path in tmp_path.rglob("fc.ipynb")}
    assert len(recorded) == 2 and all(b"100" in content for content in recorded.values())
    assert "Executed notebook: few/fc-images-200.ipynb\n" in execute("--", "-p", "images", "200")
    assert recorded == {path: path.read_bytes() for path in recorded}
    assert texts(tmp_path / "few" / "fc-images-200.ipynb").strip() == "200"
    execute("-p", "images", "300")
    assert texts(tmp_path / "few" / "fc.ipynb").strip() == "300", "the workflow's own parameters"


def test_root_is_told_how_to_open_jupyterlab(checkout):
    told = "ARGS=--allow-root"
    for target in ("lab", "explore"):
        assert told in make(checkout, target)
        assert told not in make(checkout, target, told) and "--allow-root\n" in make(checkout, target, told)
        if os.geteuid() == 0:
            run = subprocess.run(["make", target], cwd=checkout, capture_output=True, text=True)
            assert run.returncode != 0 and told in run.stderr


def test_a_folder_named_lib_where_one_works_hides_nothing(tmp_path):
    """As on most machines in /, from which a kernel looks for modules in its own folder first."""
    (tmp_path / "lib").mkdir()
    code = "from lib import networks; from lib.store import parameters; print(networks)"
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=own, capture_output=True, text=True)
    assert str(ROOT / "lib" / "networks") in run.stdout, run.stderr
