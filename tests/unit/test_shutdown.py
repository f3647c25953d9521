"""A worker that is given a shutdown notice ends in time, whatever it is at."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode
from tests.support.processes import PATIENCE_SECONDS, heed_signals, wait_until
from workers.machine import shutdown
from workers.machine.shutdown import ShutdownNotice

BY_FORCE = 7
HELD_UP = f"""
import os, sqlite3, sys
from workers.machine import shutdown
shutdown.NOTICE_SECONDS = 0.1
begun = lambda: os.write(1, b"begun ")
with shutdown.ShutdownNotice(begun, lambda: os._exit({BY_FORCE})).listening(None):
    print("listening", flush=True)
    sqlite3.connect(sys.argv[1], timeout=60).execute("BEGIN IMMEDIATE")
"""


STARTING = """
import sys
from workers import cli
cli.app = lambda prog_name: (print("loading", flush=True), sys.stdin.read())
cli.main()
"""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.mark.parametrize("request_to_end", SIGNALS)
def test_one_that_a_locked_table_holds_up_is_ended_by_force(tmp_path: Path, request_to_end: signal.Signals) -> None:
    table = tmp_path / "jobs.db"
    with closing(sqlite3.connect(table, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        command = [sys.executable, "-P", "-c", HELD_UP, str(table)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_signals) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            process.send_signal(request_to_end)
            assert process.stdout.read() == "begun "
            assert process.wait(PATIENCE_SECONDS) == BY_FORCE


@pytest.fixture
def enforced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(shutdown, "NOTICE_SECONDS", 0.0)
    return []


def test_at_the_end_of_its_time_notice_gives_itself(enforced: list[str]) -> None:
    given = ShutdownNotice(lambda: None, lambda: enforced.append("by force"))
    with given.listening(0.01):
        wait_until(lambda: bool(enforced), "the enforcement")
    assert given.reason == "the session's time is up"


def test_one_that_ends_by_itself_is_left_alone_and_signals_mean_what_they_meant(enforced: list[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    given = ShutdownNotice(lambda: None, lambda: enforced.append("by force"))
    with given.listening(3600):
        pass
    assert not given.given
    assert enforced == []
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_inherited_as_ignored_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        given = ShutdownNotice(lambda: None, lambda: None)
        with given.listening(None):
            os.kill(os.getpid(), number)
            assert signal.getsignal(number) is signal.SIG_IGN
        assert not given.given and signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_whoever_waits_for_something_else_is_woken_by_the_shutdown_notice() -> None:
    given = ShutdownNotice(lambda: None, lambda: None)
    waiting = threading.Thread(target=given.wait, args=[PATIENCE_SECONDS])
    waiting.start()
    given.give("the test")
    waiting.join(PATIENCE_SECONDS / 2)
    assert not waiting.is_alive()


def test_a_signal_is_named_as_the_reason() -> None:
    given = ShutdownNotice(lambda: None, lambda: None)
    with given.listening(None):
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: given.given, "the notice")
    assert given.reason == "SIGTERM"


@pytest.mark.parametrize("request_to_end", SIGNALS)
def test_a_worker_that_is_asked_to_end_while_it_loads_leaves_the_work_for_later(request_to_end: signal.Signals) -> None:
    command = [sys.executable, "-P", "-c", STARTING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, preexec_fn=heed_signals) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(request_to_end)
        assert process.wait(PATIENCE_SECONDS) == ExitCode.TRY_LATER
