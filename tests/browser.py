"""JupyterLab and Voilà on the explorer's notebook, and a page of Chromium that looks at it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lib.store.files import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NOTEBOOK = ROOT / "notebooks" / "explore.ipynb"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 240_000  # milliseconds until the notebook has run on a busy machine


@contextmanager
def served(by: str, folder: Path) -> Generator[str]:
    """The address of the notebook's copy in `folder`, served by "lab" or by "voila" until the block ends."""
    shutil.copy(NOTEBOOK, folder)  # JupyterLab saves what it runs
    port = _free_port()
    binaries = Path(sys.executable).parent
    here = "127.0.0.1"
    if by == "lab":
        command = ["jupyter", "lab", "--allow-root", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token="]
        address, alive = f"http://{here}:{port}/lab/tree/{NOTEBOOK.name}", "/api"
    else:
        command = ["voila", NOTEBOOK.name, "--TagRemovePreprocessor.remove_cell_tags=static"]
        address, alive = f"http://{here}:{port}/", "/static/"
    config = folder / "JUPYTER_CONFIG_DIR" / "labconfig"
    config.mkdir(parents=True)
    no_news = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(no_news))
    settings = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    with open(folder / f"{by}.log", "w") as log:
        server = subprocess.Popen(
            [binaries / command[0], *command[1:], "--no-browser", f"--port={port}"],
            cwd=folder,
            env=os.environ | settings,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(port, server, folder / f"{by}.log", path=alive)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for(port: int, server: subprocess.Popen, log: Path, path: str) -> None:
    for _ in range(240):
        if server.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
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
        page.wait_for_function("!document.querySelector('.jp-NotebookPanel-toolbar')?.innerText.includes('No Kernel')")
        page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        page.click(".lm-Menu-item[data-command='runmenu:run-all']")
    page.wait_for_selector(".viewer.gallery img", state="attached")
