# Every target works from a clean clone with python3.11, python3.11-venv, make, gcc and git.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
LOCK := constraints.txt
# By another name than MAKE, so that make -n does not run the line that it stands in, which runs the tests, too.
MAKE_AGAIN = $(MAKE)
STYLE = $(MAKE_AGAIN) --no-print-directory style

# Where a shell forbids it, each of the many processes that the tests start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check style bench lock clean help

help:
	@echo "make demo    a real PostgreSQL, destroyed and recovered before your eyes"
	@echo "make test    everything that proves the product, on real servers"
	@echo "make check   style, types, layers, the rules of the house, generated pages"
	@echo "make bench   side by side with the peers and the raw limits"
	@echo "make lock    renew $(LOCK) from pyproject.toml"

# Versions and hashes come from the lock; nothing is resolved at install time. Told on standard error: what make demo prints may
# be piped.
$(VENV)/.installed: pyproject.toml $(LOCK)
	@echo "installing what $(LOCK) lists into $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(LOCK) >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . >&2
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/understudy demo $(ARGS)

# Style is a minute of one processor: beside the tests, and told behind them. A shell lets Ctrl-C pass what runs in its background.
test: $(VENV)/.installed
	$(BIN)/python tests/prepare.py
	@told=$$(mktemp); $(STYLE) >$$told 2>&1 & style=$$!; trap "kill $$style" INT TERM; \
	$(BIN)/python -m pytest --numprocesses 4 --dist worksteal $(ARGS); tests=$$?; \
	wait $$style; style=$$?; cat $$told; rm $$told; exit $$((tests | style))

check: style
	$(BIN)/python -m pytest tests/tidy tests/stack/test_reference.py tests/cli/test_reference.py

# What check does beside its tests, which are among all tests.
style: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.installed
	$(BIN)/python -m bench $(ARGS)

lock:
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --no-annotate --all-extras --all-build-deps --output-file $(LOCK) pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
