"""A worker with a stand-in for a runner, in a process that is forked from one which has all its modules loaded.

All else of it is Orch's own: supervisor, sessions, transfers, table, store and client.  So that thousands of them can
die in an hour, the pauses in which a worker only waits are shorter, and its clock can be set.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from orchestrator.command_line import entry
from orchestrator.home import Home
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from workers.console import Console
from workers.machine.hosts import Host
from workers.supervisor import Settings, Supervisor

PRELOADED = [
    *("fast_motion.quick_worker", "orchestrator.google_drive.client", "orchestrator.google_drive.artifact_store"),
    # What the campaign's own script begins with, which multiprocessing runs in each new process.
    *("fast_motion.directory", "fast_motion.tally", "fast_motion.trial", "orchestrator.study"),
]
"""Modules that the process has from which workers are forked."""

PAUSES: Mapping[tuple[str, str], float] = {
    ("workers.idleness", "_LEAST_SECONDS"): 0.3,
    ("workers.supervisor", "_STEP_BACK_SECONDS"): 0.5,
    ("workers.outage", "_FIRST_PAUSE_SECONDS"): 0.5,
    ("workers.outage", "_LONGEST_PAUSE_SECONDS"): 4.0,
    ("workers.session", "_STORE_WAIT_SECONDS"): 0.5,
    ("orchestrator.jobtable.transactions.leases", "FIRST_BACK_OFF_SECONDS"): 0.2,
    ("orchestrator.jobtable.transactions.leases", "LONGEST_BACK_OFF_SECONDS"): 5.0,
    ("orchestrator.jobtable.transactions.speculation", "FEWEST_SECONDS"): 1.5,
}
"""What a worker waits for without doing anything, in seconds; all else takes as long as it takes."""

_CHECKPOINT_SECONDS = 0.15


@dataclass(frozen=True)
class Access:
    """How a worker gets at a home."""

    url: str
    artifacts: str | None = None
    environment: Mapping[str, str] | None = None
    clock: str | None = None
    """A file with the seconds by which the home's clock is ahead, if it can be set."""


def work(name: str, access: Access, log: str, scratch: str) -> None:
    """Be a worker until nothing is left to do.  To be called in a new process, which ends with it."""
    os.setsid()
    heed_signals()
    log_to(Path(log))
    _end_with_parent()
    os.environ.update(access.environment or {})
    tempfile.tempdir = scratch
    for (module, pause), seconds in PAUSES.items():
        setattr(import_module(module), pause, seconds)
    entry.run(lambda: _run(name, access))


def heed_signals() -> None:
    """Whoever starts a campaign in the background may have it ignore some, which is inherited."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _run(name: str, access: Access) -> None:
    host = Host("here", "own")
    settings = Settings(name, host, checkpoint_seconds=_CHECKPOINT_SECONDS, runner="fast_motion.stand_in")
    home = Home.open(access.url, access.artifacts)
    home.check_artifacts()
    if access.clock is not None:
        home = replace(home, jobs=JobTable(_set_by(Path(access.clock), access.url), home.url))
    console = Console(name)
    console.say(f"works on {host}")
    code = Supervisor(home, settings, console).run()
    sys.stdout.flush()
    os._exit(code)


def log_to(log: Path) -> None:
    """Whatever this process prints from now on."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115


def _end_with_parent() -> None:
    """A campaign that is killed leaves no workers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is a child of the campaign"

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# --- a clock that can be set ---


class _Settable:
    """Before a place among a class's bases: its clock is ahead by what a file says."""

    ahead: Path

    def now(self, connection: object) -> float:
        return super().now(connection) + float(self.ahead.read_text())  # type: ignore[misc, no-any-return]


class _SettableSqlite(_Settable, SqliteBackend):
    pass


class _SettablePostgresql(_Settable, PostgresqlBackend):
    pass


def _set_by(file: Path, url: str) -> Backend:
    if url.startswith("postgresql"):
        database = _SettablePostgresql(url)
        database.ahead = file
        return database
    local = _SettableSqlite(Path(url) / "jobs.db")
    local.ahead = file
    return local
