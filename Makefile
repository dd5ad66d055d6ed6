# make demo    the main job on bundled real data, from a fresh checkout
# make test    every test, from a fresh checkout
# make lint    ruff and pyright
# make bench   training and loading speed against the loops that a user would write
# make wheel   the distribution

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Several processes at once, each of which imports one framework at most.
PYTEST := $(BIN)/python -m pytest -q -n auto --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-core test-flows test-torch test-tensorflow test-jax test-parity lint bench wheel env constraints clean

env: $(READY)

# The environment is made, or brought up to date when what it is made from has changed. One whose making was
# interrupted has no pip that works, and is made anew.
$(READY): constraints.txt pyproject.toml plugins/recurra-jax/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: recurra needs Python 3.11 or newer as PYTHON ($(PYTHON) is older); try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "error: $(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "Making the environment in $(VENV) (some minutes, once)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--editable ".[torch,tensorflow,ray,plugins,tensorboard,dev]" --editable "plugins/recurra-jax[jax]"
	@touch $@

demo: env
	@$(BIN)/recurra run flows/experiments/digits-fusion.yaml

test: test-core test-flows test-torch test-tensorflow test-jax test-parity

# One process for each framework: no two of them are ever imported into the same one.
test-core: env
	$(PYTEST) tests/core
test-flows: env
	$(PYTEST) tests/flows
test-torch: env
	$(PYTEST) tests/torch
test-tensorflow: env
	$(PYTEST) tests/tensorflow
test-jax: env
	$(PYTEST) plugins/recurra-jax
test-parity: env
	$(PYTEST) tests/parity

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: env
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	@$(BIN)/python -m bench

wheel: env
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

constraints: env
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/frozen.txt
	{ echo "# The versions that recurra is developed and tested with. Made by: make constraints"; \
	  sed 's/+cpu$$//' $(VENV)/frozen.txt; } > $(VENV)/constraints.txt
	mv $(VENV)/constraints.txt constraints.txt

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
