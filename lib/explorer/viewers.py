"""The viewers of one digit in `explore.ipynb`, for JupyterLab and Voilà; each has one `State`."""

from collections.abc import Iterator
from functools import partial

import ipywidgets as widgets

from lib import networks
from lib.explorer import handwriting, many_digits, one_digit, pictures
from lib.explorer.knobs import Knobs, Newest, Show
from lib.explorer.one_digit import LARGEST, MOST_ATTACKS, Look, State, Strip
from lib.explorer.panels import Drawing, Line, Upload, Viewer, button, guarded, picture, stack

LOOKING = "Looking for the level where it is lost"
CANVAS, PEN = 280, 24  # the side of the canvas and the width of the pen, in its units
SEVEN = [[(70.0, 70.0), (205.0, 70.0), (125.0, 225.0)]]  # what the canvas opens with
IN_WORDS = {"adapted": "adapted statistics", "moments": "restored moments"}
LAST = ("statistics", "draw", "replacement", "source")  # knobs


class AttackedDigit:
    """One digit under attack: knobs, pictures, strip and Play."""

    def __init__(self, state: State, names: list[str]):
        self.message, self.verdict = Line(), Line(f"Loading {networks.title(state.model)} …")
        self.reading = widgets.HTML().add_class("reading")
        self.digit, self.bars, self.strip = picture("digit"), picture("bars"), picture("strip")
        fewest = "Set the attacks to the fewest that fool the network"
        self.jump = button(LOOKING, fewest, self._jump, self.message.warn, disabled=True)
        self.first_fooled: int | None = None
        self.knobs = Knobs(state, names, self._changed, self.message.warn)
        self.newest = Newest(self._steps, self._failed)
        slider = self.knobs.widgets["attacks"]
        self.play = widgets.Play(min=0, max=MOST_ATTACKS, interval=100, value=state.attacks, show_repeat=False)
        self.link = widgets.jslink((self.play, "value"), (slider, "value"))
        self.before_change = lambda: None  # ends a search by the viewer around it
        self.shown = stack(self.digit, self.strip)
        self.newest.ask(state)

    def boxes(self, above: list[widgets.Widget], controls: list[widgets.Widget]) -> widgets.Box:
        """All of the viewer: `above` stand over the pictures, `controls` among the knobs."""
        knobs, play = self.knobs.widgets, stack(self.play, self.jump, kind="row")
        left = stack(*above, self.verdict, self.message, self.shown, kind="pictures")
        last = [knobs[name] for name in LAST]
        right = [knobs["attacks"], play, knobs["noise"], knobs["c"], *controls, *last, self.bars]
        return stack(left, stack(*right, kind="knobs"), kind="sides")

    def _changed(self, state: State) -> None:
        self.before_change()
        self.message.value = ""
        if networks.title(state.model) not in self.verdict.value:
            self.verdict.say(f"Loading {networks.title(state.model)} …")
        self.shown.add_class("working")
        self.newest.ask(state, urgent=True)

    def _failed(self, text: str) -> None:
        self.first_fooled, self.jump.disabled, self.verdict.value = None, True, ""
        self.jump.description = "The level where it is lost is not known"
        self.message.warn(text)

    def _jump(self) -> None:
        if self.first_fooled is not None:
            self.knobs.turn(attacks=self.first_fooled)

    def _steps(self, state: State) -> Iterator[Show]:
        for look in one_digit.looks(state):
            shown = pictures.png(pictures.attacked_digit(look)), pictures.png(pictures.probabilities(look))
            yield partial(self._show_look, look, *shown)
        for strip in one_digit.strips(state):
            yield partial(self._show_strip, strip, pictures.png(pictures.strip(strip, state.attacks)))

    def _show_look(self, look: Look, digit: bytes, bars: bytes) -> None:
        self.digit.value, self.bars.value = digit, bars
        self.shown.remove_class("working")
        self.verdict.say(in_words(look))
        before, after = (int(found.argmax()) for found in (look.before, look.after))
        self.reading.value = f"read as<b>{before}</b>after {pictures.counted(look.attacked)}<b>{after}</b>"

    def _show_strip(self, strip: Strip, picture: bytes) -> None:
        self.strip.value = picture
        self.first_fooled = strip.first_fooled if strip.complete else None
        self.jump.disabled = self.first_fooled is None
        lost, never = f"Go to {self.first_fooled}, where it is lost", f"Never fooled up to {MOST_ATTACKS}"
        self.jump.description = LOOKING if not strip.complete else never if self.jump.disabled else lost


def in_words(look: Look) -> str:
    """A `Look` in a sentence or two: each prediction with its confidence, also with dropout."""

    def reading(place: int) -> str:
        plain = (look.before, look.after)[place]
        number = int(plain.argmax())
        dropped = "" if look.dropped is None else f", {100 * look.dropped[place, number]:.0f} % with dropout"
        return f"{look.state.called(number)} ({100 * plain.max():.0f} % sure{dropped})"

    text = f"{networks.title(look.state.model)} reads the clean digit as {reading(0)} "
    text += f"and after {pictures.counted(look.attacked)} as {reading(1)}"
    if look.state.statistics != "frozen":
        frozen = int(look.frozen.argmax())
        text += f" by {IN_WORDS[look.state.statistics]}, and as {look.state.called(frozen)} by frozen statistics"
    text += f"; it is a {look.state.called(look.state.label)}." if look.state.label is not None else "."
    if look.altered < look.attacked:
        text += f" They altered {look.altered} pixels."
    if look.attacked < look.state.attacks:
        text += f" Only {look.attacked} of {look.state.attacks} attacks found a pixel; none is left to attack."
    return text


class OneDigit(Viewer):
    """One test image under attack, chosen by its number or by searching for one that the network loses."""

    def __init__(self, state: State):
        self.attack = AttackedDigit(state, ["model", "number", "noise", "c", "attacks", *LAST])
        self.search = Newest(self._search, self.attack.message.warn)
        self.attack.before_change = self.search.cancel
        hint = "Search for the next digit that is read correctly without noise and wrongly at this level"
        self.next = button("Next digit lost at this level", hint, self._next, self.attack.message.warn)
        knobs = self.attack.knobs.widgets
        super().__init__("One digit", self.attack.boxes([], [knobs["model"], knobs["number"], self.next]))

    def _next(self) -> None:
        state = self.attack.knobs.state
        if state.attacks == 0:
            raise ValueError("No digit is lost at 0 attacks; choose at least 1.")
        self.search.ask(state, urgent=True)

    def _search(self, state: State) -> Iterator[Show]:
        for found in many_digits.fooled(state, wanted=1, most=LARGEST["number"] + 1, first=state.number + 1):
            text = f"{found.searched:,} digits searched, none of them lost"
            show = partial(self.attack.message.say, text)
            if found.numbers:
                show = partial(self.attack.knobs.turn, number=found.numbers[0])
            yield partial(self._if_unchanged, state, show)

    def _if_unchanged(self, state: State, show: Show) -> None:
        """Show a find unless a knob has been turned since the search began."""
        if self.attack.knobs.state == state:
            show()


class OwnDigit(Viewer):
    """A digit that the reader draws or uploads, under attack."""

    def __init__(self, state: State):
        drawn = handwriting.from_strokes(SEVEN, CANVAS, PEN)
        self.attack = AttackedDigit(state.turned(own=drawn.tobytes()), ["model", "noise", "c", "attacks", *LAST])
        self.canvas = Drawing(strokes=[[list(point) for point in stroke] for stroke in SEVEN], side=CANVAS, pen=PEN)
        self.canvas.observe(guarded(self._drawn, self.attack.message.warn), "strokes")
        self.clear = button("Clear", "Wipe the canvas", self._clear, self.attack.message.warn)
        self.upload = Upload("Upload a picture", self._uploaded, self.attack.message.warn)
        hint = widgets.HTML("Draw a digit with the mouse, a finger or the keyboard (arrow keys; space lowers the pen):")
        canvas = widgets.HBox([self.canvas, self.attack.reading])
        above = [hint, canvas, stack(self.clear, self.upload, kind="row")]
        super().__init__("Your own digit", self.attack.boxes(above, [self.attack.knobs.widgets["model"]]))

    def _drawn(self, change: dict) -> None:
        if change["new"]:
            self.attack.knobs.turn(own=handwriting.from_strokes(change["new"], CANVAS, PEN).tobytes())

    def _clear(self) -> None:
        self.canvas.strokes = []
        self.attack.message.say("Draw a digit, or upload a picture of one. The pictures still show the last one.")

    def _uploaded(self, content: bytes, name: str) -> None:
        digit = handwriting.from_file(content, name)
        self.canvas.strokes = []
        self.attack.knobs.turn(own=digit.tobytes())
