import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit, logit
from worlds import trainings

from lib.claims import shapes
from lib.report import tables

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


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_as_good_as_scipys_search(seed):
    curve = noisy("sigmoid", seed)

    def sigmoid(x, a, b, m, w):
        return a - b * expit((x - m) / w)

    best, _ = curve_fit(sigmoid, ATTACKS, curve, p0=(97, 82, 90, 20))
    theirs = ((curve - sigmoid(ATTACKS, *best)) ** 2).sum()
    ours, _, _ = shapes.fit(curve[None], ATTACKS, "sigmoid")
    assert ours[0] == pytest.approx(theirs, rel=0.001)


def test_a_line_is_fitted_as_numpy_does_and_a_shape_never_rises():
    curve, rising = noisy("line"), np.linspace(10, 90, len(ATTACKS))
    slope, start = np.polyfit(ATTACKS, curve, 1)
    for name, values, fitted in (("line", curve, start + slope * ATTACKS), ("sigmoid", rising, rising.mean())):
        assert shapes.fit(values[None], ATTACKS, name)[0][0] == pytest.approx(((values - fitted) ** 2).sum())


def test_the_criterion_is_the_textbooks():
    """n log(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1), Burnham and Anderson 2002."""
    n, k, squares = 21, 5, 12.0
    expected = n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert shapes.aicc(np.array(squares), n, k) == pytest.approx(expected)


def test_the_curves_of_every_training_are_judged_and_set_beside_the_paper():
    own = {"efficientnet_b1": ["sigmoid"], "resnet50": ["inverted sigmoid", "sigmoid"], "fc": ["sigmoid"]}
    accuracy = {model: np.array([4 * [TRUE[shape](ATTACKS)] for shape in found]) for model, found in own.items()}
    table = shapes.compare(trainings(accuracy))
    found = table.set_index(["model", "seed", "noise"]).sort_index()
    for model, expected in own.items():
        for seed, shape in enumerate(expected):
            assert (found.loc[(model, seed), "shape"] == shape).all() and (found.loc[(model, seed), "lead"] > 2).all()
            assert (found.loc[(model, seed), f"rmse {shape}"] < 0.1).all()
    assert found.loc[("resnet50", 0, "black_to_white"), "paper"] == "inverted sigmoid"
    told = tables.shapes(table).replace(tables.BOUND, " ", regex=True)
    assert told.loc["ResNet-50", "BtW"] == "inverted sigmoid 1 of 2, sigmoid 1 of 2 (paper: inverted sigmoid)"
    assert told.loc["EfficientNet-B1", "BtW"] == "sigmoid 1 of 1", "as the paper has it"
    assert tables.misfits(table).loc["FC"].idxmin() == "sigmoid"


def test_the_examples_are_of_their_shapes():
    for name, line in shapes.examples(np.arange(201)).items():
        assert line[0] == pytest.approx(95) and line[-1] == pytest.approx(15)
        steep = -np.diff(line)
        edge, middle = steep[:10].mean(), steep[95:105].mean()
        assert {"line": np.isclose(edge, middle), "sigmoid": edge < middle, "inverted sigmoid": edge > middle}[name]
