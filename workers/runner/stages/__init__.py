"""Stages: one function for each kind of job, which turns the job's spec into calls into `models`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, RunJob, Stopped, Unsuitable

Outcome = Finished | Stopped | CheckpointDiscarded | Unsuitable
Later = Callable[[], Outcome]
"""The rest of a job, which needs no device and is done while the next job computes."""

_STAGES = {"train", "merge", "compress", "benchmark"}


class UnknownStage(ValueError):
    """The plan is of a newer Orch than this worker."""


def stage(name: str) -> Callable[[RunJob, Connection], Outcome | Later]:
    """The function that does a job of this stage; its module is loaded when first needed."""
    if name not in _STAGES:
        raise UnknownStage(f"No stage is called {name!r}; this worker is older than the plan: upgrade Orch here.")
    run: Callable[[RunJob, Connection], Outcome | Later] = import_module(f"workers.runner.stages.{name}").run
    return run
