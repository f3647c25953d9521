"""Claims jobs and sees each through: the loop of a worker.  No TensorFlow in this process.

The heartbeat lives here and not in the runner, so that neither a long compilation nor a crash of the runner
looks like a death of the worker.
"""

from __future__ import annotations

import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import ExitCode, HomeError, OrchError
from orchestrator.home import Home
from orchestrator.jobs import Lease, Stage
from workers import messages
from workers.attempt import Attempt, Inbox, Result, StopAsked
from workers.cache import InputCache
from workers.console import Console
from workers.hosts import Host
from workers.intervals import checkpoint_interval, seconds_between_deaths
from workers.runner_process import RunnerDied, RunnerProcess
from workers.transfers import Transfers

# Long enough that a hundred idle workers do not burden the table, short enough that nobody notices.
_IDLE_SECONDS = 1.0
_UNREACHABLE_SECONDS = 10.0
# Loading TensorFlow takes seconds, on a machine with a cold disk a minute or two.
_LOAD_SECONDS = 600.0
_GUESSED_CHECKPOINT_COST = 0.5
"""Seconds, until the first checkpoint was measured."""


T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How a worker works; what it works on is in the home."""

    name: str
    host: Host
    once: bool = False
    """One job, and no more."""
    max_seconds: float | None = None
    """Stop in good order after so long: what a session is known to last."""
    checkpoint_seconds: float | None = None
    """Computing time between two checkpoints; None lets measured costs and deaths decide."""


class RunnerLost(OrchError):
    """No runner can be had on this machine."""


class Supervisor:
    """One worker: a runner, a cache of inputs, and the jobs it holds one after another."""

    def __init__(self, home: Home, settings: Settings, console: Console) -> None:
        self._home = home
        self._settings = settings
        self._console = console
        self._inbox: Inbox = Inbox()
        self._stop = threading.Event()
        self._directory = Path(tempfile.mkdtemp(prefix=f"orch-{settings.name}-"))
        cache = InputCache(self._directory / "inputs", home.artifacts)
        self._transfers = Transfers(home.artifacts, cache, self._inbox.put)
        self._runner: RunnerProcess | None = None
        self._device = ""
        self._load_seconds = 0.0
        self._checkpoint_cost = _GUESSED_CHECKPOINT_COST

    def run(self) -> ExitCode:
        """Work until nothing is left, or until asked to stop.

        Raises:
            RunnerLost: TensorFlow cannot be loaded here.
            OrchError: the table says what cannot be worked on.
        """
        self._listen_for_the_end()
        try:
            return self._serve()
        finally:
            self._console.close_line()
            if self._runner is not None:
                self._runner.end()
            self._transfers.close()
            shutil.rmtree(self._directory, ignore_errors=True)

    def ask_to_stop(self, why: str) -> None:
        """Checkpoint, give the job back, and end `run`; may be called from a signal handler or another thread."""
        self._stop.set()
        self._console.say(f"{why}: stopping in good order")
        self._inbox.put(StopAsked())

    def _listen_for_the_end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self.ask_to_stop(signal.Signals(number).name))
        if self._settings.max_seconds is not None:
            timer = threading.Timer(self._settings.max_seconds, self.ask_to_stop, ["The session's time is up"])
            timer.daemon = True
            timer.start()

    def _serve(self) -> ExitCode:
        while not self._stop.is_set():
            if not self._reached(self._home.jobs.unfinished):
                return ExitCode.DONE
            self._runner_with(self._threads())
            if self._stop.is_set():
                break
            lease = self._reached(self._claim)
            if lease is None and self._settings.once:
                return ExitCode.TRY_LATER
            if lease is None:
                self._stop.wait(_IDLE_SECONDS)
                continue
            result = self._work(lease)
            if self._settings.once:
                return ExitCode.FAILED if result is Result.FAILED else ExitCode.DONE
        return ExitCode.DONE

    def _reached(self, operation: Callable[[], T]) -> T:
        """An operation on the table, once the home can be reached."""
        while True:
            try:
                return operation()
            except HomeError as error:
                self._console.say(f"{error} Trying again in {_UNREACHABLE_SECONDS:.0f} s.")
                if self._stop.wait(_UNREACHABLE_SECONDS):
                    raise

    def _claim(self) -> Lease | None:
        return self._home.jobs.claim(self._settings.name, self._settings.host.name, self._device)

    def _threads(self) -> int:
        study = self._reached(self._home.jobs.study)
        assert study is not None, "a job table with jobs has the study that they are of"
        return int(study.document["training"]["threads"])

    def _work(self, lease: Lease) -> Result:
        directory = self._directory / f"{lease.job}.{lease.attempt}"
        directory.mkdir()
        attempt = Attempt(
            jobs=self._home.jobs,
            lease=lease,
            runner=self._runner_with(lease.spec["threads"] if lease.stage is Stage.TRAIN else self._threads()),
            transfers=self._transfers,
            inbox=self._inbox,
            directory=directory,
            checkpoint_seconds=self._checkpoint_seconds(),
            say=self._console.say,
            show=self._console.show,
        )
        result = attempt.run()
        self._checkpoint_cost = attempt.checkpoint_cost or self._checkpoint_cost
        shutil.rmtree(directory, ignore_errors=True)
        return result

    def _checkpoint_seconds(self) -> float:
        if self._settings.checkpoint_seconds is not None:
            return self._settings.checkpoint_seconds
        between_deaths = seconds_between_deaths(self._reached(self._home.jobs.attempts))
        return checkpoint_interval(between_deaths, self._load_seconds, self._checkpoint_cost)

    def _runner_with(self, threads: int) -> RunnerProcess:
        """The warm runner; a new one if there is none, it died, or it was set to other threads."""
        runner = self._runner
        if runner is not None and runner.alive and runner.threads == threads:
            return runner
        if runner is not None:
            runner.end()
        while not self._inbox.empty():  # what the one before said last is not for this one
            self._inbox.get()
        self._runner = runner = RunnerProcess(threads, self._directory / "runner.log", self._inbox.put)
        self._await_ready(runner)
        return runner

    def _await_ready(self, runner: RunnerProcess) -> None:
        self._console.show("loading TensorFlow")
        deadline = time.monotonic() + _LOAD_SECONDS
        while True:
            try:
                event = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RunnerLost(
                    f"TensorFlow did not load within {_LOAD_SECONDS:.0f} s; start the worker again."
                ) from None
            match event:
                case messages.Ready(device, seconds):
                    self._device, self._load_seconds = device, seconds
                    return
                case RunnerDied(reason):
                    tail = runner.log_tail().strip().splitlines() or ["it printed nothing"]
                    raise RunnerLost(f"No runner can be started here, {reason}: {tail[-1]}")
                case StopAsked():
                    return
