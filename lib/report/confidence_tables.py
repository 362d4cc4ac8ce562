"""The tables of `confidence.ipynb`, from `confidence.decided` and `Evaluated`."""

from collections.abc import Mapping

import pandas as pd

from lib import networks
from lib.experiments.confidence import Evaluated
from lib.report.tables import intervals


def column(table: pd.DataFrame, sign: str = "", digits: int = 3, verdicts: bool = True) -> pd.Series:
    """`0.932 (0.902 to 0.958), higher` for each network; the verdict only if asked for."""
    text = intervals(table, digits=digits, sign=sign)
    return text + (", " + table["verdict"]).where(verdicts & (text != "-"), "")


def together(columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    """These columns side by side, a row for each network of the first; a dash where a network has no value."""
    return pd.DataFrame(columns).reindex(next(iter(columns.values())).index).fillna("-").rename(index=networks.title)


def one_image(own: Evaluated, noise: str, image: int) -> pd.DataFrame:
    """One digit as the attacks of a noise go on: each doubt of a network, and whether its prediction is wrong."""
    rows = [own.row(noise, level) for level in own.levels]
    doubts = {measure: own.doubts[measure][rows, image].round(3) for measure in ("mean", *own.measures)}
    wrong = ["yes" if own.wrong[row, image] else "no" for row in rows]
    return pd.DataFrame(doubts, pd.Index(own.levels, name="attacks")).assign(wrong=wrong)
