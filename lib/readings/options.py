"""The parameters of `readings.ipynb`, whose networks, images and readings are those of the paper's Table 1."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Readings(BaseModel):
    """Where it finds and leaves what it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outputs: Path = Path("outputs")  # from the repository's root
