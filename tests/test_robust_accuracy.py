import re
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from lib import networks
from lib.adversarial import robust_accuracy, runs
from lib.adversarial.attacks import ATTACKS
from lib.adversarial.robust_accuracy import TERMS, Nearness
from lib.adversarial.runs import AttackPlan
from lib.adversarial.searches import search
from lib.evaluation.plan import USUAL_NOISES, Plan
from lib.evaluation.sweep import Predictions, sweep
from lib.noise import NOISES, perturb
from lib.paper import read_table_2
from lib.statistics.bootstrap import resample
from lib.store import data
from lib.store.files import ROOT

TABLE_2 = """
DeepFool	13.0
Boundary	21.0
WtB = (200)	44.7
BtW = (200)	51.3
EtA = (200)	39.7
Pointwise	91.0
WtB = (40)	87.9
BtW = (40)	81.6
EtA = (40)	82.3
"""


def test_table_2_is_as_printed_in_the_paper():
    names = {"DeepFool": "deepfool", "Boundary": "boundary", "Pointwise": "pointwise"}
    names |= {noise.short: name for name, noise in NOISES.items()}
    table = {(row.method, row.attacks): row.accuracy for row in read_table_2().fillna(0).itertuples()}
    lines = re.findall(r"^(\w+)(?: = \((\d+)\))?\t([\d.]+)", TABLE_2, re.M)
    assert table == {(names[name], int(attacks or 0)): float(accuracy) for name, attacks, accuracy in lines}
    paper = (ROOT / "tests" / "paper_passages.txt").read_text()
    assert TABLE_2.split() == paper.partition("ResNet-50/CNN")[2].partition("()")[0].split()


def test_what_counts_as_robust():
    found = pd.DataFrame(
        {"method": "deepfool", "fooled": [True, True, True, False], "started": [True, True, True, False]}
        | {"l2": [0.0, 1.5, 1.6, 0.0], "l0": [0, 9, 10, 0]}
    )
    assert robust_accuracy.robust(found, "l2", 1.5).tolist() == [False, False, True, True]
    assert robust_accuracy.robust(found, "l0", 9).tolist() == [False, False, True, True]
    row = robust_accuracy.at_bound(found, "l2", 1.5).iloc[0]
    wilson = binomtest(2, 4).proportion_ci(0.95, method="wilson")
    assert (row["accuracy"], row["n"], row["unstarted"]) == (50, 4, 1)
    assert (row["low"], row["high"]) == pytest.approx((100 * wilson.low, 100 * wilson.high), abs=1e-4)


def test_the_margins_of_the_papers_own_table():
    own = robust_accuracy.paper_margins().set_index(["method", "terms"])["margin"]
    assert own["white_to_black", "paper_bound"] == pytest.approx((44.7 - 21.0) - (91.0 - 44.7))
    assert own["white_to_black", "paper_groups"] == pytest.approx((44.7 - 21.0) - (91.0 - 87.9))
    assert (own.xs("paper_bound", level="terms") < 0).all() and (own.xs("paper_groups", level="terms") > 0).all()


def margin(table: np.ndarray) -> pd.Series:
    """Of whether images are robust, (images, the noise against either side and QUOTED)."""
    accuracy = 100 * np.concatenate([table.mean(axis=0, keepdims=True), resample(table.T)])
    found = Nearness("white_to_black", "paper_bound", 1.5, accuracy, len(table))
    return robust_accuracy.margins([found]).iloc[0]


def test_the_margin_has_a_paired_interval():
    """The noise fools the same images as Pointwise: certainly nearer to it. All fooled by all: undecided."""
    pointwise = np.repeat([True, False], [60, 40])
    row = margin(np.stack([pointwise, pointwise, pointwise, np.zeros(100, bool), np.arange(100) < 30], axis=1))
    assert row["margin"] == pytest.approx(30) and 0 < row["low"] < row["margin"] < row["high"]
    assert (row["verdict"], row["near"], row["boundary"]) == ("higher", 60, 30)
    row = margin(np.zeros((20, 5), bool))
    assert (row["margin"], row["low"], row["high"], row["verdict"]) == (0, 0, 0, "undecided")


@pytest.fixture(scope="module")
def tried(trained):
    """The plan by which the tiny network, which is swept too, was attacked."""
    sweep(Plan(model="tiny:conv_net@quick", draws=1, outputs=trained))
    steps = {"boundary": 10, "pointwise": 10, "salt_and_pepper": 20, "gaussian_noise": 2, "basic_iterative": 5}
    tried = AttackPlan(model="tiny:conv_net@quick", images=8, fewer={"boundary": 6}, steps=steps, outputs=trained)
    runs.run(tried)
    return tried


def test_noises_and_attacks_are_in_one_table(tried):
    outcomes = robust_accuracy.outcomes(tried)
    assert outcomes.groupby("method", sort=False).size().to_dict() == {
        **{name: 6 if name == "boundary" else 8 for name in ATTACKS},
        **{name: 8 for name in USUAL_NOISES},
    }
    assert not outcomes.isna().any().any()
    images, labels = data.load().test_images[:8], data.load().test_labels[:8]
    predicted = Predictions.read(Plan(model=tried.model, outputs=tried.outputs).part("white_to_black").path).predicted
    for row in outcomes.query("method == 'white_to_black' and fooled and l0 > 0").itertuples():
        level = 10 * (1 + int(np.argmax(predicted[:, row.image] != labels[row.image])))
        noisy = perturb(images[[row.image]], "white_to_black", level, index=np.array([row.image]))[0]
        change = noisy / 255 - images[row.image] / 255
        assert row.l0 == (change != 0).sum() and row.l2 == pytest.approx(np.sqrt((change**2).sum()), rel=1e-5)
        np.testing.assert_array_equal(robust_accuracy.pictures(tried, "white_to_black", [row.image])[0], noisy)
    one = outcomes.query("method == 'deepfool' and fooled").iloc[0]
    shown = robust_accuracy.pictures(tried, "deepfool", [one.image])[0].astype(int) - images[one.image]
    assert np.sqrt((shown**2).sum()) / 255 == pytest.approx(one.l2, abs=0.1)


def test_table_2_holds_everything_to_repeat_a_row(tried):
    table = robust_accuracy.table2(tried, robust_accuracy.outcomes(tried)).set_index(["method", "bound"])
    assert len(table) == len(ATTACKS) + 2 * len(USUAL_NOISES) and table.drop(columns="paper").notna().all().all()
    row = table.loc[("boundary", 1.5)]
    assert (row["paper"], row["norm"], row["n"], row["steps"], row["seed"]) == (21.0, "L2", 6, 10, 0)
    row = table.loc[("edge_to_altered", 200)]
    assert (row["paper"], row["norm"], row["n"]) == (39.7, "attacks", 8)
    levels = robust_accuracy.at_levels(tried).set_index(["method", "attacks"])
    noisy = perturb(data.load().test_images[:8], "edge_to_altered", 200)
    change = (noisy.astype(float) - data.load().test_images[:8]) / 255
    assert levels.loc[("edge_to_altered", 200), "l2"] == pytest.approx(np.sqrt((change**2).sum(axis=(1, 2))).mean())
    assert levels.loc[("edge_to_altered", 200), "accuracy"] == row["accuracy"]


def test_an_attack_recorded_with_several_steps_is_compared_with_itself(tried):
    assert robust_accuracy.by_steps(tried).empty
    longer = tried.alone("boundary", 20)
    runs.run(longer)
    table = robust_accuracy.by_steps(tried)
    assert table["steps"].tolist() == [10, 20] and set(table["method"]) == {"boundary"} and (table["n"] == 6).all()
    alone = robust_accuracy.outcomes(longer).query("method == 'boundary'")
    assert table["accuracy"].tolist()[1] == 100 * robust_accuracy.robust(alone, "l2", 1.5).mean()
    longer.blocks()[0].path.unlink()
    assert robust_accuracy.by_steps(tried).empty


def test_every_noise_has_a_margin_on_each_of_the_terms(tried):
    margins = robust_accuracy.margins(list(robust_accuracy.nearness(tried, robust_accuracy.outcomes(tried))))
    assert len(margins) == len(TERMS) * len(USUAL_NOISES) and (margins["n"] == 6).all()
    assert (margins["low"] <= margins["margin"]).all() and (margins["margin"] <= margins["high"]).all()
    for row in margins.itertuples():
        others = min(abs(row.far - row.deepfool), abs(row.far - row.boundary))
        assert row.margin == pytest.approx(others - abs(row.near - row.pointwise))
    levels = robust_accuracy.at_levels(tried.model_copy(update={"images": 6})).set_index(["method", "attacks"])
    grouped = margins.query("method == 'black_to_white' and terms == 'paper_groups'").iloc[0]
    expected = tuple(levels.loc[("black_to_white", attacks), "accuracy"] for attacks in (40, 200))
    assert (grouped["near"], grouped["far"]) == pytest.approx(expected)


def test_without_a_sweep_the_noises_are_missing(tried, tmp_path):
    for folder in ("weights", "attacks"):
        shutil.copytree(tried.outputs / folder, tmp_path / folder)
    alone = tried.model_copy(update={"outputs": tmp_path})
    outcomes = robust_accuracy.outcomes(alone)
    assert set(outcomes["method"]) == set(ATTACKS)
    assert len(robust_accuracy.table2(alone, outcomes)) == len(ATTACKS)
    assert robust_accuracy.at_levels(alone).empty and not list(robust_accuracy.nearness(alone, outcomes))


@pytest.mark.evidence
@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in (ROOT / "outputs" / "attacks").glob("*/*.npz")}),
    ids=lambda folder: folder.name,
)
def test_committed_blocks_are_complete_and_deepfool_gives_the_same_again(folder):
    """DeepFool draws nothing. Executing the notebook checks class and distances of every block."""
    model, _, seed = folder.name.rpartition("-seed")
    tried = AttackPlan(model=model, train_seed=int(seed))
    assert all(block.path.is_file() for block in tried.blocks()), "a block is missing"
    assert (folder.parent / f"{folder.name}.ipynb").is_file()
    block, few = tried.blocks("deepfool")[0], slice(0, 10)
    digits, recorded = data.load(), block.read().l2[few]
    images, labels = digits.test_images[block.index[few]], digits.test_labels[block.index[few]]
    found = search(networks.load(model, int(seed)), "deepfool", images, labels, steps=block.recipe["steps"], seed=0).l2
    same = np.isclose(found, recorded, rtol=0.02, atol=1e-3)
    assert same.sum() >= 8, f"{found}, not {recorded}: rounding on another machine can change a step"
