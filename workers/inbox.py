"""What a worker's main thread is told: by its runner, its transfers, and whoever wants it to end."""

from __future__ import annotations

import queue
from dataclasses import dataclass

from workers.runner import messages
from workers.runner.process import RunnerDied
from workers.transfers import Transferred


@dataclass(frozen=True)
class StopAsked:
    """A shutdown notice was given: checkpoint, release, leave."""


@dataclass(frozen=True)
class Overdue:
    """The time that stopping may take is over."""


@dataclass(frozen=True)
class UploadDue:
    """Outputs that the store did not take are offered again."""


@dataclass(frozen=True)
class FetchDue:
    """A job's inputs that the store did not give are asked for again."""

    job: str


@dataclass(frozen=True)
class NoRoom:
    """The store has had no room for what the job makes, for as long as that is waited for."""


Event = messages.Message | RunnerDied | Transferred | StopAsked | Overdue | UploadDue | FetchDue | NoRoom
Inbox = queue.SimpleQueue[Event]
