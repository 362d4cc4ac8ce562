"""Installs requirements.lock by pip into the environment of the Python that runs this, and says how far it is."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

PIP = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", "-r", "requirements.lock"]


def progress(printed: Iterable[str], entries: int) -> Iterator[str]:
    """A line for each tenth of the `entries` lines of the lock, for each large file and the last step, from pip's."""
    tenth = 0
    for line in printed:
        if place := re.search(r"requirements\.lock \(line (\d+)\)", line):
            if int(place[1]) * 10 // entries > tenth:
                tenth = int(place[1]) * 10 // entries
                yield f"  {10 * tenth} % of the list"
        elif large := re.match(r" +(?:Downloading|Using cached) (\w+)-([\d.]+).* \((\d\d+\.\d MB|.* GB)\)", line):
            yield f"  {large[1]} {large[2]}, {large[3]}"
        elif line.startswith("Installing collected packages"):
            yield "  all is here; unpacking it takes a minute or two, longer on a busy machine, and tells nothing"


if __name__ == "__main__":
    with open("requirements.lock", encoding="utf-8") as lock:
        entries = len(lock.readlines())
    with subprocess.Popen(PIP, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as pip:
        for step in progress(pip.stdout or [], entries):
            print(step, flush=True)
    sys.exit(pip.returncode)
