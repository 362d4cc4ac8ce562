"""The digits: read from the original IDX files, each checked by its MD5 (section 3.1)."""

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from lib.store.files import ROOT

VALIDATION_IMAGES = 5_000  # the last of the training images; the test set is for Table 1 alone

FILES = {  # of a set, by what they hold
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
# They lie in data/NAME/; the MD5s, in any order, are those of the unzipped files.
SETS = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {  # Xiao, Rasul and Vollgraf 2017 (arXiv:1708.07747); MIT licence, beside the files
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}
# What the classes 0 to 9 are called, where it is not the digits themselves.
CLASS_NAMES = {
    "fashion-mnist": (
        "T-shirt or top",
        "trousers",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
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

    To add one of the same form (KMNIST), put its four files there and add its MD5s to `SETS`.

    Raises:
        ValueError: if the name is unknown, a file is damaged or truncated, or images and labels do not fit each other;
            it names the file.
        FileNotFoundError: if a file is missing.
    """
    known_set(name)
    md5s, files = SETS[name], ", ".join(FILES.values())
    if md5s.keys() != set(FILES.values()):
        raise ValueError(f"data set {name!r} must have the files {files}, not {', '.join(md5s)}")
    paths = {part: folder / name / f"{file}.gz" for part, file in FILES.items()}
    digits = Digits(**{part: _read_idx(path, md5s[FILES[part]]) for part, path in paths.items()})
    _check_pair(digits.train_images, digits.train_labels, paths["train_images"], more_than=VALIDATION_IMAGES)
    _check_pair(digits.test_images, digits.test_labels, paths["test_images"], more_than=0)
    return digits


def check_count(asked: int, images: np.ndarray, parameter: str, dataset: str) -> None:
    """Raises ValueError if a parameter asks for more images than there are; it names both."""
    if asked > len(images):
        raise ValueError(f"{parameter}={asked}: {dataset} has {len(images):,} of them; choose {parameter} up to that")


def known_set(name: str) -> str:
    """The name itself; raises ValueError, with the choices, if there is no such data set."""
    if name not in SETS:
        raise ValueError(f"unknown data set {name!r}; choose from {', '.join(SETS)}")
    return name


KnownSet = Annotated[str, AfterValidator(known_set)]  # a data set's name among a notebook's parameters


def _check_pair(images: np.ndarray, labels: np.ndarray, path: Path, more_than: int) -> None:
    """Raises ValueError unless these are digits and their labels; it names the file with the images, `path`."""
    if images.ndim != 3 or images.shape[1:] != (28, 28) or len(images) <= more_than:
        raise ValueError(f"{path} must hold more than {more_than:,} images of 28 x 28, not {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{path} holds {len(images):,} images, but the file with their labels {labels.shape}")
    if labels.max() > 9:
        raise ValueError(f"the labels of {path} must be 0 to 9, not {labels.max()}")


def _read_idx(path: Path, md5: str) -> np.ndarray:
    """One gzipped IDX file of unsigned bytes as an array.

    The format: two zero bytes, 8 for uint8, the number of dimensions, each dimension as 4 bytes, the data.
    """
    if not path.is_file():
        raise FileNotFoundError(f"missing data file {path}; restore it with: git checkout -- {path.parent}")
    packed = path.read_bytes()
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"damaged data file {path}: {error}; expected unzipped MD5 {md5}") from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"damaged data file {path}: its unzipped MD5 is {found}, expected {md5}")
    dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * dimensions
    shape = tuple(map(int, np.frombuffer(content[4:start].ljust(4 * dimensions, b"\0"), ">u4")))
    if not dimensions or math.prod(shape) != len(content) - start:
        raise ValueError(f"{path} is no IDX file of unsigned bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
