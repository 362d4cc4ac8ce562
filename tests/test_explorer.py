"""The explorer's states, what is computed for them, their pictures, and the viewers with their knobs."""

import asyncio
import io
import logging
import shutil
import threading
from dataclasses import replace
from functools import wraps

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor, ImageDraw

from lib import networks, paper
from lib.evaluation.plan import Plan
from lib.evaluation.results import curves
from lib.experiments.dropout import Cut
from lib.explorer import handwriting, many_digits, one_digit, pictures
from lib.explorer.knobs import KNOBS, Knobs, Newest
from lib.explorer.many_digit_viewers import AllDigits, Gallery, missing
from lib.explorer.one_digit import MOST_ATTACKS, Opening, State, look, strips
from lib.explorer.viewers import OneDigit, OwnDigit, in_words
from lib.noise import NOISES, SOURCES, perturb, perturb_and_count
from lib.report import figures
from lib.store import data
from lib.training.recipe import Recipe

STATE = State(model="fc", number=613, noise="white_to_black", attacks=8)


@pytest.fixture(scope="module")
def fc():
    return networks.predictor(networks.load("fc"))


def stored(model: str, **chosen) -> State:
    """A state with a network that has fresh weights."""
    recipe = Recipe(model=model, **chosen)
    networks.save_weights(networks.build(model), recipe.weights, {"recipe": recipe.recorded})
    return State(model=model, **chosen)


def in_a_loop(test):
    """The test, a coroutine, in an event loop of its own."""
    return wraps(test)(lambda **given: asyncio.run(test(**given)))


def raising(*_, **__):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("replacement", "source"), [(False, "clean"), (True, "current")])
def test_a_look_is_what_perturb_and_the_network_say(fc, noise, replacement, source):
    asked = STATE.turned(noise=noise, c=1.7, attacks=150, draw=4, replacement=replacement, source=source)
    seen, image = look(asked), data.load().test_images[613]
    noisy, attacked, altered, left = perturb_and_count(
        image[None], noise, 150, c=1.7, seed=4, index=np.array([613]), replacement=replacement, source=source
    )
    np.testing.assert_array_equal(seen.noisy, noisy[0])
    assert (seen.attacked, seen.altered, seen.left) == (attacked[0], altered[0], left[0])
    assert (f"They altered {seen.altered} pixels" in in_words(seen)) == (seen.altered < seen.attacked)
    np.testing.assert_allclose([seen.before, seen.after], fc(np.stack([image, noisy[0]])), atol=1e-4)
    assert seen.hit[seen.noisy != image].all() and seen.hit.sum() <= 150
    if not replacement:
        np.testing.assert_array_equal(seen.hit, seen.noisy != image)


def test_a_first_look_waits_neither_for_the_compiler_nor_for_dropout(monkeypatch):
    asked = STATE.turned(model="cnn@slow", attacks=40)
    with monkeypatch.context() as busy:
        one_digit._loaded.cache_clear()
        busy.setattr(one_digit.Network, "fast", property(raising))
        first, last = one_digit.looks(asked)
        assert first.dropped is None and last.dropped is not None
    np.testing.assert_allclose(first.after, one_digit.probabilities(asked, first.noisy[None])[0], atol=1e-4)


def test_a_strip_gives_every_level_and_the_first_that_fools(fc):
    state = replace(STATE, draw=5)
    *partial, strip = strips(state)
    assert partial and not any(p.complete for p in partial) and strip.complete
    found = fc(perturb(data.load().test_images[[613]], state.noise, range(MOST_ATTACKS + 1), seed=5, index=[613])[:, 0])
    np.testing.assert_allclose(strip.probability, found[:, 2], atol=1e-4)
    np.testing.assert_array_equal(strip.predicted, found.argmax(axis=1))
    assert strip.first_fooled == np.flatnonzero(found.argmax(axis=1) != 2)[0] > 0
    assert list(strips(replace(state, attacks=77))) == [strip], "remembered, whatever the level"
    never = one_digit.Strip(np.ones(MOST_ATTACKS + 1), np.full(MOST_ATTACKS + 1, 3), 3)
    assert never.first_fooled is None and replace(never, truth=4).first_fooled == 0


def test_statistics_of_the_noise_come_from_training_images_with_it(tmp_path):
    asked = stored("tiny:conv_net@adapted", outputs=tmp_path)
    asked = replace(asked, number=5, noise="black_to_white", attacks=95, statistics="adapted")  # shared with 100
    training = data.load().split()[0]
    chosen = np.random.default_rng(0).permutation(len(training))[: one_digit.ADAPTED_ON]
    noisy = perturb(training[chosen], "black_to_white", 100, index=10_000 + chosen)
    net = networks.load("tiny:conv_net@adapted", outputs=tmp_path)
    seen = look(asked)
    for adapted, found in ((networks.adapt(net, noisy), seen.after), (net, seen.frozen)):
        np.testing.assert_allclose(found, networks.predictor(adapted, "torch")(seen.noisy[None])[0], atol=1e-5)
    assert seen.after != pytest.approx(seen.frozen, abs=1e-3)
    *_, last = strips(asked)
    assert last.complete and last.probability[95] == pytest.approx(seen.after[seen.truth], abs=1e-5)
    with pytest.raises(ValueError, match="no batch normalisation"):
        look(STATE.turned(statistics="adapted"))


@pytest.mark.parametrize(
    ("attacks", "wanted", "most", "first"), [(120, 6, 400, 0), (40, 1, 10_000, 9_990), (0, 24, 60, 5)]
)
def test_fooled_digits_are_correct_when_clean_and_wrong_with_noise(fc, attacks, wanted, most, first):
    """The first ones from any digit on, around the end of the test set."""
    *steps, found = many_digits.fooled(replace(STATE, attacks=attacks), wanted, most, first)
    numbers = (first + np.arange(min(most, 400))) % 10_000
    images, labels = data.load().test_images[numbers], data.load().test_labels[numbers]
    after = fc(perturb(images, STATE.noise, attacks, index=numbers)).argmax(axis=1)
    places = np.flatnonzero((fc(images).argmax(axis=1) == labels) & (after != labels))[:wanted]
    assert found.numbers == numbers[places].tolist() and found.predicted == after[places].tolist()
    assert found.labels == labels[places].tolist()
    assert found.searched == (places[-1] + 1 if len(places) == wanted else most)
    assert len(steps) == (found.searched - 1) // 25


def test_live_curves_come_level_by_level_and_are_remembered(fc, monkeypatch):
    state = replace(STATE, noise="black_to_white", c=2)
    steps = list(many_digits.live_curves(state, ["fc"], images=60))
    lengths = [len(step.accuracy["fc"]) for step in steps]
    assert lengths == sorted(lengths) and lengths[0] == 0 and lengths[-1] == 21
    assert steps[-1].done == steps[-1].total == 21 * 60 and [s.done for s in steps] == sorted({s.done for s in steps})
    images, labels = data.load().test_images[:60], data.load().test_labels[:60]
    right = [(fc(perturb(images, state.noise, level)).argmax(axis=1) == labels).mean() for level in paper.LEVELS]
    assert steps[-1].accuracy["fc"] == pytest.approx([100 * share for share in right])
    monkeypatch.setattr(many_digits, "probabilities", raising)
    assert list(many_digits.live_curves(state.turned(attacks=3), ["fc"], images=60)) == steps


def test_recorded_curves_are_those_of_these_weights_at_the_default_c(tmp_path):
    curve = many_digits.recorded_curve(STATE.turned(c=0.3), "fc")
    plan = Plan(model="fc", noises=["white_to_black"])
    assert curve is not None and curve.equals(curves(plan)) and curve["images"].max() == 10_000
    elsewhere = replace(STATE, outputs=tmp_path)
    assert many_digits.recorded_curve(elsewhere, "fc") is None
    assert missing(elsewhere, {"fc": None, "vgg19": curve}).endswith("make sweep MODEL=fc")
    assert missing(STATE, {"fc": curve}) == ""
    for other in ({"replacement": False}, {"source": "current"}, {"train_seed": 9}):
        assert many_digits.recorded_curve(replace(STATE, **other), "fc") is None, "a curve of another reading"
    (tmp_path / "weights").mkdir()
    networks.save_weights(networks.load("fc"), tmp_path / "weights" / "fc-seed0.safetensors", {"made": "otherwise"})
    (tmp_path / "predictions").symlink_to(one_digit.OUTPUTS / "predictions")
    assert many_digits.recorded_curve(elsewhere, "fc") is None, "predictions by other weights do not count"
    recorded = {"fc": curve, "resnet18": None}
    axes = figures.live_curves(STATE.noise, 0.5, 2.0, recorded, {"resnet18": [99.0, 90.0]}, 500).axes[0]
    labels = [line.get_label() for line in axes.lines]
    assert labels[0].startswith("FC,") and labels[0].endswith("recorded")
    assert labels[1].startswith("ResNet-18,") and labels[1].endswith("live")
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), curve["accuracy"])
    assert axes.lines[1].get_xdata().tolist() == [0, 10] and axes.lines[1].get_ydata().tolist() == [99.0, 90.0]


def test_turning_the_noise_brings_its_own_c():
    assert STATE.turned(noise="edge_to_altered").c == 1.25 and STATE.turned(noise="edge_to_altered", c=3).c == 3
    assert {one_digit.SMALLEST_C, one_digit.LARGEST_C, *(noise.c for noise in NOISES.values())} <= set(one_digit.STOPS)
    assert sorted(set(one_digit.STOPS)) == one_digit.STOPS
    opened = Opening(model="fc", digit=5, noise="black_to_white", attacks=3).state()
    assert opened == State(model="fc", number=5, noise="black_to_white", c=2.0, attacks=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnt18"}, "'resnt18'; choose from fc"),
        ({"noise": "white"}, "'white'; choose from random_pixel_invert"),
        ({"noise": NOISES["white_to_black"]}, "noise must be a name"),
        ({"c": 0.05}, "0.1 to 10 .*not 0.05"),
        ({"number": 10_000}, "number must be .* 0 to 9999, not 10000"),
        *(({"attacks": attacks}, f"attacks must be an integer from 0 to 200, not {attacks}") for attacks in (201, 1.5)),
        *(({"draw": draw}, f"draw must be an integer from 0 to 2147483648, not {draw}") for draw in (-1, 2**31 + 1)),
        ({"replacement": "yes"}, "replacement must be .*'yes'"),
        ({"statistics": "batch"}, "'batch'; choose from frozen, adapted, moments"),
        ({"source": "later"}, "'later'; choose from clean, "),
        ({"dataset": "fashion"}, "'fashion'; choose from mnist, fashion-mnist"),
        ({"own": b"abc"}, "28 x 28 .*not 3"),
    ],
)
def test_wrong_states_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        State(**change)


def test_pictures_depend_on_what_they_show_alone():
    seen, other, (*_, strip) = look(STATE), look(replace(STATE, attacks=9)), strips(STATE)
    for draw in (pictures.attacked_digit, pictures.probabilities):
        assert pictures.png(draw(seen)) == pictures.png(draw(seen)) != pictures.png(draw(other))
    assert pictures.png(pictures.strip(strip, 8)) != pictures.png(pictures.strip(strip, 9))
    many = look(STATE.turned(noise="random_pixel_invert", attacks=60))
    picture = np.asarray(pictures.attacked_digit(many))
    left, top, side = (round(pictures.SCALE * length) for length in (2 * 137, 22, 126))
    centre = (np.arange(28) + 0.5) * side / 28
    shown = picture[(top + centre).astype(int)][:, (left + centre).astype(int)]
    for colour, where in (
        (pictures.LIGHTER, many.noisy > many.state.image),
        (pictures.DARKER, many.noisy < many.state.image),
    ):
        np.testing.assert_array_equal((shown == ImageColor.getrgb(colour)).all(axis=-1), where)


def test_words_say_how_sure_the_network_is_with_dropout_too(tmp_path):
    """With dropout by the mean of thirty passes, in which some of the inputs of the last layer are missing."""
    seen = look(STATE)
    passes = Cut.of(networks.load("fc"), "fc").evaluate(np.stack([seen.state.image, seen.noisy]))[1]
    assert passes.shape == (30, 2, 10) and seen.dropped is not None
    np.testing.assert_allclose(seen.dropped, passes.mean(axis=0), atol=1e-6)
    chances = np.full((3, 10), 0.01)
    chances[0, 2], chances[1, 8], chances[2, 8] = 0.91, 0.63, 0.38
    shown = replace(seen, before=chances[0], after=chances[1], dropped=chances[[0, 2]], attacked=8, altered=8)
    numbers = [word.strip(".,;()") for word in in_words(shown).split() if word.strip(".,;()").isdigit()]
    assert in_words(shown).startswith("FC ") and numbers == ["2", "91", "91", "8", "8", "63", "38", "2"]
    assert "dropout" not in in_words(replace(shown, dropped=None))
    none_left = look(STATE.turned(attacks=200, replacement=False, source="current"))
    assert none_left.attacked < 200 and f"{none_left.attacked} of 200 attacks" in in_words(none_left)
    strange = look(stored("strange:log_softmax", outputs=tmp_path))
    assert strange.dropped is None and "dropout" not in in_words(strange), "it has no last layer to cut before"


def test_a_network_of_another_data_set_is_shown_its_images_in_words(tmp_path):
    articles, chosen = data.load("fashion-mnist"), {"dataset": "fashion-mnist", "outputs": tmp_path}
    state = replace(stored("tiny:conv_net@fashion", **chosen), number=11, noise="black_to_white", attacks=5)
    names, network = data.CLASS_NAMES["fashion-mnist"], networks.predictor(networks.load(state.model, **chosen))
    np.testing.assert_array_equal(state.image, articles.test_images[11])
    noisy = perturb(articles.test_images[11:12], state.noise, 5, index=np.array([11]))
    np.testing.assert_allclose(look(state).after, network(noisy)[0], atol=1e-4)
    assert f"{state.label} ({names[state.label]})" in in_words(look(state)) and state.label == articles.test_labels[11]
    right = network(articles.test_images[:50]).argmax(axis=1) == articles.test_labels[:50]
    first = next(live for live in many_digits.live_curves(state, [state.model], 50) if live.accuracy[state.model])
    assert first.accuracy[state.model] == [pytest.approx(100 * right.mean())]
    assert one_digit.trained(tmp_path, 0, "fashion-mnist") == [state.model] == one_digit.choices(state)
    assert one_digit.trained(tmp_path) == []
    with pytest.raises(ValueError, match="dataset must be fashion-mnist, not mnist"):
        look(replace(state, dataset="mnist"))


def test_every_network_on_disk_is_offered(tmp_path, caplog):
    offered = one_digit.trained()
    assert offered[:2] == ["fc", "resnet18"] and {"cnn@slow", "efficientnet_b1@slow"} <= set(offered)
    known = [model for model in offered if model in paper.NETWORKS]
    assert offered[: len(known)] == [model for model in paper.NETWORKS if model in known], "the paper's order first"
    assert len(set(offered)) == len(offered)
    own = stored("tiny:conv_net@quick", outputs=tmp_path)
    assert one_digit.trained(tmp_path) == [own.model] == one_digit.choices(own), "the record knows the colon"
    assert one_digit.trained(tmp_path, train_seed=1) == []
    assert one_digit.choices(replace(own, train_seed=1)) == [own.model], "the state's own, though not trained"
    shutil.copy(networks.weights_path("fc"), tmp_path / "weights" / "another-seed0.safetensors")
    (tmp_path / "weights" / "pointer-seed0.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    assert one_digit.trained(tmp_path) == [own.model] and "pointer-seed0.safetensors" in caplog.text
    with pytest.raises(FileNotFoundError, match="make train MODEL=vgg19"):
        look(State(model="vgg19", outputs=tmp_path))


@in_a_loop
async def test_only_the_newest_request_is_worked_on():
    shown, begun, go = [], [], threading.Event()

    def steps(wanted):
        begun.append(wanted)
        go.wait(5)
        if wanted == "old":
            raise KeyError(wanted)
        for step in (1, 2):
            yield lambda step=step: shown.append((wanted, step))

    newest = Newest(steps, pytest.fail)
    for first, others in ((0, range(1, 50)), ("old", ["new"])):
        go.clear()
        newest.ask(first)
        while begun[-1:] != [first]:
            await asyncio.sleep(0.001)
        for wanted in others:
            newest.ask(wanted)
        go.set()
        await newest.settled()
    assert begun == [0, 49, "old", "new"]
    assert shown == [(0, 1), (49, 1), (49, 2), ("new", 1), ("new", 2)], "a failure of what was overtaken is not shown"


def slow_steps(count: int, shown: list | None = None):
    for step in range(count):
        threading.Event().wait(0.01)
        yield lambda step=step: shown is None or shown.append(step)


@in_a_loop
async def test_a_cancelled_job_stops_and_the_loop_stays_free():
    """And two viewers turned one after another do not wait for each other."""
    shown, turns = [], []
    newest = Newest(lambda count: slow_steps(count, shown), pytest.fail)
    newest.ask(1000)
    while len(shown) < 3:
        await asyncio.sleep(0.001)
        turns.append(len(shown))
    newest.cancel()
    await newest.settled()
    first, second = Newest(slow_steps, pytest.fail), Newest(slow_steps, pytest.fail)
    first.ask(30, urgent=True)
    second.ask(3)
    await asyncio.sleep(0.05)  # the second waits for the first
    second.ask(3, urgent=True)
    await asyncio.wait_for(asyncio.gather(first.settled(), second.settled()), 30)
    assert len(turns) > 3 and 3 <= len(shown) < 100, "the loop turned more often than there were steps"


@pytest.mark.parametrize(("urgent", "order"), [("", "abcabcabc"), ("c", "acccababb")])
@in_a_loop
async def test_viewers_take_turns_but_one_just_turned_goes_first(urgent, order):
    begun, busy, go = [], threading.Lock(), threading.Event()

    def steps(name):
        for _ in range(3):
            assert busy.acquire(blocking=False), "another one works meanwhile"
            begun.append(name)
            go.wait(5)
            busy.release()
            yield lambda: None

    viewers = {name: Newest(steps, pytest.fail) for name in "abc"}
    for name, viewer in viewers.items():
        viewer.ask(name)
    await asyncio.sleep(0.01)  # the first step is under way, the others are queued
    for name in urgent:
        viewers[name].ask(name, urgent=True)
    go.set()
    for viewer in viewers.values():
        await viewer.settled()
    assert "".join(begun) == order


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("size mismatch:\n\tbody.1.weight"), "RuntimeError: size mismatch: body.1.weight"),
        (ValueError(), "ValueError"),
        (FileNotFoundError("not trained;\nmake train"), "not trained; make train"),
    ],
)
@in_a_loop
async def test_any_exception_is_shown_in_one_line_and_logged(error, line, caplog):
    failures, shown = [], []

    def steps(wanted):
        yield lambda: shown.append(wanted)
        if wanted == "bad":
            raise error
        if wanted == "bad to show":
            yield lambda: [][1]

    newest = Newest(steps, failures.append)
    with caplog.at_level(logging.INFO):
        for wanted in ("bad", "bad to show", "good"):
            newest.ask(wanted)
            await newest.settled()
    assert failures == [line, "IndexError: list index out of range"] and shown == ["bad", "bad to show", "good"]
    assert [record.exc_info[0] for record in caplog.records] == [type(error), IndexError]
    assert caplog.text.count("Traceback") == 2


async def settle(*viewers) -> None:
    for viewer in viewers:
        await getattr(viewer, "attack", viewer).newest.settled()


@in_a_loop
async def test_viewers_stay_usable_after_any_exception(monkeypatch):
    one, every, shown = OneDigit(STATE), AllDigits(STATE, images=50), Gallery(replace(STATE, attacks=40))
    own = OwnDigit(STATE)
    messages = one.attack.message, every.message, shown.message
    with monkeypatch.context() as broken:
        broken.setattr(one_digit.Network, "at_once", raising)
        broken.setattr(many_digits, "probabilities", raising)
        one.attack.knobs.widgets["draw"].value = 3
        every.start.click()
        shown.knobs.widgets["draw"].value = 3
        await settle(one, every, shown)
        for message in messages:
            assert "alert" in message.value and "RuntimeError: no such thing" in message.value
        assert not every.start.disabled and every.stop.disabled and one.attack.jump.disabled
        one.next.click()
        one.attack.message.value = ""
        await one.search.settled()
        assert "RuntimeError" in one.attack.message.value
        broken.setattr(handwriting, "from_strokes", raising)
        broken.setattr(handwriting, "from_file", raising)
        for act in (lambda: setattr(own.canvas, "strokes", [[[9, 9]]]), lambda: upload(own, "7.png", b"any")):
            own.attack.message.value = ""
            act()
            assert "RuntimeError" in own.attack.message.value
        broken.setattr(every.newest, "ask", raising)
        resnet, c = every.boxes["resnet18"], every.knobs.widgets["c"]
        for act in (every.start.click, lambda: setattr(resnet, "value", True), lambda: setattr(c, "value", 3.0)):
            every.message.value = ""
            act()
            assert "RuntimeError" in every.message.value and not every.start.disabled
    one.attack.knobs.widgets["draw"].value = 4
    every.boxes["resnet18"].value = False
    every.start.click()
    shown.knobs.widgets["draw"].value = 4
    await settle(one, every, shown)
    assert one.attack.message.value == "" and "Go to" in one.attack.jump.description
    assert every.bar.value == every.bar.max and not every.start.disabled
    assert "alert" not in shown.message.value
    first = shown.picture.value
    shown.knobs.widgets["attacks"].value = 90
    assert "Searching" in shown.message.value and "working" in shown.shown._dom_classes
    await settle(shown)
    *_, found = many_digits.fooled(replace(STATE, attacks=90, draw=4))
    assert f"{len(found.numbers)} of the first {found.searched:,}" in shown.message.value
    assert shown.picture.value != first and "working" not in shown.shown._dom_classes


def upload(viewer: OwnDigit, name: str, content: bytes, size: int | None = None) -> None:
    """As the browser sends a file; one that it could not shrink comes without its content."""
    file = {"name": name, "size": size or len(content), "largest": 8_000_000}
    viewer.upload._handle_custom_msg(file, [memoryview(content)] if size is None else [])


states = st.builds(
    State,
    model=st.sampled_from(["fc", "vgg19", "cnn", "cnn@slow", "resnet50@mine", "timm:vit_tiny_patch16_224@small"]),
    number=st.integers(0, one_digit.LARGEST["number"]),
    noise=st.sampled_from(list(NOISES)),
    c=st.none() | st.floats(one_digit.SMALLEST_C, one_digit.LARGEST_C),
    attacks=st.integers(0, one_digit.LARGEST["attacks"]),
    draw=st.integers(0, one_digit.LARGEST["draw"]),
    replacement=st.booleans(),
    source=st.sampled_from(list(SOURCES)),
)


@in_a_loop
async def test_viewers_open_before_any_network_is_loaded(monkeypatch):
    monkeypatch.setattr(one_digit, "Network", raising)
    asked = Opening(model="cnn@slow", c=3.3, draw=2_000_000).state()
    one, every = OneDigit(asked), AllDigits(asked, images=50)
    assert networks.title(asked.model) in one.attack.verdict.value and one.attack.jump.disabled
    assert every.chosen == [asked.model] and OwnDigit(asked).attack.knobs.widgets["c"].value == 3.3
    assert Gallery(asked).knobs.widgets["draw"].value == 2_000_000
    assert "make app" in one._repr_mimebundle_()["text/plain"], "a line of text where no kernel runs"


@given(st.lists(states, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_any_valid_state_is_shown_by_all_knobs(wanted):
    seen = []
    knobs = Knobs(wanted[0], list(KNOBS), seen.append, pytest.fail)
    for state in wanted:
        if state is not wanted[0]:
            knobs.turn(**{name: getattr(state, name) for name in KNOBS})
        assert knobs.state == state
        assert {n: w.value for n, w in knobs.widgets.items()} == {name: getattr(state, name) for name in KNOBS}
        assert float(knobs.widgets["c"].label) == state.c
        assert knobs.widgets["model"].label == networks.title(state.model), "the same name in all menus"
    assert seen == wanted[1:], "a knob that shows a state does not turn it"


def test_knobs_turn_the_state_and_go_back_if_they_cannot(monkeypatch):
    shown, seen = [], []
    monkeypatch.setattr(one_digit, "trained", lambda *_: ["fc", "gone:net@mine"])
    knobs = Knobs(STATE, ["model", "noise", "c", "attacks"], seen.append, shown.append)
    knobs.widgets["model"].value = "gone:net@mine"
    assert "gone:net" in shown[0] and seen == []
    assert knobs.state == STATE and knobs.widgets["model"].value == "fc"
    knobs.widgets["attacks"].value = 30
    knobs.widgets["noise"].value = "random_pixel_invert"
    assert [s.attacks for s in seen] == [30, 30] and seen[1].c == 1.25 == knobs.widgets["c"].value


@in_a_loop
async def test_one_digit_shows_what_the_knobs_say():
    viewer = OneDigit(STATE)
    attack = viewer.attack
    await settle(viewer)
    first = attack.digit.value, attack.bars.value, attack.strip.value
    attack.knobs.widgets["attacks"].value = 60
    attack.knobs.widgets["noise"].value = "black_to_white"
    assert "working" in attack.shown._dom_classes, "the old pictures are marked"
    await settle(viewer)
    assert "working" not in attack.shown._dom_classes
    assert not {*first} & {attack.digit.value, attack.bars.value, attack.strip.value}
    now = STATE.turned(attacks=60, noise="black_to_white")
    assert attack.digit.value == pictures.png(pictures.attacked_digit(look(now)))
    *_, strip = strips(now)
    attack.jump.click()
    await settle(viewer)
    assert attack.knobs.state.attacks == strip.first_fooled == attack.knobs.widgets["attacks"].value
    viewer.next.click()
    await viewer.search.settled()
    await settle(viewer)
    found = look(attack.knobs.state)
    assert found.state.number != 613 and found.before.argmax() == found.state.label != found.after.argmax()
    attack.knobs.widgets["attacks"].value = 0
    viewer.next.click()
    assert "0 attacks" in attack.message.value, "nothing is lost there"
    attack.knobs.widgets["attacks"].value = 1
    viewer.next.click()
    await asyncio.sleep(0)  # the search is under way
    attack.knobs.widgets["draw"].value = 9
    await viewer.search.settled()
    await settle(viewer)
    assert attack.knobs.state.number == found.state.number, "the search ended when a knob was turned"
    assert "searched" not in attack.message.value


@in_a_loop
async def test_a_drawn_or_uploaded_digit_is_attacked_and_anything_else_refused():
    paper = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(paper).line([(40, 60), (150, 60), (90, 250)], fill=0, width=22)
    paper.save(content := io.BytesIO(), "PNG")
    viewer = OwnDigit(STATE)
    attack = viewer.attack
    await settle(viewer)
    before = attack.digit.value
    upload(viewer, "<b>.png", b"no picture")
    assert "&lt;b&gt;.png" in attack.message.value and "<b>" not in attack.message.value
    upload(viewer, "notes.pdf", b"", size=12_000_000)
    assert "notes.pdf, 12.0 MB" in attack.message.value and attack.digit.value == before
    upload(viewer, "7.png", content.getvalue())
    await settle(viewer)
    assert attack.digit.value != before and attack.message.value == "" and viewer.canvas.strokes == []
    assert attack.knobs.state.own == handwriting.from_file(content.getvalue(), "7.png").tobytes()
    stroke = [[60, y] for y in range(40, 240, 10)]
    viewer.canvas.strokes = [stroke]
    await settle(viewer)
    assert attack.knobs.state.own == handwriting.from_strokes([stroke], 280, 24).tobytes()
    assert attack.reading.value.count("<b>") == 2
    viewer.clear.click()
    viewer.canvas.strokes = [[[340, 340]]]
    assert "no digit" in attack.message.value and attack.digit.value != before


@in_a_loop
async def test_all_digits_computes_cancels_and_goes_on(monkeypatch):
    monkeypatch.setattr(one_digit, "trained", lambda *_: ["fc", "resnet18", "cnn@slow", "resnet50"])
    monkeypatch.setattr(many_digits, "LEVELS", paper.LEVELS[:3])
    viewer = AllDigits(STATE, images=75)
    await settle(viewer)
    recorded = viewer.picture.value
    viewer.start.click()
    assert viewer.start.disabled and not viewer.stop.disabled
    while viewer.bar.value < 75:
        await asyncio.sleep(0.001)
    viewer.stop.click()
    await settle(viewer)
    assert 0 < viewer.bar.value < viewer.bar.max and "Cancelled" in viewer.message.value
    assert viewer.stop.disabled and not viewer.start.disabled
    viewer.start.click()
    viewer.boxes["cnn@slow"].value = True
    assert viewer.start.disabled, "a network ticked during a run joins it"
    await settle(viewer)
    assert viewer.bar.value == viewer.bar.max == 2 * 3 * 75 and viewer.stop.disabled
    *_, live = many_digits.live_curves(STATE, ["fc", "cnn@slow"], 75)
    curve = {model: many_digits.recorded_curve(STATE, model) for model in ("fc", "cnn@slow")}
    drawn = figures.png(figures.live_curves(STATE.noise, STATE.c, 2.0, curve, live.accuracy, 75))
    assert viewer.picture.value == drawn != recorded
    viewer.boxes["resnet18"].value = True
    assert viewer.boxes["resnet50"].disabled and not viewer.boxes["fc"].disabled, "three at most"
    for box in viewer.boxes.values():
        box.value = False
    assert not viewer.boxes["resnet50"].disabled
    viewer.start.click()
    assert "alert" in viewer.message.value and not viewer.start.disabled, "none is chosen"
    await settle(viewer)
