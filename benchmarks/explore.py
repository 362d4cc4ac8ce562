"""How long the explorer takes to open, and a moved slider to its new picture, inside the kernel and in a browser.

    python benchmarks/explore.py [--opening-only | --kernel-only]

Opening: from the start of the notebook's first cell until its first viewer shows what the network says, beside what no
opening can do without: importing torch and loading that network. The best of three kernels each.

Kernel: from the knob's new value to the picture in its image widget. Browser: from the key on the slider to the new
picture on the page that Voilà serves, seen by Chromium. Moves are 0.3 s apart; the first ones are not counted.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from lib.explorer.one_digit import STOPS, State
from lib.explorer.viewers import OneDigit
from lib.store.files import ROOT

sys.path.append(str(ROOT / "tests"))
import browser

MODELS = ("fc", "resnet18")
MOVES, UNCOUNTED = 38, 5
PAUSE, PATIENCE = 0.3, 3.0  # seconds between moves; and until a move is taken to change nothing
NOISE = "random_pixel_invert"  # the one that alters pixels of every brightness, so that each move shows

# A key on the slider, then the time until the page has loaded the picture.
PRESS = """async ([handle, image, key, patience]) => {
    const loaded = new Promise(done => image.addEventListener("load", () => done(true), {once: true}));
    const late = new Promise(done => setTimeout(() => done(false), patience));
    const start = performance.now();
    handle.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    return await Promise.race([loaded, late]) ? (performance.now() - start) / 1000 : null;
}"""


OPENINGS = 3
BEGIN, END = "import time; began = time.perf_counter()", "print(time.perf_counter() - began)"
NETWORK = f"from lib import networks; networks.predictor(networks.load({MODELS[-1]!r}))"
ANSWER = """import asyncio
first = next(shown for shown in Out.values() if isinstance(shown, viewers.OneDigit))
while "reads the clean digit" not in first.attack.verdict.value:
    await asyncio.sleep(0.02)
"""


def opening() -> None:
    code = [cell for cell in nbformat.read(browser.NOTEBOOK, 4).cells if cell.cell_type == "code"]
    cells = [cell.source for cell in code if "static" not in cell.metadata.get("tags", [])]
    assert f'model: str = "{MODELS[-1]}"' in cells[0], "the network that the notebook opens on"
    runs = [(seconds([NETWORK]), seconds([*cells, ANSWER])) for _ in range(OPENINGS)]
    network, opened = (min(run[number] for run in runs) for number in (0, 1))
    print(f"opening: {opened:.1f} s, torch and the network alone {network:.1f} s: {opened / network:.2f} (at most 2)")


def seconds(cells: list[str]) -> float:
    """Of these cells in a new kernel, from the start of the first."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (BEGIN, *cells, END)])
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    return float(notebook.cells[-1].outputs[0].text)


def report(where: str, model: str, knob: str, seconds: list[float]) -> None:
    counted = sorted(1000 * s for s in seconds[UNCOUNTED:])
    median, late = statistics.median(counted), counted[int(0.95 * len(counted))]
    print(f"{where:8}{model:10}{knob:14}median {median:6.0f} ms   95 % within {late:6.0f} ms   ({len(counted)} moves)")


async def in_kernel(model: str) -> None:
    attack = OneDigit(State(model=model, noise=NOISE, attacks=150)).attack
    await attack.newest.settled()
    for knob, values in (("c", STOPS[:MOVES]), ("attacks", range(10, 10 + 4 * MOVES, 4))):
        slider, seconds = attack.knobs.widgets[knob], []
        for value in values:
            done = asyncio.get_running_loop().create_future()
            attack.digit.observe(lambda _, done=done: done.done() or done.set_result(time.perf_counter()), "value")
            start = time.perf_counter()
            slider.value = value
            try:
                seconds.append(await asyncio.wait_for(done, PATIENCE) - start)
            except TimeoutError:
                print(f"{knob} = {value} changes no pixel; not counted")
            attack.digit.unobserve_all()
            await asyncio.sleep(PAUSE)
        report("kernel", model, knob, seconds)


def in_browser() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        chromium = driver.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"])
        with browser.served("voila", Path(folder)) as (address, _):
            page = chromium.new_page(viewport=browser.DESKTOP)
            browser.open_notebook(page, "voila", address)
            viewer = page.locator(".viewer.one-digit").first
            picture, attacks = viewer.locator("img").first.element_handle(), viewer.locator(".noUi-handle").nth(1)
            viewer.locator("select").nth(1).select_option(value="Random Pixel Invert")
            for model in MODELS:
                viewer.locator("select").first.select_option(label=model)
                page.wait_for_timeout(8_000)  # the network is loaded and its strip computed
                for knob, number in (("attacks", 1), ("c", 0)):
                    attacks.press("End")  # c matters more where many pixels are attacked
                    handle = viewer.locator(".noUi-handle").nth(number)
                    handle.press("Home")
                    page.wait_for_timeout(2_000)
                    seconds = []
                    for _ in range(MOVES):
                        asked = [handle.element_handle(), picture, "ArrowRight", 1000 * PATIENCE]
                        seconds.append(page.evaluate(PRESS, asked))
                        page.wait_for_timeout(1000 * PAUSE)
                    report("browser", model, knob, [second for second in seconds if second is not None])
        chromium.close()


if __name__ == "__main__":
    opening()
    if "--opening-only" in sys.argv:
        sys.exit()
    for model in MODELS:
        asyncio.run(in_kernel(model))
    if "--kernel-only" not in sys.argv:
        if browser.CHROMIUM is None:
            print("no Chromium here, so nothing is measured in a browser: apt-get install chromium")
        else:
            in_browser()
