# Two commands for a newcomer: `make quickstart` and `make test`. Nothing but Python >= 3.11, make and PyPI is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help quickstart test test-tracking test-cluster lint format schema install clean

help:
	@echo "make quickstart  install, run benchmarks/quickstart.yaml, show the leaderboard"
	@echo "make test        install, run the whole test suite"
	@echo "make test-tracking  install mlflow too, run the tests of experiment tracking"
	@echo "make test-cluster  run a benchmark through a SLURM of two nodes (slurm-wlm, munge) and Dask workers"
	@echo "make lint        ruff, mypy and the import contracts"
	@echo "make schema      write benchmarks/schema/benchmark.json anew"
	@echo "make clean       remove the virtual environment and the quickstart's results"

install: $(STAMP)

# torch comes first and pinned: without a version pip would fetch the newest build, GPU libraries and all.
# nnU-Net's encoders, which the tests build, come without timm and torchvision, which they do not need.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mribench needs Python >= 3.11; say which with: make PYTHON=/path/to/python3.11 quickstart"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps dynamic-network-architectures
	@touch $(STAMP)

quickstart: $(STAMP)
	$(BIN)/mribench run benchmarks/quickstart.yaml

# In the order of collection: by number of tests, the longest files would come last, and one worker idle.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# MONAI imports mlflow wherever it is installed, a second for every process: it comes after everything else.
test-tracking: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[mlflow]'
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/mribench_tracking

# CLUSTER_TESTS: a part of them, as pytest takes it.
CLUSTER_TESTS ?= tests/cluster
test-cluster: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dask]'
	MRIBENCH_CLUSTER=1 $(BIN)/python -m pytest -n 2 $(CLUSTER_TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(STAMP)
	$(BIN)/mribench schema --distribution mribench --output benchmarks/schema/benchmark.json

clean:
	rm -rf $(VENV) results/quickstart
