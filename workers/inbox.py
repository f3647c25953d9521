"""The inbox of a worker's main thread: what its runner, its transfers and a shutdown notice tell it."""

from __future__ import annotations

import queue
from dataclasses import dataclass

from workers.runner import messages
from workers.runner.process import RunnerDied
from workers.store.transfers import Transferred


@dataclass(frozen=True)
class StopAsked:
    """A shutdown notice was given: checkpoint, release, leave."""


@dataclass(frozen=True)
class Overdue:
    """The time that a worker has to stop is over."""


@dataclass(frozen=True)
class UploadDue:
    """It is time to offer outputs again that the store did not take."""


@dataclass(frozen=True)
class FetchDue:
    """It is time to ask again for a job's inputs that the store did not give."""

    job: str


@dataclass(frozen=True)
class NoRoom:
    """The store has had no room for what the job makes, for as long as that is waited for."""


Event = messages.Message | RunnerDied | Transferred | StopAsked | Overdue | UploadDue | FetchDue | NoRoom
Inbox = queue.SimpleQueue[Event]
