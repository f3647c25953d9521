"""The child process that has TensorFlow loaded and executes stages, one job after another.

Claims, leases, uploads and commits are the supervisor's; this process only computes, and ends when its
supervisor's pipe closes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from models.architectures.catalog import UnknownArchitecture
from models.own_code import importing
from orchestrator import job_code
from orchestrator.jobs import LOG
from workers.machine import shutdown
from workers.runner import faults
from workers.runner.connection import Connection
from workers.runner.messages import LOG_NAME, Ending, Finished, Message, Ready, RunJob, Stopped, Unsuitable
from workers.runner.stages import Later, Outcome, UnknownStage, stage


def main() -> None:
    """Serve jobs until the pipe closes."""
    shutdown.leave_to_supervisor()
    threads = _arguments().threads
    # Last, so that it hides nothing: architectures of the person's own are imported from where they work.
    with suppress(OSError):  # which may be gone
        sys.path.append(str(Path.cwd()))
    connection = Connection(sys.stdin, _private_stdout())
    started = time.monotonic()
    _load(threads)
    connection.say(_ready(started))
    while True:
        job = connection.next_job()
        try:
            _log_to(Path(job.directory) / LOG_NAME)
        except OSError as error:
            connection.say(faults.ending(job, error))
            continue
        _do(job, connection)


def _do(job: RunJob, connection: Connection) -> None:
    if job.follows is not None and connection.stop_asked():
        connection.later(job, lambda: Stopped(job.job))
        return
    outcome = _executed(job, connection)
    connection.later(job, lambda: _ended(job, outcome))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="runner", description=__doc__)
    parser.add_argument("--threads", type=int, required=True, help="cores that one training step computes with")
    return parser.parse_args()


def _private_stdout() -> TextIO:
    """The pipe to the supervisor, out of reach of libraries that print: their output goes to the log."""
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(pipe, "w", encoding="utf-8")


def _load(threads: int) -> None:
    from models.runtime import configure_runtime

    configure_runtime(threads)


def _ready(started: float) -> Ready:
    """Asked for its device, a backend loads what it computes with there."""
    from models.runtime import cpu_name, device_description

    described = device_description()
    return Ready(
        device=str(described["device"]),
        device_type=str(described["device_type"]),
        processor=cpu_name(),
        load_seconds=time.monotonic() - started,
    )


def _log_to(path: Path) -> None:
    """Point standard output and error of this process, TensorFlow's C++ included, to a job's log."""
    _flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _flush() -> None:
    """Flush what was printed; where the disk of the log is full, the print is lost and the job is not."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def _executed(job: RunJob, connection: Connection) -> Outcome | Later | Ending:
    try:
        _install_code(job)
        return stage(job.stage)(job, connection)
    except (UnknownStage, UnknownArchitecture) as error:
        return Unsuitable(job.job, str(error))
    except Exception as error:
        faults.log()
        return faults.ending(job, error)


def _install_code(job: RunJob) -> None:
    """Make the person's own code that the job builds networks with known.  Raises UntrustedCode: it is not that."""
    for called, digest in job_code.digests_by_input(job.spec).items():
        path = job.inputs.get(called)
        importing.install(Path(path).read_bytes() if path else b"", digest)


def _ended(job: RunJob, outcome: Outcome | Later | Ending) -> Message:
    if callable(outcome):
        outcome = outcome()
    _flush()
    log = Path(job.directory) / LOG_NAME
    if isinstance(outcome, Finished) and log.is_file() and log.stat().st_size:
        return Finished(job.job, {**outcome.outputs, LOG: str(log)}, outcome.metrics)
    return outcome
