"""How long one waits before anything is computed, beside the start that cannot be avoided: `make benchmark`.

Importing the parameters of a sweep over importing torch; a wrong parameter's answer beside an empty notebook's end,
both from the start of their kernels; reading the Snakefile, which must not import torch, over importing torch.
"""

import logging
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from lib.store.files import ROOT

RUNS = 3  # the best of them
QUIETLY = {"extra_arguments": ["--IPKernelApp.log_level=CRITICAL"]}
PARAMETERS, TORCH = "import lib.evaluation.plan", "import torch"
SNAKEFILE = "import sys; sys.modules['torch'] = None; from snakemake.cli import main; main(['--list-rules', '--quiet'])"


def start(code: str) -> float:
    """Seconds of a Python process that runs this."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - begin


def kernel(notebook: Path, parameters: dict | None = None) -> float:
    """Seconds from a kernel's start until the notebook has ended or stopped at an error."""
    begin = time.perf_counter()
    try:
        papermill.execute_notebook(
            notebook, None, parameters, kernel_name="python3", cwd=ROOT, progress_bar=False, **QUIETLY
        )
    except PapermillExecutionError as error:
        assert "unknown model 'resnt50'" in str(error), error
    return time.perf_counter() - begin


def best(measures: list[tuple]) -> list[float]:
    """The shortest of several runs of each, taken in turn; one before them warms the disk and is not counted."""
    runs = [[measure(*arguments) for measure, *arguments in measures] for _ in range(RUNS + 1)]
    return [min(run[number] for run in runs[1:]) for number in range(len(measures))]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    torch, plan, snakefile = best([(start, TORCH), (start, PARAMETERS), (start, SNAKEFILE)])
    print(f"parameters of a sweep: {plan:.2f} s, import torch {torch:.2f} s: {plan / torch:.2f} (at most 0.4)")
    print(f"Snakefile, without torch: {snakefile:.2f} s: {snakefile / torch:.2f} of import torch")
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("0")]), empty)
        sweep = ROOT / "notebooks" / "sweep.ipynb"
        nothing, wrong = best([(kernel, empty), (kernel, sweep, {"model": "resnt50"})])
    print(
        f"a wrong parameter: {wrong:.2f} s, an empty notebook {nothing:.2f} s: {wrong - nothing:.2f} s more (at most 3)"
    )
