"""What a worker prints stays calm: on a terminal, in a notebook's cell and in a file."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from contextlib import suppress
from io import StringIO

import pytest

from tests.support.processes import PATIENCE_SECONDS
from workers.console import ONE_LINE_VARIABLE, Console


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Neither a terminal nor a cell."""
    monkeypatch.delenv(ONE_LINE_VARIABLE, raising=False)
    return StringIO()


def test_in_a_cell_progress_is_one_line_that_is_written_over(stream: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ONE_LINE_VARIABLE, "1")
    console = Console("w1", stream)
    console.show("a job  9/10")
    console.show("a job")
    console.say("a job is done")
    console.flush()
    assert re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", stream.getvalue()) == (
        "\rw1  a job  9/10"
        "\rw1  a job      "  # nothing of the longer line is left
        "\nHH:MM:SS  w1  a job is done\n"
    )


def test_in_a_file_progress_is_a_line_now_and_then(stream: StringIO) -> None:
    console = Console("w1", stream)
    for step in range(100):
        console.show(f"a job  {step}/100")
    console.flush()
    assert stream.getvalue() == "w1  a job  0/100\n"


def test_what_is_said_once_is_said_again_only_after_something_else(stream: StringIO) -> None:
    console = Console("w1", stream)
    for text in ("full", "full", "full", "out of reach", "full"):
        console.say_once(text)
    console.flush()
    said = [line.rpartition("  ")[2] for line in stream.getvalue().splitlines()]
    assert said == ["full", "out of reach", "full"]


def test_a_reader_that_has_gone_stops_nothing(stream: StringIO) -> None:
    console = Console("w1", stream)
    stream.close()
    console.say("goes on")
    console.show("and on")
    console.flush()


def test_a_reader_that_has_paused_holds_up_nobody() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    console = Console("w1", stream)
    for number in range(5000):
        console.say(f"{number} of 5000, of which the pipe and the queue hold a part".ljust(200))
    console.flush(0.01)
    os.close(reading)
    console.flush(PATIENCE_SECONDS)
    with suppress(BrokenPipeError):
        stream.close()


TWO_LINES = """
from workers.console import Console
console = Console("w1")
console.say("half a character \\udcff, \\N{SNOWMAN}, \\N{LATIN SMALL LETTER E WITH ACUTE}")
console.say("the next")
console.flush()
"""


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_what_an_encoding_lacks_is_a_question_mark_and_the_next_line_is_written(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-P", "-c", TWO_LINES]
    printed = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, timeout=PATIENCE_SECONDS)
    lines = printed.stdout.decode(encoding).splitlines()
    assert "half a character ?, " in lines[0] and lines[1].endswith("the next")
    assert ("\N{LATIN SMALL LETTER E WITH ACUTE}" in lines[0]) is (encoding != "ascii")


class FullDisk(StringIO):
    """A log on a disk on which there is no room for a while."""

    full = True

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_goes_on_when_there_is_room_again() -> None:
    stream = FullDisk()
    console = Console("w1", stream)
    console.say("while it is full")
    console.flush()
    stream.full = False
    console.say("when there is room")
    console.flush()
    assert stream.getvalue().endswith("when there is room\n")
