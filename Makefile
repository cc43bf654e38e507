# `make` checks everything; `make demo` runs the main job on real data; `make test` runs all tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Judges run one thread each and in parallel across fits: two threads on two busy cores are far slower.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
# Compiled files are kept: every process of the tests would compile the sources again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := all
.PHONY: all bench-tabular demo fuzz test test-fast test-lowest test-newest test-extras lint types format clean

all: lint types test

$(VENV)/demo.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(VENV)/bench.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@

demo: $(VENV)/demo.stamp
	$(BIN)/twinset advise configs/fraud.yaml --amount Amount --time-unit second --workers 2
	$(BIN)/twinset run configs/fraud.yaml --workers 2
	$(BIN)/twinset run configs/quickstart.yaml --workers 2
	$(BIN)/twinset run configs/shapes.yaml --workers 2

# Peers are run where they are installed: $(BIN)/python -m benchmarks.tabular.jobs sdv mostly arfpy forest
bench-tabular: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks tabular.run --methods all --peers all --real --keep

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal

test-fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow and not browser"

# In environments of their own below .environments: what is absent here is said, and is no failure.
test-lowest test-newest test-extras: $(VENV)/dev.stamp
	$(BIN)/python tests/environments.py $(@:test-%=%)

# FUZZ_SEED=2 tries other inputs; what is found lies in out/fuzz, each with the command that reads it again.
fuzz: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.robustness.fuzz --seconds 300 --count 10000 --seed $(or $(FUZZ_SEED),1)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build dist out .environments .twinset .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
