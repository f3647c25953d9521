"""What is said of an error of SQLite's is what would mend it."""

from __future__ import annotations

import os
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.errors import HomeError
from orchestrator.jobtable.backends import sqlite_files
from orchestrator.jobtable.backends.sqlite import SqliteBackend

Usage = namedtuple("Usage", "total used free")


def failed(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorname = name
    return error


def full_error() -> sqlite3.OperationalError:
    """A real one: SQLite says of a page too many what it says of a full disk."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA max_page_count = 2")
        database.execute("CREATE TABLE kept (content)")
        with pytest.raises(sqlite3.OperationalError) as told:
            database.execute("INSERT INTO kept VALUES (zeroblob(100000))")
        return told.value


@pytest.mark.parametrize(
    ("error", "free", "advice"),
    [
        (full_error(), 1 << 40, "free some space"),
        (failed("SQLITE_IOERR_SHMSIZE"), 0, "free some space"),
        (failed("SQLITE_IOERR_WRITE"), 0, "free some space"),
        (failed("SQLITE_CANTOPEN"), 0, "free some space"),
        (failed("SQLITE_IOERR_WRITE"), 1 << 40, "disk is in trouble"),
        (failed("SQLITE_READONLY_DBMOVED"), 1 << 40, "for the right to write it"),
        (failed("SQLITE_CANTOPEN"), 1 << 40, "that you may write to it"),
    ],
    ids=str,
)
def test_a_full_disk_a_broken_one_and_a_missing_right_are_told_apart(
    error: sqlite3.Error, free: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 41, 0, free))
    assert advice in sqlite_files.advice(error, tmp_path / "jobs.db")


def test_a_disk_that_is_mounted_read_only_is_no_missing_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs.db").touch()
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    monkeypatch.setattr("os.supports_effective_ids", set())
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(HomeError, match="mounted read-only"):
        sqlite_files.make_ready(tmp_path / "jobs.db")


def test_a_table_that_cannot_be_made_is_told_with_the_reason(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "gone" / "jobs.db")
    with pytest.raises(HomeError, match=r"cannot be made: No such file"), backend.reading():
        pass
