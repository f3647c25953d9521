"""The job of a pool on Ray: what it is told, and when it puts another worker in the place of one that ended."""

from __future__ import annotations

import dataclasses
import shlex

import pytest

from orchestrator.engines.pool import Pool
from orchestrator.engines.ray import RayEngine
from orchestrator.engines.ray_job import Order
from orchestrator.engines.ray_slot import Slot
from orchestrator.errors import UsageError

POOL = Pool(
    name="orch-tiny-0a1b2c3d",
    command=("/opt/orch/bin/python", "-c", "run('workers.cli')"),
    arguments=("--home=postgresql://ada@db/lab", "--artifacts=/net/my lab"),
    workers=2,
    gpus=1,
    memory_gb=16.0,
    hours=1.5,
)
LEAST = Pool("orch-tiny-0", ("/opt/orch/bin/python", "-c", "run()"), (), workers=1)


def order(pool: Pool, *options: str) -> tuple[list[str], Order]:
    """What comes before the keeper's own arguments in its command, and what these say."""
    words = shlex.split(RayEngine(options).render(pool))
    entrypoint = words[words.index("--") + 1 :]
    return entrypoint[:4], Order.parse(entrypoint[4:])


def test_the_keeper_is_told_all_that_is_wished_for() -> None:
    python, told = order(POOL, "--cpus=0.5", "--python=/env/bin/python")
    assert python[:3] == ["/env/bin/python", "-P", "-c"]
    assert "orchestrator.engines.ray_keeper" in python[3]
    assert told == Order(
        pool=POOL.name,
        workers=2,
        cpus=0.5,
        gpus=1,
        memory_bytes=16_000_000_000,
        command=(
            *("/env/bin/python", "-c", "run('workers.cli')"),
            *("--home=postgresql://ada@db/lab", "--artifacts=/net/my lab", "--max-hours=1.5"),
        ),
    )


def test_what_is_not_wished_for_is_not_reserved() -> None:
    python, told = order(LEAST)
    assert python[0] == "python"
    assert told == Order(LEAST.name, workers=1, cpus=1.0, gpus=0, memory_bytes=0, command=("python", "-c", "run()"))


def test_the_number_of_workers_alone_is_no_other_template() -> None:
    def metadata(pool: Pool) -> str:
        words = shlex.split(RayEngine(()).render(pool))
        return words[words.index("--metadata-json") + 1]

    assert metadata(POOL) == metadata(dataclasses.replace(POOL, workers=9))
    assert metadata(POOL) != metadata(dataclasses.replace(POOL, gpus=2))


def test_a_home_in_a_directory_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a directory of node7, which Ray's nodes do not reach"):
        RayEngine(()).render(dataclasses.replace(POOL, machine="node7"))


@pytest.mark.parametrize(
    "options",
    [
        ("--imagine", "x"),
        ("x",),
        ("--cpus=many",),
        ("--cpus=-1",),
        ("--cpus=nan",),
        ("--cpus=inf",),
        ("--runtime-env-json={",),
        ("--runtime-env-json=3",),
    ],
)
def test_options_that_there_are_not_are_refused_with_those_that_there_are(options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"Behind -- Ray takes --address URL, .* --runtime-env-json JSON: "):
        RayEngine(options)


def test_a_worker_that_leaves_work_after_a_while_is_replaced_at_once() -> None:
    slot = Slot().after(75, seconds=61.0)
    assert (slot.pause_seconds, slot.is_given_up) == (0.0, False)


def test_a_worker_that_can_do_nothing_of_what_is_left_is_replaced_ever_more_rarely_and_never_given_up() -> None:
    slot, pauses = Slot(), []
    for _ in range(12):
        slot = slot.after(75, seconds=3.0)
        pauses.append(slot.pause_seconds)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert not slot.is_given_up


@pytest.mark.parametrize("code", [1, 4, -9])
def test_a_worker_that_fails_ten_times_in_a_row_is_given_up(code: int) -> None:
    slot = Slot()
    for _ in range(9):
        slot = slot.after(code, seconds=120.0)
        assert not slot.is_given_up
    assert slot.after(code, seconds=120.0).is_given_up


def test_what_came_before_a_worker_that_lived_long_is_forgotten() -> None:
    slot = Slot()
    for _ in range(9):
        slot = slot.after(1, seconds=5.0)
    assert slot.after(-9, seconds=600.0).pause_seconds == 1.0
    assert slot.after(75, seconds=100.0).pause_seconds == 0.0
