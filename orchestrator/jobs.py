"""Jobs, leases, attempts and artifacts as plain data, and the states a job can be in.

What moves a job from state to state lives in `orchestrator.jobtable`; what a job does, in the workers.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """What kind of work a job is."""

    TRAIN = "train"
    MERGE = "merge"
    COMPRESS = "compress"
    BENCHMARK = "benchmark"


def depends_on_threads(stage: Stage, spec: Mapping[str, Any]) -> bool:
    """Whether the bits of what such a job computes depend on `spec["threads"]`: it trains, or takes statistics."""
    return stage in (Stage.TRAIN, Stage.MERGE) or (stage is Stage.COMPRESS and "training" in spec)


class Device(StrEnum):
    """The kind of device that a worker must have to be given a job."""

    CPU = "cpu"
    """Every worker has one."""
    GPU = "gpu"
    TPU = "tpu"
    GPU_OR_TPU = "gpu|tpu"
    """What JAX trains on, where a CPU would take days."""

    @property
    def called(self) -> str:
        """How people call one."""
        return {"cpu": "a CPU", "gpu": "a GPU", "tpu": "a TPU", "gpu|tpu": "a GPU or a TPU"}[self]


_CAPABILITIES = {
    "GPU": frozenset({Device.CPU, Device.GPU, Device.GPU_OR_TPU}),
    "TPU": frozenset({Device.CPU, Device.TPU, Device.GPU_OR_TPU}),
}


def capabilities_of(device_type: str) -> frozenset[Device]:
    """What a worker can be given that computes on a device of this type: `CPU`, `GPU` or `TPU`."""
    return _CAPABILITIES.get(device_type, frozenset({Device.CPU}))


def device_key(device: str) -> str:
    """What stands for a device of this name among capabilities, which have eight characters at most."""
    return hashlib.sha256(device.encode(errors="replace")).hexdigest()[:8]


@dataclass(frozen=True)
class MeasuringDevices:
    """What a worker measures networks on, by the names that rows of the report carry."""

    processor: str
    """What LiteRT and ONNX Runtime compute on, whatever there is beside it."""
    accelerated: str
    """What TensorFlow computes on: the accelerator, or the processor where there is none."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What the copies of benchmarks ask for that this worker can measure."""
        return frozenset({device_key(self.processor), device_key(self.accelerated)})


class JobState(StrEnum):
    """Where a job stands.  Every arrow:

    ==============  ==============  ===========================================================
    blocked         ready           the last parent is done
    ready           running         claim: one more attempt, a fresh token
    running         done            complete, with the token
    running         running         release, expiry or fail beside a speculative attempt: its worker holds the job now
    running         ready           release; the lease expired; fail with tries left (after a back-off)
    running         quarantined     fail or expiry with no try left
    quarantined     ready           `orch retry`
    any but done    cancelled       `orch cancel`, or no longer in the plan
    cancelled       blocked, ready  in the plan again
    ==============  ==============  ===========================================================
    """

    BLOCKED = "blocked"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


class Ending(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    EXPIRED = "expired"
    """Its worker fell silent for longer than the lease."""
    SUPERSEDED = "outrun"
    """Two workers were at it, and the other was done first: neither a failure nor a death.  Its text is that of rows in
    tables that people have.
    """
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Artifact:
    """An immutable file in a store, addressed by its contents."""

    sha256: str
    size: int
    """Bytes."""
    location: str
    """Where the store that made it finds it; opaque to everybody else."""


LOG = "log"
"""What the output is called that holds all that a job printed."""


@dataclass(frozen=True)
class InputRef:
    """Where an input comes from: an output of another job, or data published with the plan."""

    name: str
    """The output's name, or the data's."""
    job: str | None = None
    """The id of the job whose output it is; None means published data."""


@dataclass(frozen=True)
class PlannedJob:
    """A job as the planner makes it: everything that decides its result, and nothing that changes."""

    id: str
    """Digest of stage, spec, inputs and parents."""
    name: str
    """What people call it: `vit/seed0/train/r03.s2`."""
    stage: Stage
    model: str
    """Which of the study's models it is of."""
    steps: int
    """How many training steps it is; 0 unless it trains."""
    spec: Mapping[str, Any]
    inputs: Mapping[str, InputRef]
    parents: tuple[str, ...]
    critical_path: int
    """Jobs on the longest path from here to the end of the graph, this one counted."""
    requires: Device = Device.CPU
    """The capability that a worker must have.  It decides where the job runs, not what comes out: no part of the id."""


@dataclass(frozen=True)
class Job:
    """A job as the table holds it now."""

    id: str
    name: str
    stage: Stage
    state: JobState
    spec: Mapping[str, Any]
    attempts: int
    """How often it was claimed, speculative attempts included."""
    failures: int
    """How many attempts failed; deaths of workers do not count here."""
    worker: str | None
    """Who holds it; None unless running.  A speculative attempt beside it is not told here."""
    progress: Mapping[str, Any]
    """What its worker said last: step, loss, images_per_second."""
    metrics: Mapping[str, Any] | None
    """What it measured; None until done."""
    error: str | None
    """Why its last failed attempt failed."""
    copy_of: str | None = None
    """The id of the benchmark that it measures once more, on another device; None unless it is a copy."""
    device: str | None = None
    """The name of the device that a copy is for."""


@dataclass(frozen=True)
class Checkpoint:
    """A training's state in the middle of a job."""

    step: int
    artifact: Artifact


@dataclass(frozen=True)
class Lease:
    """The right to work on one job until it expires; every write by its holder carries the token."""

    job: str
    name: str
    stage: Stage
    spec: Mapping[str, Any]
    worker: str
    attempt: int
    token: str
    """The lease token: fresh with every claim, so that a holder who fell silent cannot write over the next one."""
    seconds: float
    """How long the backend lets the holder be silent, counted from the claim or the last renewal."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    """Newest first, at most two."""
    obsolete: tuple[Artifact, ...] = ()
    """Files that no row names any more since the last renewal, for their owner to delete."""
    speculative: bool = False
    """Whether another worker, which is late, holds the job too; the first of them that is done has done it."""


@dataclass(frozen=True)
class WorkerInfo:
    """A worker as it asks for jobs: who it is, and what it can be given."""

    name: str
    host: str = ""
    device: str = ""
    """What the report calls the device that it computes on."""
    capabilities: frozenset[str] = frozenset({Device.CPU})
    """The kinds of `Device` that it has, and where benchmarks are copied the `device_key` of each of its own."""
    excluded: frozenset[str] = frozenset()
    """Jobs (by id) that it was given before and that turned out not to be for its machine."""


@dataclass(frozen=True)
class Finished:
    """A job that a worker has done: what it made, and what it measured."""

    job: str
    outputs: Mapping[str, Artifact]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Upcoming:
    """A job that goes on from another's state, as far as it is known before that other is done."""

    job: str
    name: str
    stage: Stage
    spec: Mapping[str, Any]
    inputs: Mapping[str, Artifact]
    """All but the state."""


@dataclass(frozen=True)
class Completed:
    """What came of completing a run of jobs."""

    next: Lease | None
    """The lease of the job that was claimed in the same transaction; None if none was asked for, or to be had."""
    obsolete: tuple[Artifact, ...]
    """Files that no row names any more, for their owner to delete."""


@dataclass(frozen=True)
class FailureStatistics:
    """What all attempts together say of how long workers live."""

    worked_seconds: float
    """The time in which workers were heard of, all together."""
    deaths: int


@dataclass(frozen=True)
class Attempt:
    """One claim of one job: who, when, from which step to which, and how it ended."""

    job: str
    number: int
    worker: str
    host: str
    device: str
    started: float
    """Seconds since 1970 by the backend's clock, as all times in the table."""
    seen: float
    """When its worker was last heard of."""
    ended: float | None
    from_step: int
    to_step: int
    outcome: Ending | None
    """None while it runs."""
    error: str | None
    speculative: bool = False
    """Whether it runs, or ended, beside another worker that held the job and was late."""

    @property
    def last_sign(self) -> float:
        """When it ended or, of a worker that did not end it itself or still works, when it was last heard of.

        Never before it began, though the clock may have been set back meanwhile.
        """
        of_its_own = self.ended is not None and self.outcome not in (Ending.EXPIRED, Ending.SUPERSEDED)
        return max(self.started, self.ended if of_its_own and self.ended is not None else self.seen)


def attempts_by_job(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """The attempts at each job, first to last, by its id; a job without any has no entry."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda each: each.number):
        found[attempt.job].append(attempt)
    return dict(found)


def jobs_by_training(jobs: Iterable[Job]) -> dict[tuple[str, int], list[Job]]:
    """The jobs of each model and seed, cancelled ones aside, in the order in which they came."""
    found: dict[tuple[str, int], list[Job]] = defaultdict(list)
    for job in jobs:
        if job.state is not JobState.CANCELLED:
            found[job.spec["model"], job.spec["seed"]].append(job)
    return dict(found)
