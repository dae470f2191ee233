# Two commands that do everything on a fresh machine, installation included.
VENV ?= .venv
export HALION_VENV = $(VENV)

.PHONY: study test slow search lint clean

study: ## the quick study of Li3YBr6, from the disordered crystal to its report
	@scripts/setup.sh
	@$(VENV)/bin/halion run Li3YBr6 --preset quick --folder runs/Li3YBr6

test: ## the tests
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2 --dist loadfile --cov --cov-report=term:skip-covered

slow: ## the tests that take minutes
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -m slow

search: ## the property tests on new random examples
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2 --dist loadfile --hypothesis-profile search

lint: ## style
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

clean: ## what can be made again; run folders stay
	rm -rf $(VENV) build .pytest_cache .ruff_cache .coverage
