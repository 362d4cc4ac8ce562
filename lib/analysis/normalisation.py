"""Three networks with and without normalisation: how they stand to each other in one training of each.

One training says nothing certain about an architecture: these are numbers of the trained networks, without a verdict.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.analysis.compared import Compared, Comparison
from lib.evaluation.statistics import area_under_curve, ranks
from lib.evaluation.sweep import recorded
from lib.networks import title
from lib.noise import NOISES
from lib.paper import PAPER_NOISES

MODELS = ("fc", "resnet18", "efficientnet_b1")
VARIANTS = {"MNIST's normalisation": "", "no normalisation": "@none"}  # -> word of the recipe


def networks(asked: Comparison, word: str) -> Compared:
    """The three networks by their recipes of this word (`@none`, or nothing).

    Raises:
        FileNotFoundError: if one is not recorded.
    """
    return asked.model_copy(update={"models": [model + word for model in MODELS]}).choose(())


def both(outputs: Path) -> dict[str, Compared]:
    """The three networks by each of `VARIANTS`, in one noise draw; nothing unless all six are recorded."""
    asked = Comparison(draws=1, outputs=outputs)
    plans = (asked.plan(model + word) for word in VARIANTS.values() for model in MODELS)
    return {name: networks(asked, word) for name, word in VARIANTS.items()} if all(map(recorded, plans)) else {}


def areas_and_ranks(compared: Compared) -> pd.DataFrame:
    """The area under the curve (percent) and the rank of each network: a row for each, a column for each noise."""
    curves = compared.curves().pivot(index=["noise", "model"], columns="attacks", values="accuracy")
    wide = pd.Series(area_under_curve(curves.to_numpy(), curves.columns.to_numpy()), curves.index).unstack("model")
    area = wide.loc[list(PAPER_NOISES), list(compared.models)].to_numpy()  # (noises, models)
    told = np.char.add(np.char.mod("%.1f, rank ", area), ranks(area).astype(int).astype(str))
    titles = [title(model.partition("@")[0]) for model in compared.models]
    return pd.DataFrame(told.T, titles, [NOISES[noise].short for noise in PAPER_NOISES])
