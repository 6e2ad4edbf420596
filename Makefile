# make demo: from a fresh clone to scores. make test: the tests. make ui: the Dagster UI. make setup: only the installing.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3,$(shell $(p) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,12))' >/dev/null 2>&1 && command -v $(p))))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: setup demo ui test lint lock reference clean

setup: $(READY)

# torch comes first and alone: where the index or a local folder has a CPU build, that one is taken, and it brings what it needs.
# The rest is the complete lock, so nothing has to be resolved.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tokka needs Python 3.11 or 3.12 (PYTHON=/path/to/python3.11 make setup)."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) (two to four minutes) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)
	@echo "Installed. \`$(BIN)/tokka --help\` shows the commands."

demo: setup
	@$(BIN)/tokka run mini

ui: setup
	@$(BIN)/tokka ui

# The tests of a file run in one of two workers. What fails there runs once more with nothing beside it, and that counts:
# some tests watch processes by the clock. Why a test is skipped stands at the end.
test: setup
	@$(BIN)/python -m pytest -rs -n 2 --dist loadfile --no-loadscope-reorder || { test $$? -eq 1 && \
		echo "What failed runs once more, alone:" && $(BIN)/python -m pytest --last-failed; }

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# Makes the lock again from the bounds in pyproject.toml, in a new environment.
lock:
	@infra/lock.sh $(PYTHON)

# Makes docs/recipes.md from the types of recipes and profiles.
reference: setup
	@$(BIN)/python -m infra.reference

clean:
	rm -rf $(VENV) .tokka build *.egg-info
