PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Some tests wait for programs that they start: with two processes a core would have nothing to do.
ON_BOTH_CORES := -n 3 --dist worksteal
# The long tests mostly wait: for deadlines, leases and processes that end. Each is handed out by
# itself, those that take longest first, so that none of them is begun when the others are done.
ON_BOTH_CORES_WAITING := -n 5 --dist load --maxschedchunk 1
# Else each process of pytest compiles all tests anew, for eight seconds.
export PYTHONDONTWRITEBYTECODE :=

# The figures that the tests print, and which take longest.
TELLING := -rP --show-capture=stdout --durations=20

.PHONY: help run setup test browser faults bench lint format

help:  ## List what you can make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.done  ## Hold a conversation on this machine, here or in your browser, without Twilio
	@$(BIN)/python smsconvo.py rehearse

setup: $(VENV)/run.done  ## Set up .venv with what smsconvo needs to run

test: $(VENV)/dev.done  ## Run the tests: three minutes on two cores
	@$(BIN)/python -m pytest -m "not long" --failed-first $(ON_BOTH_CORES) --ignore=tests/faults --ignore=tests/browser

browser: $(VENV)/dev.done  ## Run the tests of the console in Chromium, which must be installed
	@$(BIN)/python -m pytest --long tests/browser $(ON_BOTH_CORES)

faults: $(VENV)/dev.done  ## Run the long tests: crashes, power cuts, full disks, Chromium (twenty minutes)
	@status=0; \
	$(BIN)/python -m pytest --long $(TELLING) -m "long and not alone" $(ON_BOTH_CORES_WAITING) || status=1; \
	$(BIN)/python -m pytest --long $(TELLING) -m alone tests/faults || status=1; \
	exit $$status

bench: $(VENV)/dev.done  ## Measure turns per second and what a turn costs; see docs/performance.md
	@$(BIN)/python bench/turns.py
	@$(BIN)/python bench/layers.py
	@$(BIN)/python bench/several.py
	@$(BIN)/python bench/plot.py

lint: $(VENV)/dev.done  ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/dev.done  ## Correct style and formatting
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# pip may not read a text that is waiting in the pipe to `make run`.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check < /dev/null

$(BIN)/python:
	@echo "Setting up $(VENV) (once)" >&2
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("smsconvo needs Python 3.11 or newer. Say which: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.done: requirements.txt | $(BIN)/python
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/dev.done: requirements-dev.txt requirements.txt | $(BIN)/python
	@$(INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/run.done
