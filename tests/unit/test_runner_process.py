"""Whatever a runner does, its end is told."""

from __future__ import annotations

import gc
import queue
import sys
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_SECONDS
from workers.runner.messages import Message, Stop
from workers.runner.process import RunnerDied, RunnerProcess, tail


def started(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunnerProcess, list[object]]:
    """A process that does this instead of loading TensorFlow, and what was delivered when it had ended."""
    program = tmp_path / "runner"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    inbox: queue.SimpleQueue[Message | RunnerDied] = queue.SimpleQueue()
    runner = RunnerProcess(1, tmp_path, inbox.put)
    told: list[object] = []
    while not told or not isinstance(told[-1], RunnerDied):
        told.append(inbox.get(timeout=PATIENCE_SECONDS))
    return runner, told


def test_a_runner_that_is_killed_in_the_middle_of_a_line_is_told_as_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, told = started("""printf '{"kind": "Failed", "err'; kill -9 $$""", tmp_path, monkeypatch)
    assert told == [RunnerDied("the runner was killed (SIGKILL), as a machine that is out of memory does")]


def test_a_runner_that_talks_nonsense_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, told = started("echo hello; sleep 60", tmp_path, monkeypatch)
    assert len(told) == 1
    assert not runner.alive


def test_a_runner_that_ends_by_itself_is_told_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, told = started("echo what went wrong >&2; exit 3", tmp_path, monkeypatch)
    assert told == [RunnerDied("the runner ended with exit code 3")]
    assert runner.log_tail() == "what went wrong\n"
    runner.send(Stop())  # nobody listens any more: no complaint


def test_what_was_sent_to_a_dead_runner_is_no_complaint_when_the_runner_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    runner, _ = started("exit 3", tmp_path, monkeypatch)
    runner.send(Stop())
    del runner
    gc.collect()
    assert complaints == []


def test_the_tail_of_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert tail(log).splitlines()[0].startswith("line ")
    assert tail(log).endswith("line 9999\n")
    assert tail(tmp_path / "none") == ""
