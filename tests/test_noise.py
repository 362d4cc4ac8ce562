import ast
import hashlib
import itertools
import math
import random
import re
import time
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.stats import chisquare, norm

from lib.noise import (
    NOISES,
    SOURCES,
    Noise,
    PixelNoise,
    altered_table,
    attack_map,
    colour,
    deciding,
    default_c,
    eligible_pixels,
    kernel,
    perturb,
    perturb_and_count,
    white_to_black,
)
from lib.store import data

BRIGHTNESS = st.sampled_from([0, 1, 60, 99, 100, 101, 127, 128, 200, 255])
IMAGE = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(lambda s: arrays(np.uint8, s, elements=BRIGHTNESS))
COLOURS = st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 4, 60, 100, 127, 128, 200, 251, 255]))
)
SEED = st.integers(0, 2**63 - 1)
ONE_BY_ONE = {"replacement": False, "source": "current"}
READINGS = [{"replacement": again, "source": source} for again in (False, True) for source in SOURCES]
C = st.sampled_from([0.3, 0.5, 1.0, 1.25, 1.7, 2.0, 7.0, 1e300])
LEVELS = [0, 1, 2, 10, 40]
OWN = {  # noises of one's own, with many kinds of neighbours and with rules for the random number
    "darker_beside": Noise("darker_beside", "D", alter=lambda b, c: b - c, c=9, beside=lambda b, n: n < b),
    "never_beside": Noise("never_beside", "N", alter=lambda b, c: 0, c=1, beside=lambda b, n: False),
    "equal_beside": Noise("equal_beside", "E", alter=lambda b, c: 200, c=1, beside=lambda b, n: n == b),
    "random_edge": Noise(
        "random_edge", "R", lambda b, c, u: 255 * u / c, 1, lambda b: b < 200, lambda b, n: abs(b - n) > 99, random=True
    ),
}


@pytest.fixture(scope="module")
def images():
    return data.load().test_images[:60]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("c", [1e-300, 0.1, 0.5, 1, 1.25, 2, 3.7, 1e300])
def test_every_brightness_becomes_what_the_rules_say(noise, c):
    table = altered_table(noise, c)
    outcomes = np.atleast_2d(table)
    for outcome in {0, len(outcomes) // 3, len(outcomes) - 1}:
        assert outcomes[outcome].tolist() == [naive.alter(noise, b, c, outcome) for b in range(256)]
    table[:] = 7  # a copy: the noise keeps its own
    assert (altered_table(noise, c) != 7).any()


@pytest.mark.parametrize("noise", [*NOISES, *OWN])
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_reading_draws_what_the_slow_rules_draw(noise, data):
    """From the same random numbers: pixels and counts, grey and in colour, until nothing is left."""
    image, number = data.draw(IMAGE | COLOURS), data.draw(SEED)
    reading = data.draw(st.sampled_from(READINGS)) | {"c": data.draw(C), "seed": data.draw(SEED)}
    above = data.draw(st.sampled_from([0, 100])) if noise == "white_to_black" else 0
    kind = white_to_black(above) if above else OWN.get(noise, noise)
    found = perturb_and_count(image[None], kind, LEVELS, index=[number], **reading)
    each = naive.attack(image, kind, LEVELS, index=number, white_above=above, **reading)
    for level, (slow, *counts) in enumerate(each):
        np.testing.assert_array_equal(found[0][level, 0], slow)
        assert [count[level, 0] for count in found[1:]] == counts
    if image.ndim == 3:
        grey = naive.grey(image)[None]
        luminances = [naive.grey(noisy) for noisy in found[0][:, 0]]
        np.testing.assert_array_equal(luminances, perturb(grey, kind, LEVELS, index=[number], **reading)[:, 0])
    mask = eligible_pixels(image[None], kind)[0]
    assert set(zip(*np.nonzero(mask), strict=True)) == naive.eligible(naive.grey(image), kind, above)


@pytest.mark.parametrize("noise", [*NOISES, *OWN])
@settings(max_examples=40, deadline=None)
@given(image=IMAGE | COLOURS, c=C, seed=SEED, number=st.integers(0, 2**63 - 1))
def test_an_attack_map_is_perturb_on_any_device(noise, image, c, seed, number):
    same = {"c": c, "seed": seed, "index": [number, 5]}
    pair, kind = np.stack([image, image]), OWN.get(noise, noise)
    attacked = attack_map(torch.from_numpy(pair), kind, LEVELS[-1], **same)
    noisy, *counts = perturb_and_count(pair, kind, LEVELS, **same)
    for level, attacks in enumerate(LEVELS):
        np.testing.assert_array_equal(attacked.at(attacks), noisy[level])
        np.testing.assert_array_equal(torch.stack(attacked.count(attacks)), [count[level] for count in counts])
    own = attacked.at(torch.tensor([2, 40]))
    np.testing.assert_array_equal(own, [noisy[2, 0], noisy[4, 1]])


def test_an_attack_map_takes_more_random_numbers_where_some_are_rejected(monkeypatch):
    """At 3 * 2**12 pixels about one of 350,000; drawn in pieces, which changes nothing."""
    monkeypatch.setattr("lib.noise.tensors.WORDS_AT_ONCE", 100_000)
    image = np.zeros((1, 64, 192), np.uint8)
    noisy = perturb(image, "random_pixel_invert", [1000, 1_500_000], seed=4)
    attacked = attack_map(torch.from_numpy(image), "random_pixel_invert", 1_500_000, seed=4)
    for level, attacks in enumerate((1000, 1_500_000)):
        np.testing.assert_array_equal(attacked.at(attacks), noisy[level])


@pytest.mark.parametrize("noise", NOISES)
def test_pixels_depend_on_seed_noise_and_index_alone(noise, images, monkeypatch):
    index = np.arange(len(images)) + 1000
    whole = perturb(images, noise, [10, 20, 200], seed=3, index=index)
    order = np.random.default_rng(0).permutation(len(images))[:17]
    found = perturb(images[order], noise, [200, 0, 20, 20], seed=3, index=index[order])
    np.testing.assert_array_equal(found[[0, 2, 3]], whole[[2, 1, 1]][:, order])
    np.testing.assert_array_equal(perturb(images, noise, 20, seed=3, index=index), whole[1])
    many = np.tile(images, (9, 1, 1))  # enough to be shared between threads
    for cores in ({0}, {0, 1, 2, 3, 4}):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: cores)
        threaded = perturb(many, noise, 20, seed=3, index=np.tile(index, 9))
        np.testing.assert_array_equal(threaded, np.tile(whole[1], (9, 1, 1)))
    for other in ({"seed": 4, "index": index}, {"seed": 3, "index": index + 1}):
        assert (perturb(images, noise, 20, **other) != whole[1]).any(axis=(1, 2)).mean() > 0.9


@pytest.mark.parametrize("noise", NOISES)
@settings(max_examples=30, deadline=None)
@given(image=IMAGE, c=C, seed=SEED, replacement=st.booleans(), source=st.sampled_from(list(SOURCES)))
def test_what_does_not_decide_changes_no_pixel(noise, image, c, seed, replacement, source):
    """`deciding` gives another name only where all states and counts stay the same, and settles on it."""
    needed = deciding(noise, c, replacement, source)
    assert deciding(noise, c, *needed) == needed
    given, canonical = (
        perturb_and_count(image[None], noise, range(image.size + 9), c=c, seed=seed, replacement=r, source=s)
        for r, s in ((replacement, source), needed)
    )
    for one, other in zip(given, canonical, strict=True):
        np.testing.assert_array_equal(one, other)


ONCE, CLEAN, LIST, CURRENT = (False, "clean"), (True, "clean"), (True, "list"), (True, "current")


@pytest.mark.parametrize(
    ("noise", "kept"),
    [
        ("random_pixel_invert", [ONCE, ONCE, ONCE, CLEAN, CURRENT, CURRENT]),
        ("white_to_black", [ONCE, ONCE, ONCE, CLEAN, LIST, CURRENT]),
        ("black_to_white", [ONCE, ONCE, ONCE, CLEAN, LIST, ONCE]),
        ("edge_to_altered", [ONCE, ONCE, (False, "current"), CLEAN, LIST, CURRENT]),
    ],
)
def test_what_decides_at_the_papers_c(noise, kept):
    asked = [(replacement, source) for replacement in (False, True) for source in SOURCES]
    assert [deciding(noise, NOISES[noise].c, *options) for options in asked] == kept


def test_a_colour_takes_any_luminance_exactly_and_keeps_its_hue():
    """As documented of a pure blue; and of 100,000 pairs of a colour and a brightness. Luminance is Pillow's."""
    random = np.random.default_rng(1)
    clean = random.integers(0, 256, (100_000, 3), dtype=np.uint8)
    wanted = random.integers(0, 256, 100_000, dtype=np.uint8)
    clean[:5], wanted[:5] = (0, 0, 255), (0, 14, 29, 240, 255)
    found = np.empty_like(clean)
    grey = colour.luminance(clean)[None]
    np.testing.assert_array_equal(grey, Image.fromarray(clean[None]).convert("L"))
    kernel.relight(clean.reshape(1, -1), grey, wanted[None, None], colour.WEIGHTS, 0, 1, found.reshape(1, 1, -1))
    assert found[:5].tolist() == [[0, 0, 0], [0, 0, 123], [0, 0, 255], [238, 238, 255], [255, 255, 255]]
    np.testing.assert_array_equal(colour.luminance(found), wanted)
    clean, found = clean.astype(int), found.astype(int)
    # the order of the channels, which a hue begins with
    assert (np.diff(found[:, [0, 1, 2, 0]]) * np.diff(clean[:, [0, 1, 2, 0]]) >= 0).all()


def test_the_compiled_code_takes_all_from_other_modules_as_arguments(monkeypatch):
    """Numba's cache knows the kernel's file alone: what is imported there would stay as it was when it changes."""
    tree = ast.parse(Path(kernel.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {ast.unparse(node) for node in imports} == {"import numpy as np", "from numba import njit"}
    monkeypatch.setattr(colour, "WEIGHTS", np.array([1, 2, 5]))
    picture = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    assert colour.luminance(np.array([0, 0, 80], np.uint8)) == 50
    luminances = colour.luminance(perturb(picture, "gaussian_noise", 50))
    np.testing.assert_array_equal(luminances, perturb(colour.luminance(picture), "gaussian_noise", 50))


@pytest.mark.parametrize("noise", NOISES)
def test_input_stays_as_it_is_and_may_lie_in_memory_as_it_likes(noise, images):
    before = images.copy()
    images.setflags(write=False)
    same = perturb(images, noise, 0)
    turned = perturb(images[::-2, ::-1], noise, 30)
    np.testing.assert_array_equal(turned, perturb(images[::-2, ::-1].copy(), noise, 30))
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(same, before)
    assert not np.shares_memory(same, images)
    colours = np.stack([images[:9], images[9:18], images[18:27]])  # (3, 9, 28, 28)
    turned = colours.transpose(1, 3, 2, 0)
    np.testing.assert_array_equal(perturb(turned, noise, 20), perturb(turned.copy(), noise, 20))


@pytest.mark.parametrize("noise", naive.PAPER)
@pytest.mark.parametrize("attacks", [1, 5])
def test_choice_is_uniform_over_eligible_pixels(noise, attacks):
    """Chi-square over 40,000 draws of the last attack; the seed is fixed, so it fails for a wrong kernel alone."""
    image = np.array([[0, 255, 0], [255, 255, 255], [0, 0, 255]], np.uint8)
    before, noisy = perturb(np.tile(image, (40_000, 1, 1)), noise, [attacks - 1, attacks], seed=1, **ONE_BY_ONE)
    hits = (noisy != before).sum(axis=0)
    mask = np.zeros((3, 3), bool)
    mask[tuple(zip(*naive.eligible(image, noise), strict=True))] = True
    if attacks == 1 or noise != "edge_to_altered":  # edges come and go, so later picks are not alike for all pixels
        assert not hits[~mask].any() and hits[mask].sum() == 40_000 * (mask.sum() >= attacks)
        assert mask.sum() < attacks or chisquare(hits[mask]).pvalue > 1e-3


def test_random_rules_draw_each_attack_anew():
    """Two noises of the gallery, on 40,000 pixels attacked once each; level by level as everywhere else."""
    grey = np.full((4, 100, 100), 128, np.uint8)
    salted = perturb(grey, "salt_and_pepper", 10_000, c=3, **ONE_BY_ONE)
    assert set(np.unique(salted)) == {0, 255} and abs((salted == 255).mean() - 3 / 4) < 0.01
    blurred, _, altered, _ = perturb_and_count(grey, "gaussian_noise", 10_000, c=5, **ONE_BY_ONE)
    change = blurred.astype(float) - 128
    assert abs(change.mean()) < 1 and abs(change.std() - 51) < 1
    assert (altered == (blurred != 128).sum(axis=(1, 2))).all()
    assert np.abs(np.quantile(change, [0.1, 0.5, 0.9]) - norm(scale=51).ppf([0.1, 0.5, 0.9])).max() < 2
    first, again = (perturb(grey, "gaussian_noise", 5_000, seed=seed) for seed in (0, 1))
    assert (first != again).mean() > 0.3 and (first == perturb(grey, "gaussian_noise", [10, 5_000])[1]).all()


cycle = itertools.cycle((0, 255))
RANDOM_RULES = {
    "choice": {"alter": lambda b, c: random.choice((0, 255))},
    "gauss": {"alter": lambda b, c: b + random.gauss(0, 20)},
    "one brightness": {"alter": lambda b, c: 255 * random.random() if b == 7 else 0},
    "state": {"alter": lambda b, c: next(cycle)},
    "clock": {"alter": lambda b, c: time.perf_counter_ns() % 256},
    "eligible": {"eligible": lambda b: random.random() < 0.5},
    "beside": {"beside": lambda b, n: n > 9 and random.random() < 0.5},
}


@pytest.mark.parametrize("rules", RANDOM_RULES)
@pytest.mark.parametrize(
    "use",
    [
        lambda noise: perturb(np.zeros((1, 2, 2), np.uint8), noise, 1),
        lambda noise: eligible_pixels(np.zeros((1, 2, 2), np.uint8), noise),
        lambda noise: attack_map(torch.zeros((1, 2, 2), dtype=torch.uint8), noise, 1),
        lambda noise: PixelNoise(noise, 1),
        lambda noise: deciding(noise, 1, True, "clean"),
        altered_table,
    ],
)
def test_rules_that_differ_when_called_again_are_refused(rules, use):
    noise = Noise("odd", "O", **{"alter": lambda b, c: 0, "c": 1} | RANDOM_RULES[rules])
    with pytest.raises(ValueError, match=r"deterministic; .* random=True"):
        use(noise)


WORDS = ["white/black", "../up", "a b", "White", "", "none", "é", "n" * 65, "1_to_2", "a\n", "a-b", "a\\b", None, 3]


@pytest.mark.parametrize(
    ("declare", "given", "message"),
    [
        *((partial(Noise, short="X", alter=min, c=1), word, "lower-case .*; not") for word in WORDS),
        *((white_to_black, above, "integer from 0 to 254, not") for above in (-1, 255, 1.0, True, "100", None)),
    ],
)
def test_a_noise_is_not_declared_by_a_wrong_name_or_brightness(declare, given, message):
    with pytest.raises(ValueError, match=f"{message} {re.escape(repr(given))}$"):
        declare(given)
    assert Noise("n" * 64, "X", alter=min, c=1).name == "n" * 64


def shape(given) -> str:
    return str(np.shape(given))


def second(given) -> str:
    return repr(np.asarray(given, object).tolist()[1])


COUNTS = "attacks must be an integer from 0 to 100,000,000, or a sequence of them, not {}"
INDEX = "index must hold 2 integers from 0 to 2**63 - 1, not {}"
UINT8 = "images must be a NumPy array of uint8, not {}"
IMAGES = "images must have the shape (n, H, W) or (n, H, W, 3) with H and W at least 1, not {}"
NO_SHAPE = [(2, 2), (1, 0, 2), (1, 2, 0, 3), (1, 2, 2, 4), (1, 2, 2, 1), (1, 1, 2, 2, 3)]
LARGE = np.broadcast_to(np.uint8(0), (1, 46_340, 46_340))
NO_COUNTS = [-1, 1.5, True, "5", None, {5}, 10**8 + 1, 2**64, -(2**63)]
NO_C = [0, -1.5, math.nan, "2", True, 10**400, Fraction(1, 10**400), np.float32("inf"), 1j]
NO_SEED = [-1, 0.5, True, "3", None, 2**63, np.uint64(2**63), np.True_]
ODD = Noise("odd", "O", alter=lambda b, c: math.nan, c=1)
WRONG = [  # an argument, the message, how that names a value, wrong values
    ("noise", "unknown noise {}; choose from random_pixel_invert, white_to_black", repr, ["whitetoblack", ["edges"]]),
    ("noise", "odd with c = 1 makes nan of brightness 0", repr, [ODD]),
    ("noise", "odd with c = 1 makes None of brightness 0", repr, [replace(ODD, alter=lambda b, c: None)]),
    ("noise", "c must be a finite number above 0, not 0", repr, [replace(ODD, c=0)]),
    ("noise", "odd: alter(0, 1.0) raises ZeroDivisionError", repr, [replace(ODD, alter=lambda b, c: c / b)]),
    ("noise", "odd: alter(0, 1.0) raises TypeError: 'int' object is not callable", repr, [replace(ODD, alter=128)]),
    ("noise", "odd: eligible(0,) is None, which is neither", repr, [replace(ODD, alter=min, eligible=lambda b: None)]),
    (
        "noise",
        "odd: beside(0, 1) is 'no', which",
        repr,
        [replace(ODD, alter=min, beside=lambda b, n: "no" if b < n else b > n)],
    ),
    ("c", "c must be a finite number above 0, not {}", repr, NO_C),
    ("attacks", COUNTS, repr, NO_COUNTS),
    ("attacks", COUNTS, second, [[10, value] for value in NO_COUNTS]),
    ("attacks", COUNTS, second, [np.array([5, 2**63], np.uint64), np.array([1.5, 1.5]), np.array([True, True])]),
    ("attacks", COUNTS.replace("{}", "the shape {}"), shape, [[], [[1, 2]]]),
    ("images", UINT8, lambda given: given.dtype, [np.zeros((1, 2, 2))]),
    ("images", UINT8, lambda given: type(given).__name__, [[[[0]]], torch.zeros(1, 2, 2)]),
    ("images", IMAGES, shape, [np.zeros(given, np.uint8) for given in NO_SHAPE]),
    ("images", "less than 2**31 pixels with a frame of one around it, not {}", shape, [LARGE]),
    ("images", "{} is the shape of one colour image; give it as image[None]", shape, [np.zeros((8, 9, 3), np.uint8)]),
    ("index", INDEX.replace("{}", "the shape {}"), shape, [1, [1, 2, 3]]),
    ("index", INDEX, second, [[0, value] for value in (-1, 0.5, True, 2**63, 2**64)]),
    ("index", INDEX, second, [np.array([0, 2**63], np.uint64), *(np.array([0, n], object) for n in (-1, 0.5, 2**64))]),
    ("seed", "seed must be an integer from 0 to 2**63 - 1, not {}", repr, NO_SEED),
    ("replacement", "replacement must be True or False, not {}", repr, ["no", 0, None]),
    ("source", "unknown source {}; choose from clean", repr, ["later", ["later"]]),
]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [(name, value, message.format(said(value))) for name, message, said, values in WRONG for value in values],
)
def test_wrong_arguments_are_refused(name, value, message):
    arguments = {"images": np.zeros((2, 3, 3), np.uint8), "noise": "white_to_black", "attacks": 1} | {name: value}
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        perturb(**arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 3, 3), np.uint8)}, "uint8 tensor .* not ndarray"),
        ({"images": torch.zeros((2, 3, 3))}, r"not torch.float32 \(2, 3, 3\)"),
        ({"images": torch.zeros((2, 3, 3, 4), dtype=torch.uint8)}, r"not torch.uint8 \(2, 3, 3, 4\)"),
        ({"images": torch.zeros((2, 0, 3), dtype=torch.uint8)}, "1 to .* pixels"),
        *(({name: value}, f"{name} must be .* not {value}") for name, value in (("seed", -1), ("c", 0), ("level", 6))),
        ({"attacks": [1, 2]}, r"attacks must be .* not \[1, 2\]"),
        *(({"index": index}, f"index must hold 2 .*{end}") for index, end in (([1], r"\(1,\)"), ([1, -2], "not -2"))),
        ({"index": torch.tensor([0.0, 1.0])}, "index must hold 2 .* not torch.float32"),
    ],
)
def test_wrong_arguments_of_a_map_are_refused(change, message):
    given = {"images": torch.zeros((2, 3, 3), dtype=torch.uint8), "noise": "white_to_black", "attacks": 5} | change
    level = given.pop("level", 1)
    with pytest.raises(ValueError, match=message):
        attack_map(**given).at(level)


@pytest.mark.parametrize("noise", ["edge_to_altered", "gaussian_noise"])
def test_integers_of_any_kind_are_the_same_integers(noise, images):
    """NumPy's of every width, arrays without dimensions, ranges and tensors: as Python's own."""
    index = np.arange(len(images)) + 7
    expected = perturb(images, noise, [10, 20], seed=200, index=index)
    for kind in (np.uint8, np.int16, np.uint64, ">i8"):
        given = {"seed": np.uint8(200), "index": index.astype(kind)}
        np.testing.assert_array_equal(perturb(images, noise, np.array([10, 20], kind), **given), expected)
        for ten in (np.array(10, kind), np.array(10, kind)[()]):
            np.testing.assert_array_equal(perturb(images, noise, ten, **given), expected[0])
    for levels in (range(10, 21, 10), (10, 20), torch.tensor([10, 20]), [np.uint64(10), 20]):
        np.testing.assert_array_equal(perturb(images, noise, levels, seed=200, index=index.tolist()), expected)
    once, same = (perturb(images, noise, [10, 20], replacement=value) for value in (False, np.False_))
    np.testing.assert_array_equal(once, same)


@pytest.mark.parametrize("shape", [(8, 7, 3), (7, 8, 3), (2, 9, 9), (9, 3, 9), (9, 9, 4), (0, 5, 5)])
def test_small_or_narrow_grey_images_are_no_picture_in_colour(shape):
    noisy = perturb(np.zeros(shape, np.uint8), "black_to_white", [0, 2], **ONE_BY_ONE)
    assert noisy.shape == (2, *shape) and ((noisy > 0).sum(axis=(2, 3)).T == [0, 2]).all()
    assert perturb(np.zeros((0, 5, 5, 3), np.uint8), "black_to_white", [1, 2]).shape == (2, 0, 5, 5, 3)


# What must never change: recorded predictions are about these very pixels.
GOLDEN = {  # in the order of READINGS; "list" without replacement is "clean"
    "random_pixel_invert": "458348e731709902 458348e731709902 338ccb60f3a40681 e8bead31a948b917 e8bead31a948b917",
    "white_to_black": "2deba35b1a6637fb 2deba35b1a6637fb 07ebb2558d386537 b6495463a3ffb97e 8179b50dd23f9402",
    "black_to_white": "fdffe7d33fbbb843 fdffe7d33fbbb843 03c8c434e291e878 1000650750e977fb fdffe7d33fbbb843",
    "edge_to_altered": "cbca145404ecdfe6 0c57e96415957853 7d322c76603a702e 06c688a2818a50e4 448f33b21a881fc7",
}


@pytest.mark.parametrize("noise", GOLDEN)
def test_pixels_are_those_of_the_recorded_results(noise):
    """With the default c, which is the paper's."""
    images = data.load().test_images[:500]
    assert default_c(noise) == {"white_to_black": 2, "black_to_white": 2}.get(noise, 1.25)
    readings = [reading for reading in READINGS if reading != {"replacement": False, "source": "list"}]
    noisy = [perturb(images, noise, [10, 100, 200], seed=2, **reading) for reading in readings]
    assert " ".join(hashlib.sha256(each.tobytes()).hexdigest()[:16] for each in noisy) == GOLDEN[noise]
