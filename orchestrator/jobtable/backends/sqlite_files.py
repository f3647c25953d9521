"""The files of an SQLite database that several people share: who may write them, and what went wrong with them.

SQLite makes two files beside a database in the mode `WAL`, `-wal` and `-shm`, with the database's own mode and in the
name of whoever opens it, even to read.  So what the umask leaves decides with whom a home is shared; and who may not
write the database must not open it, because its owner could not write those two files afterwards.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import HomeError

_BESIDE = ("-wal", "-shm")
_NEARLY_FULL_BYTES = 1 << 20
"""SQLite's index of the log alone takes pieces of 32 KiB, and its log a few pages for each commit."""


def make_ready(database: Path) -> None:
    """Make the database's file if it is not there, and see to it that this user can open it without doing harm.

    Raises:
        HomeError: it cannot be made, or this user may not write what has to be written; nothing was made then.
    """
    if not database.exists():
        # SQLite would make it with 0644 whatever the umask leaves to the group.
        try:
            os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            pass  # another was quicker
        except OSError as error:
            raise HomeError(f"The job table {database} cannot be made: {error.strerror}.") from error
    _refuse_who_would_harm(database)


def advice(error: sqlite3.Error, database: Path) -> str:
    """What to do about an error of SQLite's that is about its files."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL" or (name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _is_full(database.parent)):
        return "free some space on the disk and run the command again"
    if name.startswith("SQLITE_READONLY"):
        return f"ask {_owner(database)} for the right to write it, and whoever lends the disk that it is not read-only"
    if name.startswith("SQLITE_IOERR"):
        return "its disk is in trouble; look at the system's log"
    return "check that the directory is there and that you may write to it"


def _refuse_who_would_harm(database: Path) -> None:
    beside = [database.with_name(database.name + ending) for ending in _BESIDE]
    if not _may(database.parent, os.W_OK | os.X_OK):
        # Nothing can be made here.  While others have it open, the files are there, and can be read at least.
        if not all(file.exists() for file in beside):
            raise _only_for_who_may_write(database.parent, database)
    elif not _may(database, os.W_OK):
        raise _only_for_who_may_write(database, database)
    for file in _not_writable(beside) if _may(database, os.W_OK) else ():
        raise HomeError(
            f"{file} belongs to {_owner(file)}, and you may not write it; "
            "ask for the right (chmod g+w, and the directory's group: chgrp), which SQLite needs even to read."
        )


def _not_writable(files: list[Path]) -> Iterator[Path]:
    return (file for file in files if file.exists() and not _may(file, os.W_OK))


def _only_for_who_may_write(missing: Path, database: Path) -> HomeError:
    if os.statvfs(database.parent).f_flag & os.ST_RDONLY:
        return HomeError(
            f"The job table {database} is on a disk that is mounted read-only, and SQLite writes even to read; "
            "copy the home to another disk."
        )
    return HomeError(
        f"The job table {database} is for those who may write it, because SQLite writes even to read; ask "
        f"{_owner(missing)} for the right to write {missing} (chmod g+w; a umask of 002 makes new files so)."
    )


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _owner(path: Path) -> str:
    """Who owns it: a name, a number where the machine knows no name, or a word if that cannot be told."""
    try:
        number = path.stat().st_uid
    except OSError:
        return "its owner"
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _is_full(directory: Path) -> bool:
    try:
        return shutil.disk_usage(directory).free < _NEARLY_FULL_BYTES
    except OSError:
        return False
