import re
from pathlib import Path

import naive
import numpy as np
import pytest
import tiny
import torch
from conftest import run_python
from safetensors.torch import load_file, save, save_file
from torch import nn

from lib import networks
from lib.store import data
from lib.store.files import file_hash, write_arrays
from lib.store.parts import kept_record, weights_hash
from lib.training import fit, imported
from lib.training.callbacks import stream
from lib.training.fit import train
from lib.training.recipe import Recipe

# Ends itself like kill -9 after checkpoint number argv[2] (0: never), the checkpoints being written after every batch.
TRAIN = """
import os, sys
from lib.training import callbacks, fit
callbacks.CHECKPOINT_SECONDS = 0
saves, save = 0, callbacks.Rule.save
def save_and_die(self):
    global saves
    save(self)
    saves += 1
    if saves == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
callbacks.Rule.save = save_and_die
fit.train(fit.Recipe(model="tiny:conv_net@short", train_images=640, max_epochs=2, outputs=sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    """Killed in the first epoch, before its validation, and in the second epoch."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    chosen = {"model": "tiny:conv_net@short", "train_images": 640, "max_epochs": 2}
    records = [train(Recipe(**chosen, outputs=whole))]
    for saves in (3, 7, 5):  # 10 batches and the end of the epoch: checkpoints 3, 10 and 15
        assert run_python(TRAIN, broken, saves)[0] == -9
        assert not (broken / "weights").exists()
    records.append(train(Recipe(**chosen, outputs=broken)))
    for name in ("losses", "tensors", "logits", "device", "processor", "threads"):
        assert records[0][name] == records[1][name]
    stored = load_file(networks.weights_path("tiny:conv_net@short", 0, broken))
    assert len(records[0]["losses"]) == 20 and records[0]["tensors"] == networks.tensors_hash(stored)
    for name in ("accuracy", "learning_rate"):
        one, other = ([epoch[name] for epoch in record["epochs"]] for record in records)
        assert one == other
    assert not list(broken.glob("checkpoints/*.pt")), "a finished training leaves no checkpoint"


def recorded(outputs, seed=0) -> Recipe:
    """A training on disk of `tiny:conv_net` that took no time, with predictions and an attack of its weights."""
    recipe = Recipe(model="tiny:conv_net@short", train_images=64, max_epochs=1, seed=seed, outputs=outputs)
    fit.record_weights(networks.build(recipe.model, seed), recipe.weights, recipe.in_record)
    made_by = weights_hash(recipe.weights)
    for path in computed(recipe):
        record = {"weights": made_by} if "readings" not in path.parts else {"parts": [{"weights": made_by}]}
        write_arrays(path, record, {"predicted": np.zeros(3)})
    return recipe


def computed(recipe: Recipe) -> list[Path]:
    stem = recipe.weights.stem
    names = ("predictions/{}/none-1.npz", "attacks/{}/a.npz", "confidence/{}-1.npz", "readings/{}.npz")
    return [recipe.outputs / name.format(stem) for name in names]


@pytest.mark.parametrize("dropped", [True, False])
def test_the_same_weights_again_leave_all_as_it_was_and_others_replace_it(tmp_path, dropped):
    recipe = recorded(tmp_path)
    untouched = recorded(tmp_path, seed=10)  # whose name begins alike
    before = {path: path.read_bytes() for path in (recipe.weights, recipe.weights.with_suffix(".json"))}
    if dropped:
        recipe.weights.unlink()
        with pytest.raises(ValueError, match=r"not kept, and 4 files .*another outputs=FOLDER, or recompute=True"):
            train(recipe)
        with pytest.raises(FileNotFoundError, match=r"not kept.*outputs FOLDER.*recompute True"):
            networks.load(recipe.model, 0, tmp_path)
    fit.record_weights(networks.build(recipe.model, 0), recipe.weights, {"recipe": recipe.recorded, "seconds": 1})
    assert {path: path.read_bytes() for path in before} == before and all(path.is_file() for path in computed(recipe))
    if dropped:
        recipe.weights.unlink()
    record = train(recipe.model_copy(update={"recompute": True}))
    assert not any(path.exists() for path in computed(recipe)) and all(path.is_file() for path in computed(untouched))
    assert kept_record(recipe.weights) == record | {"weights": weights_hash(recipe.weights)}
    networks.load(recipe.model, 0, tmp_path)


def test_what_the_record_says_of_the_machine_is_where_it_trained(tmp_path, monkeypatch):
    """fastai would choose a device of its own, such as Apple's MPS; `meta` stands for it here."""
    for module in ("fastai.torch_core", "fastai.learner", "fastai.callback.core", "fastai.data.core"):
        monkeypatch.setattr(f"{module}.default_device", lambda use=-1: torch.device("meta"))
    record = train(Recipe(model="tiny:conv_net@mps", train_images=64, max_epochs=1, outputs=tmp_path))
    assert (record["device"], record["precision"]) == ("cpu", "float32")
    assert record["processor"] and record["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert record["threads"] == torch.get_num_threads()


def test_a_copy_under_another_name_is_not_another_training(tmp_path):
    recipe = recorded(tmp_path, seed=3)
    copy = networks.weights_path(recipe.model, 9, tmp_path)
    copy.write_bytes(recipe.weights.read_bytes())
    for suffix in (".safetensors", ".json"):  # without its record, and with it
        copy.with_suffix(suffix).write_bytes(recipe.weights.with_suffix(suffix).read_bytes())
        with pytest.raises(ValueError, match=r"seed9\.\w+ is a training of .*seed 3 under another name"):
            networks.load(recipe.model, 9, tmp_path)
    other = networks.weights_path("tiny:conv_net@other", 3, tmp_path)
    other.write_bytes(recipe.weights.read_bytes())
    with pytest.raises(ValueError, match="is a training of tiny:conv_net@short with seed 3 under another name"):
        networks.load("tiny:conv_net@other", 3, tmp_path)
    copy.with_suffix(".json").unlink()
    networks.save_weights(networks.load(recipe.model, 3, tmp_path), copy, {"recipe": recipe.recorded | {"seed": 9}})
    with pytest.raises(ValueError, match=r"seed9.safetensors holds the same weights as .*seed3.*: one training"):
        networks.load(recipe.model, 9, tmp_path)
    networks.load(recipe.model, 3, tmp_path)


CHANGES = {
    "another activation": lambda body: body.__setitem__(2, nn.LeakyReLU(0.1)),
    "another epsilon": lambda body: setattr(body[1], "eps", 0.1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_code_that_is_not_that_of_the_training_is_reported(tmp_path, monkeypatch, change):
    recipe = recorded(tmp_path)
    networks.load(recipe.model, 0, tmp_path)
    body = tiny.conv_net()
    CHANGES[change](body)
    monkeypatch.setattr(tiny, "conv_net", lambda: body)
    with pytest.raises(ValueError, match=r"the code of tiny:conv_net@short is not the code it was trained with"):
        networks.load(recipe.model, 0, tmp_path)
    record = networks.read_record(recipe.weights)
    networks.save_weights(networks.build(recipe.model), recipe.weights, {"recipe": record["recipe"]})
    recipe.weights.with_suffix(".json").unlink()
    networks.load(recipe.model, 0, tmp_path)  # an old record, without logits


WAYS = {
    "without a suffix": save_file,  # as .safetensors
    "net.pt": torch.save,
    "compiled.bin": lambda weights, file: torch.save({f"module._orig_mod.{n}": w for n, w in weights.items()}, file),
    "checkpoint.ckpt": lambda weights, file: torch.save(
        {
            "epoch": 3,
            "best": {"state_dict": {f"net.{n}": w for n, w in weights.items()} | {"loss.weight": torch.ones(10)}},
            "other": {"a": 1},
        },
        file,
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_weights_trained_elsewhere_are_imported(tmp_path, name, capsys):
    body = networks.build("tiny:conv_net", 5).body
    file = tmp_path / name
    WAYS[name](body.state_dict(), file)
    imported.main(["tiny:conv_net", str(file), "--seed", "2", "--normalize", "[0.5, 0.25]", "--outputs", str(tmp_path)])
    assert "make sweep MODEL=tiny:conv_net@imported SEED=2" in capsys.readouterr().out
    net = networks.load("tiny:conv_net@imported", 2, tmp_path)
    assert torch.equal(net.body[0].weight, body[0].weight.half().float()) and (net.mean, net.deviation) == (0.5, 0.25)
    record = networks.read_record(networks.weights_path("tiny:conv_net@imported", 2, tmp_path))
    assert record["imported"] == {"file": name, "sha256": file_hash(file)} and "epochs" not in record
    with pytest.raises(SystemExit):
        imported.main(["tiny:conv_net", str(file), "--seed", "-1", "--normalize", "[0.5, 0]"])
    assert re.fullmatch(r"seed: .* not -1; normalize: unknown .*0\.5, 0.*\n", capsys.readouterr().err)
    with pytest.raises(ValueError, match="was made by an import"):
        train(Recipe(model="tiny:conv_net@imported", seed=2, normalize=(0.5, 0.25), outputs=tmp_path))


def as_kind(kind: str) -> dict:
    return {name: weights.to(getattr(torch, kind)) for name, weights in tiny.conv_net().state_dict().items()}


def holds_itself() -> dict:
    content: dict = {}
    return content | {"state": content, "again": content.setdefault("self", content)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda file: torch.save(tiny.conv_net(), file), "no weights in .*not a whole module"),
        (lambda file: file.write_bytes(b"nothing"), "no weights in"),
        (lambda file: torch.save([1, 2], file), "holds a list; allowed is a state_dict"),
        (lambda file: torch.save({"epoch": 1}, file), "it holds no tensors"),
        (lambda file: torch.save(holds_itself(), file), "it holds no tensors"),
        (lambda file: torch.save({"a." * 2000 + "b": torch.zeros(1)}, file), "not those of this network"),
        (lambda file: torch.save({"0.weight": torch.zeros(8, 3, 8, 8)}, file), r"not those of this network: \d"),
        (lambda file: file.write_bytes(save(tiny.conv_net().state_dict())[:-9]), r"no weights in .*SafetensorError"),
        (lambda file: save_file(as_kind("int32"), file), r"\(8,\) integers, not \(8,\) floats"),
        (lambda file: torch.save({name: w.to("meta") for name, w in as_kind("float32").items()}, file), "on meta, not"),
        (lambda file: None, "no file"),
    ],
)
def test_what_cannot_be_imported_is_reported(tmp_path, content, message, capsys):
    content(tmp_path / "net.pt")
    with pytest.raises(SystemExit):
        imported.main(["tiny:conv_net", str(tmp_path / "net.pt"), "--outputs", str(tmp_path)])
    assert re.fullmatch(f".*{message}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "weights").exists()


@pytest.mark.slow
def test_the_learner_trains_as_a_plain_torch_loop_does(tmp_path):
    """SGD with coupled momentum, rate x 0.1^epoch, each image once an epoch: the rule of section 3.3 by hand."""
    recipe = Recipe(model="fc@plain", train_images=300, max_epochs=3, batch_size=50, outputs=tmp_path)
    record = train(recipe)
    soon = recipe.model_copy(update={"model": "fc@soon", "target": 1})
    assert len(train(soon)["epochs"]) == 1, "it ends at the target"
    images, labels, _, _ = data.load().split()
    images, labels = networks.as_read(images[:300]), torch.from_numpy(labels[:300].astype(np.int64))
    net = networks.build("fc", 0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = 0.01 * 0.1**epoch
        order = torch.randperm(300, generator=torch.Generator().manual_seed(stream(0, epoch)))
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
    predicted = naive.probabilities(net, images).argmax(axis=1)
    assert 100 * (predicted == labels).mean() == pytest.approx(record["stored_accuracy"], abs=0.05)
    assert record["stored_accuracy"] > 80
    right = record["epochs"][-1]["accuracy"] * len(labels) / 100
    assert right == pytest.approx(round(right), abs=1e-9), "a whole number of images, not float32's nearest to it"


def test_recorded_weights_are_found_again_and_never_replaced_by_another_recipe(trained):
    path = networks.weights_path("tiny:conv_net@quick", 0, trained)
    before = path.read_bytes()
    recipe = {"model": "tiny:conv_net@quick", "train_images": 4000, "max_epochs": 2, "outputs": trained}
    assert train(Recipe(**recipe, learning_rate=0.05))["recipe"]["learning_rate"] == 0.05
    with pytest.raises(ValueError, match=r"was made by another recipe.*choose another @WORD"):
        train(Recipe(**recipe))
    assert path.read_bytes() == before


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
    with pytest.raises(ValueError, match=r"a recipe of version 99; this code knows those up to 2"):
        Recipe.of({"recipe": {"model": "fc"}, "recipe_version": 99})
    for other in (Wider(**chosen, warm_up=1), Recipe(model="cnn@slow", normalize="imagenet")):
        with pytest.raises(ValueError, match=r"was made by another recipe"):
            train(other)
