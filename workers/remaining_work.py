"""What is left of a study for one worker: jobs to wait for, benchmarks to measure once more, or nothing, and why.

The loop that asks stands in `workers.supervisor`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from orchestrator.errors import ExitCode
from orchestrator.jobs import Device, JobState, MeasuringDevices
from orchestrator.jobtable import JobTable
from workers.console import Console

_SECONDS_BETWEEN_COPIES = 10.0
"""How often an idle worker looks for benchmarks to copy: others finish them one by one, and a look reads them all."""

T = TypeVar("T")


class Reached(Protocol):
    """Does an operation on the table, once the home can be reached."""

    def __call__(self, operation: Callable[[], T], /) -> T: ...


class RemainingWork:
    """What the table has for a worker that was given no job.  For its main thread alone."""

    def __init__(self, jobs: JobTable, console: Console, reached: Reached) -> None:
        self._jobs = jobs
        self._console = console
        self._reached = reached
        self._copies_due = 0.0
        self._told_what_is_missing = False
        self.is_copying = False
        """Whether this worker measures on its own devices what was measured on others."""
        self.devices: MeasuringDevices | None = None
        """What it measures on; None until its runner has told."""

    @property
    def copy_keys(self) -> frozenset[str]:
        """What it can be given besides the kinds of devices that it has: the copies for its own."""
        return self.devices.capabilities if self.is_copying and self.devices else frozenset()

    def is_any(self, excluded: frozenset[str], kinds: frozenset[Device]) -> bool:
        """Whether there is, or may come, something that a worker with devices of these kinds could do.

        Of a worker that does not know its devices yet, because it has just begun, it is assumed.
        """
        if self._reached(lambda: self._jobs.unfinished(excluded, kinds | self.copy_keys)):
            return True
        return self.is_copying and (self.devices is None or self._copied(self.devices))

    def copy_benchmarks(self) -> bool:
        """Whether there is something to claim now, for this worker made copies of what others have measured."""
        if not self.is_copying or self.devices is None or time.monotonic() < self._copies_due:
            return False
        return self._copied(self.devices)

    def _copied(self, devices: MeasuringDevices) -> bool:
        self._copies_due = time.monotonic() + _SECONDS_BETWEEN_COPIES
        return self._reached(lambda: self._jobs.copy_benchmarks(devices)) > 0

    def ending(self, kinds: frozenset[Device]) -> ExitCode:
        """How a worker ends for which nothing is left; says why, unless all is done."""
        if self._reached(lambda: self._jobs.unfinished(frozenset(), kinds | self.copy_keys)):
            self._console.say("All that is left are jobs that cannot be done on this machine; orch status tells why.")
            return ExitCode.TRY_LATER
        counts = self._reached(self._jobs.overview).counts
        failed, waiting = counts[JobState.QUARANTINED], counts[JobState.BLOCKED]
        if not failed:
            return ExitCode.DONE
        jobs, wait = "job" if failed == 1 else "jobs", "waits" if waiting == 1 else "wait"
        self._console.say(
            f"All that could be done is done, but {failed} {jobs} failed for good and {waiting} {wait} for that; "
            "orch status tells why, and orch retry JOB gives another chance."
        )
        return ExitCode.FAILED

    def say_what_is_missing(self, kinds: frozenset[Device]) -> None:
        """Say once why this worker waits for what it can never do: else it would look as if it hung."""
        if self._told_what_is_missing:
            return
        for each in self._reached(self._jobs.waiting):
            if isinstance(each.device, Device) and each.device not in kinds:
                self._told_what_is_missing = True
                self._console.say(
                    f"All that is ready needs {each.device.called}, and this machine has none; it waits for jobs that "
                    'do not. device = "any" under [training] would let it train.'
                )
                return
