"""When a lease is renewed: in time, and not at the moment at which everybody renews."""

from __future__ import annotations

import time
from typing import cast

from orchestrator.jobs import Claimant, Lease, Stage
from orchestrator.jobtable import JobTable
from workers.holding import Holding

LEASE = Lease("j", "a job", Stage.TRAIN, {}, "w1", 1, "token", seconds=900.0)


def seconds_to_the_first_beat() -> float:
    table = cast(JobTable, None)  # not asked before the beat
    holding = Holding(table, LEASE, Claimant("w1"), lambda: False, lambda _: None, lambda _: None)
    return holding.next_beat - time.monotonic()


def test_two_renewals_may_fail_and_workers_that_began_together_do_not_stay_together() -> None:
    beats = [seconds_to_the_first_beat() for _ in range(500)]
    assert min(beats) > 900 / 3 * 0.79 and max(beats) <= 900 / 3
    assert max(beats) - min(beats) > 900 / 3 * 0.15
