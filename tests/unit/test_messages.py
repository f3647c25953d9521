"""What one process says arrives in the other as it was said."""

from __future__ import annotations

import math

import pytest

from workers.checkpoint_policy import CheckpointPolicy
from workers.runner import messages
from workers.runner.messages import decode, encode

ALL = [
    messages.RunJob(
        "id", "train", {"seed": 0}, {"shard": "/a b"}, None, "before", "/d", CheckpointPolicy(1800.0, 20.0, None)
    ),
    messages.Stop(),
    messages.Ready("Tesla T4", "GPU", "a Xeon", 3.2),
    messages.Progress("id", 3, 10, 1.5, None, "a note\nof two lines"),
    messages.CheckpointWritten("id", 3, "/c"),
    messages.CheckpointDiscarded("id", "it is damaged"),
    messages.Finished("id", {"state": "/s"}, {"top1": 0.5}),
    messages.Stopped("id"),
    messages.Failed("id", "ValueError: no", "Traceback\n  line"),
    messages.Unsuitable("id", "too little memory"),
]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_pipe_in_one_line(message: messages.Message) -> None:
    line = encode(message)
    assert line.index("\n") == len(line) - 1
    assert decode(line) == message


def test_a_loss_that_is_no_number_survives_the_pipe() -> None:
    told = decode(encode(messages.Progress("id", 1, 2, math.nan, math.inf)))
    assert isinstance(told, messages.Progress)
    assert told.loss is not None and math.isnan(told.loss) and told.images_per_second == math.inf


def test_the_job_table_keeps_progress_under_the_keys_that_scripts_read() -> None:
    told = messages.Progress("id", 3, 10, 1.5, 200.0, "merging").for_table()
    assert told == {"step": 3, "steps": 10, "loss": 1.5, "images_per_second": 200.0, "note": "merging"}
