"""Orders to the runner: which jobs it has, when it was last heard of, and how it is left idle at a session's end."""

from __future__ import annotations

import math
import queue
import time

from workers.inbox import Inbox
from workers.runner import messages
from workers.runner.process import RunnerDied, RunnerProcess


class Orders:
    """The jobs of one session that the runner has not ended; none of them is left when the next session begins."""

    def __init__(self, runner: RunnerProcess, hung_seconds: float) -> None:
        self._runner = runner
        self._hung_seconds = hung_seconds
        self._jobs: set[str] = set()
        self._heard = time.monotonic()

    @property
    def alive(self) -> bool:
        return self._runner.alive

    @property
    def hung_at(self) -> float:
        """When the runner will have been silent for too long, on the monotonic clock."""
        return self._heard + self._hung_seconds if self._jobs else math.inf

    def give(self, order: messages.RunJob) -> None:
        self._jobs.add(order.job)
        self._heard = time.monotonic()
        self._runner.send(order)

    def heard(self, event: messages.Message) -> None:
        self._heard = time.monotonic()
        if isinstance(event, messages.Ending):
            self._jobs.discard(event.job)

    def ask_to_stop(self) -> None:
        """Ask the runner to checkpoint and to leave all its jobs."""
        if self._jobs:
            self._runner.stop_job()

    def end(self) -> None:
        """End the runner, whatever it is at."""
        self._jobs.clear()
        self._runner.end()

    def leave(self, inbox: Inbox, deadline: float) -> None:
        """Wait until the runner is idle; one that does not leave its jobs by then is ended."""
        self.ask_to_stop()
        while self._jobs:
            try:
                event = inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                event = RunnerDied("it did not leave its jobs")
            if isinstance(event, RunnerDied):
                self.end()
            elif isinstance(event, messages.Ending):
                self._jobs.discard(event.job)
