"""What `paper.ipynb` says first: which networks survive the noises, which fall, by how much and how sure that is."""

from collections.abc import Mapping

import pandas as pd

from lib import networks
from lib.analysis import pairs
from lib.analysis.claims import CLAIMS
from lib.analysis.statements import FAILS, Statement, area, combined, for_want_of_trainings, sureness, verdict
from lib.analysis.trainings import Trainings
from lib.paper import PAPER_NOISES
from lib.report.comparison_tables import surely_above, told
from lib.report.tables import statements, sure

VERDICTS = ("supported", "contradicted", "undecided")


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
        first = f"{joined(best)} {_verb('keep', best)} most, {joined(worst)} {_verb('keep', worst)} least"
    each = "; ".join(
        f"{networks.title(row.model)} {told(row.mean, row.low, row.high)}, {row.trainings} trainings"
        for row in several.itertuples()
    )
    above = surely_above(apart)
    pairs_apart = "; ".join(
        f"{networks.title(model)} above {joined(above[model])}" for model in models if model in above
    )
    text = (
        f"How much accuracy does a network keep on MNIST's digits under up to {trainings.attacks[-1]} attacks on "
        f"pixels drawn at random? **Of {len(several)} networks that were trained several times {first}.** In percent, "
        f"the mean over the paper's four noises and 0 to {trainings.attacks[-1]} attacks, with its 95 % interval over "
        f"trainings: {each}. Between {networks.title(models[0])} and {networks.title(models[-1])} lie {told(*gap)} "
        f"points. In this mean {sum(map(len, above.values()))} of the {len(apart)} pairs of these networks can be told "
        f"apart, at 95 % for all pairs together" + (f": {pairs_apart}." if above else ".")
    )
    if len(alone):
        once = joined(alone["model"], [f" ({mean:.1f})" for mean in alone["mean"]])
        text += (
            f" {once} {_verb('have', alone['model'])} one training{' each' * (len(alone) > 1)}, which settles nothing."
        )
    return text


def _verb(plural: str, models) -> str:
    singular = {"keep": "keeps", "have": "has", "rest": "rests"}
    return plural if len(models) > 1 else singular[plural]


def joined(models, behind: list[str] | None = None) -> str:
    """`FC, VGG-19 and ResNet-50`, with something behind each name."""
    return enumerated([networks.title(model) + (behind[place] if behind else "") for place, model in enumerate(models)])


def enumerated(names: list[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _undecided(apart: pd.DataFrame, one: str, other: str) -> bool:
    _, low, high = pairs.lead(apart, one, other)
    return low <= 0 <= high


def judged(found: Mapping[int, list[Statement]]) -> str:
    """What became of the paper's claims: which are supported, contradicted and by what, undecided, and how sure."""
    own = {word: [number for number in found if verdict(found[number]) == word] for word in VERDICTS}
    supported = (f"{CLAIMS[number].name} ({number}, {sure(sureness(found[number]))})" for number in own["supported"])
    undecided = (f"{CLAIMS[number].name} ({number})" for number in own["undecided"])
    text = (
        f"The paper's {len(found)} claims, as it words them less what its own tables do not bear out, each in one or "
        "more statements; in brackets its number in section 3.5 and the confidence up to which the verdict "
        "stands:\n\n"
        f"- **supported**: {'; '.join(supported) or 'none'}.\n"
        "- **contradicted**, since at least one statement fails:"
        + "".join(f"\n    - {_failing(number, found[number])}." for number in own["contradicted"])
        + f"\n- **undecided**: {'; '.join(undecided) or 'none'}."
    )
    alone = [number for number in own["undecided"] if for_want_of_trainings(found[number])]
    if alone:
        numbers = enumerated([f"{number}" for number in alone])
        text += (
            f"\n\nOf the undecided claims {numbers} {_verb('rest', alone)} in part on a network with "
            "one training, and could not be supported whatever its numbers."
        )
    return text


def _failing(number: int, own: list[Statement]) -> str:
    """A contradicted claim: how sure that is, how many statements fail, and the one that fails most surely."""
    failing = sorted((statement for statement in own if statement.verdict == FAILS), key=lambda each: each.error)
    row = statements(failing).iloc[0]
    counted = f"{len(failing)} of {len(own)} statements {'fail, above all' if len(failing) > 1 else 'fails'}"
    return (
        f"{CLAIMS[number].name} ({number}, {sure(sureness(own))}): {counted}: *{row.name}* is {row['number']}, "
        f"claimed {row['claimed']}"
    )


def turned(found: Mapping[int, list[Statement]], otherwise: Mapping[int, list[Statement]]) -> str:
    """Which claims have another verdict under another reading of the noises, and which."""
    verdicts = {number: (verdict(found[number]), verdict(own)) for number, own in otherwise.items()}
    each = [f"claim {number} is {other} instead of {one}" for number, (one, other) in verdicts.items() if one != other]
    return enumerated(each) if each else "no claim has another verdict"


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
