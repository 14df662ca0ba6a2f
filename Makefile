# Every target makes its own environment in .venv when it needs one.

PYTHON ?= python3
PYTEST_ARGS ?=
# Benchmarks compare against PyTorch and TorchJD; to fetch the small CPU build instead:
# make bench TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_ARGS ?=

BIN := .venv/bin
DEV := .venv/.installed-dev
BENCH := .venv/.installed-bench

export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo rooms test lint bench clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)

demo: $(DEV)  ## Train on RobotArm and export to saved_models/robot_arm.
	$(BIN)/python examples/robot_arm.py --demo \
		--output_dir=results/robot_arm --export_dir=saved_models/robot_arm

rooms: $(DEV)  ## Render rooms, learn to see them, and export.
	$(BIN)/python examples/rooms.py

test: $(DEV)  ## Run the tests, the slow ones left out.
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow" $(PYTEST_ARGS)

lint: $(DEV)  ## Check style, types and import directions.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

bench: $(BENCH)  ## Compare step times with PyTorch (downloads PyTorch).
	$(BIN)/python benchmarks/step_time.py

clean:  ## Remove the environment, caches and results.
	rm -rf .venv build dist results *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are touched last, so that an interrupted installation is redone.
$(DEV): setup.cfg
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[dev,plots]"
	touch $@

$(BENCH): $(DEV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 $(TORCH_ARGS)
	$(BIN)/python -m pip install --quiet "torchjd[full]==0.18.0"
	touch $@
