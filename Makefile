# make                 prints this
# make paper           all networks, trained, swept and compared; does only what is not done yet, and can be stopped
# make quick           the whole paper in small, from nothing, in some minutes: quick/outputs/paper.html
# make sweep           sets up .venv and sweeps a trained network under the four noises (MODEL=fc)
# make train           trains a network (MODEL=fc SEED=0)
# make import          takes weights that were trained elsewhere (MODEL=mine:net WEIGHTS=FILE ARGS="--normalize none")
# make attacks         attacks a trained network with Foolbox: Table 2 (MODEL=fc)
# make readings        how the paper's noises can be read: five networks under each reading, beside Table 1
# make noise           the noises themselves, in colour too, and as augmentation
# make architectures   Figure 7 and Table 1 from the recorded sweeps
# make depth           Figure 8
# make curves          the curves' shapes, foreground and background
# make claims          what the paper says, each with a verdict
# make components      what one part of a network does: shortcuts, depth, normalisation, width, pooling
# make resolution      what the upscaling does: ResNet-18 at 28, 56 and 112 pixels a side
# make normalisation   what falls is the statistics of activations, and what putting them right gives back
# make complexity      depth on digits and on Fashion-MNIST's clothes
# make confidence      whether a network knows when it is lost: softmax, dropout, disagreement of trainings
# make experiment      your networks beside the paper's: EXPERIMENT=mine.yaml, or a name in params/experiments
# make explore         opens JupyterLab on the explorer: knobs for one digit, your own, all digits, a gallery
# make app             the explorer as a web page on this machine, without the code
# make stills          the explorer as an executed notebook, for readers without a kernel
# make lab             opens JupyterLab (as root: make lab ARGS=--allow-root)
# make site            all executed notebooks, the paper and the functions as pages to browse and search, without network
# make check           while writing, two minutes: lint, types, and the tests that need no training, kernel or browser
# make test            before submitting, a quarter of an hour: check, and the tests of all that runs
# make evidence        before landing: what is recorded from its weights, every executed notebook, the other browser
# make audit           makes recorded trainings again and compares them: N=2 that the commit draws, N=all, or N=0: the page alone
# make test-slurm      the workflow on a Slurm of this machine alone (Debian: slurm-wlm, munge), killed and continued
# make compare-outputs what differs between two folders of results, and whether by more than their intervals (OLD=... NEW=...)
# make benchmark       as ratios: starts, the noise, the sweep beside its forward passes, a moved slider
# make lock            resolves requirements.lock anew
#
# Further parameters of a notebook or a program: make sweep MODEL=resnet18 ARGS="-p draws 5". The executed notebook then
# has a name of its own, so that none is overwritten; what it measures is recorded in outputs/ like all else, or, with
# -p outputs FOLDER, elsewhere.

PYTHON ?= python3
MODEL ?= fc
SEED ?= 0
EXPERIMENT ?= resolution
ARGS ?=
WEIGHTS ?=
OLD ?=
NEW ?= outputs
N ?= 2

BIN := .venv/bin
READY := .venv/.ready
STEM := $(subst :,-,$(MODEL))-seed$(SEED)

# $(call execute,NOTEBOOK,EXECUTED,PARAMETERS); its last line is NEXT, what to try then. With ARGS it writes beside EXECUTED.
execute = @PATH="$(CURDIR)/$(BIN):$$PATH" workflow/execute $(1) outputs/logs/$(2).ipynb outputs/$(2).ipynb $(3) $(if $(strip $(ARGS)),-- $(ARGS)) && echo "Next: $(NEXT)"
NEXT = make site, for all of them as pages; make explore, to turn the knobs yourself

TOLD := JupyterLab does not start as root unless it is told to: ARGS=--allow-root
AS_ROOT = $(if $(findstring --allow-root,$(ARGS)),,@test "$$(id -u)" != 0 || { echo "$(TOLD)" >&2; exit 1; })

# A .venv that was made in another folder would run what lies there, and one without its Python nothing: made anew.
USABLE := . .venv/bin/activate && test "$$VIRTUAL_ENV" = "$(CURDIR)/.venv" && $(BIN)/python -c ""
STALE := $(shell test ! -e .venv || ($(USABLE)) 2>/dev/null || echo --clear)
ifdef STALE
ifneq ($(shell test -O .venv || echo another),)
$(error .venv is another user's, and its Python does not run for you: make a clone of your own)
endif
.PHONY: $(READY)
endif

# A misspelt variable would be none at all.
KNOWN := PYTHON MODEL SEED EXPERIMENT ARGS WEIGHTS OLD NEW N
UNKNOWN := $(filter-out $(KNOWN) BIN,$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
ifneq ($(UNKNOWN),)
$(error unknown: $(UNKNOWN); choose from $(KNOWN))
endif
EMPTY := $(strip $(foreach name,MODEL SEED EXPERIMENT,$(if $(strip $($(name))),,$(name))))
ifneq ($(EMPTY),)
$(error $(EMPTY) must not be empty)
endif

.DEFAULT:
	@echo "unknown: $@; these there are:" >&2; $(MAKE) --no-print-directory help >&2; exit 2

# `make sweep` is a test of its own, which executes the notebook of the first command and compares every byte.
EXECUTED = $(filter-out outputs/sweep/fc-seed0.ipynb,$(wildcard outputs/*.ipynb outputs/*/*-seed*.ipynb outputs/experiment/*.ipynb))

.PHONY: help paper quick sweep train import attacks readings noise architectures depth curves claims components resolution complexity normalisation confidence experiment explore app stills lab site
.PHONY: check test evidence audit test-slurm lint benchmark lock compare-outputs
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# //p; /^$$/q' Makefile

# Every recorded file has a lock of its own; Snakemake's would outlive a run that is killed.
paper: $(READY)
	$(BIN)/snakemake --cores all --rerun-incomplete --keep-incomplete --nolock $(ARGS)
	@echo "The companion as one page: outputs/paper.html. Next: $(NEXT)"

quick: $(READY)
	$(BIN)/python workflow/quick quick --cores all $(ARGS)

sweep: NEXT = make explore, to turn the knobs yourself; make sweep MODEL=resnet34, to see another network; make help
sweep: $(READY)
	$(call execute,sweep,sweep/$(STEM),-p model $(MODEL) -p train_seed $(SEED))

train: NEXT = make sweep MODEL=$(MODEL), for its accuracy under the noises
train: $(READY)
	$(call execute,train,train/$(STEM),-p model $(MODEL) -p seed $(SEED))

import: $(READY)
	@$(BIN)/python -m lib.training.imported $(MODEL) "$(WEIGHTS)" --seed $(SEED) $(ARGS)

attacks: NEXT = make claims, for what the paper says of them
attacks: $(READY)
	$(call execute,attacks,attacks/$(STEM),-p model $(MODEL) -p train_seed $(SEED))

noise: $(READY)
	$(call execute,noise,noise)

architectures depth curves claims components resolution complexity normalisation confidence readings: $(READY)
	$(call execute,$@,$@)

experiment: NEXT = make site, for all results as pages
experiment: $(READY)
	$(call execute,experiment,experiment/$(notdir $(basename $(EXPERIMENT))),-p experiment "$(EXPERIMENT)")

lab: $(READY)
	$(AS_ROOT)
	$(BIN)/jupyter lab notebooks $(ARGS)

explore: $(READY)
	$(AS_ROOT)
	@echo "In JupyterLab, choose Run > Run All Cells"
	$(BIN)/jupyter lab notebooks/explore.ipynb $(ARGS)

# Cells tagged `static` draw what the viewers open on; here the viewers do.
app: export JUPYTER_PATH := $(CURDIR)/workflow/app
app: export JUPYTER_CONFIG_PATH := $(CURDIR)/workflow/app
app: $(READY)
	$(BIN)/voila notebooks/explore.ipynb --template=app --Voila.ip=127.0.0.1 --TagRemovePreprocessor.remove_cell_tags=static $(ARGS)

site: $(READY)
	@$(BIN)/sphinx-build --quiet docs docs/_build/html $(ARGS)
	@echo "Open it: docs/_build/html/index.html"

stills: $(READY)
	$(call execute,explore,explore)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check --error-on-warning lib tests

check: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not evidence" $(ARGS)

test: check
	.ci/each "slow and not evidence" "" $(ARGS)

# The executed notebooks run again and must show what they show.
evidence: $(READY)
	.ci/each evidence "$(EXECUTED)" $(ARGS)

audit: $(READY)
	$(BIN)/python -m lib.experiments.audit $(N) $(ARGS)

test-slurm: $(READY)
	$(BIN)/python -m pytest -q -s $(ARGS) tests/slurm.py

compare-outputs: $(READY)
	@$(BIN)/python workflow/compare "$(OLD)" "$(NEW)"

benchmark: $(READY)
	$(BIN)/python benchmarks/starts.py
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/explore.py

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --quiet --custom-compile-command "make lock" -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) .ci/check_machine.py
	@echo "Installing requirements.lock into .venv: 6 GB with torch, some five minutes on a fast line"
	@$(PYTHON) -m venv $(STALE) .venv
	@$(BIN)/python .ci/install.py
	@$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@
