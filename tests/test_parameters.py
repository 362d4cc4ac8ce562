import re
import subprocess
import symtable
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import papermill_parameters, run_python
from IPython.core.interactiveshell import InteractiveShell

from lib import networks
from lib.evaluation.plan import Plan
from lib.experiments.measure import Compared, Measured
from lib.explorer.one_digit import Opening
from lib.noise import perturb
from lib.store import data, parameters
from lib.store.files import ROOT
from lib.training.recipe import Recipe

GONE = object()  # a parameter whose line was deleted


def variables(kind, cell="", **change):
    """A notebook's variables after its parameters cell and papermill's."""
    defaults = {name: field.get_default() for name, field in kind.model_fields.items()}
    return defaults | {"model": "fc", "outputs": "outputs", "In": ["", "", cell]} | change


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        ("# Parameters\nmodell = 'fc'", {}, "parameter 'modell'; did you mean 'model'. choose from model, train_"),
        ("# Parameters\nx = 1", {}, "unknown parameter 'x'; choose from model"),
        ("", {"draws": -1}, "^draws: Input should be greater than or equal to 1, not -1$"),
        ("", {"draws": "many"}, "^draws: Input should be a valid integer.* not 'many'$"),
        ("", {"images": 0, "c": -1}, "images: Input .* not 0; c: Input should be greater than 0, not -1"),
        ("", {"model": "resnt50"}, "^model: unknown model 'resnt50'; choose from fc, resnet18"),
        ("", {"recompute": "perhaps"}, "recompute: Input should be a valid boolean.* not 'perhaps'"),
        ("", {"noises": ["all"]}, "noises: unknown noise 'all'; choose from random_pixel_invert"),
        ("", {"levels": "[0, 5"}, "^levels: cannot read '\\[0, 5': expected ',' or '\\]', but got '<stream end>'$"),
        ("", {"levels": "[0, @scratch]"}, "^levels: cannot read .*: found character '@' that cannot start any token$"),
        ("", {"images": "12 # a dozen"}, "^images: Input should be a valid integer.* not '12 # a dozen'$"),
        ("", {"outputs": " \n"}, "^outputs: must be a folder, not ' .n'$"),
        ("", {"outputs": "README.md/run"}, r"^outputs: must be a folder, but .*README\.md is not one$"),
        ("", {"outputs": "~nobody-of-this-name/r"}, "^outputs: there is no home folder '~nobody-of-this-name'$"),
        ("", {"outputs": 2024.1}, "^outputs: must be text, not 2024.1; put it in quotes$"),
        ("", {"outputs": True}, "^outputs: must be text, not True; put it in quotes$"),
        ("", {"model": 12}, "^model: unknown model '12'; choose from fc, resnet18"),
        ("", {"model": "fc@../../x"}, r"^model: the word behind @ must be of letters.* alone, not '../../x'$"),
        ("", {"model": f"fc@{'é' * 60}"}, r"^model: .* at most 120 bytes, not 123$"),
        ("", {"model": "fc@"}, r"^model: the word behind @ must be of letters.* alone, not ''$"),
        ("", {"noises": ["white_to_black", "edge_to_altered", "white_to_black"]}, "^noises: each once, not"),
        ("", {"train_seed": 10**20}, "^train_seed: Input should be less than or equal to 9223372036854775807"),
        ("", {"c": True}, "^c: must be no truth value, not True$"),
        ("", {"levels": [0, True]}, r"^levels: must be no truth value, not \[0, True\]$"),
        ("", {"engine": 1.5}, "^engine: must be text, not 1.5; put it in quotes$"),
        ("", {"c": GONE, "draws": GONE}, "^no value for draws, c; run the cell that gives all parameters$"),
    ],
)
def test_a_wrong_parameter_is_reported_in_a_line(cell, change, message):
    given = {name: value for name, value in variables(Plan, cell, **change).items() if value is not GONE}
    with pytest.raises(ValueError, match=message):
        parameters.check(Plan, given)


# As the command line has them; papermill hands over numbers, truth values and None for some.
PATHS = [
    "/tmp/run #2", "/tmp/#", "run: 2", "- run", "a\tb", "@scratch", "%d", "&run", "*", "!tag", "[a, b]", "{a: 1}",
    "'quoted'", '"', "yes", "no", "true", "null", "~r", "~~", "a~", "2024-05-01", "1:30", "0x10", "1e3 runs", "==", "|",
    ">", "$HOME/r", "run 2", "run\\2", "ä/ö", "-", ".", "..", "12", "0",
]  # fmt: skip


@pytest.mark.parametrize("typed", PATHS)
def test_text_for_a_path_is_a_path(typed):
    given = papermill_parameters("notebooks/sweep.ipynb", "x.ipynb", "-p", "outputs", typed)["outputs"]
    for kind in (Plan, Recipe, Opening, Compared, parameters.Gallery):
        if typed.startswith("~"):
            with pytest.raises(ValueError, match=r"^outputs: there is no home folder"):
                parameters.check(kind, variables(kind, outputs=given))
        else:
            assert parameters.check(kind, variables(kind, outputs=given)).outputs == Path(typed)


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anyone")
    for typed, path in {"~": "/home/anyone", "~/r #2": "/home/anyone/r #2", "./~": "~", "r/~/s": "r/~/s"}.items():
        assert parameters.check(Plan, variables(Plan, outputs=typed)).outputs == Path(path)


KERNEL = """
import sys
from pathlib import Path
from pydantic import create_model
from lib.store.parameters import check
given = {"path0": 7, "path1": 1000, "path2": 5, "path3": 2024.1, "path4": 1000.0, "path5": float("nan"), "path6": True}
given |= {"path7": False, "path8": None}
print([str(path) for _, path in check(create_model("Kind", **{name: (Path, ...) for name in given}), given)])
"""
PARENT = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1]]).returncode)"


def test_text_that_papermill_has_made_a_number_is_read_where_it_was_typed():
    """The process that starts the kernel is papermill, with its command line."""
    typed = ["007", "1_000", "+5", "2024.10", "1e3", "nan", "True", "False", "None"]
    named = {f"path{number}": text for number, text in enumerate(typed)}
    options = [word for name, text in named.items() for word in ("-p", name, text)]
    arguments = ["-p", "path0", "another", *options, "-p", "draws"]
    given = papermill_parameters("notebooks/noise.ipynb", "x.ipynb", *options)
    assert not any(isinstance(value, str) for value in given.values())
    assert all(f'"{name}": {value}' in KERNEL or value != value for name, value in given.items())
    run = subprocess.run([sys.executable, "-c", PARENT, KERNEL, *arguments], capture_output=True, text=True)
    assert (run.stdout, run.returncode) == (f"{typed}\n", 0), run.stderr


def test_text_from_the_command_line_becomes_what_it_says():
    """Numbers as papermill reads them."""
    given = {"levels": "[0, 010, 1_00, 2e2]", "noises": "[ white_to_black ] # one", "c": "2.5", "space": "56"}
    given |= {"replacement": "no", "recompute": "True", "draws": "null", "source": "current", "images": "3"}
    plan = parameters.check(Plan, variables(Plan, **given))
    assert plan.levels == [0, 10, 100, 200] and plan.noises == ["white_to_black"] and plan.draws is None
    assert (plan.replacement, plan.recompute, plan.source) == (False, True, "current")
    assert (plan.c, plan.space, plan.images) == (2.5, 56, 3)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *((Recipe, "seed", seed) for seed in (2**63, -1)),
        *((Recipe, name, 10**20) for name in ("batch_size", "train_images")),
        (Recipe, "learning_rate", float("inf")),
        (Recipe, "target", float("nan")),
        *(
            (parameters.Gallery, name, value)
            for name, value in (("draw", 10**20), ("attacks", 785), ("images", 10**20))
        ),
    ],
)
def test_a_number_out_of_range_is_reported_with_its_bound(kind, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: Input should be [^\n]*, not [^\n]*$"):
        parameters.check(kind, variables(kind, **{name: value}))


def test_the_largest_seed_trains_and_draws():
    """What is allowed passes all the way: torch's and NumPy's generators, and the noise."""
    seed = parameters.LARGEST_SEED
    assert parameters.check(Recipe, variables(Recipe, seed=seed)).seed == seed
    networks.build("fc", seed)
    perturb(data.load().test_images[:1], "white_to_black", 1, seed=seed)


CHECKS = "lib.evaluation.plan, lib.training.recipe, lib.adversarial.runs, lib.explorer.one_digit"
ENGINES = {"torch", "numba", "openvino", "timm"}


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        (CHECKS, {"pandas", "statsmodels"}),
        ("lib.explorer.many_digit_viewers, lib.explorer.viewers", {"scipy.ndimage", "scipy.stats", "skimage.measure"}),
    ],
)
def test_what_checks_parameters_and_opens_viewers_loads_no_engine(modules, slow):
    code = f"import sys, {modules}; print(sorted({ENGINES | slow} & {{*sys.modules}}))"
    assert run_python(code) == (0, "[]\n")


@pytest.mark.parametrize(
    "cells",
    [
        ["mine = 1"],
        ["# Parameters of my figure\nwidth = 3"],
        ["#Parameters\nwidth = 3"],
        ["# Parameters\nPAPERMILL_INPUT_PATH = 'a.ipynb'\nPAPERMILL_OUTPUT_PATH = 'b.ipynb'\nmodel = 'fc'"],
        ["parameters.check(Plan, globals())", "# Parameters\nwidth = 3"],
        ["# Parameters\nmodel = 'fc'\n", "parameters.check(Plan, globals())", "# Parameters\nmodel = 'fc'\n"],
    ],
)
def test_names_in_other_cells_and_papermills_own_are_no_parameters(cells):
    assert parameters.check(Plan, variables(Plan) | {"In": ["", *cells]}).model == "fc"


def test_a_parameter_changed_after_the_check_is_reported_until_it_is_checked(capsys):
    shell = InteractiveShell()
    defaults = {name: value for name, value in variables(Plan).items() if name != "In"}
    check = "plan = check(Plan, globals())"

    def printed(cell: str) -> str:
        capsys.readouterr()
        assert shell.run_cell(cell, store_history=True).success
        return capsys.readouterr().out

    shell.user_ns.update(defaults | {"Plan": Plan, "check": parameters.check})
    assert printed("c = 2.0") + printed(check) + printed("pass") == ""
    for _ in range(2):
        assert printed("c = 2.5") == ""
        assert printed("pass").startswith("Note: c changed") and printed("pass").count("\n") == 1
        assert printed(check) + printed("pass") == ""
        assert printed("draws = 3\nc = 2.0") == "" and printed("pass").startswith("Note: draws, c changed")
        assert printed(check) + printed("pass") == ""
        assert printed("draws = None") + printed(check) == ""


def assigned(source: str) -> set[str]:
    """The variables that a cell leaves in its notebook."""
    lines = ["#" if line.startswith("%") else line for line in source.splitlines()]
    table = symtable.symtable("\n".join(lines), "cell", "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_cell_assigns_a_parameter_of_its_notebook(path):
    """So that the check, or all cells, can run again in the same kernel."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    given = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = set().union(*(assigned(cell.source) for cell in given))
    assert names
    for cell in cells:
        assert cell in given or not assigned(cell.source) & names, cell.source


BROKEN = {
    "net = (": r"SyntaxError: '\(' was never closed \({module}\.py, line 1\)$",
    "def net():\n\treturn 1\n        return 2": r"TabError: .* \({module}\.py, line 3\)$",
    "net = '\0'": "(SyntaxError|ValueError): source code .*null bytes",
    "import os\nnet = nn.Linear": r"NameError: name 'nn' is not defined.* \({module}\.py, line 2: net = nn\.Linear\)$",
    "import no_such_library": r"ModuleNotFoundError: No module named 'no_such_library' \({module}\.py, line 1: ",
    "from lib.noise import nothing": r"ImportError: cannot import name 'nothing' .* \({module}\.py, line 1: from lib",
    "import sys\nsys.exit('no card')": r"SystemExit: no card \({module}\.py, line 2: sys\.exit\('no card'\)\)$",
    "exit(3)": r"SystemExit: 3 \({module}\.py, line 1: exit\(3\)\)$",
    "open('no such file')": r"FileNotFoundError: .*'no such file' \({module}\.py, line 1: open",
    "def load():\n    raise OSError('two\\nlines')\nload()": r"OSError: two lines \({module}\.py, line 3: load\(\)\)$",
    "def load():\n    load()\nload()": r"RecursionError: .* \({module}\.py, line 3: load\(\)\)$",
    "other = 1": r"AttributeError: .*{module}\.py has no 'net'$",
    "def __getattr__(name):\n    raise KeyError(name)": "KeyError: 'net'$",
}


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_module_of_ones_own_that_cannot_be_imported_is_reported_in_a_line(tmp_path, monkeypatch, number):
    content, message = list(BROKEN.items())[number]
    module = f"mine_{number}"
    (tmp_path / f"{module}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=rf"^cannot import '{module}:net': [^\n]*$") as raised:
        parameters.imported(f"{module}:net")
    assert re.search(f": {message.format(module=module)}", str(raised.value))
    with pytest.raises(ValueError, match=f"^model: cannot import '{module}:net'.*; choose from fc, resnet18"):
        parameters.check(Plan, variables(Plan, model=f"{module}:net"))
    (tmp_path / f"{module}.py").write_text("net = str.upper  # mended")
    sys.modules.pop(module, None)  # where its import succeeded
    assert parameters.imported(f"{module}:net") is str.upper


@pytest.mark.parametrize("reference", [":net", ".mine:net", "..:net", "no_such_module:net", "lib.noise:", "a b:c"])
def test_what_names_no_module_is_reported_in_a_line(reference):
    with pytest.raises(ValueError, match=f"^cannot import '{re.escape(reference)}': [^\n]*$"):
        parameters.imported(reference)


def test_a_module_with_the_name_of_pythons_own_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=r"cannot import 'test:net': AttributeError: .*test/__init__.py has no 'net'"):
        parameters.imported("test:net")
    (tmp_path / "test.py").write_text("net = str.upper")
    with pytest.raises(ValueError, match=r"test\.py has the name of another module, .*test/__init__.py; rename it"):
        parameters.imported("test:net")


def test_only_the_usual_parameters_give_the_usual_name():
    assert parameters.named("depth", Compared(outputs=Path("elsewhere"))) == "depth"
    others = [Compared(images=500), Compared(images=501), Compared(models=["fc"]), Compared(models=["fc", "vgg19"])]
    names = {parameters.named("depth", asked) for asked in others}
    assert len(names) == len(others) and all(name.startswith("depth-") for name in names)
    assert parameters.named("depth", Measured(images=500)) in names, "the paper shows what the notebook has saved"
