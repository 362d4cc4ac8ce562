"""The shapes of accuracy curves (section 4.1): a straight line, a sigmoid, an inverted sigmoid, and which fits best.

    line               p = a - b x
    sigmoid            p = a - b / (1 + exp(-(x - m) / w))        flat, steep, flat
    inverted sigmoid   p = a - b log(u / (1 - u)), u = (x - m + w) / 2w   steep, flat, steep

x are the attacks, b >= 0, and m, where the curve bends the other way, lies within the levels measured. The inverted
sigmoid is the sigmoid with its axes exchanged, so the two have the same number of parameters.
"""

from itertools import product

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from lib.paper import PAPER_NOISES
from lib.statistics.curves import Trainings

COARSE = (41, 40)  # values of m and of w tried first
FINE = 5  # times that the neighbourhood of the best is then searched, four times as finely each
CURVES_AT_ONCE = 250  # for their memory
CLEAR = 2.0  # AIC by which a shape must lead (Burnham and Anderson 2002)
NARROW = 0.005  # the smallest w, as a share of the levels' range; the largest is 1


def line(x: np.ndarray, m: np.ndarray, w: np.ndarray) -> np.ndarray:
    """A straight line in x, from 0 to 1 of the attacks, whatever the middle m and the width w."""
    return x + 0 * m


def sigmoid(x: np.ndarray, m: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Flat, steep around m within some w, flat."""
    return expit((x - m) / w)


def inverted_sigmoid(x: np.ndarray, m: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Steep, flat around m, steep; the flatter the smaller w."""
    reach = np.maximum(m, 1 - m) + w  # the curve goes off to infinity beyond the levels
    return logit((x - m + reach) / (2 * reach))


# name -> f(x, m, w), rising, with x and m from 0 to 1 over the levels; a curve is a - b f, b >= 0.
SHAPES = {"line": line, "sigmoid": sigmoid, "inverted sigmoid": inverted_sigmoid}
PARAMETERS = {"line": 3, "sigmoid": 5, "inverted sigmoid": 5}  # fitted, with the deviation of the residuals

INVERTED = ("random_pixel_invert", "black_to_white")  # the noises on which the paper sees that shape
PAPER_SHAPES = {  # what section 4.1 says of a network under a noise; of VGG-19 it says nothing
    **dict.fromkeys(product(["fc"], PAPER_NOISES), "line"),
    **dict.fromkeys(product(["efficientnet_b1", "resnet50", "resnetv2_50"], PAPER_NOISES), "sigmoid"),
    **dict.fromkeys(product(["resnet50", "resnetv2_50"], INVERTED), "inverted sigmoid"),
}


def fit(accuracy: np.ndarray, attacks: np.ndarray, shape: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of one shape to many curves: (curves, levels) percent.

    For each m and w the best a and b are a linear regression, which leaves (1 - r^2) of the variance. m and w are
    sought on a grid over all their values, then on finer and finer ones around the best, so no start is needed. Returns
    residual sums of squares, m (attacks), w (share of the range): (curves,) each.
    """
    x = _from_0_to_1(attacks)
    m, w = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 1, COARSE[0]), np.geomspace(NARROW, 1, COARSE[1])))
    near = np.linspace(-1, 1, 9)
    around = [grid.ravel() for grid in np.meshgrid(near / (COARSE[0] - 1), near * np.log(1 / NARROW) / (COARSE[1] - 1))]
    found = []
    for start in range(0, len(accuracy), CURVES_AT_ONCE):
        curves = accuracy[start : start + CURVES_AT_ONCE]
        best = _least(curves, x, shape, m[None], w[None])
        for step in range(FINE):
            middles = np.clip(best[1][:, None] + around[0] / 4**step, 0, 1)
            widths = np.clip(best[2][:, None] * np.exp(around[1] / 4**step), NARROW, 1)
            best = _least(curves, x, shape, middles, widths)
        found.append(best)
    squares, middles, widths = np.concatenate(found, axis=1)
    return np.maximum(squares, 1e-9), attacks[0] + middles * (attacks[-1] - attacks[0]), widths


def _least(accuracy: np.ndarray, x: np.ndarray, shape: str, m: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The best of some m and w, (curves or 1, candidates), for each curve: squares left, m, w as (3, curves)."""
    f = SHAPES[shape](x, m[..., None], w[..., None])
    f = f - f.mean(axis=-1, keepdims=True)
    f /= np.linalg.norm(f, axis=-1, keepdims=True)  # (curves or 1, candidates, levels)
    centred = accuracy - accuracy.mean(axis=1, keepdims=True)
    falls = np.maximum(-(f @ centred[..., None])[..., 0], 0)  # (curves, candidates); b >= 0
    best = falls.argmax(axis=1)
    row = np.arange(len(accuracy))
    left = (centred**2).sum(axis=1) - falls[row, best] ** 2
    m, w = (np.broadcast_to(values, falls.shape)[row, best] for values in (m, w))
    return np.stack([left, m, w])


def _from_0_to_1(attacks: np.ndarray) -> np.ndarray:
    return (np.asarray(attacks, float) - attacks[0]) / (attacks[-1] - attacks[0])


def aicc(squares: np.ndarray, levels: int, parameters: int) -> np.ndarray:
    """Akaike's criterion for small samples (Hurvich and Tsai 1989) of a least-squares fit with normal residuals.

    The residuals' deviation is fitted, not taken from the number of images: with 10,000 of them any shape is wrong
    beyond doubt, and what counts is which is least so.
    """
    return levels * np.log(squares / levels) + 2 * parameters * levels / (levels - parameters - 1)


def lowest(curves: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """For each curve (curves, levels) the place in `SHAPES` of the shape with the lowest criterion: (curves,)."""
    found = [aicc(fit(curves, attacks, name)[0], len(attacks), PARAMETERS[name]) for name in SHAPES]
    return np.argmin(found, axis=0)


def compare(trainings: Trainings) -> pd.DataFrame:
    """Which shape each curve has, a row for every noise, model and seed.

    Columns: noise, model, seed, shape (of the lowest AIC), lead (AIC of the second best minus its own), rmse of each
    shape (points), paper (the shape in section 4.1, or empty).
    """
    names, levels = list(SHAPES), len(trainings.attacks)
    shown = trainings.curves.loc[list(trainings.models)]
    shown = shown.stack("noise", future_stack=True)  # (model, seed, noise) x attacks
    keys = [(noise, model, seed) for model, seed, noise in shown.index]
    curves = shown[trainings.attacks].to_numpy()
    squares = np.array([fit(curves, trainings.attacks, name)[0] for name in names])  # (shapes, curves)
    criterion = np.array([aicc(left, levels, PARAMETERS[name]) for name, left in zip(names, squares, strict=True)])
    best, second, *_ = np.sort(criterion, axis=0)
    table = pd.DataFrame(keys, columns=["noise", "model", "seed"]).assign(
        shape=[names[place] for place in criterion.argmin(axis=0)],
        lead=second - best,
        paper=[PAPER_SHAPES.get((model, noise), "") for noise, model, _ in keys],
    )
    return table.assign(**{f"rmse {name}": np.sqrt(left / levels) for name, left in zip(names, squares, strict=True)})


def examples(attacks: np.ndarray) -> dict[str, np.ndarray]:
    """One curve of each shape, from 95 to 15 percent: name -> (levels,)."""
    rising = {name: f(_from_0_to_1(attacks), np.array(0.5), np.array(0.02)) for name, f in SHAPES.items()}
    rising["sigmoid"] = sigmoid(_from_0_to_1(attacks), np.array(0.5), np.array(0.07))
    return {name: 95 - 80 * (f - f[0]) / (f[-1] - f[0]) for name, f in rising.items()}
