# Everything a developer does, on a machine with Python 3.11+, make and gcc. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.stamp
PROTO_READY := .venv-proto/.stamp
PEERS_READY := $(VENV)/.stamp-peers
DRAWING_READY := $(VENV)/.stamp-figures
BROWSER_READY := $(VENV)/.stamp-browser
FUZZ_READY := $(VENV)/.stamp-fuzz
LISTEN ?= 127.0.0.1:50051
ADMIN ?= 127.0.0.1:9090
MODE ?= rate

# Nothing here is a file that make could find up to date.
.PHONY: help setup demo test test-all coverage serve bench bench-grid bench-growth bench-limits bench-memory bench-quotas \
	bench-catalog bench-items bench-replay bench-stream replay-proof ledger-proof frontier exposure figures faults faults-server fuzz loadtest replay lint format proto lock data clean
.DEFAULT_GOAL := help

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from the pinned list, if missing or stale
	@echo "$(VENV) is ready"

demo: $(READY) ## start the real server, send it real requests, show what changed and what it cost
	@$(BIN)/python -m examples.demo

test: $(READY) ## the whole suite that needs no root
	@$(BIN)/python -m pytest

test-all: $(READY) $(BROWSER_READY) ## the suite, and what was left out for want of root or of a tool (PROMTOOL=, PROMETHEUS=, CHROMIUM= or on the PATH)
	@$(BIN)/python -m pytest -rs

coverage: $(READY) ## line coverage of reranker/, kernels run as plain Python
	@$(BIN)/coverage erase
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -m "not slow"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

serve: $(READY) ## the server in the foreground, LISTEN=127.0.0.1:50051 ADMIN=127.0.0.1:9090
	@exec $(BIN)/python server.py --listen $(LISTEN) --admin $(ADMIN) --policies policies

replay: $(READY) ## recorded traffic through two policies: a verdict in words and build/replay/report.html
	@$(BIN)/python -m examples.replay $(ARGUMENTS)

bench: $(READY) $(PEERS_READY) ## our call beside every peer's, same input, one run, and the goals; minutes
	@$(BIN)/python -m benchmarks.run $(ARGUMENTS)

bench-grid: $(READY) ## are we slower than a peer anywhere? N x D x k, goes on where it was stopped; half an hour
	@$(BIN)/python -m benchmarks.grid $(ARGUMENTS)

bench-growth: $(READY) $(DRAWING_READY) ## how time grows with N, D and k: exponents and docs/figures/growth.svg; minutes
	@$(BIN)/python -m benchmarks.growth $(ARGUMENTS)

bench-limits: $(READY) ## what this machine can do at most, and the share of it that each kernel reaches
	@$(BIN)/python -m benchmarks.limits $(ARGUMENTS)

bench-memory: $(READY) ## resident size over 100,000 calls, page faults and allocations a call
	@$(BIN)/python -m benchmarks.memory $(ARGUMENTS)

bench-quotas: $(READY) ## what quotas add to a call, by tier
	@$(BIN)/python -m benchmarks.quotas

bench-catalog: $(READY) ## an item catalog of ITEMS=2000000: build, size, look-ups, memory
	@$(BIN)/python -m benchmarks.catalog $(ITEMS)

bench-items: $(READY) ## items in a Valkey of its own, ITEMS=100000: what putting and looking up takes
	@$(BIN)/python -m benchmarks.items $(ITEMS)

bench-replay: $(READY) ## a replay's rate beside the bare engine's, and with two processes, REQUESTS=400; on an idle machine
	@$(BIN)/python -m benchmarks.replay $(REQUESTS)

bench-stream: $(READY) ## a long replay: disk, memory over time and rate, ARGUMENTS='--requests 1000000 --folder DIR'; minutes
	@$(BIN)/python -m benchmarks.replay_stream $(ARGUMENTS)

replay-proof: $(READY) ## a replay that is killed again and again: are the results of 50,000 requests the same bytes? minutes
	@$(BIN)/python -m benchmarks.replay_proof $(ARGUMENTS)

ledger-proof: $(READY) ## processes that are killed again and again: is every request counted exactly once? minutes
	@$(BIN)/python -m benchmarks.ledger_proof --on sqlite $(ARGUMENTS)
	@$(BIN)/python -m benchmarks.ledger_proof --on valkey $(ARGUMENTS)

frontier: $(READY) ## what variety costs on real lists: every strategy across its knob, beside the peer's
	@$(BIN)/python -m benchmarks.frontier

exposure: $(READY) ## does exposure across requests converge, and what does it cost, beside a quota and FairCo's rule
	@$(BIN)/python -m benchmarks.exposure $(ARGUMENTS)

figures: $(READY) $(DRAWING_READY) ## draw docs/figures from what `make frontier`, `exposure` and `bench-growth` measured
	@$(BIN)/python -m benchmarks.figures

faults: $(READY) ## what answers do while the store is killed, paused, emptied, filled, restarted and lies: ARGUMENTS=
	@$(BIN)/python -m loadtest.faults $(ARGUMENTS)

faults-server: $(READY) ## what answers do while workers are killed, replaced, poisoned, starved, and more: ARGUMENTS=
	@$(BIN)/python -m loadtest.server_faults $(ARGUMENTS)

fuzz: $(READY) $(FUZZ_READY) ## a million mutated requests through the codec, and over the wire: half an hour; ARGUMENTS="codec --runs 10000"
	@$(BIN)/python -m fuzz $(ARGUMENTS)

loadtest: $(READY) ## load on a server it starts: MODE=rate SCENARIO=typical RATE= SECONDS= ARRIVALS= ARGUMENTS=
	@$(BIN)/python -m loadtest $(MODE) $(SCENARIO) $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(ARRIVALS),--arrivals $(ARRIVALS)) $(ARGUMENTS)

lint: $(READY) $(PROTO_READY) ## ruff, mypy (strict), import contracts, buf, stubs current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	.venv-proto/bin/python tools/stubs.py --check
	$(BIN)/python tools/settings.py --check

format: $(READY) ## write Python and proto files the way lint wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format --write

proto: $(PROTO_READY) ## write the stubs of reranker/v1 from proto/
	.venv-proto/bin/python tools/stubs.py

lock: ## pin requirements/*.txt anew from pyproject.toml and requirements/*.in (needs uv)
	tools/lock

data: $(READY) ## build examples/data anew, SOURCE=the folder with the source tables
	$(BIN)/python -m examples.data.build $(SOURCE)

clean: ## remove what the commands above wrote, environments included
	rm -rf $(VENV) .venv-proto build dist .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/dev.txt pyproject.toml tools/environment.py
	@$(PYTHON) tools/environment.py $(VENV) requirements/dev.txt --project

# A peer that cannot be installed does not stop the others: the run says who is missing.
$(PEERS_READY): requirements/bench.txt $(READY)
	-@$(BIN)/python -m pip install --quiet -r requirements/bench.txt && touch $@

# Tests that need what cannot be installed are left out, and say so.
$(BROWSER_READY): requirements/browser.txt $(READY)
	-@$(BIN)/python -m pip install --quiet -r requirements/browser.txt && touch $@

$(DRAWING_READY): requirements/figures.txt $(READY)
	@$(BIN)/python -m pip install --quiet -r requirements/figures.txt && touch $@

$(FUZZ_READY): requirements/fuzz.txt $(READY)
	@$(BIN)/python -m pip install --quiet -r requirements/fuzz.txt && touch $@

$(PROTO_READY): requirements/proto.txt tools/environment.py
	@$(PYTHON) tools/environment.py .venv-proto requirements/proto.txt
