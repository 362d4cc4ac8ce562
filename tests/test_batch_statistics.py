import copy

import numpy as np
import pytest
import torch
from torch import nn

from lib import networks
from lib.noise import perturb
from lib.readings import batch_statistics
from lib.readings.answers import AnswerFile
from lib.store import data

MODEL, FEW = "tiny:conv_net@quick", 70  # more than a batch


def test_each_batch_is_normalised_by_itself():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    images = np.random.default_rng(0).integers(0, 256, (100, 2, 2)).astype(np.uint8)
    before = copy.deepcopy(net.state_dict())
    found = batch_statistics.by_batch(net)(images)
    assert before.keys() == net.state_dict().keys() and net[0].track_running_stats, "the network stays as it is"
    for start in (0, 64):
        batch = images[start : start + 64] / 255
        normal = (batch - batch.mean()) / np.sqrt(batch.var() + 1e-5)
        dense = net[2]
        logits = normal.reshape(len(batch), 4) @ dense.weight.detach().numpy().T + dense.bias.detach().numpy()
        np.testing.assert_array_equal(found[start : start + 64], logits.argmax(axis=1))


@pytest.mark.slow
def test_what_is_recorded_is_what_the_network_answers_by_its_batches(trained, tmp_path):
    (tmp_path / "weights").symlink_to(trained / "weights")
    assert batch_statistics.run(MODEL, tmp_path, FEW) == 5 and batch_statistics.run(MODEL, tmp_path, FEW) == 0
    net = networks.load(MODEL, outputs=trained)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    digits = data.load()
    noisy = perturb(digits.test_images[:FEW], "random_pixel_invert", 200, replacement=True, source="clean")
    pixels = torch.from_numpy(noisy)[:, None].float() / 255
    with torch.inference_mode():
        classes = torch.cat([net(batch).argmax(dim=1) for batch in pixels.split(64)]).numpy()
    answers = AnswerFile.read(batch_statistics.answers_path(MODEL, tmp_path))
    part = batch_statistics.parts(MODEL, tmp_path, FEW)[1]
    assert part.recipe["noise"] == "random_pixel_invert" and part.recipe["levels"] == [200]
    np.testing.assert_array_equal(
        answers.errors[part.path.stem][0], (classes - digits.test_labels[:FEW].astype(int)) % 10
    )
    table = batch_statistics.accuracies((MODEL, "resnet18"), tmp_path, FEW)
    assert set(table["model"]) == {MODEL} and table["attacks"].tolist() == [0, 200, 200, 200, 200]
    row = table.query("noise == 'random_pixel_invert'")
    assert row["accuracy"].item() == pytest.approx(100 * (classes == digits.test_labels[:FEW]).mean())
