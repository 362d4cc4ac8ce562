"""A button that takes a picture file, whatever its size: the browser makes a large picture smaller before it sends it.

ipywidgets' own sends all of a file in one message. Above 10 MiB the server ends the connection, and nothing on the page
works from then on; and the same file again is no change to it, so that nobody is told.
"""

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

from lib.explorer.panels import Fail, guarded


class Upload(anywidget.AnyWidget):
    """The button.

    Args:
        description: on the button.
        take: is given the content and the name of every file that is chosen.
        fail: is told, in one line, why a file could not be taken.
    """

    _esm = Path(__file__).with_name("upload.js")
    description = traitlets.Unicode().tag(sync=True)

    def __init__(self, description: str, take: Callable[[bytes, str], None], fail: Fail):
        super().__init__(description=description)
        self._take = take
        self.on_msg(guarded(self._received, fail))

    def _received(self, _, file: dict, content: list[memoryview]) -> None:
        if not content:
            size, largest = (f"{bytes_ / 1e6:,.1f} MB" for bytes_ in (file["size"], file["largest"]))
            raise ValueError(
                f"{file['name']}, {size}, is no picture that the browser can make smaller; choose a PNG or JPEG, "
                f"or at most {largest} of another kind"
            )
        self._take(bytes(content[0]), file["name"])
