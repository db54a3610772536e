# Everything a newcomer or CI needs. Each target sets up what it uses.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-from-pyproject
# Modules are byte-compiled once at set-up: a command's start time must not depend on the caller's settings.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test lint unit wheel-test soak bench docs clean house changelog dist coverage \
    constraints versions-newest versions-lowest

# The order of the tests; printed with the command, so that a failure can be repeated.
SEED := $(shell date +%s)
# What coverage and the targets with other versions run: `make versions-lowest SUITE=tests/ledger`.
SUITE ?= tests

help:            ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

setup: $(STAMP)  ## build .venv with everything tests and examples need

demo: setup      ## the main job on real data, step by step
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

lint: setup      ## ruff, mypy --strict, import-linter, generated files fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m commands.docs --check

unit: setup      ## the tests alone, in random order: SEED=N repeats one
	$(BIN)/python -m compileall -q perfledger ledger commands projections gpu_runner  # before a test limits its files
	$(BIN)/pytest -n 2 -q -m "not soak" --randomly-seed=$(SEED)

test: lint unit  ## what CI runs

wheel-test: setup ## the suite against the installed wheel
	$(BIN)/python -m tests.packaging.against_wheel -n 2 -q -m "not soak"

soak: setup      ## the long runs: more kills, more races, other versions, the wheel
	$(BIN)/pytest -q -m soak --timeout 3600
	$(MAKE) wheel-test
	$(MAKE) versions-lowest
	$(MAKE) versions-newest

bench: setup     ## every benchmark, with ratios against a peer or a physical limit
	$(BIN)/python -m benchmarks

house: setup     ## the numbers of the house: sizes, circles, tests to source
	$(BIN)/python -m tests.house

coverage: setup  ## the tests with coverage of every process they start; prints what is not covered
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -q -p no:xdist -m "not soak" $(SUITE)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

changelog: setup ## what the next release's section of the changelog gets
	$(BIN)/python changelog.d/collect.py

dist: setup      ## wheel and sdist in dist/, built twice and compared byte for byte
	bash .ci/dist

docs: setup      ## regenerate the pages and DDL made from code
	$(BIN)/python -m commands.docs

constraints: setup  ## the newest versions that fit together become those that `make` installs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed \
	    --report $(VENV)/.report.json '.[dev]'
	$(BIN)/python -m tests.versions write $(VENV)/.report.json

# The suite in an environment of its own, which is made anew each time: what a newcomer gets who has no constraints.txt.
versions-newest: ## the suite with the newest versions that pyproject.toml allows
	rm -rf .versions/newest && $(PYTHON) -m venv .versions/newest
	.versions/newest/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	.versions/newest/bin/pytest -n 2 -q -m "not soak" $(SUITE)

versions-lowest: ## the suite with the lowest versions that pyproject.toml allows
	rm -rf .versions/lowest .versions/uv && $(PYTHON) -m venv .versions/lowest && $(PYTHON) -m venv .versions/uv
	.versions/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	.versions/uv/bin/uv pip install --quiet --python .versions/lowest/bin/python --resolution lowest-direct \
	    --editable '.[dev]'
	.versions/lowest/bin/pytest -n 2 -q -m "not soak" $(SUITE)

clean:           ## remove what the targets above made
	rm -rf $(VENV) .demo .bench .versions dist .coverage*
