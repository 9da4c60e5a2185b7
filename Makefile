# `make bench` and `make test` are all a newcomer needs. VENV=folder uses another environment.
VENV ?= .venv
STORE ?= results
JOBS ?= 2
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.quintain-installed

.DEFAULT_GOAL := help
.PHONY: help setup bench test check lint types wheel gate soak

help: ## show the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## make the environment and install everything (about 5 GB: torch with CUDA)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $(STAMP)

bench: setup ## run the quick suite (30 cells and the baselines) and show the leaderboard, also as a page
	$(BIN)/quintain sweep suite=quick store=$(STORE) --leaderboard

test: setup ## run all fast tests, JOBS files at a time
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --max-worker-restart 3

check: lint types test wheel gate ## everything that CI runs

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

wheel: setup ## build the wheel, install it into a clean environment, use it from another folder
	PYTHON=$(abspath $(BIN))/python sh tests/wheel.sh

gate: setup ## judge this code by its own gate: quality against a kept baseline, speed against itself
	rm -rf results-gate
	$(BIN)/quintain gate --baseline benchmarks/gate/baseline --margin accuracy=0.1 \
		--baseline-code . --slower 2 --rounds 8 dataset=digits model=gru budget.steps=100 \
		seed=1,2,3 hardware=cpu wandb.mode=disabled store=results-gate \
		|| test $$? -eq 3  # a noisy machine may leave it open; only a regression fails

soak: setup ## long proofs: the speed targets and the slow tests; results go into benchmarks/
	$(BIN)/python -m pytest -m slow --override-ini faulthandler_timeout=7200
	$(BIN)/python benchmarks/run_all.py
