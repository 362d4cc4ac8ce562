"""The readings of the paper in words and tables: the one place that says how their options are printed."""

import pandas as pd

from lib.evaluation.plan import CLEAN, USUAL_NOISES
from lib.noise import NOISES
from lib.readings import effects
from lib.readings.options import Reading
from lib.report.figures import title

PRINTED = {  # option -> its title, and how its values are printed; a number as it is
    "normalize": ("normalisation", {"mnist": "MNIST", "imagenet": "ImageNet"}),
    "resize": ("upscaling", {}),
    "epochs": ("epochs", {"by rule": "by the rule"}),
    "revisit": ("attacked again", {}),
    "space": ("noise on", {"28": "28x28", "56": "56x56"}),
    "white_above": ("white", {value: f"b > {value}" for value in map(str, range(255))}),
    "eligibility": ("eligible by", {"now": "image now", "clean": "clean image"}),
}
SHORT = {name: noise.short for name, noise in NOISES.items()}
NO_NUMBERS = "The paper gives no numbers for this network."


def in_words(reading: str) -> str:
    """`Reading.name` as printed: `normalize none, revisit yes` as `normalisation: none, attacked again: yes`."""
    return (
        ", ".join(f"{PRINTED[option][0]}: {value(option, told)}" for option, told in changes(reading).items()) or "ours"
    )


def value(option: str, label: str) -> str:
    return PRINTED[option][1].get(label, label)


def changes(reading: str) -> dict[str, str]:
    """Option -> label, of the options in which a reading of this name is not ours."""
    return dict(item.split(" ", 1) for item in reading.split(", ") if " " in item)


def tried(readings: list[Reading]) -> pd.DataFrame:
    """What is open, the option that says it, our value and the others tried."""
    rows = {}
    for option, ours in Reading().labels.items():
        labels = dict.fromkeys(reading.labels[option] for reading in readings)
        others = ", ".join(value(option, label) for label in labels if label != ours)
        rows[PRINTED[option][0]] = {"parameter": option, "ours": value(option, ours), "also tried": others or "-"}
    return pd.DataFrame.from_dict(rows, orient="index")


def table_1(table: pd.DataFrame, readings: list[str], paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 1 (percent) and under it the same of these readings, mean over the training seeds."""
    printed = {} if paper.empty else {"the paper": _entries(paper, "mean")}
    means = {in_words(name): _entries(table[table["reading"] == name], "mean") for name in readings}
    return pd.DataFrame(printed | means).T.round(1)


def half_widths(table: pd.DataFrame, readings: list[str]) -> pd.DataFrame:
    """Of `table_1`: half of each mean's 95 % interval over the training seeds (points)."""
    halves = {in_words(name): _entries(table[table["reading"] == name], effects.half_width) for name in readings}
    return pd.DataFrame(halves).T.round(1)


def _entries(rows: pd.DataFrame, how) -> pd.Series:
    named = rows.assign(noise=rows["noise"].where(rows["attacks"] > 0, CLEAN))
    found = named.groupby(["noise", "attacks"])["accuracy"].agg(how).reindex([CLEAN, *USUAL_NOISES], level=0)
    return found.rename(index={CLEAN: "no noise"} | SHORT, level=0).rename_axis([None, None])


def without_noise(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The lowest and the highest accuracy on the clean images (percent), with the reading of each mean."""
    clean = table[table["attacks"] == 0].groupby("reading", sort=False)["accuracy"].agg(["mean", "min", "max"])
    found = pd.DataFrame(
        {
            "mean of a reading": [clean["mean"].min(), clean["mean"].max()],
            "which": [in_words(clean["mean"].idxmin()), in_words(clean["mean"].idxmax())],
            "single training": [clean["min"].min(), clean["max"].max()],
        },
        index=["lowest", "highest"],
    ).round(2)
    return found if paper.empty else found.assign(paper=paper.loc[paper["attacks"] == 0, "accuracy"].iloc[0])


def options(found: pd.DataFrame) -> pd.DataFrame:
    """`effects.by_option` or `effects.main_effects`, the options as printed."""
    labels = [value(row.option, row.value) for row in found.itertuples()]
    told = found.assign(option=[PRINTED[option][0] for option in found["option"]], value=labels)
    if "noise" in told:
        return told.assign(noise=told["noise"].map(SHORT)).round(2)
    return told.rename(columns=SHORT).round(1)


def nearest(ranked: pd.DataFrame, number: int) -> pd.DataFrame:
    """The first rows of `distance.to_paper`, and ours if it is not among them; ranked from 1."""
    chosen = (ranked.index < number) | (ranked["changes"] == 0)
    return ranked[chosen].set_axis(ranked.index[chosen] + 1)


def distances(ranked: pd.DataFrame) -> pd.DataFrame:
    """Rows of `distance.to_paper`, the readings as printed."""
    told = ranked.assign(reading=ranked["reading"].map(in_words)).drop(columns="changes")
    return (
        told.rename(columns=SHORT)
        .round({"clean": 2})
        .round({name: 1 for name in told.columns if name != "clean"} | dict.fromkeys(SHORT.values(), 1))
    )


def consistent(ranked: pd.DataFrame) -> str:
    """How many readings are consistent with the paper, by `distance.to_paper`."""
    if ranked.empty:
        return NO_NUMBERS
    if ranked["outside"].isna().any():
        return "With a single training seed no reading can be called consistent or not."
    fewest = ranked.loc[ranked["outside"] == ranked["outside"].min(), "reading"].head(5)
    alone = ranked.loc[ranked["alone"].eq(True), "reading"]
    listed = f" ({'; '.join(map(in_words, alone.head(5)))})" if len(alone) else ""
    return (
        f"**{ranked['consistent'].eq(True).sum()} of {len(ranked)}** readings are consistent with the paper; the "
        f"fewest entries outside are {ranked['outside'].min()} ({'; '.join(map(in_words, fewest))}). By the distance "
        f"alone, the rule given up, {len(alone)} would be{listed}."
    )


def level_with_first(ranked: pd.DataFrame) -> str:
    """The nearest reading, ours, and those that the paired differences over seeds cannot tell from the nearest."""
    if ranked.empty:
        return NO_NUMBERS
    ours = ranked[ranked["changes"] == 0]
    others = ranked.iloc[1:][ranked["behind"].iloc[1:] <= ranked["half"].iloc[1:]]
    listed = "; ".join(
        f"{in_words(row.reading)} (behind by {row.behind:.1f} ± {row.half:.1f})" for row in others.head(5).itertuples()
    )
    told = f"The nearest of {len(ranked)} recorded readings is {_far(ranked.iloc[0])}. "
    told += "".join(f"{_far(row)}. " for row in ours.itertuples())
    told += f"By the paired differences over seeds {len(others)} others cannot be told from the nearest"
    return told + (f": {listed}." if len(others) else ".")


def _far(row) -> str:
    return (
        f"**{in_words(row.reading)}**: {row.distance:.1f} points from the paper (single trainings {row.least:.1f} to "
        f"{row.most:.1f}, {row.seeds} seeds), {row.clean:.2f} % without noise"
    )


def nearest_for_each_noise(ranked: pd.DataFrame) -> pd.DataFrame:
    """For each noise the reading that is nearest over its entries of Table 1, with that distance (points)."""
    rows = {}
    for noise in USUAL_NOISES:
        first = ranked.round(6).sort_values([noise, "changes"]).iloc[0]
        rows[title(noise)] = {"reading": in_words(first["reading"]), "distance": round(first[noise], 1)}
    return pd.DataFrame.from_dict(rows, orient="index")


def envelope(found: pd.DataFrame) -> pd.DataFrame:
    """`distance.envelope`, noises and readings as printed."""
    return found.assign(
        noise=found["noise"].map(title), **{name: found[name].map(in_words) for name in ("with", "by")}
    ).round(1)


def beyond(found: pd.DataFrame) -> str:
    """In how many entries of Table 1 the paper lies outside of all that `distance.envelope` spans."""
    if found.empty:
        return NO_NUMBERS
    out = found[found["beyond"]]
    where = "; ".join(
        f"{title(noise)} at {', '.join(map(str, sorted(own['attacks'])))} attacks"
        for noise, own in out.groupby("noise", sort=False)
    )
    under = (out["paper"] < out["least"]).sum()
    return (
        f"In {len(out)} of {len(found)} noisy entries the paper lies outside of every single training under every "
        "reading" + (f" ({where}), in {under} of them below the lowest." if len(out) else ".")
    )


def early_losses(found: pd.DataFrame, paper: pd.Series, swept: pd.DataFrame) -> pd.DataFrame:
    """`distance.early_losses` as a table (percent), the first eight readings, under the paper's ResNet-50.

    Args:
        paper: noise -> the paper's ResNet-50 at 40 attacks.
        swept: `distance.swept` without normalisation: one training, as the last row where it is recorded.
    """
    noises = [name for name in USUAL_NOISES if name in found]
    rows = {"the paper's ResNet-50": {SHORT[noise]: f"{paper[noise]:.1f}" for noise in noises} | {"answer": "-"}}
    for reading, row in found.head(8).iterrows():
        told = {SHORT[noise]: f"{row[noise]:.1f} ± {row[f'{noise} ±']:.1f}" for noise in noises}
        rows[in_words(reading)] = told | {"answer": row["answer"]}
    once = swept.query("attacks == 40 and draw == 0").set_index("noise")["accuracy"]
    if len(once):
        rows["normalisation: none, one training"] = {SHORT[noise]: f"{once[noise]:.1f}" for noise in noises}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("-")
