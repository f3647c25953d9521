"""A training that stops anywhere, any number of times, ends in the same bits as one that never stopped."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from models.runtime import configure_runtime
from tests.integration import exact_training

NETWORKS = list(exact_training.NETWORKS)


def new_process() -> ProcessPoolExecutor:
    """A process of its own, because threads and determinism are set once for a process."""
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=configure_runtime,
        initargs=(1,),
    )


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    with new_process() as executor:
        yield executor


@pytest.fixture(scope="module")
def other_process() -> Iterator[ProcessPoolExecutor]:
    with new_process() as executor:
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
    arguments = (exact_training.weights_after, "attention", 4)

    whole = process.submit(*arguments, (), "mixed_float16").result()
    stopped = process.submit(*arguments, (8,), "mixed_float16").result()

    assert stopped == whole


SEEDS = range(int(os.environ.get("ORCH_TEST_SEEDS", "2")))
"""Of random moments to stop at; more of them, in hours that nobody waits for: ORCH_TEST_SEEDS=20."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_stopped_at_random_moments_a_relay_ends_in_the_same_weights(
    process: ProcessPoolExecutor, undisturbed: dict[str, str], network: str, seed: int
) -> None:
    chance = random.Random(seed)
    stops = sorted(chance.sample(range(1, exact_training.VISIT.last_step), chance.randint(1, 5)))

    stopped = process.submit(exact_training.weights_after, network, chance.choice([1, 2, 5]), stops).result()

    assert stopped == undisturbed[network]


@pytest.fixture(scope="module")
def undisturbed_average(process: ProcessPoolExecutor) -> dict[str, str]:
    return {name: process.submit(exact_training.averaged_weights_after, name, {}).result() for name in NETWORKS}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_stopped_at_random_moments_replicas_are_merged_into_the_same_weights(
    process: ProcessPoolExecutor, undisturbed_average: dict[str, str], network: str, seed: int
) -> None:
    chance = random.Random(seed)
    steps = exact_training.RECIPE.steps_per_epoch(exact_training.IMAGES // 2)
    visits = [(number, shard) for number in range(2) for shard in range(2)]
    stops = {(number, shard): number * steps + chance.randrange(steps) for number, shard in chance.sample(visits, 3)}

    stopped = process.submit(exact_training.averaged_weights_after, network, stops).result()

    assert stopped == undisturbed_average[network]
