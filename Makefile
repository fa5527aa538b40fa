# SPDX-License-Identifier: MIT
# The short names for what CMake and scripts/ do. `make help` lists them.

PREFIX ?= /usr/local
# For demo: stop after so many seconds. For fuzz: so many for each target.
SECONDS ?=
JOBS ?= $(shell nproc)

# The makes that CMake starts are none of this one's: they get their own options.
unexport MAKEFLAGS MAKELEVEL
.NOTPARALLEL:

.PHONY: all demo check bench faults fuzz install format check-format clean help

all: ## build everything into build/ (the default)
	@scripts/install-deps build
	@cmake --preset release -DWEIR_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$(PREFIX)"
	@cmake --build --preset release -j $(JOBS)

demo: all ## build, then run the proxy sample until Ctrl-C, or for SECONDS=n
	@scripts/demo "$(SECONDS)"

check: ## build and run every test
	@scripts/install-deps build check
	@scripts/check

bench: ## measure against the limits and other libraries; results in bench/out/ (QUICK=1: a short run)
	@scripts/install-deps build bench
	@bench/run.sh

faults: ## the tests that break, kill and flood a running gateway
	@scripts/install-deps build check
	@cmake --preset dev
	@cmake --build --preset dev -j $(JOBS)
	@WEIR_LOAD_STEPS=1000 ctest --preset dev -L faults --no-tests=error

fuzz: ## run each fuzz target for SECONDS=n (an hour if not given)
	@scripts/install-deps build check
	@cmake --preset fuzz
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/fuzz "$(or $(SECONDS),3600)"

install: all ## install below PREFIX (/usr/local), inside DESTDIR if that is set
	@cmake --install build
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

format: ## lay out the sources with clang-format
	@scripts/install-deps format
	@scripts/format

check-format: ## fail if a source is not laid out so
	@scripts/install-deps format
	@scripts/format --check

clean: ## remove everything that was built
	rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name what; do \
	    printf '  make %-13s %s\n' "$$name" "$$what"; done
