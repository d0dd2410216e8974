# `make run` starts the service; `make test` proves it. Both set up whatever is missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/nano.yaml
ARGS ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# torch first and pinned: left to a range, pip would take its newest release. PyPI's build carries CUDA, several gigabytes
# that a machine without a GPU does not need; where PyTorch's CPU index is set (PIP_EXTRA_INDEX_URL), pip prefers that one.
$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 12)))' || \
	  { echo "OmniDrop Live needs Python 3.11 or 3.12, found $$($(PYTHON) --version). Name one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv --help >/dev/null 2>&1 && $(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/system-packages python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.PHONY: help run run-https test check fast system-packages bench-quality bench-live bench-speed bench-faults fuzz clean

run: $(VENV)/.run ## Install what is missing and serve at http://127.0.0.1:8080
	$(BIN)/omnidrop serve --config $(CONFIG) $(ARGS)

run-https: $(VENV)/.run ## The same for phones in this network: HTTPS and a token, both made here
	OMNIDROP_SERVER__HOST=0.0.0.0 $(BIN)/omnidrop serve --config $(CONFIG) --dev-certificate $(ARGS)

system-packages: ## Debian packages that the tests drive (a browser, voices, a broker, a relay)
	@scripts/system-packages chromium flite espeak-ng fonts-dejavu-core mosquitto mosquitto-clients coturn docker-compose
	@scripts/promtool

check: $(VENV)/.dev ## Format, lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: $(VENV)/.dev ## Only the tests without model, network or browser (seconds)
	$(BIN)/pytest -m "not default and not gpu" $(ARGS)

test: system-packages check ## Everything that runs without a GPU: what CI runs
	$(BIN)/pytest -m "not gpu" $(ARGS)

bench-quality: $(VENV)/.dev ## Accuracy of the pruning policies on SceneQA
	$(BIN)/python -m benchmarks.quality $(if $(ARGS),$(ARGS),--grid reduced)

bench-live: $(VENV)/.dev system-packages ## Spoken questions over real WebRTC
	$(BIN)/python -m benchmarks.live $(ARGS)

bench-speed: $(VENV)/.dev ## Times and ratios of every stage
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-faults: $(VENV)/.dev system-packages ## Bad networks, lost cameras, killed processes, slow subscribers
	$(BIN)/python -m benchmarks.faults $(ARGS)

fuzz: $(VENV)/.dev ## 100,000 generated inputs against every parser
	$(BIN)/python -m tests.fuzzing $(ARGS)

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
