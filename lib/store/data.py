"""The digits: read from the original IDX files, each checked by its MD5 (section 3.1)."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.store.files import ROOT

VALIDATION_IMAGES = 5_000  # the last of the training images; the test set is for Table 1 alone

# The four files of a set lie in data/NAME/; the MD5s are those of the unzipped files.
SETS = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
}


@dataclass(frozen=True)
class Digits:
    """A data set as uint8 arrays: images (n, 28, 28) with 0 black and 255 white, labels (n,) 0..9."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def split(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Training images and labels, then validation images and labels (the last 5,000)."""
        return (
            self.train_images[:-VALIDATION_IMAGES],
            self.train_labels[:-VALIDATION_IMAGES],
            self.train_images[-VALIDATION_IMAGES:],
            self.train_labels[-VALIDATION_IMAGES:],
        )


def load(name: str = "mnist", folder: Path = ROOT / "data") -> Digits:
    """Read a data set of `SETS` from `folder`/`name`/*.gz.

    To add one of the same form (Fashion-MNIST, KMNIST), put its four files there and add its MD5s to `SETS`.

    Raises:
        ValueError: if the name is unknown, or a file is damaged or truncated; it names the file.
        FileNotFoundError: if a file is missing.
    """
    if name not in SETS:
        raise ValueError(f"unknown data set {name!r}; choose from {', '.join(SETS)}")
    return Digits(*(_read_idx(folder / name / f"{file}.gz", md5) for file, md5 in SETS[name].items()))


def _read_idx(path: Path, md5: str) -> np.ndarray:
    """One gzipped IDX file of unsigned bytes as an array.

    The format: two zero bytes, 8 for uint8, the number of dimensions, each dimension as 4 bytes, the data.
    """
    if not path.is_file():
        raise FileNotFoundError(f"missing data file {path}; restore it with: git checkout -- {path.parent}")
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"damaged data file {path}: {error}; expected unzipped MD5 {md5}") from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"damaged data file {path}: its unzipped MD5 is {found}, expected {md5}")
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
