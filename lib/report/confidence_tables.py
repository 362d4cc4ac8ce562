"""The numbers of `confidence.ipynb` in words; each `table` is one of `confidence.judged` over networks."""

import pandas as pd

from lib import networks
from lib.experiments.confidence import Answers
from lib.report.tables import spread


def column(table: pd.DataFrame, sign: str = "", digits: int = 3, answered: bool = True) -> pd.Series:
    """`0.932 (0.902 to 0.958) knows` of each network; without the answer where it is undecided, or none was asked."""
    told = {}
    for row in table.itertuples():
        words = spread(row.value, row.low, row.high, digits, sign)
        told[row.Index] = f"{words} {row.answer}" if answered and row.answer != "undecided" else words
    return pd.Series(told, dtype=object)


def together(columns: dict[str, pd.Series]) -> pd.DataFrame:
    """Columns of a table of networks; a dash where one of them has nothing to say."""
    return pd.DataFrame(columns).reindex(next(iter(columns.values())).index).fillna("-").rename(index=networks.title)


def ends(table: pd.DataFrame, sign: str = "") -> str:
    """`0.85 (0.82 to 0.87) for ResNet-50V2 to 0.93 (0.90 to 0.96) for FC`: the least and the most."""
    known = table.dropna()
    if known.empty:
        return "not known"
    rows = [known.loc[place] for place in (known["value"].idxmin(), known["value"].idxmax())]
    told = [f"{spread(row['value'], row['low'], row['high'], 2, sign)} for {networks.title(row.name)}" for row in rows]
    return " to ".join(told)


def counted(table: pd.DataFrame, answer: str) -> str:
    """`7 of 8`: how many rows have this answer."""
    return f"{(table['answer'] == answer).sum()} of {len(table)}"


def one_image(own: Answers, noise: str, image: int) -> pd.DataFrame:
    """What one network makes of one digit as the attacks of a noise go on: whether it is wrong, and its doubts."""
    levels = sorted({level for _, level in own.rows})
    rows = [own.row(noise, level) for level in levels]
    doubts = {measure: own.doubts[measure][rows, image].round(3) for measure in ("mean", *own.measures)}
    wrong = ["yes" if own.wrong[row, image] else "no" for row in rows]
    return pd.DataFrame(doubts, pd.Index(levels, name="attacks")).assign(wrong=wrong)
