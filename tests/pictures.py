"""Pictures compared within rounding: in executed notebooks, as a plugin of pytest beside nbval, and figures drawn anew.

`python tests/pictures.py BEFORE AFTER` compares the files of a folder, figures and tables, and puts those of BEFORE
back into AFTER.
"""

import base64
import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

FEW, QUARTER = 20, 64  # pixels that may differ by more than this, of 255; rounding moves edges by less
NUMBER = re.compile(r"(-?\d+\.\d+)")
CLIP = re.compile(r"\bp[0-9a-f]{10}\b")  # the name of a clip path, a hash of its rectangle's last digits
POINT, DIGIT = 0.5, 1e-6  # by which a coordinate in an SVG file may differ, and a number in a table


def differ(one: bytes, other: bytes, suffix: str = ".svg") -> bool:
    """Whether two PNG or SVG pictures, or texts with numbers, differ by more than rounding."""
    if one == other:
        return False
    if not one.startswith(b"\x89PNG"):
        old, new = (NUMBER.split(CLIP.sub("", side.decode())) for side in (one, other))  # text, number, text, ...
        if old[::2] != new[::2]:
            return True
        return bool(
            np.abs(np.array(old[1::2], float) - np.array(new[1::2], float)).max()
            > (POINT if suffix == ".svg" else DIGIT)
        )
    some, others = (np.asarray(Image.open(io.BytesIO(side)).convert("RGBA"), int) for side in (one, other))
    return some.shape != others.shape or int((np.abs(some - others).max(axis=2) > QUARTER).sum()) > FEW


def unlike(test: list[dict], reference: list[dict]) -> bool:
    """Whether the outputs of a cell show other PNG pictures than they did."""
    one, other = (
        [base64.b64decode("".join(data["image/png"])) for each in side if "image/png" in (data := each.get("data", {}))]
        for side in (test, reference)
    )
    return len(one) != len(other) or any(map(differ, one, other))


def pytest_configure() -> None:
    """nbval compares no pictures."""
    from nbval.plugin import IPyNbCell

    compare = IPyNbCell.compare_outputs

    def compared(self, test, ref, skip_compare=None) -> bool:
        same = compare(self, test, ref, skip_compare)
        if same and unlike(test, ref):
            self.comparison_traceback.append("the pictures differ")
            return False
        return same

    IPyNbCell.compare_outputs = compared


def main(before: Path, after: Path) -> int:
    """How many files differ, which are listed."""
    wrong = 0
    for path in sorted(path for path in before.rglob("*") if path.is_file()):
        now, old = after / path.relative_to(before), path.read_bytes()
        new = now.read_bytes() if now.is_file() else b""
        if new != old:
            if not new or differ(new, old, path.suffix):
                wrong += 1
                print(f"{now} does not follow from what is recorded")
            shutil.copyfile(path, now)
    return wrong


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])) > 0)
