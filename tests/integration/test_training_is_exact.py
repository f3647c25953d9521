"""A training that stops anywhere, any number of times, ends in the same bits as one that never stopped.

With convolutions and batch norm and with attention, dropout, everything that changes images, and a moving average of
the weights.  More moments at which workers die:
ORCH_TEST_SEEDS=20 pytest -n0 tests/integration/test_training_is_exact.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from models.training import backends
from tests.support import exact_training, mortal_training
from tests.support.backends import new_process

NETWORKS = list(exact_training.NETWORKS)
SEEDS = range(int(os.environ.get("ORCH_TEST_SEEDS", "2")))
THREADS = 2
"""Operations that do not wait for each other run at once, in whatever order."""


@pytest.fixture(scope="module", params=backends.NAMES)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def process(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    compiled = tmp_path_factory.mktemp("compiled")
    with new_process(backend, threads=THREADS, cores=THREADS, compiled=compiled) as executor:
        yield executor


@pytest.fixture(scope="module")
def other_process(backend: str) -> Iterator[ProcessPoolExecutor]:
    """A process as of a machine with one core, where operations come in another order; it compiles all itself."""
    with new_process(backend, threads=THREADS, cores=1) as executor:
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


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_resumes_exactly_too(process: ProcessPoolExecutor, precision: str) -> None:
    def weights(stops: tuple[int, ...]) -> str:
        return process.submit(exact_training.weights_after, "attention", 4, stops, precision).result()

    whole = weights(())
    stopped = weights((8,))

    assert stopped == whole


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", "step"), ("lion", "one-cycle"), ("muon", "cosine"), ("adamw", "constant")]
)
def test_every_optimizer_and_schedule_resumes_exactly(
    process: ProcessPoolExecutor, optimizer: str, schedule: str
) -> None:
    def weights(stops: tuple[int, ...]) -> str:
        changes = {"optimizer": optimizer, "schedule": schedule}
        return process.submit(exact_training.weights_after, "attention", 4, stops, **changes).result()

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
