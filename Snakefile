"""train -> predict (a noise and a draw) -> sweep (a network) -> the notebooks about all of them -> the paper.

Beside them the attacks of Table 2 on some of the networks, and every training that an experiment declares.

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
from lib.experiments import augmentation, drift
from lib.experiments.declaration import packaged
from lib.evaluation.plan import CLEAN, Plan
from lib.store.files import ROOT


if "networks" not in config:

    configfile: "params/workflow.yaml"


LIB = [path for path in glob("lib/**/*.*", recursive=True) if "__pycache__" not in path]
SOURCES = ["workflow/execute", *LIB, *glob("data/*/*")]
NETWORKS = {
    networks.file_stem(model, seed): {"model": model, "seed": seed, "draws": 1, "attacks": False, "recipe": {}} | choices
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
    "architectures": ["architectures", "architectures-beside-paper", "architectures-areas"],
    "depth": ["depth", "depth-areas"],
    "curves": ["curves-shapes", "curves-foreground"],
    "claims": [],
    "components": ["components-depth", "components-effects", "components-hidden"],
    "resolution": ["resolution-size", "resolution-effects"],
    "complexity": ["complexity-area", "complexity-relative", "complexity-initial"],
    "confidence": ["confidence-auroc", "confidence-calibration", "confidence-refusal"],
    "readings": ["readings-noise"],
}
ATTACK_PLANS = {
    stem: AttackPlan(model=network["model"], train_seed=network["seed"])
    for stem, network in NETWORKS.items()
    if network["attacks"]
}
PARTS = {(stem, part.path.stem): part for stem, plan in PLANS.items() for part in plan.parts()}


def executed(notebook):
    """The source of a notebook, and what its outcome depends on wherever it runs."""
    return [local(path) for path in [f"notebooks/{notebook}.ipynb", *SOURCES]]  # anew: ancient() marks them in place


def predictions(stem):
    return [f"outputs/predictions/{stem}/{part}.npz" for owner, part in PARTS if owner == stem]


def blocks(stem):
    return [str(block.path.relative_to(ROOT)) for block in ATTACK_PLANS[stem].blocks()]


AUGMENTED = [str(part.path.relative_to(ROOT)) for part in augmentation.trainings(ROOT / "outputs")]


MEASURED = [file for stem in NETWORKS for file in [f"outputs/weights/{stem}.safetensors", *predictions(stem)]]
NAMED = {part for _, part in PARTS}
MADE = {path for stem in NETWORKS for path in predictions(stem)}
# What experiments declare besides: (experiment, model, seed) -> the files of its predictions that no rule above makes.
DECLARED = {}
for experiment in packaged().values():
    for recipe in experiment.trainings():
        bundle = experiment.bundle_path(recipe)
        paths = [bundle] if bundle else [part.path for part in experiment.parts(recipe)]
        paths += [drift.path(recipe)] if experiment.drift else []
        files = [path for path in (str(path.relative_to(ROOT)) for path in paths) if path not in MADE]
        MADE |= set(files)
        if files:
            DECLARED[experiment.name, recipe.model, recipe.seed] = files
ANSWERED = [path for files in DECLARED.values() for path in files]
ATTACKED = [file for stem in ATTACK_PLANS for file in blocks(stem)]
NETWORK_BY_NETWORK = [
    *MEASURED,
    *expand("outputs/{kind}/{stem}.ipynb", kind=["train", "sweep"], stem=NETWORKS),
    *expand("outputs/attacks/{stem}.ipynb", stem=ATTACK_PLANS),
]


def parameters(values, output):
    """Papermill's option for these parameters; on a cluster without shared disks the results lie in a folder of its own."""
    outputs = output[: output.rindex("outputs/") + len("outputs")]
    return shlex.quote(json.dumps(values | ({} if outputs == "outputs" else {"outputs": outputs})))


def training(wildcards, output):
    network = NETWORKS[wildcards.stem]
    return parameters({"model": network["model"], "seed": network["seed"]} | network["recipe"], output[0])


def sweeping(wildcards, output):
    network = NETWORKS[wildcards.stem]
    return parameters({"model": network["model"], "train_seed": network["seed"]}, output[0])


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
        NETWORK_BY_NETWORK,


rule measured:
    input:
        NETWORK_BY_NETWORK,


rule train:
    input:
        executed("train"),
    output:
        weights=update("outputs/weights/{stem}.safetensors"),
        notebook=update("outputs/train/{stem}.ipynb"),
        figure=[update("outputs/figures/training-{stem}.png"), update("outputs/figures/training-{stem}.svg")],
    params:
        parameters=training,
    log:
        "outputs/logs/train/{stem}.ipynb",
    benchmark:
        "outputs/logs/benchmarks/train-{stem}.tsv"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    retries: 2
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
        parameters=lambda wildcards, output: parameters(part_plan(wildcards), output[0]),
        figure=lambda wildcards: f"sweep-{Plan(**part_plan(wildcards)).name}",
    log:
        "outputs/logs/predict/{stem}/{part}.ipynb",
    benchmark:
        "outputs/logs/benchmarks/predict-{stem}-{part}.tsv"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 180 * attempt,
    retries: 2
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
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    retries: 2
    shell:
        "workflow/execute sweep {log} {output.notebook} -y {params.parameters}"


for number, (stem, attack_plan) in enumerate(ATTACK_PLANS.items()):

    rule:
        name:
            f"attacks_{number}"
        input:
            executed("attacks"),
            predictions(stem),
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
                {"model": attack_plan.model, "train_seed": attack_plan.train_seed}, output[0]
            ),
        log:
            f"outputs/logs/attacks/{stem}.ipynb",
        benchmark:
            f"outputs/logs/benchmarks/attacks-{stem}.tsv"
        threads: 8
        resources:
            mem_mb=lambda wildcards, attempt: 6000 * attempt,
            runtime=lambda wildcards, attempt: 360 * attempt,
        retries: 2
        shell:
            "workflow/execute attacks {log} {output.notebook} -y {params.parameters}"


# One training of an experiment: trained if its weights are not kept, evaluated, its weights dropped if they are not to be.
for number, ((experiment, model, seed), files) in enumerate(DECLARED.items()):

    rule:
        name:
            f"experiment_{number}"
        input:
            [ancient(path) for path in MEASURED if path == f"outputs/weights/{networks.file_stem(model, seed)}.safetensors"],
        output:
            [update(path) for path in files],
        params:
            command=f"{experiment} {seed} --model {shlex.quote(model)}",
            outputs=lambda wildcards, output: output[0][: output[0].rindex("outputs/") + len("outputs")],
        log:
            f"outputs/logs/experiments/{experiment}-{networks.file_stem(model, seed)}.txt",
        benchmark:
            f"outputs/logs/benchmarks/experiment-{experiment}-{networks.file_stem(model, seed)}.tsv"
        threads: 8
        resources:
            mem_mb=lambda wildcards, attempt: 8000 * attempt,
            runtime=lambda wildcards, attempt: 360 * attempt,
        retries: 2
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
            [update(path) for path in AUGMENTED] if notebook == "noise" else [],
            notebook=update(f"outputs/{notebook}.ipynb"),
            figures=[update(f"outputs/figures/{figure}.{kind}") for figure in drawn for kind in ("png", "svg")],
        params:
            parameters=lambda wildcards, output: parameters({}, output[0]),
        log:
            f"outputs/logs/{notebook}.ipynb",
        benchmark:
            f"outputs/logs/benchmarks/{notebook}.tsv"
        resources:
            mem_mb=4000,
            runtime=60,
        retries: 2
        shell:
            "workflow/execute {rule} {log} {output.notebook} -y {params.parameters}"


rule paper:
    input:
        executed("paper"),
        [local(path) for path in ["workflow/page", *glob("workflow/html/*")]],
        [*MEASURED, *ANSWERED],
        expand("outputs/attacks/{stem}.ipynb", stem=ATTACK_PLANS),
        [f"outputs/{notebook}.ipynb" for notebook in STUDIES],
        [f"outputs/figures/{figure}.png" for figures in STUDIES.values() for figure in figures],
    output:
        notebook=update("outputs/paper.ipynb"),
        page=update("outputs/paper.html"),
        figures=[update(f"outputs/figures/{figure}.{kind}") for figure in ("front", "front-narrow") for kind in ("png", "svg")],
    params:
        parameters=lambda wildcards, output: parameters({}, output[0]),
    log:
        "outputs/logs/paper.ipynb",
    benchmark:
        "outputs/logs/benchmarks/paper.tsv"
    resources:
        mem_mb=4000,
        runtime=60,
    retries: 2
    shell:
        "workflow/execute paper {log} {output.notebook} -y {params.parameters} && workflow/page {output.notebook}"
