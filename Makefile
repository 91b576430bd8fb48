# The only entry points a newcomer needs. Everything they make lives in .venv, .tools and target.
#   make up      build and start the fleet in the foreground (Ctrl-C stops it)
#   make test    all tests: Rust, Python, contract, system, docs
#   make check   formatting, lints, types, layers
#   make bench   benchmarks, written to data/ (make bench-check compares with the last accepted run)
#   make wheel   a release wheel in dist/
#   make fmt     format everything
#   make bars    every bar of the project in full (make bar-NAME for one)
#   make chaos   900 kills under load and the other hostile tests in full (KILLS=, SEEDS=)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO_PROFILE ?= release
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help up built built-rust test test-rust test-python check check-python check-rust fmt bench wheel deny lock tools clean

help:
	@sed -n '2,9s/^# *//p' Makefile

$(VENV)/.packages: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "OmniMind needs Python 3.11 or newer")'
	@echo "installing Python packages into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# The extension and the package, editable; rebuilt only when Rust changed.
$(VENV)/.extension: $(VENV)/.packages $(RUST_SOURCES) pyproject.toml
	@echo "building the release extension (a few minutes the first time)"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --skip-install --locked --profile $(CARGO_PROFILE)
	@PATH="$(CURDIR)/$(BIN):$$PATH" MATURIN_PEP517_ARGS="--locked --profile $(CARGO_PROFILE)" \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# The binary the tests measure with. Asked of the whole workspace, so that what the extension is made of serves it too.
target/release/omnimind-load: $(RUST_SOURCES)
	cargo build --quiet --locked --release --workspace --bin omnimind-load

up: $(VENV)/.extension
	@exec $(BIN)/omnimind up $(ARGS)

tools: $(VENV)/.packages .tools/encoder/wordllama
	@$(BIN)/python tests/contract/toolbox.py

# All that is compiled or fetched for the tests; nothing here is measured, so it may be made at once (`--jobs=2`).
built: $(VENV)/.extension target/release/omnimind-load tools built-rust
built-rust:
	cargo test --locked --quiet --workspace --no-run

test: test-rust test-python

# Property tests play the same cases in every run of this target; `make bar-properties` plays others.
PROPERTY_SEED ?= 1
test-rust:
	PROPTEST_RNG_SEED=$(PROPERTY_SEED) cargo test --locked --quiet --workspace

# What measures time is marked `alone` and runs by itself; all else several at once (tests/unit/test_what_runs_alone.py).
AT_ONCE ?= $(shell expr $$(nproc) + 1)
test-python: $(VENV)/.extension target/release/omnimind-load tools
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -m alone
	$(PYTEST) -m 'not alone' -p no:benchmark --numprocesses=$(AT_ONCE) --dist=loadfile
endif

check: check-python check-rust $(VENV)/.extension
	$(BIN)/python -m mypy.stubtest omnimind._core
	$(BIN)/lint-imports

check-python: $(VENV)/.packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check-rust:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings

# Needs cargo-deny; the public workflow runs it, `make check` holds the same layers with tests.
deny:
	cargo deny --locked check bans licenses sources

fmt:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .
	cargo fmt --all

# Each run: the Python suite, then criterion, and the ratios of both to references of the same run; in the end a table.
RUNS ?= 3
CRITERION := --warm-up-time 0.3 --measurement-time 0.7 --sample-size 30 --nresamples 1000 --noplot
CRATES := limits cache wire probes
HARNESSES := admit limiter cache wire probes
bench: $(VENV)/.extension target/release/omnimind-load
	@mkdir -p data && rm -rf data/bench-run-* data/benchmarks-* data/criterion-*
	for run in $$(seq $(RUNS)); do \
		$(PYTEST) benches/python --benchmark-only --benchmark-quiet --benchmark-json=data/benchmarks-$$run.json && \
		CRITERION_HOME=$(CURDIR)/data/criterion-$$run cargo bench --locked --quiet $(CRATES:%=-p omnimind-%) \
			$(HARNESSES:%=--bench %) -- $(CRITERION) >data/criterion-$$run.txt && \
		$(BIN)/python -m benches.compare collect data/bench-run-$$run.json --pytest data/benchmarks-$$run.json \
			--criterion data/criterion-$$run || exit 1; done
	$(BIN)/python -m benches.compare show data/bench-run-*.json

# The runs of the last `make bench` beside the accepted ones; fails on a regression beyond noise (benches/compare.py).
ACCEPTED ?= benches/results/accepted.json
.PHONY: bench-check bench-accept bench-peers
bench-check:
	$(BIN)/python -m benches.compare check data/bench-run-*.json --accepted $(ACCEPTED)
bench-accept:
	$(BIN)/python -m benches.compare accept data/bench-run-*.json --accepted $(ACCEPTED)

# Gateways of others beside ours under the same load; the first time it installs them under .tools/ (network, 600 MB).
bench-peers: $(VENV)/.extension target/release/omnimind-load
	$(BIN)/python -m benches.peers --install
	$(BIN)/python -m benches.peers $(if $(PUBLISH),--publish) $(ARGS)

wheel: $(VENV)/.packages
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin build --locked --profile dist --out dist

# Pins every Python package with hashes; needs network.
lock: $(VENV)/.packages
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--group dev --group test pyproject.toml -o requirements/dev.txt
	for name in node legacy servers check supervisors caches limiters compressors http2 \
		peers-fastmcp peers-mcpo peers-native peers-proxy; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
			requirements/contract-$$name.in -o requirements/contract-$$name.txt || exit 1; \
	done
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-deps requirements/encoder.in -o requirements/encoder.txt

clean:
	rm -rf $(VENV) .tools target dist data

# The bars of the project in full; `make test` runs a sample of each.
BARS := conformance race durability crash isolation sessions session-churn lists in-flight stale cancels passthrough start systemd \
	hostile incident cycles hangs zygote rolls child-kills crash-loop builtins python attacks reference cache-isolation cache-levels cache-predict cache-disk cache-semantic cache-python cache-hit slow-reader limits-python stream overload handles compression compression-speed tool-lists allowance context properties generator ebpf bench ebpf-older nine
FULL = OMNIMIND_FULL=1 $(PYTEST) --timeout 1800 $(ARGS)
.PHONY: bars $(BARS:%=bar-%)

bars: $(BARS:%=bar-%)
$(BARS:%=bar-%): $(VENV)/.extension target/release/omnimind-load tools

# Conformance suite, cross-era, real clients and servers, jbt-mcpcheck.
bar-conformance:
	$(FULL) -v tests/contract
bar-race:
	$(FULL) tests/system/test_filesystem_race.py
bar-durability:
	$(FULL) tests/system/test_memory_durability.py
bar-crash:
	$(FULL) tests/system/test_worker_crash.py tests/system/test_guard.py tests/system/test_children.py tests/system/test_stop.py \
		tests/system/test_orphans.py tests/system/test_stale.py
bar-isolation:
	$(FULL) tests/chaos/test_gateway_kill.py tests/chaos/test_kills_under_load.py
bar-sessions:
	$(FULL) tests/system/test_sessions.py
# A list of 100,000 items, read through and abandoned; sessions that open and close for every call, 500 at once.
bar-lists:
	$(FULL) -s tests/system/test_lists.py
bar-session-churn:
	$(FULL) -s tests/system/test_session_churn.py
# A large result read at 10 KB a second: what the gateway's process holds meanwhile.
bar-slow-reader:
	$(FULL) -s tests/system/test_slow_reader.py
bar-in-flight:
	$(FULL) tests/system/test_in_flight.py
bar-passthrough:
	$(BIN)/python -m benches.passthrough
# What must not get out of git, sqlite, python, filesystem and logging, asked of real, confined workers.
bar-attacks:
	$(FULL) tests/system/test_git_attacks.py tests/system/test_sqlite_attacks.py tests/system/test_python_attacks.py \
		tests/unit/servers/test_filesystem_confinement.py tests/system/test_filesystem_race.py tests/system/test_logging_worker.py
# Ours beside the reference servers, tool by tool; every tool of the nine through the gateway, in both eras.
bar-reference:
	$(FULL) tests/contract/test_reference_filesystem.py tests/contract/test_reference_memory.py tests/contract/test_reference_thinking.py \
		tests/contract/test_reference_git.py tests/contract/test_reference_sqlite.py tests/contract/test_every_tool.py tests/contract/test_mcpcheck.py
# Each built-in's cheapest tool, directly and through the gateway.
bar-builtins:
	$(FULL) -s tests/system/test_builtins_bar.py
# Every way out of the jail, and how long a trivial snippet takes in it.
bar-python:
	$(FULL) -s tests/system/test_python_attacks.py tests/system/test_python_bar.py
# A million calls by fifty principals with equal ids and arguments, through reload, kill and restart.
CALLS ?= 1000000
bar-cache-isolation:
	OMNIMIND_CALLS=$(CALLS) OMNIMIND_SEED=$(or $(SEED),7) $(FULL) -s tests/system/test_cache_isolation.py
# Sparse calls to servers that close what rests; calls that are given up anywhere.
bar-stale:
	OMNIMIND_FULL=1 cargo test --locked --quiet --release -p omnimind-gateway --test pool -- sparse_calls
bar-cancels:
	OMNIMIND_FULL=1 cargo test --locked --quiet --release -p omnimind-gateway --test pool -- is_lost_whenever
	OMNIMIND_FULL=1 cargo test --locked --quiet --release -p omnimind-gateway --test admission -- come_and_go
# What a hit costs at each of the five levels, warm and cold, beside the disk's own time for a read.
bar-cache-levels:
	cargo run --locked --quiet --release -p omnimind-cache --example levels
# A hit in the gateway's memory beside a server that reads no request.
bar-cache-hit:
	$(BIN)/python -m benches.hits
bar-start:
	$(FULL) tests/system/test_start.py
# In a throw-away machine with a real user manager; needs root.
bar-systemd:
	$(FULL) -v tests/system/systemd tests/system/test_logging_journal.py
# Fork bomb, memory hog, flood, slow start, stolen port, full disk, clock jump: needs root (it locks them up) and faketime.
bar-hostile:
	$(FULL) -s tests/chaos/test_hostile.py
# The original incident, and crash loops.
bar-incident:
	$(FULL) -s tests/chaos/test_incident.py tests/chaos/test_crash_loop.py tests/unit/orchestrator/test_lifecycle_simulation.py
bar-cycles:
	$(FULL) -s tests/chaos/test_cycles.py
bar-rolls:
	$(FULL) tests/chaos/test_rolls.py tests/system/test_renewal.py
bar-child-kills:
	$(FULL) tests/chaos/test_child_kills.py tests/system/test_killed_under_call.py
bar-crash-loop:
	$(FULL) -s tests/chaos/test_crash_loop.py
bar-hangs:
	$(FULL) -s tests/chaos/test_hangs.py
bar-zygote:
	$(FULL) -s tests/chaos/test_zygote.py
# Recorded sequences played again: what is asked ahead, what of it is used, what is wasted; and hostile calls.
bar-cache-predict:
	OMNIMIND_FULL=1 cargo test --locked --release -p omnimind-cache --lib predict:: -- --nocapture
# The cache's disk level: 600 kills, every flipped bit, every cut, any history; then what it takes.
bar-cache-disk:
	OMNIMIND_FULL=1 cargo test --locked --release -p omnimind-cache --lib disk::tests:: -- --nocapture
	cargo run --locked --release -p omnimind-cache --example disk -- 1024

# The semantic level before a tool that knows what each text means; with the vectors of the real encoder too.
bar-cache-semantic: .tools/encoder/wordllama
	OMNIMIND_FULL=1 cargo test --locked --quiet --release -p omnimind-cache --lib semantic:: -- --nocapture

# Two data files are read of it; nothing of it is run, so nothing it needs is installed.
.tools/encoder/wordllama: requirements/encoder.txt | $(VENV)/.packages
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target .tools/encoder -r $<
	@touch $@

# `omnimind.Cache` beside dict and the caches of other packages, in one process; the bar is the same run.
bar-cache-python: bench-cache

# What a real fleet does in time at five times the load, of what it does at once; written to data/overload.json.
bar-overload:
	$(BIN)/python -m benches.overload --json data/overload.json

# The load generator itself: stalls, counts, its own CPU, and a server that costs next to nothing.
bar-generator:
	$(FULL) -s tests/system/test_stress_bar.py

# `run_mcp_benchmark.sh 30 100`: three clocks that count the same, three forms of the report that say the same; needs root.
bar-bench:
	$(FULL) -s tests/system/test_bench.py

# The nine under the fixed mix for minutes: 500 calls a second, latencies, ten kills, crash rate, tokens.
bar-nine:
	$(FULL) -s tests/system/test_nine_bar.py

# The kernel's clock against the truth, and the probes attached, with three versions of bpftrace; needs root and tracefs.
bar-ebpf: .tools/bpftrace-trixie/bpftrace .tools/bpftrace-forky/bpftrace
	$(FULL) -s tests/system/test_monitor.py tests/system/test_probes_attached.py
# The same tests under Linux 6.1 in an emulator, where only kprobes can watch: what is counted, not what it costs (3 minutes).
bar-ebpf-older:
	OMNIMIND_EMULATED=1 tests/system/older_kernel.sh .tools/older-kernel $(abspath $(BIN))/python -m pytest -p no:cacheprovider \
		--timeout 600 -s tests/system/test_monitor.py -k "agree or counted or cannot"
.tools/bpftrace-%/bpftrace:
	tests/system/newer_bpftrace.sh $* $(@D)

# What is left of planted facts at a quarter of the tokens; SEED="7 8" for documents seen before.
bar-compression:
	$(BIN)/python -m benches.compression --by-kind $(if $(SEED),--seed $(SEED)) --json data/compression.json

# Ours and headroom on the same documents in turns; ABSOLUTE=1 fails for milliseconds too (a machine that does nothing else).
bar-compression-speed:
	$(BIN)/python -m benches.compression.speed $(if $(SEED),--seed $(SEED)) $(if $(ABSOLUTE),--absolute) --json data/compression-speed.json
# The lists of tools of fifteen real servers, as they send them and in shorter forms, checked against each other.
bar-tool-lists:
	$(FULL) -s tests/contract/test_tool_forms.py
# How many results of real servers fit into a million tokens, as they are and in a quarter.
bar-allowance:
	$(if $(SEED),OMNIMIND_SEED=$(SEED)) $(FULL) -s tests/system/test_allowance_bar.py
# A hundred thousand tokens through the context server and back in a quarter, by clients in Python and TypeScript.
bar-context:
	$(FULL) -s tests/contract/test_context_bar.py

# A list of 100,000 items: what its first page takes, and what is held; 30 s by the real clock.
bar-stream:
	$(FULL) -s tests/unit/servers/test_streaming.py tests/system/test_streaming_served.py
# Originals of what was cut: 600 kills of those that put; whatever was acknowledged is read elsewhere.
bar-handles:
	OMNIMIND_FULL=1 cargo test --locked --quiet --release -p omnimind-handles -- --nocapture

# Every property test of the Rust crates with cases not seen before, ROUNDS times over.
ROUNDS ?= 30
bar-properties:
	for round in $$(seq $(ROUNDS)); do PROPTEST_RNG_SEED=$$(shuf -i 1-4000000000 -n 1) && echo "round $$round, seed $$PROPTEST_RNG_SEED" && \
		export PROPTEST_RNG_SEED && cargo test --locked --quiet --release -p omnimind-wire -p omnimind-limits -p omnimind-cache \
		-p omnimind-compress -p omnimind-handles --lib --tests || exit 1; done

# Cancels at random moments: two hundred thousand of tasks, and twenty thousand histories of the gate by itself.
bar-limits-python: bench-limits
	$(FULL) tests/unit/limits
	OMNIMIND_FULL=1 cargo test --locked --quiet --release -p omnimind-limits --lib gate::

# Kill -9 of everything under 200 calls a second, written to data/chaos.json and data/chaos.txt.
KILLS ?= 900
SEEDS ?= 1 2 3
.PHONY: chaos supervisors
chaos: $(VENV)/.extension tools
	$(BIN)/python -m tests.chaos.storm --kills $(KILLS) $(SEEDS:%=--seed %) --json data/chaos.json

.PHONY: bench-cache
bench-cache: $(VENV)/.extension
	$(BIN)/python -m benches.bench_cache --json data/bench-cache.json

# What each limiting policy is worth, drawn to docs/limits-arena.svg; the same code makes the same picture.
.PHONY: arena
arena: $(VENV)/.packages
	$(BIN)/python -m benches.arena

# `omnimind.RateLimiter` beside the rate limiters of other packages, in one process; the bar is the same run.
.PHONY: bench-limits
bench-limits: $(VENV)/.extension
	$(BIN)/python -m benches.bench_limits --json data/bench-limits.json

# The same small server kept alive by supervisord, by circus and by us.
supervisors: $(VENV)/.extension
	$(BIN)/python -m benches.supervisors --json data/supervisors.json
