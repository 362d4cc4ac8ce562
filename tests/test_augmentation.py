import numpy as np
import pytest
import torch
from torch.nn import functional

from lib import networks
from lib.evaluation.results import interval
from lib.experiments import augmentation
from lib.experiments.augmentation import CLEAN
from lib.paper import PAPER_NOISES
from lib.store import data
from lib.store.files import OUTPUTS, provenance, write_arrays
from lib.store.progress import progress_bar
from lib.training.recipe import Recipe


@pytest.fixture
def double_precision():
    """So that rounding hides no difference."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_training_without_upscaling_gives_the_same_function(double_precision):
    """Compared with the network on upscaled images, after three batches."""
    recipe = {"model": "fc", "seed": 3, "noise": CLEAN, "train_images": 192}
    quick = augmentation.train(recipe, progress_bar(192, "training", "image"))
    digits, rule = data.load(), Recipe(model="fc")
    pixels, labels = (torch.from_numpy(values[:192].copy()) for values in (digits.train_images, digits.train_labels))
    net = networks.build("fc", 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=rule.learning_rate, momentum=rule.momentum)
    torch.manual_seed(3)
    for batch in torch.randperm(192).split(rule.batch_size):
        loss = functional.cross_entropy(net(pixels[batch][:, None] / 255), labels[batch].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images = torch.from_numpy(digits.test_images[:100].copy())[:, None] / 255
    with torch.no_grad():
        torch.testing.assert_close(quick(images), net(images), rtol=0, atol=1e-9)
        assert not torch.allclose(quick(images), networks.build("fc", 3)(images), rtol=0, atol=0.1)


def test_the_noise_reaches_the_training_and_torchs_generator_is_restored():
    before = torch.get_rng_state()
    recipe = augmentation.trainings(OUTPUTS, train_images=128)[1].recipe
    bar = progress_bar(256, "training", "image")
    noisy, again = (augmentation.train(recipe, bar) for _ in range(2))
    clean = augmentation.train(recipe | {"noise": CLEAN}, bar)
    weights = [net[2].weight for net in (noisy, again, clean)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_recorded_trainings_are_reused(tmp_path, monkeypatch):
    wanted = augmentation.trainings(tmp_path, train_images=64, images=20)
    assert augmentation.complete(wanted[:2])["computed"] == 2
    before = [part.path.read_bytes() for part in wanted[:2]]
    assert all(part.right().shape == (4, 5, 20) for part in wanted[:2])
    monkeypatch.setattr(augmentation, "train", None)
    assert augmentation.complete(wanted[:2]) == {"computed": 0, "reused": 2, "checked": 0}
    for other in (augmentation.trainings(tmp_path, 65, 20), augmentation.trainings(tmp_path, 64, 21)):
        assert not {part.path for part in other} & {part.path for part in wanted}
    with pytest.raises(TypeError):
        augmentation.complete(wanted[:2], recompute=True)
    assert [part.path.read_bytes() for part in wanted[:2]] == before


def test_gains_are_paired_and_decided_by_their_intervals(tmp_path):
    """Made-up trainings: from 10 attacks on, so many of the first 100 images are wrong under every noise."""
    wrong = {CLEAN: 50} | dict(zip(PAPER_NOISES, (50, 20, 80, 49), strict=True))
    tested, labels = augmentation.trainings(tmp_path, images=100), data.load().test_labels[:100]
    for part in tested:
        predicted = np.tile(labels, (4, 5, 1))
        predicted[:, 1:, : wrong[part.recipe["noise"]]] += 1
        write_arrays(part.path, {"recipe": part.recipe, **provenance()}, {"predicted": predicted})
    table = augmentation.compared(tested, 100).set_index(["trained", "noise"])
    assert len(table) == 25
    assert (table.xs(CLEAN, level="noise")["accuracy"] == 100).all()
    verdicts = dict(zip(PAPER_NOISES, ("undecided", "higher", "lower", "undecided"), strict=True))
    for noise, expected in verdicts.items():
        for row in (table.loc[noise, tested] for tested in PAPER_NOISES):
            right = np.arange(100) >= wrong[noise]
            assert row["accuracy"] == 100 - wrong[noise] and (row["low"], row["high"]) == interval(right[None])
            assert row["gain"] == pytest.approx(50 - wrong[noise]) and row["verdict"] == expected
            assert row["gain_low"] <= row["gain"] <= row["gain_high"]
    same = table.loc[PAPER_NOISES[0]]  # the same images are wrong as without noise in training
    assert (same[["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    assert (table.loc[CLEAN]["verdict"] == "").all()
    with pytest.raises(ValueError, match=r"30 attacks .*choose from \[10, 40, 100, 200\]"):
        augmentation.compared(tested, 30)


@pytest.mark.evidence
def test_a_recorded_training_can_be_repeated():
    """The one without noise, whose predictions hardly depend on the processor's rounding."""
    part = augmentation.trainings(OUTPUTS)[0]
    net = augmentation.train(part.recipe, progress_bar(part.size, "training", "image"))
    labels = data.load().test_labels[: part.recipe["images"]]
    found = augmentation.predictions(net, part.recipe) == labels  # (noises, levels, images)
    recorded = part.right()
    assert abs(found[0, 0].mean() - recorded[0, 0].mean()) < 0.005
    assert np.abs(found.mean(axis=-1) - recorded.mean(axis=-1)).max() < 0.03
