# With Python 3.11 and make alone: `make demo`, `make test`. `make help` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
LOCKED := .venv/.locked
READY := .venv/.ready
ARGS ?=
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help demo serve test check crash bench bench-content bench-trouble docs lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## make videos with simulated vendors; no key is needed
	$(BIN)/videogate demo $(ARGS)

serve: $(READY) ## run the gateway; settings come from .env
	$(BIN)/videogate serve $(ARGS)

test: $(READY) ## run the tests; ARGS="-k name" picks some
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

crash: $(READY) ## kill the gateway everywhere, judge what is left; ARGS="--loops 20 --kills 500" for more
	PYTHONPATH=tests $(BIN)/python -m crash.run $(ARGS)

bench: $(READY) ## measure creates and reads; ARGS="--count 500" for less
	$(BIN)/python bench/run.py $(ARGS)

bench-content: $(READY) ## measure how videos stream; ARGS="--mib 20 --rounds 1" for less
	$(BIN)/python bench/content.py $(ARGS)

bench-trouble: $(READY) ## measure what a hanging vendor costs the others; ARGS="--count 10" for less
	$(BIN)/python bench/trouble.py $(ARGS)

# The newest versions that pyproject.toml allows, with the hashes of every file of theirs. The machine's own pip settings
# stay out of it: a lock names no place to fetch from.
COMPILE = env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT PIP_CONFIG_FILE=/dev/null \
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options pyproject.toml

docs: $(READY) ## write docs/vendors and docs/errors.md from the facts in the code
	$(BIN)/python docs/generate.py

lock: $(READY) ## renew requirements/
	$(COMPILE) --extra dev --all-build-deps --output-file requirements/dev.txt
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) --constraint requirements/dev.txt --all-build-deps --only-build-deps --output-file requirements/build.txt

clean: ## remove everything that was made here, except data/ and .env
	rm -rf .venv build dist demo-videos .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The packages are installed anew whenever the lock changes, the project whenever its metadata does.
# --no-compile: Python compiles what it really imports.
$(READY): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --no-build-isolation --editable .
	@touch $@

$(LOCKED): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "videogate needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes --no-deps -r requirements/dev.txt
	@touch $@
