import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit, logit
from test_comparison import answers

from lib.analysis import shapes

ATTACKS = np.arange(0, 201, 10)
TRUE = {
    "line": lambda x: 97 - 0.3 * x,
    "sigmoid": lambda x: 15 + 82 * expit(-(x - 90) / 20),
    "inverted sigmoid": lambda x: 55 - 12 * logit((x - 110 + 120) / 240),
}


def noisy(shape, seed=0, deviation=0.4):
    return TRUE[shape](ATTACKS) + np.random.default_rng(seed).normal(0, deviation, len(ATTACKS))


@pytest.mark.parametrize(("shape", "share"), [("line", 0.8), ("sigmoid", 1), ("inverted sigmoid", 1)])
def test_the_lowest_aic_is_that_of_the_shape_that_made_the_curve(shape, share):
    """AIC takes a line's noise for a bend now and then, which is why a clear shape must also win in the bootstrap."""
    curves = np.stack([noisy(shape, seed) for seed in range(50)])
    fits = {name: shapes.fit(curves, ATTACKS, name)[0] for name in TRUE}
    criteria = [shapes.aicc(squares, len(ATTACKS), shapes.PARAMETERS[name]) for name, squares in fits.items()]
    picked = [list(TRUE)[number] for number in np.argmin(criteria, axis=0)]
    assert np.mean(np.array(picked) == shape) >= share


@pytest.mark.parametrize(("shape", "middle", "width"), [("sigmoid", 90, 20 / 200), ("inverted sigmoid", 110, 10 / 200)])
def test_what_made_a_curve_is_found_again(shape, middle, width):
    squares, m, w = shapes.fit(TRUE[shape](ATTACKS)[None], ATTACKS, shape)
    assert squares[0] < 0.01 and m[0] == pytest.approx(middle, abs=0.5) and w[0] == pytest.approx(width, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_as_good_as_scipys_search(seed):
    curve = noisy("sigmoid", seed)

    def sigmoid(x, a, b, m, w):
        return a - b * expit((x - m) / w)

    best, _ = curve_fit(sigmoid, ATTACKS, curve, p0=(97, 82, 90, 20))
    theirs = ((curve - sigmoid(ATTACKS, *best)) ** 2).sum()
    ours, m, w = shapes.fit(curve[None], ATTACKS, "sigmoid")
    assert ours[0] == pytest.approx(theirs, rel=0.001)
    drawn = shapes.fitted(curve, ATTACKS, "sigmoid", m[0], w[0])
    assert ((curve - drawn) ** 2).sum() == pytest.approx(ours[0])


def test_a_line_is_fitted_as_numpy_does():
    curve = noisy("line")
    squares, m, w = shapes.fit(curve[None], ATTACKS, "line")
    slope, start = np.polyfit(ATTACKS, curve, 1)
    np.testing.assert_allclose(shapes.fitted(curve, ATTACKS, "line", m[0], w[0]), start + slope * ATTACKS)
    assert squares[0] == pytest.approx(((curve - start - slope * ATTACKS) ** 2).sum())


def test_a_shape_never_rises():
    rising = np.linspace(10, 90, len(ATTACKS))
    squares, m, w = shapes.fit(rising[None], ATTACKS, "sigmoid")
    assert squares[0] == pytest.approx(((rising - rising.mean()) ** 2).sum())
    assert np.ptp(shapes.fitted(rising, ATTACKS, "sigmoid", m[0], w[0])) == 0


def test_the_criterion_is_the_textbooks():
    """n log(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1), Burnham and Anderson 2002."""
    n, k, squares = 21, 5, 12.0
    assert shapes.aicc(np.array(squares), n, k) == pytest.approx(
        n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    )


def test_curves_of_networks_are_judged_and_set_beside_the_paper():
    images = 2000
    difficulty = np.random.default_rng(0).random(images) * 100
    curves = np.stack([TRUE["sigmoid"](ATTACKS), TRUE["inverted sigmoid"](ATTACKS)])
    right = difficulty < np.minimum(curves, 100)[..., None]  # (2, levels, images)
    table = shapes.compare(answers(right, models=("efficientnet_b1", "resnet50"), attacks=ATTACKS))
    found = table.set_index(["model", "noise"])
    assert (found.loc["efficientnet_b1", "shape"] == "sigmoid").all() and found.loc["efficientnet_b1", "clear"].all()
    assert (found.loc["resnet50", "shape"] == "inverted sigmoid").all()
    assert found.loc[("resnet50", "black_to_white"), "paper"] == "inverted sigmoid"
    assert found.loc[("resnet50", "white_to_black"), "paper"] == "sigmoid"
    assert (found["rmse sigmoid"].loc["efficientnet_b1"] < 1.5).all()
    assert len(shapes.lines(answers(right, models=("efficientnet_b1", "resnet50"), attacks=ATTACKS))) == 2 * 4


def test_the_examples_are_of_their_shapes():
    for name, line in shapes.examples(np.arange(201)).items():
        assert line[0] == pytest.approx(95) and line[-1] == pytest.approx(15)
        steep = -np.diff(line)
        edge, middle = steep[:10].mean(), steep[95:105].mean()
        assert {"line": np.isclose(edge, middle), "sigmoid": edge < middle, "inverted sigmoid": edge > middle}[name]
