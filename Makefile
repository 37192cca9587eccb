# The targets people type. Everything runs in .venv, which `install` makes; nothing but python3 is needed.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install lint test others other mutants attack chaos model demo bench scale clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

install: $(STAMP)  ## build .venv with the package (editable) and the development tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "likes needs Python 3.11 or newer; name one: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[http]' --group dev
	@touch $(STAMP)

lint: install  ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: lint  ## lint, then all tests on real servers, which they start themselves
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

others: install  ## the fundamentals, forks and event loops on Python 3.12 and 3.13, where they are installed
	@for version in 3.12 3.13; do \
	    for python in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python; do \
	        $$python --version 2>/dev/null || continue; \
	        $(MAKE) --no-print-directory OTHER=$$python other && break || exit 1; \
	    done; \
	done

other:
	$(OTHER) -m venv --clear .venv/other
	.venv/other/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv/other/bin/python -m pip install --quiet --editable '.[http]' --group dev
	.venv/other/bin/python -m pytest -q tests/fundamentals tests/conformance/test_event_loops.py tests/conformance/test_forks.py
	@rm -rf .venv/other

mutants: install  ## break the code in small ways: a test must notice each (ARGS=hand_off: those of one file)
	$(BIN)/python -m tests.mutants $(ARGS)

attack: install  ## tests/attack, crash and property with many more random histories (ARGS: those of pytest)
	$(BIN)/python -m pytest tests/attack tests/crash tests/property --numprocesses 2 --hypothesis-profile=attack $(ARGS)

chaos: install  ## break everything under load and count, for ten minutes (MINUTES=60 SEED=7; ONLY=3: that round of a seed)
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

model: install  ## the protocol's rules, over every interleaving of small histories (minutes; pypy3 is four times as fast)
	$(BIN)/python -m tests.model

demo: install  ## the main job on real data: replay, kill, reconcile
	$(BIN)/likes demo $(ARGS)

bench: install  ## the figures the project promises, as ratios inside one run
	$(BIN)/python -m tests.bench $(ARGS)

scale: install  ## what ten million pending items and twenty million rows cost (half an hour, 12 GB; docs/scale.md)
	$(BIN)/python -m tests.scale $(ARGS)

clean:  ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
