"""What `paper.ipynb` says first: which networks survive the noises, which fall, by how much and how sure that is."""

import pandas as pd

from lib import networks
from lib.analysis import pairs
from lib.analysis.statements import Statement, area, combined, sureness, verdict
from lib.analysis.trainings import Trainings
from lib.paper import PAPER_NOISES
from lib.report.comparison_tables import told
from lib.report.tables import sure


def survival(trainings: Trainings) -> pd.DataFrame:
    """The mean area under a network's four curves, over its trainings, the best first.

    Columns: model, trainings, mean, low, high (percent; an interval by itself at 95 %, nan of one training).
    """
    rows = []
    for model in trainings.models:
        found = combined(trainings, area(*PAPER_NOISES), {model: 1})
        rows.append((model, len(trainings.seeds[model]), found.value, *found.ends(0.025)))
    table = pd.DataFrame(rows, columns=["model", "trainings", "mean", "low", "high"])
    return table.sort_values("mean", ascending=False, ignore_index=True)


def survivors(trainings: Trainings) -> str:
    """The networks that keep most and least of their accuracy, how far they are apart, and which others are told apart.

    Named together are those that are not told apart from the best, or from the worst. Of networks with one training it
    says only what that one did.
    """
    table = survival(trainings)
    several, alone = table[table["trainings"] > 1], table[table["trainings"] == 1]
    if len(several) < 2:
        return "No two networks are recorded in several trainings, so nothing is said of architectures."
    apart = pairs.differences(trainings, lambda _: area(*PAPER_NOISES)).query("noise == @PAPER_NOISES[0]").dropna()
    models = several["model"].tolist()
    best, worst = (
        [model for model in models if model == end or _undecided(apart, end, model)] for end in (models[0], models[-1])
    )
    gap = pairs.lead(apart, models[0], models[-1])
    each = "; ".join(f"{networks.title(row.model)} {told(row.mean, row.low, row.high)}" for row in several.itertuples())
    decided = ((apart["low"] > 0) | (apart["high"] < 0)).sum()
    first = "No network is surely better than another"
    if gap[1] > 0:
        verbs = ("survive" if len(best) > 1 else "survives"), ("fall" if len(worst) > 1 else "falls")
        first = f"{_joined(best)} {verbs[0]} the noises best, {_joined(worst)} {verbs[1]} most"
    text = (
        f"**{first}**: in the mean of the four noises and of 0 to 200 attacks, networks with several trainings read "
        f"so many percent of the digits rightly: {each}. Between the first and the last lie {told(*gap)} points. Of "
        f"their {len(apart)} pairs {decided} are told apart, with 95 % for all pairs together."
    )
    if len(alone):
        once = ", ".join(f"{networks.title(row.model)} ({row.mean:.1f})" for row in alone.itertuples())
        text += f" Of {once} there is one training, which settles nothing."
    return text


def _joined(models: list[str]) -> str:
    *first, last = map(networks.title, models)
    return f"{', '.join(first)} and {last}" if first else last


def _undecided(apart: pd.DataFrame, one: str, other: str) -> bool:
    _, low, high = pairs.lead(apart, one, other)
    return low <= 0 <= high


def judged(found: dict[int, list[Statement]]) -> str:
    """What became of the paper's claims: which are supported, contradicted, undecided, and how sure each is."""
    words = []
    for word in ("supported", "contradicted", "undecided"):
        own = {number: sureness(each) for number, each in found.items() if verdict(each) == word}
        each = [f"{number}" + (f" ({sure(share)})" if share == share else "") for number, share in own.items()]
        words.append(f"{len(own) or 'none'} {word}" + (f": {', '.join(each)}" if own else ""))
    return f"Of the paper's {len(found)} claims, each in the form that its own tables bear out, {'; '.join(words)}."
