"""The parts that all viewers share: boxes, pictures, lines of text, buttons, and what the browser itself must do."""

import html
import logging
import textwrap
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import anywidget
import ipywidgets as widgets
import traitlets
from ipywidgets import Layout

from lib.explorer import pictures

HERE = Path(__file__).parent
Fail = Callable[[str], None]  # shows one line that says what went wrong


class Viewer:
    """Shown as its widgets where a kernel runs, and as one line of text elsewhere."""

    def __init__(self, name: str, *parts: widgets.Widget):
        self.name, self.box = name, stack(Names(), *parts).add_class("viewer").add_class(name.lower().replace(" ", "-"))

    def _repr_mimebundle_(self, **options) -> dict:
        text = f"{self.name}: turn its knobs with `make explore` or `make app`"
        return self.box._repr_mimebundle_(**options) | {"text/plain": text}


def stack(*parts: widgets.Widget, kind: str = "stack") -> widgets.Box:
    """Widgets one above another, or as the class `kind` of `viewer.css` lays them out."""
    return widgets.Box(parts).add_class(kind)


def picture(kind: str) -> widgets.Image:
    """An image widget, blank at first; `viewer.js` has its name for screen readers."""
    blank = pictures.png(pictures.Sheet(pictures.WIDTH / 2).image)
    return widgets.Image(value=blank, format="png").add_class(kind)


class Line(widgets.HTML):
    """One line of text for the reader."""

    def __init__(self, text: str = ""):
        super().__init__()
        self.add_class("text")
        if text:
            self.say(text)

    def say(self, text: str) -> None:
        self.value = f'<span role="status">{html.escape(text)}</span>'

    def warn(self, text: str) -> None:
        self.value = f'<span role="alert" class="warning">{html.escape(text)}</span>'


def button(text: str, tooltip: str, act: Callable[[], None], fail: Fail, **options) -> widgets.Button:
    """A button whose failures are shown by `fail`."""
    made = widgets.Button(description=text, tooltip=tooltip, layout=Layout(width="auto"), **options)
    made.on_click(guarded(lambda _: act(), fail))
    return made


def guarded(act: Callable[..., None], fail: Fail) -> Callable[..., None]:
    """`act` as a callback of widgets: an exception, which ipywidgets would swallow, is logged and shown by `fail`."""

    @wraps(act)
    def safely(*arguments) -> None:
        try:
            act(*arguments)
        except Exception as error:  # no caller above would show it to the reader
            fail(reported(error))

    return safely


def reported(error: Exception) -> str:
    """An exception in one line, with its type unless its text is meant for readers; the traceback goes to the log."""
    foreseen = isinstance(error, (ValueError, OSError)) and str(error)
    level = logging.INFO if foreseen else logging.ERROR
    logging.getLogger(__name__).log(level, "a viewer could not do what was asked", exc_info=error)
    text = textwrap.shorten(str(error), 500)
    return text if foreseen else ": ".join(filter(None, [type(error).__name__, text]))


class Upload(anywidget.AnyWidget):
    """A button; `take` gets the content and the name of a picture file, which the browser shrinks if it is large.

    ipywidgets' own button sends the whole file in one message. Above 10 MiB the server closes the connection, and the
    page stops working. It also ignores a file that is chosen twice.
    """

    _esm = HERE / "upload.js"
    description = traitlets.Unicode().tag(sync=True)

    def __init__(self, description: str, take: Callable[[bytes, str], None], fail: Fail):
        super().__init__(description=description)
        self._take = take
        self.on_msg(guarded(self._received, fail))

    def _received(self, _, file: dict, content: list[memoryview]) -> None:
        if not content:
            size, largest = (f"{bytes_ / 1e6:,.1f} MB" for bytes_ in (file["size"], file["largest"]))
            raise ValueError(
                f"{file['name']}, {size}, is not a picture that the browser can shrink; choose a PNG or JPEG, "
                f"or at most {largest} of another kind"
            )
        self._take(bytes(content[0]), file["name"])


class Drawing(anywidget.AnyWidget):
    """A square to draw on; the browser adds each complete stroke, points [x, y] in units of the canvas."""

    _esm = HERE / "drawing.js"
    strokes = traitlets.List().tag(sync=True)
    side, pen = traitlets.Int().tag(sync=True), traitlets.Int().tag(sync=True)


class Names(anywidget.AnyWidget):
    """Gives the viewer around it its style, and its parts the names for screen readers that ipywidgets leaves out."""

    _esm, _css = HERE / "viewer.js", HERE / "viewer.css"
