"""How near the readings and the trainings come to Table 1, against numbers worked out entry by entry."""

import itertools
import math
import re
import zlib

import numpy as np
import pandas as pd
import pytest
from conftest import run_cells, texts

from lib import networks
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.readings import DEFAULT, FIRST, SECOND, Reading
from lib.evaluation.results import about, accuracies
from lib.experiments import excluded, table1
from lib.experiments.declaration import load
from lib.experiments.table1 import ALL, NEAR, OPTIONS
from lib.noise import perturb
from lib.paper import FIGURE_7, PAPER_NOISES, TABLE_1_LEVELS, read_table_1
from lib.report import reading_tables
from lib.statistics.bootstrap import REPEATS
from lib.store import data
from lib.store.files import OUTPUTS

MODELS = ("fc", *NEAR)
LEVELS = TABLE_1_LEVELS[1:]
PRINTED = read_table_1().set_index(["model", "noise", "attacks"])["accuracy"]
STUDY = load("readings")
READINGS = STUDY.readings


def rows(model, reading, correct, seed=0, draw=0):
    """The rows of `results.accuracies` of one training on 1,000 images; `correct`: part, attacks -> their number."""
    for noise in (CLEAN, *PAPER_NOISES):
        part = reading.part(noise, model=model, train_seed=seed, draw=draw, levels=LEVELS)
        shared = about({"model": model, "train_seed": seed, "recipe": part.recipe}) | {"images": 1000}
        for attacks in part.recipe["levels"]:
            yield shared | {"attacks": attacks, "correct": correct(part, attacks), "pixels_altered": attacks / 2}


def number(part, attacks):
    """As if drawn by lot, and the same for readings that share a part."""
    return 200 + zlib.crc32(f"{part.folder.name} {part.path.stem} {attacks}".encode()) % 800


@pytest.fixture(scope="module")
def table():
    each = [rows(model, reading, number) for model, reading in itertools.product(MODELS, READINGS)]
    return pd.DataFrame(itertools.chain(*each)).drop_duplicates()


def by_hand(reading, models, noises=PAPER_NOISES):
    """The distance entry by entry, in plain numbers."""
    parts = {(m, n): reading.part(n, model=m, levels=LEVELS) for m, n in itertools.product(models, noises)}
    gaps = [number(part, x) / 10 - PRINTED[*cell, x] for cell, part in parts.items() for x in LEVELS]
    return math.sqrt(sum(gap**2 for gap in gaps) / len(gaps))


def test_distances_are_those_computed_by_hand(table):
    ranked = table1.by_reading(table1.entries(table, READINGS, 1000), MODELS)
    assert len(ranked) == len(READINGS) and ranked[ALL].is_monotonic_increasing
    for key, own in ranked.iterrows():
        reading = Reading(**dict(zip(OPTIONS, key, strict=True)))
        hand = {noise: by_hand(reading, MODELS, [noise]) for noise in PAPER_NOISES}
        assert own.to_dict() == pytest.approx(hand | {s: by_hand(reading, m) for s, m in table1.scopes(MODELS).items()})
    assert table1.nearest(ranked, "without fc") == min(READINGS, key=lambda reading: by_hand(reading, NEAR))


def test_a_table_of_other_images_draws_or_statistics_gives_no_entries(table):
    assert table1.entries(table, [DEFAULT], 2000).empty and len(table1.entries(table, [DEFAULT], 1000)) == 4 * 20
    for change in ({"draw": 1}, {"statistics": "batch"}, {"space": 56}, {"dataset": "fashion-mnist"}):
        assert table1.entries(table.assign(**change), [DEFAULT], 1000).empty
    assert len(table1.entries(table.assign(statistics="batch"), [DEFAULT], 1000, statistics="batch")) == 4 * 20


def test_trainings_are_measured_one_by_one_and_at_their_mean():
    """Two trainings of a variant of FC, 30 and -10 of 1,000 images beside the paper everywhere."""
    paper = 10 * PRINTED["fc"]
    clean = paper.xs(0, level="attacks").mean()
    counts = {(part, x): value for part, x, value in paper.reset_index().itertuples(index=False)} | {(CLEAN, 0): clean}
    trainings = [
        rows("fc_rgb@e1", SECOND, lambda part, x, off=off: counts[part.recipe["noise"], x] + off, seed, draw=seed)
        for seed, off in enumerate((30, -10))
    ]
    found = table1.entries(pd.DataFrame(itertools.chain(*trainings)), [DEFAULT, SECOND], 1000, draw=None)
    assert table1.by_training(found).to_numpy() == pytest.approx(np.array([[3, clean / 10 + 3], [1, clean / 10 - 1]]))
    (row,) = table1.by_network(found).to_dict("records")
    assert row == pytest.approx({"distance": 1, "least": 1, "most": 3, "trainings": 2, "clean": clean / 10 + 1})
    names = {"resnetv2_50_stem": "resnetv2_50", "resnet50": "resnet50", "fc@e1": "fc", "resnet18": "resnet18"}
    assert {name: table1.paper_network(name) for name in names} == names


def test_curves_that_flatten_and_first_attacks():
    cells = [(noise, 3 - number, number) for number, noise in enumerate(PAPER_NOISES)]
    table = [
        {"model": "fc", "noise": noise, "attacks": x, "accuracy": y, "paper": 99 - x / 10, "pixels_altered": x / 2}
        for noise, early, late in cells
        for x, y in ((0, 99), (10, 98), (40, 90), (100, 90 - 6 * early), (200, 90 - 6 * early - 10 * late))
    ]
    found = pd.DataFrame(table).assign(**FIRST.model_dump())
    for noise, early, late in cells:
        ratio = late / early if early else math.inf
        assert table1.losses(found).loc[noise].tolist() == pytest.approx([early, late, ratio, 100])
    assert table1.losses(found, "paper")["ratio"].tolist() == pytest.approx([1] * 4)
    assert table1.first_attacks(found, "fc").to_numpy() == pytest.approx(1)


@pytest.fixture(scope="module")
def recorded():
    """The entries of the first training of each network: under every reading, and of the default on all images."""
    table = accuracies(images=[2_000, 10_000], models=FIGURE_7)
    table = table[table["seed"] == 0]
    return table1.entries(table, STUDY.readings, 2_000), table1.entries(table, [DEFAULT], 10_000)


@pytest.fixture(scope="module")
def shares():
    return table1.nearest_shares(STUDY)


def test_images_are_resampled_together(shares):
    """Shares over bootstrap samples of the recorded images, against a few samples of another stream."""
    correct, best = table1.correct(STUDY), shares[ALL].idxmax()
    assert correct.shape == (20, 5, 4, 4, 2_000) and 100 <= shares[ALL].sum() < 101, "ties count for both"
    printed = PRINTED.reindex(itertools.product(STUDY.models, PAPER_NOISES, LEVELS)).to_numpy().reshape(5, 4, 4)
    drawn = np.random.default_rng(1).integers(2_000, size=(40, 2_000))
    gaps = [((100 * correct[..., sample].mean(axis=-1) - printed) ** 2).mean(axis=(1, 2, 3)) for sample in drawn]
    near = [tuple(READINGS[gap.argmin()].model_dump().values()) for gap in gaps]
    assert 100 * near.count(best) / len(near) == pytest.approx(shares.loc[best, ALL], abs=15)
    with pytest.raises(ValueError, match=r"first 2,000 .* 3,000"):
        table1.correct(STUDY, images=3_000)


def test_the_default_is_what_the_rule_chooses_and_tables_and_figure_show(recorded, shares):
    found, ranked = recorded[0], table1.by_reading(recorded[0])
    assert len(set(READINGS)) == 20 and table1.nearest(ranked) == DEFAULT
    assert all(Plan(model="fc").part(noise) == DEFAULT.part(noise, model="fc") for noise in (CLEAN, *PAPER_NOISES))
    assert table1.by_reading(recorded[1])["near"].item() <= 9
    shown = reading_tables.ranking(ranked, shares)
    assert shown.index[0] == ("with replacement, clean image", "b > 0", 1.25)
    assert shown["all"].tolist() == [f"{value:.1f}" for value in ranked[ALL]]
    assert reading_tables.by_network(ranked)["FC"].tolist() == [f"{value:.1f}" for value in ranked["fc"]]
    same = [table1.nearest(ranked, f"without {model}") == DEFAULT for model in FIGURE_7]
    assert (reading_tables.left_out(ranked, shares)["the same as of all five"] == "yes").tolist() == same
    figure = reading_tables.beside_paper(found, {"one": DEFAULT, "other": SECOND}, "what is seen")
    for axes, noise in zip(figure.axes, PAPER_NOISES, strict=True):
        cell = table1.under(found[found["noise"] == noise], SECOND).groupby("attacks")[["accuracy", "paper"]].mean()
        for line, column in zip(axes.lines[1:], cell, strict=True):
            assert line.get_ydata().tolist() == pytest.approx(cell[column].tolist())
        assert {text.get_text() for text in axes.texts} == {"one", "other", "the paper"}


def test_the_notebook_reads_the_folder_it_is_given_and_counts_its_samples(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path)) + ".*lib.experiments.run readings"):
        run_cells("readings", "-p", "outputs", tmp_path)
    assert f"{REPEATS:,} bootstrap" in texts(OUTPUTS / "readings.ipynb")


# What else could explain the paper's numbers


def test_inverted_colours_swap_the_two_noises():
    paper = read_table_1().assign(paper=lambda table: table["accuracy"])
    wide = paper.query("attacks > 0").pivot(index=["model", "attacks"], columns="noise", values="paper")
    swapped = ((wide["white_to_black"] - wide["black_to_white"]) ** 2).mean() ** 0.5
    assert excluded.inverted(paper) == (0, pytest.approx(swapped))


def test_no_equation_leaves_a_byte_and_one_pixel_for_a_batch_is_white_as_often_as_digits_are():
    assert excluded.beyond_a_byte() == 0
    assert excluded.white_pixels(50) == pytest.approx(200 * (data.load().test_images[:50] > 0).mean())


def test_repetitions_that_accumulate_are_averaged_over_their_levels():
    rows = pd.DataFrame({"attacks": [0, 40, 80, 120, 160, 200], "accuracy": [100, 84, 68, 52, 36, 20], "paper": 85.0})
    assert excluded.accumulated(rows.assign(model="fc", seed=0, noise="white_to_black")) == (1, 85 - 52)


@pytest.mark.slow
def test_unscaled_pixels_are_255_times_as_bright_to_the_network_of_the_folder(tmp_path):
    digits, net = data.load(), networks.load("fc")
    images = digits.test_images[: excluded.IMAGES]
    noisy = perturb(images, "black_to_white", 10)
    scaled = np.where(noisy != images, noisy, images / 255)
    first, second = [part for part in net.body if hasattr(part, "weight")]
    pixels = ((scaled.repeat(2, axis=1).repeat(2, axis=2) - 0.1307) / 0.3081).reshape(len(images), -1)
    hidden = np.maximum(pixels @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    predicted = (hidden @ second.weight.detach().numpy().T + second.bias.detach().numpy()).argmax(axis=1)
    right = 100 * (predicted == digits.test_labels[: len(images)]).mean()
    assert excluded.unscaled() == pytest.approx(right, abs=0.3)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        excluded.unscaled(tmp_path)
