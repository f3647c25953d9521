"""What a worker prints stays calm: on a terminal, in a notebook's cell and in a file."""

from __future__ import annotations

import re
from io import StringIO

import pytest

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
    assert re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", stream.getvalue()) == (
        "\rw1  a job  9/10"
        "\rw1  a job      "  # nothing of the longer line is left
        "\nHH:MM:SS  w1  a job is done\n"
    )


def test_in_a_file_progress_is_a_line_now_and_then(stream: StringIO) -> None:
    console = Console("w1", stream)
    for step in range(100):
        console.show(f"a job  {step}/100")
    assert stream.getvalue() == "w1  a job  0/100\n"


def test_what_is_said_once_is_said_again_only_after_something_else(stream: StringIO) -> None:
    console = Console("w1", stream)
    for text in ("full", "full", "full", "out of reach", "full"):
        console.say_once(text)
    said = [line.rpartition("  ")[2] for line in stream.getvalue().splitlines()]
    assert said == ["full", "out of reach", "full"]


def test_a_reader_that_has_gone_stops_nothing(stream: StringIO) -> None:
    console = Console("w1", stream)
    stream.close()
    console.say("goes on")
    console.show("and on")
