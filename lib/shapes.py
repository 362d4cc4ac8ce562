"""The shapes of accuracy curves (section 4.1): a straight line, a sigmoid, an inverted sigmoid, and which fits best.

    line               p = a - b x
    sigmoid            p = a - b / (1 + exp(-(x - m) / w))        flat, steep, flat
    inverted sigmoid   p = a - b log(u / (1 - u)), u = (x - m + w) / 2w   steep, flat, steep

x are the attacks, b >= 0, and m, where the curve bends the other way, lies within the levels measured. The inverted
sigmoid is the sigmoid with its axes exchanged, so the two have the same number of parameters.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from lib.comparison import Answers
from lib.study import NOISES

MIDDLES = 201  # values of m tried, from the first level to the last
WIDTHS = 80  # values of w tried, in equal ratios
RESAMPLES = 200  # of the bootstrap samples, in which the best shape is sought again
BLOCK = 250  # curves fitted at once, for their memory
SURE = 0.95  # share of the bootstrap samples in which it must win
CLEAR = 2.0  # AIC by which a shape must lead (Burnham and Anderson 2002)

# What section 4.1 says of a shape; of VGG-19 it says nothing.
PAPER = (
    {("efficientnet_b1", noise): "sigmoid" for noise in NOISES}
    | {("fc", noise): "line" for noise in NOISES}
    | {(model, noise): "sigmoid" for model in ("resnet50", "resnetv2_50") for noise in NOISES}
    | {
        (model, noise): "inverted sigmoid"
        for model in ("resnet50", "resnetv2_50")
        for noise in ("random_pixel_invert", "black_to_white")
    }
)


@dataclass(frozen=True)
class Shape:
    """One family of curves a - b f(x), with f rising; a and b are fitted, f is one of `curves`."""

    name: str
    curves: np.ndarray  # (candidates, levels)
    bends: np.ndarray  # (candidates,) attacks at which f bends the other way; nan: nowhere
    parameters: int  # fitted ones, with the standard deviation of the residuals


def families(attacks: np.ndarray) -> list[Shape]:
    """The three shapes at these levels, with every middle and width that is tried."""
    x = np.asarray(attacks, float)
    span = x[-1] - x[0]
    m, w = (grid.ravel() for grid in np.meshgrid(np.linspace(x[0], x[-1], MIDDLES), np.geomspace(0.005, 1, WIDTHS)))
    sigmoids = expit((x - m[:, None]) / (w[:, None] * span))  # (candidates, levels)
    reach = np.maximum(m - x[0], x[-1] - m) + w * span  # the curve goes off to infinity beyond the levels
    inverted = logit((x - m[:, None] + reach[:, None]) / (2 * reach[:, None]))
    return [
        Shape("line", x[None], np.array([np.nan]), 3),
        Shape("sigmoid", sigmoids, m, 5),
        Shape("inverted sigmoid", inverted, m, 5),
    ]


def fit(accuracy: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of one shape to many curves: (curves, levels) percent.

    For each candidate the best a and b are a linear regression, which leaves (1 - r^2) of the variance; the best
    candidate is the one of the highest r among those that fall.

    Returns:
        residual sums of squares (curves,), the best candidates (curves,).
    """
    centred = accuracy - accuracy.mean(axis=1, keepdims=True)
    basis = shape.curves - shape.curves.mean(axis=1, keepdims=True)
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    best, falls = np.empty(len(centred), int), np.empty(len(centred))
    for start in range(0, len(centred), BLOCK):
        block = slice(start, start + BLOCK)
        along = -(centred[block] @ basis.T)  # (BLOCK, candidates)
        best[block], falls[block] = along.argmax(axis=1), along.max(axis=1)
    left = (centred**2).sum(axis=1) - np.maximum(falls, 0) ** 2  # b >= 0
    return np.maximum(left, 1e-9), best


def fitted(accuracy: np.ndarray, shape: Shape, candidate: int) -> np.ndarray:
    """The fitted curve (levels,) for one curve (levels,) and the candidate that `fit` found."""
    f = shape.curves[candidate]
    slope = min(np.polyfit(f, accuracy, 1)[0], 0.0)
    return accuracy.mean() + slope * (f - f.mean())


def aicc(squares: np.ndarray, levels: int, parameters: int) -> np.ndarray:
    """Akaike's criterion for small samples (Hurvich and Tsai 1989) of a least-squares fit with normal residuals.

    The residuals' deviation is fitted, not taken from the number of images: with 10,000 of them any shape is wrong
    beyond doubt, and what counts is which is least so.
    """
    return levels * np.log(squares / levels) + 2 * parameters * levels / (levels - parameters - 1)


def compare(answers: Answers) -> pd.DataFrame:
    """Which shape each curve has, a row for every noise and model.

    Columns: noise, model, shape (of the lowest AIC), lead (AIC of the second best minus its own), share (of the
    bootstrap samples of images in which it is lowest), bend (attacks, nan for a line), rmse of each shape (points),
    `clear` (it leads by `CLEAR` and wins in `SURE` of the samples), paper (the shape in section 4.1, or empty).
    """
    shapes = families(answers.attacks)
    names = np.array([shape.name for shape in shapes])
    levels = len(answers.attacks)
    curves = answers.accuracy.reshape(-1, levels)
    again = answers.resampled[:RESAMPLES].reshape(-1, levels)
    fits = [fit(curves, shape) for shape in shapes]
    criterion = np.stack([aicc(squares, levels, s.parameters) for (squares, _), s in zip(fits, shapes, strict=True)])
    elsewhere = np.stack([aicc(fit(again, shape)[0], levels, shape.parameters) for shape in shapes]).argmin(axis=0)
    elsewhere = elsewhere.reshape(-1, len(curves))  # (RESAMPLES, curves)
    rows = []
    for number, (noise, model) in enumerate((noise, model) for noise in NOISES for model in answers.models):
        best, second = criterion[:, number].argsort()[:2]
        row = {"noise": noise, "model": model, "shape": names[best]}
        row["lead"] = criterion[second, number] - criterion[best, number]
        row["share"] = (elsewhere[:, number] == best).mean()
        row["bend"] = shapes[best].bends[fits[best][1][number]]
        row |= {f"rmse {name}": np.sqrt(fits[i][0][number] / levels) for i, name in enumerate(names)}
        row["clear"] = row["lead"] >= CLEAR and row["share"] >= SURE
        row["paper"] = PAPER.get((model, noise), "")
        rows.append(row)
    return pd.DataFrame(rows)


def examples(attacks: np.ndarray) -> dict[str, np.ndarray]:
    """One curve of each shape, from 95 to 15 percent: name -> (levels,)."""
    drawn = {}
    for shape in families(attacks):
        middle = np.flatnonzero(shape.bends == np.median(shape.bends)) if len(shape.bends) > 1 else [0]
        f = shape.curves[middle[len(middle) // 3]]
        drawn[shape.name] = 95 - 80 * (f - f[0]) / (f[-1] - f[0])
    return drawn


def lines(answers: Answers) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """The fitted curves for a figure: (noise, model) -> shape -> (levels,) percent."""
    shapes = families(answers.attacks)
    drawn = {}
    for noise, curves in zip(NOISES, answers.accuracy, strict=True):
        for model, curve in zip(answers.models, curves, strict=True):
            drawn[noise, model] = {s.name: fitted(curve, s, int(fit(curve[None], s)[1][0])) for s in shapes}
    return drawn
