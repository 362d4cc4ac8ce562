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
from lib.evaluation.bundle import Bundle
from lib.evaluation.plan import CLEAN, Plan
from lib.evaluation.readings import DEFAULT, FIRST, READINGS, SECOND, Reading
from lib.evaluation.results import about, accuracies
from lib.experiments import table1
from lib.experiments.declaration import load
from lib.experiments.table1 import ALL, NEAR, OPTIONS
from lib.paper import FIGURE_7, PAPER_NOISES, TABLE_1_LEVELS, read_table_1
from lib.report import reading_tables
from lib.statistics.bootstrap import REPEATS
from lib.store import data
from lib.store.files import OUTPUTS, ROOT

MODELS = ("fc", *NEAR)
LEVELS = TABLE_1_LEVELS[1:]
PRINTED = read_table_1().set_index(["model", "noise", "attacks"])["accuracy"]
STUDY = load("readings")


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


def test_a_variant_stands_beside_its_network_of_table_1():
    variants = ("fc_rgb@e1", "resnetv2_50_stem", "resnet50", "efficientnet_b1@slow", "resnet18")
    networks_of = ["fc", "resnetv2_50", "resnet50", "efficientnet_b1", "resnet18"]
    assert [table1.paper_network(model) for model in variants] == networks_of


def test_trainings_are_measured_one_by_one_and_at_their_mean():
    """Two trainings of FC, 30 and -10 of 1,000 images beside the paper everywhere."""
    paper = PRINTED["fc"]
    off = {0: 30, 1: -10}
    clean, table = paper.xs(0, level="attacks").mean(), []
    for seed, above in off.items():
        counts = {(noise, x): 10 * paper[noise, x] + above for noise, x in paper.index} | {
            (CLEAN, 0): 10 * clean + above
        }
        table += rows(
            "fc@other", SECOND, lambda part, x, counts=counts: counts[part.recipe["noise"], x], seed=seed, draw=seed
        )
    found = table1.entries(pd.DataFrame(table), [DEFAULT, SECOND], 1000, draw=None)
    each = table1.by_training(found)
    assert each["distance"].tolist() == pytest.approx([3, 1])
    assert each["clean"].tolist() == pytest.approx([clean + 3, clean - 1])
    (row,) = table1.by_network(found).to_dict("records")
    assert row == pytest.approx({"distance": 1, "least": 1, "most": 3, "trainings": 2, "clean": clean + 1})


def test_curves_that_flatten_and_first_attacks():
    lost = dict(zip(PAPER_NOISES, [(3, 1), (2, 2), (1, 4), (5, 0)], strict=True))
    table = [
        {"model": model, "noise": noise, "attacks": x, "accuracy": y, "paper": 99 - x / 10, "pixels_altered": x / 2}
        | FIRST.model_dump()
        for (noise, (early, late)), model in itertools.product(lost.items(), ("fc", "vgg19"))
        for x, y in ((0, 99), (10, 98), (40, 90), (100, 90 - 6 * early), (200, 90 - 6 * early - 10 * late))
    ]
    ours, theirs = table1.losses(pd.DataFrame(table)), table1.losses(pd.DataFrame(table), "paper")
    for noise, (early, late) in lost.items():
        assert ours.loc[noise].tolist() == pytest.approx([early, late, late / early, 100])
        assert theirs.loc[noise].tolist() == pytest.approx([1, 1, 1, math.nan], nan_ok=True)
    assert table1.first_attacks(pd.DataFrame(table), "fc").loc[PAPER_NOISES[0]].tolist() == pytest.approx([1, 1])


@pytest.fixture(scope="module")
def recorded():
    """The entries of the first training of each network: under every reading, and of the default on all images."""
    table = accuracies(images=[2_000, 10_000], models=FIGURE_7)
    table = table[table["seed"] == 0]
    return table1.entries(table, STUDY.readings, 2_000), table1.entries(table, [DEFAULT], 10_000)


def test_the_default_is_what_the_rule_chooses(recorded):
    ranked = table1.by_reading(recorded[0])
    assert STUDY.readings == READINGS and len(set(READINGS)) == 20 and table1.nearest(ranked) == DEFAULT
    plan = Plan(model="fc")
    assert (plan.replacement, plan.source, plan.white_above) == (True, "clean", 0)
    assert plan.part("edge_to_altered").recipe["c"] == DEFAULT.edges_c
    assert table1.by_reading(recorded[1])["near"].item() <= 9


@pytest.fixture(scope="module")
def shares():
    return table1.nearest_shares(STUDY)


def test_images_are_resampled_together(shares):
    """Shares over bootstrap samples of the recorded images, against a few samples of another stream."""
    correct, printed = table1.correct(STUDY), PRINTED[PRINTED.index.isin(LEVELS, level="attacks")]
    assert correct.shape == (20, 5, 4, 4, 2_000) and 100 <= shares[ALL].sum() < 101, "ties count for both"
    assert shares.columns.tolist() == [ALL, *(f"without {model}" for model in STUDY.models)]
    printed = printed.reindex(itertools.product(STUDY.models, PAPER_NOISES, LEVELS)).to_numpy().reshape(5, 4, 4)
    drawn = np.random.default_rng(1).integers(2_000, size=(40, 2_000))
    gaps = [((100 * correct[..., sample].mean(axis=-1) - printed) ** 2).mean(axis=(1, 2, 3)) for sample in drawn]
    near = [tuple(READINGS[gap.argmin()].model_dump().values()) for gap in gaps]
    best = shares[ALL].idxmax()
    assert 100 * near.count(best) / len(near) == pytest.approx(shares.loc[best, ALL], abs=15)
    with pytest.raises(ValueError, match="first 2,000 .* 3,000"):
        table1.correct(STUDY, images=3_000)


def test_tables_and_figure_show_the_entries(recorded, shares):
    found, ranked = recorded[0], table1.by_reading(recorded[0])
    shown = reading_tables.ranking(ranked, shares)
    assert shown.index[0] == ("with replacement, clean image", "b > 0", 1.25)
    assert shown["all"].tolist() == [f"{value:.1f}" for value in ranked[ALL]]
    assert reading_tables.by_network(ranked)["FC"].tolist() == [f"{value:.1f}" for value in ranked["fc"]]
    same = [table1.nearest(ranked, f"without {model}") == DEFAULT for model in FIGURE_7]
    assert (reading_tables.left_out(ranked, shares)["the same as of all five"] == "yes").tolist() == same
    figure = reading_tables.beside_paper(found, {"one": DEFAULT, "other": SECOND}, "what is seen")
    for axes, noise in zip(figure.axes, PAPER_NOISES, strict=True):
        cell = table1.under(found, SECOND).query("noise == @noise").groupby("attacks")[["accuracy", "paper"]].mean()
        for line, column in zip(axes.lines[1:], cell, strict=True):
            assert line.get_ydata().tolist() == pytest.approx(cell[column].tolist())
        assert {text.get_text() for text in axes.texts} == {"one", "other", "the paper"}


def test_the_notebook_reads_the_folder_it_is_given_and_counts_its_samples(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path)) + ".*lib.experiments.run readings"):
        run_cells("readings", "-p", "outputs", tmp_path)
    assert f"{REPEATS:,} bootstrap" in texts(OUTPUTS / "readings.ipynb")
    source = (ROOT / "notebooks" / "readings.ipynb").read_text().splitlines()
    assert all("REPEATS" in line for line in source if "bootstrap samples" in line)


@pytest.mark.evidence
@pytest.mark.parametrize("model", FIGURE_7)
def test_recorded_predictions_follow_from_the_weights(model):
    """Some images of every part again."""
    index = np.random.default_rng().choice(STUDY.images, 10, replace=False)
    digits, recipe = data.load(), STUDY.training(model, 0)
    probabilities = networks.predictor(networks.load(model))
    bundle = Bundle.read(STUDY.bundle_path(recipe))
    for part in STUDY.parts(recipe):
        noisy, *_ = part.attack(digits.test_images[index], index, part.recipe["levels"])
        for level, images in enumerate(noisy):
            found = probabilities(images)  # (10, 10)
            recorded = (bundle.errors[part.path.stem][level, index] + digits.test_labels[index]) % 10
            assert (found[np.arange(10), recorded] > found.max(axis=1) - 0.01).all(), part.recipe
