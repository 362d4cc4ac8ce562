"""train -> predict (a noise and a draw) -> sweep (a network) -> the notebooks about all of them -> the paper.

Beside them the attacks of Table 2 on some of the networks, and every training that an experiment declares. Every file
that the paper rests on is the output of a rule; those that are missing are made.

`make paper` runs it here; one line in docs/own.md each says how a cluster does. Weights and predictions carry the recipe
that made them: a step that finds its own reads and checks them, so that after a clone, when file times mean nothing,
nothing is trained or predicted again.
"""

import json
import os
import re
import shlex
import sys
from glob import glob
from pathlib import Path

sys.path.insert(0, workflow.basedir)
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # papermill's

from lib import networks
from lib.adversarial.runs import AttackPlan
from lib.evaluation.plan import CLEAN, Plan
from lib.experiments import augmentation, confidence, drift
from lib.experiments.declaration import WHOLE, packaged
from lib.paper import NETWORKS as EIGHT, PAPER_TARGET
from lib.store.files import ROOT
from lib.training.recipe import Recipe


if "networks" not in config:

    configfile: "params/workflow.yaml"


LIB = [path for path in glob("lib/**/*.*", recursive=True) if "__pycache__" not in path]
SOURCES = ["workflow/execute", *LIB, *glob("data/*/*")]
THREADS = config.get("threads", 8)  # of a training or an evaluation, and its resource
RETRIES = config.get("retries", 2)
CARD = {"gpu": config["gpu"]} if config.get("gpu") else {}
USUAL = {"draws": 1, "attacks": False, "recipe": {}, "steps": {}}
NETWORKS = {
    networks.file_stem(model, seed): {"model": model, "seed": seed} | USUAL | choices
    for model, choices in config["networks"].items()
    for seed in config["seeds"]
}
PLANS = {
    stem: Plan(model=network["model"], train_seed=network["seed"], draws=network["draws"])
    for stem, network in NETWORKS.items()
}
# notebook -> the figures it draws
STUDIES = {
    "noise": ["noise-gallery", "noise-pixels-left"],
    "architectures": ["architectures", "architectures-narrow", "architectures-beside-paper", "architectures-areas"],
    "depth": ["depth", "depth-narrow", "depth-areas"],
    "curves": ["curves-shapes", "curves-foreground"],
    "claims": ["claims"],
    "components": ["components-depth", "components-effects", "components-hidden"],
    "resolution": ["resolution-size", "resolution-effects"],
    "normalisation": ["normalisation", "normalisation-law"],
    "complexity": ["complexity-area", "complexity-relative", "complexity-initial"],
    "confidence": ["confidence-auroc", "confidence-calibration", "confidence-refusal"],
    "readings": ["readings-noise"],
    "explore": [],
    "experiment": ["experiment-resolution", "experiment-resolution-ranks"],
}
EXECUTED = {notebook: f"outputs/{notebook}.ipynb" for notebook in STUDIES} | {
    "experiment": "outputs/experiment/resolution.ipynb"
}
ATTACK_PLANS = {
    stem: AttackPlan(model=network["model"], train_seed=network["seed"])
    for stem, network in NETWORKS.items()
    if network["attacks"]
}
# Single attacks with other numbers of steps, which the tables of these networks compare.
LONGER = [
    (stem, plan.alone(attack, steps))
    for stem, plan in ATTACK_PLANS.items()
    for attack, steps in NETWORKS[stem]["steps"].items()
]
PARTS = {(stem, part.path.stem): part for stem, plan in PLANS.items() for part in plan.parts()}


def executed(notebook):
    """The source of a notebook, and what its outcome depends on wherever it runs."""
    return [local(path) for path in [f"notebooks/{notebook}.ipynb", *SOURCES]]  # anew: ancient() marks them in place


def predictions(stem):
    return [f"outputs/predictions/{stem}/{part}.npz" for owner, part in PARTS if owner == stem]


def files_of(parts):
    return [str(part.path.relative_to(ROOT)) for part in parts]


def blocks(stem):
    return files_of(ATTACK_PLANS[stem].blocks())


def given(notebook):
    """The parameters that the configuration sets for a notebook."""
    return config.get("parameters", {}).get(notebook, {})


# notebook -> what it records besides its own outputs
IMAGES = {"images": given("confidence")["images"]} if "images" in given("confidence") else {}
RECORDED = {
    "noise": files_of(augmentation.trainings(ROOT / "outputs", **given("noise"))),
    "confidence": [
        *files_of(confidence.doubts_of(model, ROOT / "outputs", **IMAGES) for model in EIGHT),
        "outputs/confidence/scores.csv",
    ],
    "normalisation": ["outputs/mnist-c.csv"],
    "experiment": ["outputs/experiment/resolution.json"],
}
MEASURED = [file for stem in NETWORKS for file in [f"outputs/weights/{stem}.safetensors", *predictions(stem)]]
NAMED = {part for _, part in PARTS}
MADE = {path for stem in NETWORKS for path in [*predictions(stem), f"outputs/weights/{stem}.json"]}
# What experiments declare besides: (experiment, seed, networks) -> the files of trainings that no rule above makes.
DECLARED, TOGETHER = {}, config.get("trainings_a_job", 1)
WORK = [  # (how a network is trained, its files, the images on which it is evaluated)
    (Recipe(model=own["model"], seed=own["seed"], **own["recipe"]), [f"outputs/weights/{stem}.safetensors"], 0)
    for stem, own in NETWORKS.items()
]
WORK += [(work[0], files_of([part]), part.size) for work, stem in zip(WORK, NETWORKS) for part in PLANS[stem].parts()]
for experiment in packaged().values():
    missing = {}
    for recipe in experiment.trainings():
        bundle, parts = experiment.bundle_path(recipe), experiment.parts(recipe)
        parts = [part for part in parts if not {*files_of([part.on(WHOLE)])} & MADE]  # of all test images, so of these too
        paths = [bundle] if bundle else [recipe.weights.with_suffix(".json"), *(part.path for part in parts)]
        paths += [drift.path(recipe)] if experiment.drift else []
        files = [path for path in (str(path.relative_to(ROOT)) for path in paths) if path not in MADE]
        MADE |= set(files)
        if files:
            missing.setdefault(recipe.seed, []).append((recipe, files))
            WORK.append((recipe, files, sum(part.size for part in parts)))
    for seed, own in missing.items():
        for some in (own[first : first + TOGETHER] for first in range(0, len(own), TOGETHER)):
            recipes, files = zip(*some)
            DECLARED[experiment.name, seed, tuple(recipe.model for recipe in recipes)] = sum(files, [])


def outlook():
    """How much is to be made, and about how long it takes, from measured seconds for 1,000 images."""
    trained, evaluated, hours = set(), 0, 0
    for recipe, files, images in WORK:
        if all(os.path.exists(path) for path in files):
            continue
        second = config.get("seconds", {}).get(recipe.model.partition("@")[0], 2) / 1000 * (recipe.size / 56) ** 2
        evaluated += images > 0
        hours += images * second / 10 / 3600
        if not recipe.weights.is_file() and recipe.weights not in trained:
            trained.add(recipe.weights)
            epochs = 2 if recipe.stop_at <= PAPER_TARGET else recipe.max_epochs
            hours += epochs * recipe.train_images * second / 3600
    files = f"{len(trained)} trainings, {evaluated} files or groups of predictions, {len(STUDIES) + 1} notebooks about all"
    return f"{files}: about {hours:.1f} hours in two threads, besides attacks. What is recorded is not made again."


if workflow.is_main_process:
    print("To be made:", outlook(), file=sys.stderr)
ANSWERED = [path for files in DECLARED.values() for path in files]
ATTACKED = [file for stem in ATTACK_PLANS for file in blocks(stem)]
NETWORK_BY_NETWORK = [
    *MEASURED,
    *expand("outputs/{kind}/{stem}.ipynb", kind=["train", "sweep"], stem=NETWORKS),
    *expand("outputs/attacks/{stem}.ipynb", stem=ATTACK_PLANS),
]


def folder_of(output):
    """The folder of the results, which is another one on a cluster without shared disks."""
    return output[: output.rindex("outputs/") + len("outputs")]


def parameters(notebook, values, output):
    """Papermill's option for these parameters."""
    outputs = folder_of(output)
    values = given(notebook) | values | ({} if outputs == "outputs" else {"outputs": outputs})
    return shlex.quote(json.dumps(values))


def training(wildcards, output):
    network = NETWORKS[wildcards.stem]
    return parameters("train", {"model": network["model"], "seed": network["seed"]} | network["recipe"], output[0])


def sweeping(wildcards, output):
    network = NETWORKS[wildcards.stem]
    return parameters("sweep", {"model": network["model"], "train_seed": network["seed"]}, output[0])


def clean_first(wildcards):
    """The images without noise, which every part would otherwise begin with."""
    clean = PLANS[wildcards.stem].part(CLEAN).path.stem
    return [] if wildcards.part == clean else ancient(f"outputs/predictions/{wildcards.stem}/{clean}.npz")


def part_plan(wildcards):
    """The plan by which the sweep's notebook predicts one part alone."""
    network, recipe = NETWORKS[wildcards.stem], PARTS[wildcards.stem, wildcards.part].recipe
    clean = recipe["noise"] == CLEAN
    part = {"levels": [0]} if clean else {"noises": [recipe["noise"]], "draw": recipe["draw"]}
    return {"model": network["model"], "train_seed": network["seed"]} | part


wildcard_constraints:
    stem="|".join(map(re.escape, NETWORKS)),
    part="|".join(sorted(NAMED)),


rule all:
    input:
        "outputs/paper.html",
        "outputs/accuracy.csv",
        EXECUTED.values(),
        NETWORK_BY_NETWORK,


rule measured:
    input:
        NETWORK_BY_NETWORK,


rule train:
    input:
        executed("train"),
    output:
        weights=update("outputs/weights/{stem}.safetensors"),
        record=update("outputs/weights/{stem}.json"),
        notebook=update("outputs/train/{stem}.ipynb"),
        figure=[update("outputs/figures/training-{stem}.png"), update("outputs/figures/training-{stem}.svg")],
    params:
        parameters=training,
    log:
        "outputs/logs/train/{stem}.ipynb",
    benchmark:
        "outputs/logs/benchmarks/train-{stem}.tsv"
    threads: THREADS
    resources:
        **CARD,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    retries: RETRIES
    shell:
        "workflow/execute train {log} {output.notebook} -y {params.parameters}"


# What is recorded stays, whatever changes in lib/: the sweep below recomputes a sample of it, and all of it for new weights.
rule predict:
    input:
        ancient(executed("sweep")),
        clean_first,
        weights=ancient("outputs/weights/{stem}.safetensors"),
    output:
        update("outputs/predictions/{stem}/{part}.npz"),
    params:
        parameters=lambda wildcards, output: parameters("sweep", part_plan(wildcards), output[0]),
        figure=lambda wildcards: f"sweep-{Plan(**part_plan(wildcards)).name}",
    log:
        "outputs/logs/predict/{stem}/{part}.ipynb",
    benchmark:
        "outputs/logs/benchmarks/predict-{stem}-{part}.tsv"
    threads: THREADS
    resources:
        **CARD,
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 180 * attempt,
    retries: RETRIES
    shell:
        "workflow/execute sweep {log} -y {params.parameters}"
        " && rm -f outputs/figures/{params.figure}.png outputs/figures/{params.figure}.svg"


rule sweep:
    input:
        executed("sweep"),
        weights="outputs/weights/{stem}.safetensors",
        predictions=lambda wildcards: predictions(wildcards.stem),
    output:
        notebook=update("outputs/sweep/{stem}.ipynb"),
        figure=[update("outputs/figures/sweep-{stem}.png"), update("outputs/figures/sweep-{stem}.svg")],
    params:
        parameters=sweeping,
    log:
        "outputs/logs/sweep/{stem}.ipynb",
    benchmark:
        "outputs/logs/benchmarks/sweep-{stem}.tsv"
    threads: THREADS
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    retries: RETRIES
    shell:
        "workflow/execute sweep {log} {output.notebook} -y {params.parameters}"


for number, (stem, attack_plan) in enumerate(ATTACK_PLANS.items()):

    rule:
        name:
            f"attacks_{number}"
        input:
            executed("attacks"),
            predictions(stem),
            [files_of(plan.blocks()) for owner, plan in LONGER if owner == stem],
            weights=f"outputs/weights/{stem}.safetensors",
        output:
            [update(path) for path in blocks(stem)],
            notebook=update(f"outputs/attacks/{stem}.ipynb"),
            figures=[
                update(f"outputs/figures/{figure}-{attack_plan.name}.{kind}")
                for figure in ("attacks", "attacks-gallery")
                for kind in ("png", "svg")
            ],
        params:
            parameters=lambda wildcards, output, attack_plan=attack_plan: parameters(
                "attacks", {"model": attack_plan.model, "train_seed": attack_plan.train_seed}, output[0]
            ),
        log:
            f"outputs/logs/attacks/{stem}.ipynb",
        benchmark:
            f"outputs/logs/benchmarks/attacks-{stem}.tsv"
        threads: THREADS
        resources:
            **CARD,
            mem_mb=lambda wildcards, attempt: 6000 * attempt,
            runtime=lambda wildcards, attempt: 360 * attempt,
        retries: RETRIES
        shell:
            "workflow/execute attacks {log} {output.notebook} -y {params.parameters}"


RUN_ATTACKS = "import sys; from lib.adversarial.runs import *; run(AttackPlan.model_validate_json(sys.argv[1]))"
for number, (stem, attack_plan) in enumerate(LONGER):

    rule:
        name:
            f"longer_{number}"
        input:
            weights=ancient(f"outputs/weights/{stem}.safetensors"),
        output:
            [update(path) for path in files_of(attack_plan.blocks())],
        params:
            run=shlex.quote(RUN_ATTACKS),
            plan=lambda wildcards, output, attack_plan=attack_plan: shlex.quote(
                attack_plan.model_copy(update={"outputs": Path(folder_of(output[0]))}).model_dump_json()
            ),
        benchmark:
            f"outputs/logs/benchmarks/longer-{number}-{stem}.tsv"
        threads: THREADS
        resources:
            **CARD,
            mem_mb=lambda wildcards, attempt: 6000 * attempt,
            runtime=lambda wildcards, attempt: 360 * attempt,
        retries: RETRIES
        shell:
            "python -c {params.run} {params.plan}"


# Trainings of an experiment: trained if the weights are not kept, evaluated, the weights dropped if they are not to be.
for number, ((experiment, seed, models), files) in enumerate(DECLARED.items()):
    stems = [networks.file_stem(model, seed) for model in models]

    rule:
        name:
            f"experiment_{number}"
        input:
            [ancient(path) for path in MEASURED if path in {f"outputs/weights/{stem}.safetensors" for stem in stems}],
        output:
            [update(path) for path in files],
        params:
            command=shlex.join([experiment, str(seed), *(word for model in models for word in ("--model", model))]),
            outputs=lambda wildcards, output: folder_of(output[0]),
        log:
            f"outputs/logs/experiments/{experiment}-{stems[0]}.txt",
        benchmark:
            f"outputs/logs/benchmarks/experiment-{experiment}-{stems[0]}.tsv"
        threads: THREADS
        resources:
            **CARD,
            mem_mb=lambda wildcards, attempt: 8000 * attempt,
            runtime=lambda wildcards, attempt: 360 * attempt,
        retries: RETRIES
        shell:
            "python -m lib.experiments.run {params.command} --outputs {params.outputs} > {log} 2>&1"


for notebook, drawn in STUDIES.items():

    rule:
        name:
            notebook
        input:
            executed(notebook),
            [] if notebook == "noise" else [*MEASURED, *ANSWERED],
            ATTACKED if notebook == "claims" else [],
        output:
            [update(path) for path in RECORDED.get(notebook, [])],
            notebook=update(EXECUTED[notebook]),
            figures=[update(f"outputs/figures/{figure}.{kind}") for figure in drawn for kind in ("png", "svg")],
        params:
            parameters=lambda wildcards, output, notebook=notebook: parameters(notebook, {}, output.notebook),
        log:
            f"outputs/logs/{notebook}.ipynb",
        benchmark:
            f"outputs/logs/benchmarks/{notebook}.tsv"
        resources:
            **(CARD if notebook in RECORDED else {}),
            mem_mb=4000,
            runtime=60,
        retries: RETRIES
        shell:
            "workflow/execute {rule} {log} {output.notebook} -y {params.parameters}"


rule accuracy:
    input:
        [*MEASURED, *ANSWERED],
    output:
        update("outputs/accuracy.csv"),
    params:
        run=shlex.quote(
            "import sys, pathlib; from lib.evaluation.results import *; write_accuracy(pathlib.Path(sys.argv[1]).absolute())"
        ),
        outputs=lambda wildcards, output: folder_of(output[0]),
    shell:
        "python -c {params.run} {params.outputs}"


rule paper:
    input:
        executed("paper"),
        [local(path) for path in ["workflow/page", *glob("workflow/html/*")]],
        [*MEASURED, *ANSWERED],
        expand("outputs/attacks/{stem}.ipynb", stem=ATTACK_PLANS),
        [path for notebook, path in EXECUTED.items() if notebook not in ("explore", "experiment")],
        [f"outputs/figures/{figure}.png" for figures in STUDIES.values() for figure in figures],
    output:
        notebook=update("outputs/paper.ipynb"),
        page=update("outputs/paper.html"),
        figures=[update(f"outputs/figures/{figure}.{kind}") for figure in ("front", "front-narrow") for kind in ("png", "svg")],
    params:
        parameters=lambda wildcards, output: parameters("paper", {}, output[0]),
    log:
        "outputs/logs/paper.ipynb",
    benchmark:
        "outputs/logs/benchmarks/paper.tsv"
    resources:
        mem_mb=4000,
        runtime=60,
    retries: RETRIES
    shell:
        "workflow/execute paper {log} {output.notebook} -y {params.parameters} && workflow/page {output.notebook}"
