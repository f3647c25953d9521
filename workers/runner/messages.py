"""What supervisor and runner say to each other: one JSON object a line, over the runner's pipes.

Plain data and their encoding.  `workers.session` and `workers.runner.main` act on them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from workers.checkpoint_policy import CheckpointPolicy

LOG_NAME = "log.txt"
"""The file in a job's directory that has all that the runner printed while it did the job."""


@dataclass(frozen=True)
class RunJob:
    """To the runner: do this job."""

    job: str
    stage: str
    spec: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Paths of fetched files by the names that the plan gave them."""
    state: str | None
    """Path of the state to begin with; None where nothing comes before the job, or `follows` has it."""
    follows: str | None
    """The job, sent just before, whose state in the runner's memory this one goes on from."""
    directory: str
    """An empty directory for whatever the job writes."""
    checkpoint_policy: CheckpointPolicy
    """How often to take a checkpoint."""


@dataclass(frozen=True)
class Stop:
    """To the runner: checkpoint now, and leave the job and those that follow it."""


@dataclass(frozen=True)
class Ready:
    """From the runner: what it computes with is loaded, and it computes on this device."""

    device: str
    device_type: str
    """`CPU`, `GPU` or `TPU`."""
    processor: str
    """The machine's CPU, which is the device where there is no accelerator."""
    load_seconds: float


@dataclass(frozen=True)
class Progress:
    """From the runner: how far the job is, and that it is alive."""

    job: str
    job_step: int
    job_steps: int
    """How many the job has: training steps, or parts of what is measured."""
    loss: float | None = None
    images_per_second: float | None = None
    note: str = ""

    def for_table(self) -> dict[str, object]:
        """What the job table keeps of it, under the keys that people's scripts read in `orch status --json`."""
        return {
            "step": self.job_step,
            "steps": self.job_steps,
            "loss": self.loss,
            "images_per_second": self.images_per_second,
            "note": self.note,
        }


@dataclass(frozen=True)
class CheckpointWritten:
    """From the runner: a state to go on from."""

    job: str
    job_step: int
    path: str


@dataclass(frozen=True)
class CheckpointDiscarded:
    """From the runner: it cannot go on from the state that it was given; the job was not begun."""

    job: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """From the runner: the job is done."""

    job: str
    outputs: Mapping[str, str]
    """Paths of the outputs by name."""
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Stopped:
    """From the runner: the job was left undone, after a checkpoint if its stage makes any and `Stop` asked for it."""

    job: str
    reason: str = ""
    """Why the job was left though nobody asked for that: neither the job nor the machine is to blame."""


@dataclass(frozen=True)
class Failed:
    """From the runner: the job raised."""

    job: str
    error: str
    """The exception in one line."""
    traceback: str
    final: bool = False
    """Whether another try would end the same."""


@dataclass(frozen=True)
class Unsuitable:
    """From the runner: this machine cannot do the job, another may."""

    job: str
    reason: str


Ending = CheckpointDiscarded | Finished | Stopped | Failed | Unsuitable
"""What the runner says last of a job."""

Message = RunJob | Stop | Ready | Progress | CheckpointWritten | Ending

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        RunJob,
        Stop,
        Ready,
        Progress,
        CheckpointWritten,
        CheckpointDiscarded,
        Finished,
        Stopped,
        Failed,
        Unsuitable,
    )
}


def encode(message: Message) -> str:
    """One line; NaN and infinity are kept as Python's JSON writes them."""
    return json.dumps({"kind": type(message).__name__, **dataclasses.asdict(message)}) + "\n"


def decode(line: str) -> Message:
    values = json.loads(line)
    if "checkpoint_policy" in values:
        values["checkpoint_policy"] = CheckpointPolicy(**values["checkpoint_policy"])
    return _KINDS[values.pop("kind")](**values)


def send(stream: TextIO, message: Message) -> None:
    stream.write(encode(message))
    stream.flush()
