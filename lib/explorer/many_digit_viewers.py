"""The viewers of many digits in `explore.ipynb`: live curves and the gallery of fooled digits."""

from collections.abc import Iterator
from functools import partial

import ipywidgets as widgets
from ipywidgets import Layout

from lib import networks
from lib.explorer import many_digits, one_digit, pictures
from lib.explorer.knobs import KNOB_STYLE, WIDE, Knobs, Newest, Show
from lib.explorer.many_digits import Fooled, LiveCurves
from lib.explorer.one_digit import State
from lib.explorer.panels import Line, Viewer, button, column, guarded, picture, rows, wrapped
from lib.noise import default_c
from lib.report import figures

MOST_NETWORKS = 3  # in one picture of curves


class AllDigits(Viewer):
    """Accuracy curves at this noise and this c, computed while one watches, over the recorded ones."""

    def __init__(self, state: State, images: int = 500):
        images = min(images, len(one_digit.digits(state.dataset).test_images))
        self.images, self.message, self.picture = images, Line(), picture()
        self.picture.layout.width = "600px"
        self.boxes = {
            model: widgets.Checkbox(
                value=model == state.model, description=networks.title(model), indent=False, layout=Layout(width="auto")
            )
            for model in one_digit.choices(state)
        }
        for box in self.boxes.values():
            box.observe(guarded(self._ticked, self._failed), "value")
        self.knobs = Knobs(state, ["noise", "c"], lambda _: self._changed(), self._failed)
        self.newest = Newest(self._steps, self._failed)
        self.bar = widgets.IntProgress(
            description="Progress", layout=WIDE, style={"bar_color": figures.CLEAN} | KNOB_STYLE
        )
        self.start = button(
            f"Compute on {images:,} digits", "Level by level", self._start, self._failed, button_style="primary"
        )
        self.stop = button("Cancel", "Stop computing and keep what is drawn", self._stop, self._failed, disabled=True)
        self.newest.ask(([], state))
        chosen = wrapped(widgets.Label("Networks (up to three):"), *self.boxes.values())
        knobs = rows(*self.knobs.widgets.values(), wrapped(self.start, self.stop), self.bar)
        super().__init__("All digits", rows(chosen, knobs, self.message, self.picture))

    @property
    def chosen(self) -> list[str]:
        return [model for model, box in self.boxes.items() if box.value]

    def _ticked(self, change: dict) -> None:
        if len(self.chosen) > MOST_NETWORKS:
            change["owner"].value = False
            self.message.warn(f"At most {MOST_NETWORKS} networks in one picture.")
        else:
            self._changed()

    def _changed(self) -> None:
        self._idle()
        self.newest.ask(([], self.knobs.state))

    def _start(self) -> None:
        if not self.chosen:
            self.message.warn("Choose at least one network.")
            return
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

    def _steps(self, asked: tuple[list[str], State]) -> Iterator[Show]:
        """The recorded curves, then live ones of the networks in `asked`, redrawn whenever a level is complete."""
        models, state = asked
        recorded = {model: many_digits.recorded_curve(state, model) for model in self.chosen}
        drawn = {}
        yield partial(self._show_curves, curves_png(state, recorded, {}, self.images), missing(state, recorded))
        for live in many_digits.live_curves(state, models, self.images):
            picture = None
            if live.accuracy != drawn:
                drawn = live.accuracy
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
    """The curves of some digits beside the recorded ones as a picture (`figures.live_curves`)."""
    return figures.png(figures.live_curves(state.noise, state.c, default_c(state.noise), recorded, live, images))


def missing(state: State, recorded: dict) -> str:
    """Which networks have no recorded curve and how to make one; nothing where all have."""
    names = [model for model, curve in recorded.items() if curve is None]
    commands = " and ".join(f"make sweep MODEL={name}" for name in names)
    noise = figures.title(state.noise)
    return f"No recorded curve of {' and '.join(names)} for {noise}; record it with: {commands}" if names else ""


class Gallery(Viewer):
    """Digits fooled at one noise and level, with what they were taken for."""

    def __init__(self, state: State):
        self.message, self.picture = Line(), picture()
        names = ["model", "noise", "c", "attacks", "draw"]
        self.knobs = Knobs(state, names, lambda now: self.newest.ask(now), self.message.warn)
        self.newest = Newest(self._steps, self.message.warn)
        self.message.say(f"Searching the digits that {state.model} loses …")
        self.newest.ask(state)
        knobs = column(*self.knobs.widgets.values())
        super().__init__("Gallery", wrapped(knobs, column(self.message, self.picture)))

    def _steps(self, state: State) -> Iterator[Show]:
        for found in many_digits.fooled(state):
            noisy = many_digits.attacked_digits(state, found.numbers, state.attacks)
            yield partial(self._show, state, found, pictures.png(pictures.gallery(found, noisy)))

    def _show(self, state: State, found: Fooled, picture: bytes) -> None:
        self.picture.value = picture
        self.message.say(gallery_in_words(state, found))


def gallery_in_words(state: State, found: Fooled) -> str:
    """How many digits a gallery had to search, in a sentence."""
    return (
        f"{state.model} reads {len(found.numbers)} of the first {found.searched:,} test images rightly when clean "
        f"and wrongly after {state.attacks} attacks of {figures.title(state.noise)}."
    )
