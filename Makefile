# SPDX-License-Identifier: MIT
# The short names for what CMake and scripts/ do. `make help` lists them.

PREFIX ?= /usr/local
# For demo: stop after so many seconds. For faults and fuzz: so many for each scenario or target.
SECONDS ?=
JOBS ?= $(shell nproc)

# The makes that CMake starts are none of this one's: they get their own options, and need not say
# which folder they are in.
unexport MAKEFLAGS
CMAKE = env -u MAKELEVEL cmake
.NOTPARALLEL:

.PHONY: all demo check bench faults fuzz install format check-format clean help

all: ## build everything into build/ (the default)
	@scripts/install-deps build
	@$(CMAKE) --preset release -DWEIR_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$(PREFIX)"
	@$(CMAKE) --build --preset release -j $(JOBS)

demo: all ## build, then run the proxy sample until Ctrl-C, or for SECONDS=n
	@scripts/demo "$(SECONDS)"

check: ## build and run every test
	@scripts/install-deps build check
	@scripts/check

bench: ## measure against the limits and other libraries; results in bench/out/ (QUICK=1: a short run)
	@scripts/install-deps build bench
	@bench/run.sh

faults: ## the tests that break, kill and flood a running gateway; each for SECONDS=n (a minute if not given)
	@scripts/install-deps build check
	@$(CMAKE) --preset dev
	@$(CMAKE) --build --preset dev -j $(JOBS)
	@ctest --preset dev -L faults --no-tests=error
	@WEIR_BUILD_DIR=build-dev python3 -B tests/faults/faults.py --long --seconds "$(or $(SECONDS),60)"
	@build-dev/tests/hostile/hostile_frames "$(CURDIR)/build-dev" -frames=10000000 -controls=1000000

fuzz: ## run each fuzz target for SECONDS=n (an hour if not given)
	@scripts/install-deps build check
	@$(CMAKE) --preset fuzz
	@$(CMAKE) --build --preset fuzz -j $(JOBS)
	@scripts/fuzz "$(or $(SECONDS),3600)"

install: all ## install below PREFIX (/usr/local), inside DESTDIR if that is set
	@$(CMAKE) --install build
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
