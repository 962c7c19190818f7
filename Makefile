# Everything a newcomer and CI need: `make demo` to see it, `make test` to check it. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Further arguments for pytest, e.g. `make test ARGS='-k stun'`.
ARGS ?=

COMPILED := $(wildcard sfu/fast/*.pyx sfu/fast/*.pxd sfu/fast/*.h)
SANITIZED := build/sanitize
# UBSan must stop the test run, not only print; -O1 keeps the stack traces readable.
SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1

.PHONY: help setup build demo test lint format bench bench-check bench-tables bench-quality test-sanitize wheel lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(VENV)/.built ## virtual environment, locked dependencies, the compiled core

# One of them, pesq, has no wheels: pip compiles it, with a Cython and a numpy of its own choice.
$(VENV)/.dependencies: requirements.lock .ci/check-python
	@$(PYTHON) .ci/check-python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@touch $@

# --no-build-isolation: the locked setuptools and Cython build it, nothing unpinned is fetched.
$(VENV)/.built: $(VENV)/.dependencies pyproject.toml $(COMPILED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# SFU_SANITIZE=1 builds a copy under ASan and UBSan, which leaves the normal build alone.
ifdef SFU_SANITIZE
build: $(SANITIZED)/.built
else
build: setup ## the compiled core alone (SFU_SANITIZE=1: into build/sanitize, under ASan and UBSan)
endif

demo: setup ## the daemon, the club in front of it and two bots on stage
	$(BIN)/python -m deploy.club

lint: setup ## ruff, mypy --strict, import contracts, tsc where Node is
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	.ci/check-js

format: setup ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup lint ## lint, then every test; REQUIRE_ALL=1 makes a skip a failure
	$(BIN)/python -m pytest $(ARGS)

bench: setup ## what a forwarded packet costs, beside the floor of the kernel and the cipher
	$(BIN)/python -m bench.micro $(ARGS)

bench-check: setup ## short reference loads against the stored ratios; fails beyond 15 % (ARGS=--update stores them)
	$(BIN)/python -m bench.check $(ARGS)

bench-tables: setup ## bench/RESULTS.md from bench/measurements (ARGS='--measure all' makes those first)
	$(BIN)/python -m bench.tables $(ARGS)

bench-quality: setup ## bench/QUALITY.md: PESQ of what listeners decode under loss (needs flite, alsa-utils)
	$(BIN)/python -m bench.quality $(ARGS)

$(SANITIZED)/.built: $(VENV)/.built $(COMPILED) pyproject.toml
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED)
	tar -c --exclude='*.so' --exclude='*.c' --exclude=__pycache__ control sfu pyproject.toml README.md LICENSE | tar -x -C $(SANITIZED)
	cd $(SANITIZED) && CFLAGS="$(SANITIZE_FLAGS)" LDFLAGS="-fsanitize=address,undefined" \
		../../$(BIN)/python -c 'from setuptools import setup; setup()' --quiet build_ext --inplace
	@touch $@

# The tests and the Python sources are copied anew each time; the current directory goes before the
# editable install. libasan must be there before the interpreter, whose own allocator would hide
# overflows, and whose exit leaks by design. pytest's fault handler and its capture of standard
# error would hide ASan's report.
test-sanitize: $(SANITIZED)/.built ## the tests of the compiled core under ASan and UBSan
	rm -rf $(SANITIZED)/tests
	tar -c --exclude='*.so' --exclude='*.c' --exclude=__pycache__ control sfu tests pyproject.toml | tar -x -C $(SANITIZED)
	cd $(SANITIZED) && LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		PYTHONMALLOC=malloc ROSTRUM_SANITIZED=1 \
		../../$(BIN)/python -m pytest -p no:faulthandler --capture=sys -o timeout=300 $(or $(ARGS),tests/fast)

wheel: setup ## a wheel in dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

# A lock holds names, versions and hashes for every Python from 3.11 on; uv computes it in a throwaway environment.
# The images' locks are parts of the first one, by its versions.
UV_COMPILE = build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet
lock: ## recompute requirements.lock, and those of the images
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv<1'
	$(UV_COMPILE) pyproject.toml --extra dev -o requirements.lock
	$(UV_COMPILE) pyproject.toml --extra server --constraints requirements.lock -o deploy/container/server.lock
	$(UV_COMPILE) pyproject.toml --extra club --constraints requirements.lock -o deploy/container/club.lock
	printf '%s\n' setuptools Cython | $(UV_COMPILE) - --constraints requirements.lock -o deploy/container/build.lock

clean: ## back to a fresh checkout
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/output
	rm -f sfu/fast/*.so sfu/fast/*.c sfu/fast/*.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
