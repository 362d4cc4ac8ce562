"""How the paper's noises can be read, and the accuracies that were recorded under one reading."""

import pandas as pd
from pydantic import BaseModel, Field

from lib.evaluation.plan import CLEAN, USUAL_NOISES, Plan, Source, SweepPart
from lib.evaluation.results import about

EDGES = "edge_to_altered"  # the noise for which the paper gives no c


class Reading(BaseModel, extra="forbid", frozen=True):
    """One reading of all four noises; the defaults are those of `Plan`."""

    replacement: bool = True  # whether a pixel may be drawn again
    source: Source = "clean"  # the image that says which pixels are eligible and how bright
    white_above: int = Field(0, ge=0, le=254)  # White to Black takes b > this
    edges_c: float = Field(1.25, gt=0, allow_inf_nan=False)  # c of Edge to Altered

    def part(self, noise: str, bundled: bool = False, **options) -> SweepPart:
        """The part that a sweep under this reading, with these options of `Plan`, records of a noise or `CLEAN`.

        `bundled`: for a bundle, whose recipes name the way of drawing even where it is the one of `UNNAMED`.
        """
        c = self.edges_c if noise == EDGES else None
        own = {"replacement": self.replacement, "source": self.source, "white_above": self.white_above}
        part = Plan(**own, c=c, **options).part(noise)  # ty: ignore[invalid-argument-type]
        if noise == CLEAN or not bundled:
            return part
        replacement, source = part.reading
        return SweepPart(part.folder, part.recipe | {"replacement": replacement, "source": source})

    def select(self, table: pd.DataFrame, draw: int | None = 0, **options) -> pd.DataFrame:
        """The rows of `results.accuracies` under this reading and these options of `Plan`, and those without noise.

        `draw` None: each training has a draw of the noise of its own, numbered by its seed.
        """
        parts = [self.part(noise, model="fc", **options) for noise in (CLEAN, *USUAL_NOISES)]
        keys = pd.DataFrame([about({"model": "fc", "train_seed": 0, "recipe": part.recipe}) for part in parts])
        keys = keys.drop(columns=["model", "recipe", "seed", "draw"]).astype(object)
        wanted = (table["draw"] == (table["seed"] if draw is None else draw)) | (table["noise"] == CLEAN)
        return table[wanted].astype(object).merge(keys, on=[*keys]).astype(table.dtypes)


DEFAULT = Reading()
FIRST = Reading(replacement=False, source="current")  # what this companion began with
SECOND = Reading(source="current")  # the way of drawing that is second nearest to the paper's Table 1
WAYS = {  # replacement, source -> how pixels are drawn
    (False, "current"): "without replacement, current image",
    (False, "clean"): "without replacement, clean image",
    (True, "current"): "with replacement, current image",
    (True, "clean"): "with replacement, clean image",
    (True, "list"): "with replacement, listed in the clean image",
}
DRAWING = tuple(WAYS)
