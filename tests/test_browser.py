"""The explorer in a real browser: Chromium on JupyterLab and on Voilà. Screenshots: outputs/logs/screenshots."""

import io
import re
from urllib.parse import urlsplit

import browser
import numpy as np
import pytest
from PIL import Image, ImageDraw

from lib.store.files import OUTPUTS

playwright = pytest.importorskip("playwright.sync_api")
if browser.CHROMIUM is None:
    pytest.skip("no Chromium here: apt-get install chromium", allow_module_level=True)

SCREENSHOTS = OUTPUTS / "logs" / "screenshots"


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(
    scope="module",
    params=[pytest.param("voila", marks=pytest.mark.slow), pytest.param("lab", marks=pytest.mark.evidence)],
)
def page(request, chromium, tmp_path_factory):
    """The notebook, opened and run, at desktop size; at the end it is looked at on a phone, too."""
    with browser.served(request.param, tmp_path_factory.mktemp(request.param)) as address:
        opened = chromium.new_page(viewport=browser.DESKTOP)
        opened.kind, opened.failures, opened.asked = request.param, [], []
        opened.on("pageerror", lambda error: opened.failures.append(str(error)))
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.on("websocket", lambda socket: opened.asked.append(socket.url))
        browser.open_notebook(opened, request.param, address)
        opened.set_default_timeout(60_000)
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def shots(request, page):
    """A screenshot after every test, whether it passed or not."""
    yield
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{page.kind}-{request.node.originalname.removeprefix('test_')}.png")


class Shown:
    """One viewer on the page, as a reader finds it: by its words."""

    def __init__(self, page, name: str):
        self.page, self.box = page, page.locator(f".viewer.{name}").first
        self.box.scroll_into_view_if_needed()

    def row(self, label: str):
        return self.box.locator(".widget-inline-hbox, .widget-hslider", has_text=re.compile(rf"^\s*{re.escape(label)}"))

    def slider(self, label: str):
        return self.row(label).locator(".noUi-handle")

    def press(self, label: str, key: str, times: int = 1):
        """Keys on a slider, as somebody without a mouse turns it."""
        handle = self.slider(label)
        handle.focus()
        for _ in range(times):
            handle.press(key)

    def value(self, label: str) -> float:
        return float(self.row(label).locator(".widget-readout").inner_text())

    def choose(self, label: str, option: str):
        self.row(label).locator("select").select_option(label=option)

    def button(self, text: str):
        return self.box.get_by_role("button", name=text)

    def upload(self, name: str, content: bytes):
        with self.page.expect_file_chooser() as chooser:
            self.button("Upload a picture").click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})

    def picture(self, number: int) -> str:
        return self.box.locator("img").nth(number).get_attribute("src")

    def pictures(self, count: int) -> list[str]:
        return [self.picture(number) for number in range(count)]

    def pixels(self, number: int) -> Image.Image:
        """What the browser really draws there."""
        shown = self.box.locator("img").nth(number)
        return Image.open(io.BytesIO(shown.screenshot())).convert("RGB")

    def until_changed(self, number: int, before: str):
        self.page.wait_for_function(
            "([image, before]) => image.src !== before && image.complete && image.naturalWidth > 0",
            arg=[self.box.locator("img").nth(number).element_handle(), before],
        )

    def says(self, text: str | re.Pattern):
        return playwright.expect(self.box).to_contain_text(text, timeout=60_000)


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def seven(side: int) -> bytes:
    paper = Image.new("L", (side, side), 255)
    paper.paste(0, (side // 6, side // 6, side * 5 // 6, side // 4))
    paper.paste(0, (side * 3 // 4, side // 6, side * 5 // 6, side * 9 // 10))
    return png(paper)


def zero(side: int) -> bytes:
    paper = Image.new("L", (side, side), 255)
    ImageDraw.Draw(paper).ellipse((side // 4, side // 8, side * 3 // 4, side * 7 // 8), outline=0, width=side // 12)
    return png(paper)


def grainy_seven() -> bytes:
    """A picture of more bytes than a server takes in one message."""
    side = 2_200
    grain = np.random.default_rng(0).integers(150, 255, (side, side, 3), dtype=np.uint8)
    grain[np.asarray(Image.open(io.BytesIO(seven(side)))) == 0] = 20
    return png(Image.fromarray(grain))


DIGIT, STRIP, BARS = 0, 1, 2  # the pictures of a viewer of one digit, in their order


def test_opens_on_a_digit_that_is_lost(page):
    one = Shown(page, "one-digit")
    one.says(re.compile(r"reads the clean digit as 1 \(100 % sure, \d+ % with dropout\) and after 10 attacks as 8"))
    for number in (DIGIT, STRIP, BARS):
        assert len(one.pixels(number).getcolors(1 << 24)) > 10, "a picture, not a blank"
    code = page.locator(".jp-InputArea-editor:visible").count()
    assert (code == 0) == (page.kind == "voila"), "the web page hides the code"


def test_a_moved_slider_changes_picture_probabilities_and_strip(page):
    one = Shown(page, "one-digit")
    before, pixels = one.pictures(3), one.pixels(DIGIT).tobytes()
    one.press("Attacks", "ArrowRight", 5)
    one.says("after 15 attacks")
    assert one.value("Attacks") == 15
    for number, old in enumerate(before):
        one.until_changed(number, old)
    assert one.pixels(DIGIT).tobytes() != pixels


def test_a_dragged_slider_ends_on_its_last_value(page):
    one = Shown(page, "one-digit")
    handle, bar = one.slider("Attacks").bounding_box(), one.row("Attacks").locator(".noUi-target").bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(bar["x"] + bar["width"] * step / 50, bar["y"] + bar["height"] / 2)
    page.mouse.up()
    last = int(one.value("Attacks"))
    assert last > 100
    one.says(re.compile(rf"after {last} attacks|of {last} attacks found a pixel"))


def test_the_button_goes_to_the_first_level_that_fools(page):
    one = Shown(page, "one-digit")
    one.button("Go to 7, where it is first fooled").click()
    one.says("after 7 attacks as 8")
    assert one.value("Attacks") == 7


def test_play_steps_through_the_attacks(page):
    one = Shown(page, "one-digit")
    one.box.locator(".jupyter-widget-play button, .widget-play button").first.click()
    playwright.expect(one.row("Attacks").locator(".widget-readout")).not_to_have_text("7")
    one.box.locator(".jupyter-widget-play button, .widget-play button").first.click()
    one.says(re.compile(r"after ([89]|\d\d+) attacks"))


def test_another_noise_and_another_c_change_what_is_shown(page):
    one = Shown(page, "one-digit")
    before = one.pictures(3)
    one.choose("Noise", "Random Pixel Invert")
    for number, old in enumerate(before):
        one.until_changed(number, old)
    playwright.expect(one.row("c =")).to_contain_text("c = 1.25")  # the noise's own
    typed_into = one.row("c =").locator("[contenteditable=true]:visible")
    assert not typed_into.count(), "what is typed there would be shown, not taken"
    one.press("Attacks", "End")
    one.says("after 200 attacks")  # enough to hit grey pixels, for c does nothing to black and white ones
    before = one.picture(DIGIT)
    one.press("c =", "ArrowRight", 3)
    one.until_changed(DIGIT, before)
    playwright.expect(one.row("c =")).to_contain_text("c = 1.4")


def test_the_next_wrong_digit_is_found(page):
    one = Shown(page, "one-digit")
    field = one.row("Digit number").locator("input")
    before = field.input_value()
    one.button("Next digit this network gets wrong at this level").click()
    playwright.expect(field).not_to_have_value(before)
    one.says(re.compile(r"it is a \d"))


def test_own_digits_are_drawn_with_the_mouse(page):
    own = Shown(page, "your-own-digit")
    before = own.picture(DIGIT)
    own.button("Clear").click()
    own.says("Draw a digit, or upload a picture of one. Below is still the one before.")
    canvas = own.box.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 240, steps=12)
    page.mouse.up()
    own.until_changed(DIGIT, before)
    own.says("reads the clean digit as 1")
    drawn = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("L"))
    assert drawn[140, 140] > 200 > 50 > drawn[140, 30], "ink where the mouse went"


def test_a_broken_file_is_told_and_a_picture_is_taken(page):
    own = Shown(page, "your-own-digit")
    before = own.picture(DIGIT)
    own.upload("broken.png", b"\x89PNG but not really")
    own.says("broken.png is not an image; choose a picture (PNG,")
    assert own.picture(DIGIT) == before
    own.upload("seven.png", seven(60))
    own.until_changed(DIGIT, before)
    playwright.expect(own.box).not_to_contain_text("is not an image")


def test_the_same_file_again_after_clear_is_taken_again(page):
    own = Shown(page, "your-own-digit")
    for _ in range(3):
        own.upload("zero.png", zero(60))
        own.says("reads the clean digit as 0")
        playwright.expect(own.box).not_to_contain_text("Draw a digit, or upload", timeout=60_000)
        own.button("Clear").click()
        own.says("Draw a digit, or upload a picture of one. Below is still the one before.")


def test_files_too_large_for_a_message_leave_a_live_button(page):
    own = Shown(page, "your-own-digit")
    before = own.picture(DIGIT)
    own.upload("notes.pdf", bytes(12_000_000))
    own.says(re.compile(r"notes\.pdf, 12\.0 MB, is no picture that the browser can make smaller; choose a PNG or JPEG"))
    assert own.picture(DIGIT) == before
    large = grainy_seven()
    assert len(large) > 11_700_000
    own.upload("photo.png", large)
    own.until_changed(DIGIT, before)
    own.says("reads the clean digit as 7")
    before = own.picture(DIGIT)
    own.upload("zero.png", zero(60))
    own.until_changed(DIGIT, before)
    own.says("reads the clean digit as 0")


@pytest.mark.parametrize(("label", "largest"), [("Draw", 2**31), ("Draw", 2_000_000), ("Digit number", 9_999)])
def test_the_largest_numbers_are_shown_whole(page, label, largest):
    one = Shown(page, "one-digit")
    before, field = one.picture(DIGIT), one.row(label).locator("input[type=number]")
    field.fill(str(largest))
    field.press("Enter")
    one.until_changed(DIGIT, before)
    assert field.input_value() == str(largest)
    assert field.evaluate("box => box.scrollWidth <= box.clientWidth"), "all of it is seen"
    field.fill("0")
    field.press("Enter")


def test_a_running_curve_is_drawn_level_by_level_and_cancelled(page):
    curves = Shown(page, "all-digits")
    before = curves.picture(0)
    curves.button("Compute on").click()
    curves.until_changed(0, before)
    first = curves.picture(0)
    curves.until_changed(0, first)
    one = Shown(page, "one-digit")  # other viewers work meanwhile
    digit = one.picture(DIGIT)
    one.press("Attacks", "Home")
    one.until_changed(DIGIT, digit)
    curves = Shown(page, "all-digits")
    curves.button("Cancel").click()
    curves.says(re.compile(r"Cancelled after \d\d? % of the work"))
    playwright.expect(curves.button("Cancel")).to_be_disabled()
    stopped = curves.picture(0)
    page.wait_for_timeout(1500)
    assert curves.picture(0) == stopped


def test_the_gallery_follows_its_level(page):
    gallery = Shown(page, "gallery")
    before = gallery.picture(0)
    gallery.press("Attacks", "PageUp", 2)
    gallery.until_changed(0, before)
    level = int(gallery.value("Attacks"))
    assert level > 40
    gallery.says(f"wrongly after {level} attacks of White to Black")


def test_everything_fits_on_a_phone(page):
    page.set_viewport_size(browser.PHONE)
    if page.kind == "lab":
        page.keyboard.press("Control+b")  # the file browser leaves no room
    page.wait_for_timeout(1000)
    for name in ("one-digit", "your-own-digit", "all-digits", "gallery"):
        shown = Shown(page, name)
        width = shown.box.bounding_box()["width"]
        assert width <= browser.PHONE["width"]
        for picture in shown.box.locator("img").all():
            assert picture.bounding_box()["width"] <= width, f"{name} is cut off"
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{page.kind}-phone-{name}.png")


def test_nothing_is_asked_of_another_host(page):
    assert len(page.asked) > 10, "requests are seen"
    assert {urlsplit(url).hostname for url in page.asked if not url.startswith(("data:", "blob:"))} == {"127.0.0.1"}
    icon = page.locator(".viewer.one-digit .fa-play").first
    assert "Awesome" in icon.evaluate("icon => getComputedStyle(icon, '::before').fontFamily"), "icons come along"
    assert page.evaluate("[...document.fonts].some(font => /Awesome/.test(font.family) && font.status == 'loaded')")


def test_no_script_failed(page):
    assert not page.failures
