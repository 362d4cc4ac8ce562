"""The parts that all viewers share: boxes that wrap on a phone, pictures, buttons and lines of text."""

import html
import logging
import textwrap
from collections.abc import Callable
from functools import wraps

import ipywidgets as widgets
from ipywidgets import Layout

from lib.explorer import pictures


class Viewer:
    """Shown as its widgets where a kernel runs, and as one line of text elsewhere."""

    def __init__(self, name: str, box: widgets.Widget):
        self.name, self.box = name, box
        box.add_class("viewer")
        box.add_class(name.lower().replace(" ", "-"))

    def _repr_mimebundle_(self, **options) -> dict:
        bundle = self.box._repr_mimebundle_(**options)
        return bundle | {"text/plain": f"{self.name}: turn its knobs with `make explore` or `make app`"}


def stack(*parts: widgets.Widget, kind: str = "") -> widgets.Box:
    """Widgets one above another, or as the class `kind` of `viewer.css` lays them out."""
    return widgets.Box(parts).add_class(kind or "stack")


def picture(kind: str) -> widgets.Image:
    """An image widget, blank at first; `viewer.js` has its name for screen readers."""
    blank = pictures.png(pictures.Sheet(pictures.WIDTH / 2).image)
    return widgets.Image(value=blank, format="png").add_class(kind)


Fail = Callable[[str], None]  # shows one line that says what went wrong


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
            fail(told(error))

    return safely


def told(error: Exception) -> str:
    """An exception in one line for the reader; its traceback goes to the log.

    The texts of `ValueError` and `OSError` are written for readers; other exceptions are shown with their type.
    """
    foreseen = isinstance(error, (ValueError, OSError)) and str(error)
    level = logging.INFO if foreseen else logging.ERROR
    logging.getLogger(__name__).log(level, "a viewer could not do what was asked", exc_info=error)
    text = textwrap.shorten(str(error), 500)
    return text if foreseen else ": ".join(filter(None, [type(error).__name__, text]))


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
