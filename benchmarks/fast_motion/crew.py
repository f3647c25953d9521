"""The workers of a study: real processes, started again whenever one has died or ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from fast_motion.quick_worker import PRELOADED, Access, heed_signals, work

_PAUSE_SECONDS = 0.3
"""Between two starts in one place of the crew: a home that cannot be reached ends a worker at once."""


class Worker(Protocol):
    """A worker process, which leads a session of its own."""

    name: str
    log: Path
    scratch: Path
    """Where its temporary files are."""

    @property
    def pid(self) -> int: ...

    def code(self) -> int | None:
        """What it ended with, negative for a signal; None while it lives."""
        ...


class QuickWorker:
    """Forked, with a stand-in for a runner."""

    def __init__(self, name: str, access: Access, log: Path, scratch: Path) -> None:
        self.name, self.log, self.scratch = name, log, scratch
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._process = context.Process(target=work, args=(name, access, str(log), str(scratch)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    def code(self) -> int | None:
        return self._process.exitcode


class RealWorker:
    """`orch-worker`, as a person starts it."""

    def __init__(self, name: str, access: Access, log: Path, scratch: Path) -> None:
        self.name, self.log, self.scratch = name, log, scratch
        command = [sys.executable, "-P", "-m", "workers", "--home", access.url, "--name", name]
        command += ["--artifacts", access.artifacts] if access.artifacts else []
        environment = {**os.environ, **(access.environment or {}), "TMPDIR": str(scratch)}
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [*command, "--checkpoint-seconds", "0.4"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=heed_signals,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def code(self) -> int | None:
        return self._process.poll()


Start = Callable[[int, int], Worker]
"""Starts the worker of this number in this seat of the crew, which is a machine: others were there before it."""


class Crew:
    """So many workers at a time."""

    def __init__(self, size: int, start: Start) -> None:
        self._start = start
        self._seats: list[Worker | None] = [None] * size
        self._due = [0.0] * size
        self.all: list[Worker] = []

    @property
    def alive(self) -> Sequence[Worker]:
        """The workers that have begun, which their logs show."""
        working = [worker for worker in self._seats if worker is not None and worker.code() is None]
        return [worker for worker in working if worker.log.exists()]

    def fill(self) -> None:
        """Start workers in the places of those that are gone."""
        now = time.monotonic()
        for seat, worker in enumerate(self._seats):
            if (worker is None or worker.code() is not None) and now >= self._due[seat]:
                self._due[seat] = now + _PAUSE_SECONDS
                worker = self._seats[seat] = self._start(len(self.all), seat)
                self.all.append(worker)

    def end(self) -> None:
        """Whatever is left of them and of their runners."""
        for worker in self.all:
            if worker.code() is None:
                for process in (worker.pid, *runners(worker)):
                    send(process, signal.SIGKILL)
        for worker in self.all:
            while worker.code() is None:
                time.sleep(0.01)


def runners(worker: Worker) -> list[int]:
    """The runner, once there is one."""
    return children(worker.pid)


def children(process: int) -> list[int]:
    """The processes that any thread of this one has started and that live."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def send(process: int, number: signal.Signals) -> None:
    """A signal to a process that may be gone by now."""
    with suppress(ProcessLookupError):
        os.kill(process, number)
