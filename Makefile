# The front door. `make up` sets everything up and starts the pipeline; `make test` sets
# everything up and runs the tests. Both print what they do and need no key.

.DEFAULT_GOAL := help
SHELL := /bin/bash
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
UP ?=

.PHONY: help deps deps-test deps-real deps-bench deps-fuzz web build build-tests up test test-real test-real-full \
        sanitize fuzz bench torture fmt tidy install uninstall clean

help:
	@echo "make up         set-up, build, start: a live chart, no account, no key (UP='--rate 50' passes flags)"
	@echo "make test       set-up, build, all tests"
	@echo "make build      set-up, build: build/release/tapeline"
	@echo "make test-real  against real dbt, Jinja2, Kafka and Airflow, from the registries (long: test-real-full)"
	@echo "make sanitize   every test under address, undefined and thread sanitizers"
	@echo "make fuzz       every fuzzer, FUZZ_SECONDS each (180)"
	@echo "make bench      the measured table"
	@echo "make torture    20,000 simulated seeds, 100 kill cycles, every fuzzer (docs/torture.md)"
	@echo "make fmt tidy install uninstall clean"

deps:
	@tools/deps build

deps-test:
	@tools/deps build test

deps-real:
	@tools/deps real

deps-bench:
	@tools/deps bench

deps-fuzz:
	@tools/deps fuzz

web: deps
	@tools/web

build: web
	@echo "== build: build/release"
	@cmake --preset release -DTAPELINE_JOIN=ON -DTAPELINE_TESTS=OFF -DTAPELINE_BENCH=OFF > build/configure.log \
	  || { cat build/configure.log; exit 1; }
	@cmake --build build/release -j $(JOBS) --target tapeline

build-tests: deps-test web
	@echo "== build: build/release, with tests"
	@mkdir -p build
	@cmake --preset release -DTAPELINE_JOIN=ON -DTAPELINE_TESTS=ON > build/configure.log \
	  || { cat build/configure.log; exit 1; }
	@cmake --build build/release -j $(JOBS)

up: build
	@exec build/release/tapeline up $(UP)

test: build-tests
	@tools/check test

test-real: build-tests deps-real
	@tools/check real

test-real-full: build-tests deps-real
	@tools/check real-full

sanitize: deps-test web
	@tools/check sanitize

fuzz: web deps-fuzz
	@tools/check fuzz

bench: build-tests deps-real deps-bench
	@cmake --preset release -DTAPELINE_BENCH=ON > build/configure.log
	@cmake --build build/release -j $(JOBS) --target bench_loader bench_kafka
	@tools/check bench

torture: build-tests deps-fuzz
	@tools/check torture

fmt:
	@clang-format-14 -i $$(git ls-files '*.h' '*.cc')

tidy:
	@python3 tools/tidy

install: build
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)
	@for shell in bash:bash-completion/completions/tapeline zsh:zsh/site-functions/_tapeline \
	    fish:fish/vendor_completions.d/tapeline.fish; do \
	  file=$(DESTDIR)$(PREFIX)/share/$${shell#*:}; mkdir -p $$(dirname $$file); \
	  build/release/tapeline completion $${shell%%:*} > $$file || exit 1; done
	@echo "installed: $(DESTDIR)$(PREFIX)/bin/tapeline"

uninstall:
	@rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/tapeline share/man/man1/tapeline.1 \
	    share/bash-completion/completions/tapeline share/zsh/site-functions/_tapeline \
	    share/fish/vendor_completions.d/tapeline.fish)
	@rm -rf $(DESTDIR)$(PREFIX)/lib/tapeline
	@echo "uninstalled from $(DESTDIR)$(PREFIX); data directories stay where they are"

clean:
	rm -rf build web/dist
