"""A training that stops anywhere, any number of times, ends in the same bits as one that never stopped.

With convolutions and batch norm and with attention, dropout, everything that changes images, a moving average of the
weights, masks and a teacher.  Every proof is made with both backends and both networks, and not with each pair of them.
JAX compiles every network in every process anew, for many seconds: with it, all but one proof are among the slow tests.
More moments at which workers die:
ORCH_TEST_SEEDS=20 pytest -n0 -m "" tests/integration/test_training_is_exact.py
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from models.recipes import Augmentation
from models.training import backends
from tests.support import exact_training, mortal_training
from tests.support.backends import new_process

SEEDS = range(int(os.environ.get("ORCH_TEST_SEEDS", "1")))
THREADS = 2
"""Operations that do not wait for each other run at once, in whatever order."""
MIXED = Augmentation(mixup=0.4)
"""For what is done to the weights, whatever the images are like: every change of images more is seconds of tracing."""
TENSORFLOW, JAX = backends.NAMES
CONVOLUTIONAL, ATTENTION = exact_training.NETWORKS
Pair = tuple[str, str]


def pairs(*often: Pair, slow: Collection[Pair]) -> pytest.MarkDecorator:
    """Of a backend and a network."""
    every = [*often, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in slow)]
    return pytest.mark.parametrize(("backend", "network"), every)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int], ProcessPoolExecutor]]:
    """By backend and cores; each compiles all itself, once."""
    with ExitStack() as running:

        @functools.cache
        def process(backend: str, cores: int) -> ProcessPoolExecutor:
            compiled = tmp_path_factory.mktemp("compiled")
            return running.enter_context(new_process(backend, threads=THREADS, cores=cores, compiled=compiled))

        yield process


@pytest.fixture
def process(processes: Callable[[str, int], ProcessPoolExecutor], backend: str) -> ProcessPoolExecutor:
    return processes(backend, THREADS)


@pytest.fixture
def other_process(processes: Callable[[str, int], ProcessPoolExecutor], backend: str) -> ProcessPoolExecutor:
    """As of a machine with one core, where operations come in another order."""
    return processes(backend, 1)


@pytest.fixture(scope="module")
def digests(processes: Callable[[str, int], ProcessPoolExecutor]) -> Callable[[str, str], str]:
    return functools.cache(
        lambda backend, network: processes(backend, THREADS).submit(exact_training.weights_after, network).result()
    )


@pytest.fixture
def undisturbed(digests: Callable[[str, str], str], backend: str, network: str) -> str:
    """Digest of the state after one training without any stop."""
    return digests(backend, network)


@pairs((TENSORFLOW, CONVOLUTIONAL), slow=[(JAX, ATTENTION)])
def test_the_weights_do_not_depend_on_where_calls_are_cut(
    process: ProcessPoolExecutor, undisturbed: str, network: str
) -> None:
    cut = process.submit(exact_training.weights_after, network, 7).result()

    assert cut == undisturbed


@pairs((TENSORFLOW, CONVOLUTIONAL), (JAX, CONVOLUTIONAL), slow=[(TENSORFLOW, ATTENTION)])
def test_a_training_that_stopped_twice_ends_in_the_same_weights(
    process: ProcessPoolExecutor, undisturbed: str, network: str
) -> None:
    stopped = process.submit(exact_training.weights_after, network, 1, (1, 12)).result()

    assert stopped == undisturbed


@pairs((TENSORFLOW, ATTENTION), slow=[(JAX, CONVOLUTIONAL)])
def test_another_process_goes_on_from_a_checkpoint_to_the_same_weights(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, undisturbed: str, network: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    process.submit(exact_training.save_at, network, 11, path).result()

    resumed = other_process.submit(exact_training.weights_after_resuming, network, path).result()

    assert resumed == undisturbed


@pairs((TENSORFLOW, CONVOLUTIONAL), slow=[(JAX, ATTENTION)])
def test_a_training_with_masks_and_a_teacher_that_stopped_twice_ends_in_the_same_weights(
    process: ProcessPoolExecutor, network: str
) -> None:
    def weights(steps_per_call: int, stops: tuple[int, ...], compressed: bool = True) -> str:
        changes: dict[str, Any] = {"augmentation": MIXED, "compressed": compressed}
        return process.submit(exact_training.weights_after, network, steps_per_call, stops, **changes).result()

    whole = weights(16, ())
    stopped = weights(1, (4, 13))

    assert stopped == whole != weights(16, (), compressed=False)


@pytest.mark.slow
@pairs((TENSORFLOW, ATTENTION), (JAX, CONVOLUTIONAL), slow=[])
def test_another_process_goes_on_from_masks_to_the_same_weights(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, network: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    process.submit(exact_training.save_at, network, 9, path, compressed=True).result()
    whole = process.submit(exact_training.weights_after, network, compressed=True).result()

    resumed = other_process.submit(exact_training.weights_after_resuming, network, path, compressed=True).result()

    assert resumed == whole


@pytest.mark.parametrize(
    ("backend", "precision", "optimizer", "schedule"),
    [
        # Loss scaling: the one of them that may leave a step out.
        (TENSORFLOW, "mixed_float16", "adamw", "cosine"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                (TENSORFLOW, "float32", "sgd", "step"),
                (TENSORFLOW, "float32", "lion", "one-cycle"),
                (TENSORFLOW, "float32", "muon", "cosine"),
                (JAX, "mixed_float16", "muon", "cosine"),
                (JAX, "mixed_bfloat16", "adamw", "cosine"),
                (JAX, "float32", "adamw", "constant"),
            )
        ),
    ],
)
def test_every_precision_optimizer_and_schedule_resumes_exactly(
    process: ProcessPoolExecutor, precision: str, optimizer: str, schedule: str
) -> None:
    def weights(stops: tuple[int, ...]) -> str:
        changes = {"optimizer": optimizer, "schedule": schedule, "augmentation": MIXED}
        return process.submit(exact_training.weights_after, "attention", 4, stops, precision, **changes).result()

    whole = weights(())
    stopped = weights((8,))

    assert stopped == whole


@pairs((TENSORFLOW, CONVOLUTIONAL), slow=[(JAX, ATTENTION)])
@pytest.mark.parametrize("mode", mortal_training.MODES)
def test_workers_that_die_at_any_moment_leave_no_trace_in_the_state(
    process: ProcessPoolExecutor, other_process: ProcessPoolExecutor, mode: str, network: str
) -> None:
    whole = process.submit(mortal_training.outcome, mode, network).result()

    for seed in SEEDS:
        disturbed = other_process.submit(mortal_training.outcome, mode, network, seed).result()
        assert disturbed == whole, f"seed {seed}"
