"""The viewers of `explore.ipynb`: knobs beside pictures, alive in JupyterLab and in Voilà.

Every viewer turns one `State`; what it shows is computed by `lib.explorer` and `lib.surveys` and drawn by
`lib.pictures` and `lib.figures` into image widgets.
"""

import html
from collections.abc import Iterator
from functools import partial

import ipywidgets as widgets
from ipycanvas import Canvas, hold_canvas
from ipywidgets import Layout

from lib import explorer, figures, handwriting, pictures, surveys
from lib.explorer import ATTACKS, Look, State, Strip
from lib.knobs import WIDE, Knobs, Newest, Show
from lib.surveys import Fooled, LiveCurves

MOST_NETWORKS = 3  # in one picture of curves
CANVAS, PEN = 280, 24  # the side of the canvas and the width of the pen, in units of a web page
SEVEN = [[(70.0, 70.0), (205.0, 70.0), (125.0, 225.0)]]  # what the canvas opens with


class Viewer:
    """Shown as its widgets where a kernel runs, and as one line of text where none does."""

    def __init__(self, name: str, box: widgets.Widget):
        self.name, self.box = name, box

    def _repr_mimebundle_(self, **options) -> dict:
        bundle = self.box._repr_mimebundle_(**options)
        return bundle | {"text/plain": f"{self.name}: turn its knobs with `make explore` or `make app`"}


def _rows(*parts: widgets.Widget) -> widgets.Box:
    return widgets.VBox(parts, layout=Layout(width="100%", overflow="hidden"))


def _wrapped(*parts: widgets.Widget) -> widgets.Box:
    """Side by side where there is room, below each other on a phone."""
    return widgets.HBox(parts, layout=Layout(flex_flow="row wrap", align_items="flex-start", width="100%"))


def _picture() -> widgets.Image:
    return widgets.Image(
        format="png", layout=Layout(width=f"{pictures.WIDTH}px", max_width="99%", margin="4px 16px 4px 0")
    )


def _button(text: str, tooltip: str, act, **options) -> widgets.Button:
    button = widgets.Button(description=text, tooltip=tooltip, layout=Layout(width="auto"), **options)
    button.on_click(lambda _: act())
    return button


class Line(widgets.HTML):
    """One line of text for the reader, or for what went wrong."""

    def say(self, text: str) -> None:
        self.value = f'<span role="status" style="line-height: 1.4">{html.escape(text)}</span>'

    def warn(self, text: str) -> None:
        colour = figures.COLOURS[1]
        self.value = f'<span role="alert" style="line-height: 1.4; color: {colour}">{html.escape(text)}</span>'


class Attack:
    """The attack on one digit, whichever it is: knobs, pictures, strip and Play."""

    def __init__(self, state: State, names: list[str]):
        self.message, self.verdict = Line(), Line()
        self.digit, self.bars, self.strip = _picture(), _picture(), _picture()
        self.jump = _button("", "Set the attacks to the fewest that fool the network", self._jump)
        self.first_fooled: int | None = None
        self.knobs = Knobs(state, names, self._changed)
        self.newest = Newest(self._steps, self.message.warn)
        slider = self.knobs.widgets["attacks"]
        self.play = widgets.Play(
            min=0, max=ATTACKS, interval=100, value=state.attacks, show_repeat=False, description="Play the attacks"
        )
        self.link = widgets.jslink((self.play, "value"), (slider, "value"))
        self.before_change = lambda: None  # a search of the viewer around it ends here
        self.newest.now(state)

    def box(self, *controls: widgets.Widget) -> widgets.Box:
        """Everything in its place, `controls` above the knobs."""
        knobs = self.knobs.widgets
        left = _rows(knobs["noise"], knobs["c"], knobs["attacks"], widgets.HBox([self.play, self.jump]))
        right = _rows(*controls, knobs["model"], knobs["draw"], knobs["revisit"])
        for side in (left, right):
            side.layout = Layout(width=f"{pictures.WIDTH + 16}px", max_width="100%", overflow="hidden")
        shown = widgets.VBox([self.digit, self.strip], layout=Layout(max_width="100%", overflow="hidden"))
        return _rows(_wrapped(right, left), self.message, self.verdict, _wrapped(shown, self.bars))

    def _changed(self, state: State) -> None:
        self.before_change()
        self.message.value = ""
        self.newest.ask(state)

    def _jump(self) -> None:
        if self.first_fooled is not None:
            self.knobs.turn(attacks=self.first_fooled)

    def _steps(self, state: State) -> Iterator[Show]:
        look = explorer.look(state)
        shown = pictures.png(pictures.attacked_digit(look)), pictures.png(pictures.probabilities(look))
        yield partial(self._show_look, look, *shown)
        for strip in explorer.strips(state):
            yield partial(self._show_strip, strip, pictures.png(pictures.strip(strip, state.attacks)))

    def _show_look(self, look: Look, digit: bytes, bars: bytes) -> None:
        self.digit.value, self.bars.value = digit, bars
        self.verdict.say(in_words(look))

    def _show_strip(self, strip: Strip, picture: bytes) -> None:
        self.strip.value = picture
        self.first_fooled = strip.first_fooled if strip.complete else None
        self.jump.disabled = self.first_fooled is None
        self.jump.description = (
            "Looking for the first level that fools it"
            if not strip.complete
            else f"Go to {self.first_fooled}, where it is first fooled"
            if self.first_fooled is not None
            else f"Never fooled up to {ATTACKS}"
        )


def in_words(look: Look) -> str:
    """What a `Look` shows, in a sentence or two."""
    before, after = int(look.before.argmax()), int(look.after.argmax())
    made = "1 attack" if look.attacked == 1 else f"{look.attacked} attacks"
    text = (
        f"{look.state.model} reads the clean digit as {before} ({100 * look.before[before]:.0f} % sure) "
        f"and after {made} as {after} ({100 * look.after[after]:.0f} % sure)"
    )
    text += f"; it is a {look.state.label}." if look.state.label is not None else "."
    if look.attacked < look.state.attacks:
        text += f" Only {look.attacked} of {look.state.attacks} attacks found a pixel; none is left to attack."
    return text


class OneDigit(Viewer):
    """One test image under attack, chosen by number or as the next one that the network gets wrong."""

    def __init__(self, state: State):
        self.attack = Attack(state, ["model", "number", "noise", "c", "attacks", "draw", "revisit"])
        self.search = Newest(self._search, self.attack.message.warn)
        self.attack.before_change = self.search.cancel
        self.next = _button(
            "Next digit this network gets wrong at this level",
            "Search the test images after this one",
            lambda: self.search.ask(self.attack.knobs.state),
        )
        super().__init__("One digit", self.attack.box(self.attack.knobs.widgets["number"], self.next))

    def _search(self, state: State) -> Iterator[Show]:
        for searched, found in surveys.next_wrong(state):
            if found is not None:
                yield partial(self.attack.knobs.turn, number=found)
            else:
                yield partial(self.attack.message.say, f"{searched:,} digits searched, all of them read rightly")


class OwnDigit(Viewer):
    """A digit that the reader draws or uploads, under attack."""

    def __init__(self, state: State):
        self.strokes = [list(stroke) for stroke in SEVEN]
        self.drawing = False
        drawn = handwriting.from_strokes(self.strokes, CANVAS, PEN)
        names = ["model", "noise", "c", "attacks", "draw", "revisit"]
        self.attack = Attack(state.turned(own=drawn.tobytes()), names)
        self.canvas = Canvas(
            width=CANVAS, height=CANVAS, layout=Layout(width=f"{CANVAS}px", border="1px solid #8C8C8C")
        )
        self.canvas.on_client_ready(self._repaint)
        self.canvas.on_mouse_down(self._press)
        self.canvas.on_mouse_move(self._move)
        self.canvas.on_mouse_up(self._release)
        self.canvas.on_mouse_out(self._release)
        self.canvas.on_touch_start(lambda points: self._press(*points[0]))
        self.canvas.on_touch_move(lambda points: self._move(*points[0]))
        self.canvas.on_touch_end(lambda points: self._release())
        self.canvas.on_touch_cancel(lambda points: self._release())
        self.clear = _button("Clear", "Wipe the canvas", self._clear)
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="Upload a picture", layout=Layout(width="auto")
        )
        self.upload.observe(self._uploaded, "value")
        hint = widgets.HTML("Draw a digit with the mouse or a finger:")
        controls = _rows(hint, self.canvas, _wrapped(self.clear, self.upload))
        super().__init__("Your own digit", self.attack.box(controls))

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
        self.attack.message.say("Draw a digit, or upload a picture of one.")

    def _repaint(self) -> None:
        with hold_canvas(self.canvas):
            self.canvas.fill_style = "black"
            self.canvas.fill_rect(0, 0, CANVAS, CANVAS)
            for stroke in self.strokes:
                self._ink(stroke)

    def _ink(self, points: list[tuple[float, float]]) -> None:
        self.canvas.stroke_style, self.canvas.line_width = "white", PEN
        self.canvas.line_cap = self.canvas.line_join = "round"
        self.canvas.stroke_lines(points if len(points) > 1 else points * 2)

    def _uploaded(self, change: dict) -> None:
        for file in change["new"]:
            try:
                digit = handwriting.from_file(bytes(file["content"]), file["name"])
            except ValueError as error:
                self.attack.message.warn(str(error))
            else:
                self.strokes = []
                self._repaint()
                self._take(digit.tobytes())

    def _take(self, digit: bytes) -> None:
        self.attack.knobs.turn(own=digit)


class AllDigits(Viewer):
    """Accuracy curves at this noise and this c, computed while one watches, over the recorded ones."""

    def __init__(self, state: State, images: int = 500):
        self.images, self.message, self.picture = images, Line(), _picture()
        self.picture.layout.width = "720px"
        self.boxes = {
            model: widgets.Checkbox(
                value=model == state.model, description=model, indent=False, layout=Layout(width="auto")
            )
            for model in explorer.trained(state.outputs, state.train_seed)
        }
        for box in self.boxes.values():
            box.observe(self._ticked, "value")
        self.knobs = Knobs(state, ["noise", "c"], lambda _: self._changed())
        self.newest = Newest(self._steps, self._failed)
        self.bar = widgets.IntProgress(description="Progress", layout=WIDE, style={"bar_color": figures.COLOURS[0]})
        self.start = _button(f"Compute on {images:,} digits", "Level by level", self._start, button_style="primary")
        self.stop = _button("Cancel", "Stop computing and keep what is drawn", self._stop, disabled=True)
        self.newest.now(([], state))
        chosen = _wrapped(widgets.Label("Networks (up to three):"), *self.boxes.values())
        knobs = _rows(*self.knobs.widgets.values(), _wrapped(self.start, self.stop), self.bar)
        super().__init__("All digits", _rows(chosen, knobs, self.message, self.picture))

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
        recorded = {model: surveys.recorded_curve(state, model) for model in self.chosen}
        drawn = {}
        yield partial(self._show_curves, curves_png(state, recorded, {}, self.images), missing(state, recorded))
        for live in surveys.live_curves(state, models, self.images):
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
    return figures.png(figures.live_curves(state.noise, state.c, surveys.own_c(state.noise), recorded, live, images))


def missing(state: State, recorded: dict) -> str:
    """Which networks have no recorded curve and how to make one; nothing where all have."""
    names = [model for model, curve in recorded.items() if curve is None]
    commands = " and ".join(f"make sweep MODEL={name}" for name in names)
    noise = figures.title(state.noise)
    return f"No recorded curve of {' and '.join(names)} for {noise}; make it with {commands}." if names else ""


class Gallery(Viewer):
    """Digits fooled at one noise and level, with what they were taken for."""

    def __init__(self, state: State):
        self.message, self.picture = Line(), _picture()
        self.knobs = Knobs(state, ["model", "noise", "c", "attacks", "draw"], lambda now: self.newest.ask(now))
        self.newest = Newest(self._steps, self.message.warn)
        self.newest.now(state)
        knobs = _rows(*self.knobs.widgets.values())
        knobs.layout = Layout(width=f"{pictures.WIDTH + 16}px", max_width="100%")
        shown = widgets.VBox([self.message, self.picture], layout=Layout(max_width="100%", overflow="hidden"))
        super().__init__("Gallery", _wrapped(knobs, shown))

    def _steps(self, state: State) -> Iterator[Show]:
        for found in surveys.fooled(state):
            noisy = surveys.attacked_digits(state, found.numbers, state.attacks)
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
