# make demo    project the demo clip, edit it by words, render it at five times its frame rate
# make test    lint, types and tests
# make lint    lint and types alone
# make bench   speed of rendering, projection and training, fast path against reference
# make accept  every acceptance figure of the project, in one table
#
# Each sets up .venv when it is missing or older than pyproject.toml and constraints.txt. Another Python: make PYTHON=/path/to/python3.12 …

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2

# Threads that spin while they wait starve each other as soon as two processes share the cores.
export OMP_WAIT_POLICY ?= passive

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench accept

help:
	@sed -n 's/^# make/make/p' Makefile

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "vedit needs Python 3.11 or newer: none found; install one or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"vedit needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}: say make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || { echo "Creating $(VENV) with $(PYTHON)"; "$(PYTHON)" -m venv $(VENV); }
	@echo "Installing into $(VENV) (about 2 GB, once) …"
	@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,face,scenes,watch,metrics]' \
		| sed -u -n -e 's/^Collecting \([^ ]*\).*/  \1/p' -e 's/^Installing collected.*/  installing …/p' -e 's/^Successfully installed .*/  done/p'
	@touch $(READY)

demo: $(READY)
	@$(BIN)/vedit demo

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: lint
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

bench: $(READY)
	@$(BIN)/vedit bench

accept: $(READY)
	@$(BIN)/python -m tests.accept
