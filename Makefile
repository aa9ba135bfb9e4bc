# Ringpost: every task is one command. `make` alone lists them.
#
# All of it builds in the release profile into a cache outside the checkout, so that RocksDB (10 to
# 18 minutes) is compiled once for the server, the tests and the benches, and a fresh clone starts warm.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

export RINGPOST_CACHE ?= $(HOME)/.cache/ringpost
export CARGO_TARGET_DIR ?= $(RINGPOST_CACHE)/target
export PATH := $(HOME)/.cargo/bin:$(PATH):$(RINGPOST_CACHE)/tools/bin

CARGO := cargo
# mail-parser declares rustc 1.98, and compiles with 1.95.
CARGO_FLAGS := --release --locked --ignore-rust-version
# Expands in a recipe: RocksDB is compiled once, on its own (scripts/rocksdb says why).
ROCKSDB = ROCKSDB_LIB_DIR=$$(scripts/rocksdb) ROCKSDB_STATIC=1

MESSAGES ?= 5000
ARGS ?=
BIN = $(CARGO_TARGET_DIR)/release

.PHONY: help demo run test build bench-compare fmt lint deny advisories bench fuzz-short clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do \
	  printf '  make %-14s %s\n' "$$name" "$$text"; done

demo: build ## build, start, relay MESSAGES=5000 to a built-in sink, and tell what happened
	@$(BIN)/ringpost-loadtest relay --server ringpost-demo --port 2525 --sink-port 2626 --messages $(MESSAGES)

run: build ## serve with config/dev.toml until ^C
	@$(BIN)/ringpost serve --config config/dev.toml

test: ## every check and test, installing what they need; what CI runs
	@scripts/test

build:
	@scripts/packages build
	$(ROCKSDB) $(CARGO) build $(CARGO_FLAGS) --workspace --bins

fmt: ## format the sources
	$(CARGO) fmt --all

lint: ## formatting and clippy, as CI judges them
	@scripts/test fmt clippy

deny: ## licences, bans and sources of all dependencies
	@scripts/test deny

advisories: ## known vulnerabilities (fetches the advisory database)
	@scripts/tool cargo-deny
	cargo-deny check advisories

bench: ## criterion benches; FILTER=name runs some
	@scripts/packages build
	$(ROCKSDB) $(CARGO) bench --locked --ignore-rust-version --profile release -- $(FILTER)

bench-compare: build ## Ringpost beside Postfix, Exim and OpenSMTPD (root, 40 min); ARGS="--rounds 1 --case 64 …"
	@scripts/packages bench
	@scripts/peers exim opensmtpd
	$(BIN)/ringpost-loadtest compare peers --markdown docs/performance.md --report $(CARGO_TARGET_DIR)/compare.html $(ARGS)

fuzz-short: ## each fuzz target for SECONDS_EACH=20, when a nightly toolchain is there
	@scripts/test fuzz

clean: ## remove the build cache (RocksDB will be compiled again)
	rm -rf $(CARGO_TARGET_DIR) $(RINGPOST_CACHE)/target-fuzz
