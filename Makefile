# make demo   the user guide on one synthetic full-size frame, in demo/
# make test   the tests (minutes);  make test-all  also the long ones
# make bench  core-seconds per stage;  make lint  ruff and mypy;  make venv  only the set-up

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled loops are cached beside the package; workers keep the machine's two cores busy.
WORKERS ?= auto

.PHONY: venv demo test test-all bench lint lock clean

venv: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: venv
	BIN=$(BIN) sh docs/demo.sh

test: venv
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

test-all: venv
	$(BIN)/python -m pytest -n $(WORKERS)

bench: venv
	$(BIN)/python tests/bench.py

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy

# Needs uv on the PATH; one set of versions for Python 3.11 and later.
lock:
	uv pip compile --universal --generate-hashes --fork-strategy fewest --python-version 3.11 --all-extras \
		--no-emit-index-url --quiet pyproject.toml --output-file requirements.lock

clean:
	rm -rf demo bench $(VENV)
