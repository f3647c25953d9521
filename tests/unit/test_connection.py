"""What is done later in the runner is answered, whatever goes wrong with it."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.processes import wait_until
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.connection import Connection
from workers.runner.messages import Failed, Finished, Message, RunJob, Stopped, Unsuitable, decode

JOB = RunJob("job", "train", {}, {}, None, None, os.curdir, CheckpointPolicy(1800.0, 10.0))


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def connection(told: io.StringIO) -> Connection:
    # Its reading end must stay open: a runner ends when its supervisor's pipe closes.
    reading, _ = os.pipe()
    return Connection(os.fdopen(reading), told)


def raising(error: Exception) -> Callable[[], Message]:
    def task() -> Message:
        raise error

    return task


def answers(told: io.StringIO, count: int) -> list[Any]:
    wait_until(lambda: told.getvalue().count("\n") == count, "the answers")
    return [decode(line) for line in told.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Unsuitable, "The disk here does not take"),
        (MemoryError(), Unsuitable, "too little memory"),
        (ValueError("no such weight"), Failed, "ValueError: no such weight"),
    ],
)
def test_what_this_machine_lacks_is_told_apart_from_what_is_wrong_with_the_job(
    connection: Connection, told: io.StringIO, error: Exception, kind: type[Failed | Unsuitable], words: str
) -> None:
    connection.later(JOB, raising(error))
    (answer,) = answers(told, 1)
    assert isinstance(answer, kind)
    assert words in (answer.error if isinstance(answer, Failed) else answer.reason)


def test_metrics_that_cannot_be_said_fail_their_job_and_the_next_is_answered(
    connection: Connection, told: io.StringIO
) -> None:
    connection.later(JOB, lambda: Finished("job", {}, {"top1": object()}))
    connection.later(JOB, lambda: Stopped("next"))
    failed, stopped = answers(told, 2)
    assert isinstance(failed, Failed) and "not JSON serializable" in failed.error
    assert stopped == Stopped("next")
