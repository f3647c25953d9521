"""In what order TensorFlow's threads happen to work changes no bit."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from models.runtime import configure_runtime
from tests.support import contended_sums


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """With more threads than most machines of ours have cores: any of them may be late."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, configure_runtime, (4,)) as executor:
        yield executor


@pytest.mark.parametrize("runs", [50, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("summation", [contended_sums.of_gradients, contended_sums.of_additions])
def test_a_sum_of_three_is_the_same_whoever_else_reads_its_parts(
    process: ProcessPoolExecutor, summation: contended_sums.Summation, runs: int
) -> None:
    assert process.submit(contended_sums.outcomes, summation, runs).result() == 1
