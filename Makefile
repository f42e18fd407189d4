# Every target works on a fresh machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONFIG ?= config.toml

.PHONY: demo run test lowest lint format soak bench guard clean

# The gateway in front of a simulator: no Gemini key is needed.
demo: $(VENV)/.run
	$(BIN)/python -m gateway demo

# The gateway with the configuration in $(CONFIG).
run: $(VENV)/.run
	$(BIN)/python -m gateway serve --config $(CONFIG)

# All checks and tests. Tests start hundreds of processes, which share compiled modules.
test: export PYTHONDONTWRITEBYTECODE =
# pytest's status 5 means that no test is marked so. The run that says most comes last.
test: $(VENV)/.test lint
	$(BIN)/python -m pytest -q -m "serial and not soak" || [ $$? -eq 5 ]
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m "not serial and not soak"

# Tests of what uses libraries most closely, with the lowest versions that setup.cfg permits.
LOWEST := $(VENV)/lowest
LOWEST_TESTS := $(addprefix tests/gateway/,database ledger media network process server state \
	upstream test_app.py test_relay.py test_service.py test_tracing.py)
lowest: export PYTHONDONTWRITEBYTECODE =
lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest -q -n 2 --dist loadgroup -m "not serial and not soak" $(LOWEST_TESTS)

# Format, lint, types and import contracts.
lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Tests that take minutes.
soak: $(VENV)/.test
	$(BIN)/python -m pytest -q -m soak

# The gateway's cost next to a minimal relay's: see docs/performance.md.
bench: $(VENV)/.test
	$(BIN)/python -m benchmarks --json bench.json

# Instructions of a request and a chunk next to the stored ones; the status 77 means that this machine
# cannot count them.
guard: $(VENV)/.test
	$(BIN)/python -m benchmarks.instructions || [ $$? -eq 77 ]

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.run: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install -q -e .
	touch $@

$(VENV)/.test: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install -q -e ".[test]"
	touch $@ $(VENV)/.run

$(LOWEST)/.ready: $(VENV)/bin/python setup.cfg tests/lowest.py
	$(BIN)/python -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install -q --upgrade pip
	$(LOWEST)/bin/python tests/lowest.py > $(LOWEST)/versions.txt
	$(LOWEST)/bin/python -m pip install -q -e ".[testing]" -c $(LOWEST)/versions.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis .coverage
