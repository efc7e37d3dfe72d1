# Two commands do everything on a fresh machine with Python 3.11+: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ONCE ?=
STAMP := $(VENV)/.installed

.PHONY: env demo dev test check format lock bench chaos fuzz clean

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "commerce needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked environment into $(VENV) (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: env
	@$(BIN)/commerce demo $(if $(ONCE),--once)

dev: env
	@$(BIN)/commerce dev --reload

test: env
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: env
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: env
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: env
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock

bench: env
	@$(BIN)/commerce bench --write docs/benchmarks.md

chaos: env
	@$(BIN)/commerce chaos

fuzz: env
	@FUZZ_SEED=$(or $(FUZZ_SEED),0) FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),1000) $(BIN)/python -m pytest tests/product/test_fuzz.py -s

clean:
	@if [ -x $(BIN)/commerce ]; then $(BIN)/commerce clean; else rm -rf .commerce; fi
