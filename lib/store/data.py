"""The data sets: MNIST (section 3.1), Fashion-MNIST and one's own, from IDX files that are checked by their MD5s."""

import gzip
import hashlib
import json
import math
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from lib.store.files import ROOT, write_atomically

DATA = ROOT / "data"
VALIDATION_IMAGES = 5_000  # the last of the training images; the test images are for the reported accuracies alone
FILES = {  # of a data set, by their contents
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
GZIP = b"\x1f\x8b"  # the beginning of a gzipped file
OWN = "md5.json"  # in data/NAME, where `add` writes what `SETS` holds of the sets below
# The data sets of this repository, in data/NAME/: the MD5 of each file once unzipped.
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
# The names of the classes 0 to 9, unless these are the digits.
CLASS_NAMES = {
    "fashion-mnist": (
        "T-shirt or top", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
    )
}  # fmt: skip


@dataclass(frozen=True)
class Digits:
    """A data set as uint8 arrays: images (n, 28, 28), from 0, black, to 255, white; labels (n,), from 0 to 9."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def split(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Training images and labels, then validation images and labels (the last 5,000)."""
        end = -VALIDATION_IMAGES
        return self.train_images[:end], self.train_labels[:end], self.train_images[end:], self.train_labels[end:]


def load(name: str = "mnist") -> Digits:
    """Read a data set from its four files in data/`name`.

    Raises FileNotFoundError if a file is missing, and ValueError if the name is unknown, a file is damaged, or images
    and labels do not fit each other; the error names the file.
    """
    md5s, files = _md5s(name), ", ".join(FILES.values())
    if md5s.keys() != set(FILES.values()):
        raise ValueError(f"data set {name!r} must have the files {files}, not {', '.join(md5s)}")
    paths = {part: DATA / name / f"{file}.gz" for part, file in FILES.items()}
    changed = {part: path.stat().st_ctime_ns if path.is_file() else None for part, path in paths.items()}
    digits = Digits(**{part: _read_once(path, md5s[FILES[part]], changed[part]) for part, path in paths.items()})
    _check(digits, paths)
    return digits


@lru_cache(8)
def _read_once(path: Path, md5: str, changed: int | None) -> np.ndarray:
    """`read_idx`, again only if the file has `changed`: the time in nanoseconds, None for a missing file."""
    return read_idx(path, md5)


def add(
    name: str, train_images: np.ndarray, train_labels: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> None:
    """Write a data set of one's own into data/`name`, where `load` finds it; `read_idx` reads existing IDX files.

    The arrays hold integers, in the shapes and ranges of `Digits`. Raises ValueError, before anything is written, if
    they do not, or if the name is taken or holds other signs than letters, digits, - and _.
    """
    taken = [known.lower() for known in _known()]  # some file systems know no upper case
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]{,59}", name) or name.lower() in taken:
        must = f"at most 60 letters, digits, - and _, and not one of {', '.join(taken)}"
        raise ValueError(f"the name of a new data set must be of {must}; not {name!r}")
    arrays = dict(zip(FILES, map(np.asarray, (train_images, train_labels, test_images, test_labels)), strict=True))
    for part, array in arrays.items():
        if array.dtype.kind not in "iu" or not array.size or array.min() < 0 or array.max() > 255:
            raise ValueError(f"{part} must hold integers from 0 to 255, not {array.dtype} of shape {array.shape}")
        if part.endswith("images") and array.max() < 2:
            raise ValueError(f"{part} must be from 0, black, to 255, white; they are from 0 to {array.max()}")
    digits, md5s = Digits(**{part: array.astype(np.uint8) for part, array in arrays.items()}), {}
    _check(digits, {part: Path(part) for part in FILES})
    for part, array in vars(digits).items():
        content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        md5s[FILES[part]] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        packed = gzip.compress(content)
        write_atomically(DATA / name / f"{FILES[part]}.gz", lambda file, packed=packed: file.write(packed))
    write_atomically(DATA / name / OWN, lambda file: file.write(json.dumps(md5s, indent=2).encode()))


def brightness(name: str) -> tuple[float, float]:
    """Mean and standard deviation of the pixels of all training images, in [0, 1], rounded to four decimals."""
    shares = np.bincount(load(name).train_images.ravel(), minlength=256)
    values, shares = np.arange(256) / 255, shares / shares.sum()
    mean = shares @ values
    return round(float(mean), 4), round(float(np.sqrt(shares @ (values - mean) ** 2)), 4)


def check_count(wanted: int, images: np.ndarray, parameter: str, dataset: str) -> None:
    """Raises ValueError if a parameter exceeds the number of images; it names both."""
    if wanted > len(images):
        raise ValueError(f"{parameter}={wanted}: {dataset} has {len(images):,} of them; choose {parameter} up to that")


def known_set(name: str) -> str:
    """The name itself; raises ValueError, with the choices, if there is no such data set."""
    if name not in _known():
        raise ValueError(f"unknown data set {name!r}; choose from {', '.join(_known())}")
    return name


def _known() -> list[str]:
    return [*SETS, *sorted(path.parent.name for path in DATA.glob(f"*/{OWN}"))]


def _md5s(name: str) -> dict[str, str]:
    if name in SETS:
        return SETS[name]
    path = DATA / known_set(name) / OWN
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"damaged file {path} ({error}); restore it, or add the data set again") from None


KnownSet = Annotated[str, AfterValidator(known_set)]  # a data set's name among a notebook's parameters


def _check(digits: Digits, paths: dict[str, Path]) -> None:
    """Raises ValueError unless images and labels have the shapes and values of `Digits`; it names the file."""
    for part, more_than in (("train", VALIDATION_IMAGES), ("test", 0)):
        images, labels, path = vars(digits)[f"{part}_images"], vars(digits)[f"{part}_labels"], paths[f"{part}_images"]
        if images.ndim != 3 or images.shape[1:] != (28, 28) or len(images) <= more_than:
            raise ValueError(f"{path} must hold more than {more_than:,} images of 28 x 28, not {images.shape}")
        if labels.shape != images.shape[:1]:
            raise ValueError(f"{path} holds {len(images):,} images, but the file with their labels {labels.shape}")
        if labels.max() > 9:
            raise ValueError(f"the labels of {path} must be 0 to 9, not {labels.max()}")


def read_idx(path: Path | str, md5: str | None = None) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, gzipped or not; with `md5`, that of the unzipped file must agree.

    The format: two zero bytes, 8 for uint8, the number of dimensions, each dimension as 4 bytes, the data. Raises
    FileNotFoundError if there is no such file, and ValueError if it is damaged or is not an IDX file.
    """
    path = Path(path)
    if not path.is_file():
        shipped = path.parent.name in SETS and f"; restore it with: git checkout -- {path.parent}"
        raise FileNotFoundError(f"missing data file {path}{shipped or '; restore it from your own copy'}")
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if md5 or content[:2] == GZIP else content
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if md5 not in (None, found):
            raise ValueError(f"its unzipped MD5 is {found}")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        expected = f"; expected unzipped MD5 {md5}" if md5 else ""
        raise ValueError(f"damaged data file {path}: {error}{expected}") from None
    dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * dimensions
    shape = tuple(map(int, np.frombuffer(content[4:start].ljust(4 * dimensions, b"\0"), ">u4")))
    if not dimensions or math.prod(shape) != len(content) - start:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
