# The two commands a newcomer needs: `make demo` and `make test`.
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
ARGS  ?=
# Tests of processes wait more than they compute: three at a time keep two cores busy.
WORKERS ?= 3

.PHONY: help install demo test test-bluez simulate check lint types format pictures screenshots clean
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml tools/venv
	@tools/venv $(VENV)
	@touch $@

install: $(READY) ## create the environment from the pinned dependencies

demo: $(READY) ## a day of transport, simulated loggers, everything else real
	@$(BIN)/coldchain demo $(ARGS)

lint: $(READY) ## ruff and the import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(READY) ## mypy, strict
	$(BIN)/mypy

test: $(READY) lint types ## everything that CI runs
	@tools/system-packages test
	COLDCHAIN_SCREENSHOTS="$${COLDCHAIN_SCREENSHOTS-var/screenshots}" $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-bluez: $(READY) ## the radio on a real BlueZ in a virtual machine (root, x86-64; 3 min once, then about 10)
	@PYTHON=$(BIN)/python tools/bluez-machine run var/bluez/results
	@$(BIN)/python -m tests.bluez.compare var/bluez/results/trace.json

simulate: $(READY) ## seeds of the simulation: make simulate SEEDS=1000 FIRST_SEED=1
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),200) --first $(or $(FIRST_SEED),1)

bench: $(READY) ## speed and memory, as ratios within one run
	@for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python $$program || exit 1; done

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pictures: $(READY) ## the README's pictures, from the running demonstration (needs chromium)
	$(BIN)/python tools/pictures.py

screenshots: $(READY) ## a picture of every page, in both languages and themes, in var/screenshots (needs chromium)
	@COLDCHAIN_SCREENSHOTS=var/screenshots $(BIN)/pytest --quiet tests/interfaces/test_every_page.py

clean: ## remove the environment and what was generated
	rm -rf $(VENV) var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
