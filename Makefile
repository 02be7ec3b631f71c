# Everything is installed from hash-locked requirements; nothing but Python, its venv
# module and make is needed.
PYTHON ?= python3
BIN := .venv/bin
INPUT ?=

.PHONY: demo test check bench soak clean

.venv/run: requirements.lock setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The venv module is missing; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev: requirements-dev.lock .venv/run
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

demo: .venv/run
	$(BIN)/hub demo $(if $(INPUT),--input "$(INPUT)")

test: .venv/dev
	$(BIN)/python -m pytest -q -n 2

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell hub keys schemas tests docs README.md CHANGELOG.md

bench: .venv/dev
	$(BIN)/python -m bench.main

soak: .venv/dev
	SOAK_NODES=20 SOAK_SECONDS=300 $(BIN)/python -m pytest -q -s tests/scenarios/test_soak.py

clean:
	rm -rf .venv build *.egg-info
