"""Experiments: what may be declared, what a run makes, and what is measured of it."""

import functools
import itertools
import json
import re

import naive
import numpy as np
import pytest
import yaml
from conftest import run_cells
from worlds import pretend_all, pretend_experiment, pretend_training

from lib import networks
from lib.evaluation.bundle import Bundle
from lib.evaluation.readings import DEFAULT
from lib.evaluation.results import accuracies
from lib.evaluation.sweep import Predictions
from lib.experiments import comparison
from lib.experiments.declaration import Asked, Experiment, families, load, packaged
from lib.experiments.measure import MEAN, measure, on_each
from lib.experiments.run import missing, run
from lib.experiments.table1 import correct
from lib.paper import NETWORKS, PAPER_NOISES
from lib.report import comparison_figures, tables
from lib.statistics.contrasts import UNDECIDED
from lib.statistics.curves import wide
from lib.store import data
from lib.store.files import ROOT

FEW = 60  # test images
QUICK = {"train_images": 640, "max_epochs": 2, "decay": 0.5}
DECLARED = {
    "networks": ["fc98@few", "tiny:conv_net@few"],
    "recipes": {"few": QUICK | {"target": 1}},
    "seeds": [1],
    "images": FEW,
    "levels": [0, 50, 200],
    "keep_weights": False,
}


# What may be declared

UNDER_WAY = {"normalisation-parts", "law"}  # their notebook shows what is recorded


@pytest.mark.parametrize("name", [*packaged(), *map(str, (ROOT / "params" / "planned").glob("*.yaml"))])
def test_every_declaration_is_whole(name):
    experiment = load(name)
    recipes = [recipe for recipe in experiment.trainings() if recipe.seed == experiment.seeds[0]]
    assert len({recipe.weights for recipe in recipes}) == len(experiment.models)
    asked = {model for question in experiment.questions.values() for model in question.contrast}
    assert not experiment.questions or asked == set(experiment.models), "no network is trained for nothing"
    assert all(sum(question.contrast.values()) == pytest.approx(0) for question in experiment.questions.values())


@pytest.mark.parametrize("name", packaged())
def test_all_that_is_declared_and_published_is_recorded(name):
    """Whoever declares a training records it, except one that a page names as missing and experiments under way."""
    gone = {recipe.weights.stem for recipe in packaged()[name].trainings() if missing(packaged()[name], recipe)}
    assert name in UNDER_WAY or gone <= {"vgg19-seed2"}


def test_a_network_is_in_one_family():
    """Two experiments that disagree would move each other's intervals."""
    found = {pair for experiment in packaged().values() for pair in experiment.families.items()}
    assert len(dict(found)) == len(found), sorted(found)


def test_contrasts_are_what_they_are_called():
    def contrast(**question):
        models = ["fc98", "fc392", "fc784"]
        return Experiment(networks=models, questions={"it": question}).questions["it"].contrast

    assert contrast(plus=["fc98", "fc392"], minus=["fc784"]) == {"fc98": 0.5, "fc392": 0.5, "fc784": -1}
    values = {"fc98": 3 + 5 * np.log2(10), "fc392": 3 + 5 * np.log2(18), "fc784": 3 + 5 * np.log2(34)}
    slope = contrast(doubling={"fc98": 10, "fc392": 18, "fc784": 34})
    assert sum(weight * values[model] for model, weight in slope.items()) == pytest.approx(5)
    terms = [{"weights": {"fc98": 1, "fc392": -1}, "times": 2}, {"plus": ["fc784"], "minus": ["fc392"], "times": -1}]
    assert contrast(sum=terms) == {"fc98": 2, "fc392": -1, "fc784": -1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"netwroks": ["fc"]}, r"unknown 'netwroks'; did you mean 'networks'"),
        ({"networks": ["resnt18"]}, r"networks.*'resnt18'; choose from fc"),
        ({"networks": ["fc", "fc"]}, "each once"),
        ({"networks": ["fc@gone"]}, "no recipe 'gone'"),
        ({"seeds": [0, 0]}, "each once"),
        ({"seeds": []}, "seeds"),
        ({"images": 20_000}, "images.*10000"),
        ({"readings": [{"source": "cleen"}]}, "unknown source 'cleen'; choose from"),
        ({"readings": [{"white_above": -1}]}, "white_above.*greater than or equal to 0"),
        ({"readings": [{"edges_c": 0}]}, "edges_c.*greater than 0"),
        ({"statistics": ["frosen"]}, "statistics.*frozen"),
        ({"questions": {"q": {"plus": ["fc"]}}}, "either plus and minus"),
        ({"questions": {"q": {"plus": ["fc"], "minus": ["vgg19"]}}}, "vgg19.*not among the networks"),
        ({"questions": {"q": {"weights": {"fc": 1}}}}, "add up to 0"),
        ({"questions": {"q": {"doubling": {"fc": 2}}}}, "two or more different values"),
        ({"more_seeds": {"vgg19": [1]}}, "more_seeds needs vgg19.*choose from fc, resnet18"),
        ({"networks": []}, "must be a list of networks"),
        ({"networks": {"small": []}}, "must be a list of networks"),
        ({"networks": "fc"}, "must be a list of networks.*'fc'"),
        ({"name": "../other"}, "unknown 'name'; choose from title"),
        ({"folder": "../other"}, "folder: .*pattern"),
        ({"levels": [10, 0]}, "levels must ascend"),
        ({"noises": ["white"]}, "noises.*'white'"),
        ({"draw": -1}, "draw.*greater than or equal to 0"),
        ({"recipes": {"few": {"max_epochs": 1}}}, "recipe 'few' is of no network"),
        ({"networks": ["fc@few"], "recipes": {"few": {"epochs": 3}}}, "epochs: unknown; did you mean 'max_epochs'"),
        ({"questions": {"q": {"pluss": ["fc"]}}}, "q: pluss: unknown; did you mean 'plus'"),
        ({"questions": {"q": {"plus": ["fc"], "minus": ["fc"]}}}, "must compare different networks"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(change, told, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"networks": ["fc", "resnet18"]} | change))
    with pytest.raises(ValueError, match=told) as raised:
        load(path)
    assert "\n" not in str(raised.value) and "mine.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("mine.yaml", "networks: [fc", "not YAML"),
        ("mine.yaml", "- fc", "must hold names"),
        ("mine.yaml", "", "must hold"),
        ("mine.yaml", "networks: [fc]\nseeds: [0]\nseeds: [1]", "'seeds' comes twice"),
        ("gone.yaml", "", r"choose from .*components.*paper"),
    ],
)
def test_a_file_that_is_no_declaration_is_named(name, text, told, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=told):
        load(tmp_path / name)
    with pytest.raises(ValueError, match=r"did you mean 'components'\? choose from .*paper"):
        load("component")


def test_ones_own_networks_may_stand_beside_recorded_ones():
    own = Experiment(name="mine", networks=["timm:resnet10t", "efficientnet_b1@slow", "fc"])
    assert own.training("efficientnet_b1@slow", 1).max_epochs == 8, "the recipe of the paper's experiment"
    assert families()["fc"] == "dense" and "timm:resnet10t" not in families()


@pytest.mark.parametrize(
    "change", [{"noises": ["white_to_black"]}, {"levels": [10, 50]}, {"levels": [0]}, {"statistics": ["adapted"]}]
)
def test_what_the_page_cannot_compare_is_refused_before_it_is_trained(change, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"networks": ["fc"]} | change))
    with pytest.raises(ValueError, match="a comparison needs"):
        Asked(experiment=str(path))


# What a run makes


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Two networks on few images, trained and evaluated for one seed."""
    outputs = tmp_path_factory.mktemp("experiments")
    experiment = Experiment(name="two", **DECLARED)
    assert run(experiment, outputs=outputs) == 2
    return experiment, outputs


@pytest.mark.slow
def test_what_is_recorded_is_not_made_again_though_its_weights_are_gone(worked):
    experiment, outputs = worked
    assert not list(outputs.glob("weights/*.safetensors")) and len(list(outputs.glob("weights/*.json"))) == 2
    assert run(experiment, outputs=outputs) == 0
    gone = sorted(outputs.glob("predictions/fc98@few-seed1/*.npz"))[0]
    before = Predictions.read(gone).predicted
    gone.unlink()
    assert run(experiment, [0], outputs) == 0, "another seed"
    with pytest.raises(ValueError, match="weights are not kept"):
        run(experiment, [1], outputs)
    assert run(experiment, [1], outputs, recompute=True) == 1
    np.testing.assert_array_equal(Predictions.read(gone).predicted, before)


@pytest.mark.slow
def test_accuracies_and_scores_are_those_of_the_recorded_predictions(worked):
    experiment, outputs = worked
    table = accuracies(outputs, [FEW])
    assert set(table["recipe"]) == {"few"} and set(table["images"]) == {FEW} and set(table["seed"]) == {1}
    curves = wide(DEFAULT.select(table), levels=experiment.levels)
    labels = data.load().test_labels[:FEW]
    every = [(own, part) for own in experiment.trainings(outputs) for part in experiment.parts(own)]
    for recipe, part in every:
        found = 100 * (Predictions.read(part.path).predicted == labels).mean(axis=1)
        noises = PAPER_NOISES if part.recipe["noise"] == "none" else [part.recipe["noise"]]
        for noise, (level, percent) in itertools.product(noises, zip(part.recipe["levels"], found, strict=True)):
            assert curves.loc[(recipe.model, 1), (noise, level)] == pytest.approx(percent)


@pytest.mark.slow
def test_another_recipe_under_the_same_name_is_an_error(worked):
    _, outputs = worked
    other = Experiment(name="other", **DECLARED | {"recipes": {"few": {"train_images": 320}}})
    for call in (lambda: run(other, outputs=outputs), lambda: measure(other, outputs)):
        with pytest.raises(ValueError, match=r"trained by another recipe: .*640.*, not .*320"):
            call()


@pytest.mark.slow
def test_readings_and_statistics_are_evaluated_from_the_same_weights(tmp_path):
    own = DECLARED | {"networks": ["tiny:conv_net@few"]}
    kinds = {"statistics": ["frozen", "batch", {"statistics": "adapted", "adapted_on": 40}], "keep_weights": True}
    experiment = Experiment(name="all", **own | kinds | {"noises": ["black_to_white"], "levels": [0, 100]})
    assert run(experiment, outputs=tmp_path) == 1
    found = accuracies(tmp_path, [FEW]).groupby(["statistics", "attacks"]).size()
    assert found.to_dict() == {(kind, level): 1 for kind in ("adapted", "batch", "frozen") for level in (0, 100)}
    readings = {"bundle": "readings/matrix", "readings": load("readings").readings[:3]}
    bundled = Experiment(name="bundle", **own | readings)
    assert run(bundled, outputs=tmp_path) == 1 and run(bundled, outputs=tmp_path) == 0
    recipe = next(bundled.trainings(tmp_path))
    bundle = Bundle.read(bundled.bundle_path(recipe))
    noisy = {part.path.stem for part in bundled.parts(recipe) if part.recipe["noise"] != "none"}
    assert noisy <= bundle.errors.keys() and recipe.weights.is_file()
    several = accuracies(tmp_path, [FEW]).groupby(["replacement", "source"]).groups
    assert {(False, "current"), (True, "clean")} <= several.keys()


# What lies in one file for each training

MODEL = "tiny:conv_net@quick"
RECIPE = {"quick": {"train_images": 4000, "max_epochs": 2, "learning_rate": 0.05}}  # of `conftest.trained`


def test_every_reading_is_recorded_as_the_slow_rules_and_torch_say(outputs):
    """And what is missing is evaluated once, other parts staying as they are."""
    few = {"networks": [MODEL], "recipes": RECIPE, "images": 3}
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


# What is measured


@pytest.mark.parametrize("accuracy", [98.9, 99.0])
def test_a_training_below_its_target_is_short_and_in_no_contrast(accuracy, tmp_path):
    experiment = packaged()["resolution"]
    pretend_experiment(tmp_path, experiment, FEW)
    path = experiment.training("half_resnet18@slow-28", 0, tmp_path).weights.with_suffix(".json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"epochs": [{"epoch": 1, "accuracy": accuracy}]}))
    result = measure(experiment, tmp_path, FEW)
    short = accuracy < 99
    assert result.reached.loc[("half_resnet18@slow-28", 0), "short"] == short and len(result.every) == 10
    assert len(result.trainings.curves) == 10 - short
    fewest = result.contrasts().groupby("question")["trainings"].min()
    assert fewest["size"] == 2 - short and fewest["bilinear, 56"] == 2


@pytest.mark.parametrize("short", [(0, 1), ()])
def test_a_page_without_questions_compares_what_is_not_short(short, tmp_path):
    own = {"networks": ["fc98@few", "fc392@few"], "recipes": {"few": {"target": 99}}, "seeds": [0, 1]}
    experiment = Experiment(name="mine", leave_out_short=True, **own)
    pretend_experiment(tmp_path, experiment, FEW)
    pretend_training(tmp_path, experiment.training("fc98@few", 7, tmp_path), FEW, 0.9)  # not declared
    for seed in short:
        path = experiment.training("fc98@few", seed, tmp_path).weights.with_suffix(".json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"epochs": [{"epoch": 1, "accuracy": 90}]}))
    result = measure(experiment, tmp_path, FEW)
    assert len(result.every) == 4 and result.contrasts().empty and "noise" in result.contrasts()
    assert result.trainings.models == experiment.models[bool(short) :]
    assert all(len(own) == 2 for own in result.trainings.seeds.values()), "seed 7 is not declared"
    ranked = comparison.among_the_paper(result, tmp_path)
    assert len(tables.experiment(result, tmp_path)) == 2 and len(ranked[ranked["own"]]) == 2 - bool(short)
    comparison_figures.panels(result.trainings, "mine")


def test_questions_are_contrasts_of_the_declared_scores(tmp_path):
    experiment = packaged()["resolution"]
    pretend_experiment(tmp_path, experiment, FEW, seeds=3)
    result = measure(experiment, tmp_path, FEW)
    found = result.contrasts().set_index(["question", "noise"])
    areas = result.scores()[[MEAN, *PAPER_NOISES]].groupby("model").mean()
    expected = areas.loc["half_resnet18@slow-bilinear"] - areas.loc["half_resnet18@slow"]
    np.testing.assert_allclose(found.loc["bilinear, 56", "estimate"][expected.index], expected)
    assert list(on_each()) == [MEAN, *PAPER_NOISES]
    width = found["high"] - found["low"]
    assert width["size", MEAN] < width["size", "white_to_black"], "the intervals of four hold together"
    assert result.contrasts("relative")["estimate"].notna().all()


def test_nothing_recorded_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="make experiment EXPERIMENT=components"):
        measure(packaged()["components"], tmp_path)


def test_ones_own_networks_are_ranked_among_the_papers(tmp_path):
    own = Experiment(name="mine", networks=["fc98", "fc392"], seeds=[0, 1], images=FEW)
    pretend_experiment(tmp_path, own, FEW)
    pretend_all(tmp_path, NETWORKS)
    result = measure(own, tmp_path)
    ranked = comparison.among_the_paper(result, tmp_path)
    assert len(ranked) == 10 and ranked["rank"].tolist() == list(range(1, 11))
    assert set(ranked.query("own")["model"]) == {"fc98", "fc392"} and (ranked["best"] <= ranked["rank"]).all()
    path = comparison.write(result, result.contrasts() if own.questions else ranked.iloc[:0], ranked, tmp_path)
    content = json.loads(path.read_text())
    assert content["experiment"]["networks"] == {"": ["fc98", "fc392"]} and len(content["trainings"]) == 4
    assert {"model", "rank", "best", "worst"} <= content["ranks"][0].keys()
    assert comparison.needed(result, 5.0)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("notebook", ["components", "resolution", "complexity"])
def test_notebooks_run_with_what_is_recorded(tmp_path, notebook, seeds):
    """Of pretended trainings; with one of each network nothing is decided."""
    pretend_experiment(tmp_path, packaged()[notebook], FEW, seeds)
    pretend_all(tmp_path, [model for model in NETWORKS if model != "fc"] if notebook == "components" else [])
    variables = run_cells(notebook, "-p", "images", FEW, "-p", "outputs", tmp_path)
    assert len(list(tmp_path.glob(f"figures/{notebook}-*.svg"))) == (2 if notebook == "resolution" else 3)
    found = variables["found"]["area"] if notebook == "complexity" else variables["found"]
    assert (found["verdict"] == UNDECIDED).all() == (seeds == 1)


@pytest.mark.slow
def test_the_example_of_the_readme_runs_in_small(tmp_path):
    """By one epoch on few images; with one training of each network the page says what is undecided."""
    example = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert example is not None
    models = yaml.safe_load(example[1])["networks"]
    text = functools.reduce(lambda text, model: text.replace(model, f"{model}@few"), models, example[1])
    path = tmp_path / "mine.yaml"
    small = {"recipes": {"few": {"train_images": 128, "max_epochs": 1}}, "seeds": [1], "images": 20}
    path.write_text(yaml.safe_dump(yaml.safe_load(text) | small))
    variables = run_cells("experiment", "-p", "experiment", path, "-p", "outputs", tmp_path)
    assert set(variables["found"]["verdict"]) == {UNDECIDED}
    assert len(variables["ranked"]) == len(models) + len(NETWORKS)
    assert json.loads((tmp_path / "experiment" / "mine.json").read_text())["contrasts"]
    assert networks.weights_path("fc784@few", 1, tmp_path).is_file()


def test_a_training_of_a_relative_widens_the_interval_of_all(tmp_path):
    """One spread for one family, whichever of its networks are shown."""
    resolution, complexity = packaged()["resolution"], packaged()["complexity"]
    pretend_experiment(tmp_path, resolution, FEW)
    before = measure(resolution, tmp_path, FEW).contrasts()
    for seed, strength in ((0, 0.05), (1, 0.95)):
        pretend_training(tmp_path, complexity.training("half_resnet34@slow", seed, tmp_path), FEW, strength)
    after = measure(resolution, tmp_path, FEW).contrasts()
    np.testing.assert_allclose(before["estimate"], after["estimate"])
    assert ((after["high"] - after["low"]) > (before["high"] - before["low"])).all()
