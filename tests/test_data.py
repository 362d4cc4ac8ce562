import gzip
import shutil

import numpy as np
import pytest

from lib.store import data
from lib.store.files import ROOT


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(ROOT / "data" / "mnist", tmp_path / "mnist")
    return tmp_path


def test_mnist_has_the_published_shapes_and_counts():
    digits = data.load("mnist")
    assert digits.train_images.shape == (60_000, 28, 28)
    assert digits.test_images.shape == (10_000, 28, 28)
    assert digits.train_labels.shape == (60_000,) and digits.test_labels.shape == (10_000,)
    assert all(array.dtype == np.uint8 for array in vars(digits).values())
    # the digits' counts as published with the test set, and its first digit, a seven
    assert np.bincount(digits.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert digits.test_labels[0] == 7
    assert digits.test_images[0, 7, 6:10].tolist() == [84, 185, 159, 151]


def test_validation_images_are_the_last_5000_training_images():
    digits = data.load()
    train_images, train_labels, valid_images, valid_labels = digits.split()
    assert len(train_images) == len(train_labels) == 55_000
    np.testing.assert_array_equal(np.concatenate([train_images, valid_images]), digits.train_images)
    np.testing.assert_array_equal(valid_labels, digits.train_labels[55_000:])


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown data set 'mnits'; choose from mnist"):
        data.load("mnits")


def test_a_missing_file_is_named(copied):
    (copied / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing data file .*t10k-labels-idx1-ubyte\.gz"):
        data.load(folder=copied)


@pytest.mark.parametrize("keep", [0, 5, 1000], ids=["empty", "header", "part"])
def test_a_truncated_file_is_named(copied, keep):
    path = copied / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match=r"damaged data file .*train-labels.*expected.*a25bea736e30d166cdddb491f175f624"
    ):
        data.load(folder=copied)


def test_a_changed_file_is_named_with_both_md5s(copied):
    path = copied / "mnist" / "t10k-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(
        ValueError, match=r"t10k-images.* MD5 is [0-9a-f]{32}, expected 2646ac647ad5339dbf082846283269ea"
    ):
        data.load(folder=copied)


def test_another_set_of_the_same_form_joins_in_a_line(tmp_path, monkeypatch):
    folder = tmp_path / "upside_down"
    folder.mkdir()
    md5s = {}
    for name in data.SETS["mnist"]:
        content = gzip.decompress((ROOT / "data" / "mnist" / f"{name}.gz").read_bytes())
        header = 4 + 4 * content[3]
        content = content[:header] + content[header:][::-1]
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        md5s[name] = data.hashlib.md5(content).hexdigest()
    monkeypatch.setitem(data.SETS, "upside_down", md5s)
    np.testing.assert_array_equal(
        data.load("upside_down", tmp_path).test_images, data.load().test_images[::-1, ::-1, ::-1]
    )
