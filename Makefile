# Two commands matter: `make demo` plays the whole story, `make test` checks all of it.
# Needs python3 (3.11 or later) with venv, and make. No root. Everything lands in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
APP := $(VENV)/.installed
TOOLS := $(VENV)/.installed-test
WORKERS ?= 2
comma := ,

.PHONY: demo test lint bench mutants clean
.DELETE_ON_ERROR:

demo: $(APP)
	@$(BIN)/hypertouch demo

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(TOOLS)
	$(BIN)/python -m tests.bench

# Changes the code that decides, place by place, and counts the changes that no test notices; takes minutes.
mutants: $(TOOLS)
	@$(call install,.[test$(comma)mutants])
	rm -rf mutants
	$(BIN)/mutmut run --max-children $(WORKERS)
	$(BIN)/python -m tests.mutants

clean:
	rm -rf $(VENV) build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find policies vault gateway cli tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp a set of packages, so that nothing is installed again until pyproject.toml changes.
$(APP): $(MADE) pyproject.toml
	@$(call install,.)
	@touch $@

$(TOOLS): $(MADE) pyproject.toml
	@$(call install,.[test])
	@touch $@ $(APP)

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "hypertouch needs python3, 3.11 or later; on Debian or Ubuntu: apt install python3 python3-venv make" >&2; exit 1; }
	@if command -v uv >/dev/null; then uv venv --quiet --clear --python "$$(command -v $(PYTHON))" $(VENV); \
	else $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "hypertouch needs python3-venv; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV); fi
	@touch $@

define install
echo "installing into $(VENV) ..." >&2; \
if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python -e '$(1)'; \
else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '$(1)'; fi
endef
