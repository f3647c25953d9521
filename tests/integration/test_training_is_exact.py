"""A training that stops anywhere, any number of times, ends in the same bits as one that never stopped.

With convolutions and batch norm and with attention, dropout, crop, flip, cutout, mixup and a moving average of the
weights.  More moments at which workers die: ORCH_TEST_SEEDS=20 pytest -n0 tests/integration/test_training_is_exact.py
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from models.runtime import configure_runtime
from tests.integration import exact_training, mortal_training

NETWORKS = list(exact_training.NETWORKS)
SEEDS = range(int(os.environ.get("ORCH_TEST_SEEDS", "2")))


THREADS = 2
"""Operations that do not wait for each other run at once, in whatever order."""


def new_process(cores: int) -> ProcessPoolExecutor:
    """A process of its own, because threads and determinism are set once for a process."""
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=configure,
        initargs=(cores,),
    )


def configure(cores: int) -> None:
    """As a runner does, on a machine that has at most so many cores."""
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:cores])
    configure_runtime(THREADS)


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    with new_process(cores=THREADS) as executor:
        yield executor


@pytest.fixture(scope="module")
def other_process() -> Iterator[ProcessPoolExecutor]:
    """Of a machine with one core, where operations come in another order."""
    with new_process(cores=1) as executor:
        yield executor


@pytest.fixture(scope="module")
def undisturbed(process: ProcessPoolExecutor) -> dict[str, str]:
    """Digests of the weights after one training without any stop."""
    return {name: process.submit(exact_training.weights_after, name).result() for name in NETWORKS}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("steps_per_call", [1, 7])
def test_the_weights_do_not_depend_on_where_calls_are_cut(
    process: ProcessPoolExecutor, undisturbed: dict[str, str], network: str, steps_per_call: int
) -> None:
    cut = process.submit(exact_training.weights_after, network, steps_per_call).result()

    assert cut == undisturbed[network]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_that_stopped_three_times_ends_in_the_same_weights(
    process: ProcessPoolExecutor, undisturbed: dict[str, str], network: str
) -> None:
    stopped = process.submit(exact_training.weights_after, network, 1, (1, 8, 13)).result()

    assert stopped == undisturbed[network]


@pytest.mark.parametrize("network", NETWORKS)
def test_another_process_goes_on_from_a_checkpoint_to_the_same_weights(
    process: ProcessPoolExecutor,
    other_process: ProcessPoolExecutor,
    undisturbed: dict[str, str],
    network: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.safetensors"
    process.submit(exact_training.save_at, network, 11, path).result()

    resumed = other_process.submit(exact_training.weights_after_resuming, network, path).result()

    assert resumed == undisturbed[network]


def test_float16_arithmetic_resumes_exactly_too(process: ProcessPoolExecutor) -> None:
    def weights(stops: tuple[int, ...]) -> str:
        return process.submit(exact_training.weights_after, "attention", 4, stops, "mixed_float16").result()

    whole = weights(())
    stopped = weights((8,))

    assert stopped == whole


@pytest.mark.parametrize("mode", mortal_training.MODES)
@pytest.mark.parametrize("network", NETWORKS)
def test_workers_that_die_at_any_moment_leave_no_trace_in_the_state(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, mode: str, network: str
) -> None:
    whole = process.submit(mortal_training.outcome, mode, network).result()

    for seed in SEEDS:
        disturbed = other_process.submit(mortal_training.outcome, mode, network, seed).result()
        assert disturbed == whole, f"seed {seed}"
