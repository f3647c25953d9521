"""The supervisor: the loop of a worker, which claims jobs and sees each through.  Its process has no TensorFlow.

The heartbeat lives here and not in the runner, so that neither a long compilation nor a crash of the runner
looks like a death of the worker.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from orchestrator import garbage
from orchestrator.errors import ExitCode, HomeError, OrchError
from orchestrator.home import Home
from orchestrator.jobs import (
    Device,
    FailureStatistics,
    Lease,
    MeasuringDevices,
    WorkerInfo,
    capabilities_of,
    depends_on_threads,
)
from orchestrator.jobtable import LeaseLost, PlannedStudy
from workers.checkpoint_policy import CheckpointPolicy, seconds_between_deaths
from workers.console import Console
from workers.idleness import Idleness
from workers.inbox import Inbox, StopAsked
from workers.machine.hosts import Host
from workers.machine.scratch import Scratch
from workers.machine.shutdown import ShutdownNotice
from workers.outage import Outage
from workers.remaining_work import RemainingWork
from workers.runner import messages
from workers.runner.legacy_packages import NoLegacyKeras, legacy_packages
from workers.runner.libraries import Libraries, RunnerKind, wanted
from workers.runner.process import RUNNER, RunnerDied, RunnerProcess
from workers.runner_choice import RunnerChoice
from workers.session import Session
from workers.store.cache import InputCache
from workers.store.room import Room
from workers.store.transfers import Threads, Transfers
from workers.trust import Trust
from workers.worker import Result, Worker

_STEP_BACK_SECONDS = 10.0
"""Pause before the next claim when a job was released, so that others can take it."""
_LOAD_SECONDS = 600.0
"""How long TensorFlow may take to load: usually seconds, a minute or two on a machine with a cold disk."""
_SIGNALS_APART_SECONDS = 1.0
"""How long after a runner that it ended as it began a request to end may be heard, which is sent to all processes."""
_SECONDS_BETWEEN_COUNTS = 600.0
"""How often the deaths of workers are counted: their rate changes in hours."""

_ONCE = {Result.DONE: ExitCode.DONE, Result.FAILED: ExitCode.FAILED}
"""How a worker with `once` ends whose job was done or failed; otherwise work is left."""

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How a worker works; what it works on is in the home."""

    name: str
    host: Host
    once: bool = False
    """Whether to do one job, and no more."""
    max_seconds: float | None = None
    """After how long to stop in good order: what a notebook session is known to last."""
    checkpoint_seconds: float | None = None
    """Computing time between two checkpoints; None lets measured costs and deaths decide."""
    hung_seconds: float = 900.0
    """How long a runner may be silent: it speaks with every compiled call, and the longest silence is a compilation."""
    trust: Trust = field(default_factory=Trust)
    runner: str = RUNNER
    """The module that is the runner; a campaign of faults has one that computes nothing worth having, and at once."""


class RunnerLost(OrchError):
    """No runner can be had on this machine."""


class _Interrupted(Exception):
    """The worker was asked to stop while the home could not be reached."""


class _GivenUp(Exception):
    """The home cannot be reached until a person does something, and nobody has."""


class Supervisor:
    """One worker: a runner, a cache of inputs, and the jobs it holds one after another."""

    def __init__(self, home: Home, settings: Settings, console: Console) -> None:
        self._home = home
        self._settings = settings
        self._console = console
        self._inbox: Inbox = Inbox()
        self._shutdown = ShutdownNotice(lambda: self._inbox.put(StopAsked()), self._end_by_force)
        self._outage = Outage(console, self._shutdown.wait, in_notebook=settings.host.kind != "own")
        self._scratch = Scratch()
        self._cache = self._empty_cache()
        self._room = Room(home.artifacts, lambda: self._scratch.path)
        self._transferring = Threads()
        self._runner: RunnerProcess | None = None
        self._choice = RunnerChoice()
        self._device = ""
        self._kinds = frozenset({Device.CPU})
        self._remaining = RemainingWork(home.jobs, console, self._reached)
        self._load_seconds = 0.0
        self._idleness = Idleness()
        self._excluded: frozenset[str] = frozenset()
        """The jobs that turned out not to be for this machine."""
        self._next: Lease | None = None
        """The lease of the job that was claimed when the one before was completed."""
        self._failure_statistics = FailureStatistics(worked_seconds=0.0, deaths=0)
        self._deaths_due = 0.0

    def run(self) -> ExitCode:
        """Work until nothing is left that could be done here, or until asked to stop.

        Returns:
            DONE: nothing is left to do.
            TRY_LATER: work remains: it was asked to stop, or cannot do what is left.
            FAILED: nothing is left but what failed for good and waits for a person; with `once`, the job failed.

        Raises:
            RunnerLost: neither TensorFlow nor JAX can be loaded here.
            DiskError: there is no room for the worker's files.
            OrchError: the table says what cannot be worked on.
        """
        with self._shutdown.listening(self._settings.max_seconds):
            self._transferring.up.submit(self._sweep)
            self._say_what_is_short()
            try:
                return self._serve()
            except _Interrupted:
                return ExitCode.TRY_LATER
            except _GivenUp as error:
                self._console.say(f"{error} Nobody has mended that; start this worker again when it is mended.")
                return ExitCode.TRY_LATER
            finally:
                self._end()

    def _end(self) -> None:
        self._release_next()
        if self._shutdown.given:
            self._console.say(f"stopped: {self._shutdown.reason}")
        if self._runner is not None:
            self._runner.end()
        self._transferring.shut_down(wait=not self._shutdown.given)
        self._scratch.remove()
        self._console.flush()

    def _end_by_force(self) -> NoReturn:
        """End a worker that something holds up beyond its time; its lease will expire, as if it had been killed."""
        if self._runner is not None:
            self._runner.kill()
        self._console.say("stopped by force: what it held is left to its lease")
        self._console.flush()
        os._exit(ExitCode.TRY_LATER)

    def _sweep(self) -> None:
        """Delete what dead workers left: on Drive nobody but a worker of the same account can, and it pays for it."""
        with suppress(OrchError):
            if not self._home.shares_artifacts:
                garbage.sweep(self._home)

    def _stopping(self) -> bool:
        return self._shutdown.given

    def _serve(self) -> ExitCode:
        while not self._stopping():
            study = self._looked_at_study()
            if self._next is None and not self._remaining.is_any(self._excluded, self._kinds):
                return self._remaining.ending(self._kinds)
            self._have_a_directory()
            if self._room.is_lacking():
                if self._room.is_hopeless or self._settings.once:
                    self._console.say(
                        "What jobs make cannot be kept by this account; other accounts' workers can go on."
                    )
                    return ExitCode.TRY_LATER
                self._idle(_STEP_BACK_SECONDS)
                continue
            assert study is not None, "a job table with jobs has the study that they are of"
            threads = study.threads
            if not self._is_warm(threads):
                self._release_next()  # nobody renews it while a runner loads
            try:
                runner = self._runner_with(threads)
            except (NoLegacyKeras, RunnerLost) as error:
                lacking = self._choice.kind.called
                if not self._choice.give_up(str(error)):
                    raise
                self._console.say(f"{error} Jobs that need {lacking} are left to other workers.")
                continue
            if runner is None:
                break
            lease, self._next = self._next or self._reached(self._claim), None
            if lease is None and (self._choice.turn() or self._remaining.copy_benchmarks()):
                continue
            if lease is None and self._settings.once:
                return ExitCode.TRY_LATER
            if lease is None:
                self._remaining.say_what_is_missing(self._kinds)
                self._idle(self._idleness.pause())
                continue
            self._idleness.over()
            if depends_on_threads(lease.stage, lease.spec) and lease.spec["threads"] != runner.threads:
                # The study was planned again just now; the right runner is made before the next claim.
                self._release(lease, "the study's threads have changed")
                continue
            if not self._choice.suits(lease.spec) or self._settings.trust.refusal(lease.spec):
                self._leave(lease)
                continue
            result = self._work(lease, runner)
            if self._settings.once:
                return _ONCE.get(result, ExitCode.TRY_LATER)
            if result is Result.RELEASED:
                self._idle(_STEP_BACK_SECONDS)
        return ExitCode.TRY_LATER

    def _looked_at_study(self) -> PlannedStudy | None:
        """The study as it is planned now; None if none is."""
        study = self._reached(self._home.jobs.study)
        measures = RunnerKind.TENSORFLOW not in self._choice.impossible
        self._remaining.is_copying = study is not None and study.measures_on_each_device and measures
        return study

    def _leave(self, lease: Lease) -> None:
        """Give back a job that wants another runner: to claim it later, or never if it can never be done here."""
        reason = self._settings.trust.refusal(lease.spec) or self._choice.impossible.get(wanted(lease.spec))
        if reason is not None:
            self._excluded |= {lease.job}
            self._release(lease, reason, rejected=True)
        else:
            self._choice.put_off_job(lease.job, lease.spec)
            self._release(lease, "it wants another runner, which this worker loads when it has nothing else to do")

    def _have_a_directory(self) -> None:
        """Make a new directory if a cleaner of /tmp has deleted the old one: that costs a job, and not the worker."""
        if not self._scratch.is_there():
            self._scratch.replace()
            self._cache = self._empty_cache()
            if self._runner is not None:
                self._runner.end()  # its temporary files lay there

    def _empty_cache(self) -> InputCache:
        return InputCache(self._scratch.path / "inputs", self._home.artifacts)

    def _reached(self, operation: Callable[[], T]) -> T:
        """Do an operation on the table, once the home can be reached.

        Raises _Interrupted when asked to stop, and _GivenUp when that would take a person who does not come.
        """
        while True:
            try:
                outcome = operation()
            except HomeError as error:
                try:
                    pause = self._outage.met(error)
                except HomeError:
                    raise _GivenUp(str(error)) from error
                self._idle(pause)
                if self._stopping():
                    raise _Interrupted from error
            else:
                self._outage.over()
                return outcome

    def _idle(self, seconds: float) -> None:
        """Wait, but not when asked to stop; what a runner says between jobs is of no interest."""
        deadline = time.monotonic() + seconds
        while not self._stopping() and time.monotonic() < deadline:
            with suppress(queue.Empty):
                self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))

    def _claim(self) -> Lease | None:
        return self._home.jobs.claim(self._info())

    def _release(self, lease: Lease, reason: str | None = None, *, rejected: bool = False) -> None:
        """Release a job, at no cost to it; one that cannot be released now is left to its lease."""
        with suppress(LeaseLost, HomeError):
            self._home.jobs.release(lease, reason, rejected=rejected)

    def _release_next(self) -> None:
        if self._next is not None:
            self._release(self._next)
            self._next = None

    def _info(self) -> WorkerInfo:
        return WorkerInfo(
            self._settings.name,
            self._settings.host.name,
            self._device,
            capabilities=self._kinds | self._remaining.copy_keys,
            excluded=self._excluded | self._choice.put_off,
        )

    def _say_what_is_short(self) -> None:
        """Tell of a store that is short of room before a job is done for nothing.  Not every store can tell."""
        with suppress(Exception):
            if told := self._home.artifacts.shortage():
                self._console.say(told)
                self._room.doubt()

    def _work(self, lease: Lease, runner: RunnerProcess) -> Result:
        # An inbox of its own: what a session left behind on its way is not read by the next one.
        self._inbox = Inbox()
        worker = Worker(
            info=self._info(),
            runner=runner,
            transfers=Transfers(self._home.artifacts, self._cache, self._transferring, self._inbox.put),
            inbox=self._inbox,
            console=self._console,
            outage=self._outage,
            directory=self._scratch.path / f"{lease.job}.{lease.attempt}",
            checkpoint_policy=CheckpointPolicy(
                self._between_deaths(), self._load_seconds, self._settings.checkpoint_seconds
            ),
            stopping=self._stopping,
            seconds_left=self._shutdown.seconds_left,
            hung_seconds=self._settings.hung_seconds,
            chained=not self._settings.once,
            trust=self._settings.trust,
        )
        session = Session(self._home.jobs, lease, worker)
        result = session.run()
        if result is Result.REJECTED:
            self._excluded |= {session.job}
        if result is Result.UNKEPT and session.lacking is not None:
            self._room.lacks(session.lacking)
            self._console.say("This worker takes no more jobs until there is room.")
        self._next = session.next
        return result

    def _between_deaths(self) -> float:
        """Mean time between deaths, in seconds; they are counted now and then, if the table can be reached."""
        now = time.monotonic()
        if now >= self._deaths_due:
            self._deaths_due = now + _SECONDS_BETWEEN_COUNTS
            with suppress(HomeError):
                self._failure_statistics = self._home.jobs.failure_statistics()
        return seconds_between_deaths(self._failure_statistics)

    def _runner_with(self, threads: int) -> RunnerProcess | None:
        """The warm runner; a new one if there is none, it died, or it is of other threads or of another kind.

        None if asked to stop while it loads.  Raises RunnerLost, and NoLegacyKeras where that is wanted.
        """
        if self._is_warm(threads):
            return self._runner
        if self._runner is not None:
            self._runner.end()
        self._inbox = Inbox()
        kind = self._choice.kind
        self._console.show(f"loading {kind.called}")
        libraries = Libraries(kind, legacy_packages(self._stopping) if kind is RunnerKind.LEGACY else None)
        try:
            directory, module = self._scratch.path, self._settings.runner
            self._runner = RunnerProcess(threads, directory, lambda event: self._inbox.put(event), module, libraries)
        except OSError as error:
            raise RunnerLost(f"No runner can be started here: {error}.") from error
        return self._runner if self._is_ready(self._runner) else None

    def _is_warm(self, threads: int) -> bool:
        runner, kind = self._runner, self._choice.kind
        return runner is not None and runner.alive and runner.threads == threads and runner.kind is kind

    def _is_ready(self, runner: RunnerProcess) -> bool:
        deadline = time.monotonic() + _LOAD_SECONDS
        while not self._stopping():
            try:
                event = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                called, limit = self._choice.kind.called, f"{_LOAD_SECONDS:.0f} s"
                raise RunnerLost(f"{called} did not load within {limit}; start the worker again.") from None
            match event:
                case messages.Ready() as ready:
                    self._device, self._load_seconds = ready.device, ready.load_seconds
                    self._kinds = capabilities_of(ready.device_type)
                    if runner.kind is RunnerKind.TENSORFLOW:  # which benchmarks want
                        self._remaining.devices = MeasuringDevices(ready.processor, ready.device)
                    return True
                case RunnerDied(reason):
                    self._shutdown.wait(_SIGNALS_APART_SECONDS)
                    if self._stopping():
                        return False
                    tail = runner.log_tail().strip().splitlines() or ["it printed nothing"]
                    raise RunnerLost(f"No runner can be started here, {reason}: {tail[-1]}")
        return False
