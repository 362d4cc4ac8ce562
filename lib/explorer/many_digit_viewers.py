"""The viewers of many digits in `explore.ipynb`: live curves, and the gallery of misread digits."""

import time
from collections.abc import Iterator
from functools import partial

import ipywidgets as widgets

from lib import networks
from lib.explorer import many_digits, one_digit, pictures
from lib.explorer.knobs import KNOB_STYLE, WIDE, Knobs, Newest, Show
from lib.explorer.many_digits import Fooled, LiveCurves
from lib.explorer.one_digit import State
from lib.explorer.panels import Line, Viewer, button, guarded, picture, stack
from lib.noise import default_c
from lib.report import figures
from lib.store import data

MOST_NETWORKS = 3  # in one picture of curves
REDRAWN = 0.3  # seconds between two drawings of the live curves


class AllDigits(Viewer):
    """Accuracy curves at this noise and this c, computed while the reader watches, over the recorded ones."""

    def __init__(self, state: State, images: int = 500):
        images = min(images, len(data.load(state.dataset).test_images))
        self.images, self.message, self.picture = images, Line(), picture("curves")
        self.boxes = {}
        for model in one_digit.choices(state):
            title, layout = networks.title(model), widgets.Layout(width="auto")
            box = widgets.Checkbox(model == state.model, description=title, indent=False, layout=layout)
            box.observe(guarded(lambda _: self._ticked(), self._failed), "value")
            self.boxes[model] = box
        self.knobs = Knobs(state, ["noise", "c"], lambda _: self._changed(), self._failed)
        self.newest = Newest(self._steps, self._failed)
        colours = {"bar_color": figures.CLEAN} | KNOB_STYLE
        self.bar = widgets.IntProgress(description="Progress", layout=WIDE, style=colours)
        compute = f"Compute on {images:,} digits"
        self.start = button(compute, "Level by level", self._start, self._failed, button_style="primary")
        self.stop = button("Cancel", "Stop, and keep what is drawn", self._stop, self._failed, disabled=True)
        self.newest.ask(([], state))
        title = widgets.HTML(f"Networks (at most {MOST_NETWORKS}; untick one to choose another):")
        boxes = stack(*self.boxes.values(), kind="boxes")
        knobs = stack(*self.knobs.widgets.values(), stack(self.start, self.stop, kind="row"), self.bar, kind="knobs")
        self.shown = stack(self.message, self.picture, kind="pictures")
        super().__init__("All digits", title, boxes, stack(self.shown, knobs, kind="sides"))

    @property
    def chosen(self) -> list[str]:
        return [model for model, box in self.boxes.items() if box.value]

    def _ticked(self) -> None:
        full = len(self.chosen) >= MOST_NETWORKS
        for box in self.boxes.values():
            box.disabled = full and not box.value
        if self.stop.disabled or not self.chosen:
            self._changed()
        else:
            self._start()  # a run goes on with the new choice; what it has computed is remembered

    def _changed(self) -> None:
        self._idle()
        self.newest.ask(([], self.knobs.state), urgent=True)

    def _start(self) -> None:
        if not self.chosen:
            raise ValueError("Choose at least one network.")
        self.start.disabled, self.stop.disabled = True, False
        self.bar.value = 0
        self.newest.ask((self.chosen, self.knobs.state))

    def _stop(self) -> None:
        self.newest.cancel()
        self._idle()
        self.message.say(f"Cancelled after {100 * self.bar.value // max(1, self.bar.max)} % of the work.")

    def _idle(self) -> None:
        self.start.disabled, self.stop.disabled = False, True

    def _failed(self, text: str) -> None:
        self._idle()
        self.message.warn(text)

    def _steps(self, request: tuple[list[str], State]) -> Iterator[Show]:
        """The recorded curves, then the live ones of the networks in `request`, redrawn as levels are completed."""
        models, state = request
        recorded = {model: many_digits.recorded_curve(state, model) for model in self.chosen}
        drawn, last = {}, 0.0
        yield partial(self._show_curves, curves_png(state, recorded, {}, self.images), missing(state, recorded))
        for live in many_digits.live_curves(state, models, self.images):
            picture = None
            if live.accuracy != drawn and (time.monotonic() > last + REDRAWN or live.done == live.total):
                drawn, last = live.accuracy, time.monotonic()
                picture = curves_png(state, recorded, drawn, self.images)
            yield partial(self._show_live, live, picture)

    def _show_curves(self, picture: bytes, text: str) -> None:
        self.picture.value = picture
        self.message.say(text)

    def _show_live(self, live: LiveCurves, picture: bytes | None) -> None:
        if self.stop.disabled:
            return  # cancelled while this step was under way
        self.bar.max, self.bar.value = live.total, live.done
        if picture is not None:
            self.picture.value = picture
        if live.done == live.total:
            self._idle()


def curves_png(state: State, recorded: dict, live: dict[str, list[float]], images: int) -> bytes:
    """The live curves beside the recorded ones as a picture (`figures.live_curves`)."""
    return figures.png(figures.live_curves(state.noise, state.c, default_c(state.noise), recorded, live, images))


def missing(state: State, recorded: dict) -> str:
    """Which networks have no recorded curve, and the commands that record them; empty if none is missing."""
    names = [model for model, curve in recorded.items() if curve is None]
    commands = " and ".join(f"make sweep MODEL={name}" for name in names)
    of = f"{' and '.join(map(networks.title, names))} for {figures.title(state.noise)}"
    return f"No recorded curve of {of}; record it with: {commands}" if names else ""


class Gallery(Viewer):
    """Digits that are misread at one noise and level, each with its class and the prediction."""

    def __init__(self, state: State):
        self.message, self.picture = Line(), picture("fooled")
        names = ["model", "noise", "c", "attacks", "draw"]
        self.knobs = Knobs(state, names, self._changed, self.message.warn)
        self.newest = Newest(self._steps, self.message.warn)
        self.shown = stack(self.message, self.picture, kind="pictures")
        self._changed(state, urgent=False)
        knobs = stack(*self.knobs.widgets.values(), kind="knobs")
        super().__init__("Gallery", stack(self.shown, knobs, kind="sides"))

    def _changed(self, state: State, urgent: bool = True) -> None:
        self.shown.add_class("working")
        self.message.say(f"Searching for digits that {networks.title(state.model)} loses …")
        self.newest.ask(state, urgent)

    def _steps(self, state: State) -> Iterator[Show]:
        for found in many_digits.fooled(state):
            noisy = many_digits.attacked_digits(state, found.numbers, state.attacks)
            yield partial(self._show, state, found, pictures.png(pictures.gallery(found, noisy)))

    def _show(self, state: State, found: Fooled, picture: bytes) -> None:
        self.picture.value = picture
        self.shown.remove_class("working")
        self.message.say(gallery_in_words(state, found))


def gallery_in_words(state: State, found: Fooled) -> str:
    """A gallery in a sentence, with the number of digits searched."""
    return (
        f"{networks.title(state.model)} reads {len(found.numbers)} of the first {found.searched:,} test images "
        f"correctly when clean and wrongly after {state.attacks} attacks of {figures.title(state.noise)}."
    )
