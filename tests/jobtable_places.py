"""What proofs of the job table start from: fresh databases with a clock that the test sets, and plans made by hand.

A test module that imports `fixture_place_of` has the fixture `place_of`, once for every kind of place, and with
`fixture_place` one database of it.  The proofs
themselves stand in `tests/integration`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from sqlalchemy import Row, make_url, select

from orchestrator.drive import signin
from orchestrator.drive.client import DriveClient
from orchestrator.jobs import Artifact, Claimant, Finished, InputRef, Lease, PlannedJob, Stage
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Place
from orchestrator.jobtable.backends.drive_file import DriveFile
from orchestrator.jobtable.backends.postgresql import PostgresqlPlace
from orchestrator.jobtable.backends.snapshot import SnapshotPlace
from orchestrator.jobtable.backends.sqlite import SqlitePlace
from orchestrator.jobtable.schema import tables
from orchestrator.planner import Plan, make_plan
from orchestrator.study import Study
from tests.conditional_files import FileOnDisk
from tests.conftest import SMALL
from tests.drive import DriveServer
from tests.postgres_server import fresh_database


class SettablePlace(Place, Protocol):
    """A place whose clock the test moves."""

    clock: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Scale:
    """How much of a race a kind of place is asked for."""

    jobs: int
    lease_seconds: float
    orders: int
    """How many orders of events a state machine tries."""
    rounds: int
    """Rounds in which two want the same job."""
    beats: int
    """Heartbeats of a lease, of which every other one meets nobody."""
    skew_seconds: float = 0.0
    """By how much two processes may read the place's clock differently."""


AT_ONCE = Scale(jobs=2_000, lease_seconds=1.0, orders=30, rounds=50, beats=1_000)
IN_TURN = Scale(jobs=80, lease_seconds=3.0, orders=8, rounds=12, beats=150)
"""Where every change swaps the whole table, and those who meet pause for up to seconds."""
ON_DRIVE = dataclasses.replace(IN_TURN, skew_seconds=1.0)
"""Its clock is told in whole seconds."""


class PlaceOf(Protocol):
    """Opens databases by name, new ones empty.  Can be pickled, so that other processes open the same database."""

    @property
    def scale(self) -> Scale: ...

    def __call__(self, database: str) -> SettablePlace: ...

    def in_real_time(self, database: str) -> Place:
        """With the clock that the place has outside tests."""
        ...


class _Settable:
    """Before a place among a class's bases: the clock of that place becomes the test's."""

    clock = 1_000_000.0

    def now(self, connection: object) -> float:  # noqa: ARG002
        return self.clock


class SettableSqlitePlace(_Settable, SqlitePlace):
    pass


class SettablePostgresqlPlace(_Settable, PostgresqlPlace):
    pass


@dataclass(frozen=True)
class SqlitePlaceOf:
    """A file for each database."""

    directory: Path
    scale: Scale = AT_ONCE

    def __call__(self, database: str) -> SettableSqlitePlace:
        return SettableSqlitePlace(self.directory / f"{database}.db")

    def in_real_time(self, database: str) -> SqlitePlace:
        return SqlitePlace(self.directory / f"{database}.db")


@dataclass(frozen=True)
class PostgresqlPlaceOf:
    """A schema for each, in one database: PostgreSQL makes it a hundred times quicker than a database."""

    url: str
    scale: Scale = AT_ONCE

    def __call__(self, database: str) -> SettablePostgresqlPlace:
        return SettablePostgresqlPlace(self.schema(database))

    def in_real_time(self, database: str) -> PostgresqlPlace:
        return PostgresqlPlace(self.schema(database))

    def schema(self, name: str) -> str:
        """The URL of a schema, made if it is not there yet."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        own = make_url(self.url).update_query_dict({"options": f"-csearch_path={name}"})
        return own.render_as_string(hide_password=False)


@contextmanager
def _sqlite(request: pytest.FixtureRequest) -> Iterator[PlaceOf]:
    yield SqlitePlaceOf(request.getfixturevalue("tmp_path"))


@contextmanager
def _postgresql(request: pytest.FixtureRequest) -> Iterator[PlaceOf]:
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield PostgresqlPlaceOf(url)


class SettableSnapshotPlace(_Settable, SnapshotPlace):
    pass


@dataclass(frozen=True)
class SnapshotPlaceOf:
    """A snapshot for each, in a file of this machine."""

    directory: Path
    scale: Scale = IN_TURN

    def __call__(self, database: str) -> SettableSnapshotPlace:
        return SettableSnapshotPlace(FileOnDisk(self.directory / database))

    def in_real_time(self, database: str) -> SnapshotPlace:
        return SnapshotPlace(FileOnDisk(self.directory / database))


@contextmanager
def _snapshot(request: pytest.FixtureRequest) -> Iterator[PlaceOf]:
    yield SnapshotPlaceOf(request.getfixturevalue("tmp_path"))


@dataclass(frozen=True)
class DrivePlaceOf:
    """A snapshot for each, in a file on the Drive server of the tests."""

    url: str
    token_file: Path
    ids: Path
    """A directory with a file for each database: its id on Drive."""
    scale: Scale = ON_DRIVE

    def __call__(self, database: str) -> SettableSnapshotPlace:
        return SettableSnapshotPlace(self._file(database))

    def in_real_time(self, database: str) -> SnapshotPlace:
        return SnapshotPlace(self._file(database))

    def _file(self, database: str) -> DriveFile:
        client = DriveClient(signin.of_token_file(self.token_file), self.url)
        note = self.ids / f"{database}.id"
        if not note.exists():
            file = client.new_id()
            client.create(file, database, "root", b"", {})
            note.write_text(file)
        return DriveFile(client, note.read_text(), database)


@contextmanager
def _drive(request: pytest.FixtureRequest) -> Iterator[PlaceOf]:
    directory: Path = request.getfixturevalue("tmp_path")
    with DriveServer() as drive:
        account = drive.account("ann@example.org")
        yield DrivePlaceOf(drive.url, account.token_file(directory / "token"), directory)


PLACES: Mapping[str, Callable[[pytest.FixtureRequest], AbstractContextManager[PlaceOf]]] = {
    "sqlite": _sqlite,
    "snapshot": _snapshot,
    "postgresql": _postgresql,
    "drive": _drive,
}
"""Every kind of place: a new one joins all proofs by one entry here."""


@pytest.fixture(name="place_of", params=PLACES)
def fixture_place_of(request: pytest.FixtureRequest) -> Iterator[PlaceOf]:
    with PLACES[request.param](request) as place_of:
        yield place_of


@pytest.fixture(name="place")
def fixture_place(place_of: PlaceOf) -> Iterator[SettablePlace]:
    with closing(place_of("jobs")) as place:
        yield place


def planned_job(name: str, stage: Stage = Stage.BENCHMARK, parents: Iterable[PlannedJob] = ()) -> PlannedJob:
    """A job as the planner makes them: a training goes on from its parent's `state`, others read what lasts."""
    read = {parent.id: InputRef(_read_of(parent, stage), parent.id) for parent in parents}
    named = {"state" if stage is Stage.TRAIN else f"from-{job[:6]}": ref for job, ref in read.items()}
    return PlannedJob(
        id=digest(name),
        name=name,
        stage=stage,
        model="m",
        steps=40 if stage is Stage.TRAIN else 0,
        spec={"model": "m", "seed": 0, "method": "float32", "threads": 1},
        inputs=named,
        parents=tuple(read),
        remaining_path=1,
    )


def _read_of(parent: PlannedJob, stage: Stage) -> str:
    return "state" if stage is Stage.TRAIN else output_names(parent.stage)[-1]


def output_names(stage: Stage) -> tuple[str, ...]:
    """What a job of a stage has to hand in for `planned_job`'s inputs."""
    return ("state", "log") if stage is Stage.TRAIN else ("model",)


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def artifact(name: str) -> Artifact:
    return Artifact(digest(name), len(name), name)


def complete(
    table: JobTable, lease: Lease, outputs: Mapping[str, Artifact], metrics: Mapping[str, Any]
) -> tuple[Artifact, ...]:
    """The lease's job alone, with nothing claimed after it; returns what `JobTable.complete` says is superseded."""
    finished = [Finished(lease.job, outputs, metrics)]
    return table.complete(lease, finished, Claimant(lease.worker, "host", "CPU")).superseded


def plan_of(jobs: Iterable[PlannedJob], *, seconds: float = 5.0, tries: int = 2) -> Plan:
    """A plan of these jobs (parents first) under leases of so many seconds."""
    planned = tuple(jobs)
    small = _small_plan()
    leases = small.study.leases.model_copy(update={"seconds": seconds, "tries": tries})
    paths = _remaining_paths(planned)
    return dataclasses.replace(
        small,
        study=small.study.model_copy(update={"leases": leases}),
        jobs=tuple(dataclasses.replace(job, remaining_path=paths[job.id]) for job in planned),
    )


@functools.cache
def _small_plan() -> Plan:
    return make_plan(Study.parse(SMALL))


def _remaining_paths(jobs: tuple[PlannedJob, ...]) -> dict[str, int]:
    paths = {job.id: 1 for job in jobs}
    for job in reversed(jobs):
        for parent in job.parents:
            paths[parent] = max(paths[parent], paths[job.id] + 1)
    return paths


Contents = Mapping[str, tuple[Row[Any], ...]]
"""All rows of all tables, by table."""


def contents(place: Place) -> Contents:
    """One moment of the database: two that are equal say that nothing changed between them."""
    with place.reading() as connection:
        return {
            table.name: tuple(connection.execute(select(table).order_by(*table.primary_key)).all())
            for table in tables.metadata.sorted_tables
        }
