# From a fresh clone with Rust, Node and make: `make run` starts everything, `make test` checks everything.
# Nothing is installed outside this folder.

# Cargo's profile for `make run`: dev builds in half the time of release. `make run PROFILE=release` for speed.
PROFILE ?= dev
# Handed to `preauthd dev`: make run ARGS="--port 9000 --block-time 1"
ARGS ?=
# Seeded lives of `make test-lives`, where they begin, and how far this crate is optimized for them: 2 pays from some
# twenty thousand on.
SEEDS ?= 10000
FIRST_SEED ?= 1
OPT ?= 0

NPM_RUN := npm run --silent
# npm writes this file last; it is older than the lock file when packages are missing or others are wanted.
NPM_PACKAGES := node_modules/.package-lock.json
# Hardhat's node is apart: nothing but its tests needs it.
HARDHAT := tests/hardhat/node_modules/.package-lock.json
# So is the generator of clients.
CLIENT := tests/client/node_modules/.package-lock.json
# What `make test` tells on Hardhat's node: of each kind of story one that asks most of a node.
HARDHAT_STORIES := \
	a_partial_settlement_pays \
	a_signature_stands_in_for_the_receivers_registration \
	a_sender_is_registered_with_his_signature \
	a_settlement_may_use_the_tip \
	a_lock_that_fails_on_chain_is_rejected \
	a_sender_that_the_token_blocks_can_claim \
	many_expire_in_few_transactions \
	what_falls_due_while_the_daemon_is_down \
	of_settlement_cancellation_and_expiry \
	kill_points_of_settlements \
	a_send_whose_answer_is_lost_was_sent \
	a_send_that_fails_as_it_is_mined \
	a_transaction_that_became_too_cheap_is_replaced \
	a_reorg_that_undoes_lock_and_settlement \
	a_database_that_follows_its_chain_equals_it \
	rows_that_are_gone_are_recovered \
	two_keys_share_the_work \
	a_paused_token_fails_its_own_settlement

# Two tools that are written in Python, apart from all else: nothing but `make prove` needs them.
PYTHON ?= python3
PROOF_TOOLS := .venv/.installed

NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run bench test test-contracts prove prove-slither prove-halmos prove-branches prove-mutants check-artifacts check-page lint gas test-page test-client schemathesis test-hardhat-few test-hardhat test-lives test-kms test-rust artifacts page clean

help: ## Show this
	@echo 'make <target>:'
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 20

run: $(NPM_PACKAGES) ## Build and start a whole system on a private chain: make run ARGS="--port 9000"
	cargo run --profile $(PROFILE) --bin preauthd -- dev $(ARGS)

# The tests of the daemon come last: their summary is what one wants to read at the end.
test: test-contracts check-artifacts check-page gas lint test-page test-client schemathesis test-hardhat-few test-lives test-rust ## Check everything: contracts, artifacts, gas, style, page, API, daemon

bench: $(NPM_PACKAGES) ## Measure the daemon beside what the chain itself can take: make bench ARGS="--rounds 5 --out bench"
	cargo run --release --bin preauthd -- bench $(ARGS)

test-contracts: $(NPM_PACKAGES) ## Run the contract's tests
	$(NPM_RUN) forge:fmt
	$(NPM_RUN) forge:test

# Takes long, and Python and PyPI: not a part of `make test`.
prove: prove-slither prove-halmos prove-branches prove-mutants ## Prove what the contract promises; needs Python, takes an hour

prove-slither: $(NPM_PACKAGES) $(PROOF_TOOLS) ## Analyse the contracts' sources; fails on each finding that is not answered
	$(NPM_RUN) prove:slither

prove-halmos: $(NPM_PACKAGES) $(PROOF_TOOLS) ## Prove what the escrow's methods do, for all inputs
	$(NPM_RUN) prove:halmos

prove-branches: $(NPM_PACKAGES) ## Check that the tests take each branch of the escrow
	$(NPM_RUN) prove:branches

prove-mutants: $(NPM_PACKAGES) ## Check that the tests notice small faults of the escrow
	$(NPM_RUN) prove:mutants

check-artifacts: $(NPM_PACKAGES) ## Check that the committed ABI and bytecode are what the sources compile to
	$(NPM_RUN) artifacts:check

check-page: $(NPM_PACKAGES) ## Check that the committed pages (payers', dashboard) are what their sources build to, and their types
	$(NPM_RUN) page:types
	$(NPM_RUN) page:check
	$(NPM_RUN) dashboard:types
	$(NPM_RUN) dashboard:check

gas: $(NPM_PACKAGES) ## Print what a preauthorization costs on chain; fails above the limits or above what it was
	$(NPM_RUN) gas

lint: ## Check formatting, and clippy without a warning
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

test-page: $(NPM_PACKAGES) ## Use the pages in a real Chromium, where there is one
	cargo build --bin preauthd
	$(NPM_RUN) page:test

test-client: $(NPM_PACKAGES) $(CLIENT) ## Generate a typed client from the API's document, and drive the daemon with it
	cargo build --bin preauthd
	node tests/client/run.mjs

schemathesis: $(NPM_PACKAGES) ## Let Schemathesis ask the daemon all its document allows, and much that it forbids, where there is Python
	cargo build --bin preauthd
	node tests/schemathesis/run.mjs $(ARGS)

test-lives: ## Live many of the seeded lives: make test-lives SEEDS=100000 FIRST_SEED=10001 OPT=2
	PREAUTHD_FIRST_SEED=$(FIRST_SEED) PREAUTHD_SEEDS=$(SEEDS) cargo test --quiet --lib \
		--config 'profile.dev.package.preauthd.opt-level=$(OPT)' whatever_a_seed -- --nocapture

# The services' clients are built for these stories alone, which takes minutes: not a part of `make test`.
test-kms: $(NPM_PACKAGES) ## Run the stories of operator keys in a KMS, against services of their own
	cargo clippy --features aws-kms,gcp-kms --all-targets -- -D warnings
ifeq ($(NEXTEST),yes)
	cargo nextest run --features aws-kms,gcp-kms kms
else
	cargo test --features aws-kms,gcp-kms kms
endif

test-rust: $(NPM_PACKAGES) ## Run the daemon's tests, on real anvils
ifeq ($(NEXTEST),yes)
	cargo nextest run
else
	cargo test
endif

test-hardhat-few: $(HARDHAT) ## Run a few of the daemon's stories on Hardhat's node
test-hardhat-few: STORIES = $(HARDHAT_STORIES)

test-hardhat: $(HARDHAT) ## Run all the daemon's stories that can be on Hardhat's node
test-hardhat: STORIES =

test-hardhat-few test-hardhat:
ifeq ($(NEXTEST),yes)
	PREAUTHD_TEST_CLIENT=hardhat cargo nextest run --profile hardhat $(STORIES)
else
	PREAUTHD_TEST_CLIENT=hardhat cargo test --test it -- --skip needs_anvil $(STORIES)
endif

artifacts: $(NPM_PACKAGES) ## Compile the contracts anew into contracts/artifacts
	$(NPM_RUN) artifacts

page: $(NPM_PACKAGES) ## Bundle the pages anew: src/http/pay/built, src/http/admin/built
	$(NPM_RUN) page
	$(NPM_RUN) dashboard

clean: ## Remove everything that was built, installed or kept by dev
	cargo clean
	rm -rf .venv node_modules tests/hardhat/node_modules tests/client/node_modules tests/client/generated contracts/out contracts/cache .dev

$(NPM_PACKAGES): package.json package-lock.json
	npm ci --loglevel=error
	@touch $@

$(CLIENT): tests/client/package.json tests/client/package-lock.json
	cd tests/client && npm ci --loglevel=error
	@touch $@

$(PROOF_TOOLS): contracts/proofs/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement $<
	@touch $@

$(HARDHAT): tests/hardhat/package.json tests/hardhat/package-lock.json
	cd tests/hardhat && npm ci --loglevel=error
	@touch $@
