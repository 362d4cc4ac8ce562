"""What `paper.ipynb` says first: which networks survive the noises, which fall, by how much and how sure that is."""

from collections.abc import Mapping

import pandas as pd

from lib import networks
from lib.analysis import pairs
from lib.analysis.claims import CLAIMS
from lib.analysis.statements import Statement, area, combined, for_want_of_trainings, sureness, verdict
from lib.analysis.trainings import Trainings
from lib.paper import PAPER_NOISES
from lib.report.comparison_tables import surely_above, told
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

    Named together are those that are not told apart from the best, or from the worst; a network for which both is so is
    not named. Of networks with one training it says only what that one did.
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
    first = "No network is surely better than another"
    if gap[1] > 0:
        best, worst = [each for each in best if each not in worst], [each for each in worst if each not in best]
        verbs = ("survive" if len(best) > 1 else "survives"), ("fall" if len(worst) > 1 else "falls")
        first = f"{joined(best)} {verbs[0]} the noises best, {joined(worst)} {verbs[1]} most"
    each = "; ".join(
        f"{networks.title(row.model)} {told(row.mean, row.low, row.high)}, {row.trainings} trainings"
        for row in several.itertuples()
    )
    above = surely_above(apart)
    pairs_apart = "; ".join(
        f"{networks.title(model)} above {joined(above[model])}" for model in models if model in above
    )
    text = (
        f"**{first}.** Mean accuracy in percent over the four noises and 0 to 200 attacks, with its 95 % interval over "
        f"trainings: {each}. Between {networks.title(models[0])} and {networks.title(models[-1])} lie {told(*gap)} "
        f"points. Of these networks' {len(apart)} pairs {sum(map(len, above.values()))} can be told apart, at 95 % for "
        f"all pairs together" + (f": {pairs_apart}." if above else ".")
    )
    if len(alone):
        once = joined(alone["model"], [f" ({mean:.1f})" for mean in alone["mean"]])
        text += f" {once} {'has one training' if len(alone) == 1 else 'have one training each'}, which settles nothing."
    return text


def joined(models, behind: list[str] | None = None) -> str:
    """`FC, VGG-19 and ResNet-50`, with something behind each name."""
    names = [networks.title(model) + (behind[place] if behind else "") for place, model in enumerate(models)]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _undecided(apart: pd.DataFrame, one: str, other: str) -> bool:
    _, low, high = pairs.lead(apart, one, other)
    return low <= 0 <= high


def judged(found: Mapping[int, list[Statement]]) -> str:
    """What became of the paper's claims: which are supported, contradicted, undecided, and how sure each is."""
    once = "undecided while a network has one training"
    groups: dict[str, list[str]] = {word: [] for word in ("supported", "contradicted", "undecided", once)}
    for number, own in found.items():
        word, share = verdict(own), sureness(own)
        behind = f"{number}, {sure(share)}" if share == share else f"{number}"
        groups[once if word == "undecided" and for_want_of_trainings(own) else word].append(
            f"{CLAIMS[number].name} ({behind})"
        )
    lines = [f"- **{word}**: {'; '.join(names) or 'none'}." for word, names in groups.items()]
    return (
        f"The paper's {len(found)} claims, each in the form that the paper's own tables bear out; in brackets its "
        "number in section 3.5 and the confidence at which its verdict still holds:\n\n" + "\n".join(lines)
    )


def by_reading(measured: Mapping[str, Trainings]) -> pd.DataFrame:
    """`survival` under several readings of the noise: a row for each network, two columns for each reading.

    Args:
        measured: name of the reading -> the trainings as measured under it.
    """
    columns = {}
    for reading, trainings in measured.items():
        own = survival(trainings).set_index("model")
        columns[f"{reading} (%)"] = pd.Series(
            {row.Index: told(row.mean, row.low, row.high) for row in own.itertuples()}
        )
        columns[f"trainings, {reading}"] = own["trainings"].astype(str)
    table = pd.DataFrame(columns).fillna("-").reindex(survival(next(iter(measured.values())))["model"])
    return table.rename(index=networks.title).rename_axis(None)
