"""A worker as its sessions see it: its parts, which every session uses, and how a session can end for it.

How a worker is started and kept going stands in `workers.supervisor`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from orchestrator.jobs import WorkerInfo
from workers.checkpoint_policy import CheckpointPolicy
from workers.console import Console
from workers.inbox import Inbox
from workers.outage import Outage
from workers.runner.process import RunnerProcess
from workers.store.transfers import Transfers
from workers.trust import Trust


@dataclass(frozen=True)
class Worker:
    """What a session has of its worker."""

    info: WorkerInfo
    runner: RunnerProcess
    transfers: Transfers
    inbox: Inbox
    console: Console
    outage: Outage
    directory: Path
    """Where the files of this session lie; removed at its end."""
    checkpoint_policy: CheckpointPolicy
    stopping: Callable[[], bool]
    seconds_left: Callable[[], float | None]
    """Until it ends in good order; None where that is not known."""
    hung_seconds: float
    chained: bool
    """Whether the worker goes on with the next job of a chain."""
    trust: Trust = field(default_factory=Trust)
    """Whose code it runs besides Orch's own."""


class Result(Enum):
    """How a session ended for this worker."""

    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    REJECTED = "rejected"
    """This machine cannot do the job."""
    UNKEPT = "unkept"
    """This account's storage has no room for what the job makes."""
    LOST = "lost"
