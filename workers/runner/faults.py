"""What it means that an exception ended a job: the job cannot be done, or not on this machine, or not just now.

A `PermanentFailure` is final, and so is what a person's own code raises that travels with the study: it is told with
its line.  After any other exception the job is tried again, by other workers too: nobody knows whether what a library,
or code that is installed here, raises comes from the job or from the versions on this machine.
"""

from __future__ import annotations

import errno
import re
import traceback
from contextlib import suppress
from pathlib import Path

from models.failures import PermanentFailure
from models.own_code import importing
from models.own_code.errors import OwnCodeFault
from workers.runner.messages import Failed, RunJob, Stopped, Unsuitable

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of a disk, for which no job is to blame: no room, a file too large for it, read-only, broken."""

_BACKENDS = ("tensorflow", "jax", "jaxlib")
"""Packages whose own exceptions may come from a device that is in trouble, whoever called them."""

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_CALLED = re.compile(r"Exception encountered when calling (.+)\.$", re.MULTILINE)
_PLACE = re.compile(r"\{\{function_node [^}]*\}\}\s*")
_AROUND = (
    "Exception encountered when calling",
    "in user code:",
    "Graph execution error:",
    "Detected at node",
    'File "',
    "<stack traces unavailable>",
    "[[{{node",
)
"""How the lines begin that Keras and TensorFlow put around the line that says what is wrong."""
_AFTER = "Arguments received by"
"""Where the part of a message begins that Keras puts behind what is wrong."""


def ending(job: RunJob, error: Exception) -> Failed | Unsuitable | Stopped:
    """What to say of a job that an exception ended.  To be called where the exception was caught."""
    if lost := _lost(job):
        return Stopped(job.job, f"Files of this worker have been deleted ({lost}).")
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return Unsuitable(job.job, f"The disk here does not take what the job writes: {error}.")
    if _out_of_memory(error):
        return Unsuitable(job.job, f"There is too little memory here: {type(error).__name__}.")
    place = importing.place_of(error)
    if place is not None and not isinstance(error, OwnCodeFault):
        return _of_own_code(job, error, place)
    said = str(error) if isinstance(error, OwnCodeFault) else in_one_line(error)
    return Failed(job.job, said, traceback.format_exc(), isinstance(error, PermanentFailure))


def _of_own_code(job: RunJob, error: Exception, place: str) -> Failed | Unsuitable:
    if importing.is_missing_package(error):
        return Unsuitable(job.job, f"{place}: {error}; install it here.")
    of_machine = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _BACKENDS
    return Failed(job.job, f"{place}: {in_one_line(error)}", traceback.format_exc(), final=not of_machine)


def log() -> None:
    """Print the traceback of the exception that is being handled.

    The disk that the log is on may be what is wrong: a thread that died of it would be a runner that never answers.
    """
    with suppress(OSError):
        traceback.print_exc()


def in_one_line(error: BaseException) -> str:
    """The exception's kind, and that line of its message that says what is wrong."""
    kind = type(error).__name__
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).partition(_AFTER)[0].splitlines()]
    telling = [line for line in lines if line and not line.startswith(_AROUND) and not _CALLED.search(line)]
    if not telling:
        return f"{kind}: {_code_of(error)}"
    wrapped = next(filter(None, lines)).startswith(_AROUND)
    said = _PLACE.sub("", telling[-1] if wrapped else telling[0]).removeprefix(f"{kind}: ")
    called = _CALLED.findall(_COLOUR.sub("", str(error)))
    return f"{kind}: {said} (in {called[-1]})" if called else f"{kind}: {said}"


def _code_of(error: BaseException) -> str:
    """The line that raised an exception without a message, as an assertion may be."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].line} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else "no reason given"


def _lost(job: RunJob) -> str | None:
    """The first file that is missing of those that the supervisor gave the job, if the exception follows from that."""
    given = (job.directory, *job.inputs.values(), *([job.state] if job.state else []))
    return next((path for path in given if not Path(path).exists()), None)


def _out_of_memory(error: Exception) -> bool:
    # By its name, because only TensorFlow could be asked for TensorFlow's class.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
