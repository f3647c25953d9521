"""A runner that loads nothing and trains nothing: it is started, spoken to and killed like `workers.runner`.

Its jobs are those that a plan has of a small network, and its states go through the same files, but a step is one link
of a chain of digests (`fast_motion.states`).  What a real runner checks of a state it checks, too: whose it is, and
whether it is at a step of the visit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fast_motion import states
from fast_motion.states import Damaged, State, chained, content_digest
from orchestrator.jobs import LOG
from workers.machine import shutdown
from workers.runner import faults
from workers.runner.connection import Connection
from workers.runner.messages import (
    LOG_NAME,
    CheckpointDiscarded,
    CheckpointWritten,
    Failed,
    Finished,
    Message,
    Progress,
    Ready,
    RunJob,
    Stopped,
    Unsuitable,
)

STEP_SECONDS = "ORCH_CAMPAIGN_STEP_SECONDS"
"""The environment variable that says how long a step takes."""

DEVICE = "ORCH_CAMPAIGN_DEVICE"
"""The environment variable that says as what processor it passes itself off."""

Outcome = Finished | Stopped | CheckpointDiscarded | Failed | Unsuitable
Later = Callable[[], Outcome]

_in_memory: dict[str, State] = {}
"""The state after the last job of a training, by training: what the next of its chain goes on from."""


def main() -> None:
    """Serve jobs until the pipe closes."""
    shutdown.leave_to_supervisor()
    parser = argparse.ArgumentParser(prog="python -m fast_motion.stand_in", description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.parse_args()
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    connection = Connection(sys.stdin, pipe)
    device = _device()
    connection.say(Ready(device, device_type="CPU", processor=device, load_seconds=0.0))
    while True:
        _serve(connection.next_job(), connection)


def _serve(job: RunJob, connection: Connection) -> None:
    if job.follows is not None and connection.stop_asked():
        connection.later(job, lambda: Stopped(job.job))
        return
    try:
        _log_to(Path(job.directory) / LOG_NAME)
        outcome = _STAGES[job.stage](job, connection)
    except Exception as error:
        with suppress(OSError):  # the log's disk may be full
            traceback.print_exc()
        outcome = faults.ending(job, error)
    connection.later(job, lambda: _ended(job, outcome))


def _log_to(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    print(f"a stand-in's log in {path.parent.name}")


def _ended(job: RunJob, outcome: Outcome | Later) -> Message:
    ended = outcome() if callable(outcome) else outcome
    sys.stdout.flush()
    sys.stderr.flush()
    if isinstance(ended, Finished):
        return Finished(job.job, {**ended.outputs, LOG: str(Path(job.directory) / LOG_NAME)}, ended.metrics)
    return ended


# --- stages ---


def train(job: RunJob, connection: Connection) -> Outcome | Later:
    """One visit, from the state before to the state after."""
    visit = job.spec["visit"]
    first, last = visit["first_step"], visit["first_step"] + visit["steps"]
    try:
        digest, step = _begun(job, first, last)
    except Damaged as damaged:
        return CheckpointDiscarded(job.job, str(damaged))
    shard = content_digest(Path(job.inputs["shard"]))
    step_seconds = _step_seconds()
    while step < last:
        if step_seconds:
            time.sleep(step_seconds)
        digest, step = chained("step", digest, step, shard), step + 1
        connection.progress(Progress(job.job, step - first, last - first, loss=1.0))
        stopping = connection.stop_asked()
        if step < last and (stopping or connection.checkpoint_due(job.checkpoint_policy)):
            _take_checkpoint(job, _state(job, step, digest), connection)
            if stopping:
                return Stopped(job.job)
    after = _state(job, last, digest)
    connection.checkpoint_taken(0.0)
    _in_memory.clear()
    _in_memory[after.training] = after
    return lambda: _finished(job, after)


def merge(job: RunJob, connection: Connection) -> Outcome:
    """The states of a round made one."""
    replicas = [_input(job, f"replica{number}", job.spec["step"]) for number in range(_replicas(job))]
    before = _input(job, "previous", job.spec["first_step"]) if "previous" in job.inputs else _fresh(job)
    connection.progress(Progress(job.job, 0, 1))
    parts = (state.digest for state in (before, *replicas))
    digest = chained("merge", *parts, content_digest(Path(job.inputs["shard"])))
    return _finished(job, _state(job, job.spec["step"], digest))


def compress(job: RunJob, connection: Connection) -> Outcome:
    """A model made of the last state."""
    assert job.state is not None, "a compress job has the last state of a training as its input"
    try:
        state = states.load(Path(job.state))
    except Damaged as damaged:
        return CheckpointDiscarded(job.job, str(damaged))
    connection.progress(Progress(job.job, 0, 1))
    model = State(state.training, job.job, state.step, chained(job.spec["method"], state.digest))
    path = Path(job.directory) / "model.tflite"
    states.save(model, path)
    return Finished(job.job, {"model": str(path)}, {"weights_sha256": model.digest})


def benchmark(job: RunJob, connection: Connection) -> Outcome:
    """A measurement, which takes as long as a step and depends on the models and the test set alone."""
    connection.progress(Progress(job.job, 0, 1))
    time.sleep(_step_seconds())
    if connection.stop_asked():
        return Stopped(job.job)
    models = [states.load(Path(job.inputs[name])).digest for name in ("model", "reference")]
    digest = chained(*models, content_digest(Path(job.inputs["test"])))
    return Finished(job.job, {}, {"device": _device(), "runtime": "nothing", "weights_sha256": digest})


def _step_seconds() -> float:
    return float(os.environ.get(STEP_SECONDS, "0"))


def _device() -> str:
    return os.environ.get(DEVICE, "a stand-in")


_STAGES: Mapping[str, Callable[[RunJob, Connection], Outcome | Later]] = {
    "train": train,
    "merge": merge,
    "compress": compress,
    "benchmark": benchmark,
}

# --- states ---


def _begun(job: RunJob, first: int, last: int) -> tuple[str, int]:
    """The digest and step that a visit goes on from.  Raises Damaged."""
    if job.follows is not None:
        before = _in_memory.get(_training(job))
        if before is None or before.step != first:
            raise Damaged("The job before did not come to its end here.")
    elif job.state is not None:
        before = _checked(states.load(Path(job.state)), job)
    else:
        before = _fresh(job)
    if not first <= before.step <= last:
        raise Damaged(f"The state is at step {before.step}; this visit goes from step {first} to {last}.")
    if "averaging" in job.spec and before.step == first:
        own = _input(job, "own", first).digest if "own" in job.inputs else None
        return chained("visit", before.digest, own, job.spec["shard"]), first
    return before.digest, before.step


def _take_checkpoint(job: RunJob, state: State, connection: Connection) -> None:
    connection.checkpoint_taken(0.0)
    connection.later(job, lambda: _written(job, state))


def _written(job: RunJob, state: State) -> CheckpointWritten | None:
    path = Path(job.directory) / f"step{state.step:08d}.safetensors"
    try:
        states.save(state, path)
    except OSError as error:
        print(f"The checkpoint at step {state.step} was not written, the training goes on: {error}")
        return None
    return CheckpointWritten(job.job, state.step - job.spec["visit"]["first_step"], str(path))


def _finished(job: RunJob, state: State) -> Finished:
    path = Path(job.directory) / "state.safetensors"
    states.save(state, path)
    metrics: Mapping[str, Any] = {"step": state.step, "loss": 1.0, "seconds": 0.0, "weights_sha256": state.digest}
    return Finished(job.job, {"state": str(path)}, metrics)


def _input(job: RunJob, name: str, step: int) -> State:
    state = _checked(states.load(Path(job.inputs[name])), job)
    if state.step != step:
        raise Damaged(f"The input {name!r} is at step {state.step}, not {step}.")
    return state


def _checked(state: State, job: RunJob) -> State:
    if state.training != _training(job):
        raise Damaged("The state is of another training.")
    return state


def _fresh(job: RunJob) -> State:
    return _state(job, 0, chained("first", _training(job)))


def _state(job: RunJob, step: int, digest: str) -> State:
    return State(_training(job), job.job, step, digest)


def _training(job: RunJob) -> str:
    return chained(json.dumps(job.spec["training"], sort_keys=True))


def _replicas(job: RunJob) -> int:
    return sum(name.startswith("replica") for name in job.inputs)


if __name__ == "__main__":
    main()
