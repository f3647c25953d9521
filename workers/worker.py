"""A worker as its attempts see it: who claims, what computes, and by what they hear of it.

How one is started and kept going stands in `workers.supervisor`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.jobs import Claimant
from workers.console import Console
from workers.inbox import Inbox
from workers.intervals import Pace
from workers.runner_process import RunnerProcess
from workers.transfers import Transfers


@dataclass(frozen=True)
class Worker:
    """What an attempt has of its worker."""

    claimant: Claimant
    runner: RunnerProcess
    transfers: Transfers
    inbox: Inbox
    console: Console
    directory: Path
    """For the files of this attempt; removed at its end."""
    pace: Pace
    stopping: Callable[[], bool]
    hung_seconds: float
    chained: bool
    """Whether to go on with what follows a job."""
