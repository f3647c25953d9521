"""What an exception means that ended a job in the runner: that the job cannot be done, or not on this machine."""

from __future__ import annotations

import errno
import traceback

from workers.messages import Failed, Unsuitable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def ending(job: str, error: Exception) -> Failed | Unsuitable:
    """To be called where the exception was caught."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Unsuitable(job, f"There is too little room on the disk here: {error}.")
    if _out_of_memory(error):
        return Unsuitable(job, f"There is too little memory here: {type(error).__name__}.")
    return Failed(job, f"{type(error).__name__}: {error}", traceback.format_exc())


def _out_of_memory(error: Exception) -> bool:
    # By its name, because only TensorFlow could be asked for TensorFlow's class.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
