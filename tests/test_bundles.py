"""Trainings whose predictions lie in one file: what `experiments.run` records there, and what it makes again."""

import naive
import numpy as np
import pytest

from lib import networks
from lib.evaluation.bundle import Bundle
from lib.experiments.declaration import Experiment, load
from lib.experiments.run import run
from lib.experiments.table1 import correct
from lib.paper import PAPER_NOISES
from lib.store import data

MODEL = "tiny:conv_net@quick"
QUICK = {"quick": {"train_images": 4000, "max_epochs": 2, "learning_rate": 0.05}}


def test_every_reading_is_recorded_as_the_slow_rules_and_torch_say(outputs):
    """And what is missing is evaluated once, other parts staying as they are."""
    few = {"networks": [MODEL], "recipes": QUICK, "images": 3}
    study = Experiment.model_validate(load("readings").model_dump(exclude_unset=True) | few)
    with pytest.raises(FileNotFoundError, match=r"not evaluated .*\.run readings"):
        correct(study, outputs)
    assert run(study, outputs=outputs) == 1 and run(study, outputs=outputs) == 0
    path = study.bundle_path(study.training(MODEL, 0, outputs))
    bundle, found = Bundle.read(path), correct(study, outputs)
    assert len(bundle.errors) == 1 + 3 + 7 + 3 + 10  # clean, RPI, WtB, BtW, EtA: what readings share comes once
    images, labels = data.load().test_images[:3], data.load().test_labels[:3].astype(int)
    net = networks.load(MODEL, outputs=outputs)
    for number, reading in enumerate(study.readings):
        for column, noise in enumerate(PAPER_NOISES):
            c = reading.edges_c if noise == "edge_to_altered" else 1.25 if noise == "random_pixel_invert" else 2.0
            how = reading.replacement, reading.source, reading.white_above
            noisy = [next(naive.attack(image, noise, [100], c, 0, i, *how))[0] for i, image in enumerate(images)]
            right = naive.probabilities(net, np.stack(noisy)).argmax(axis=1) == labels
            np.testing.assert_array_equal(found[number, 0, column, study.levels.index(100) - 1], right)
    gone = next(iter(bundle.errors))
    kept = {name: record for name, record in bundle.records.items() if name != gone}
    Bundle({name: bundle.errors[name] for name in kept}, kept).write(path)
    assert run(study, outputs=outputs) == 1
    again = Bundle.read(path)
    assert all((again.errors[name] == errors).all() for name, errors in bundle.errors.items())


@pytest.mark.slow
def test_without_weights_what_is_recorded_stays_and_a_longer_training_passes_by_a_shorter(tmp_path):
    short = {"train_images": 120, "max_epochs": 1}
    own = {"recipes": {"e1": short, "e2": short | {"max_epochs": 2}}, "networks": ["fc@e1", "fc@e2"]}
    given = {"seeds": [3], "draw": None, "keep_weights": False, "images": 40, "levels": [0, 100], "bundle": "matrix"}
    study = Experiment.model_validate({"name": "mine"} | own | given)
    assert run(study, outputs=tmp_path) == 2 and run(study, outputs=tmp_path) == 0
    one, two = (study.training(model, 3, tmp_path) for model in study.models)
    assert not one.weights.exists() and not two.weights.exists()
    paths = [tmp_path / "matrix" / f"{recipe.weights.stem}.npz" for recipe in (one, two)]
    first, second = paths[0].read_bytes(), Bundle.read(paths[1])
    assert second.records.keys() == {part.path.stem for part in study.parts(two)}
    assert study.parts(two)[1].recipe["draw"] == 3
    paths[1].unlink()
    assert run(study, outputs=tmp_path, recompute=True) == 1
    assert paths[0].read_bytes() == first, "one epoch is not trained again"
    assert all((Bundle.read(paths[1]).errors[name] == errors).all() for name, errors in second.errors.items())
