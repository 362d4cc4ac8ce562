"""What all viewers are laid out with: boxes that wrap on a phone, pictures, buttons and lines of text."""

import html
import logging
import textwrap
from collections.abc import Callable
from functools import wraps

import ipywidgets as widgets
from ipywidgets import Layout

from lib.explorer import pictures
from lib.report import figures


class Viewer:
    """Shown as its widgets where a kernel runs, and as one line of text where none does."""

    def __init__(self, name: str, box: widgets.Widget):
        self.name, self.box = name, box
        box.add_class("viewer")
        box.add_class(name.lower().replace(" ", "-"))

    def _repr_mimebundle_(self, **options) -> dict:
        bundle = self.box._repr_mimebundle_(**options)
        return bundle | {"text/plain": f"{self.name}: turn its knobs with `make explore` or `make app`"}


def rows(*parts: widgets.Widget) -> widgets.Box:
    """Widgets one above another, as wide as the page."""
    return widgets.VBox(parts, layout=Layout(width="100%", overflow="hidden"))


def column(*parts: widgets.Widget) -> widgets.Box:
    """As wide as a picture."""
    return widgets.VBox(parts, layout=Layout(width=f"{pictures.WIDTH + 8}px", max_width="100%", overflow="hidden"))


def wrapped(*parts: widgets.Widget) -> widgets.Box:
    """Side by side where there is room, below each other on a phone."""
    return widgets.HBox(parts, layout=Layout(flex_flow="row wrap", align_items="flex-start", width="100%"))


def picture() -> widgets.Image:
    """Blank until something is drawn."""
    layout = Layout(width=f"{pictures.WIDTH}px", max_width="99%", margin="4px 0")
    return widgets.Image(value=pictures.png(pictures.Sheet(pictures.WIDTH / 2).image), format="png", layout=layout)


Fail = Callable[[str], None]  # is told in one line what went wrong


def button(text: str, tooltip: str, act: Callable[[], None], fail: Fail, **options) -> widgets.Button:
    """`fail` is told why a click could not be answered."""
    made = widgets.Button(description=text, tooltip=tooltip, layout=Layout(width="auto"), **options)
    made.on_click(guarded(lambda _: act(), fail))
    return made


def guarded(act: Callable[..., None], fail: Fail) -> Callable[..., None]:
    """`act` as a callback of widgets, whose exceptions nobody sees: the log has them all, `fail` a line of each."""

    @wraps(act)
    def safely(*arguments) -> None:
        try:
            act(*arguments)
        except Exception as error:  # whatever it is, no caller above would show it to the reader
            fail(told(error))

    return safely


def told(error: Exception) -> str:
    """An exception in one line for the reader; its traceback goes to the log.

    `ValueError` and `OSError` are written for readers, so their text is enough; any other is told with its type.
    """
    foreseen = isinstance(error, (ValueError, OSError)) and str(error)
    level = logging.INFO if foreseen else logging.ERROR
    logging.getLogger(__name__).log(level, "a viewer could not do what was asked", exc_info=error)
    text = textwrap.shorten(str(error), 500)
    return text if foreseen else ": ".join(filter(None, [type(error).__name__, text]))


class Line(widgets.HTML):
    """One line of text for the reader, or for what went wrong."""

    def say(self, text: str) -> None:
        self.value = f'<span role="status" style="line-height: 1.4">{html.escape(text)}</span>'

    def warn(self, text: str) -> None:
        colour = figures.FOOLED
        self.value = f'<span role="alert" style="line-height: 1.4; color: {colour}">{html.escape(text)}</span>'
