# Everything runs in a virtual environment of its own; PYTHON says which interpreter makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_FLAGS ?=

.PHONY: demo test coverage components check dist bench format clean lab lab-fresh-machine lab-alerts lab-service lab-stack lab-faults \
	lab-pythons lab-locust lab-soak lab-kubernetes lab-api

demo: $(VENV)/.installed
	$(BIN)/obswarm demo

test: $(VENV)/.dev components
	$(BIN)/python -m pytest -n auto $(PYTEST_FLAGS)

# Branches that the unit tests run through, and those of the HTTP clients, whose servers are in the same process; it takes
# twice the CPU time, so that it is no part of make test.
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --cov= --ignore=tests/e2e --ignore-glob='tests/integration/[!h]*' $(PYTEST_FLAGS)

# Programs that the integration tests run against: servers, not libraries.
components:
	sh .ci/components

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make_metrics.py --check
	$(BIN)/python docs/make_settings.py --check
	$(BIN)/python docs/make_guards.py --check
	$(BIN)/python docs/make_picture.py --check
	$(BIN)/python examples/contest/make_compose.py --check
	$(BIN)/python dashboards/build.py --check

# Wheel and source distribution in dist/, and a demo, a load test and its report from the installed wheel.
dist: $(VENV)/.dev
	$(BIN)/python -m tests.support.release dist

# Incidents of the contest, recorded for the tests of obswarm explain. Needs root for one of the faults.
lab: $(VENV)/.dev components
	$(BIN)/python -m tests.lab.incidents

# make test in a fresh clone, with a Docker engine that has never run, beside another load test. Needs root, and that no
# Docker engine runs.
lab-fresh-machine: $(VENV)/.dev components
	PYTEST_FLAGS='$(PYTEST_FLAGS)' $(BIN)/python -m tests.lab.fresh_machine

# Pairs of runs, the first of which fails, with real Prometheus and Alertmanager.
lab-alerts: $(VENV)/.dev components
	$(BIN)/python -m tests.lab.alerts

# A master that stays is killed, its disk filled, its run crashed, at random moments: as processes, and as the stack on a
# Docker engine. Both need root.
lab-service: $(VENV)/.dev
	$(BIN)/python -m tests.lab.service

lab-stack: $(VENV)/.dev components
	$(BIN)/python -m tests.lab.stack

# Every error at every place of a run that writes.
lab-faults: $(VENV)/.dev
	$(BIN)/python -m tests.lab.faults

# Unit tests on the Pythons of Debian's releases and of its development branch. Needs root.
lab-pythons: $(VENV)/.dev components
	PYTEST_FLAGS='$(PYTEST_FLAGS)' $(BIN)/python -m tests.lab.pythons

# The corpus of locustfiles by the newest Locust, which is recorded for make test, and by obswarm.
lab-locust: $(VENV)/.dev
	$(BIN)/python -m tests.lab.locust

# The Helm chart by the newest Helm, which is recorded for make test. Needs Helm, or Go, which builds it in some minutes.
lab-kubernetes: $(VENV)/.dev
	$(BIN)/python -m tests.lab.kubernetes

# Memory and open files while thousands of users come and go.
lab-soak: $(VENV)/.dev
	$(BIN)/python -m tests.lab.soak

# The REST API against its OpenAPI document, with thousands of requests.
lab-api: $(VENV)/.dev
	$(BIN)/pip install --quiet "schemathesis>=4"
	$(BIN)/python -m pytest -q -n 0 tests/lab/rest_api.py $(PYTEST_FLAGS)

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "obswarm needs Python 3.11 or later; name one with make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml obswarm/__init__.py
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
