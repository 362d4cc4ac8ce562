"""The networks: architectures by name, the module that is trained, its weights on disk, and its answers to images."""

import importlib
from typing import Any

from lib.networks.architectures import (  # noqa: F401
    CLASSES,
    ENGINES,
    FAMILY,
    HIDDEN,
    NETS,
    NORMALIZE,
    RESIZE,
    SIZE,
    SIZES,
    TITLES,
    Known,
    Normalize,
    Predictor,
    Variant,
    architecture,
    check_size,
    file_stem,
    mean_and_deviation,
    read_record,
    title,
    weights_path,
)


def __getattr__(name: str) -> Any:
    """All else that this room offers (`networks.load`, `networks.build`), which needs torch: imported at its first use.

    Checking a notebook's parameters thus waits for no engine.
    """
    if not name.startswith("_"):
        for module in ("net", "weights", "probe", "inference"):
            found = importlib.import_module(f"lib.networks.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
