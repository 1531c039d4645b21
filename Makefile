# Every target sets up what it needs first, and does nothing where that is already there.

PREFIX ?= /usr/local
# What the demo is built with. The dev profile compiles in half the time, and what `make test` needs is then
# there already; the demo itself takes a second either way.
PROFILE ?= dev

CARGO ?= cargo
ARGS ?=
# Where cargo builds.
TARGET = $(or $(CARGO_TARGET_DIR),target)
# The tests leave a line here for each that could not run.
SKIPPED = $(TARGET)/tmp/skipped-tests
# What `make install` installs: the program of `build`, or that of `release`.
INSTALLED ?= build
PROGRAM_build = $(TARGET)/release/shadowcap
PROGRAM_release = $(TARGET)/by-profile/shadowcap

.DEFAULT_GOAL := help
.PHONY: help demo build release test lint bench fuzz doc install uninstall setup-build setup-test rust

help: ## what can be made
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: setup-build ## the whole job in half a minute: a bundled capture, a built-in v2, a report
	$(CARGO) run --locked --profile $(PROFILE) -- demo $(ARGS)

build: setup-build ## the program, in target/release/
	$(CARGO) build --locked --release

release: setup-build ## the same as it is released, in target/by-profile/: built twice, by what it does under load
	CARGO='$(CARGO)' deploy/build-by-profile

test: setup-test ## every test, with the real servers they need
	@rm -f $(SKIPPED)
	$(CARGO) test --locked --no-fail-fast $(ARGS)
	@if [ -s $(SKIPPED) ]; then echo; cat $(SKIPPED); fi
	@echo 'make test: every test passed, save those that are named above as SKIPPED, if any.'

lint: setup-build ## format, clippy, documentation, licences and bans of dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features cli -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --all-features
	tests/setup/cargo-deny
	@echo 'make lint: clean.'

bench: release ## what reading and sending cost, against tshark, tcpflow and wrk
	@tests/setup/packages bench
	SHADOWCAP='$(abspath $(PROGRAM_release))' $(CARGO) bench --locked $(ARGS)

fuzz: setup-build ## each fuzz target for a minute (FUZZ_SECONDS=60)
	@tests/setup/packages fuzz
	tests/setup/cargo-fuzz
	@echo 'make fuzz: nothing found.'

doc: setup-build ## the library's pages, in target/doc/
	$(CARGO) doc --locked --no-deps

install: $(INSTALLED) ## the program into PREFIX/bin and its man page (PREFIX=/usr/local; DESTDIR is honoured)
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(PROGRAM_$(INSTALLED)) '$(DESTDIR)$(PREFIX)/bin/shadowcap'

uninstall: ## takes it away again
	rm -f '$(DESTDIR)$(PREFIX)/bin/shadowcap' '$(DESTDIR)$(PREFIX)/share/man/man1/shadowcap.1.gz'

setup-build: rust
	@tests/setup/packages build

setup-test: rust
	@tests/setup/packages build test
	@tests/setup/python
	@tests/setup/browser/install
	@tests/setup/grammars

rust:
	@command -v $(CARGO) >/dev/null 2>&1 || { \
	  echo 'Missing on this machine: cargo (Rust 1.89 or later). See https://rustup.rs/' >&2; exit 1; }
