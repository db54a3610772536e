# Everything a newcomer or CI needs. Each target sets up what it uses.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-from-pyproject
# Modules are byte-compiled once at set-up: a command's start time must not depend on the caller's settings.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test lint unit soak bench docs clean house

help:            ## show this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
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

unit: setup      ## the tests alone
	$(BIN)/pytest -n 2 -q -m "not soak"

test: lint unit  ## what CI runs

soak: setup      ## the long runs: more kills, more races
	$(BIN)/pytest -q -m soak --timeout 3600

bench: setup     ## every benchmark, with ratios against a peer or a physical limit
	$(BIN)/python -m benchmarks

house: setup     ## the numbers of the house: sizes, circles, tests to source
	$(BIN)/python -m tests.house

docs: setup      ## regenerate the pages and DDL made from code
	$(BIN)/python -m commands.docs

clean:           ## remove what the targets above made
	rm -rf $(VENV) .demo .bench
