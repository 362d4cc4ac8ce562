"""The viewers of one digit in `explore.ipynb`, alive in JupyterLab and in Voilà.

Every viewer turns one `State`; what it shows is computed by `one_digit` and `many_digits` and drawn by `pictures`
and the report's figures into image widgets. `many_digit_viewers` has those of many digits.
"""

from collections.abc import Iterator
from functools import partial

import ipywidgets as widgets
from ipycanvas import Canvas, hold_canvas
from ipywidgets import Layout

from lib.explorer import handwriting, many_digits, one_digit, pictures
from lib.explorer.knobs import Knobs, Newest, Show
from lib.explorer.one_digit import MOST_ATTACKS, Look, State, Strip
from lib.explorer.panels import Line, Viewer, button, column, guarded, picture, rows, wrapped
from lib.explorer.upload import Upload

LOOKING = "Looking for the first level that fools it"
CANVAS, PEN = 280, 24  # the side of the canvas and the width of the pen, in units of a web page
SEVEN = [[(70.0, 70.0), (205.0, 70.0), (125.0, 225.0)]]  # what the canvas opens with
DRAWING = ("draw", "replacement", "source")  # knobs


class AttackedDigit:
    """One digit under attack, whichever it is: knobs, pictures, strip and Play."""

    def __init__(self, state: State, names: list[str]):
        self.message, self.verdict = Line(), Line()
        self.digit, self.bars, self.strip = picture(), picture(), picture()
        fewest = "Set the attacks to the fewest that fool the network"
        self.jump = button(LOOKING, fewest, self._jump, self.message.warn, disabled=True)
        self.first_fooled: int | None = None
        self.knobs = Knobs(state, names, self._changed, self.message.warn)
        self.newest = Newest(self._steps, self._failed)
        slider = self.knobs.widgets["attacks"]
        self.play = widgets.Play(
            min=0,
            max=MOST_ATTACKS,
            interval=100,
            value=state.attacks,
            show_repeat=False,
            description="Play the attacks",
        )
        self.link = widgets.jslink((self.play, "value"), (slider, "value"))
        self.before_change = lambda: None  # a search of the viewer around it ends here
        self.verdict.say(f"Loading {state.model} …")
        self.newest.ask(state)

    def box(self, *controls: widgets.Widget) -> widgets.Box:
        """Everything in its place; `controls` choose the digit and the network."""
        knobs = self.knobs.widgets
        choice = column(*controls)
        drawing = knobs["draw"], knobs["replacement"], knobs["source"]
        noise = column(knobs["noise"], knobs["c"], knobs["attacks"], wrapped(self.play, self.jump), *drawing)
        pair = wrapped(column(self.digit, self.strip), column(self.bars))
        return rows(wrapped(choice, noise), self.message, self.verdict, pair)

    def _changed(self, state: State) -> None:
        self.before_change()
        self.message.value = ""
        self.newest.ask(state)

    def _failed(self, text: str) -> None:
        self.first_fooled, self.jump.disabled, self.verdict.value = None, True, ""
        self.jump.description = "The first level that fools it is not known"
        self.message.warn(text)

    def _jump(self) -> None:
        if self.first_fooled is not None:
            self.knobs.turn(attacks=self.first_fooled)

    def _steps(self, state: State) -> Iterator[Show]:
        look = one_digit.look(state)
        shown = pictures.png(pictures.attacked_digit(look)), pictures.png(pictures.probabilities(look))
        yield partial(self._show_look, look, *shown)
        for strip in one_digit.strips(state):
            yield partial(self._show_strip, strip, pictures.png(pictures.strip(strip, state.attacks)))

    def _show_look(self, look: Look, digit: bytes, bars: bytes) -> None:
        self.digit.value, self.bars.value = digit, bars
        self.verdict.say(in_words(look))

    def _show_strip(self, strip: Strip, picture: bytes) -> None:
        self.strip.value = picture
        self.first_fooled = strip.first_fooled if strip.complete else None
        self.jump.disabled = self.first_fooled is None
        self.jump.description = (
            LOOKING
            if not strip.complete
            else f"Go to {self.first_fooled}, where it is first fooled"
            if self.first_fooled is not None
            else f"Never fooled up to {MOST_ATTACKS}"
        )


def in_words(look: Look) -> str:
    """What a `Look` shows, in a sentence or two."""
    before, after = (look.state.called(int(answers.argmax())) for answers in (look.before, look.after))
    made = "1 attack" if look.attacked == 1 else f"{look.attacked} attacks"
    text = (
        f"{look.state.model} reads the clean digit as {before} ({_sure(look, 0)}) "
        f"and after {made} as {after} ({_sure(look, 1)})"
    )
    text += f"; it is a {look.state.called(look.state.label)}." if look.state.label is not None else "."
    if look.altered < look.attacked:
        text += f" They altered {look.altered} pixels."
    if look.attacked < look.state.attacks:
        text += f" Only {look.attacked} of {look.state.attacks} attacks found a pixel; none is left to attack."
    return text


def _sure(look: Look, place: int) -> str:
    """How sure the network is of its answer to the clean digit (0) or the noisy one (1), without and with dropout."""
    plain = (look.before, look.after)[place]
    text = f"{100 * plain.max():.0f} % sure"
    return text if look.dropped is None else f"{text}, {100 * look.dropped[place, plain.argmax()]:.0f} % with dropout"


class OneDigit(Viewer):
    """One test image under attack, chosen by number or as the next one that the network gets wrong."""

    def __init__(self, state: State):
        self.attack = AttackedDigit(state, ["model", "number", "noise", "c", "attacks", *DRAWING])
        self.search = Newest(self._search, self.attack.message.warn)
        self.attack.before_change = self.search.cancel
        self.next = button(
            "Next digit this network gets wrong at this level",
            "Search the test images after this one",
            lambda: self.search.ask(self.attack.knobs.state),
            self.attack.message.warn,
        )
        knobs = self.attack.knobs.widgets
        super().__init__("One digit", self.attack.box(knobs["model"], knobs["number"], self.next))

    def _search(self, state: State) -> Iterator[Show]:
        for searched, found in many_digits.next_wrong(state):
            if found is not None:
                yield partial(self._still_asked, state, partial(self.attack.knobs.turn, number=found))
            else:
                text = f"{searched:,} digits searched, all of them read rightly"
                yield partial(self._still_asked, state, partial(self.attack.message.say, text))

    def _still_asked(self, state: State, show: Show) -> None:
        """A find for a state that has been turned since would take the reader away from it."""
        if self.attack.knobs.state == state:
            show()


class OwnDigit(Viewer):
    """A digit that the reader draws or uploads, under attack."""

    def __init__(self, state: State):
        self.strokes = [list(stroke) for stroke in SEVEN]
        self.drawing = False
        drawn = handwriting.from_strokes(self.strokes, CANVAS, PEN)
        names = ["model", "noise", "c", "attacks", *DRAWING]
        self.attack = AttackedDigit(state.turned(own=drawn.tobytes()), names)
        self.canvas = Canvas(
            width=CANVAS, height=CANVAS, layout=Layout(width=f"{CANVAS}px", border="1px solid #8C8C8C")
        )
        for listen, act in (
            (self.canvas.on_client_ready, self._repaint),
            (self.canvas.on_mouse_down, self._press),
            (self.canvas.on_mouse_move, self._move),
            (self.canvas.on_mouse_up, self._release),
            (self.canvas.on_mouse_out, self._release),
            (self.canvas.on_touch_start, lambda points: self._press(*points[0])),
            (self.canvas.on_touch_move, lambda points: self._move(*points[0])),
            (self.canvas.on_touch_end, self._release),
            (self.canvas.on_touch_cancel, self._release),
        ):
            listen(guarded(act, self.attack.message.warn))
        self.clear = button("Clear", "Wipe the canvas", self._clear, self.attack.message.warn)
        self.upload = Upload("Upload a picture", self._uploaded, self.attack.message.warn)
        hint = widgets.HTML("Draw a digit with the mouse or a finger:")
        buttons = wrapped(self.clear, self.upload)
        box = self.attack.box(hint, self.canvas, buttons, self.attack.knobs.widgets["model"])
        super().__init__("Your own digit", box)

    def _press(self, x: float, y: float) -> None:
        self.drawing = True
        self.strokes.append([(x, y)])

    def _move(self, x: float, y: float) -> None:
        if self.drawing:
            self._ink([self.strokes[-1][-1], (x, y)])
            self.strokes[-1].append((x, y))

    def _release(self, *_) -> None:
        if self.drawing:
            self.drawing = False
            self._take(handwriting.from_strokes(self.strokes, CANVAS, PEN).tobytes())

    def _clear(self) -> None:
        self.strokes = []
        self._repaint()
        self.attack.message.say("Draw a digit, or upload a picture of one. Below is still the one before.")

    def _repaint(self) -> None:
        with hold_canvas():
            self.canvas.fill_style = "black"
            self.canvas.fill_rect(0, 0, CANVAS, CANVAS)
            for stroke in self.strokes:
                self._ink(stroke)

    def _ink(self, points: list[tuple[float, float]]) -> None:
        self.canvas.stroke_style, self.canvas.line_width = "white", PEN
        self.canvas.line_cap = self.canvas.line_join = "round"
        self.canvas.stroke_lines(points if len(points) > 1 else points * 2)

    def _uploaded(self, content: bytes, name: str) -> None:
        digit = handwriting.from_file(content, name)
        self.strokes = []
        self._repaint()
        self._take(digit.tobytes())

    def _take(self, digit: bytes) -> None:
        self.attack.knobs.turn(own=digit)
