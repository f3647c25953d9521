"""Which runner a worker keeps warm: that with TensorFlow, with JAX, or with legacy Keras.

Loading one takes half a minute, so the worker changes it only when nothing is left that the present one could do:
however the jobs of all kinds come, it does not load one for each job.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from workers.runner.libraries import RunnerKind, wanted


class RunnerChoice:
    """The kind of runner that the next jobs are done with."""

    def __init__(self) -> None:
        self.kind = RunnerKind.TENSORFLOW
        self.impossible: dict[RunnerKind, str] = {}
        """The kinds of which there can be no runner here, with the reason in one sentence."""
        self._put_off: dict[str, RunnerKind] = {}

    @property
    def put_off(self) -> frozenset[str]:
        """The jobs that were met and want another runner; they are not claimed while this one is there."""
        return frozenset(self._put_off)

    def suits(self, spec: Mapping[str, Any]) -> bool:
        """Whether a job of this spec can be done with the runner of now."""
        return wanted(spec) is self.kind

    def put_off_job(self, job: str, spec: Mapping[str, Any]) -> None:
        """Leave this job for the runner that it wants."""
        self._put_off[job] = wanted(spec)

    def turn(self) -> bool:
        """Change to a kind that a job waits for, now that the present runner has nothing to do."""
        if not self._put_off:
            return False
        self.kind, self._put_off = next(iter(self._put_off.values())), {}
        return True

    def give_up(self, reason: str) -> bool:
        """Do without the present kind from now on; False if there is no other that could be there."""
        self.impossible[self.kind] = reason
        left = (kind for kind in (RunnerKind.TENSORFLOW, RunnerKind.JAX) if kind not in self.impossible)
        self._put_off = {}
        self.kind = next(left, self.kind)
        return self.kind not in self.impossible and (self.kind is not RunnerKind.JAX or _has_jax())


def _has_jax() -> bool:
    return importlib.util.find_spec("jax") is not None
