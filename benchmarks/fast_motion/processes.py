"""Faults that befall the processes of workers, whichever home they work on."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress

from fast_motion.crew import Crew, Worker, runners, send
from fast_motion.schedule import Blow, Missed, Standing, Strike, chosen

_SMALL_FILE_BYTES = 24 << 10
"""Less than a state or a job table has, and more than a log has."""


class ProcessFaults:
    """Kills, freezes, signals, and the loss of what a process has on its machine."""

    def __init__(self, crew: Crew, lease_seconds: float) -> None:
        self._crew = crew
        self._lease_seconds = lease_seconds

    def blows(self) -> Mapping[str, Blow]:
        return {
            "kill worker": self._kill_both,
            "kill supervisor": self._kill_supervisor,
            "kill runner": self._kill_runner,
            "freeze worker": self._freeze_both,
            "freeze runner": self._freeze_runner,
            "SIGTERM": lambda strike: self._signal(strike, signal.SIGTERM),
            "SIGINT": lambda strike: self._signal(strike, signal.SIGINT),
            "SIGHUP": lambda strike: self._signal(strike, signal.SIGHUP),
            "scratch directory removed": self._remove_scratch,
            "no file may grow": self._limit_files,
        }

    def _kill_both(self, strike: Strike) -> None:
        """As a notebook does: all of it at once."""
        victim = self._victim(strike)
        for process in (victim.pid, *runners(victim)):
            send(process, signal.SIGKILL)

    def _kill_supervisor(self, strike: Strike) -> None:
        send(self._victim(strike).pid, signal.SIGKILL)

    def _kill_runner(self, strike: Strike) -> None:
        send(self._runner(strike), signal.SIGKILL)

    def _freeze_both(self, strike: Strike) -> Standing:
        """For longer than the lease: a machine that slept."""
        victim = self._victim(strike)
        return _frozen([victim.pid, *runners(victim)], self._lease_seconds * (1.1 + 1.5 * strike.detail))

    def _freeze_runner(self, strike: Strike) -> Standing:
        return _frozen([self._runner(strike)], strike.seconds)

    def _signal(self, strike: Strike, number: signal.Signals) -> None:
        send(self._victim(strike).pid, number)

    def _remove_scratch(self, strike: Strike) -> None:
        """As a cleaner of /tmp does."""
        left = list(self._victim(strike).scratch.iterdir())
        if not left:
            raise Missed
        for directory in left:
            shutil.rmtree(directory, ignore_errors=True)

    def _limit_files(self, strike: Strike) -> Standing:
        """No file of the worker grows beyond a few bytes for a while, as with a quota: writes fail with EFBIG."""
        victim = self._victim(strike)

        def limit(size: int | None) -> None:
            for process in (victim.pid, *runners(victim)):  # a runner that was started meanwhile has inherited it
                _limit(process, size)

        limit(_SMALL_FILE_BYTES)
        return Standing(strike.seconds, lambda: limit(None))

    def _victim(self, strike: Strike) -> Worker:
        alive = self._crew.alive
        return alive[chosen(alive, strike)]

    def _runner(self, strike: Strike) -> int:
        found = runners(self._victim(strike))
        if not found:
            raise Missed
        return found[0]


def _frozen(processes: list[int], seconds: float) -> Standing:
    for process in processes:
        send(process, signal.SIGSTOP)

    def thaw() -> None:
        for process in processes:
            send(process, signal.SIGCONT)

    return Standing(seconds, thaw)


def _limit(process: int, size: int | None) -> None:
    with suppress(ProcessLookupError):
        _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
