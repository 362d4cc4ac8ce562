"""How the paper's noises can be read, and the accuracies that were recorded under one reading."""

import itertools

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lib.evaluation.plan import CLEAN, USUAL_NOISES, Plan, SweepPart
from lib.evaluation.results import READING, about
from lib.noise import SOURCES

EDGES = "edge_to_altered"  # the noise for which the paper gives no c
KEYS = ["dataset", *READING, "noise", "c"]


class Reading(BaseModel):
    """One reading of all four noises; the defaults are those of `Plan`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replacement: bool = True  # whether a pixel may be drawn again
    source: str = "clean"  # the image that says which pixels are eligible and how bright
    white_above: int = Field(0, ge=0, le=254)  # White to Black takes b > this
    edges_c: float = Field(1.25, gt=0, allow_inf_nan=False)  # c of Edge to Altered

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source not in SOURCES:
            raise ValueError(f"unknown source {source!r}; choose from {', '.join(SOURCES)}")
        return source

    def part(self, noise: str, bundled: bool = False, **options) -> SweepPart:
        """The part that a sweep under this reading records of one noise, or of the clean images (`CLEAN`).

        Args:
            bundled: for a bundle, whose recipes name the way of drawing even where it is the one of `UNNAMED`.
            options: of `Plan`: model, train_seed, levels, images, draw, dataset, statistics, outputs.
        """
        c = self.edges_c if noise == EDGES else None
        own = {"replacement": self.replacement, "source": self.source, "white_above": self.white_above}
        part = Plan(**own, c=c, **options).part(noise)  # ty: ignore[invalid-argument-type]
        if noise == CLEAN or not bundled:
            return part
        replacement, source = part.reading
        return SweepPart(part.folder, part.recipe | {"replacement": replacement, "source": source})

    def select(self, table: pd.DataFrame, draw: int | None = 0, **options) -> pd.DataFrame:
        """The rows of a table of accuracies (`results.accuracies`) under this reading, and those without noise.

        Args:
            draw: of the noise; None: each training has a draw of its own, numbered by its seed.
            options: of `Plan`: dataset, statistics.
        """
        parts = [self.part(noise, model="fc", **options) for noise in (CLEAN, *USUAL_NOISES)]
        keys = pd.DataFrame([about({"model": "fc", "train_seed": 0, "recipe": part.recipe}) for part in parts])
        wanted = (table["draw"] == (table["seed"] if draw is None else draw)) | (table["noise"] == CLEAN)
        rows = table[wanted].astype(object).merge(keys[KEYS].astype(object), on=KEYS)
        return rows.astype(table.dtypes)


DEFAULT = Reading()
FIRST = Reading(replacement=False, source="current")  # what this companion began with
SECOND = Reading(source="current")  # the way of drawing that is second nearest to the paper's Table 1
DRAWING = ((False, "current"), (False, "clean"), (True, "current"), (True, "clean"), (True, "list"))
READINGS = [
    Reading(replacement=replacement, source=source, white_above=white, edges_c=c)
    for (replacement, source), white, c in itertools.product(DRAWING, (0, 100), (1.25, 2.0))
]
