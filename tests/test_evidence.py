"""Recorded results stand up to the checks, and a forgery of each kind does not."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pictures
import pytest
from PIL import Image

from lib.experiments import audit
from lib.experiments.checks import CHECKS
from lib.experiments.declaration import Experiment
from lib.experiments.run import run
from lib.store import data
from lib.store.files import OUTPUTS, ROOT, read_arrays, write_arrays

COPIED = [  # a few trainings, with and without weights: FC with its bundle, attacks and dropout, and another one swept
    *("weights/fc-seed0.*", "weights/fc-seed1.json", "predictions/fc-seed1/*", "readings/matrix/fc-seed0.npz"),
    *(f"predictions/fc-seed0/*{end}.npz" for end in ("7078ccd9", "96644138", "6f612246", "6e2c3843", "5f24e106")),
    *("attacks/fc-seed0/deepfool-0000-*", "confidence/fc-seed0-*", "augmentation/*"),
]
RANDOM = np.random.default_rng(0)
Arrays = dict[str, np.ndarray]


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_recorded_stands_up_to_the_check(check):
    assert list(CHECKS[check](OUTPUTS)) == []


@pytest.mark.evidence
@pytest.mark.parametrize("check", [audit.beginnings, audit.from_weights])
def test_what_is_recorded_follows_from_seeds_and_weights(check):
    assert list(check(OUTPUTS)) == []


@pytest.mark.evidence
def test_the_cheapest_trainings_that_the_commit_draws_are_made_again():
    found = audit.audit(16, cheapest=1)
    assert found["fits"].all(), found.to_string()


def test_the_commit_decides_which_trainings_are_made_again():
    names = [f"fc-seed{seed}" for seed in range(9)]
    assert audit.drawn(names, "one") == audit.drawn(names[::-1], "one") != audit.drawn(names, "other")
    assert sorted(audit.drawn(names, "one")) == names


def test_the_page_says_what_was_made_again_and_where_trainings_come_from():
    assert audit.PAGE.read_text().endswith(f"{audit.HEADING}{audit.page()}\n")


STUDY = Experiment.model_validate(
    {"name": "mine", "networks": ["fc98@quick"], "recipes": {"quick": {"train_images": 512, "max_epochs": 1}}}
    | {"seeds": [0, 1], "images": 100, "levels": [0, 10, 40, 100, 200]}
)


def far_better(record: dict, arrays: Arrays) -> None:
    arrays["predicted"][:] = data.load().test_labels[:100]


def a_class(record: dict, arrays: Arrays) -> None:
    other(arrays["predicted"], at_random((1, 100), 1))


def the_machine_and_the_first_loss(record: dict, arrays: Arrays) -> None:
    record.update(processor="another", losses=[1.0, *record["losses"][1:]])


RECORD, RIGHT, WRONG = "weights/*0.json", (True, True), (False, False)
AUDITED = {  # what is forged -> the file, how, and what the audit finds: the same bits, and whether it fits
    "nothing": (RECORD, lambda record, arrays: None, RIGHT),
    "a class": ("predictions/*0/none*", a_class, WRONG),
    "a loss": (RECORD, lambda record, arrays: record["losses"].__setitem__(3, 1.0), WRONG),
    "the weights": (RECORD, lambda record, arrays: record.update(tensors="0123456789abcdef"), WRONG),
    "the machine": (RECORD, lambda record, arrays: record.update(processor="another"), RIGHT),
    "the machine and the first loss": (RECORD, the_machine_and_the_first_loss, WRONG),
    "the machine and the curve": ("predictions/*0/[!.]*", far_better, WRONG),
}


@pytest.mark.slow
def test_a_training_made_again_is_compared_bit_by_bit_or_by_its_area(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "_far", lambda *_: 5.0)  # points; two tiny trainings do not say how much they vary
    outputs = tmp_path / "made"
    assert run(STUDY, outputs=outputs) == 2
    made, evaluator = audit.again(STUDY.training("fc98@quick", 0, outputs))
    for name, (pattern, change, expected) in AUDITED.items():
        shutil.copytree(outputs, tmp_path / name)
        for path in (tmp_path / name).glob(pattern):
            forge(path, change)
        if "curve" in name:
            forge(next((tmp_path / name).glob("weights/*0.json")), AUDITED["the machine"][1])
        found = audit.compared(STUDY, STUDY.training("fc98@quick", 0, tmp_path / name), made, evaluator)
        assert (found["bits"], found["fits"]) == expected, (name, found)


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """A few recorded files in a folder of their own, with their listing."""
    outputs = tmp_path_factory.mktemp("few") / "outputs"
    for pattern in COPIED:
        found = sorted(OUTPUTS.glob(pattern))
        assert found, pattern
        for path in found:
            (outputs / path.relative_to(OUTPUTS)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, outputs / path.relative_to(OUTPUTS))
    shutil.copy(OUTPUTS / "SHA256SUMS", outputs)
    for name, check in CHECKS.items():
        assert list(check(outputs)) == [], name
    return outputs


def forge(path: Path, change: Callable[[dict, Arrays], object]) -> None:
    """Change the record or the arrays of a recorded file in place."""
    if path.suffix == ".json":
        record = json.loads(path.read_text())
        change(record, {})
        path.write_text(json.dumps(record))
    else:
        record, arrays = read_arrays(path)
        change(record, arrays)
        write_arrays(path, record, arrays)


def other(array: np.ndarray, chosen: np.ndarray) -> None:
    """The chosen classes become the next ones."""
    array[chosen] = (array[chosen] + 1) % 10


def at_random(shape: tuple[int, ...], number: int = 200) -> np.ndarray:
    """That many cells, as a mask."""
    return RANDOM.permutation(np.arange(np.prod(shape)) < number).reshape(shape)


def sets(**values) -> Callable[[dict, Arrays], None]:
    return lambda record, arrays: record.update(values)


def classes(record: dict, arrays: Arrays) -> None:
    other(arrays["predicted"], at_random(arrays["predicted"].shape))


def wrong_to_wrong(record: dict, arrays: Arrays) -> None:
    for share in (1, 0.5):
        other(arrays["predicted"], (arrays["probability"] < 0.01) & (RANDOM.random(arrays["predicted"].shape) < share))


def more_accurate(record: dict, arrays: Arrays) -> None:
    """Half of all images are right at every level, with a probability to match; the class is that without noise."""
    _, clean = read_arrays(next(OUTPUTS.glob("predictions/fc-seed1/none-*.npz")))
    for name in ("predicted", "probability"):
        arrays[name][:, ::2] = clean[name][:, ::2]


def in_bundle(record: dict, arrays: Arrays) -> None:
    for array in arrays.values():
        other(array, at_random(array.shape, 20))


def epoch(**values) -> Callable[[dict, Arrays], None]:
    return lambda record, arrays: record["epochs"][-1].update(values)


def scaled(name: str, by: float) -> Callable[[dict, Arrays], None]:
    """An array, or a list of the record, times a number."""

    def change(record: dict, arrays: Arrays) -> None:
        if name in arrays:
            arrays[name] = (arrays[name] * by).astype(arrays[name].dtype)
        else:
            record[name] = [by * value for value in record[name]]

    return change


def altered_in_bundle(record: dict, arrays: Arrays) -> None:
    part = next(part for part in record["records"].values() if "c" in part["recipe"])
    part["altered"] = [value + 1 for value in part["altered"]]


def clean_class(record: dict, arrays: Arrays) -> None:
    other(arrays["predicted"][1, 0], at_random((2000,), 1))


def noisy_classes(record: dict, arrays: Arrays) -> None:
    other(arrays["predicted"][:, 1:], at_random((4, 4, 2000)))


def doubtless(record: dict, arrays: Arrays) -> None:
    arrays["predicted"][-1] = arrays["predicted"][0]


FC, SWEPT, ONE = "predictions/fc-seed0", "predictions/fc-seed1", "weights/fc-seed1.json"
FORGERIES = {  # what is forged -> where, how, and the check that finds it
    "classes, weights kept": (f"{FC}/white*", classes, "probabilities"),
    "classes": (f"{SWEPT}/random*", classes, "probabilities"),
    "classes without noise": (f"{SWEPT}/none*", classes, "probabilities"),
    "wrong classes for others, weights kept": (f"{FC}/black*", wrong_to_wrong, "same_images"),
    "wrong classes for others": (f"{SWEPT}/*draw0*", wrong_to_wrong, "same_images"),
    "probabilities": (f"{SWEPT}/white*5f24e106*", scaled("probability", 0.95), "same_images"),
    "pixels attacked": (f"{SWEPT}/edge*", scaled("attacked", 0.9), "pixels"),
    "pixels altered": (f"{SWEPT}/random*", scaled("altered", 0.9), "pixels"),
    "pixels of a bundle": ("readings/matrix/*", altered_in_bundle, "pixels"),
    "classes of a bundle": ("readings/matrix/*", in_bundle, "same_images"),
    "weights of a file": (f"{SWEPT}/white*", sets(weights="0123456789abcdef"), "names"),
    "seed of a file": (f"{SWEPT}/white*", sets(train_seed=2), "names"),
    "weights of a record": (ONE, sets(weights="0123456789abcdef"), "names"),
    "losses": (ONE, scaled("losses", 0.9), "records"),
    "validation accuracy": (ONE, epoch(accuracy=99.3), "records"),
    "both accuracies": (ONE, lambda r, a: (epoch(accuracy=91.0)(r, a), r.update(stored_accuracy=91.0)), "records"),
    "learning rate": (ONE, epoch(learning_rate=0.01), "records"),
    "threads, weights kept": ("weights/fc-seed0.json", sets(threads=1), "records"),
    "distances": ("attacks/*/*", scaled("l2", 0.9), "attacks"),
    "adversarial images": ("attacks/*/*", scaled("adversarial", 0.99), "attacks"),
    "predictions under attack": ("attacks/*/*", classes, "attacks"),
    "entropy": ("confidence/*", scaled("entropy", 0.5), "dropout"),
    "information": ("confidence/*", scaled("information", 3), "dropout"),
    "doubt": ("confidence/*", scaled("softmax", 0.9), "same_images"),
    "classes beside dropout": ("confidence/*", doubtless, "same_images"),
    "clean class after augmentation": ("augmentation/black*", clean_class, "augmented"),
    "device": (ONE, sets(device="cpu", torch="2.14.1"), "history"),
    "device, weights kept": ("weights/fc-seed0.json", sets(device="NVIDIA H200"), "history"),
    "threads": (ONE, sets(threads=2), "history"),
    "accuracy, probabilities to match": (f"{SWEPT}/black*96644138*", more_accurate, "history"),
    "a few probabilities": (f"{SWEPT}/random*", scaled("probability", 0.999), "history"),
    "wrong classes for others in one file": (f"{SWEPT}/edge*6f612246*", wrong_to_wrong, "history"),
    "classes after augmentation": ("augmentation/edge*", noisy_classes, "history"),
    "spread of dropout": ("confidence/*", scaled("spread", 0.9), "history"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_found(few, tmp_path, forgery):
    """Even where the listing of hashes is made anew."""
    outputs = tmp_path / "outputs"
    shutil.copytree(few, outputs)
    pattern, change, check = FORGERIES[forgery]
    listed = (outputs / "SHA256SUMS").read_text()
    found = sorted(outputs.glob(pattern))
    assert found
    for path in found:
        forge(path, change)
        name = str(path.relative_to(tmp_path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        listed = re.sub(rf"^\w+(?=  {re.escape(name)}$)", digest, listed, flags=re.M)
        assert digest in listed
    (outputs / "SHA256SUMS").write_text(listed)
    problems = list(CHECKS[check](outputs))
    assert any(word in problem for problem in problems for word in (found[0].stem, found[0].parent.name)), problems


def test_what_is_far_does_not_depend_on_the_training_that_is_audited(monkeypatch):
    experiment, recipe = audit.trainings()["resnet18-seed1"]
    real, far = audit.accuracies, audit._far(experiment, recipe)

    def none_correct(*wanted):
        table = real(*wanted)
        return table.assign(correct=table["correct"].mask((table["model"] == "resnet18") & (table["seed"] == 1), 0))

    monkeypatch.setattr(audit, "accuracies", none_correct)
    assert audit._far(experiment, recipe) == far > 0


FORGED_PICTURES = {
    "a digit": lambda pixels: pixels.__setitem__((slice(20, 32), slice(20, 28), slice(3)), 128),
    "a line": lambda pixels: pixels.__setitem__((slice(200, 202), slice(None), slice(3)), 0),
}


@pytest.mark.parametrize("forgery", FORGED_PICTURES)
@pytest.mark.parametrize("name", ["depth", "architectures"])
def test_a_forged_figure_is_found_and_rounding_is_not(tmp_path, name, forgery):
    path = OUTPUTS / "figures" / f"{name}.png"
    pixels = np.array(Image.open(path).convert("RGBA"))
    forged, rounded = pixels.copy(), np.clip(pixels + RANDOM.integers(-3, 4, pixels.shape), 0, 255).astype(np.uint8)
    FORGED_PICTURES[forgery](forged)
    for content, wrong in ((rounded, False), (forged, True)):
        (tmp_path / "before").mkdir(exist_ok=True)
        (tmp_path / "after").mkdir(exist_ok=True)
        Image.fromarray(content).save(tmp_path / "before" / path.name)
        shutil.copy(path, tmp_path / "after")
        assert bool(pictures.main(tmp_path / "before", tmp_path / "after")) == wrong
        assert (tmp_path / "after" / path.name).read_bytes() == (tmp_path / "before" / path.name).read_bytes()
        shown = [
            [{"data": {"image/png": base64.b64encode(file.read_bytes()).decode()}}]
            for file in (tmp_path / "before" / path.name, path)
        ]
        assert pictures.unlike(*shown) == wrong


@pytest.mark.parametrize(
    ("suffix", "old", "new", "wrong"),
    [
        (".svg", "M 1.2500", "M 1.2501", False),
        (".svg", "L 90.5", "L 97.5", True),
        (".svg", "ours", "0urs", True),
        (".csv", "1.2500", "1.2501", True),
        (".csv", "1.2500", "1.25000001", False),
    ],
)
def test_a_forged_drawing_or_table_is_found_and_rounding_is_not(suffix, old, new, wrong):
    text = "<svg><path d='M 1.2500 2.5 L 90.5 3.0'/><text>ours</text></svg>"
    assert pictures.differ(text.encode(), text.replace(old, new).encode(), suffix) == wrong


def test_the_page_is_made_of_the_executed_notebook(tmp_path):
    shutil.copy(OUTPUTS / "paper.ipynb", tmp_path)
    (tmp_path / "figures").symlink_to(OUTPUTS / "figures")  # for their narrow variants
    own = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([ROOT / "workflow" / "page", tmp_path / "paper.ipynb"], cwd=ROOT, env=own, check=True)
    assert (tmp_path / "paper.html").read_bytes() == (OUTPUTS / "paper.html").read_bytes()
