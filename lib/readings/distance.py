"""How far the readings are from the paper: from its Table 1 as a whole, entry by entry, and from its words."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from lib.evaluation import results
from lib.evaluation.plan import USUAL_NOISES, Plan
from lib.noise import NOISES
from lib.paper import TABLE_1_LEVELS, read_table_1
from lib.readings.effects import CELL, half_width, rms

ROUNDING = 0.005  # points; the paper gives two decimals


def to_paper(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """How far each reading is from the paper, nearest first; no rows where the paper has no numbers.

    The distance is the root mean square over the noisy entries of (mean over the training seeds - paper), in points. A
    reading that were the paper's would have the paper's network as one training more, so that in every entry
    (mean - paper) / (standard deviation over seeds x sqrt(1 + 1/seeds)) were Student's t with seeds - 1 degrees of
    freedom. An entry is outside if it is beyond t's 95 % quantile for all entries together (Bonferroni; the clean
    images are one of them) and the paper's rounding. A reading is consistent if no entry is outside, which the paper's
    own would miss with a probability of 5 % at most, however its entries hang together.

    Args:
        table: `accuracies`.
        paper: rows of `paper.read_table_1` for the network.

    Returns:
        Columns: reading, changes, seeds, clean (mean accuracy, percent), a column for each noise (the distance over its
        entries), distance, least and most (of the single trainings), outside (entries), consistent, alone (whether the
        distance alone would be: at most t's 95 % quantile x root mean square of the entries' standard deviations x
        sqrt(1 + 1/seeds), and the rounding; these three None with a single seed), behind (how much farther than the
        first, mean over the common seeds), half (of its 95 % interval, paired over seeds).
    """
    if paper.empty:
        return pd.DataFrame({"reading": []})
    rows, single = [], {}
    for (reading, changes), own in table.groupby(["reading", "changes"], sort=False):
        ours = own.pivot(index="seed", columns=CELL, values="accuracy")  # (seeds, entries)
        noisy = (ours - printed(paper, ours.columns)).loc[:, ours.columns.get_level_values("attacks") > 0]
        mean, n = noisy.mean(), len(ours)
        single[reading] = noisy.apply(rms, axis=1)
        row = {"reading": reading, "changes": changes, "seeds": n}
        row["clean"] = own.loc[own["attacks"] == 0, "accuracy"].mean()
        row |= mean.groupby("noise").agg(rms).reindex(list(USUAL_NOISES)).to_dict()
        row |= {"distance": rms(mean), "least": single[reading].min(), "most": single[reading].max()}
        row |= {"outside": None, "consistent": None, "alone": None}
        if n > 1:
            row["outside"] = int(((ours.mean() - printed(paper, ours.columns)).abs() > room(ours)).sum())
            limit = t.ppf(0.975, n - 1) * rms(noisy.std()) * np.sqrt(1 + 1 / n) + ROUNDING
            row |= {"consistent": row["outside"] == 0, "alone": bool(row["distance"] <= limit)}
        rows.append(row)
    ranked = pd.DataFrame(rows).sort_values("distance", kind="stable", ignore_index=True)
    behind = [(single[reading] - single[ranked["reading"].iloc[0]]).dropna() for reading in ranked["reading"]]
    return ranked.assign(behind=[own.mean() for own in behind], half=[half_width(own) for own in behind])


def printed(paper: pd.DataFrame, cells: pd.MultiIndex) -> pd.Series:
    """The paper's accuracy for each of these entries (noise, attacks), whose clean images are any noise's."""
    clean = paper.loc[paper["attacks"] == 0, "accuracy"].mean()
    return paper.set_index(CELL)["accuracy"].reindex(cells).where(cells.get_level_values("attacks") > 0, clean)


def room(ours: pd.DataFrame) -> pd.Series:
    """By how much the paper may differ from the mean of our trainings (seeds, entries), for each entry (points)."""
    seeds, cells = ours.shape
    return t.ppf(1 - 0.025 / cells, seeds - 1) * ours.std(ddof=1) * np.sqrt(1 + 1 / seeds) + ROUNDING


def beside_paper(table: pd.DataFrame, paper: pd.DataFrame, reading: str) -> pd.DataFrame:
    """One reading at the noisy entries of Table 1.

    Columns: noise, attacks, ours (mean over the seeds), std, count, paper, difference, z (it in units of the spread of
    another training), room (as `room`), outside.
    """
    ours = table[table["reading"] == reading].pivot(index="seed", columns=CELL, values="accuracy")
    found = ours.agg(["mean", "std", "count"]).T.rename(columns={"mean": "ours"})
    found["paper"] = printed(paper, ours.columns)
    found["difference"] = found["ours"] - found["paper"]
    found["z"] = found["difference"] / found["std"] / np.sqrt(1 + 1 / found["count"])
    found["room"] = room(ours) if len(ours) > 1 else np.nan
    found["outside"] = found["difference"].abs() > found["room"]
    return found.astype({"count": int}).reset_index().query("attacks > 0").reset_index(drop=True)


def envelope(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """What all the readings together can give: a row for every noisy entry of the paper.

    Columns: noise, attacks, paper, least and its reading, most and its reading (single trainings, percent), beyond
    (whether the paper, which is a single training too, lies outside of them all).
    """
    single = table[table["attacks"] > 0].sort_values("changes", kind="stable").groupby(CELL, sort=False)["accuracy"]
    least, most = table.loc[single.idxmin(), "reading"], table.loc[single.idxmax(), "reading"]
    ends = {"least": single.min(), "with": least.to_numpy(), "most": single.max(), "by": most.to_numpy()}
    found = paper[[*CELL, "accuracy"]].rename(columns={"accuracy": "paper"}).merge(pd.DataFrame(ends), on=CELL)
    return found.assign(beyond=~found["paper"].between(found["least"], found["most"]))


def early_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Which readings make a network lose as early as section 4.3 says of ResNet-34: by accuracy at 40 attacks.

    Bound: the paper's ResNet-50, on the three noises in which it is contrasted. Index: reading. Columns: the noises
    (mean over the training seeds), the same with ` ±` (half of the 95 % interval), answer (nonresistant if below the
    paper's ResNet-50 on all three, resistant if above it on one, else open).
    """
    early = table[(table["attacks"] == 40) & (table["noise"] != "edge_to_altered")]
    each = early.groupby(["reading", "noise"], sort=False)["accuracy"]
    means, halves = each.mean().unstack(), each.agg(half_width).unstack()
    theirs = read_table_1().query("model == 'resnet50' and attacks == 40").set_index("noise")["accuracy"]
    below = (means + halves).lt(theirs[means.columns]).all(axis=1)
    above = (means - halves).gt(theirs[means.columns]).any(axis=1)
    answer = np.select([below, above], ["nonresistant", "resistant"], "open")
    return means.join(halves.add_suffix(" ±")).assign(answer=answer)


def swept(outputs: Path, model: str, images: int) -> pd.DataFrame:
    """What the sweep recorded of training seed 0 by our reading, with its accuracy (percent); none without a sweep."""
    path = outputs / "accuracy.csv"
    if not path.is_file():
        return pd.DataFrame(columns=[*CELL, "draw", "accuracy"])
    own = pd.read_csv(path).query("model == @model and train_seed == 0 and images == @images")
    usual = {noise: results.reading(Plan(model=model).part(noise).recipe) for noise in USUAL_NOISES}
    ours = own["c"] == own["noise"].map({name: float(noise.c) for name, noise in NOISES.items()})
    ours &= own["reading"] == own["noise"].map(usual)
    return own[ours].assign(accuracy=100 * own["correct"] / images)


def spreads(outputs: Path, model: str, images: int, table: pd.DataFrame) -> pd.DataFrame:
    """What noise draws do, and what trainings do, under our reading.

    Rows: noise draws of one training (`swept`), trainings with a draw each (`accuracies`). Columns: n, and spread: the
    root mean square, over the noisy entries of Table 1, of the standard deviation (points; empty where n < 2).
    """
    one = swept(outputs, model, images)
    one = one[one["attacks"].isin(TABLE_1_LEVELS)].pivot(index=CELL, columns="draw", values="accuracy")
    several = table[(table["changes"] == 0) & (table["attacks"] > 0)]
    several = several.pivot(index=CELL, columns="seed", values="accuracy")
    found = {"noise draws of one training": one, "trainings, a noise draw each": several}
    rows = {name: (own.shape[1], rms(own.std(axis=1))) for name, own in found.items() if own.shape[1] > 1}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n", "spread"])
