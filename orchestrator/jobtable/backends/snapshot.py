"""The job table as one small file on a service that knows compare-and-set: no server has to be on.

The schema and the transactions are those of SQLite, on a copy in memory.  A transaction reads the newest snapshot,
changes the copy and puts it in the snapshot's place, unless another was quicker: then it reads and runs again.
What the file is kept in stands behind `conditional_file`, its bytes in `snapshot_format`.
"""

from __future__ import annotations

import math
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, StaticPool, create_engine

from orchestrator.errors import HomeError
from orchestrator.jobtable.backends.backend import T
from orchestrator.jobtable.backends.conditional_file import ConditionalFile, Conflict, Version
from orchestrator.jobtable.backends.sightings import NO_SIGHTINGS, Sightings
from orchestrator.jobtable.backends.snapshot_format import EMPTY, NotASnapshot, Snapshot, decoded, encoded
from orchestrator.jobtable.backends.sqlite import begun, explained
from orchestrator.jobtable.schema.vetting import NotAJobTable, vet

PATIENCE_SECONDS = 15.0
"""How long a transaction is tried against others.  A worker that is asked to end has half a minute in all."""

# Between a conflict and the next try: first about as long as a swap takes, in the end long enough for sixty others.
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 4.0


class RolledBack(HomeError):
    """The table is in an older state than one that was seen before."""


class SnapshotBackend:
    """A database in memory, behind which stands a `ConditionalFile`.

    A swap whose answer was lost is looked for in the next snapshot that is read: every swap has a name, and a snapshot
    knows those of the last ones.  So nothing is counted twice, whatever the network does.

    Args:
        sightings: which states were seen before this process began.
        reads_good_for: seconds for which a reader may be shown what was read or written last.  Transactions always
            begin with the newest.
        pause: waits the given seconds after a conflict.
    """

    def __init__(
        self,
        file: ConditionalFile,
        reads_good_for: float = 0.0,
        pause: Callable[[float], None] = time.sleep,
        sightings: Sightings = NO_SIGHTINGS,
    ) -> None:
        self._file = file
        self._sightings = sightings
        self._reads_good_for = reads_good_for
        self._pause = pause
        # One copy for all threads of the process, one after another.
        self._lock = threading.Lock()
        self._connection = _in_memory()
        self._snapshot = EMPTY
        self._version: Version | None = None
        """The version of the snapshot in memory; None when what is in memory stands nowhere."""
        self._seen: int | None = None
        """The highest generation that was seen before this process began; None until somebody asks."""
        self._checked = -math.inf
        """When that was the newest, on the monotonic clock."""

    def transact(self, change: Callable[[Connection], T], *, exclusive: bool = False) -> T:  # noqa: ARG002
        """Raises HomeError also when others were quicker for `PATIENCE_SECONDS` on end."""
        # Whatever was sent may have arrived: the outcome of every try by the name of its swap.
        tried: dict[str, T] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._lock:
            while True:
                self._refresh()
                for swap in reversed(self._snapshot.swaps):
                    if swap in tried:
                        return tried[swap]
                swap = secrets.token_hex(8)
                outcome, changed = self._changed_copy(change)
                if not changed:
                    return outcome
                tried[swap] = outcome
                if self._swapped(swap):
                    return outcome
                if time.monotonic() >= deadline:
                    raise HomeError(
                        f"The job table {self._file} was changed by others for {PATIENCE_SECONDS:.0f} s without a gap; "
                        "fewer workers, or longer leases, let everybody through."
                    )
                self._pause(_pause_after(len(tried)))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._lock:
            old = time.monotonic() - self._checked > self._reads_good_for
            if old or self._version is None or self._connection.closed:
                self._refresh()
            with explained(str(self._file)), begun(self._connection, "BEGIN") as connection:
                yield connection

    def forget_reads(self) -> None:
        self._checked = -math.inf

    def analyze(self, connection: Connection) -> None:
        """Nothing is left to do: SQLite takes the index that a statement names all columns of."""

    def make_durable(self) -> None:
        """Nothing is left to do: a swap that was confirmed is the service's."""

    def now(self, connection: Connection) -> float:  # noqa: ARG002
        return self._file.now()

    def generation(self) -> int:
        """The generation of the newest state that this process knows; 0 before it has read any."""
        return self._snapshot.generation

    def close(self) -> None:
        self._connection.close()
        self._connection.engine.dispose()

    def _refresh(self) -> None:
        """Make the newest snapshot the one in memory."""
        checked = time.monotonic()
        if self._connection.closed:  # a transaction could not be rolled back
            self._connection, self._version = _in_memory(), None
        if self._seen is None:
            # Before the file is read: whoever swaps and uploads in between would look as if the file had been put back.
            self._seen = self._sightings.highest()
        if not self._is_newest():
            self._load(*self._file.read())
        self._checked = checked

    def _is_newest(self) -> bool:
        if self._version is None:
            return False
        newest = self._file.version()
        same = newest.digest == self._version.digest
        self._version = newest if same else None
        return same

    def _load(self, content: bytes, version: Version) -> None:
        try:
            snapshot = self._believed(decoded(content))
            self._fill(snapshot.database)
        except (NotASnapshot, NotAJobTable, sqlite3.DatabaseError) as error:
            raise HomeError(f"{self._file} cannot be used: {error}; give the home that `orch plan` made.") from error
        self._snapshot, self._version = snapshot, version

    def _believed(self, snapshot: Snapshot) -> Snapshot:
        """A decision that changes nothing, such as "your lease is lost", no swap would stop: an old state is told."""
        seen = max(self._seen or 0, self._snapshot.generation)
        if snapshot.generation >= seen:
            self._sightings.note(snapshot.generation)
            return snapshot
        if self._sightings.accept_rollback:
            # The next swap is newer than all that anybody has seen.
            return replace(snapshot, generation=seen)
        raise RolledBack(
            f"{self._file} is in state {snapshot.generation}, and was in state {seen} before: somebody has restored an "
            "older version, or emptied it; if that is meant, `orch plan --accept-rollback` goes on from there, and "
            "what was done since is done again."
        )

    def _fill(self, database: bytes) -> None:
        """Make a database of serialized bytes, or an empty one, of the connection's."""
        driver: Any = self._connection.connection.driver_connection
        try:
            driver.deserialize(database or _nothing())
            vet(driver)
        except BaseException:
            # What is in memory now is nobody's state: the next transaction must not begin on it.
            self._version = None
            raise

    def _changed_copy(self, change: Callable[[Connection], T]) -> tuple[T, bool]:
        """What a change gives, and whether it wrote anything to the copy in memory."""
        driver: Any = self._connection.connection.driver_connection
        with explained(str(self._file)):
            before = driver.total_changes, _schema_version(driver)
            with begun(self._connection, "BEGIN IMMEDIATE") as connection:
                outcome = change(connection)
            return outcome, before != (driver.total_changes, _schema_version(driver))

    def _swapped(self, swap: str) -> bool:
        """Put the copy in memory in the place of the snapshot that it was; False when another was quicker."""
        assert self._version is not None, "a swap is of the snapshot that was read"
        version, self._version = self._version, None
        driver: Any = self._connection.connection.driver_connection
        snapshot = self._snapshot.followed_by(swap, driver.serialize())
        try:
            self._version = self._file.replace(encoded(snapshot), version)
        except Conflict:
            return False
        self._snapshot, self._checked = snapshot, time.monotonic()
        return True


def _in_memory() -> Connection:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    connection = engine.connect()
    driver: Any = connection.connection.driver_connection
    driver.isolation_level = None
    driver.execute("PRAGMA foreign_keys = ON")
    driver.execute("PRAGMA trusted_schema = OFF")
    return connection


def _nothing() -> bytes:
    """A database without tables, of one page: SQLite takes none of no page."""
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.execute("PRAGMA user_version = 1")
        return empty.serialize()


def _schema_version(driver: Any) -> int:
    """SQLite's count of changes of the schema, which are no changes of rows."""
    return int(driver.execute("PRAGMA schema_version").fetchone()[0])


def _pause_after(conflicts: int) -> float:
    """Seconds, at random, so that those who met do not meet again (Full Jitter: M. Brooker, AWS, 2015)."""
    return random.uniform(0, min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0**conflicts))
