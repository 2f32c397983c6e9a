# `make up` starts the system, `make help` lists the rest.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Folders with the messages of tests and of the bench, beside the schema packages of services.toml.
TEST_SCHEMAS := libs/eventbus/tests/parcels libs/eventbus/tests/meters bench/baskets
CHECKED := libs services tools verification bench schemas tests examples clients
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
UV ?= uv
# What may stand beside the services in the command line of `make scale`.
FOR_MAKE := PYTHON=% UV=% VENV=% ARGS=% STACK=% STACK_% MAIL=%

# The first Python that is new enough; PYTHON=... goes first.
FOUND := $(shell for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
NO_PYTHON := Python 3.11 or newer was not found: install it (Debian: apt install python3 python3-venv), or name one with PYTHON=/path/to/python3.
NO_VENV := This Python cannot make a virtual environment: install its venv module (Debian: apt install python3-venv), then repeat.

.PHONY: help up down ps logs scale clean setup test test-large format check schema-version schema-pin schema-register registry new-service reference ci chaos sim fuzz fuzz-http schemathesis bench bench-guard demo audit dlq tail skip key run restart lock python
help:  ## this list
	@grep -hE '^[a-z -]+:.*##' Makefile | sed -E 's/^([a-z-]+)[^#]*## (.*)/  make \1\t\2/' | expand -t 24

up: python  ## start everything: Docker Compose where an engine answers, else local processes (STACK=local|docker forces; MAIL=1 with an inbox)
	@$(FOUND) -m tools.stack up
down: python  ## end everything; data stays
	@$(FOUND) -m tools.stack down
ps: python  ## list what runs
	@$(FOUND) -m tools.stack ps
logs: python  ## show and follow the logs (SERVICE=payment)
	@$(FOUND) -m tools.stack logs $(SERVICE)
scale: python  ## run more replicas: make scale payment=3
	@$(FOUND) -m tools.stack scale $(foreach word,$(filter-out $(FOR_MAKE),$(subst \ ,_,$(MAKEOVERRIDES))),'$(word)')
run: python  ## one replica more of a service, beside what runs, until Ctrl-C (SERVICE=fraud); to keep it: make scale fraud=1
	@$(FOUND) -m tools.stack run "$(SERVICE)"
restart: python  ## restart the replicas of a service one by one, with today's code (SERVICE=payment)
	@$(FOUND) -m tools.stack restart "$(SERVICE)"
registry: $(VENV)/.stack  ## a schema registry of the schema files, read-only, for registry-aware tools, until Ctrl-C
	@$(BIN)/python -m tools.schema_registry serve
schema-register: $(VENV)/.stack  ## fill a schema registry with the pinned ids (SCHEMA_REGISTRY_URL=http://...)
	@$(BIN)/python -m tools.schema_registry register
clean: python  ## end everything and forget all data
	@$(FOUND) -m tools.stack clean

demo: up $(VENV)/.stack  ## real invoices through the system, then the audit (DATA=file.jsonl.gz)
	@$(BIN)/python -m tools.demo $(if $(DATA),--data "$(DATA)")
audit: $(VENV)/.stack  ## check money and stock from the topics alone
	@$(BIN)/python -m verification.audit
dlq: $(VENV)/.stack  ## what waits for a person (ARGS="list", "show KEY", "redrive --dry-run", "discard --key KEY")
	@$(BIN)/python -m tools.operate dlq $(or $(ARGS),--help)
tail: $(VENV)/.stack  ## the records of a topic, decoded (TOPIC=order.events ARGS="--follow --json"); more: bin/eventbus --help
	@$(BIN)/python -m tools.operate tail $(or $(TOPIC),--help) $(ARGS)
skip: $(VENV)/.stack  ## set a record aside that stops a task (ARGS="order.events 3 17 --reason 'forged'")
	@$(BIN)/python -m tools.operate skip $(or $(ARGS),--help)
key: $(VENV)/.stack  ## an API key, shown once (SCOPES="place read" USER=u1 ID=app EXPIRES=2027-01-31T00:00:00Z)
	@$(BIN)/python -m tools.operate key --scopes "$(SCOPES)" $(if $(filter command,$(origin USER)),--user "$(USER)") \
	$(if $(ID),--id "$(ID)") $(if $(EXPIRES),--expires "$(EXPIRES)")

setup: $(VENV)/.dev  ## the virtual environment with everything to develop and test
test: $(VENV)/.dev  ## all tests, in two processes (ARGS="-k payment" chooses, in one)
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2)
test-large: $(VENV)/.dev  ## the tests with a hundred thousand orders or thousands of connections
	@$(BIN)/python -m pytest -m large $(ARGS)
sim: $(VENV)/.dev  ## seeded worlds of all four services in one process (SEEDS=2000 SEED= FIRST=)
	@$(BIN)/python -m verification.sim $(if $(SEED),--seed $(SEED) --trace,--seeds $(or $(SEEDS),2000)) $(if $(FIRST),--first $(FIRST))
fuzz: $(VENV)/.dev  ## thousands of records that are almost right, to every input of every service (RECORDS=5000 SEED=)
	@number=$${SEED:-$$((RANDOM * 32768 + RANDOM))}; echo "make fuzz RECORDS=$(or $(RECORDS),5000) SEED=$$number"; \
	FUZZ_RECORDS=$(or $(RECORDS),5000) FUZZ_SEED=$$number $(BIN)/python -m pytest tests/integration/test_fuzzed_records_stop_no_service.py -q -s
fuzz-http: $(VENV)/.stack  ## thousands of hostile requests to the running services, byte by byte (REQUESTS=2000 SEED=)
	@$(BIN)/python -m verification.requests --requests $(or $(REQUESTS),2000) $(if $(SEED),--seed $(SEED))
schemathesis: $(VENV)/.dev  ## thousands of requests to the running services, each answer held to OpenAPI (EXAMPLES=20 SEED=)
	@$(BIN)/python -m verification.openapi --examples $(or $(EXAMPLES),20) $(if $(SEED),--seed $(SEED))
chaos: $(VENV)/.dev  ## three brokers, orders, and faults by a seeded schedule, then the audit (SECONDS=180 RATE= SEED=)
	@$(BIN)/python -m verification.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RATE),--rate $(RATE)) $(if $(SEED),--seed $(SEED))
bench: $(VENV)/.stack  ## how fast it is beside bare loops and others: a table of ratios (FULL=1 ROWS=a,b BASE=commit DATA=)
	@$(BIN)/python -m bench $(if $(FULL),--full) $(if $(ROWS),--rows "$(ROWS)") $(if $(BASE),--base "$(BASE)") \
	$(if $(DATA),--data "$(DATA)")
bench-guard: $(VENV)/.stack  ## two of its rows, two minutes: fails only on what cannot be noise
	@$(BIN)/python -m bench --guard
format: $(VENV)/.dev  ## put imports in order and format
	@$(BIN)/ruff check --fix --select I .
	@$(BIN)/ruff format .
check: $(VENV)/.dev  ## lint, format, types, import rules, generated files, recorded folds: all at once, then what failed
	@found=$$(mktemp -d) count=0; trap 'rm -rf "$$found"' EXIT; \
	run() { count=$$((count + 1)); \
		{ echo "== $$1"; "$${@:2}"; } >"$$found/$$count.said" 2>&1 || echo "  $$1" >"$$found/$$count.failed" & }; \
	run "lint" $(BIN)/ruff check .; \
	run "format (make format mends it)" $(BIN)/ruff format --check .; \
	run "types" $(BIN)/mypy $(CHECKED); \
	run "import rules" $(BIN)/lint-imports; \
	run "recorded folds" $(BIN)/python -m tools.recordings --check; \
	run "reference (make reference renews it)" $(BIN)/python -m tools.reference --check; \
	run "models of the client (make reference renews them)" $(BIN)/python -m tools.client_models --check; \
	run "schemas" $(BIN)/python -m tools.check_schemas; \
	run "generated messages" $(BIN)/python tools/generate_messages.py --check; \
	run "generated messages of tests" $(BIN)/python tools/generate_messages.py --check $(TEST_SCHEMAS); \
	wait; cat "$$found"/*.said; \
	if failed=$$(cat "$$found"/*.failed 2>/dev/null); then printf 'make check failed:\n%s\n' "$$failed" >&2; exit 1; fi
new-service: $(VENV)/.dev  ## a new service from the template, as package, image, tests and entries (NAME=shipping)
	@$(BIN)/python -m tools.new_service "$(NAME)"
schema-version: $(VENV)/.dev  ## a new version of a message: MESSAGE=order.events/OrderCreated (MAJOR=1, NEW=1 KEY=, PACKAGE=)
	@$(BIN)/python -m tools.schema_version "$(MESSAGE)" $(if $(MAJOR),--major) $(if $(NEW),--new) $(if $(KEY),--key "$(KEY)") \
	$(if $(PACKAGE),--package "$(PACKAGE)")
	@$(BIN)/python -m tools.reference
schema-pin: $(VENV)/.dev  ## pin what is not pinned, or a version anew that is not released: MESSAGE=order.events/OrderCreated
	@$(if $(MESSAGE),$(BIN)/python -m tools.schema_version "$(MESSAGE)" --pin $(if $(PACKAGE),--package "$(PACKAGE)"),\
	$(BIN)/python -m tools.pin_schemas $(PACKAGE))
	@$(BIN)/python -m tools.reference
reference: $(VENV)/.dev  ## renew docs/reference, and what the client takes and gives, from the code
	@$(BIN)/python -m tools.reference
	@$(BIN)/python -m tools.client_models
ci: check test  ## what a change must pass: check, then test

lock:  ## renew the requirements files (needs uv)
	@compile="$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(LOCK)"; \
	$$compile requirements.in -o requirements.txt && \
	$$compile requirements-stack.in -c requirements.txt -o requirements-stack.txt && \
	$$compile requirements-dev.in -c requirements-stack.txt -o requirements-dev.txt && \
	$$compile requirements-jre.in -o requirements-jre.txt && \
	$$compile requirements-registry-client.in -c requirements.txt -o requirements-registry-client.txt && \
	$$compile bench/peers/quix/requirements.in -o bench/peers/quix/requirements.txt && \
	$$compile bench/peers/faust/requirements.in -o bench/peers/faust/requirements.txt && \
	$${compile/3.11/3.12} bench/peers/flechtwerk/requirements.in -o bench/peers/flechtwerk/requirements.txt

python:
	@[ -n "$(FOUND)" ] || { echo "$(NO_PYTHON)" >&2; exit 1; }

# What `make up` needs; a small set, so that a fresh clone is up soon. A .pth file puts the repository on the path:
# nothing is built, and an edit is live.
$(VENV)/.stack: requirements-stack.txt | $(BIN)/python
	@echo "Installing what the services need ..."
	@$(PIP) -r requirements-stack.txt
	@$(BIN)/python -c 'import sysconfig, pathlib; \
	pathlib.Path(sysconfig.get_path("purelib"), "repository.pth").write_text("$(CURDIR)\n$(CURDIR)/libs/eventbus\n")'
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(VENV)/.stack
	@echo "Installing what developing and testing need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(BIN)/python: | python
	@$(FOUND) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(NO_VENV)" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@rm -rf $(VENV) && $(FOUND) -m venv $(VENV)
