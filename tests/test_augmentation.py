import numpy as np
import pytest
import torch
from torch.nn import functional

from lib import networks
from lib.evaluation.results import interval
from lib.experiments import augmentation
from lib.experiments.augmentation import CLEAN, Augmented
from lib.paper import PAPER_NOISES
from lib.store import data
from lib.store.files import OUTPUTS, provenance, write_arrays
from lib.store.progress import progress_bar
from lib.training.recipe import Recipe


@pytest.fixture
def double_precision():
    """In which rounding hides no difference."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_it_trains_what_the_upscaled_network_would_be(double_precision):
    """Against the network itself, whose first layer reads each pixel four times: after three batches they agree."""
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


def test_the_noise_reaches_the_training_and_torchs_generator_is_left_alone():
    before = torch.get_rng_state()
    recipe = augmentation.trainings(OUTPUTS, train_images=128)[1].recipe
    bar = progress_bar(256, "training", "image")
    noisy, again = (augmentation.train(recipe, bar) for _ in range(2))
    clean = augmentation.train(recipe | {"noise": CLEAN}, bar)
    weights = [net[2].weight for net in (noisy, again, clean)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_recorded_is_not_trained_again(tmp_path, monkeypatch):
    asked = augmentation.trainings(tmp_path, train_images=64, images=20)
    assert augmentation.complete(asked[:2])["computed"] == 2
    before = [part.path.read_bytes() for part in asked[:2]]
    assert all(part.right().shape == (4, 5, 20) for part in asked[:2])
    monkeypatch.setattr(augmentation, "train", None)
    assert augmentation.complete(asked[:2]) == {"computed": 0, "reused": 2, "checked": 0}
    for other in (augmentation.trainings(tmp_path, 65, 20), augmentation.trainings(tmp_path, 64, 21)):
        assert not {part.path for part in other} & {part.path for part in asked}
    with pytest.raises(TypeError):
        augmentation.complete(asked[:2], recompute=True)
    assert [part.path.read_bytes() for part in asked[:2]] == before


def pretended(outputs, wrong: dict[str, int]) -> list[Augmented]:
    """Trainings that did not happen: from 10 attacks on so many of the 100 images are wrong, under every noise."""
    asked = augmentation.trainings(outputs, images=100)
    labels = data.load().test_labels[:100]
    for part in asked:
        predicted = np.tile(labels, (4, 5, 1))
        predicted[:, 1:, : wrong[part.recipe["noise"]]] += 1
        write_arrays(part.path, {"recipe": part.recipe, **provenance()}, {"predicted": predicted})
    return asked


def test_gains_are_paired_and_judged_by_their_intervals(tmp_path):
    wrong = {CLEAN: 50} | dict(zip(PAPER_NOISES, (50, 20, 80, 49), strict=True))
    table = augmentation.compared(pretended(tmp_path, wrong), 100).set_index(["trained", "noise"])
    assert len(table) == 25
    assert (table.xs(CLEAN, level="noise")["accuracy"] == 100).all()
    told = dict(zip(PAPER_NOISES, ("undecided", "higher", "lower", "undecided"), strict=True))
    for noise, found in told.items():
        for row in (table.loc[noise, tested] for tested in PAPER_NOISES):
            right = np.arange(100) >= wrong[noise]
            assert row["accuracy"] == 100 - wrong[noise] and (row["low"], row["high"]) == interval(right[None])
            assert row["gain"] == pytest.approx(50 - wrong[noise]) and row["verdict"] == found
            assert row["gain_low"] <= row["gain"] <= row["gain_high"]
    same = table.loc[PAPER_NOISES[0]]  # wrong for the very images of the training without noise: no doubt is left
    assert (same[["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    assert (table.loc[CLEAN]["verdict"] == "").all()


def test_levels_that_were_not_tested_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"no 30 attacks were tested; choose from \[10, 40, 100, 200\]"):
        augmentation.compared(augmentation.trainings(tmp_path), 30)


@pytest.mark.evidence
def test_a_recorded_training_comes_out_again():
    """Without noise, whose answers other processors' rounding hardly moves."""
    asked = augmentation.trainings(OUTPUTS)[0]
    net = augmentation.train(asked.recipe, progress_bar(asked.size, "training", "image"))
    labels = data.load().test_labels[: asked.recipe["images"]]
    found = augmentation.answers(net, asked.recipe) == labels  # (noises, levels, images)
    recorded = asked.right()
    assert abs(found[0, 0].mean() - recorded[0, 0].mean()) < 0.005
    assert np.abs(found.mean(axis=-1) - recorded.mean(axis=-1)).max() < 0.03
