# Two commands do all: `make run` and `make test`. Each builds .venv first, if requirements.lock has changed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
DEMO := data/traffic_lights.yaml
CONFIG ?= $(DEMO)

.PHONY: help run test kubeflow lint format docs lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

run: $(VENV)/ready ## run the pipeline on the demo photos, or on CONFIG=my.yaml
	@if [[ "$(CONFIG)" == "$(DEMO)" ]]; then $(PYTHON) data/prepare_traffic_lights.py; fi
	@$(PYTHON) -m pipeline.local_runner --config "$(CONFIG)"

test: $(VENV)/ready ## run all tests
	@$(PYTHON) -m pytest -n 2 --dist loadfile $(ARGS)

kubeflow: $(VENV)/ready ## compile CONFIG=my.yaml, which has a section kubeflow, for Kubeflow Pipelines
	@$(PYTHON) -m kubeflow.compile --config "$(CONFIG)"

lint: $(VENV)/ready ## check style, formatting and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/ready ## format the code
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

docs: $(VENV)/ready ## write the pages of docs/ that are made from the code
	@$(PYTHON) docs/generate.py

lock: $(VENV)/ready ## resolve requirements.in and overrides.txt anew into requirements.lock
	@$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --override overrides.txt --generate-hashes --allow-unsafe \
		--no-annotate --no-header --upgrade --output-file requirements.lock requirements.in

clean: ## remove .venv and what was built; workspace/ stays
	@rm -rf $(VENV) build *.egg-info

# Each marker file is written last: an interrupted build starts over. The first step installs what builds and installs
# the rest, so that nothing is fetched but what the lock names; each step checks the hashes.
$(VENV)/dependencies: requirements.lock
	@python=$$(sh find_python.sh); \
	echo "building $(VENV) with $$python (about 3 GB, a few minutes)"; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV) || { echo "$$python can't make a virtual environment; on Debian and Ubuntu: apt install python3.11-venv" >&2; exit 1; }; \
	awk '/^[a-z]/ { wanted = /^(pip|setuptools|wheel)==/ } wanted' requirements.lock > $(VENV)/first.lock; \
	$(INSTALL) --require-hashes -r $(VENV)/first.lock; \
	$(INSTALL) --require-hashes -r requirements.lock; \
	touch $@

$(VENV)/ready: $(VENV)/dependencies setup.py
	@PYTHONWARNINGS=ignore $(INSTALL) --editable .
	@touch $@
