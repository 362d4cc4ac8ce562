"""The page that plays, opened from disk by Chromium: its pixels, logits and curves are those of Python."""

import base64
import hashlib
import runpy

import browser
import numpy as np
import pytest
import torch
from test_noise import GOLDEN, READINGS

from lib import networks
from lib.evaluation.plan import USUAL_NOISES
from lib.noise import NOISES, altered_table, perturb
from lib.store import data
from lib.store.files import ROOT

pytestmark = pytest.mark.slow
BUILD = runpy.run_path(str(ROOT / "docs" / "play" / "build.py"))
TRAINING = data.load().train_images[:1000]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The page, a list of what it asked for and of what failed in `page.events`."""
    playwright = pytest.importorskip("playwright.sync_api")
    if browser.CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    path = tmp_path_factory.mktemp("play") / "play.html"
    BUILD["build"](path)
    assert path.stat().st_size < 25e6
    with playwright.sync_playwright() as driver:
        page = driver.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"]).new_page()
        page.set_default_timeout(browser.PATIENCE)
        page.events = []
        page.on("request", lambda asked: page.events.append(asked.url))
        page.on("pageerror", lambda error: page.events.append(str(error)))
        page.goto(path.as_uri())
        page.locator("#stage").wait_for()
        yield page
        assert page.events == [path.as_uri()], "it asks for nothing, and nothing fails"


def in_page(page, images: np.ndarray, noise: str, attacks: int, c: float, draw: int) -> np.ndarray:
    """`perturb` of the page on images (n, 28, 28), numbered from 0."""
    script = """([text, noise, attacks, c, draw]) => {
        const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
        const key = BigInt(content.noises[noise].keys[draw]);
        const one = (i) => perturb(bytes.subarray(784 * i, 784 * (i + 1)), noise, attacks, c, key, i);
        return Array.from({ length: bytes.length / 784 }, (_, i) => String.fromCharCode(...one(i))).join("");
    }"""
    text = page.evaluate(script, [base64.b64encode(images.tobytes()).decode(), noise, attacks, c, draw])
    return np.frombuffer(text.encode("latin-1"), np.uint8).reshape(images.shape)


@pytest.mark.parametrize("noise", USUAL_NOISES)
def test_pixels_are_those_of_the_recorded_results(opened, noise):
    readings = [reading for reading in READINGS if reading != {"replacement": False, "source": "list"}]
    place = readings.index({"replacement": True, "source": "clean"})
    noisy = [in_page(opened, data.load().test_images[:500], noise, n, NOISES[noise].c, 2) for n in (10, 100, 200)]
    assert hashlib.sha256(np.stack(noisy).tobytes()).hexdigest()[:16] == GOLDEN[noise].split()[place]


@pytest.mark.parametrize("noise", USUAL_NOISES)
@pytest.mark.parametrize("c", [1e-300, 0.1, 0.5, 1, 1.25, 1.7, 3.7, 255, 1e300])
def test_pixels_of_any_c_and_any_image(opened, noise, c):
    random = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    images = np.concatenate([random, np.full((1, 28, 28), 0, np.uint8), np.full((1, 28, 28), 255, np.uint8)])
    for attacks, draw in ((0, 0), (1, 99), (200, 57)):
        expected = perturb(images, noise, attacks, c=c, seed=draw)
        np.testing.assert_array_equal(in_page(opened, images, noise, attacks, c, draw), expected)
    table = opened.evaluate("([noise, c]) => Array.from(alteredTable(noise, c))", [noise, c])
    assert table == altered_table(noise, c).tolist()


def adapted(model: str, noise: str, attacks: int) -> networks.Net:
    """The network with statistics of these attacks, interpolated between multiples of 50."""
    net, (below, past) = networks.load(model, 0, BUILD["TRAINED"][model]), divmod(attacks, 50)
    net = BUILD["with_moments"](net, TRAINING) if model == "fc" else net
    ends = [min(50 * level, 200) for level in (below, below + 1)]
    nets = [BUILD["estimate"](net, perturb(TRAINING, noise, end, seed=100)) if end else net for end in ends]
    for norm, low, high in zip(*map(BUILD["norms"], (net, *nets)), strict=True):
        norm.running_mean = low.running_mean.lerp(high.running_mean, past / 50)
        norm.running_var = low.running_var.lerp(high.running_var, past / 50)
    return net


def test_the_control_puts_each_hidden_units_moments_back():
    """Of the fully connected net, which has no batch normalisation."""
    noisy = perturb(TRAINING, "black_to_white", 100)
    net = BUILD["with_moments"](networks.load("fc"), TRAINING)
    hidden = networks.Net(net.body[:3], size=28), networks.Net(BUILD["estimate"](net, noisy).body[:3], size=28)
    with torch.inference_mode():
        clean, changed, restored = (
            of(torch.tensor(images)[:, None] / 255)
            for of, images in ((hidden[0], TRAINING), (hidden[0], noisy), (hidden[1], noisy))
        )
    for moment in (torch.mean, torch.std):
        np.testing.assert_allclose(moment(restored, 0), moment(clean, 0), atol=1e-3)
        assert abs(moment(changed, 0) - moment(clean, 0)).max() > 0.1


@pytest.mark.parametrize("model", BUILD["TRAINED"])
@pytest.mark.parametrize(
    ("noise", "attacks"),
    [("white_to_black", 30), ("black_to_white", 100), ("edge_to_altered", 175), ("random_pixel_invert", 200)],
)
def test_logits_are_those_of_torch(opened, model, noise, attacks):
    noisy = perturb(data.load().test_images[:20], noise, attacks, seed=3)
    which = list(BUILD["TRAINED"]).index(model)
    script = """([which, images, noise, attacks]) => images.map((image) => [null, noise].map((of) =>
        Array.from(logits(networks[which], image, of, attacks, content.levels))))"""
    found = opened.evaluate(script, [which, noisy.reshape(20, 784).tolist(), noise, attacks])
    with torch.inference_mode():
        nets = [networks.load(model, 0, BUILD["TRAINED"][model]), adapted(model, noise, attacks)]
        expected = torch.stack([net(torch.tensor(noisy)[:, None] / 255) for net in nets], 1)
    assert abs(expected[:, 0] - expected[:, 1]).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def draw_by_pointer(page):
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 200, steps=5)
    page.mouse.up()


def draw_by_keyboard(page):
    page.focus("#number")
    for key in ["Tab", "Space", *["ArrowDown"] * 9, *["ArrowLeft"] * 3, "Space", "ArrowUp", "Tab"]:
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.id") == "clear", "Tab leaves the drawing"


def choose(page):
    page.fill("#number", "42")


@pytest.mark.parametrize("size", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("digit", [draw_by_pointer, draw_by_keyboard, choose])
def test_the_python_that_is_shown_gives_what_is_shown(opened, size, digit):
    opened.set_viewport_size(size)
    opened.select_option("#noise", "edge_to_altered")
    for name, value in {"c": "1.7", "attacks": "80", "draw": "5"}.items():
        opened.fill(f"#{name}", value)
    digit(opened)
    opened.wait_for_function("curves.level === CURVE.length")
    shown: dict = {}
    exec(opened.locator("#python").text_content(), shown)
    canvas = "Array.from(document.getElementById('noisy').getContext('2d').getImageData(0, 0, 28, 28).data)"
    np.testing.assert_array_equal(np.reshape(opened.evaluate(canvas), (28, 28, 4))[..., 0], shown["noisy"][0])
    levels = perturb(shown["digit"][None], "edge_to_altered", range(0, 201, 10), c=1.7, seed=5, index=[shown["index"]])
    label, curves = opened.evaluate("[state.label, curves.values.map((of) => of[0])]")
    for model, curve in zip(BUILD["TRAINED"], curves, strict=True):
        with torch.inference_mode():
            net = networks.load(model, 0, BUILD["TRAINED"][model])
            expected = net(torch.tensor(levels) / 255).softmax(1)[:, label]
        np.testing.assert_allclose(curve, expected, atol=1e-4)
    assert shown["digit"].max() >= 250 and opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
