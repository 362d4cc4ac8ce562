"""Intervals over test images by the bootstrap.

Images are drawn with replacement, the same ones for every network, noise and level, and all levels and draws of an
image stay together. So differences are paired, and the correlation between predictions for one image is allowed for.
Trainings are not drawn: these intervals do not say how another training of the same network would do.
"""

import numpy as np

REPEATS = 2000  # bootstrap samples
SAMPLES_TOGETHER = 100  # of them drawn together


def resample(values: np.ndarray) -> np.ndarray:
    """Means over `REPEATS` bootstrap samples of the images: (..., images) -> (REPEATS, ...).

    The samples depend only on the number of images, so two calls are paired. Sums of whole numbers are exact, so every
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
    """The 95 % percentile interval of each column: (REPEATS, ...) -> (...), (...). Infinite values are allowed.

    As many intervals as `family` says hold together with 95 % (Bonferroni).
    """
    tail = 0.025 / family
    return tuple(np.quantile(resampled, [tail, 1 - tail], axis=0, method="inverted_cdf"))
