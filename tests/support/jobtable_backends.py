"""What proofs of the job table start from: fresh databases with a clock that the test sets, and plans made by hand.

The fixture `backend_of` comes once for every engine, unless a test asks for other kinds of backend, and `backend` is
one database of it.  The proofs themselves stand in `tests/integration`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from sqlalchemy import Row, make_url, select

from orchestrator.google_drive import signin
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.table_file import DriveFile
from orchestrator.jobs import Artifact, Finished, InputRef, Lease, PlannedJob, Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.snapshot import SnapshotBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.jobtable.schema import tables
from orchestrator.object_stores import places
from orchestrator.object_stores.client import ObjectClient
from orchestrator.object_stores.table_file import ObjectFile
from orchestrator.planning.planner import Plan, make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.conditional_files import FileOnDisk
from tests.support.drive import DriveServer
from tests.support.object_store import Dialect, ObjectServer
from tests.support.object_store.signed_in import environment_of, url_in
from tests.support.postgres_server import fresh_database
from tests.support.repetitions import repetitions


class SettableBackend(Backend, Protocol):
    """A backend whose clock the test moves."""

    clock: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Scale:
    """How much of a race a kind of backend is asked for."""

    jobs: int
    lease_seconds: float
    orders: int
    """How many orders of events a state machine tries."""
    rounds: int
    """Rounds in which two want the same job."""
    skew_seconds: float = 0.0
    """By how much two processes may read the backend's clock differently."""


AT_ONCE = Scale(jobs=400, lease_seconds=1.0, orders=30, rounds=16)
ON_A_SERVER = dataclasses.replace(AT_ONCE, orders=15)
IN_TURN = Scale(jobs=30, lease_seconds=3.0, orders=10, rounds=6)
"""Where every change swaps the whole table, and those who meet pause for up to seconds."""
ON_DRIVE = dataclasses.replace(IN_TURN, skew_seconds=1.0)
"""Its clock is told in whole seconds."""


class BackendOf(Protocol):
    """Opens databases by name, new ones empty.  Can be pickled, so that other processes open the same database."""

    @property
    def scale(self) -> Scale: ...

    def __call__(self, database: str) -> SettableBackend: ...

    def in_real_time(self, database: str) -> Backend:
        """With the clock that the backend has outside tests."""
        ...


class _Settable:
    """Before a backend among a class's bases: the clock of that backend becomes the test's."""

    clock = 1_000_000.0

    def now(self, connection: object) -> float:  # noqa: ARG002
        return self.clock


class SettableSqliteBackend(_Settable, SqliteBackend):
    pass


class SettablePostgresqlBackend(_Settable, PostgresqlBackend):
    pass


@dataclass(frozen=True)
class SqliteBackendOf:
    """A file for each database."""

    directory: Path
    scale: Scale = AT_ONCE

    def __call__(self, database: str) -> SettableSqliteBackend:
        return SettableSqliteBackend(self.directory / f"{database}.db")

    def in_real_time(self, database: str) -> SqliteBackend:
        return SqliteBackend(self.directory / f"{database}.db")


@dataclass(frozen=True)
class PostgresqlBackendOf:
    """A schema for each, in one database: PostgreSQL makes it a hundred times quicker than a database.

    Args:
        prefix: of the schemas' names, for tests that share a database.
    """

    url: str
    scale: Scale = ON_A_SERVER
    prefix: str = ""

    def __call__(self, database: str) -> SettablePostgresqlBackend:
        return SettablePostgresqlBackend(self.schema(database))

    def in_real_time(self, database: str) -> PostgresqlBackend:
        return PostgresqlBackend(self.schema(database))

    def schema(self, name: str) -> str:
        """The URL of a schema, made if it is not there yet."""
        schema = self.prefix + name
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        own = make_url(self.url).update_query_dict({"options": f"-csearch_path={schema}"})
        return own.render_as_string(hide_password=False)


@contextmanager
def _sqlite(request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    yield SqliteBackendOf(request.getfixturevalue("tmp_path"))


@pytest.fixture(name="shared_database", scope="session")
def fixture_shared_database(postgres: str) -> Iterator[str]:
    """The URL of a database in which every test has schemas of its own."""
    with fresh_database(postgres) as url:
        yield url


@contextmanager
def _postgresql(request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    yield PostgresqlBackendOf(request.getfixturevalue("shared_database"), prefix=f"test_{uuid.uuid4().hex}_")


class SettableSnapshotBackend(_Settable, SnapshotBackend):
    pass


@dataclass(frozen=True)
class SnapshotBackendOf:
    """A snapshot for each, in a file of this machine."""

    directory: Path
    scale: Scale = IN_TURN

    def __call__(self, database: str) -> SettableSnapshotBackend:
        return SettableSnapshotBackend(FileOnDisk(self.directory / database))

    def in_real_time(self, database: str) -> SnapshotBackend:
        return SnapshotBackend(FileOnDisk(self.directory / database))


@contextmanager
def _snapshot(request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    yield SnapshotBackendOf(request.getfixturevalue("tmp_path"))


@dataclass(frozen=True)
class DriveBackendOf:
    """A snapshot for each, in a file on the Drive server of the tests."""

    url: str
    token_file: Path
    ids: Path
    """A directory with a file for each database: its id on Drive."""
    scale: Scale = ON_DRIVE

    def __call__(self, database: str) -> SettableSnapshotBackend:
        return SettableSnapshotBackend(self._file(database))

    def in_real_time(self, database: str) -> SnapshotBackend:
        return SnapshotBackend(self._file(database))

    def _file(self, database: str) -> DriveFile:
        client = DriveClient(signin.of_token_file(self.token_file), self.url)
        note = self.ids / f"{database}.id"
        if not note.exists():
            file = client.new_id()
            client.create(file, database, "root", b"", {})
            note.write_text(file)
        return DriveFile(client, note.read_text(), database)


@contextmanager
def _drive(request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    directory: Path = request.getfixturevalue("tmp_path")
    with DriveServer() as drive:
        account = drive.account("ann@example.org")
        yield DriveBackendOf(drive.url, account.token_file(directory / "token"), directory)


@dataclass(frozen=True)
class ObjectsBackendOf:
    """A snapshot for each, in an object of the object server of the tests."""

    environment: Mapping[str, str]
    url: str
    scale: Scale = ON_DRIVE

    def __call__(self, database: str) -> SettableSnapshotBackend:
        return SettableSnapshotBackend(self._file(database))

    def in_real_time(self, database: str) -> SnapshotBackend:
        return SnapshotBackend(self._file(database))

    def _file(self, database: str) -> ObjectFile:
        os.environ.update(self.environment)  # of a process that a test has started
        client = ObjectClient(places.parsed(self.url))
        client.create(database, b"")
        return ObjectFile(client, database, database)


@contextmanager
def _objects(dialect: Dialect, request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    with ObjectServer(dialect) as store:
        for name, value in environment_of(store).items():
            patch.setenv(name, value)
        yield ObjectsBackendOf(environment_of(store), url_in(store))


BACKENDS: Mapping[str, Callable[[pytest.FixtureRequest], AbstractContextManager[BackendOf]]] = {
    "sqlite": _sqlite,
    "snapshot": _snapshot,
    "postgresql": _postgresql,
    "drive": _drive,
    "s3": partial(_objects, Dialect.S3),
    "gcs": partial(_objects, Dialect.GCS),
}
"""Every kind of backend: a new one joins the contract and the proofs of `on_every_kind` by one entry here."""

ENGINES = ("sqlite", "postgresql", "snapshot")
"""What executes the statements: a transaction cannot tell where the file of a snapshot lies."""
ON_EVERY_ENGINE = pytest.mark.parametrize("backend_of", ENGINES, indirect=True)


def on_every_kind(*, often: Collection[str]) -> pytest.MarkDecorator:
    """For what depends on where a table lies; on the kinds that are not made often a test is slow."""
    return pytest.mark.parametrize("backend_of", repetitions(BACKENDS, often=often), indirect=True)


@pytest.fixture(name="backend_of", params=repetitions(ENGINES, often=["sqlite", "postgresql"]))
def fixture_backend_of(request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    with BACKENDS[request.param](request) as backend_of:
        yield backend_of


@pytest.fixture(name="backend")
def fixture_backend(backend_of: BackendOf) -> Iterator[SettableBackend]:
    with closing(backend_of("jobs")) as backend:
        yield backend


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
        critical_path=1,
    )


def _read_of(parent: PlannedJob, stage: Stage) -> str:
    return "state" if stage is Stage.TRAIN else output_names(parent.stage)[-1]


def output_names(stage: Stage) -> tuple[str, ...]:
    """What a job of a stage has to make for `planned_job`'s inputs."""
    return ("state", "log") if stage is Stage.TRAIN else ("model",)


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def artifact(name: str) -> Artifact:
    return Artifact(digest(name), len(name), name)


def complete(
    table: JobTable, lease: Lease, outputs: Mapping[str, Artifact], metrics: Mapping[str, Any]
) -> tuple[Artifact, ...]:
    """The lease's job alone, with nothing claimed after it; returns what `JobTable.complete` says is obsolete."""
    finished = [Finished(lease.job, outputs, metrics)]
    return table.complete(lease, finished, WorkerInfo(lease.worker, "host", "CPU")).obsolete


def plan_of(jobs: Iterable[PlannedJob], *, seconds: float = 5.0, tries: int = 2, devices: str = "one") -> Plan:
    """A plan of these jobs (parents first) under leases of so many seconds.

    Args:
        devices: on which benchmarks are measured, as a study says it.
    """
    planned = tuple(jobs)
    small = _small_plan()
    leases = small.study.leases.model_copy(update={"seconds": seconds, "tries": tries})
    benchmark = small.study.benchmark.model_copy(update={"devices": devices})
    paths = _critical_paths(planned)
    return dataclasses.replace(
        small,
        study=small.study.model_copy(update={"leases": leases, "benchmark": benchmark}),
        jobs=tuple(dataclasses.replace(job, critical_path=paths[job.id]) for job in planned),
    )


@functools.cache
def _small_plan() -> Plan:
    return make_plan(Study.parse(SMALL))


def _critical_paths(jobs: tuple[PlannedJob, ...]) -> dict[str, int]:
    paths = {job.id: 1 for job in jobs}
    for job in reversed(jobs):
        for parent in job.parents:
            paths[parent] = max(paths[parent], paths[job.id] + 1)
    return paths


Contents = Mapping[str, tuple[Row[Any], ...]]
"""All rows of all tables, by table."""


def contents(backend: Backend) -> Contents:
    """One moment of the database: two that are equal say that nothing changed between them."""
    with backend.reading() as connection:
        return {
            table.name: tuple(connection.execute(select(table).order_by(*table.primary_key)).all())
            for table in tables.metadata.sorted_tables
        }
