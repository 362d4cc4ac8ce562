import gzip
import re
import shutil

import numpy as np
import pytest

from lib import networks
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
from lib.store import data
from lib.store.files import ROOT
from lib.training.fit import train
from lib.training.recipe import Recipe


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of all data sets: MNIST as it is, and what a test adds."""
    (tmp_path / "mnist").symlink_to(ROOT / "data" / "mnist")
    (tmp_path / "fashion-mnist").symlink_to(ROOT / "data" / "fashion-mnist")
    monkeypatch.setattr(data, "DATA", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "counts"),  # of the test images of each class, as published
    [("mnist", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]), ("fashion-mnist", [1_000] * 10)],
)
def test_shapes_and_counts_are_the_published_ones(name, counts):
    digits = data.load(name)
    arrays = vars(digits).values()
    assert [array.shape for array in arrays] == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    assert {array.dtype for array in arrays} == {np.dtype(np.uint8)}
    assert np.bincount(digits.test_labels).tolist() == counts
    assert networks.NORMALIZE[name] == data.brightness(name)
    if name == "mnist":  # its first test image, a seven
        assert digits.test_labels[0] == 7 and digits.test_images[0, 7, 6:10].tolist() == [84, 185, 159, 151]
    else:
        assert np.bincount(digits.train_labels).tolist() == [6_000] * 10
        assert "MIT License" in (ROOT / "data" / name / "LICENSE").read_text()
    train_images, train_labels, valid_images, valid_labels = digits.split()
    assert len(train_images) == len(train_labels) == 55_000
    np.testing.assert_array_equal(np.concatenate([train_images, valid_images]), digits.train_images)
    np.testing.assert_array_equal(valid_labels, digits.train_labels[55_000:])


def test_a_missing_file_is_named(folder):
    shutil.copytree(ROOT / "data" / "mnist", folder / "copy")
    (folder / "mnist").unlink()
    (folder / "copy").rename(folder / "mnist")
    data.add("own", **own_arrays())
    for name, end in (("mnist", "git checkout -- .*mnist"), ("own", "own copy")):
        (folder / name / "t10k-labels-idx1-ubyte.gz").unlink()
        with pytest.raises(FileNotFoundError, match=rf"missing data file .*t10k-labels-idx1-ubyte\.gz; .*{end}$"):
            data.load(name)


@pytest.mark.parametrize("keep", [0, 5, 1000, None], ids=["empty", "header", "part", "changed"])
def test_a_damaged_file_is_named_with_its_md5(folder, monkeypatch, keep):
    add_set(monkeypatch, folder)
    path, md5 = folder / "own" / "train-labels-idx1-ubyte.gz", data.SETS["own"]["train-labels-idx1-ubyte"]
    data.load("own")
    content = path.read_bytes()
    path.write_bytes(content[:keep] if keep is not None else gzip.compress(gzip.decompress(content)[:-1] + b"\x63"))
    found = r" MD5 is [0-9a-f]{32}; " if keep is None else ".*"
    with pytest.raises(ValueError, match=rf"damaged data file .*train-labels.*{found}expected.*{md5}"):
        data.load("own")


def idx(array: np.ndarray) -> bytes:
    """An array of bytes as an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def own_arrays() -> dict[str, np.ndarray]:
    """A small data set, as numbers of 64 bits."""
    random = np.random.default_rng(0)
    return {
        "train_images": random.integers(256, size=(5_010, 28, 28)),
        "train_labels": random.integers(10, size=5_010),
        "test_images": random.integers(256, size=(20, 28, 28)),
        "test_labels": random.integers(10, size=20),
    }


def add_set(monkeypatch, folder, **changed: bytes) -> None:
    """Such a set `own` in `folder`, its files in the order of their names, some of them changed."""
    contents = {part: idx(array.astype(np.uint8)) for part, array in own_arrays().items()} | changed
    (folder / "own").mkdir()
    for part, content in contents.items():
        (folder / "own" / f"{data.FILES[part]}.gz").write_bytes(gzip.compress(content, 1))
    md5s = {data.FILES[part]: data.hashlib.md5(content).hexdigest() for part, content in contents.items()}
    monkeypatch.setitem(data.SETS, "own", dict(sorted(md5s.items())))


def test_arrays_become_a_data_set(folder):
    arrays = own_arrays()
    data.add("own-2", **arrays)
    found = data.load("own-2")
    for part, array in arrays.items():
        np.testing.assert_array_equal(vars(found)[part], array)
        np.testing.assert_array_equal(data.read_idx(folder / "own-2" / f"{data.FILES[part]}.gz"), array)
        plain = folder / part
        plain.write_bytes(idx(array.astype(np.uint8)))
        np.testing.assert_array_equal(data.read_idx(plain), array)
    pixels = arrays["train_images"] / 255
    assert data.brightness("own-2") == (round(pixels.mean(), 4), round(pixels.std(), 4))
    assert data.known_set("own-2") == "own-2"
    with pytest.raises(ValueError, match="unknown data set 'own'; choose from mnist, fashion-mnist, own-2"):
        data.load("own")
    for content in ("{", "[1]", "null"):
        (folder / "own-2" / data.OWN).write_text(content)
        with pytest.raises(ValueError, match=r"damaged file .*md5\.json"):
            data.load("own-2")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "mnist"}, "not one of mnist, fashion-mnist; not 'mnist'"),
        *(({"name": name}, f"; not {re.escape(repr(name))}$") for name in ("../own", "MNIST", "-x", "x" * 61, 5)),
        ({"train_images": np.zeros((5_010, 28, 28))}, "train_images .* integers .* not float64"),
        ({"test_images": np.full((20, 28, 28), 256)}, "test_images .* 0 to 255"),
        ({"train_images": np.ones((5_010, 28, 28), bool).astype(int)}, "train_images .* 255, .* from 0 to 1$"),
        ({"test_labels": np.full(20, -1)}, "test_labels .* 0 to 255"),
        ({"test_labels": np.full(20, 10)}, "0 to 9, not 10"),
    ],
)
def test_arrays_that_are_not_a_data_set_are_refused_and_nothing_is_written(folder, changed, message):
    with pytest.raises(ValueError, match=message):
        data.add(**({"name": "own"} | own_arrays() | changed))
    assert {path.name for path in folder.iterdir()} == {"mnist", "fashion-mnist"}


def test_more_images_than_a_set_has_are_refused_before_anything_is_written(folder, monkeypatch):
    add_set(monkeypatch, folder)
    recipe = Recipe(model="fc@own", dataset="own", outputs=folder / "outputs")
    with pytest.raises(ValueError, match=r"^train_images=55000: own has 10 of them; choose train_images up to that$"):
        train(recipe)
    networks.save_weights(networks.build("fc"), recipe.weights, {"recipe": recipe.recorded})
    with pytest.raises(ValueError, match=r"^images=10000: own has 20 of them; choose images up to that$"):
        sweep(Plan(model="fc@own", dataset="own", outputs=folder / "outputs"))
    assert [path.name for path in (folder / "outputs").iterdir()] == ["weights"]


def zeros(*shape: int) -> bytes:
    return idx(np.zeros(shape, np.uint8))


FLOATS = b"\0\0\x0d\1" + zeros(20)[4:]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_labels": zeros(19)}, r"t10k-images.*gz holds 20 images, but the file with their labels \(19,\)$"),
        ({"train_labels": zeros(20)}, r"train-images.*gz holds 5,010 images, but the file with their labels \(20,\)$"),
        ({"test_labels": zeros(20, 1)}, r"t10k-images.*labels \(20, 1\)$"),
        ({"test_images": zeros(20, 32, 32)}, r"t10k-images.* 0 images of 28 x 28, not \(20, 32, 32\)$"),
        ({"test_images": zeros(20, 28, 28, 3)}, r"t10k-images.* images of 28 x 28, not \(20, 28, 28, 3\)$"),
        ({"test_images": zeros(0, 28, 28), "test_labels": zeros(0)}, r"t10k-images.* more than 0 images"),
        ({"train_images": zeros(20, 28, 28), "train_labels": zeros(20)}, r"train-images.* more than 5,000 images"),
        ({"test_images": zeros(20), "test_labels": zeros(20, 28, 28)}, r"t10k-images.* 28 x 28, not \(20,\)$"),
        ({"test_labels": idx(np.full(20, 10, np.uint8))}, r"the labels of .*t10k-images.* must be 0 to 9, not 10$"),
        *(
            ({"test_labels": content}, r"t10k-labels.* is not an IDX file of unsigned bytes$")
            for content in (b"", b"label\n3\n5\n", *(zeros(20)[:end] for end in (-1, 6)), zeros(20) + b"x", FLOATS)
        ),
    ],
)
def test_images_and_labels_that_do_not_fit_are_named(folder, monkeypatch, changed, message):
    add_set(monkeypatch, folder, **changed)
    with pytest.raises(ValueError, match=message):
        data.load("own")


def test_a_set_of_other_files_lists_those_it_needs(folder, monkeypatch):
    add_set(monkeypatch, folder)
    assert [len(array) for array in vars(data.load("own")).values()] == [5_010, 5_010, 20, 20], "by their names"
    needed, md5s = r"'own' must have the files train-images-idx3-ubyte, .*, not ", data.SETS["own"]
    for wrong in ({}, dict([*md5s.items()][:3]), md5s | {"t10k-images.idx3-ubyte": "0"}):
        monkeypatch.setitem(data.SETS, "own", wrong)
        with pytest.raises(ValueError, match=needed + ", ".join(wrong)):
            data.load("own")
