"""JupyterLab and Voilà on the explorer's notebook, and a page of Chromium that looks at it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from lib.store.files import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NOTEBOOK = ROOT / "notebooks" / "explore.ipynb"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 240_000  # milliseconds until the notebook has run on a busy machine


@contextmanager
def served(by: str, folder: Path) -> Generator[tuple[str, psutil.Process]]:
    """The notebook's address and its server until the block ends: "lab" on a copy in `folder`, or "voila"."""
    shutil.copy(NOTEBOOK, folder)  # JupyterLab saves what it runs
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    binaries = Path(sys.executable).parent
    here, options = f"http://127.0.0.1:{port}", f"--no-browser --port={port}"
    if by == "lab":
        command = [f"{binaries}/jupyter", "lab", "--allow-root", *options.split()]
        command += [f"--ServerApp.root_dir={folder}", "--IdentityProvider.token="]
        address, alive = f"{here}/lab/tree/{NOTEBOOK.name}", "/api"
    else:
        command = ["make", "--old-file=.venv/.ready", "app", f"BIN={binaries}", f"ARGS={options}"]
        address, alive = f"{here}/", "/static/"
    config = folder / "JUPYTER_CONFIG_DIR" / "labconfig"
    config.mkdir(parents=True)
    no_news = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(no_news))
    settings = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    with open(folder / f"{by}.log", "w") as log:
        where: dict[str, Any] = {"cwd": folder if by == "lab" else ROOT, "env": os.environ | settings}
        where |= {"stdout": log, "stderr": log}
        server = subprocess.Popen(command, **where, start_new_session=True)  # make and what it runs end together
        try:
            _wait_for(here + alive, server, folder / f"{by}.log")
            yield address, psutil.Process(server.pid)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def kernels(server: psutil.Process) -> list[psutil.Process]:
    """The kernels that a server runs."""
    running = server.children(recursive=True)
    return [process for process in running if process.is_running() and "ipykernel_launcher" in process.cmdline()]


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        if server.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"no answer after two minutes: {log.read_text()[-2000:]}")


def open_notebook(page, by: str, address: str) -> None:
    """Open the notebook, run it where that is not done by itself, and wait for the last viewer."""
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    if by == "lab":
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        toolbar = "document.querySelector('.jp-NotebookPanel-toolbar')?.innerText"
        page.wait_for_function(f"{toolbar} && !{toolbar}.includes('No Kernel')")
        running = "[...document.querySelectorAll('.jp-InputPrompt')].some(prompt => /[*0-9]/.test(prompt.innerText))"
        for _ in range(10):  # a command that comes before the kernel is connected has no effect
            page.click(".lm-MenuBar-itemLabel:text-is('Run')")
            page.click(".lm-Menu-item[data-command='runmenu:run-all']")
            page.wait_for_timeout(3_000)
            if page.evaluate(running):
                break
    page.wait_for_selector(".viewer.gallery >> text=of the first", state="attached")
