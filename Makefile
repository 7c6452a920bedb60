# Everything runs from .venv, which uv fills from uv.lock; uv itself lives in .tools. Nothing is
# installed outside this folder, no root is needed, and `make setup` is quick when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup run test check loadtest rehearsal bench goodput faults clean

PYTHON ?= python3
BIN := .venv/bin
UV := .tools/bin/uv

# The system's Python or none: uv never downloads an interpreter, nor takes an activated venv's.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_PREFERENCE := only-system
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV
# Compiled once here, so that the first start is as quick as every other.
export UV_COMPILE_BYTECODE := 1
# A user without a home (a service account) keeps uv's cache here.
ifneq ($(shell test -w "$$HOME" && echo writable),writable)
export UV_CACHE_DIR := $(CURDIR)/.tools/cache
endif

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything into .venv, exactly as locked
	@$(UV) --version >/dev/null 2>&1 || $(MAKE) --no-print-directory $(UV)
	@$(UV) sync $(if $(wildcard $(BIN)/gateway),--quiet) --frozen --all-extras --python "$(PYTHON)"

# `--target` is what a Debian without venv and with an externally managed Python allows.
.PHONY: $(UV)
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make setup PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 \
		|| { echo "$(PYTHON) has no pip: install it first, on Debian with apt-get install python3-pip"; exit 2; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
		--no-cache-dir --upgrade --target .tools 'uv>=0.8'

run: setup ## Start a whole gateway here and print its address; Ctrl-C stops it
	@$(BIN)/gateway up $(ARGS)

test: setup ## Run all tests; ARGS="-k draw" narrows them
	$(BIN)/python -m pytest -n 3 $(ARGS)

check: setup ## Lint, format, types, and the shape of the house
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -q -n 0 tests/test_architecture.py

loadtest: setup ## One minute of applicants against a gateway of their own; exits 0 when every promise held
	@$(BIN)/python -m loadtests $(ARGS)

rehearsal: setup ## A launch day: 1.3 million real requests in twenty minutes; ARGS="--trouble" lets things go wrong
	@$(BIN)/python -m loadtests.rehearsal $(ARGS)

bench: setup ## Measure the figures of the design; exits 0 when all are reached; ARGS="--only admission" narrows
	@$(BIN)/python -m loadtests.bench $(ARGS)

goodput: setup ## Offer ten times the peak: does goodput stay flat? Exits 0 when it does; ARGS="--quick", "--seed 7"
	@$(BIN)/python -m loadtests.goodput $(ARGS)

faults: setup ## Try the promises against 200 schedules of faults; ARGS="--seed 7" repeats one, "--store postgresql"
	@$(BIN)/python -m tests.faults $(ARGS)

clean: ## Remove what set-up and tests made; data in .data/ stay
	rm -rf .venv .tools build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
