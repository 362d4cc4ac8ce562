import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lib import networks
from lib.adversarial import attacks, runs, searches
from lib.adversarial.attacks import ATTACKS, Found, perturbation_sizes
from lib.adversarial.runs import AttackPlan
from lib.adversarial.searches import search
from lib.store import data
from lib.store.files import file_hash, read_arrays
from lib.training.fit import record_weights

MODEL = "tiny:conv_net@quick"
STEPS = {"deepfool": 20, "basic_iterative": 10, "boundary": 6_000, "pointwise": 50, "salt_and_pepper": 50}
STEPS["gaussian_noise"] = 5
QUICK = {name: min(steps, 15) for name, steps in STEPS.items()}


class Halves(nn.Module):
    """Two of ten classes: 1 where the 392 lower pixels together are brighter than the upper by more than `margin`."""

    def __init__(self, margin: float = 0.0):
        super().__init__()
        self.margin = margin

    def forward(self, images):
        difference = images[:, 0, 14:].sum(dim=(1, 2)) - images[:, 0, :14].sum(dim=(1, 2)) - self.margin
        return torch.stack([torch.zeros_like(difference), difference, *[-1e3 + 0 * difference] * 8], dim=1)


def grey(*excess):
    """Images of brightness 128 whose upper half is brighter by `excess` in every second pixel."""
    images = np.full((len(excess), 28, 28), 128, np.uint8)
    for image, more in zip(images, excess, strict=True):
        image[:14, ::2] += np.uint8(more)
    return images


# Times the smallest L2 at which an attack may end; the controls do not search for it.
CLOSE = {"deepfool": 1.03, "basic_iterative": 1.2, "boundary": 1.5}


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_fools_a_linear_classifier_whose_smallest_distance_is_known(attack):
    """The boundary is a plane whose normal has 784 entries +-1: the distance is the sum to make up, over 28."""
    images = grey(8, 12, 20)
    smallest = 196 * np.array([8, 12, 20]) / 255 / 28
    found = search(Halves().eval(), attack, images, np.zeros(3, int), steps=STEPS[attack], seed=0)
    assert found.fooled.all() and found.started.all() and (found.predicted == 1).all()
    assert (found.l2 >= smallest - 1e-4).all(), "nothing can be nearer"
    assert (found.l2 <= smallest * CLOSE.get(attack, np.inf)).all()


def test_pointwise_changes_only_pixels_it_needs_and_measures_what_it_keeps():
    """With any changed pixel put back, the image is classified correctly again; distances follow from the file."""
    images, net = grey(20, 30), Halves().eval()
    found = search(net, "pointwise", images, np.zeros(2, int), steps=50, seed=0)
    for image, adversarial, l0, l2, linf in zip(images, found.adversarial, found.l0, found.l2, found.linf, strict=True):
        change = adversarial / 65_535 - image / 255
        assert l0 == (np.abs(change) > 1e-9).sum() < 784
        assert l2 == pytest.approx(np.sqrt((change**2).sum()), rel=1e-5)
        assert linf == pytest.approx(np.abs(change).max(), rel=1e-5)
        original = 257 * image.astype(np.uint16)
        places = np.argwhere(adversarial != original)
        back = np.repeat(adversarial[None], len(places), axis=0)
        back[np.arange(len(places)), *places.T] = original[*places.T]
        assert len(places) and (searches.probabilities(net, back).argmax(axis=1) == 0).all()


def test_an_image_that_is_misclassified_already_is_fooled_at_distance_0():
    found = search(Halves().eval(), "deepfool", grey(20, 20), np.array([0, 1]), steps=20, seed=0)
    assert found.fooled.all() and found.l2[0] > 0
    assert found.l0[1] == found.l2[1] == found.linf[1] == 0 and found.predicted[1] == 0


@pytest.mark.parametrize(("attack", "unstarted"), [("pointwise", True), ("boundary", True), ("gaussian_noise", False)])
def test_an_image_without_a_start_is_robust_and_does_not_stop_the_others(attack, unstarted):
    """No noise reaches a margin of 60 from the first image; noise takes the second one below it."""
    images, labels = np.zeros((2, 28, 28), np.uint8), np.array([0, 1])
    images[1, 14:] = 42  # 392 * 42 / 255 = 64.6
    found = search(Halves(60.0).eval(), attack, images, labels, steps=100, seed=0)
    assert not found.fooled[0] and found.l0[0] == found.l2[0] == 0
    np.testing.assert_array_equal(found.adversarial[0], 257 * images[0].astype(np.uint16))
    assert found.started.tolist() == [not unstarted, True]
    assert found.fooled[1] and found.l2[1] > 0


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_block_gives_the_same_again_and_restores_the_generators(trained, attack):
    net = networks.load(MODEL, outputs=trained)
    before = [(value.requires_grad, value.stride(), value.data_ptr()) for value in net.parameters()]
    images, labels = data.load().test_images[:6], data.load().test_labels[:6]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    one = search(net, attack, images, labels, steps=QUICK[attack], seed=3)
    assert torch.initial_seed() == 1 and np.random.rand() == np.random.RandomState(1).rand()  # noqa: NPY002
    two = search(net, attack, images, labels, steps=QUICK[attack], seed=3)
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(two, name), err_msg=name)
    other = search(net, attack, images, labels, steps=QUICK[attack], seed=4)
    assert before == [(value.requires_grad, value.stride(), value.data_ptr()) for value in net.parameters()]
    draws = attack not in ("deepfool", "basic_iterative")
    assert (other.adversarial != one.adversarial).any() == draws
    if not draws:  # then an image does not depend on its block
        alone = [search(net, attack, images[[i]], labels[[i]], steps=QUICK[attack], seed=0).l2[0] for i in range(6)]
        np.testing.assert_allclose(one.l2, alone, rtol=1e-3)


def test_rounding_goes_away_from_the_original_and_adds_no_pixels():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    found = (images / np.float32(255)) + np.float32(1e-8)  # float32's own rounding is no change
    found[:, :5] = random.random((3, 5, 28), np.float32)
    stored = searches._as_stored(found, images)
    l0, l2, _ = perturbation_sizes(stored, images)
    assert (l0 <= 140).all()
    change = np.sqrt(((found[:, :5] - images[:, :5] / 255) ** 2).sum(axis=(1, 2)))
    assert (l2 >= change - 1e-6).all() and (l2 <= change + 28 / 65_535).all()


def small(outputs, **change):
    asked = {"model": MODEL, "images": 6, "fewer": {"boundary": 3}, "steps": QUICK, "outputs": outputs}
    return AttackPlan(**asked | change)


def test_a_run_records_what_was_found_and_its_provenance(outputs, monkeypatch):
    monkeypatch.setattr(runs, "IMAGES_TOGETHER", 4)
    assert runs.run(small(outputs)) == {"computed": 11, "reused": 0, "checked": 0}
    block = small(outputs).blocks("pointwise")[1]
    record, found = read_arrays(block.path)[0], block.read()
    assert record["recipe"] == {"attack": "pointwise", "steps": 15, "seed": 0, "first": 4, "images": 2}
    assert record["weights"] == file_hash(networks.weights_path(MODEL, 0, outputs)) and record["foolbox"] == "3.3.4"
    again = block.search(networks.load(MODEL, outputs=outputs), data.load())
    np.testing.assert_array_equal(found.adversarial, again.adversarial)
    before = {path: path.read_bytes() for path in (outputs / "attacks").rglob("*.npz")}
    assert runs.run(small(outputs)) == {"computed": 0, "reused": 11, "checked": 33}
    small(outputs).blocks("deepfool")[0].path.unlink()
    assert runs.run(small(outputs)) == {"computed": 1, "reused": 10, "checked": 29}
    assert {path for path in (outputs / "attacks").rglob("*.npz")} == before.keys()
    one = small(outputs, seed=1, attacks=["deepfool"])
    assert runs.run(one)["computed"] == 2, "a seed has its own files"
    path = networks.weights_path(MODEL, 0, outputs)
    record_weights(networks.build(MODEL, 7), path, networks.read_record(path))
    with pytest.raises(FileNotFoundError, match=r"no .*deepfool.*make attacks MODEL=tiny:conv_net@quick"):
        list(runs.findings(one))
    assert runs.run(one)["computed"] == 2, "other weights"


@pytest.mark.parametrize("change", ["l2", "l0", "linf", "predicted", "fooled"])
def test_a_record_that_does_not_follow_from_the_weights_is_an_error(outputs, change):
    one = small(outputs, attacks=["deepfool"])
    runs.run(one)
    block = one.blocks()[0]
    record, found = read_arrays(block.path)[0], block.read()
    wrong = {"fooled": ~found.fooled, "predicted": (found.predicted + 5) % 10}.get(change, getattr(found, change) + 1)
    runs.write_arrays(block.path, record, vars(found) | {change: wrong})
    with pytest.raises(ValueError, match=r"predictions in .*deepfool.*recompute=True"):
        runs.run(one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnt50"}, "unknown model 'resnt50'; choose from fc"),
        ({"attacks": ["deepfol"]}, "unknown attack 'deepfol'; choose from deepfool, basic_iterative, boundary"),
        ({"attacks": []}, "at least 1 item"),
        ({"steps": {"deepfool": 0}}, "the count for 'deepfool' must be 1 or more, not 0"),
        ({"fewer": {"noise": 5}}, "unknown attack 'noise'; choose from"),
        ({"step": {}}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path, change, message):
    with pytest.raises(ValidationError, match=message):
        small(tmp_path, **change)


def test_a_new_attack_joins_by_its_entry_alone(outputs, monkeypatch):
    monkeypatch.setitem(ATTACKS, "black", attacks.Attack("Black", 1, "tiny:black"))
    assert runs.run(small(outputs, attacks=["black"]))["computed"] == 1
    (_, found), *_ = runs.findings(small(outputs, attacks=["black"]))
    assert isinstance(found, Found) and found.fooled.any()
