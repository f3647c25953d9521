"""When a lease is renewed: in time, and not at the moment at which everybody renews; and what an outage does to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, cast

import pytest

from orchestrator.errors import HomeClosed, HomeError
from orchestrator.jobs import JobState, Lease, Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from workers import outage
from workers.console import Console
from workers.lease_keeper import LeaseKeeper
from workers.outage import Outage

LEASE = Lease("j", "a job", Stage.TRAIN, {}, "w1", 1, "token", seconds=900.0)
UNREACHABLE = HomeError("The home cannot be reached.")


class PlayedTable:
    """Answers, or raises, what a test has it."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)

    def _next(self, *_: Any, **__: Any) -> Any:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    renew = fail = _next


def keeper(
    *answers: Any, waits: Callable[[float], None] = lambda _: None, stopping: Callable[[], bool] = lambda: False
) -> LeaseKeeper:
    trouble = Outage(Console("w1", StringIO()), waits, in_notebook=False)
    table = cast(JobTable, PlayedTable(*answers))
    return LeaseKeeper(table, LEASE, WorkerInfo("w1"), stopping, trouble, lambda _: None)


def test_two_renewals_may_fail_and_workers_that_began_together_do_not_stay_together() -> None:
    heartbeats = [keeper().next_heartbeat - time.monotonic() for _ in range(500)]
    assert min(heartbeats) > 900 / 3 * 0.79 and max(heartbeats) <= 900 / 3
    assert max(heartbeats) - min(heartbeats) > 900 / 3 * 0.15


def test_a_renewal_that_fails_is_tried_again_soon_and_then_more_rarely_until_it_succeeds() -> None:
    kept = keeper(UNREACHABLE, UNREACHABLE, UNREACHABLE, LEASE)
    waits = []
    for _ in range(4):
        kept.renew(None)
        waits.append(kept.next_heartbeat - time.monotonic())
    assert waits[0] < waits[1] < waits[2] < 30 < waits[3]


def test_what_is_done_is_insisted_on_with_waits_that_end_with_the_worker() -> None:
    waited: list[float] = []
    kept = keeper(UNREACHABLE, UNREACHABLE, JobState.READY, waits=waited.append)
    assert kept.fail("it failed", final=False) is JobState.READY
    assert waited == [2.0, 4.0]
    with pytest.raises(HomeError):
        keeper(UNREACHABLE, UNREACHABLE, stopping=lambda: True).fail("it failed", final=False)


def test_a_home_that_nobody_opens_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PERSON_SECONDS", 0.0)
    with pytest.raises(HomeClosed):
        keeper(HomeClosed("The folder is in the bin.")).renew(None)
