# make demo   the user guide on one synthetic full-size frame, in demo/
# make test   the tests (minutes);  make test-all  also the long ones
# make image  the OCI image hscbox, by podman or docker;  make sif  hscbox.sif, by Apptainer
# make container-test  the tests of both images;  make lock  new versions of the dependencies
# make regress  all golden scenes, with regress.json and regress.xml
# make survey  every CCD simulated, processed and compared with the truth (half an hour)
# make validate-long  full frames in all bands and seeings against the truth, with many stars (half an hour)
# make compare-...  against other programs;  make measure-...  single steps against the truth (tests/benchmarks)
# make mutants  which small changes of the arithmetic its tests notice (half an hour, less when repeated)
# make bench  core-seconds per stage;  make lint  ruff, mypy, the order of imports;  make venv  only the set-up

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled loops are cached beside the package; workers keep the machine's two cores busy.
WORKERS ?= auto

# What the images record about their origin. One commit gives one set of bytes.
BASE ?= debian:trixie-slim
ENGINE ?= $(notdir $(firstword $(shell command -v podman docker)))
IMAGE ?= hscbox
SIF ?= hscbox.sif
# For instance --mksquashfs-args '-comp zstd -Xcompression-level 3', which packs ten times faster.
SIF_OPTIONS ?=
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git describe --always --abbrev=40 --match= --dirty 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
CREATED = $(shell date -u -d @$(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ)
BASE_DIGEST = $(shell $(ENGINE) image inspect --format '{{index .RepoDigests 0}}' $(BASE) 2>/dev/null | sed 's/.*@//')

.PHONY: venv demo test test-all bench survey validate-long mutants regress lint lock clean image sif base container-test

venv: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: venv
	BIN=$(BIN) sh docs/demo.sh

test: venv
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not container"

test-all: venv
	$(BIN)/python -m pytest -n $(WORKERS) -m "not container"

bench: venv
	$(BIN)/python tests/benchmarks/bench.py

survey: venv
	$(BIN)/python tests/benchmarks/survey.py

validate-long: venv
	$(BIN)/python tests/benchmarks/validate_long.py

# compare-cosmic-rays, compare-deblending, compare-detection, compare-photometry, compare-psf; measure-background,
# measure-corrections. Each file says what it needs; for instance ARGS="--pairs 50".
compare-% measure-%: venv
	$(BIN)/python tests/benchmarks/$(subst -,_,$@).py $(ARGS)

mutants: venv
	$(BIN)/python tests/benchmarks/mutants.py

regress: venv
	$(BIN)/hscbox regress check --json regress.json --junit regress.xml

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

base:
	@test -n "$(ENGINE)" || { echo "This needs podman or docker; neither is on the PATH (or give ENGINE=...)" >&2; exit 2; }
	$(ENGINE) pull --quiet $(BASE)

image: base
	$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--timestamp $(SOURCE_DATE_EPOCH)) $(IMAGE_OPTIONS) \
		--build-arg BASE=$(BASE) --build-arg BASE_DIGEST=$(BASE_DIGEST) --build-arg REVISION=$(REVISION) \
		--build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
		--label org.opencontainers.image.version=$(VERSION) \
		--label org.opencontainers.image.revision=$(REVISION) \
		--label org.opencontainers.image.created=$(CREATED) \
		--label org.opencontainers.image.base.digest=$(BASE_DIGEST) \
		--tag $(IMAGE) .

# Apptainer hands these variables to the build; the base's digest is known where podman or docker has the base.
sif: $(if $(ENGINE),base)
	@command -v apptainer >/dev/null || { echo "make sif needs apptainer on the PATH" >&2; exit 2; }
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) APPTAINERENV_SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
	APPTAINERENV_REVISION=$(REVISION) APPTAINERENV_BASE_DIGEST=$(BASE_DIGEST) \
		apptainer build --force $(SIF_OPTIONS) $(SIF) apptainer.def

# An engine or image that is missing is reported as skipped, with its reason.
container-test: venv
	HSCBOX_OCI=$${HSCBOX_OCI-$(IMAGE)} HSCBOX_SIF=$${HSCBOX_SIF-$(SIF)} HSCBOX_ENGINE=$(ENGINE) \
		$(BIN)/python -m pytest -m container tests/container

# Needs uv on the PATH; one set of versions for Python 3.11 and later. The images get those of the program without
# its tests, and the tools that build them.
lock:
	uv pip compile --universal --generate-hashes --fork-strategy fewest --python-version 3.11 --all-extras \
		--no-emit-index-url --quiet pyproject.toml --output-file requirements.lock
	uv pip compile --universal --generate-hashes --fork-strategy fewest --python-version 3.11 --extra batch \
		--extra parquet --constraint requirements.lock --no-emit-index-url --no-annotate --quiet \
		--custom-compile-command "make lock" pyproject.toml --output-file .container/requirements.lock
	uv pip compile --universal --generate-hashes --python-version 3.13 --no-emit-index-url --no-annotate --quiet \
		--custom-compile-command "make lock" .container/tools.in --output-file .container/tools.lock

clean:
	rm -rf demo bench $(VENV)
