# Two commands matter: `make demo` and `make test`. Both set the machine up first.
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
TIDEMARK := target/release/tidemark

.PHONY: help setup build demo test test-slow bench-workload install clean-runs

help:
	@echo "make demo            the main job on a real Kafka 3.0.0, in the local lab"
	@echo "make test            all tests, a short run on real brokers included"
	@echo "make test-slow       the long ones too: both canaries, ten seeds of the demo"
	@echo "make bench-workload  our recorded producers against Kafka's ProducerPerformance"
	@echo "make install         the tidemark binary to $(PREFIX)/bin"

setup:
	@./harness/setup.sh

build: setup
	cargo build --release --locked -p cli

# The lab needs root for network namespaces; everything else does not.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)

demo: build
	$(SUDO) $(TIDEMARK) run demo

test: setup
	$(SUDO) env "PATH=$$PATH" cargo test --workspace --locked

test-slow: setup
	$(SUDO) env "PATH=$$PATH" cargo test --workspace --locked -- --include-ignored

bench-workload: build
	$(SUDO) $(TIDEMARK) bench-workload

install: build
	install -D -m 755 $(TIDEMARK) $(DESTDIR)$(PREFIX)/bin/tidemark
