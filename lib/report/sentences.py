"""Sentences with numbers in them, as the notebooks say them."""

from collections.abc import Iterable

from lib import networks
from lib.analysis.compared import Compared
from lib.paper import PAPER_TARGET


def names(models: Iterable[str]) -> str:
    return ", ".join(map(networks.title, models))


def in_draws(counts: list[int]) -> str:
    """`1 noise draw`, `1 to 5 noise draws`."""
    least, most = min(counts), max(counts)
    return f"{most if least == most else f'{least} to {most}'} noise draw{'s' * (most > 1)}"


def heading(compared: Compared, what: str, common: bool = True) -> str:
    """`what` with n behind it, for above a figure.

    Args:
        common: whether the figure is of the draws that all the networks have seen, or of each network's own.
    """
    draws = in_draws([compared.common_draws] if common else [compared.draws(model) for model in compared.models])
    return f"{what}: n = {compared.comparison.images:,} test images, {draws} each, one training"


def under_trained(compared: Compared) -> str:
    """How many networks are compared, and which of them fell short of the paper's rule of training."""
    told = f"All {len(compared.models)} networks are measured."
    if compared.short:
        told += (
            f" **Under-trained: {names(compared.short)}** ended below the {PAPER_TARGET} % of validation images that "
            "the paper's rule asks for, so what follows about "
            f"{'it' if len(compared.short) == 1 else 'them'} is weak evidence about architecture."
        )
    return told
