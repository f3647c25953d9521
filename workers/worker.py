"""A worker as its attempts see it: who claims, what computes, and by what they hear of it; and how they end for it.

How one is started and kept going stands in `workers.supervisor`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from orchestrator.jobs import WorkerInfo
from workers.console import Console
from workers.inbox import Inbox
from workers.intervals import Pace
from workers.outage import Outage
from workers.runner_process import RunnerProcess
from workers.transfers import Transfers


@dataclass(frozen=True)
class Worker:
    """What an attempt has of its worker."""

    info: WorkerInfo
    runner: RunnerProcess
    transfers: Transfers
    inbox: Inbox
    console: Console
    outage: Outage
    directory: Path
    """For the files of this attempt; removed at its end."""
    pace: Pace
    stopping: Callable[[], bool]
    hung_seconds: float
    chained: bool
    """Whether to go on with what follows a job."""


class Result(Enum):
    """How an attempt ended for this worker."""

    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    REFUSED = "refused"
    """This machine cannot do the job."""
    UNKEPT = "unkept"
    """This account's storage has no room for what the job makes."""
    LOST = "lost"
