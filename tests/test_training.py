import hashlib

import numpy as np
import pytest
import torch
from conftest import run_python
from safetensors.torch import load_file

from lib import networks
from lib.store import data
from lib.training import fit
from lib.training.callbacks import Resume, StepDecay
from lib.training.fit import train
from lib.training.recipe import Recipe

# Ends itself like kill -9 after checkpoint number argv[2] (0: never), the checkpoints being written after every batch.
TRAIN = """
import os, sys
from lib.training import callbacks, fit
callbacks.CHECKPOINT_SECONDS = 0
saves, save = 0, callbacks.Resume.save
def save_and_die(self):
    global saves
    save(self)
    saves += 1
    if saves == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
callbacks.Resume.save = save_and_die
fit.train(fit.Recipe(model="tiny:conv_net@short", train_images=640, max_epochs=2, outputs=sys.argv[1]))
"""
SHORT = networks.file_stem("tiny:conv_net@short", 0)


def weights(outputs):
    return load_file(outputs / "weights" / f"{SHORT}.safetensors")


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    """Killed in the first epoch, before its validation, at its end and in the second epoch."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_python(TRAIN, whole, 0)[0] == 0
    for saves in (3, 7, 1, 4):  # 10 batches and the end of the epoch: checkpoints 3, 10, 11 and 15
        assert run_python(TRAIN, broken, saves)[0] == -9
        assert not (broken / "weights").exists()
    assert run_python(TRAIN, broken, 0)[0] == 0
    one, other = weights(whole), weights(broken)
    assert all(torch.equal(one[name], other[name]) for name in one)
    records = [networks.read_record(folder / "weights" / f"{SHORT}.safetensors") for folder in (whole, broken)]
    assert records[0]["losses"] == records[1]["losses"] and len(records[0]["losses"]) == 20
    assert [epoch["accuracy"] for epoch in records[0]["epochs"]] == [
        epoch["accuracy"] for epoch in records[1]["epochs"]
    ]
    assert not list(broken.glob("checkpoints/*.pt")), "a finished training leaves no checkpoint"


@pytest.mark.slow
def test_the_learner_trains_as_a_plain_torch_loop_does(tmp_path):
    """SGD with coupled momentum, rate x 0.1^epoch, each image once an epoch: the rule of section 3.3 by hand."""
    recipe = Recipe(model="fc@plain", train_images=300, max_epochs=3, batch_size=50, outputs=tmp_path)
    record = train(recipe)
    images, labels, _, _ = data.load().split()
    images = torch.from_numpy(images[:300].copy()).unsqueeze(1).float() / 255
    labels = torch.from_numpy(labels[:300].astype(np.int64))
    net = networks.build("fc", 0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    resume = Resume({"epochs": [], "batch": 0}, recipe, tmp_path)
    losses = []
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = 0.01 * 0.1**epoch
        resume.state["epochs"] = [None] * epoch
        order = torch.randperm(300, generator=torch.Generator().manual_seed(resume._stream()))
        assert sorted(order.tolist()) == list(range(300))
        for batch in order.split(50):
            loss = torch.nn.functional.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(record["losses"], losses, atol=2e-3)
    rates = [epoch["learning_rate"] for epoch in record["epochs"]]
    np.testing.assert_allclose(rates, [0.01, 0.001, 0.0001])


def test_step_decay_goes_on_where_a_resumed_run_stands():
    class Optimizer:
        def set_hyper(self, name, value):
            self.rate = value

    callback = StepDecay(0.01, 0.1, epochs_done=2)
    callback.learn = type("Learner", (), {"opt": Optimizer(), "epoch": 1})()
    callback.before_epoch()
    assert callback.learn.opt.rate == pytest.approx(1e-5)


@pytest.mark.slow
def test_training_ends_at_the_target(tmp_path):
    record = train(Recipe(model="tiny:conv_net@low", train_images=640, target=1, max_epochs=3, outputs=tmp_path))
    assert len(record["epochs"]) == 1
    record = train(Recipe(model="tiny:conv_net@high", train_images=640, target=100, max_epochs=3, outputs=tmp_path))
    assert len(record["epochs"]) == 3


def test_the_paper_gives_fully_connected_nets_no_target():
    almost = [{"accuracy": 99.0}]
    assert Recipe(model="resnet18").is_finished(almost)
    assert not Recipe(model="resnet18").is_finished([{"accuracy": 98.98}])
    assert not any(Recipe(model=model).is_finished(almost) for model in (*networks.HIDDEN, *networks.DENSE))
    assert Recipe(model="fc").is_finished([{"accuracy": 10.0}] * 4)


def test_weights_carry_what_made_them(trained):
    path = networks.weights_path("tiny:conv_net@quick", 0, trained)
    record = networks.read_record(path)
    assert record["recipe"]["train_images"] == 4000 and record["recipe"]["seed"] == 0
    assert len(record["epochs"]) == 2 and len(record["losses"]) == 2 * 63
    assert record["torch"] == torch.__version__.partition("+")[0] and record["commit"]
    net = networks.load("tiny:conv_net@quick", 0, trained)
    *_, images, labels = data.load().split()
    with torch.inference_mode():
        predicted = net(torch.from_numpy(images.copy()).unsqueeze(1).float() / 255).argmax(dim=1).numpy()
    assert 100 * (predicted == labels).mean() == pytest.approx(record["stored_accuracy"], abs=0.05)
    assert record["stored_accuracy"] > 80
    right = record["epochs"][-1]["accuracy"] * len(labels) / 100
    assert right == pytest.approx(round(right), abs=1e-9), "a whole number of images, not float32's nearest to it"


def test_recorded_weights_are_found_again_and_never_replaced_by_another_recipe(trained):
    path = networks.weights_path("tiny:conv_net@quick", 0, trained)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    recipe = {"model": "tiny:conv_net@quick", "train_images": 4000, "max_epochs": 2, "outputs": trained}
    assert train(Recipe(**recipe, learning_rate=0.05))["recipe"]["learning_rate"] == 0.05
    with pytest.raises(ValueError, match=r"was made by another recipe.*choose another @WORD"):
        train(Recipe(**recipe))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


class Wider(Recipe):
    """A recipe of tomorrow, with one field more."""

    warm_up: int = 0


@pytest.mark.slow
def test_a_field_more_leaves_recorded_weights_found():
    """The committed records hold every field of their day; later ones what differs from the defaults."""
    chosen = {"model": "cnn@slow", "decay": 0.5, "target": 99.1, "max_epochs": 8}
    record = train(Wider(**chosen))
    assert record["recipe"]["decay"] == 0.5 and train(Wider(model="fc"))["epochs"]
    assert Wider.of({"recipe": Recipe(**chosen).recorded, "recipe_version": 2}) == Wider(**chosen)
    assert fit._checkpoint(Wider(**chosen)) == fit._checkpoint(Recipe(**chosen))
    assert fit._checkpoint(Wider(**chosen, warm_up=1)) != fit._checkpoint(Wider(**chosen))
    for other in (Wider(**chosen, warm_up=1), Recipe(model="cnn@slow", normalize="imagenet")):
        with pytest.raises(ValueError, match=r"was made by another recipe"):
            train(other)


def test_a_record_of_a_later_version_is_not_guessed_at():
    with pytest.raises(ValueError, match=r"a recipe of version 99; this code knows those up to 2"):
        Recipe.of({"recipe": {"model": "fc"}, "recipe_version": 99})


def test_weights_load_by_a_record_that_names_only_what_differs(tmp_path):
    chosen = Recipe(model="fc@bare", normalize="none", outputs=tmp_path)
    made_by = {"recipe": chosen.recorded, "recipe_version": Recipe.VERSION}
    networks.save_weights(networks.build("fc", normalize="none"), chosen.weights, made_by)
    loaded = networks.load("fc@bare", 0, tmp_path)
    assert (loaded.mean, loaded.deviation, loaded.resize) == (0.0, 1.0, "nearest")


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path):
    """/dev/full stands for a full disk: every write to it fails as one does there."""
    from lib.store.files import write_atomically

    def write(_):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(OSError, match=r"the disk is full; free some space.*weights\.bin"):
        write_atomically(tmp_path / "weights.bin", write)
    assert not list(tmp_path.iterdir())
