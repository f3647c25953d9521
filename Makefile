# Names for what a contributor runs; CONTRIBUTING.md says when.  Every target works on what is installed on the path.
.DEFAULT_GOAL := help
.PHONY: help setup style check test-fast test test-slow coverage pictures

help: ## these names
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## everything a contributor needs, at the versions that CI uses
	pip install --constraint constraints.txt --editable ".[worker,dev]"

style: ## what ruff can mend by itself
	ruff check --fix .
	ruff format .

check: ## the static checks
	ruff check .
	ruff format --check .
	lint-imports
	mypy

test-fast: ## tests/unit, under a minute on two cores
	pytest tests/unit

test: ## all tests, but for further repetitions
	pytest

test-slow: ## the further repetitions alone
	pytest -m slow

coverage: ## of the code that tests/unit runs in its own processes
	pytest tests/unit --cov

pictures: ## the README's, of a study that is run for them (three minutes, needs chromium)
	python benchmarks/pictures.py
