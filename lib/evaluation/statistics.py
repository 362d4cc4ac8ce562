"""Statistics of accuracy curves, and their intervals by the bootstrap over test images.

The bootstrap draws images with replacement, the same for every network, noise and level, and keeps all levels and
draws of an image together: whatever is computed from it is paired, and allows for an image's answers hanging
together. Training seeds are not drawn: no interval here says how another training of the same network would fare.
"""

import numpy as np

REPEATS = 2000  # bootstrap samples
SAMPLES_TOGETHER = 100  # of them drawn together
HALF = 50.0  # percent


def resample(values: np.ndarray) -> np.ndarray:
    """Means over `REPEATS` bootstrap samples of the images: (..., images) -> (REPEATS, ...).

    The samples depend on the number of images alone, so two calls are paired. Sums of whole numbers are exact: every
    machine gives the same means.
    """
    images = values.shape[-1]
    flat = values.reshape(-1, images).T.astype(np.float32)  # (images, curves)
    random = np.random.default_rng(0)
    means = np.empty((REPEATS, flat.shape[1]))
    for start in range(0, REPEATS, SAMPLES_TOGETHER):
        drawn = random.integers(images, size=(SAMPLES_TOGETHER, images))
        times = np.stack([np.bincount(sample, minlength=images) for sample in drawn])  # (SAMPLES_TOGETHER, images)
        means[start : start + SAMPLES_TOGETHER] = times.astype(np.float32) @ flat
    return means.reshape(REPEATS, *values.shape[:-1]) / images


def limits(resampled: np.ndarray, family: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of each column: (REPEATS, ...) -> (...), (...). Infinite values are in order.

    Args:
        family: how many such intervals there are, which hold with 95 % together (Bonferroni).
    """
    tail = 0.025 / family
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0, method="inverted_cdf")
    return low, high


def area_under_curve(accuracy: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """Mean accuracy over the noise levels, the trapezium rule over `attacks`.

    Paper: none; a one-number summary of one curve of Figure 7.

    Args:
        accuracy: (..., levels), percent.
        attacks: (levels,), pixels attacked, strictly increasing.

    Returns:
        (...), percent; 100 for a network that no noise touches.

    Raises:
        ValueError: if `attacks` is not strictly increasing.
    """
    attacks = np.asarray(attacks, float)
    if len(attacks) < 2 or (np.diff(attacks) <= 0).any():
        raise ValueError(f"attacks must be two or more and strictly increasing, not {attacks.tolist()}")
    return np.trapezoid(accuracy, attacks, axis=-1) / (attacks[-1] - attacks[0])


def attacks_until(accuracy: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """Attacks at which a curve first falls to `HALF`, on straight lines between the levels.

    Args:
        accuracy: (..., levels), percent.
        attacks: (levels,), pixels attacked.

    Returns:
        (...), attacks; infinite where the curve stays above it.
    """
    attacks = np.asarray(attacks, float)
    fallen = accuracy <= HALF
    after = fallen.argmax(axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    high, low = (np.take_along_axis(accuracy, place, axis=-1) for place in (before, after))
    share = np.divide(high - HALF, high - low, out=np.zeros_like(high, float), where=high > low)
    crossing = attacks[before] + share * (attacks[after] - attacks[before])
    return np.where(fallen.any(axis=-1), crossing[..., 0], np.inf)


def ranks(values: np.ndarray) -> np.ndarray:
    """(..., models) -> their ranks, 1 for the highest; equal ones share the better rank."""
    from scipy.stats import rankdata  # slow to import

    return rankdata(-values, method="min", axis=-1)


def verdict(low: float, high: float) -> str:
    """What a difference's interval says of it; undecided if its ends are not known (nan)."""
    return "higher" if low > 0 else "lower" if high < 0 else "undecided"
