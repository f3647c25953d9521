"""Which of two runners a worker keeps warm: that with Keras 3 alone, or that with legacy Keras.

Loading one takes half a minute, so the worker changes it only when nothing is left that the present one could do:
however the jobs of both kinds come, it does not load one for each job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEGACY = "legacy"
"""What the spec of a job has as `runner` that wants legacy Keras."""


class RunnerChoice:
    """The kind of runner that the next jobs are done with."""

    def __init__(self) -> None:
        self.legacy = False
        self.put_off: frozenset[str] = frozenset()
        """The jobs that were met and want the other runner; they are not claimed while this one is there."""
        self.impossible: str | None = None
        """Why there can be no runner with legacy Keras here, in one sentence."""

    def suits(self, spec: Mapping[str, Any]) -> bool:
        """Whether a job of this spec can be done with the runner of now."""
        return wants_legacy(spec) == self.legacy

    def put_off_job(self, job: str) -> None:
        """Leave this job for the other runner."""
        self.put_off |= {job}

    def turn(self) -> bool:
        """Change to the other kind if a job waits for it, now that the present runner has nothing to do."""
        if not self.put_off:
            return False
        self.legacy, self.put_off = not self.legacy, frozenset()
        return True

    def give_up_legacy(self, reason: str) -> None:
        """Do without legacy Keras from now on."""
        self.legacy, self.put_off, self.impossible = False, frozenset(), reason


def wants_legacy(spec: Mapping[str, Any]) -> bool:
    """Whether a job of this spec is for the runner with legacy Keras."""
    return spec.get("runner") == LEGACY
