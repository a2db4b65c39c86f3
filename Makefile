# Everything needs Python 3.11 or later and make; the first call sets up .venv from the package registry. What the tests
# take beside it stands in tests/machine/tools.py.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test quick lint types unit tools simd clean
help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON): apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) tests/machine/tools.py python
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: .venv/.ready  ## make a sample dataset and run the whole job on it
	rm -rf demo
	$(BIN)/postmill sample demo/data --posts 2000 --influencers 60
	$(BIN)/postmill run demo/data demo/run --models light

test: lint types unit  ## everything: lint, types, tests; installs what they take, where it may

# What needs no archive of thousands of entries, no model and no other program; see tests/README.md.
QUICK := tests/test_architecture.py tests/test_command_line.py tests/test_addresses.py tests/ingest/zipformat \
	tests/ingest/source tests/ingest/plan/test_windows.py tests/jobs/test_arrays.py tests/jobs/test_scripts.py \
	tests/shards/run tests/shards/test_formats.py tests/shards/test_formats_document.py tests/shards/test_parquet.py \
	tests/shards/test_spool.py tests/shards/test_tar.py tests/train/evaluation tests/train/report/figures \
	tests/train/report/test_findings.py tests/train/report/test_printed_numbers.py tests/train/report/test_terminal.py \
	tests/train/data/test_splits.py tests/train/data/test_history.py tests/train/models/test_registry.py

quick: .venv/.ready lint types  ## what is worth running at every change
	$(BIN)/python -m pytest -n auto -q $(QUICK)

lint: .venv/.ready  ## ruff, rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready  ## mypy --strict
	@mkdir -p .venv/src && ln -sfn ../.. .venv/src/postmill
	$(BIN)/mypy

unit: .venv/.ready tools  ## pytest
	$(BIN)/python -m pytest -n auto

tools:  ## install the programs that tests take, where root or sudo may; without one its tests are left out
	@$(PYTHON) tests/machine/tools.py install

# pillow-simd is a drop-in for pillow that resizes faster on AVX2 machines; it is built from source, which needs a C
# compiler and headers (apt-get install gcc python3-dev libjpeg-dev zlib1g-dev; libwebp-dev for WebP pictures).
simd: .venv/.ready  ## replace pillow by pillow-simd, built for AVX2
	CC="cc -mavx2" $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-binary pillow-simd \
		--wheel-dir build/simd pillow-simd
	$(BIN)/python -m pip uninstall --quiet --yes pillow
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/simd/*.whl
	$(BIN)/python -c 'import PIL; print("pillow-simd", PIL.__version__)'

clean:  ## remove the environment and the demo
	rm -rf .venv demo
