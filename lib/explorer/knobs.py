"""The knobs that change a state, and the loop that computes and shows the newest one."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import ipywidgets as widgets
from ipywidgets import Layout
from traitlets import TraitError

from lib import networks
from lib.explorer import one_digit
from lib.explorer.one_digit import ADAPTED_ON, LARGEST, STATISTICS, STOPS, State
from lib.explorer.panels import Fail, reported
from lib.noise import NOISES, default_c
from lib.report import figures
from lib.store import data

Show = Callable[[], None]  # puts a finished picture into its widget
WIDE = Layout(width="390px", max_width="99%")
KNOB_STYLE = {"description_width": "92px"}
IN_TURN = ThreadPoolExecutor(1)  # one step at a time, of all viewers


class Newest:
    """Works on the newest request only, step by step in a thread, so that the kernel's event loop stays free.

    Viewers take turns; one whose knob was just turned goes first. Each of the `steps` of a request computes and yields
    a function that shows its result; `fail` shows in one line why a step failed, unless its request was superseded.
    """

    _urgent: "Newest | None" = None  # goes first

    def __init__(self, steps: Callable[[Any], Iterator[Show]], fail: Fail):
        self._steps, self._fail = steps, fail
        self._wanted, self._overtaken = None, False
        self._task: Any = None  # asyncio's, or none yet

    def ask(self, wanted: Any, urgent: bool = False) -> None:
        """Work on this after the step under way; `None` ends all work."""
        self._wanted, self._overtaken = wanted, True
        if urgent:
            Newest._urgent = self
        if wanted is not None and not self._busy:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def cancel(self) -> None:
        """Stop after the step under way."""
        self.ask(None)

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def _ahead(self) -> "Newest | None":
        """The viewer that goes first, if it is another one and has not finished."""
        first = Newest._urgent
        return first if first and first is not self and first._busy else None

    def _step(self, steps: Iterator[Show]) -> Show | None:
        """The next step, unless it has become too late for it while it was queued."""
        return (lambda: None) if self._overtaken or self._ahead else next(steps, None)

    async def settled(self) -> None:
        """Wait until all that was asked for is shown."""
        while self._busy:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._overtaken:
            wanted, self._overtaken = self._wanted, False
            if wanted is None:
                return
            try:
                steps = self._steps(wanted)
                while not self._overtaken:
                    if self._ahead:
                        await asyncio.sleep(0.01)  # not until it has settled: it may come to wait for this one
                    elif show := await loop.run_in_executor(IN_TURN, self._step, steps):
                        show()
                    else:
                        break
            except Exception as error:  # would otherwise end the task unseen, and the viewer would wait for ever
                line = reported(error)
                if not self._overtaken:
                    self._fail(line)


OFFERED = ("clean", "current")  # sources
# The options of the knobs that have a list, which always includes the state's own value.
CHOICES: dict[str, Callable[[State], list]] = {
    "model": lambda state: [(networks.title(model), model) for model in one_digit.choices(state)],
    "noise": lambda _: [(figures.title(noise), noise) for noise in NOISES],
    "source": lambda state: [(f"the {source} image", source) for source in dict.fromkeys([*OFFERED, state.source])],
    "statistics": lambda _: [(name, kind) for kind, name in STATISTICS.items()],
    "c": lambda state: [(repr(c).removesuffix(".0"), c) for c in sorted({*STOPS, default_c(state.noise, state.c)})],
}
# The widget of each knob, by the name of the state's field, with its name for the reader and what it does.
KNOBS: dict[str, tuple[type[widgets.ValueWidget], str, str]] = {
    "model": (widgets.Dropdown, "Network", "Which trained network"),
    "number": (widgets.BoundedIntText, "Digit number", "Which test image"),
    "noise": (widgets.Dropdown, "Noise", "Which pixels are attacked, and how"),
    "c": (widgets.SelectionSlider, "c", "c of equations (3) and (4): the strength"),
    "attacks": (widgets.IntSlider, "Attacks", "How many pixels are attacked, one after another"),
    "statistics": (
        widgets.Dropdown,
        "Statistics",
        "Where the mean and variance of activations come from: training images without noise, "
        f"or {ADAPTED_ON} with this noise",
    ),
    "draw": (widgets.BoundedIntText, "Draw", "Another draw attacks other pixels at random"),
    "replacement": (widgets.Checkbox, "a pixel may be drawn again", "Off: each pixel is drawn at most once"),
    "source": (
        widgets.Dropdown,
        "Drawn from",
        "The image that decides which pixels may be attacked, and how bright they are",
    ),
}


def knob(name: str, state: State) -> widgets.ValueWidget:
    """The widget of a knob, with the options or the largest value that it has for this state."""
    kind, words, tooltip = KNOBS[name]
    largest = LARGEST | {"number": len(data.load(state.dataset).test_images) - 1}
    range_ = {"options": CHOICES[name](state)} if name in CHOICES else {"max": largest[name]} if name in largest else {}
    made = kind(description=words, tooltip=tooltip, style=KNOB_STYLE, layout=WIDE, **range_)
    if name == "c":  # its name shows its value, because ipywidgets' own readout accepts any text typed into it
        made.readout = False
        made.observe(lambda _: made.set_trait("description", f"{words} = {made.label}"), "label")
        made.description = f"{words} = {made.label}"
    return made


class Knobs:
    """Some of `KNOBS` and the state that they change; if one cannot be turned, `fail` shows why, and they go back to
    it.
    """

    def __init__(self, state: State, names: list[str], changed: Callable[[State], None], fail: Fail):
        self.state, self._changed, self._fail, self._mirroring = state, changed, fail, False
        self.widgets = {name: knob(name, state) for name in names}
        self._mirror()
        for name, widget in self.widgets.items():
            widget.observe(partial(self._turned, name), "value")

    def _turned(self, name: str, change: dict) -> None:
        if self._mirroring:
            return
        try:
            self.turn(name, **{name: change["new"]})
        except Exception as error:  # ipywidgets swallows the exceptions of observers
            self._mirror()
            self._fail(reported(error))

    def turn(self, by: str | None = None, /, **changes) -> None:
        """Change the state and update all knobs except `by`, the one being turned."""
        self.state = self.state.turned(**changes)
        self._mirror(by)
        self._changed(self.state)

    def _mirror(self, by: str | None = None) -> None:
        """Update all knobs, or all but one, from the state."""
        self._mirroring = True
        try:
            for name, widget in self.widgets.items():
                value = getattr(self.state, name)
                try:
                    if name != by:
                        widget.value = value
                except TraitError:  # the value is not among the knob's options
                    with widget.hold_sync():
                        widget.options = CHOICES[name](self.state)
                        widget.value = value
        finally:
            self._mirroring = False
