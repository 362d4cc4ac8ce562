"""What the browser itself must do for the viewers: take a picture file, take strokes, and name parts of the page."""

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

from lib.explorer.panels import Fail, guarded

HERE = Path(__file__).parent


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
    """A square to draw on with a mouse, a finger or the keyboard: arrow keys move the pen, space lowers and lifts it.

    `strokes` are lists of points [x, y] in units of the canvas; the browser adds each stroke once it is complete.
    """

    _esm = HERE / "drawing.js"
    strokes = traitlets.List().tag(sync=True)
    side = traitlets.Int().tag(sync=True)
    pen = traitlets.Int().tag(sync=True)


class Names(anywidget.AnyWidget):
    """Gives the viewer around it its style, and its parts the names for screen readers that ipywidgets leaves out."""

    _esm = HERE / "viewer.js"
    _css = HERE / "viewer.css"
