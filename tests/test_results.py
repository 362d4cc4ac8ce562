import hashlib
import re
from dataclasses import replace

import naive
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from worlds import pretend

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import Plan, SweepPart
from lib.experiments.declaration import packaged
from lib.experiments.measure import measure, trainings
from lib.noise import perturb
from lib.paper import FIGURE_7, NETWORKS, PAPER_NOISES, TABLE_1_LEVELS, read_table_1
from lib.statistics.curves import area
from lib.store import data
from lib.store.files import OUTPUTS, ROOT, read_arrays, write_arrays


@pytest.mark.parametrize("draws", [1, 3, 5])
@pytest.mark.parametrize("chance", [0, 0.01, 0.8, 1])
def test_the_interval_is_wilsons_formula_with_the_effective_sample_size(draws, chance):
    """The formula by hand, Korn and Graubard's n in it; the draws of an image hang together."""
    random = np.random.default_rng(draws)
    hard = random.random(400) < 0.3
    correct = np.where(hard, random.random((draws, 400)) < chance, np.full((draws, 400), chance > 0))
    means, z = correct.mean(axis=0), norm.ppf(0.975)
    p = means.mean()
    n = 400 * p * (1 - p) / means.var() if means.var() else 400
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = results.interval(correct)
    np.testing.assert_allclose((low, high), np.clip((100 * (center - half), 100 * (center + half)), 0, 100), atol=1e-12)
    assert str(low) != "-0.0"


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Images of different difficulty, three draws each: 95 % of 2,000 intervals, within four standard errors."""
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        difficulty = random.beta(4, 1, size=300)  # mean 0.8
        low, high = results.interval(random.random((3, 300)) < difficulty)
        hits += low <= 80 <= high
    assert hits / 2000 == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2000))


def test_predictions_with_pixels_altered_and_another_reading_never_pass_for_ours(tmp_path):
    pretend(tmp_path, "fc", 0.5, images=50)
    part = Plan(model="fc", images=50, draws=1, outputs=tmp_path).part("white_to_black")
    usual = results.Predictions.read(part.path)
    assert usual.altered is None
    recipe = {key: value for key, value in part.recipe.items() if key not in ("replacement", "source")}
    other = replace(part, recipe=recipe)  # as files of before say it: without replacement, from the current image
    replace(usual, altered=usual.attacked // 2, record=usual.record | {"recipe": recipe}).write(other.path)
    np.testing.assert_array_equal(results.Predictions.read(other.path).altered, usual.attacked // 2)
    table = results.accuracies(tmp_path)
    white = table[table["noise"] == "white_to_black"].groupby(["replacement", "source"]).size()
    assert white.to_dict() == {(False, "clean"): 20, (True, "clean"): 20}, "one name for the same pixels"


def test_a_copy_under_another_name_counts_for_nothing(tmp_path):
    pretend(tmp_path, "fc", 0.5, images=50)
    path = Plan(model="fc", images=50, draws=1, outputs=tmp_path).part("white_to_black").path
    before = results.accuracies(tmp_path)
    own = results.Predictions.read(path)
    for name in ("a conflicted copy.npz", f"{path.stem} (1).npz", f"copy of {path.name}", "zz.npz"):
        replace(own, predicted=9 - own.predicted).write(path.with_name(name))
    pd.testing.assert_frame_equal(results.accuracies(tmp_path), before)


@pytest.mark.parametrize(
    ("name", "wrong", "kind"),
    [
        ("predicted", (20, 9), np.uint8),
        ("predicted", (20, 10), float),
        ("probability", (20,), np.float16),
        ("attacked", (19, 10), np.uint16),
        ("altered", (20, 10, 1), np.uint16),
    ],
)
def test_a_file_of_other_shapes_than_it_tells_is_named(tmp_path, name, wrong, kind):
    path, shape = tmp_path / "other.npz", (20, 10)
    kinds = {"predicted": np.uint8, "probability": np.float16, "attacked": np.uint16, "altered": np.uint16}
    arrays = {name: np.zeros(shape, kind) for name, kind in kinds.items()}
    record = {"recipe": {"levels": list(range(20)), "images": 10}, "model": "fc", "train_seed": 0, "weights": "a"}
    write_arrays(path, record, arrays)
    assert results.Predictions.read(path).predicted.shape == shape
    write_arrays(path, record, arrays | {name: np.zeros(wrong, kind)})
    with pytest.raises(ValueError, match=f"other.npz holds other arrays.*: {name}"):
        results.Predictions.read(path)
    among = tmp_path / "predictions" / "fc-seed0" / "mine.npz"
    write_arrays(among, {"recipe": {}}, {"weights": np.zeros(3)})
    with pytest.raises(ValueError, match=r"mine.npz holds no predictions but weights"):
        results.accuracies(tmp_path)


def test_the_paper_table_is_the_papers():
    table = read_table_1()
    assert len(table) == 5 * 5 * 4 and not table.duplicated(["model", "noise", "attacks"]).any()
    assert list(table["model"].drop_duplicates()) == list(FIGURE_7)
    assert set(table["noise"]) == set(PAPER_NOISES) and set(table["attacks"]) == set(TABLE_1_LEVELS)
    text = (ROOT / "tests" / "paper_passages.txt").read_text()
    text = text[text.index("Attacks\tWtB\tBtW\tRPI\tEtA") :]
    headings = ["ResNet-50", "ResNet-50V2", "VGG19", "EfficientNet-B1", "Fully Connected Network"]
    for heading, model in zip(headings, FIGURE_7, strict=True):
        part = re.split(rf"^{heading}\t", text, maxsplit=1, flags=re.M)[1]
        for attacks in TABLE_1_LEVELS:
            numbers = re.findall(rf"^{attacks}\t(.*)$", part, re.M)[0].split()
            rows = table[(table["model"] == model) & (table["attacks"] == attacks)].set_index("noise")
            assert rows.loc[list(PAPER_NOISES), "accuracy"].tolist() == [float(number) for number in numbers]


def test_accuracy_csv_is_what_the_predictions_give():
    recorded = pd.read_csv(OUTPUTS / "accuracy.csv")
    pd.testing.assert_frame_equal(recorded, results.accuracies(OUTPUTS), check_dtype=False)


def test_fooled_images_were_right_and_are_wrong():
    plan = Plan(model="fc")
    table = results.fooled(plan, "white_to_black", 100)
    digits = data.load()
    net = networks.load("fc")
    index = table["image"].to_numpy()[:50]
    assert len(index) == 50
    np.testing.assert_array_equal(digits.test_labels[index], table["label"][:50])
    noisy = perturb(digits.test_images[index], "white_to_black", 100, index=index)
    for images, column in ((digits.test_images[index], "label"), (noisy, "predicted")):
        np.testing.assert_array_equal(naive.probabilities(net, images).argmax(axis=1), table[column][:50])
    with pytest.raises(ValueError, match="no 15 attacks of 'white_to_black'; choose from"):
        results.fooled(plan, "white_to_black", 15)


def test_curves_stand_beside_the_paper():
    curves = results.curves(Plan(model="fc", noises=list(PAPER_NOISES)))
    assert len(curves) == 4 * 21 and set(curves["draws"]) == {1}
    assert ((curves["low"] <= curves["accuracy"]) & (curves["accuracy"] <= curves["high"])).all()
    beside = results.beside_paper(curves, "fc")
    assert len(beside) == 20
    row = beside.query("noise == 'white_to_black' and attacks == 200").iloc[0]
    assert row["paper"] == 40.57 and row["difference"] == pytest.approx(row["ours"] - 40.57)
    assert results.beside_paper(curves, "resnet18").empty


def test_the_one_table_rebuilds_what_figures_and_claims_rest_on(capsys):
    """With pandas alone, by the example of the data dictionary: the areas under Edge to Altered of every training."""
    text = (OUTPUTS / "README.md").read_text()
    names = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert names[-len(results.COLUMNS) :] == results.COLUMNS, "every column is described"
    code = re.search(r"```python\n(.*?)```", text, re.S)
    found: dict = {}
    exec(code[1].replace('"outputs/', f'"{OUTPUTS}/'), found)  # ty: ignore[not-subscriptable]
    curves, ours = found["curves"], trainings(NETWORKS)
    expected = ours.scores(area("edge_to_altered"))
    areas = pd.Series(np.trapezoid(curves, curves.columns) / 200, curves.index)
    np.testing.assert_allclose(areas[expected.index], expected, atol=1e-9)
    declared = packaged()["components"]
    short = found["table"].groupby(["model", "seed"])["short"].first() == True  # noqa: E712
    own = areas[[(model, seed) for model in declared.models for seed in declared.more_seeds.get(model, declared.seeds)]]
    means = own[~short[own.index]].groupby("model").mean()
    effects = measure(declared).contrasts().query("noise == 'edge_to_altered'").set_index("question")["estimate"]
    for name, question in declared.questions.items():
        by_hand = sum(weight * means.get(model, np.nan) for model, weight in question.contrast.items())
        assert question.score != "area" or by_hand == pytest.approx(effects[name], nan_ok=True), name
    assert capsys.readouterr().out


def test_recorded_files_keep_their_names_and_content():
    """Every file of `SHA256SUMS` is there byte for byte; predictions are named by the recipe that they hold."""
    listed = [line.split("  ") for line in (OUTPUTS / "SHA256SUMS").read_text().splitlines()]
    assert len(listed) > 1_000
    for digest, name in listed:
        content = (ROOT / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name
        if name.startswith("outputs/predictions/"):
            part = SweepPart((ROOT / name).parent, read_arrays(ROOT / name)[0]["recipe"])
            assert part.path == ROOT / name
