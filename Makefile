# The main commands are `make run` and `make test`. Each first builds .venv if requirements.lock has changed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
REGRAFT := $(VENV)/bin/regraft
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
LOCK := $(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --allow-unsafe --no-annotate --no-header --upgrade
DEMO := data/traffic_lights.yaml
CONFIG ?= $(DEMO)
ACCELERATOR ?= cpu
IMAGE ?= regraft:$(ACCELERATOR)

PYTEST = temporary=$$(mktemp -d); trap 'rm -rf "$$temporary"' EXIT; TMPDIR=$$temporary $(PYTHON) -m pytest

.PHONY: help run test test-fast test-image test-pods test-beam test-changed test-cluster kubeflow image lint format docs screenshots lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 19

run: $(VENV)/ready ## run the pipeline on the demo photos, or on CONFIG=my.yaml
	@if [[ "$(CONFIG)" == "$(DEMO)" ]]; then $(PYTHON) data/prepare_traffic_lights.py; fi
	@$(REGRAFT) run "$(CONFIG)"

# The tests write gigabytes of temporary files, which are deleted at the end.
test: $(VENV)/ready ## run all tests but those of test-image, test-pods, test-beam and test-cluster
	@$(PYTEST) -n 2 --no-loadscope-reorder -m "not image and not pods and not beam and not cluster" $(ARGS)

test-fast: $(VENV)/ready ## run the tests that need neither TensorFlow nor minutes
	@$(PYTEST) -n 2 --no-loadscope-reorder --fast $(ARGS)

test-image: ## build the image's environment as its Dockerfile says, and start every stage in it
test-pods: ## run the demo in emulated pods, and have Kubeflow Pipelines' own code read packages; needs Go
test-beam: ## run Beam stages on a real Flink and a real Spark; needs Java and Maven

# ARGS may leave tests out, so nothing is recorded with them.
test-image test-pods test-beam: test-%: $(VENV)/ready
	@$(PYTEST) -m $* --no-skips $(ARGS)
	@$(if $(ARGS),echo "tests/passed.json stays as it was: with ARGS nothing is recorded",$(PYTHON) tests/helpers/tiers.py passed $*)

# Nothing is recorded, and CI doesn't run it: it needs root, and at first half an hour for its programs.
test-cluster: $(VENV)/ready ## run the demo on a real Kubernetes with Kubeflow Pipelines; needs root and Go
	@$(PYTHON) tests/helpers/cluster_programs.py
	@$(PYTEST) -m cluster -rs --verbose tests/cluster $(ARGS)

test-changed: $(VENV)/ready ## run those of these three whose files changed since they passed
	@tiers=$$($(PYTHON) tests/helpers/tiers.py changed); for tier in $$tiers; do $(MAKE) "test-$$tier"; done

kubeflow: $(VENV)/ready ## compile CONFIG=my.yaml for Kubeflow Pipelines; it needs a section kubeflow
	@$(REGRAFT) kubeflow compile "$(CONFIG)"

lint: $(VENV)/ready ## check style, formatting and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/ready ## format the code
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

docs: $(VENV)/ready ## write the generated pages of docs/
	@$(PYTHON) docs/generate.py $(ARGS)

screenshots: $(VENV)/ready ## take the README's screenshots of the demo's report; needs `make run` before, and Chromium
	@$(PYTHON) docs/screenshots.py

# The image's lock has the same versions as requirements.lock, with which the tests run. gpu.lock has the packages that
# TensorFlow needs on GPUs and requirements.lock lacks: NVIDIA's libraries.
lock: $(VENV)/ready ## update requirements.lock and the image's locks from requirements*.in and overrides.txt
	@$(LOCK) --override overrides.txt --output-file requirements.lock requirements.in requirements-dev.in
	@$(LOCK) --override overrides.txt --constraint requirements.lock --output-file kubeflow/requirements.lock requirements.in
	@gpu=$$(mktemp); $(LOCK) --constraint requirements.lock kubeflow/gpu.in > "$$gpu"; \
	awk '/^[a-z]/ { first = NR == FNR; wanted = !first && !($$1 in held); if (first) held[$$1] } wanted' \
		requirements.lock "$$gpu" > kubeflow/gpu.lock; \
	rm "$$gpu"

image: ## build the container image IMAGE for ACCELERATOR=cpu or gpu; needs Docker
	@docker build --platform linux/amd64 --file kubeflow/Dockerfile --tag "$(IMAGE)" --build-arg ACCELERATOR="$(ACCELERATOR)" \
		--build-arg GIT_REVISION="$$(git describe --always --dirty --abbrev=40 --exclude='*')" .

clean: ## delete .venv and everything that was built; workspace/ stays
	@rm -rf $(VENV) build *.egg-info

# Each marker file is written last, so an interrupted build starts again. The first step installs the packages that
# build and install the others, so only packages in the lock are downloaded. Each step checks the hashes.
$(VENV)/dependencies: requirements.lock
	@python=$$(sh find_python.sh); \
	echo "building $(VENV) with $$python (about 4.2 GB, a few minutes)"; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV) || { echo "$$python cannot create a virtual environment; on Debian and Ubuntu: apt install python3.11-venv" >&2; exit 1; }; \
	awk '/^[a-z]/ { wanted = /^(pip|setuptools|wheel)==/ } wanted' requirements.lock > $(VENV)/first.lock; \
	$(INSTALL) --require-hashes -r $(VENV)/first.lock; \
	$(INSTALL) --require-hashes -r requirements.lock; \
	touch $@

$(VENV)/ready: $(VENV)/dependencies setup.py
	@PYTHONWARNINGS=ignore $(INSTALL) --editable .
	@touch $@
