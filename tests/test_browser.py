"""The explorer in Chromium, by Voilà and briefly in JupyterLab. Screenshots: outputs/logs/screenshots."""

import io
import itertools
import re
import time
from urllib.parse import urlsplit

import browser
import numpy as np
import pytest
from PIL import Image, ImageDraw

from lib.store.files import OUTPUTS

playwright = pytest.importorskip("playwright.sync_api")
if browser.CHROMIUM is None:
    pytest.skip("no Chromium here: apt-get install chromium", allow_module_level=True)

pytestmark = pytest.mark.slow
SCREENSHOTS = OUTPUTS / "logs" / "screenshots"
DIGIT, STRIP, BARS = 0, 1, 2  # the pictures of a viewer of one digit, in their order


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def opened(chromium, by: str, folder):
    """The notebook, opened and run, at desktop size."""
    with browser.served(by, folder) as (address, server):
        page = chromium.new_page(viewport=browser.DESKTOP)
        page.server, page.failures, page.asked = server, [], []
        page.on("pageerror", lambda error: page.failures.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("websocket", lambda socket: page.asked.append(socket.url))
        browser.open_notebook(page, by, address)
        page.set_default_timeout(120_000)
        yield page
        page.close()


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    yield from opened(chromium, "voila", tmp_path_factory.mktemp("voila"))


@pytest.fixture(autouse=True)
def shots(request):
    """A screenshot after every test, whether it passed or not."""
    yield
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.screenshot(path=SCREENSHOTS / f"{request.node.originalname.removeprefix('test_')}.png")


class Shown:
    """One viewer on the page, as a reader finds it: by its words."""

    def __init__(self, page, name: str):
        self.page, self.box = page, page.locator(f".viewer.{name}").first
        self.box.scroll_into_view_if_needed()

    def row(self, label: str):
        return self.box.locator(".widget-inline-hbox, .widget-hslider", has_text=re.compile(rf"^\s*{re.escape(label)}"))

    def press(self, label: str, key: str, times: int = 1):
        """Keys on a slider."""
        for _ in range(times):
            self.row(label).locator(".noUi-handle").press(key)

    def value(self, label: str) -> float:
        return float(self.row(label).locator(".widget-readout").inner_text())

    def button(self, text: str | re.Pattern):
        return self.box.get_by_role("button", name=text)

    def upload(self, name: str, content: bytes):
        with self.page.expect_file_chooser() as chooser:
            self.button("Upload a picture").click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})

    def pictures(self, count: int) -> list[str]:
        return [self.box.locator("img").nth(number).get_attribute("src") for number in range(count)]

    def pixels(self, number: int) -> Image.Image:
        """What the browser really draws there."""
        shown = self.box.locator("img").nth(number)
        return Image.open(io.BytesIO(shown.screenshot())).convert("RGB")

    def until_changed(self, before: list[str]):
        """Wait until all of the first pictures have changed and are loaded."""
        for number, old in enumerate(before):
            self.page.wait_for_function(
                "([image, old]) => image.src !== old && image.complete && image.naturalWidth > 0",
                arg=[self.box.locator("img").nth(number).element_handle(), old],
            )

    def says(self, text: str | re.Pattern):
        playwright.expect(self.box).to_contain_text(text, timeout=120_000)


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def zero() -> bytes:
    paper = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(paper).ellipse((15, 8, 45, 52), outline=0, width=5)
    return png(paper)


def grainy_seven() -> bytes:
    """A picture of more bytes than a server takes in one message."""
    grain = np.random.default_rng(0).integers(150, 255, (2_200, 2_200, 3), dtype=np.uint8)
    grain[366:550, 366:1833] = grain[366:1980, 1650:1833] = 20
    return png(Image.fromarray(grain))


def test_opens_on_a_digit_that_is_lost(page):
    one = Shown(page, "one-digit")
    one.says(re.compile(r"clean digit as 1 \(100 % sure, \d+ % with dropout\) and after 10 attacks as 8"))
    one.says("Go to 7")
    page.wait_for_timeout(500)  # the strip is decoded
    for number in (DIGIT, STRIP, BARS):
        assert len(one.pixels(number).getcolors(1 << 24)) > 10, "a picture, not a blank"
    assert not page.locator(".jp-InputArea-editor:visible").count(), "the web page hides the code"
    assert one.box.locator("img").first.bounding_box()["y"] < 300, "the digit is what one sees first"


def test_the_attacks_are_turned_by_keys_mouse_buttons_and_play(page):
    one = Shown(page, "one-digit")
    one.button(re.compile("^Go to 7")).click()
    one.says("after 7 attacks as 8")
    before, pixels = one.pictures(3), one.pixels(DIGIT).tobytes()
    one.press("Attacks", "ArrowRight", 5)
    one.says("after 12 attacks")
    assert one.value("Attacks") == 12
    one.until_changed(before)
    assert one.pixels(DIGIT).tobytes() != pixels
    handle, bar = (one.row("Attacks").locator(f".noUi-{part}").bounding_box() for part in ("handle", "target"))
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(bar["x"] + bar["width"] * step / 50, bar["y"] + bar["height"] / 2)
    page.mouse.up()
    last = int(one.value("Attacks"))
    assert last > 100
    one.says(re.compile(rf"after {last} attacks|of {last} attacks found a pixel"))
    one.row("Noise").locator("select").select_option(label="Random Pixel Invert")
    playwright.expect(one.row("c =")).to_contain_text("c = 1.25")  # the noise's own
    one.press("c =", "ArrowRight", 3)
    playwright.expect(one.row("c =")).to_contain_text("c = 1.4")
    typed_into = one.row("c =").locator("[contenteditable=true]:visible")
    assert not typed_into.count(), "what is typed there would be shown, not taken"
    one.press("Attacks", "Home")
    play = one.button("Play or pause the attacks")
    play.click()
    playwright.expect(one.row("Attacks").locator(".widget-readout")).not_to_have_text("0")
    play.click()
    one.says(re.compile(r"after [1-9]\d* attacks?"))
    one.press("Attacks", "End")
    one.says("after 200 attacks")


def test_the_next_lost_digit_is_found_and_any_number_is_shown_whole(page):
    one = Shown(page, "one-digit")
    field = one.row("Digit number").locator("input")
    before = field.input_value()
    one.button(re.compile("^Next digit")).click()
    playwright.expect(field).not_to_have_value(before)
    one.says(re.compile(r"clean digit as (\d) .* it is a \1"))
    for label, largest in (("Draw", 2**31), ("Digit number", 9_999)):
        before, field = one.pictures(1), one.row(label).locator("input[type=number]")
        field.fill(str(largest))
        field.press("Enter")
        one.until_changed(before)
        assert field.input_value() == str(largest)
        assert field.evaluate("box => box.scrollWidth <= box.clientWidth"), "all of it is seen"


def test_own_digits_are_drawn_with_the_mouse_and_by_keyboard(page):
    own = Shown(page, "your-own-digit")
    canvas = own.box.locator("canvas").first
    own.button("Clear").click()
    own.says("The pictures still show the last one")
    canvas.scroll_into_view_if_needed()
    box, before = canvas.bounding_box(), own.pictures(1)
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 240, steps=12)
    page.mouse.up()
    own.until_changed(before)
    own.says("clean digit as 1")
    drawn = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("L"))
    assert drawn[140, 140] > 200 > 50 > drawn[140, 30], "ink where the mouse went"
    own.button("Clear").click()
    canvas.focus()
    before = own.pictures(1)
    for key in ["ArrowLeft"] * 8 + [" "] + ["ArrowRight"] * 16 + ["ArrowDown"] * 18 + [" "]:
        page.keyboard.press(key)
    own.until_changed(before)
    own.says("clean digit as 7")
    page.keyboard.press("Tab")
    playwright.expect(own.button("Clear")).to_be_focused()


def test_pictures_are_taken_and_other_files_refused(page):
    """Also the same file after Clear, and one that is too large for a message."""
    own = Shown(page, "your-own-digit")
    before = own.pictures(1)
    for content, said in ((b"\x89PNG but not really", "any is not an image"), (bytes(12_000_000), "any, 12.0 MB")):
        own.upload("any", content)
        own.says(said)
        assert own.pictures(1) == before
    for content, said in ((grainy_seven(), "digit as 7"), (zero(), "digit as 0"), (zero(), "digit as 0")):
        own.upload("picture.png", content)
        playwright.expect(own.box).not_to_contain_text(re.compile("12.0 MB|still show the last one"), timeout=60_000)
        own.says(said)
        own.button("Clear").click()
        own.says("still show the last one")


def test_a_running_curve_is_drawn_joined_and_cancelled_and_the_gallery_follows_its_level(page):
    curves = Shown(page, "all-digits")
    before = curves.pictures(1)
    curves.button("Compute on 500 digits").click()
    curves.until_changed(before)
    curves.box.get_by_label("small CNN (slow)").check()
    playwright.expect(curves.button("Cancel")).to_be_enabled()  # the run goes on
    curves.button("Cancel").click()
    curves.says("Cancelled after")
    playwright.expect(curves.button("Compute on 500 digits")).to_be_enabled()
    curves.box.get_by_label("EfficientNet-B1", exact=True).check()
    playwright.expect(curves.box.get_by_label("VGG-19")).to_be_disabled()  # three at most
    gallery = Shown(page, "gallery")
    before = gallery.pictures(1)
    gallery.press("Attacks", "PageUp")
    gallery.until_changed(before)
    gallery.says(f"wrongly after {int(gallery.value('Attacks'))} attacks of White to Black")
    boxes = [box.bounding_box() for box in curves.box.locator(".boxes .widget-checkbox").all()]
    apart = [b["x"] - a["x"] - a["width"] for a, b in itertools.pairwise(boxes) if a["y"] == b["y"]]
    assert len(boxes) > 5 and min(apart) > 15, "each box stands by its own label"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_of_it_has_names_contrast_and_works_by_keyboard(page, scheme):
    """Checked by axe-core; the Tab key goes around all controls."""
    from axe_playwright_python.sync_playwright import Axe  # fails here, and skips nothing, where it is missing

    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(500)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (np.mean([int(part) for part in re.findall(r"\d+", background)[:3]]) < 128) == (scheme == "dark")
    found = Axe().run(page).response["violations"]
    assert not found, [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]
    parts = ".viewer :is(button, select, input, canvas, .noUi-handle)"
    controls = page.locator(parts).evaluate_all("all => all.filter(part => !part.disabled && part.offsetParent).length")
    page.evaluate("document.activeElement.blur(); window.reached = new Set()")
    for _ in range(controls + 10):
        page.keyboard.press("Tab")
        page.evaluate("window.reached.add(document.activeElement)")
    reached = page.evaluate("[...window.reached].filter(part => part.matches('.viewer :not(.widget-readout)')).length")
    assert reached == controls > 30


def test_everything_fits_on_a_phone(page):
    page.set_viewport_size(browser.PHONE)
    page.wait_for_timeout(1000)
    for name in ("one-digit", "your-own-digit", "all-digits", "gallery"):
        shown = Shown(page, name)
        width = shown.box.bounding_box()["width"]
        assert width <= browser.PHONE["width"]
        for picture in shown.box.locator("img").all():
            assert 0.9 * width < picture.bounding_box()["width"] <= width, f"{name} is cut off, or small"
        page.screenshot(path=SCREENSHOTS / f"phone-{name}.png")
    own = Shown(page, "your-own-digit").box
    canvas, answer = (own.locator(part).first.bounding_box() for part in ("canvas", ".reading b"))
    assert canvas["y"] < answer["y"] < canvas["y"] + canvas["height"], "the prediction stands beside the drawing"
    assert answer["x"] + answer["width"] < browser.PHONE["width"] and answer["height"] > 50
    page.set_viewport_size(browser.DESKTOP)


def assert_local(page):
    """Nothing was asked of another host, and no script failed."""
    assert len(page.asked) > 10 and not page.failures
    assert {urlsplit(url).hostname for url in page.asked if not url.startswith(("data:", "blob:"))} == {"127.0.0.1"}


def test_nothing_is_asked_of_another_host_and_no_script_failed(page):
    assert_local(page)
    icon = page.locator(".viewer.one-digit .fa-play").first
    assert "Awesome" in icon.evaluate("icon => getComputedStyle(icon, '::before').fontFamily"), "icons come along"
    assert page.evaluate("[...document.fonts].some(font => /Awesome/.test(font.family) && font.status == 'loaded')")


def test_reloads_leave_one_kernel_and_what_goes_wrong_is_shown(page):
    """Ten reloads, some before the page is complete, one by itself for a missing viewer; then a killed kernel."""
    for number in range(9):
        page.reload(wait_until="commit")
        page.wait_for_selector("#jupyter-config-data", state="attached")
        page.wait_for_timeout(250 * (number % 3))
    page.wait_for_selector(".viewer.gallery")
    kernel = page.evaluate("window.jupyterapp.widgetManager.kernel.id")
    page.evaluate("document.querySelector('.viewer').innerHTML = 'Error displaying widget: model not found'")
    page.wait_for_function("old => window.jupyterapp?.widgetManager?.kernel.id.localeCompare(old)", arg=kernel)
    Shown(page, "one-digit").says("clean digit as 1")
    until = time.monotonic() + 30
    while len(browser.kernels(page.server)) > 1 and time.monotonic() < until:
        time.sleep(0.5)
    (kernel,) = browser.kernels(page.server)
    assert not page.locator("#stopped").count()
    kernel.kill()
    playwright.expect(page.get_by_role("alert").first).to_contain_text("killed")
    page.get_by_role("button", name="Reload").click()
    Shown(page, "one-digit").says("clean digit as 1")
    for voila in page.server.children():
        voila.terminate()
    playwright.expect(page.get_by_role("alert").first).to_contain_text("behind this page", timeout=60_000)


@pytest.mark.evidence
def test_in_jupyterlab_sliders_turn_and_digits_are_drawn(chromium, tmp_path):
    for page in opened(chromium, "lab", tmp_path):
        one, own = Shown(page, "one-digit"), Shown(page, "your-own-digit")
        one.says("clean digit as 1")
        one.press("Attacks", "ArrowRight", 5)
        one.says("after 15 attacks")
        own.button("Clear").click()
        own.says("still show the last one")
        own.box.locator("canvas").first.focus()
        for key in [" "] + ["ArrowDown"] * 20 + [" "]:
            page.keyboard.press(key)
        own.says("clean digit as 1")
        assert page.locator(".jp-InputArea-editor").count() > 5, "the code is seen"
        assert_local(page)
        page.screenshot(path=SCREENSHOTS / "lab.png")
