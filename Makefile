# Everything a person does with this clone. `make` alone lists it.
#
# Each target that needs the Python environment makes it first (.ci/setup.sh; at once when it is
# there). Nothing is written outside .venv, .dam, .demo and caches that git ignores.

SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
export PYTHON

.PHONY: help setup demo test test-faults dev servers servers-stop lint check docs bench bench-long bench-servers accuracy lock clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## Install what is missing: system tools, and the pinned Python environment in .venv
	@.ci/setup.sh

demo: export DAM_PROFILE := bundled
demo: setup ## Run the pipeline on a small library of samples, or on your own: make demo MEDIA=/folder
	@$(BIN)/python -m dam_pipeline.cli.demo $${MEDIA:+--media "$$MEDIA"}

test test-faults bench bench-servers servers: export WITH_SERVERS := 1
test: export DAM_PROFILE := bundled
test: setup ## Run all tests, with real servers; make test ARGS="-k shots" runs some
	@DAM_TEST_REQUIRE_SERVERS="$$(.ci/servers.sh build)" $(BIN)/pytest $(ARGS)

test-faults: setup ## Break everything on purpose, as often as docs/reference/faults.md says (45 minutes)
	@.ci/servers.sh build >/dev/null
	@$(BIN)/python -m dam_pipeline_tests.faults --write docs/reference/faults.md $(ARGS)

dev: export DAM_HOME ?= .dam
dev: setup ## Start the UI, daemon and sensors (DAM_HOME, default .dam; DAM_PROFILE; DAM_PORT)
	@$(BIN)/dam init
	@$(BIN)/dam ui

servers: setup ## Start Postgres, S3, Redis, NATS, Weaviate, SFTP, FTPS of our own; settings in .servers.env
	@.ci/servers.sh start

servers-stop: ## Stop these servers and delete all that they hold
	@.ci/servers.sh stop

lint: setup ## Check format, style, types and the import contracts
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test ## All that must hold before a change lands: lint and test

docs: setup ## Write the reference pages anew from settings, commands and schemas
	@$(BIN)/python -m dam_pipeline.cli.reference_pages docs/reference

bench bench-long bench-servers accuracy: export DAM_PROFILE := bundled
bench: setup ## Measure the speed against bare tools (at most 40 minutes on 2 cores)
	@$(BIN)/python benchmarks/run.py

bench-long: setup ## Measure what takes longer: faces, search, the graph, a large library
	@$(BIN)/python benchmarks/run.py --long

bench-servers: setup ## Measure what servers cost: Weaviate, S3, sensor ticks, workers
	@.ci/servers.sh build >/dev/null
	@$(BIN)/python benchmarks/run.py --servers

accuracy: setup ## Measure what is right, on generated truth; each script also takes a labelled folder
	@set -e; for script in benchmarks/accuracy/*.py; do \
	    if grep -q __main__ "$$script"; then $(BIN)/python "$$script"; fi; done

lock: setup ## Choose the newest versions that pyproject.toml allows and pin them
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	    --all-extras --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	    --output-file requirements.lock
	@.ci/setup.sh

clean: ## Remove the demo, caches and build leftovers; .venv and .dam stay
	@rm -rf .demo .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist *.egg-info
	@find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +
