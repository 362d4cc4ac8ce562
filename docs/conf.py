"""The site that `make site` builds: this folder, and the executed notebooks as they lie in outputs/. Nothing is run."""

import base64
import json
import re
import runpy
import shutil
from pathlib import Path

from lib.report import front

ROOT = Path(__file__).resolve().parents[1]
project = "What pixel noise does to a network"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
include_patterns = ["*.md", "functions/*", "outputs/*.ipynb", "outputs/*/*.ipynb"]
exclude_patterns = ["outputs/logs"]
suppress_warnings = ["myst.header", "ref.python"]  # outputs have headings of their own; attributes may share a name

nb_execution_mode = "off"

shutil.rmtree(Path(__file__).with_name("functions"), ignore_errors=True)  # else it keeps modules that are gone
autodoc_default_options = {"members": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_inherit_docstrings = False
maximum_signature_line_length = 80
default_role = "code"
python_use_unqualified_type_names = True

# What stands in the paper's text for the words on the page that plays.
PLAY = '<iframe title="Attack a digit yourself" data-src="../play.html"></iframe>'

WIDTHS = (("", "broad"), ("-narrow", "narrow"))  # the ends of files of one figure, and their classes in style.css

html_theme = "furo"
html_title = project
html_static_path = ["style.css", "page.js"]
html_css_files = ["style.css"]
html_js_files = ["page.js"]
html_copy_source = False
html_show_copyright = False


def as_page(app, docname: str, source: list[str]) -> None:
    """The first page with its table; a notebook as it is read: one network's with its name, the paper without code."""
    if docname == "index":
        table = front.overview().reset_index().to_html(index=False, classes="dataframe sortable", border=0)
        source[0] = source[0].replace("{{ networks }}", table)
    if not docname.startswith("outputs/"):
        source[0] = re.sub(r"\[([^\[\]]+)\]\(\.\./(outputs/[\w/@-]+)\.ipynb\)", r"{doc}`\1 <\2>`", source[0])
        return
    notebook = json.loads(source[0])
    if docname == "outputs/paper":
        for cell in notebook["cells"]:
            cell["metadata"]["tags"] = ["remove-input"]
            contents = re.compile(r"\*\*Contents:.*?\n\n", re.S)  # the site has its own
            text = re.sub(r".*`play.html`.*", PLAY, contents.sub("", "".join(cell["source"])))
            cell["source"] = text.splitlines(keepends=True)
        narrow_too(notebook)
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        text = all("text/markdown" in output.get("data", {}) for output in outputs)  # or nothing
        if cell["cell_type"] == "code" and text and docname != "outputs/paper":  # what is found comes first
            cell["metadata"]["tags"] = sorted({*cell["metadata"].get("tags", []), "hide-input"})
    _, *kind, name = docname.split("/")
    if kind:
        question, *text = "".join(notebook["cells"][0]["source"]).splitlines(keepends=True)
        title = f"# {kind[0].capitalize()}: {name.removesuffix('-seed0')}\n"
        notebook["cells"][0]["source"] = [title, f"\n*{question.lstrip('# ').strip()}*\n", *text]
    # outputs/ lies outside docs/, which has a link to it: MyST follows links between its notebooks out of the site
    linked = re.sub(r"\[([^\[\]]+)\]\(([\w/@-]+)\.ipynb\)", r"{doc}`\1 </outputs/\2>`", json.dumps(notebook))
    source[0] = re.sub(r"\[([^\[\]]+)\]\(\.\./[^)\s]+\)", r"\1", linked)  # a file of the repository has no page


def narrow_too(notebook: dict) -> None:
    """Figures of which a narrow variant is saved, NAME-narrow.png, are shown in both, each on its screens."""
    narrow = {path.name: path for path in (ROOT / "outputs" / "figures").glob("*-narrow.png")}
    names = [path.with_name(name.replace("-narrow", "")) for name, path in narrow.items()]
    known = {base64.b64encode(path.read_bytes()).decode(): path.stem for path in names}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if name := known.get("".join(output.get("data", {}).get("image/png", "")).strip().replace("\n", "")):
                alt = output["metadata"]["image/png"]["alt"]
                both = (
                    f"```{{image}} figures/{name}{end}.png\n:class: {kind}\n:alt: {alt}\n```\n" for end, kind in WIDTHS
                )
                made = {"cell_type": "markdown", "id": cell["id"], "metadata": {}, "source": ["".join(both)]}
                cell.clear()
                cell.update(made)


def as_written(app, what, name, documented, options, signature: str | None, returned: str | None):
    """Defaults by their names: none is a path of this machine."""
    written = re.sub(rf"(?:Posix)?Path\('{ROOT}/(\w+)'\)", r"ROOT / '\1'", signature or "")
    return re.sub(r"<function (?:\w+\.)*(?:(\w+)|<lambda>)>", lambda to: to[1] or "...", written) or signature, returned


def as_text(app, what, name, documented, options, lines: list[str]) -> None:
    """Docstrings are plain text with code in backticks: other marks stand for themselves."""
    lines[:] = [re.sub(r"(`[^`]*`(?=[^\s,.;:)]))|(`[^`]*`)|([*|])", _as_text, line) for line in lines]


def _as_text(mark: re.Match) -> str:
    touching, code, other = mark.groups()
    return f"{touching}\\ " if touching else code or f"\\{other}"


def finish(app, failure: Exception | None) -> None:
    """The page that plays, `play.html`, and what the search shows: the text of all pages, which it may not read."""
    if failure is None and app.builder.format == "html":
        out, texts = Path(app.outdir), {}
        runpy.run_path(str(ROOT / "docs" / "play" / "build.py"))["build"](out / "play.html")
        for docname in app.env.found_docs:
            main = re.search(r"<article.*</article>", (out / f"{docname}.html").read_text(), re.S)
            shown = re.sub(
                r"<style.*?</style>|<a class=.headerlink.*?</a>|<[^>]+>", "", main[0] if main else "", flags=re.S
            )
            texts[f"{docname}.html"] = re.sub(r"\s+", " ", shown)
        (out / "_static" / "texts.js").write_text(f"const texts = {json.dumps(texts, ensure_ascii=False)};")


def with_texts(app, pagename: str, template: str, context: dict, doctree) -> None:
    if pagename == "search":
        app.add_js_file("texts.js")


def setup(app) -> None:
    app.connect("build-finished", finish)
    app.connect("html-page-context", with_texts)
    app.connect("source-read", as_page)
    app.connect("autodoc-process-signature", as_written)
    app.connect("autodoc-process-docstring", as_text, priority=400)  # before Args: and Returns: are read
