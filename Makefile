# The main commands are `make run` and `make test`. Each first builds .venv if its lock has changed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
REGRAFT := $(VENV)/bin/regraft
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
LOCK := $(VENV)/bin/uv pip compile --quiet --generate-hashes --allow-unsafe --no-annotate --no-header
LOCK_311 := $(LOCK) --upgrade --python-version 3.11 --override overrides.txt --override overrides-3.11.txt
LOCK_312 := $(LOCK) --override overrides.txt --python-platform x86_64-manylinux_2_39 $(addprefix --upgrade-package ,kfp kfp-kubernetes kfp-pipeline-spec)
DEMO := data/traffic_lights.yaml
CONFIG ?= $(DEMO)
BASE_PYTHON ?=
ACCELERATOR ?= cpu
IMAGE ?= regraft:$(ACCELERATOR)

PYTEST = temporary=$$(mktemp -d); trap 'rm -rf "$$temporary"' EXIT; TMPDIR=$$temporary $(PYTHON) -m pytest

.PHONY: help run test test-fast test-image test-pods test-beam test-changed test-cluster test-platforms kubeflow image lint format docs screenshots lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 22

run: $(VENV)/ready ## run the pipeline on the demo photos, or on CONFIG=my.yaml
	@if [[ "$(CONFIG)" == "$(DEMO)" ]]; then $(PYTHON) data/prepare_traffic_lights.py; fi
	@$(REGRAFT) run "$(CONFIG)"

# The tests write gigabytes of temporary files, which are deleted at the end.
test: $(VENV)/ready ## run all tests but those of test-image, -pods, -beam, -cluster and -platforms
	@$(PYTEST) -n 2 --no-loadscope-reorder -m "not image and not pods and not beam and not cluster and not platforms" $(ARGS)

test-fast: $(VENV)/ready ## run the tests that need neither TensorFlow nor minutes
	@$(PYTEST) -n 2 --no-loadscope-reorder --fast $(ARGS)

test-image: ## build the image's environment as its Dockerfile says, and start every stage in it
test-pods: ## run the demo in emulated pods, and have Kubeflow Pipelines' own code read packages; needs Go
test-beam: ## run Beam stages on a real Flink and a real Spark; needs Java and Maven

# ARGS may leave tests out, so nothing is recorded with them.
test-image test-pods test-beam: test-%: $(VENV)/ready
	@$(PYTEST) -m $* --no-skips $(ARGS)
	@$(if $(ARGS),echo "tests/passed.json stays as it was: with ARGS nothing is recorded",$(PYTHON) tests/helpers/tiers.py passed $*)

test-changed: $(VENV)/ready ## run those of test-image, -pods and -beam whose files changed since they passed
	@tiers=$$($(PYTHON) tests/helpers/tiers.py changed); for tier in $$tiers; do $(MAKE) "test-$$tier"; done

# CI runs neither of the next two, and nothing is recorded. Both need root, and keep what they make in ~/.cache/regraft.
test-cluster: $(VENV)/ready ## run the demo on a real Kubernetes with Kubeflow Pipelines; needs root and Go
	@$(PYTHON) tests/helpers/cluster_programs.py
	@$(PYTEST) -m cluster --verbose tests/cluster $(ARGS)

test-platforms: $(VENV)/ready ## run the demo and the fast tests on Debian 13 with Python 3.13 and 3.12, in a chroot
	@$(PYTEST) -m platforms tests/platforms $(ARGS)

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

# requirements.lock is for Python 3.11, requirements-3.12.lock for 3.12 and later. The second begins as a copy of the first,
# whose versions uv then keeps where it can; kfp is upgraded, because TFX bounds it on 3.11 only. The image's lock has the
# same versions as requirements.lock. gpu.lock has the packages that TensorFlow needs on GPUs and the image's lock lacks:
# NVIDIA's libraries.
lock: $(VENV)/ready ## update the locks from requirements*.in and overrides*.txt
	@$(LOCK_311) --output-file requirements.lock requirements.in requirements-dev.in > /dev/null
	@cp requirements.lock requirements-3.12.lock
	@$(LOCK_312) --python-version 3.12 --output-file requirements-3.12.lock requirements.in requirements-dev.in > /dev/null
	@$(LOCK_312) --python-version 3.13 --constraint requirements-3.12.lock requirements.in requirements-dev.in \
		| diff - requirements-3.12.lock || { echo "Python 3.13 needs other packages than 3.12: see above" >&2; exit 1; }
	@$(LOCK_311) --constraint requirements.lock --output-file kubeflow/requirements.lock requirements.in > /dev/null
	@gpu=$$(mktemp); $(LOCK) --upgrade --python-version 3.11 --constraint requirements.lock kubeflow/gpu.in > "$$gpu"; \
	awk '/^[a-z]/ { first = NR == FNR; wanted = !first && !($$1 in held); if (first) held[$$1] } wanted' \
		requirements.lock "$$gpu" > kubeflow/gpu.lock; \
	rm "$$gpu"

image: ## build the container image IMAGE for ACCELERATOR=cpu or gpu; needs Docker
	@docker build --platform linux/amd64 --file kubeflow/Dockerfile --tag "$(IMAGE)" --build-arg ACCELERATOR="$(ACCELERATOR)" \
		--build-arg GIT_REVISION="$$(git describe --always --dirty --abbrev=40 --exclude='*')" .

clean: ## delete .venv and everything that was built; workspace/ stays
	@rm -rf $(VENV) build *.egg-info

# A .venv of another version than BASE_PYTHON is built again. Without BASE_PYTHON, .venv keeps its version.
VERSION := -c 'import sys; print(sys.version_info[:2])'
ifneq ($(BASE_PYTHON),)
ifneq ($(shell $(PYTHON) $(VERSION) 2>/dev/null),$(shell $(BASE_PYTHON) $(VERSION) 2>/dev/null))
.PHONY: $(VENV)/dependencies
endif
endif

# Each marker file is written last, so an interrupted build starts again. The first one says from which minor version of
# Python and which lock .venv was built, so a change of the other lock builds nothing. The first step installs the
# packages that build and install the others, so only packages in the lock are downloaded. Each step checks the hashes.
$(VENV)/dependencies: requirements.lock requirements-3.12.lock
	@found=$$(sh find_python.sh $(BASE_PYTHON)); { read -r python; read -r lock; } <<< "$$found"; \
	wanted="$$("$$python" --version | cut -d . -f 1,2) $$(sha256sum < "$$lock")"; \
	if [[ -x $(PYTHON) && "$$(cat $@ 2>/dev/null)" == "$$wanted" ]]; then touch $@; exit; fi; \
	echo "building $(VENV) with $$python and $$lock (about 4.2 GB, a few minutes)"; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV) || { echo "$$python cannot create a virtual environment; on Debian and Ubuntu: apt install python3-venv, or that of its version" >&2; exit 1; }; \
	awk '/^[a-z]/ { wanted = /^(pip|setuptools|wheel)==/ } wanted' "$$lock" > $(VENV)/first.lock; \
	$(INSTALL) --require-hashes -r $(VENV)/first.lock; \
	$(INSTALL) --require-hashes -r "$$lock"; \
	echo "$$wanted" > $@

$(VENV)/ready: $(VENV)/dependencies setup.py
	@PYTHONWARNINGS=ignore $(INSTALL) --editable .
	@touch $@
