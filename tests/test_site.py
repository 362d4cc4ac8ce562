"""The site of `make site`, built anew and opened from disk by Chromium, at desktop and at phone width."""

import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser
import pytest

from lib.report import front
from lib.store.files import OUTPUTS, ROOT

pytestmark = pytest.mark.evidence
MODULES = sorted((ROOT / "lib").glob("**/*.py"))
EXECUTED = sorted(path for path in OUTPUTS.glob("**/*.ipynb") if "logs" not in path.parts)
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Its folder; a warning of Sphinx fails it."""
    folder = tmp_path_factory.mktemp("built") / "html"
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", ROOT / "docs", folder]
    build = subprocess.run(command, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    return folder


class Page(HTMLParser):
    """The places of a page, where its links go, and what a browser loads to show it."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in LOADED and found.get(LOADED[tag]):
            self.loaded.append(found[LOADED[tag]])


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.glob("**/*.html") if "_downloads" not in path.parts}


def test_every_executed_notebook_and_every_module_has_a_page(site):
    notebooks = [site / path.relative_to(ROOT).with_suffix(".html") for path in EXECUTED]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
    modules = [site / "functions" / f"{name}.html" for name in names if name != "lib"]
    assert len(notebooks) > 30 and len(modules) > 50
    assert [path for path in notebooks + modules if not path.is_file()] == []


def test_every_link_leads_somewhere(pages):
    lost = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                continue
            aim = (path.parent / unquote(to.path)).resolve() if to.path else path
            place = unquote(to.fragment)
            if not aim.exists() or (place and aim in pages and place not in pages[aim].ids):
                lost.append((path.name, link))
    assert lost == []


def test_nothing_is_loaded_from_a_host(site, pages):
    outside = {link for page in pages.values() for link in page.loaded if re.match(r"(\w+:)?//", link)}
    styles = [path for path in site.glob("**/*.css")]
    assert styles and outside == set()
    assert [path.name for path in styles if re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text())] == []


def test_the_functions_are_described(site):
    shown = re.sub(r"<[^>]+>", "", (site / "functions" / "lib.noise.perturbation.html").read_text())
    for words in ("(n, H, W) uint8", "Parameters", "Returns", "Raises", "ValueError", "attacks (int"):
        assert words in shown


def test_defaults_are_named_and_every_function_is_described(site):
    for path in (site / "functions").glob("*.html"):
        content = path.read_text()
        assert "&lt;function" not in content and str(ROOT) not in content, path.name
        summary = content.partition("<section")[2].partition("<dl")[0]
        undescribed = re.findall(r"<tr[^>]*><td><p>(?!<a )(.*?)</p>", summary)
        assert undescribed == [], path.name


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    if browser.CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(chromium):
    """A page that keeps what it asked for and what failed."""
    page = chromium.new_page()
    page.set_default_timeout(browser.PATIENCE)
    page.asked, page.failures = [], []
    page.on("request", lambda asked: page.asked.append(asked.url))
    page.on("requestfailed", lambda asked: page.failures.append(asked.url))
    page.on("pageerror", lambda error: page.failures.append(str(error)))
    yield page
    page.close()


TOO_WIDE = """() => [...document.querySelectorAll("article img:not(.box *), article .box, article .text_html")]
    .filter(box => box.getBoundingClientRect().right > innerWidth + 1 || box.complete && !box.naturalWidth)
    .map(box => box.outerHTML.slice(0, 100))"""


def test_every_page_fits_and_asks_no_host(pages, opened):
    for path in pages:
        opened.goto(path.as_uri())
        for size in (browser.DESKTOP, browser.PHONE):
            opened.set_viewport_size(size)
            across, width = opened.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert across <= width == size["width"], path
            assert opened.evaluate(TOO_WIDE) == [], path
    assert opened.failures == []
    assert {urlsplit(asked).scheme for asked in opened.asked} <= {"file", "data"}


@pytest.mark.parametrize(
    ("word", "page", "size"),
    [
        ("sigmoid", "outputs/curves.html", browser.DESKTOP),
        ("perturb", "functions/lib.noise.perturbation.html", browser.DESKTOP),
        ("vgg19", "outputs/sweep/vgg19-seed0.html", browser.PHONE),
    ],
)
def test_the_search_finds_words_of_notebooks_and_of_functions(site, opened, word, page, size):
    opened.set_viewport_size(size)
    opened.goto((site / "index.html").as_uri())
    if size == browser.PHONE:
        opened.locator(".nav-overlay-icon").click()
    opened.locator(".sidebar-search").fill(word)
    opened.keyboard.press("Enter")
    found = opened.locator(f"#search-results li:has(a[href*='{page}'])")
    found.first.wait_for()
    if page.startswith("outputs"):
        found.locator(".context .highlighted", has_text=word).first.wait_for()
    assert opened.failures == []


def test_the_first_page_sorts_every_network(site, opened):
    """By any column, numbers as numbers, what is missing last; at first by area."""
    opened.goto((site / "index.html").as_uri())
    names = opened.locator("table.sortable th").all_inner_texts()

    def column(number: int) -> list[str]:
        return opened.locator(f"table.sortable tbody td:nth-child({number + 1})").all_inner_texts()

    shown = front.overview()
    assert column(0) == list(shown.index) and {"FC", "ResNet-101", "VGG-19"} <= set(shown.index)
    for number in range(1, len(names)):
        for sign in (-1, 1):
            opened.locator("table.sortable th button").nth(number).click()
            values = [math.inf if text == "-" else sign * float(text.split()[0]) for text in column(number)]
            assert values == sorted(values) and len(values) == len(shown), names[number]


def test_on_a_phone_what_is_wider_says_so(site, opened):
    opened.set_viewport_size(browser.PHONE)
    opened.goto((site / "outputs" / "claims.html").as_uri())
    opened.locator(".box.wide table").first.wait_for()
    assert opened.evaluate("document.documentElement.scrollHeight") < 16_000  # one word a line made 21,000
    opened.goto((site / "index.html").as_uri())
    assert opened.locator("figure.narrow img").is_visible() and not opened.locator("figure.broad img").is_visible()
    opened.goto((site / "outputs" / "paper.html").as_uri())
    assert [opened.locator(f"img.{kind}").first.is_visible() for kind in ("narrow", "broad")] == [True, False]
    opened.locator("iframe").scroll_into_view_if_needed()  # the page that plays, within the text
    opened.frame_locator("iframe").locator("#stage").wait_for()
