"""The networks: architectures by name, the module that is trained, its weights on disk, and its predictions."""

import importlib
from typing import Any

from lib.networks.architectures import (  # noqa: F401
    ENGINES,
    NETS,
    NORMALIZE,
    RESIZE,
    RESTORED,
    SIZES,
    STATISTICS_BATCH,
    TITLES,
    Known,
    Normalize,
    Predictor,
    architecture,
    check_size,
    mean_and_deviation,
    title,
)
from lib.networks.records import read_record, weights_path  # noqa: F401
from lib.networks.variants import CLASSES, DENSE, FAMILY, HIDDEN, NORMALISED, SIZE, Variant  # noqa: F401
from lib.store.parts import file_stem  # noqa: F401


def __getattr__(name: str) -> Any:
    """The rest of this room needs torch, and is imported when first used: parameters are checked without it."""
    if not name.startswith("_"):
        for module in ("net", "weights", "probe", "inference", "adaptation"):
            found = importlib.import_module(f"lib.networks.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
