# Everything a visitor does here is a target; `make help` lists them.
# Wanted on the machine: git, make and Python 3.11 or newer. The rest is set up in .venv from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
OUT := report
EXAMPLES := example_threshold example_nothing

# One thread per process: numbers that do not depend on the machine, and no quarrel between workers.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

# Published data that the repository may not carry is looked for beside it, unless you say where it is.
ifndef TPR_OUTCOMES_DATA
ifneq ($(wildcard ../shared/data/.),)
export TPR_OUTCOMES_DATA := $(CURDIR)/../shared/data
endif
endif

TARGETS := help report test lint types calibrate clean

.DEFAULT_GOAL := help

help:  ## list what can be done here
	@awk -F ':.*## ' -v have=" $(TARGETS) " \
	  '/^[a-z]+:.*## / { if (index(have, " " $$1 " ")) printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(READY): requirements.lock pyproject.toml tools/setup.py
	@command -v $(PYTHON) >/dev/null || { echo "set-up: there is no $(PYTHON) here; Python 3.11 or newer is wanted (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) tools/setup.py

report: $(READY)  ## evaluate the example clinics (and the Vickers trial, if its data is at hand) into report/
	@$(BIN)/python tools/report.py --out $(OUT) $(EXAMPLES:%=data/%.csv)

test: $(READY)  ## run the tests, warnings as errors
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: $(READY)  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict, on the package
	@$(BIN)/mypy

calibrate: $(READY)  ## how often the verdict is wrong, on simulated clinics (hours; a stopped run goes on where it was)
	@$(BIN)/tpr calibrate --worlds all --seed 20261124 --workers 2 --out docs/methods/calibration $(ARGS)

# Each of the following is offered once its script or notebook exists.

ifneq ($(wildcard notebooks/00_start_here.*),)
TARGETS += lab
lab: $(READY)  ## open the notebooks in JupyterLab
	@JUPYTER_CONFIG_PATH=$(CURDIR)/tools/jupyter $(BIN)/jupyter lab notebooks --LabApp.default_url=/lab/tree/00_start_here.ipynb $(ARGS)
endif

ifneq ($(wildcard notebooks/explorer.ipynb),)
TARGETS += explore
explore: $(READY)  ## open a record in the browser: verdict, groups, one patient, report
	@JUPYTER_CONFIG_PATH=$(CURDIR)/tools/jupyter JUPYTER_PATH=$(CURDIR)/tools/jupyter/share \
	  $(BIN)/voila notebooks/explorer.ipynb $(ARGS)
endif

ifneq ($(wildcard benchmarks/run.py),)
TARGETS += bench
bench: $(READY)  ## time the engine against its peers; prints ratios
	@$(BIN)/python benchmarks/run.py $(ARGS)
endif

ifneq ($(wildcard tools/docs.py),)
TARGETS += docs
docs: $(READY)  ## build the documentation into site/, to be read from the disk
	@$(BIN)/python tools/docs.py $(ARGS)
endif

ifneq ($(wildcard tools/release.py),)
TARGETS += release
release: $(READY)  ## build wheel and sdist twice into dist/, compare, try them on 3.11, 3.12 and 3.13 (an hour)
	@$(BIN)/python tools/release.py $(ARGS)
endif

clean:  ## remove what was made here, except .venv
	@rm -rf $(OUT) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: $(TARGETS)
