"""The networks: architectures by name, the module that is trained, its weights on disk, and its answers to images."""

import importlib
from typing import Any

from lib.networks.architectures import (  # noqa: F401
    ENGINES,
    NETS,
    NORMALIZE,
    RESIZE,
    SIZES,
    STATISTICS_BATCH,
    TITLES,
    Known,
    Predictor,
    architecture,
    check_size,
    file_stem,
    read_record,
    title,
    weights_path,
)
from lib.networks.variants import CLASSES, DENSE, FAMILY, HIDDEN, NORMALISED, SIZE, Variant  # noqa: F401


def __getattr__(name: str) -> Any:
    """All else that this room offers (`networks.load`, `networks.build`), which needs torch: imported at its first use.

    Checking a notebook's parameters thus waits for no engine.
    """
    if not name.startswith("_"):
        for module in ("net", "weights", "probe", "inference", "adaptation"):
            found = importlib.import_module(f"lib.networks.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
