"""A training that stops anywhere, any number of times, ends in the same bits as one that never stopped.

With convolutions and batch norm and with attention, dropout, everything that changes images, a moving average of the
weights, masks and a teacher.  JAX compiles every network in every process anew, for many seconds: with it, all
but one proof are among the slow tests.  More moments at which workers die:
ORCH_TEST_SEEDS=20 pytest -n0 -m "" tests/integration/test_training_is_exact.py
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
from tests.support.repetitions import repetitions

NETWORKS = list(exact_training.NETWORKS)
SEEDS = range(int(os.environ.get("ORCH_TEST_SEEDS", "2")))
THREADS = 2
"""Operations that do not wait for each other run at once, in whatever order."""
TENSORFLOW, JAX = backends.NAMES
EVERY_PAIR = [(backend, network) for backend in backends.NAMES for network in NETWORKS]


def often(*chosen: tuple[str, str]) -> pytest.MarkDecorator:
    """Every backend with every network; pairs that were not chosen are slow."""
    pairs = [pytest.param(*pair, marks=() if pair in chosen else pytest.mark.slow) for pair in EVERY_PAIR]
    return pytest.mark.parametrize(("backend", "network"), pairs, indirect=["backend"], scope="module")


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def process(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    compiled = tmp_path_factory.mktemp("compiled")
    with new_process(backend, threads=THREADS, cores=THREADS, compiled=compiled) as executor:
        yield executor


@pytest.fixture(scope="module")
def other_process(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    """A process as of a machine with one core, where operations come in another order; it compiles all itself."""
    compiled = tmp_path_factory.mktemp("compiled-elsewhere")
    with new_process(backend, threads=THREADS, cores=1, compiled=compiled) as executor:
        yield executor


@pytest.fixture(scope="module")
def undisturbed(process: ProcessPoolExecutor, network: str) -> str:
    """Digest of the state after one training without any stop."""
    return process.submit(exact_training.weights_after, network).result()


@often((TENSORFLOW, "convolutional"), (TENSORFLOW, "attention"))
@pytest.mark.parametrize("steps_per_call", [1, 7])
def test_the_weights_do_not_depend_on_where_calls_are_cut(
    process: ProcessPoolExecutor, undisturbed: str, network: str, steps_per_call: int
) -> None:
    cut = process.submit(exact_training.weights_after, network, steps_per_call).result()

    assert cut == undisturbed


@often((TENSORFLOW, "convolutional"), (JAX, "convolutional"))
def test_a_training_that_stopped_three_times_ends_in_the_same_weights(
    process: ProcessPoolExecutor, undisturbed: str, network: str
) -> None:
    stopped = process.submit(exact_training.weights_after, network, 1, (1, 8, 13)).result()

    assert stopped == undisturbed


@often((TENSORFLOW, "attention"))
def test_another_process_goes_on_from_a_checkpoint_to_the_same_weights(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, undisturbed: str, network: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    process.submit(exact_training.save_at, network, 11, path).result()

    resumed = other_process.submit(exact_training.weights_after_resuming, network, path).result()

    assert resumed == undisturbed


@often((TENSORFLOW, "convolutional"))
def test_a_training_with_masks_and_a_teacher_that_stopped_three_times_ends_in_the_same_weights(
    process: ProcessPoolExecutor, undisturbed: str, network: str
) -> None:
    def weights(steps_per_call: int, stops: tuple[int, ...]) -> str:
        return process.submit(exact_training.weights_after, network, steps_per_call, stops, compressed=True).result()

    whole = weights(16, ())
    stopped = weights(1, (4, 9, 13))

    assert stopped == whole != undisturbed


@often()
def test_another_process_goes_on_from_masks_to_the_same_weights(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, network: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    process.submit(exact_training.save_at, network, 9, path, compressed=True).result()
    whole = process.submit(exact_training.weights_after, network, compressed=True).result()

    resumed = other_process.submit(exact_training.weights_after_resuming, network, path, compressed=True).result()

    assert resumed == whole


@pytest.mark.parametrize("backend", repetitions(backends.NAMES, often=[TENSORFLOW]), indirect=True, scope="module")
@pytest.mark.parametrize(
    ("precision", "optimizer", "schedule"),
    [
        # Loss scaling: the one of them that may leave a step out.
        ("mixed_float16", "adamw", "cosine"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                ("mixed_float16", "muon", "cosine"),
                ("mixed_bfloat16", "adamw", "cosine"),
                ("float32", "sgd", "step"),
                ("float32", "lion", "one-cycle"),
                ("float32", "muon", "cosine"),
                ("float32", "adamw", "constant"),
            )
        ),
    ],
)
def test_every_precision_optimizer_and_schedule_resumes_exactly(
    process: ProcessPoolExecutor, precision: str, optimizer: str, schedule: str
) -> None:
    def weights(stops: tuple[int, ...]) -> str:
        changes = {"optimizer": optimizer, "schedule": schedule}
        return process.submit(exact_training.weights_after, "attention", 4, stops, precision, **changes).result()

    whole = weights(())
    stopped = weights((8,))

    assert stopped == whole


@often((TENSORFLOW, "convolutional"))
@pytest.mark.parametrize("mode", mortal_training.MODES)
def test_workers_that_die_at_any_moment_leave_no_trace_in_the_state(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, mode: str, network: str
) -> None:
    whole = process.submit(mortal_training.outcome, mode, network).result()

    for seed in SEEDS:
        disturbed = other_process.submit(mortal_training.outcome, mode, network, seed).result()
        assert disturbed == whole, f"seed {seed}"
