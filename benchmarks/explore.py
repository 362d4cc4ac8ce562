"""How long the explorer takes to open, to change networks and to follow a slider, in the kernel and in a browser.

    python benchmarks/explore.py [--opening-only | --kernel-only]

Opening: from the start of the notebook's first cell until its first viewer shows a prediction. The best of three
kernels, in seconds and in processor seconds, which other work on the machine does not change.

Changes: five networks are chosen 0.3 s apart; from the last choice until its prediction is shown.

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

from lib import networks
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
CHANGES = ("fc", "resnet50", "efficientnet_b1", "resnet101", "resnet34")
BEGIN = "import time; began = time.perf_counter()"
END = "print(time.perf_counter() - began, time.process_time())"
ANSWER = """import asyncio
first = next(shown for shown in Out.values() if isinstance(shown, viewers.OneDigit))
while "reads the clean digit" not in first.attack.verdict.value:
    await asyncio.sleep(0.02)
"""


def opening() -> None:
    code = [cell for cell in nbformat.read(browser.NOTEBOOK, 4).cells if cell.cell_type == "code"]
    cells = [cell.source for cell in code if "static" not in cell.metadata.get("tags", [])]
    elapsed, processor = min(seconds([*cells, ANSWER]) for _ in range(OPENINGS))
    print(f"opening: {elapsed:.1f} s, {processor:.1f} s of one processor (at most 10 s on two idle cores)")


def seconds(cells: list[str]) -> tuple[float, float]:
    """Of these cells in a new kernel: from the start of the first, and of the processor from the kernel's start."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (BEGIN, *cells, END)])
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    elapsed, processor = notebook.cells[-1].outputs[0].text.split()
    return float(elapsed), float(processor)


async def changes() -> None:
    attack = OneDigit(State()).attack
    await attack.newest.settled()
    for model in CHANGES:
        attack.knobs.widgets["model"].value = model
        start = time.perf_counter()
        await asyncio.sleep(PAUSE)
    wanted = f"{networks.title(CHANGES[-1])} reads"
    while wanted not in attack.verdict.value:
        await asyncio.sleep(0.01)
    print(f"changes: {time.perf_counter() - start:.1f} s after the last of {len(CHANGES)}")
    await attack.newest.settled()


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
            picture, attacks = viewer.locator("img").first.element_handle(), viewer.locator(".noUi-handle").first
            viewer.locator("select").first.select_option(label="Random Pixel Invert")
            for model in MODELS:
                viewer.locator("select").nth(1).select_option(label=networks.title(model))
                page.wait_for_timeout(8_000)  # the network is loaded and its strip computed
                for knob, number in (("attacks", 0), ("c", 1)):
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
    asyncio.run(changes())
    for model in MODELS:
        asyncio.run(in_kernel(model))
    if "--kernel-only" not in sys.argv:
        if browser.CHROMIUM is None:
            print("no Chromium here, so nothing is measured in a browser: apt-get install chromium")
        else:
            in_browser()
