"""The knobs that turn a state, and the loop that draws its newest value; the viewers are made of them."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import ipywidgets as widgets
from ipywidgets import Layout

from lib import explorer, figures
from lib.explorer import ATTACKS, STOPS, State
from lib.noise import NOISES

Show = Callable[[], None]  # puts a finished picture into its widget
WIDE = Layout(width="390px", max_width="99%")
STYLE = {"description_width": "92px"}


class Newest:
    """Works on the newest thing asked for, step by step in a thread, and never on one that was overtaken.

    The kernel's event loop stays free between the steps, so messages, other cells and an interrupt get through.

    Args:
        steps: what to do for one thing asked; every step computes and yields a function that shows the outcome.
        fail: is told, in one line, why a step failed.
    """

    def __init__(self, steps: Callable[[Any], Iterator[Show]], fail: Callable[[str], None]):
        self._steps, self._fail = steps, fail
        self._wanted, self._overtaken = None, False
        self._task: asyncio.Task | None = None

    def ask(self, wanted: Any) -> None:
        """Work on this from the next step on; `None` ends all work."""
        self._wanted, self._overtaken = wanted, True
        if wanted is not None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._work())

    def cancel(self) -> None:
        """Stop after the step under way."""
        self.ask(None)

    def now(self, wanted: Any) -> None:
        """All steps at once, before anybody can turn a knob."""
        for show in self._steps(wanted):
            show()

    async def settled(self) -> None:
        """Wait until all that was asked for is shown."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._overtaken:
            wanted, self._overtaken = self._wanted, False
            if wanted is None:
                return
            steps = self._steps(wanted)
            try:
                while not self._overtaken and (show := await asyncio.to_thread(next, steps, None)):
                    show()
            except (ValueError, OSError) as error:
                self._fail(str(error))


# What each knob is; its name is that of the state's field.
KNOBS: dict[str, Callable[[State], widgets.ValueWidget]] = {
    "model": lambda state: widgets.Dropdown(
        options=explorer.trained(state.outputs, state.train_seed), description="Network"
    ),
    "number": lambda state: widgets.BoundedIntText(
        min=0, max=9_999, description="Digit number", tooltip="Which of the 10,000 test images"
    ),
    "noise": lambda state: widgets.Dropdown(
        options=[(figures.title(noise), noise) for noise in NOISES], description="Noise"
    ),
    "c": lambda state: widgets.SelectionSlider(
        options=[(f"{c:g}", c) for c in sorted({*STOPS, state.c})],
        description="c (strength)",
        tooltip="c of equations (3) and (4)",
    ),
    "attacks": lambda state: widgets.IntSlider(
        min=0, max=ATTACKS, description="Attacks", tooltip="How many pixels are attacked, one after another"
    ),
    "draw": lambda state: widgets.BoundedIntText(
        min=0, max=999_999, description="Draw", tooltip="Another draw attacks other pixels at random"
    ),
    "revisit": lambda state: widgets.Checkbox(
        description="a pixel may be attacked again", indent=True, tooltip="Off: every pixel is attacked once at most"
    ),
}


class Knobs:
    """Some of `KNOBS` and the state they turn.

    Args:
        state: to begin with.
        names: which knobs.
        changed: is told every new state.
    """

    def __init__(self, state: State, names: list[str], changed: Callable[[State], None]):
        self.state, self._changed, self._mirroring = state, changed, False
        self.widgets = {name: KNOBS[name](state) for name in names}
        for name, widget in self.widgets.items():
            widget.value, widget.style, widget.layout = getattr(state, name), STYLE, WIDE
            widget.observe(partial(self._turned, name), "value")

    def _turned(self, name: str, change: dict) -> None:
        if not self._mirroring:
            self.turn(name, **{name: change["new"]})

    def turn(self, by: str | None = None, /, **changes) -> None:
        """Change the state; the knobs show it, except `by`, which is under the reader's hand."""
        self.state = self.state.turned(**changes)
        self._mirroring = True
        for name, widget in self.widgets.items():
            if name != by:
                widget.value = getattr(self.state, name)
        self._mirroring = False
        self._changed(self.state)
