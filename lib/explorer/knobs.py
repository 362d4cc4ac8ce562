"""The knobs that turn a state, and the loop that draws its newest value; the viewers are made of them."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import ipywidgets as widgets
from ipywidgets import Layout
from traitlets import TraitError

from lib.explorer import one_digit
from lib.explorer.one_digit import LARGEST, STOPS, State
from lib.explorer.panels import Fail, told
from lib.noise import NOISES, default_c
from lib.report import figures

Show = Callable[[], None]  # puts a finished picture into its widget
WIDE = Layout(width="390px", max_width="99%")
KNOB_STYLE = {"description_width": "92px"}
IN_TURN = ThreadPoolExecutor(1)  # the steps of all viewers, one after another: who asks first is shown first


class Newest:
    """Works on the newest thing asked for, step by step in a thread, and never on one that was overtaken.

    The kernel's event loop stays free meanwhile, so messages, other cells and an interrupt get through.

    Args:
        steps: what to do for one thing asked; every step computes and yields a function that shows the outcome.
        fail: is told, in one line, why a step failed, whatever it was; nothing of what was overtaken meanwhile.
    """

    def __init__(self, steps: Callable[[Any], Iterator[Show]], fail: Fail):
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

    async def settled(self) -> None:
        """Wait until all that was asked for is shown."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._overtaken:
            wanted, self._overtaken = self._wanted, False
            if wanted is None:
                return
            try:
                steps = self._steps(wanted)
                while not self._overtaken and (show := await loop.run_in_executor(IN_TURN, next, steps, None)):
                    show()
            except Exception as error:  # a task that ends by one tells nobody, and its viewer would wait for ever
                line = told(error)
                if not self._overtaken:
                    self._fail(line)


OFFERED = ("clean", "current")  # sources
# The knobs that offer a list: what is on it, the state's own value always.
CHOICES: dict[str, Callable[[State], list]] = {
    "model": one_digit.choices,
    "noise": lambda _: [(figures.title(noise), noise) for noise in NOISES],
    "source": lambda state: [(f"the {source} image", source) for source in dict.fromkeys([*OFFERED, state.source])],
    "c": lambda state: [(repr(c).removesuffix(".0"), c) for c in sorted({*STOPS, default_c(state.noise, state.c)})],
}


def _named_slider(name: str, options: list, **more: Any) -> widgets.SelectionSlider:
    """A slider that shows its value in its name: ipywidgets' own readout takes any text that is typed into it."""
    slider = widgets.SelectionSlider(options=options, readout=False, **more)

    def tell(_: Any = None) -> None:
        slider.description = f"{name} = {slider.label}"

    slider.observe(tell, "label")
    tell()
    return slider


# What each knob is; its name is that of the state's field.
KNOBS: dict[str, Callable[[State], widgets.ValueWidget]] = {
    "model": lambda state: widgets.Dropdown(options=CHOICES["model"](state), description="Network"),
    "number": lambda state: widgets.BoundedIntText(
        min=0,
        max=len(one_digit.digits(state.dataset).test_images) - 1,
        description="Digit number",
        tooltip="Which of the test images",
    ),
    "noise": lambda state: widgets.Dropdown(options=CHOICES["noise"](state), description="Noise"),
    "c": lambda state: _named_slider("c", CHOICES["c"](state), tooltip="c of equations (3) and (4): the strength"),
    "attacks": lambda state: widgets.IntSlider(
        min=0, max=LARGEST["attacks"], description="Attacks", tooltip="How many pixels are attacked, one after another"
    ),
    "draw": lambda state: widgets.BoundedIntText(
        min=0, max=LARGEST["draw"], description="Draw", tooltip="Another draw attacks other pixels at random"
    ),
    "replacement": lambda state: widgets.Checkbox(
        description="a pixel may be drawn again", indent=True, tooltip="Off: every pixel is drawn once at most"
    ),
    "source": lambda state: widgets.Dropdown(
        options=CHOICES["source"](state),
        description="Drawn from",
        tooltip="The image that says which pixels may be attacked and how bright they are",
    ),
}


class Knobs:
    """Some of `KNOBS` and the state they turn.

    Args:
        state: to begin with.
        names: which knobs.
        changed: is told every new state.
        fail: is told why a knob could not be turned; the knobs then show the state as it is.
    """

    def __init__(self, state: State, names: list[str], changed: Callable[[State], None], fail: Fail):
        self.state, self._changed, self._fail, self._mirroring = state, changed, fail, False
        self.widgets = {name: KNOBS[name](state) for name in names}
        self._mirror()
        for name, widget in self.widgets.items():
            widget.style, widget.layout = KNOB_STYLE, WIDE
            widget.observe(partial(self._turned, name), "value")

    def _turned(self, name: str, change: dict) -> None:
        if self._mirroring:
            return
        try:
            self.turn(name, **{name: change["new"]})
        except Exception as error:  # an observer's exception is seen by nobody
            self._mirror()
            self._fail(told(error))

    def turn(self, by: str | None = None, /, **changes) -> None:
        """Change the state; the knobs show it, except `by`, which is under the reader's hand."""
        self.state = self.state.turned(**changes)
        self._mirror(by)
        self._changed(self.state)

    def _mirror(self, by: str | None = None) -> None:
        """Let the knobs show the state, all of them or all but one."""
        self._mirroring = True
        try:
            for name, widget in self.widgets.items():
                if name != by:
                    self._show(name, widget)
        finally:
            self._mirroring = False

    def _show(self, name: str, widget: widgets.ValueWidget) -> None:
        value = getattr(self.state, name)
        try:
            widget.value = value
        except TraitError:  # not on the knob's list
            with widget.hold_sync():
                widget.options = CHOICES[name](self.state)
                widget.value = value
