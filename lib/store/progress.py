"""The progress bar, the same in a terminal, in JupyterLab and in an executed notebook."""

import sys

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 20  # a log and a notebook keep every state of the bar


def progress_bar(total: int, what: str, unit: str, done: int = 0) -> tqdm:
    """A text bar with rate and remaining time; widgets and updated displays show nothing in a terminal or on GitHub."""
    seconds = 0.2 if sys.stdout.isatty() else SECONDS_BETWEEN_LINES
    pace = {"mininterval": seconds, "maxinterval": seconds}
    return tqdm(total=total, initial=done, desc=what, unit=unit, file=sys.stdout, ncols=100, **pace)
