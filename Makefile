# With Python 3.11 and make alone: `make demo`, `make test`. `make help` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
LOCKED := .venv/.locked
READY := .venv/.ready
ARGS ?=
WORKERS ?= 6

.DEFAULT_GOAL := help
.PHONY: help demo serve test check clients crash crash-replicas crash-copy bench bench-flight bench-rows bench-content bench-trouble image-rehearsal docs lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## make videos with simulated vendors; no key is needed
	$(BIN)/videogate demo $(ARGS)

serve: $(READY) ## run the gateway; settings come from .env
	$(BIN)/videogate serve $(ARGS)

test: $(READY) ## run the tests; ARGS="-k name" picks some
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clients: $(READY) ## run every client of the format; ARGS="-k litellm" picks some
	VIDEOGATE_TEST_CLIENTS=all $(BIN)/pytest tests/clients $(ARGS)

crash: $(READY) ## kill the gateway everywhere, judge what is left; ARGS="--loops 20 --kills 500" for more
	PYTHONPATH=tests $(BIN)/python -m crash.run $(ARGS)

crash-replicas: $(READY) ## kill processes that share a PostgreSQL; ARGS="--tasks 500" for less, "--stop-database 30"
	PYTHONPATH=tests $(BIN)/python -m crash.replicas $(ARGS)

crash-copy: $(READY) ## kill a gateway on SQLite with 1,000 videos in flight and move it to PostgreSQL; ARGS="--tasks 100" for less
	PYTHONPATH=tests $(BIN)/python -m crash.moving $(ARGS)

bench: $(READY) ## measure us beside a bare app and LiteLLM; ARGS="--rounds 1 --seconds 2" for less
	PYTHONPATH=tests $(BIN)/python bench/compare.py $(ARGS)

bench-flight: $(READY) ## measure the poller with thousands in flight; ARGS="--sizes 500" for less
	$(BIN)/python bench/flight.py $(ARGS)

bench-rows: $(READY) ## measure what a million rows cost; ARGS="--rows 10000" for less
	PYTHONPATH=tests $(BIN)/python bench/rows.py $(ARGS)

bench-content: $(READY) ## measure how videos stream; ARGS="--mib 20 --rounds 1" for less
	$(BIN)/python bench/content.py $(ARGS)

bench-trouble: $(READY) ## measure what a hanging vendor costs the others; ARGS="--count 10" for less
	$(BIN)/python bench/trouble.py $(ARGS)

image-rehearsal: $(READY) ## carry docker/Dockerfile out without Docker and start the result; as root, with debootstrap
	PYTHONPATH=docker $(BIN)/python -m rehearsal $(ARGS)

# The newest versions that pyproject.toml allows, with the hashes of every file of theirs. The machine's own pip settings
# stay out of it: a lock names no place to fetch from.
COMPILE = env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT PIP_CONFIG_FILE=/dev/null \
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options pyproject.toml

docs: $(READY) ## write the generated pages of docs/ from the facts in the code and the tests
	$(BIN)/python docs/generate.py
	PYTHONPATH=tests $(BIN)/python -m clients.page

lock: $(READY) ## renew requirements/
	$(COMPILE) --extra dev --all-build-deps --output-file requirements/dev.txt
	$(COMPILE) --extra postgres --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) --constraint requirements/dev.txt --all-build-deps --only-build-deps --output-file requirements/build.txt

clean: ## remove everything that was made here, except data/ and .env
	rm -rf .venv .bench .clients build dist demo-videos .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
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
