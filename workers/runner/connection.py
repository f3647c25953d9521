"""The runner's end of the line to its supervisor: what a stage may say and ask while it computes.

The runner has three threads.  The main thread owns the network and computes.  The listening thread owns the pipe from
the supervisor, passes jobs on and ends the process when the pipe closes.  The writing thread owns the files of states.
The main and the writing thread send messages, one at a time.
"""

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

_PROGRESS_SECONDS = 0.5
"""How often progress is said: the supervisor needs to know that the job is alive, not every training step."""
_MOST_WAITING = 2
"""How many states wait in memory to be written: a disk that stays slower must slow training down, or memory fills."""


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
        """Say how far the job is, unless that was said just now."""
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_SECONDS or progress.job_step == progress.job_steps:
            self._last_progress = now
            self.say(progress)

    def later(self, job: RunJob, task: Callable[[], Message | None]) -> None:
        """Have a task done on the writing thread, after all earlier ones, and say the message that it returns."""
        self._tasks.put(lambda: self._do(job, task))

    def stop_asked(self) -> bool:
        return self._stop.is_set()

    def checkpoint_due(self, policy: CheckpointPolicy) -> bool:
        """Whether it is time for the next checkpoint, and all earlier ones are written."""
        since = time.monotonic() - self._last_checkpoint
        return since >= policy.seconds(self._cost) and not self._tasks.unfinished_tasks

    def checkpoint_taken(self, cost: float) -> None:
        """Note that a state was copied to host memory, for which training stood still for `cost` seconds."""
        self._last_checkpoint = time.monotonic()
        self._cost = cost

    def _write(self) -> None:
        while True:
            self._tasks.get()()
            self._tasks.task_done()

    def _do(self, job: RunJob, task: Callable[[], Message | None]) -> None:
        """Do a task and say what came of it.  An error ends the job and not this thread, which others wait for."""
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
