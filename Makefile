# Every target sets itself up: as an ordinary user, with no root and no account.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
PROJECT := $(INSTALL) --no-deps --no-build-isolation --editable .

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

.PHONY: run
run: $(VENV)/run  ## start the local cloud and an agent that reports this machine's values to it; Ctrl-C ends both
	@$(BIN)/thingmeter sandbox --dir .sandbox --agent

.PHONY: test
test: $(VENV)/dev  ## every check and every test
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/run

.PHONY: bench
bench: $(VENV)/dev  ## measure, and print ratios
	@echo "one look at 10,000 sockets, CPU time" && $(BIN)/python tests/bench/sockets.py
	@echo "the whole agent for a minute, beside a bare MQTT client" && $(BIN)/python tests/bench/agent.py
	@echo "10,000 devices and one AWS account, in virtual time" && PYTHONPATH=tests $(BIN)/python tests/bench/fleet.py

.PHONY: wheel
wheel: $(VENV)/run  ## build dist/thingmeter-*.whl, to install on a device
	@rm -rf build dist
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build && ls dist/*.whl

.PHONY: lock
lock: $(VENV)/dev  ## write requirements/*.lock anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
	  pyproject.toml --all-extras --group dev --group build -o requirements/dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  pyproject.toml --all-extras --group build -c requirements/dev.lock -o requirements/run.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  pyproject.toml --extra aws -c requirements/dev.lock -o requirements/device.lock

.PHONY: clean
clean:  ## remove what the other targets made
	rm -rf $(VENV) .sandbox build dist agent/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: Python 3.11 or later is needed; this is $$($(PYTHON) --version 2>&1 || echo 'no $(PYTHON)'). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module. On Debian: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/run: $(VENV)/pyvenv.cfg requirements/run.lock pyproject.toml
	@echo "installing what the agent and the sandbox need"
	@$(INSTALL) --require-hashes -r requirements/run.lock && $(PROJECT)
	@touch $@

$(VENV)/dev: $(VENV)/pyvenv.cfg requirements/dev.lock pyproject.toml
	@echo "installing what the tests need"
	@$(INSTALL) --require-hashes -r requirements/dev.lock && $(PROJECT)
	@touch $@ $(VENV)/run
