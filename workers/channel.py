"""The runner's end of the line: what a stage may say and ask while it computes."""

from __future__ import annotations

import os
import queue
import threading
import time
from pathlib import Path
from typing import TextIO

from workers.messages import CheckpointWritten, Message, Progress, RunJob, Stop, decode, send

# The supervisor needs to know that the job is alive and how far, not every step.
_PROGRESS_SECONDS = 0.5


class Channel:
    """Reads what the supervisor sends on a thread of its own; the process ends when the supervisor's end closes."""

    def __init__(self, incoming: TextIO, outgoing: TextIO) -> None:
        self._outgoing = outgoing
        self._jobs: queue.SimpleQueue[RunJob] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._last_progress = 0.0
        self._last_checkpoint = time.monotonic()
        threading.Thread(target=self._listen, args=(incoming,), daemon=True).start()

    def next_job(self) -> RunJob:
        job = self._jobs.get()
        self._last_checkpoint = time.monotonic()
        return job

    def say(self, message: Message) -> None:
        send(self._outgoing, message)

    def progress(self, progress: Progress) -> None:
        """Say how far the job is, if it was not said just now."""
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_SECONDS or progress.step == progress.steps:
            self._last_progress = now
            self.say(progress)

    def stop_asked(self) -> bool:
        return self._stop.is_set()

    def checkpoint_due(self, seconds: float) -> bool:
        return time.monotonic() - self._last_checkpoint >= seconds

    def checkpoint_written(self, step: int, path: Path, seconds: float) -> None:
        self._last_checkpoint = time.monotonic()
        self.say(CheckpointWritten(step, str(path), seconds))

    def checkpoint_skipped(self) -> None:
        """It could not be written; the next one is due after the usual time."""
        self._last_checkpoint = time.monotonic()

    def _listen(self, incoming: TextIO) -> None:
        for line in incoming:
            message = decode(line)
            if isinstance(message, RunJob):
                self._stop.clear()
                self._jobs.put(message)
            elif isinstance(message, Stop):
                self._stop.set()
        # The supervisor is gone, perhaps killed: nobody will take what this process computes.
        os._exit(0)
