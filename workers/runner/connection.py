"""The runner's end of the line: what a stage may say and ask while it computes."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import TextIO

from workers.checkpoint_policy import CheckpointPolicy
from workers.runner import faults
from workers.runner.messages import Message, Progress, RunJob, Stop, decode, send

# The supervisor needs to know that the job is alive and how far, not every training step.
_PROGRESS_SECONDS = 0.5
# States that wait in memory to be written.  A disk that is slower than the training for long must slow it down in the
# end, or the memory fills.
_MOST_WAITING = 2


class Connection:
    """Reads what the supervisor sends on a thread of its own; the process ends when the supervisor's end closes.

    Files are written on another thread, in order, while the next training steps are computed.
    """

    def __init__(self, incoming: TextIO, outgoing: TextIO) -> None:
        self._outgoing = outgoing
        self._speaking = threading.Lock()
        self._jobs: queue.SimpleQueue[RunJob] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._tasks: queue.Queue[Callable[[], None]] = queue.Queue(_MOST_WAITING)
        self._last_progress = 0.0
        self._last_checkpoint = time.monotonic()
        self._cost: float | None = None
        """Seconds that the training stood still for the last state, once there was one."""
        threading.Thread(target=self._listen, args=(incoming,), daemon=True).start()
        threading.Thread(target=self._write, daemon=True).start()

    def next_job(self) -> RunJob:
        job = self._jobs.get()
        if job.follows is None:
            self._last_checkpoint = time.monotonic()
        return job

    def say(self, message: Message) -> None:
        with self._speaking:
            send(self._outgoing, message)

    def progress(self, progress: Progress) -> None:
        """Say how far the job is, if it was not said just now."""
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_SECONDS or progress.job_step == progress.job_steps:
            self._last_progress = now
            self.say(progress)

    def later(self, job: RunJob, task: Callable[[], Message | None]) -> None:
        """Have this done, and its message said, on the writing thread, after all that was asked for before."""
        self._tasks.put(lambda: self._do(job, task))

    def stop_asked(self) -> bool:
        return self._stop.is_set()

    def checkpoint_due(self, policy: CheckpointPolicy) -> bool:
        """Whether it is time for the next one, and the ones before it are written."""
        since = time.monotonic() - self._last_checkpoint
        return since >= policy.seconds(self._cost) and not self._tasks.unfinished_tasks

    def checkpoint_taken(self, cost: float) -> None:
        """A state is in host memory, for which the training stood still for so many seconds."""
        self._last_checkpoint = time.monotonic()
        self._cost = cost

    def _write(self) -> None:
        while True:
            self._tasks.get()()
            self._tasks.task_done()

    def _do(self, job: RunJob, task: Callable[[], Message | None]) -> None:
        """Whatever goes wrong is the job's: a thread that died here would be a runner that never answers."""
        try:
            message = task()
            if message is not None:
                self.say(message)
        except Exception as error:
            faults.log()
            self.say(faults.ending(job, error))

    def _listen(self, incoming: TextIO) -> None:
        for line in incoming:
            message = decode(line)
            if isinstance(message, RunJob):
                if message.follows is None:
                    self._stop.clear()
                self._jobs.put(message)
            elif isinstance(message, Stop):
                self._stop.set()
        # The supervisor is gone, perhaps killed: nobody will take what this process computes.
        os._exit(0)
