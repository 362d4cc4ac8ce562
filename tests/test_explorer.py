import asyncio
import io
import logging
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lib import networks, paper
from lib.analysis.dropout import Cut
from lib.evaluation.plan import Plan
from lib.evaluation.results import curves
from lib.evaluation.sweep import sweep
from lib.explorer import handwriting, many_digits, one_digit, pictures
from lib.explorer.knobs import KNOBS, Knobs, Newest
from lib.explorer.many_digit_viewers import AllDigits, Gallery, missing
from lib.explorer.one_digit import MOST_ATTACKS, Opening, State, look, strips
from lib.explorer.panels import button
from lib.explorer.viewers import OneDigit, OwnDigit, in_words
from lib.networks import predictor
from lib.noise import NOISES, SOURCES, perturb, perturb_and_count
from lib.report import figures
from lib.store import data
from lib.training.fit import train
from lib.training.recipe import Recipe


@pytest.fixture(scope="module")
def state() -> State:
    return State(model="fc", number=613, noise="white_to_black", attacks=8)


@pytest.fixture(scope="module")
def fc():
    return predictor(networks.load("fc"))


@pytest.fixture
def drawn() -> bytes:
    """A picture file of a thick black 7 on white paper."""
    paper = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(paper).line([(40, 60), (150, 60), (90, 250)], fill=0, width=22)
    return as_file(paper)


def as_file(picture: Image.Image, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("source", ["clean", "current"])
def test_a_look_is_what_perturb_and_the_network_say(state, fc, noise, replacement, source):
    asked = state.turned(noise=noise, c=1.7, attacks=150, draw=4, replacement=replacement, source=source)
    seen = look(asked)
    image = data.load().test_images[613]
    noisy, attacked, altered, left = perturb_and_count(
        image[None], noise, 150, c=1.7, seed=4, index=np.array([613]), replacement=replacement, source=source
    )
    np.testing.assert_array_equal(seen.noisy, noisy[0])
    assert (seen.attacked, seen.altered, seen.left) == (attacked[0], altered[0], left[0])
    assert (f"They altered {seen.altered} pixels" in in_words(seen)) == (seen.altered < seen.attacked)
    np.testing.assert_allclose([seen.before, seen.after], fc(np.stack([image, noisy[0]])), atol=1e-5)
    assert seen.hit[seen.noisy != image].all() and seen.hit.sum() <= 150
    if not replacement:
        np.testing.assert_array_equal(seen.hit, seen.noisy != image)


def test_a_strip_gives_every_level_and_the_first_that_fools(state, fc):
    *partial, strip = strips(replace(state, draw=5))
    assert partial and not any(p.complete for p in partial) and strip.complete
    noisy = perturb(data.load().test_images[[613]], state.noise, range(MOST_ATTACKS + 1), seed=5, index=[613])[:, 0]
    found = fc(noisy)
    np.testing.assert_allclose(strip.probability, found[:, 2], atol=1e-4)
    np.testing.assert_array_equal(strip.predicted, found.argmax(axis=1))
    wrong = [level for level in range(MOST_ATTACKS + 1) if found[level].argmax() != 2]
    assert strip.first_fooled == wrong[0] > 0
    assert list(strips(replace(state, draw=5, attacks=77))) == [strip]  # remembered, whatever the level


def test_a_strip_of_a_digit_that_is_never_fooled_has_no_first_level():
    answer = np.full(MOST_ATTACKS + 1, 3)
    assert one_digit.Strip(np.ones(MOST_ATTACKS + 1), answer, 3).first_fooled is None
    assert one_digit.Strip(np.ones(MOST_ATTACKS + 1), answer, 4).first_fooled == 0


def test_the_next_wrong_digit_is_the_next_one(state, fc):
    images, labels = data.load().test_images, data.load().test_labels
    asked = replace(state, attacks=40, number=9_990)
    *clear, (searched, found) = many_digits.next_wrong(asked)
    numbers = (9_991 + np.arange(400)) % 10_000
    wrong = fc(perturb(images[numbers], asked.noise, 40, index=numbers)).argmax(axis=1) != labels[numbers]
    assert found == numbers[wrong.argmax()] < 9_990, "the search goes round the end of the test set"
    assert all(nothing is None for _, nothing in clear) and searched == 25 * (len(clear) + 1)


def test_the_gallery_holds_the_first_digits_that_are_fooled(state, fc):
    images, labels = data.load().test_images[:400], data.load().test_labels[:400]
    *_, found = many_digits.fooled(replace(state, attacks=120), wanted=6, most=400)
    after = fc(perturb(images, state.noise, 120)).argmax(axis=1)
    expected = np.flatnonzero((fc(images).argmax(axis=1) == labels) & (after != labels))[:6]
    assert found.numbers == expected.tolist() and found.predicted == after[expected].tolist()
    assert found.labels == labels[expected].tolist() and found.searched == expected[5] + 1
    *_, few = many_digits.fooled(replace(state, attacks=0), most=60)
    assert few.numbers == [] and few.searched == 60


def test_live_curves_come_level_by_level_and_equal_a_sweep(trained):
    state = State(model="tiny:conv_net@quick", noise="black_to_white", c=2, outputs=trained)
    model = state.model
    plan = Plan(model=model, noises=[state.noise], images=60, draws=1, outputs=trained)
    sweep(plan)
    steps = list(many_digits.live_curves(state, [model], images=60))
    lengths = [len(step.accuracy[model]) for step in steps]
    assert lengths == sorted(lengths) and lengths[0] == 0 and lengths[-1] == 21
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert steps[-1].done == steps[-1].total == 21 * 60
    assert steps[-1].accuracy[model] == pytest.approx(curves(plan)["accuracy"].tolist())


def test_recorded_curves_are_those_of_these_weights_at_the_noise_own_c(state, tmp_path):
    curve = many_digits.recorded_curve(state.turned(c=0.3), "fc")
    plan = Plan(model="fc", noises=["white_to_black"])
    assert curve is not None and curve.equals(curves(plan)) and curve["images"].max() == 10_000
    elsewhere = replace(state, outputs=tmp_path)
    assert many_digits.recorded_curve(elsewhere, "fc") is None
    assert missing(elsewhere, {"fc": None, "vgg19": curve}).endswith("record it with: make sweep MODEL=fc")
    assert missing(state, {"fc": curve}) == ""
    other = tmp_path / "weights"
    other.mkdir()
    networks.save_weights(networks.load("fc"), other / "fc-seed0.safetensors", {"made": "otherwise"})
    (tmp_path / "predictions").symlink_to(one_digit.OUTPUTS / "predictions")
    assert many_digits.recorded_curve(elsewhere, "fc") is None, "predictions by other weights do not count"


def test_turning_the_noise_brings_its_own_c(state):
    assert state.turned(noise="edge_to_altered").c == 1.25
    assert state.turned(noise="edge_to_altered", c=3).c == 3
    assert {one_digit.SMALLEST_C, one_digit.LARGEST_C, *(noise.c for noise in NOISES.values())} <= set(one_digit.STOPS)
    assert sorted(set(one_digit.STOPS)) == one_digit.STOPS
    assert state.turned(attacks=9).turned(attacks=8) == state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnt18"}, "unknown model 'resnt18'; choose from fc"),
        ({"noise": "white"}, "unknown noise 'white'; choose from random_pixel_invert"),
        ({"c": 0.05}, "c must be 0.1 to 10 here, not 0.05"),
        ({"c": -1}, "c must be a finite number above 0"),
        ({"number": 10_000}, "number must be an integer from 0 to 9999, not 10000"),
        ({"attacks": 201}, "attacks must be an integer from 0 to 200, not 201"),
        ({"attacks": 1.5}, "attacks must be an integer"),
        ({"draw": -1}, "draw must be an integer"),
        ({"draw": 2**31 + 1}, "draw must be an integer from 0 to 2147483648, not 2147483649"),
        ({"replacement": "yes"}, "replacement must be True or False, not 'yes'"),
        ({"source": "later"}, "unknown source 'later'; choose from clean, "),
        ({"noise": NOISES["white_to_black"]}, "noise must be a name"),
        ({"dataset": "fashion"}, "unknown data set 'fashion'; choose from mnist, fashion-mnist"),
        ({"own": b"abc"}, "a digit has 28 x 28 brightnesses, not 3"),
    ],
)
def test_wrong_states_are_told(change, message):
    with pytest.raises(ValueError, match=message):
        State(**change)


def test_an_untrained_network_is_told_with_the_command_that_trains_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="make train MODEL=vgg19"):
        look(State(model="vgg19", outputs=tmp_path))
    assert one_digit.trained(tmp_path) == []


def test_the_opening_becomes_a_state():
    opened = Opening(model="fc", digit=5, noise="black_to_white", attacks=3).state()
    assert opened == State(model="fc", number=5, noise="black_to_white", c=2.0, attacks=3)
    with pytest.raises(ValueError, match="unknown noise"):
        Opening(noise="snow").state()


def test_pictures_depend_on_what_they_show_alone(state):
    seen, other = look(state), look(replace(state, attacks=9))
    *_, strip = strips(state)
    for draw in (pictures.attacked_digit, pictures.probabilities):
        assert pictures.png(draw(seen)) == pictures.png(draw(seen)) != pictures.png(draw(other))
    eighth, ninth = pictures.strip(strip, 8), pictures.strip(strip, 9)
    assert pictures.png(eighth) == pictures.png(pictures.strip(strip, 8)) != pictures.png(ninth)


def test_attacked_pixels_are_marked_by_what_became_of_them(state):
    seen = look(state.turned(noise="random_pixel_invert", attacks=60))
    picture = np.asarray(pictures.attacked_digit(seen))
    left, top, side = (round(pictures.SCALE * length) for length in (2 * 137, 22, 126))
    centre = (np.arange(28) + 0.5) * side / 28
    shown = picture[(top + centre).astype(int)][:, (left + centre).astype(int)]
    hexadecimal = np.vectorize(lambda r, g, b: f"#{r:02X}{g:02X}{b:02X}")(*np.moveaxis(shown, 2, 0))
    np.testing.assert_array_equal(hexadecimal == pictures.LIGHTER, seen.noisy > seen.state.image)
    np.testing.assert_array_equal(hexadecimal == pictures.DARKER, seen.noisy < seen.state.image)


def test_live_curves_are_drawn_over_recorded_ones(state):
    curve = many_digits.recorded_curve(state, "fc")
    assert curve is not None
    recorded = {"fc": curve, "resnet18": None}
    axes = figures.live_curves(state.noise, 0.5, 2.0, recorded, {"resnet18": [99.0, 90.0]}, 500).axes[0]
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["FC, c = 2, 10,000 digits, recorded", "ResNet-18, c = 0.5, 500 digits, live"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), curve["accuracy"])
    assert axes.lines[1].get_xdata().tolist() == [0, 10] and axes.lines[1].get_ydata().tolist() == [99.0, 90.0]
    assert axes.lines[0].get_color() != axes.lines[1].get_color()
    empty = figures.live_curves(state.noise, 0.5, 2.0, {"resnet18": None}, {}, 500).axes[0]
    assert "no curve is recorded" in empty.texts[0].get_text()


def test_words_say_how_sure_the_network_is_with_dropout_too(state):
    """With dropout by the mean of thirty passes, in which some of the inputs of the last layer are missing."""
    seen = look(state)
    passes = Cut.of(networks.load("fc"), "fc").ask(np.stack([seen.state.image, seen.noisy]))[1]
    assert passes.shape == (30, 2, 10) and seen.dropped is not None
    np.testing.assert_allclose(seen.dropped, passes.mean(axis=0), atol=1e-6)
    chances = np.full((3, 10), 0.01)
    chances[0, 2], chances[1, 8], chances[2, 8] = 0.91, 0.63, 0.38
    shown = replace(seen, before=chances[0], after=chances[1], dropped=chances[[0, 2]], attacked=8, altered=8)
    assert in_words(shown) == (
        "fc reads the clean digit as 2 (91 % sure, 91 % with dropout) "
        "and after 8 attacks as 8 (63 % sure, 38 % with dropout); it is a 2."
    )
    assert "as 2 (91 % sure) and after" in in_words(replace(shown, dropped=None))


def test_a_network_that_dropout_has_no_place_in_is_shown_all_the_same(tmp_path):
    recipe = Recipe(model="strange:log_softmax", outputs=tmp_path)
    networks.save_weights(networks.build(recipe.model), recipe.weights, {"recipe": recipe.recorded})
    seen = look(State(model=recipe.model, outputs=tmp_path))
    assert seen.dropped is None and "dropout" not in in_words(seen) and "% sure) and after" in in_words(seen)


def test_words_say_when_attacks_found_no_pixel(state):
    seen = look(state.turned(attacks=200, replacement=False, source="current"))
    assert seen.attacked < 200 and f"Only {seen.attacked} of 200 attacks found a pixel" in in_words(seen)
    assert "it is a 2." in in_words(seen) and "Only" not in in_words(look(state))


def test_only_the_newest_state_is_worked_on():
    shown, begun, go = [], [], threading.Event()

    def steps(wanted):
        begun.append(wanted)
        go.wait(5)
        yield lambda: shown.append((wanted, 1))
        yield lambda: shown.append((wanted, 2))

    async def drag():
        newest = Newest(steps, pytest.fail)
        newest.ask(0)
        await asyncio.sleep(0.05)  # the first is under way
        for wanted in range(1, 50):
            newest.ask(wanted)
        go.set()
        await newest.settled()

    asyncio.run(drag())
    assert begun == [0, 49]
    assert shown == [(0, 1), (49, 1), (49, 2)], "an overtaken state shows what it has and does no more"


def test_a_cancelled_job_stops_and_the_loop_stays_free():
    shown = []

    def steps(_):
        for step in range(1000):
            threading.Event().wait(0.02)
            yield lambda step=step: shown.append(step)

    async def cancel() -> float:
        newest = Newest(steps, pytest.fail)
        newest.ask("a long job")
        longest, then = 0.0, asyncio.get_running_loop().time()
        for _ in range(100):
            await asyncio.sleep(0.002)
            now = asyncio.get_running_loop().time()
            longest, then = max(longest, now - then), now
        newest.cancel()
        await newest.settled()
        return longest

    assert asyncio.run(cancel()) < 0.5
    assert 1 <= len(shown) < 100


def test_the_steps_of_all_viewers_are_taken_in_turn():
    begun, busy = [], threading.Lock()

    def steps(name):
        for _ in range(3):
            assert busy.acquire(blocking=False), "another one works meanwhile"
            begun.append(name)
            threading.Event().wait(0.01)
            busy.release()
            yield lambda: None

    async def open_them():
        viewers = {name: Newest(steps, pytest.fail) for name in "abc"}
        for name, viewer in viewers.items():
            viewer.ask(name)
        for viewer in viewers.values():
            await viewer.settled()

    asyncio.run(open_them())
    assert begun == list("abcabcabc"), "who asks first is shown first"


def test_a_viewer_opens_before_its_network_is_loaded(tmp_path):
    async def open_it():
        attack = OneDigit(State(model="vgg19", outputs=tmp_path)).attack
        assert "Loading vgg19" in attack.verdict.value and attack.jump.disabled
        await attack.newest.settled()
        assert "make train MODEL=vgg19" in attack.message.value and attack.verdict.value == ""

    asyncio.run(open_it())


def test_a_failing_step_is_told_and_the_next_works():
    told, shown = [], []

    def steps(wanted):
        if wanted == "bad":
            raise ValueError("c must be a finite number above 0")
        yield lambda: shown.append(wanted)

    async def both():
        newest = Newest(steps, told.append)
        for wanted in ("bad", "good"):
            newest.ask(wanted)
            await newest.settled()

    asyncio.run(both())
    assert told == ["c must be a finite number above 0"] and shown == ["good"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("recipe"), "KeyError: 'recipe'"),
        (RuntimeError("size mismatch:\n\tbody.1.weight"), "RuntimeError: size mismatch: body.1.weight"),
        (AssertionError(), "AssertionError"),
        (ValueError(), "ValueError"),
        (FileNotFoundError("not trained;\nmake train"), "not trained; make train"),
    ],
)
def test_any_exception_is_told_in_one_line_and_logged(error, line, caplog):
    told, shown = [], []

    def steps(wanted):
        yield lambda: shown.append(wanted)
        if wanted == "bad":
            raise error
        if wanted == "bad to show":
            yield lambda: [][1]

    async def ask():
        newest = Newest(steps, told.append)
        for wanted in ("bad", "bad to show", "good"):
            newest.ask(wanted)
            await newest.settled()
        newest = Newest(lambda _: [][1], told.append)
        newest.ask("no steps at all")
        await newest.settled()

    with caplog.at_level(logging.INFO):
        asyncio.run(ask())
    assert told == [line, *["IndexError: list index out of range"] * 2] and shown == ["bad", "bad to show", "good"]
    assert [record.exc_info[0] for record in caplog.records] == [type(error), IndexError, IndexError]
    assert all("Traceback" in text for text in caplog.text.split("a viewer could not do what was asked")[1:])


def test_a_failure_of_what_was_overtaken_is_logged_alone(caplog):
    told, go = [], threading.Event()

    def steps(wanted):
        go.wait(5)
        if wanted == "old":
            raise KeyError(wanted)
        yield lambda: None

    async def overtake():
        newest = Newest(steps, told.append)
        newest.ask("old")
        await asyncio.sleep(0.05)
        newest.ask("new")
        go.set()
        await newest.settled()

    asyncio.run(overtake())
    assert told == [] and "KeyError: 'old'" in caplog.text


def raising(*_):
    raise RuntimeError("no such thing")


def test_viewers_stay_usable_after_any_exception(state, monkeypatch):
    async def fail_and_go_on():
        one, every, shown = OneDigit(state), AllDigits(state, images=50), Gallery(replace(state, attacks=40))
        with monkeypatch.context() as broken:
            broken.setattr(one_digit, "probabilities", raising)
            broken.setattr(many_digits, "probabilities", raising)
            one.attack.knobs.widgets["draw"].value = 3
            every.start.click()
            shown.knobs.widgets["draw"].value = 3
            for newest in (one.attack.newest, every.newest, shown.newest):
                await newest.settled()
            for message in (one.attack.message, every.message, shown.message):
                assert "alert" in message.value and "RuntimeError: no such thing" in message.value
            assert not every.start.disabled and every.stop.disabled
            assert one.attack.jump.disabled and "not known" in one.attack.jump.description
            one.next.click()
            one.attack.message.value = ""
            await one.search.settled()
            assert "RuntimeError: no such thing" in one.attack.message.value
        one.attack.knobs.widgets["draw"].value = 4
        every.start.click()
        shown.knobs.widgets["draw"].value = 4
        for newest in (one.attack.newest, every.newest, shown.newest):
            await newest.settled()
        assert one.attack.message.value == "" and "Go to" in one.attack.jump.description
        assert every.bar.value == every.bar.max and not every.start.disabled
        assert "alert" not in shown.message.value

    asyncio.run(fail_and_go_on())


def test_exceptions_of_clicks_boxes_strokes_and_uploads_are_told(state, monkeypatch):
    told = []
    button("Go", "", raising, told.append).click()
    assert told == ["RuntimeError: no such thing"]

    async def touch():
        own, every = OwnDigit(state), AllDigits(state, images=50)
        message, canvas = own.attack.message, own.canvas
        monkeypatch.setattr(handwriting, "from_strokes", raising)
        monkeypatch.setattr(handwriting, "from_file", raising)
        monkeypatch.setattr(own, "strokes", [])
        for events in (
            [{"event": "mouse_down", "x": 9, "y": 9}, {"event": "mouse_out", "x": 0, "y": 9}],
            [{"event": "touch_start", "touches": [{"x": 9, "y": 9}]}, {"event": "touch_end", "touches": []}],
        ):
            message.value = ""
            for event in events:
                canvas._handle_frontend_event(canvas, event, [])
            assert "RuntimeError: no such thing" in message.value and not own.drawing
        message.value = ""
        uploaded(own, "7.png", b"whatever")
        assert "RuntimeError: no such thing" in message.value
        monkeypatch.setattr(many_digits, "live_curves", None)
        monkeypatch.setattr(every.newest, "ask", raising)
        every.start.click()
        assert "RuntimeError" in every.message.value and not every.start.disabled
        every.message.value = ""
        every.boxes["resnet18"].value = True
        assert "RuntimeError" in every.message.value
        every.message.value = ""
        every.knobs.widgets["c"].value = 3.0
        assert "RuntimeError" in every.message.value

    asyncio.run(touch())


def uploaded(viewer: OwnDigit, name: str, content: bytes, size: int | None = None) -> None:
    """As the browser hands a file over; one that it could not make small enough comes without its content."""
    file = {"name": name, "size": size or len(content), "largest": 8_000_000}
    viewer.upload._handle_custom_msg(file, [memoryview(content)] if size is None else [])


def test_every_network_on_disk_is_offered(state, trained, tmp_path, caplog):
    offered = one_digit.trained()
    assert offered[:2] == ["fc", "resnet18"] and {"cnn@slow", "efficientnet_b1@slow"} <= set(offered)
    known = [model for model in offered if model in paper.NETWORKS]
    assert offered[: len(known)] == [model for model in paper.NETWORKS if model in known], "the paper's order first"
    assert len(set(offered)) == len(offered)
    own = State(model="tiny:conv_net@quick", outputs=trained)
    assert one_digit.trained(trained) == [own.model] == one_digit.choices(own), "the record knows the colon"
    assert one_digit.trained(trained, train_seed=1) == []
    assert one_digit.choices(replace(own, train_seed=1)) == [own.model], "the state's own, though not trained"
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(networks.weights_path("fc"), weights / "another-seed0.safetensors")
    (weights / "pointer-seed0.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    assert one_digit.trained(tmp_path) == [] and "pointer-seed0.safetensors does not say" in caplog.text


@pytest.mark.slow
def test_a_network_of_another_data_set_is_shown_its_images_in_words(tmp_path):
    articles, chosen = data.load("fashion-mnist"), {"dataset": "fashion-mnist", "outputs": tmp_path}
    recipe = Recipe(model="tiny:conv_net@fashion", train_images=2000, max_epochs=1, **chosen)
    train(recipe)
    state = State(model=recipe.model, number=11, noise="black_to_white", attacks=5, **chosen)
    names = dict(enumerate(data.CLASS_NAMES["fashion-mnist"]))
    seen, before = look(state), networks.load(recipe.model, **chosen)
    np.testing.assert_array_equal(state.image, articles.test_images[11])
    expected = predictor(before)(perturb(articles.test_images[11:12], state.noise, 5, index=np.array([11])))
    np.testing.assert_allclose(seen.after, expected[0], atol=1e-5)
    assert state.label == articles.test_labels[11]
    assert f"it is a {state.label} ({names[state.label]})" in in_words(seen)
    *_, live = many_digits.live_curves(state, [recipe.model], images=50)
    right = predictor(before)(articles.test_images[:50]).argmax(axis=1) == articles.test_labels[:50]
    assert live.accuracy[recipe.model][0] == pytest.approx(100 * right.mean())
    assert one_digit.trained(tmp_path, 0, "fashion-mnist") == [recipe.model] == one_digit.choices(state)
    assert one_digit.trained(tmp_path) == []
    with pytest.raises(ValueError, match="was trained on fashion-mnist: dataset must be fashion-mnist, not mnist"):
        look(replace(state, dataset="mnist"))


@pytest.mark.parametrize("change", [{"model": "cnn@slow"}, {"c": 3.3}, {"draw": 2_000_000}])
def test_viewers_open_on_any_state(state, change):
    asked = Opening(**{"model": "fc", "digit": 613} | change).state()
    ((name, value),) = change.items()

    async def open_them():
        every = AllDigits(asked, images=50)
        for viewer in (OneDigit(asked).attack, OwnDigit(asked).attack, every, Gallery(asked)):
            if name in viewer.knobs.widgets:
                assert viewer.knobs.widgets[name].value == value == getattr(viewer.knobs.state, name)
        assert every.chosen == [asked.model]

    asyncio.run(open_them())


models = st.sampled_from(
    ["fc", "vgg19", "cnn", "cnn@slow", "resnet50@mine", "timm:resnet10t", "timm:vit_tiny_patch16_224@small"]
)
states = st.builds(
    State,
    model=models,
    number=st.integers(0, one_digit.LARGEST["number"]),
    noise=st.sampled_from(list(NOISES)),
    c=st.none() | st.floats(one_digit.SMALLEST_C, one_digit.LARGEST_C),
    attacks=st.integers(0, one_digit.LARGEST["attacks"]),
    draw=st.integers(0, one_digit.LARGEST["draw"]),
    replacement=st.booleans(),
    source=st.sampled_from(list(SOURCES)),
)


@given(states, st.lists(states, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_valid_state_is_shown_by_all_knobs(first, others):
    seen = []
    knobs = Knobs(first, list(KNOBS), seen.append, pytest.fail)
    for wanted in (first, *others):
        if wanted is not first:
            knobs.turn(**{name: getattr(wanted, name) for name in KNOBS})
        assert knobs.state == wanted and {n: w.value for n, w in knobs.widgets.items()} == {
            name: getattr(wanted, name) for name in KNOBS
        }
        assert float(knobs.widgets["c"].label) == wanted.c and knobs.widgets["model"].label == wanted.model
    assert seen == others, "a knob that shows a state does not turn it"


def test_a_knob_that_cannot_be_turned_goes_back(state, monkeypatch):
    told, seen = [], []
    monkeypatch.setattr(one_digit, "trained", lambda *_: ["fc", "gone:net@mine"])
    knobs = Knobs(state, ["model", "c"], seen.append, told.append)
    knobs.widgets["model"].value = "gone:net@mine"
    assert "cannot import 'gone:net'" in told[0] and seen == []
    assert knobs.state == state and knobs.widgets["model"].value == "fc"
    with pytest.raises(ValueError, match="c must be"):
        knobs.turn(c=11)
    knobs.widgets["c"].value = 3.0
    assert seen == [state.turned(c=3.0)], "the knobs are alive"


def test_knobs_turn_the_state_and_follow_it(state):
    seen = []
    knobs = Knobs(state, ["model", "noise", "c", "attacks", "draw", "replacement", "source"], seen.append, pytest.fail)
    knobs.widgets["attacks"].value = 30
    knobs.widgets["noise"].value = "random_pixel_invert"
    assert [s.attacks for s in seen] == [30, 30] and seen[1].c == 1.25 == knobs.widgets["c"].value
    knobs.turn(attacks=7, draw=3)
    assert knobs.widgets["attacks"].value == 7 and knobs.widgets["draw"].value == 3 and len(seen) == 3
    assert knobs.widgets["model"].options == tuple(one_digit.trained())


def test_one_digit_shows_what_the_knobs_say(state):
    async def turn():
        viewer = OneDigit(state)
        attack = viewer.attack
        await attack.newest.settled()
        first = attack.digit.value, attack.bars.value, attack.strip.value
        attack.knobs.widgets["attacks"].value = 60
        attack.knobs.widgets["noise"].value = "black_to_white"
        await attack.newest.settled()
        then = attack.digit.value, attack.bars.value, attack.strip.value
        assert all(a != b for a, b in zip(first, then, strict=True))
        now = state.turned(attacks=60, noise="black_to_white")
        assert attack.digit.value == pictures.png(pictures.attacked_digit(look(now)))
        *_, strip = strips(now)
        assert attack.jump.description == f"Go to {strip.first_fooled}, where it is first fooled"
        attack.jump.click()
        await attack.newest.settled()
        assert attack.knobs.state.attacks == strip.first_fooled == attack.knobs.widgets["attacks"].value
        viewer.next.click()
        await viewer.search.settled()
        await attack.newest.settled()
        *_, (_, found) = many_digits.next_wrong(now.turned(attacks=strip.first_fooled))
        assert attack.knobs.state.number == found == attack.knobs.widgets["number"].value
        wrongly = int(look(attack.knobs.state).after.argmax())
        assert wrongly != attack.knobs.state.label and f"as {wrongly} (" in attack.verdict.value

    asyncio.run(turn())


def test_a_search_ends_when_a_knob_is_turned(state):
    async def turn():
        viewer = OneDigit(state.turned(attacks=0))
        await viewer.attack.newest.settled()
        viewer.next.click()
        await asyncio.sleep(0)  # its first step is under way
        viewer.attack.knobs.widgets["draw"].value = 9
        await viewer.search.settled()
        await viewer.attack.newest.settled()
        assert (
            viewer.attack.knobs.state == state.turned(attacks=0, draw=9)
            and "searched" not in viewer.attack.message.value
        )

    asyncio.run(turn())


def test_an_uploaded_picture_is_attacked_and_anything_else_told(state, drawn):
    async def upload():
        viewer = OwnDigit(state)
        await viewer.attack.newest.settled()
        before = viewer.attack.digit.value
        uploaded(viewer, "<b>.png", b"no picture")
        assert (
            "&lt;b&gt;.png is not an image" in viewer.attack.message.value and "<b>" not in viewer.attack.message.value
        )
        uploaded(viewer, "notes.pdf", b"", size=12_000_000)
        assert "notes.pdf, 12.0 MB, is no picture that the browser can make smaller" in viewer.attack.message.value
        assert viewer.attack.digit.value == before
        uploaded(viewer, "7.png", drawn)
        await viewer.attack.newest.settled()
        assert viewer.attack.digit.value != before and viewer.attack.message.value == ""
        assert viewer.attack.knobs.state.own == handwriting.from_file(drawn, "7.png").tobytes()
        viewer._press(60, 40)
        for y in range(50, 240, 10):
            viewer._move(60, y)
        viewer._release()
        await viewer.attack.newest.settled()
        line = handwriting.from_strokes(viewer.strokes, 280, 24)
        assert len(viewer.strokes) == 1 and viewer.attack.knobs.state.own == line.tobytes()
        viewer.clear.click()
        viewer.canvas._handle_frontend_event(viewer.canvas, {"event": "mouse_down", "x": 340, "y": 340}, [])
        viewer.canvas._handle_frontend_event(viewer.canvas, {"event": "mouse_out", "x": 340, "y": 340}, [])
        assert "there is no digit on it" in viewer.attack.message.value, "a stroke beside the canvas is told"

    asyncio.run(upload())


@pytest.mark.slow
def test_all_digits_computes_cancels_and_computes_again(state):
    async def compute():
        viewer = AllDigits(state, images=50)
        await viewer.newest.settled()
        recorded = viewer.picture.value
        viewer.start.click()
        assert viewer.start.disabled and not viewer.stop.disabled
        while viewer.bar.value == 0:
            await asyncio.sleep(0.01)
        viewer.stop.click()
        await viewer.newest.settled()
        assert 0 < viewer.bar.value < viewer.bar.max and "Cancelled after" in viewer.message.value
        assert viewer.stop.disabled and not viewer.start.disabled
        viewer.start.click()
        await viewer.newest.settled()
        assert viewer.bar.value == viewer.bar.max == 21 * 50 and viewer.stop.disabled
        *_, live = many_digits.live_curves(state, ["fc"], 50)
        curve = {"fc": many_digits.recorded_curve(state, "fc")}
        drawn = figures.png(figures.live_curves(state.noise, state.c, 2.0, curve, live.accuracy, 50))
        assert viewer.picture.value == drawn != recorded

    asyncio.run(compute())


def test_at_most_three_networks_are_drawn(state, monkeypatch):
    monkeypatch.setattr(one_digit, "trained", lambda *_: ["fc", "resnet18", "resnet34", "resnet50"])

    async def tick():
        viewer = AllDigits(state, images=50)
        for box in viewer.boxes.values():
            box.value = True
        assert viewer.chosen == ["fc", "resnet18", "resnet34"] and "At most 3" in viewer.message.value
        for box in viewer.boxes.values():
            box.value = False
        viewer.start.click()
        assert "Choose at least one network" in viewer.message.value
        await viewer.newest.settled()

    asyncio.run(tick())


def test_the_gallery_follows_its_knobs(state):
    async def turn():
        viewer = Gallery(replace(state, attacks=40))
        await viewer.newest.settled()
        first = viewer.picture.value
        viewer.knobs.widgets["attacks"].value = 90
        await viewer.newest.settled()
        *_, found = many_digits.fooled(replace(state, attacks=90))
        assert f"{len(found.numbers)} of the first {found.searched:,} test images" in viewer.message.value
        assert viewer.picture.value != first
        viewer.knobs.widgets["attacks"].value = 0
        await viewer.newest.settled()
        assert "fc reads 0 of the first 2,000 test images rightly when clean and wrongly" in viewer.message.value

    asyncio.run(turn())


def test_where_no_kernel_runs_a_viewer_is_one_line(state):
    async def shown() -> dict:
        return Gallery(replace(state, attacks=40))._repr_mimebundle_()

    bundle = asyncio.run(shown())
    assert bundle["text/plain"] == "Gallery: turn its knobs with `make explore` or `make app`"
    assert "application/vnd.jupyter.widget-view+json" in bundle
