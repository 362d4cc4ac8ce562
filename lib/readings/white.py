"""Which pixels are white: White to Black above 100 instead of above 0, on all test images.

On the first 2,000 the two lie so near to each other that the choice between them could be theirs.
`python -m lib.readings.white fc efficientnet_b1` asks these two networks what is not recorded yet.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.evaluation import results
from lib.evaluation.plan import WHITE, Plan
from lib.paper import FIGURE_7, TABLE_1_LEVELS
from lib.readings import matrix
from lib.readings.answers import AnswerFile
from lib.readings.matrix_distances import distance
from lib.store.files import OUTPUTS

ALL_IMAGES = 10_000
ABOVE_100 = replace(matrix.DEFAULT, white_above=100)


def run(model: str, outputs: Path = OUTPUTS, images: int = ALL_IMAGES) -> int:
    """Ask a trained network, if it is not recorded yet (`matrix.run`)."""
    return matrix.run(model, outputs, images, readings=[ABOVE_100], noises=[WHITE])


def distances(models: tuple[str, ...] = FIGURE_7, outputs: Path = OUTPUTS, images: int = ALL_IMAGES) -> pd.DataFrame:
    """How far White to Black is from Table 1 with each threshold, for the networks of which both are recorded.

    Columns: model, above_0 (from the sweep, draw 0), above_100 (root mean square over its four noisy entries, points).
    """
    rows = []
    for model in models:
        answers = AnswerFile.read(matrix.answers_path(model, outputs))
        part = ABOVE_100.part(model, WHITE, outputs, images)
        if answers.holds(part, None):
            above_100 = pd.DataFrame({"attacks": part.recipe["levels"], "accuracy": answers.accuracy(part)})
            curve = results.curves(Plan(model=model, noises=[WHITE], draws=1, images=images, outputs=outputs))
            above_0 = curve[curve["attacks"].isin(TABLE_1_LEVELS[1:])][["attacks", "accuracy"]]
            told = (distance(ours.assign(model=model, noise=WHITE)) for ours in (above_0, above_100))
            rows.append((model, *told))
    return pd.DataFrame(rows, columns=["model", "above_0", "above_100"])


if __name__ == "__main__":
    for model in sys.argv[1:]:
        run(model)
