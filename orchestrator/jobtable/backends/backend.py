"""The contract of a backend: where the job table's database lives, with a clock that all its workers share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Backend(Protocol):
    """Runs transactions; knows nothing of jobs.

    Threads: any thread may call `transact`, `reading`, `forget_reads` and `make_durable` at any time.  A connection is
    for the thread that was given it, and for as long as it was given; within that time the thread calls nothing of the
    backend but `now` and `analyze`, because a backend with one connection would wait for itself.  `close` is for when
    no other thread is in a call.  A process that was forked opens a backend of its own.
    """

    def transact(self, change: Callable[[Connection], T], *, exclusive: bool = False) -> T:
        """What `change` does on a connection is committed together, or not at all after an exception.

        A backend where another was quicker runs `change` again on what that one left: it must do nothing besides.

        Args:
            exclusive: nobody else writes meanwhile; otherwise others may, but not the rows that this one locks.

        Raises:
            HomeError: the database cannot be reached or written.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees one moment of the database and holds no writer up.  Raises HomeError."""
        ...

    def forget_reads(self) -> None:
        """Have the next reader see the newest state, where readers may be shown one that was read some seconds ago."""
        ...

    def analyze(self, connection: Connection) -> None:
        """Have the database count what a plan has put in, by which it chooses how to find it."""
        ...

    def make_durable(self) -> None:
        """Return when what was committed outlives a power cut: before files that it let go of are deleted.

        Raises:
            HomeError: it may not; those files have to stay.
        """
        ...

    def now(self, connection: Connection) -> float:
        """Seconds since 1970 by the backend's clock: leases are judged by it, never by a worker's own."""
        ...

    def close(self) -> None:
        """Give up all connections, those of other threads too."""
        ...
