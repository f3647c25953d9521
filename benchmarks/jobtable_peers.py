"""What other job queues do with the same work: claim and complete no-op jobs, in one process or several.

Each peer is one small class over the interface that its own documentation names, by the shortest way from claim to
completion that it offers; `jobtable_race` drives them. What does not live here: rounds, Orch's own table, the print.

Durability is part of every row. SQLite in WAL mode: `FULL` syncs at each commit; `NORMAL` survives any death of a
process and may lose the last commits to a power cut; `OFF` may lose the whole file to one. PostgreSQL runs as it
comes: synced at commit.

A peer's package is imported where it is used: a missing one costs its own row, not the benchmark.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobtable_race import Race
from sqlalchemy import make_url

if TYPE_CHECKING:
    from huey.storage import SqliteStorage
    from optuna import Study
    from procrastinate import PsycopgConnector

LEASE_SECONDS = 60.0


# --- SQLite ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LeaseTable:
    """The least that a lease needs: one table in plain `sqlite3`, a token per claim, no attempts and no graph."""

    path: Path
    synchronous: str = "NORMAL"

    @property
    def name(self) -> str:
        return "bare lease table"

    @property
    def durability(self) -> str:
        return self.synchronous

    def prepare(self, jobs: int) -> None:
        _remove(self.path)
        with closing(self._connect()) as connection:
            connection.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT, token BLOB, expires REAL) STRICT")
            connection.execute("CREATE INDEX ready ON job (id) WHERE state = 'ready'")
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO job VALUES (?, 'ready', NULL, NULL)", ((i,) for i in range(jobs)))
            connection.execute("COMMIT")

    def claim_all(self, race: Race) -> list[int]:
        claimed: list[int] = []
        with closing(self._connect()) as connection, race:
            while (lease := self._claim(connection)) is not None:
                job, token = lease
                self._complete(connection, job, token)
                claimed.append(job)
        return claimed

    def _claim(self, connection: sqlite3.Connection) -> tuple[int, bytes] | None:
        token = os.urandom(16)
        rows = connection.execute(
            "UPDATE job SET state = 'running', token = ?, expires = ? WHERE id ="
            " (SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT 1) RETURNING id",
            (token, time.time() + LEASE_SECONDS),
        ).fetchall()
        return (rows[0][0], token) if rows else None

    def _complete(self, connection: sqlite3.Connection, job: int, token: bytes) -> None:
        done = connection.execute(
            "UPDATE job SET state = 'done', token = NULL WHERE id = ? AND token = ?", (job, token)
        ).rowcount
        assert done == 1, f"job {job} was taken away from its holder"

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        return connection


@dataclass(frozen=True)
class Huey:
    """huey's `SqliteStorage`: a claim deletes the job, so there is nothing to complete, and a death loses the job."""

    path: Path
    synchronous: str = "FULL"
    """`FULL` is what huey runs with; `OFF` is its `fsync=False`; `NORMAL` it does not offer: set here beside it."""

    @property
    def name(self) -> str:
        return "huey (deletes at claim)"

    @property
    def durability(self) -> str:
        return self.synchronous

    def prepare(self, jobs: int) -> None:
        _remove(self.path)
        with closing(self._storage("OFF")) as storage:
            for i in range(jobs):
                storage.enqueue(str(i).encode())

    def claim_all(self, race: Race) -> list[int]:
        with closing(self._storage(self.synchronous)) as storage, race:
            return [int(payload) for payload in iter(storage.dequeue, None)]

    def _storage(self, synchronous: str) -> SqliteStorage:
        from huey.storage import SqliteStorage

        storage = SqliteStorage(filename=str(self.path), timeout=60)
        storage.conn.execute(f"PRAGMA synchronous = {synchronous}")
        return storage


@dataclass(frozen=True)
class Litequeue:
    """litequeue: `pop` and `done`; no lease, so what a dead process held stays locked until somebody looks.

    Each `pop` sorts all waiting messages: the rate falls with the length of the queue.
    """

    path: Path
    name: str = "litequeue (no lease)"
    durability: str = "NORMAL"

    def prepare(self, jobs: int) -> None:
        from litequeue import LiteQueue

        _remove(self.path)
        with closing(LiteQueue(self.path)) as queue, queue.transaction():
            for i in range(jobs):
                queue.put(str(i))

    def claim_all(self, race: Race) -> list[int]:
        from litequeue import LiteQueue

        claimed: list[int] = []
        with closing(LiteQueue(self.path, timeout=60)) as queue, race:
            while (message := queue.pop()) is not None:
                queue.done(message.message_id)
                claimed.append(int(message.data))
        return claimed


@dataclass(frozen=True)
class PersistQueue:
    """persist-queue's `SQLiteAckQueue`: `get` and `ack`. It locks between threads only, never between processes."""

    path: Path
    name: str = "persist-queue"
    durability: str = "FULL"

    def prepare(self, jobs: int) -> None:
        from persistqueue import SQLiteAckQueue

        _remove(self.path)
        with closing(SQLiteAckQueue(str(self.path.parent), db_file_name=self.path.name)) as queue:
            for i in range(jobs):
                queue.put(i)

    def claim_all(self, race: Race) -> list[int]:
        from persistqueue import Empty, SQLiteAckQueue

        claimed: list[int] = []
        # `auto_resume` would hand out again what the others hold at this moment.
        queue = SQLiteAckQueue(str(self.path.parent), db_file_name=self.path.name, auto_resume=False, timeout=60)
        with closing(queue), race:
            while True:
                try:
                    got = queue.get(block=False, raw=True)
                except Empty:
                    return claimed
                queue.ack(id=got["pqid"])
                claimed.append(got["data"])


# --- Optuna, on either ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Optuna:
    """Optuna's `RDBStorage`: waiting trials, `ask`, `tell`. Each `ask` reads all waiting trials: keep `jobs` small."""

    place: Path | str
    """A SQLite file, or the URL of a PostgreSQL server on which a database is made anew."""

    @property
    def name(self) -> str:
        return "Optuna"

    @property
    def durability(self) -> str:
        return "FULL, no WAL" if isinstance(self.place, Path) else "default"

    def prepare(self, jobs: int) -> None:
        import optuna

        if isinstance(self.place, Path):
            _remove(self.place)
        else:
            _make_database(self.place, "peer_optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(study_name="jobs", storage=self._storage())
        for i in range(jobs):
            study.enqueue_trial({"job": i})

    def claim_all(self, race: Race) -> list[int]:
        import optuna

        claimed: list[int] = []
        study = self._study()
        jobs = len(study.get_trials(deepcopy=False))
        with race:
            # When no trial waits, `ask` makes a new one: that is how it says that the queue is empty.
            while (trial := study.ask()).number < jobs:
                # Another process may have been handed the same trial and finished it: counted, not an error.
                with suppress(optuna.exceptions.UpdateFinishedTrialError):
                    study.tell(trial, 0.0, skip_if_finished=True)
                claimed.append(trial.number)
        return claimed

    def _study(self) -> Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.RandomSampler()
        return optuna.load_study(study_name="jobs", storage=self._storage(), sampler=sampler)

    def _storage(self) -> str:
        if isinstance(self.place, Path):
            return f"sqlite:///{self.place}"
        return _database(self.place, "peer_optuna").replace("postgresql:", "postgresql+psycopg:", 1)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PgQueuer:
    """pgqueuer over asyncpg, its own choice: `dequeue` and `log_jobs`, `batch` jobs at a time."""

    server: str
    batch: int = 1
    durability: str = "default"

    @property
    def name(self) -> str:
        return "pgqueuer" if self.batch == 1 else f"pgqueuer, batches of {self.batch}"

    def prepare(self, jobs: int) -> None:
        _make_database(self.server, "peer_pgqueuer")
        asyncio.run(self._publish(jobs))

    def claim_all(self, race: Race) -> list[int]:
        return asyncio.run(self._claim_all(race))

    async def _publish(self, jobs: int) -> None:
        import asyncpg
        from pgqueuer.queries import Queries

        connection = await asyncpg.connect(_database(self.server, "peer_pgqueuer"))
        queries = Queries.from_asyncpg_connection(connection)
        await queries.install()
        await queries.enqueue(["no-op"] * jobs, [str(i).encode() for i in range(jobs)], [0] * jobs)
        await connection.execute("ANALYZE")
        await connection.close()

    async def _claim_all(self, race: Race) -> list[int]:
        import asyncpg
        from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
        from pgqueuer.ports.repository import EntrypointExecutionParameter
        from pgqueuer.queries import Queries

        claimed: list[int] = []
        connection = await asyncpg.connect(_database(self.server, "peer_pgqueuer"))
        queries = Queries.from_asyncpg_connection(connection)
        worker = QueueManagerId(uuid.uuid4())
        entrypoints = {QueueEntrypoint("no-op"): EntrypointExecutionParameter(concurrency_limit=0)}
        with race:
            while got := await queries.dequeue(
                self.batch, entrypoints, worker, None, heartbeat_timeout=timedelta(seconds=LEASE_SECONDS)
            ):
                await queries.log_jobs([(job, "successful", None) for job in got])
                claimed.extend(int(job.payload or b"-1") for job in got)
        await connection.close()
        return claimed


@dataclass(frozen=True)
class Procrastinate:
    """procrastinate: `fetch_job` and `finish_job` of its job manager, which keep every job and its events."""

    server: str
    name: str = "procrastinate"
    durability: str = "default"

    def prepare(self, jobs: int) -> None:
        _make_database(self.server, "peer_procrastinate")
        asyncio.run(self._publish(jobs))

    def claim_all(self, race: Race) -> list[int]:
        return asyncio.run(self._claim_all(race))

    async def _publish(self, jobs: int) -> None:
        from procrastinate.jobs import Job
        from procrastinate.manager import JobManager
        from procrastinate.schema import SchemaManager

        connector = self._connector()
        await connector.open_async()
        await SchemaManager(connector).apply_schema_async()
        await JobManager(connector).batch_defer_jobs_async(
            [
                Job(id=None, queue="jobs", lock=None, queueing_lock=None, task_name="no-op", task_kwargs={"job": i})
                for i in range(jobs)
            ]
        )
        await connector.execute_query_async("ANALYZE")
        await connector.close_async()

    async def _claim_all(self, race: Race) -> list[int]:
        from procrastinate.jobs import Status
        from procrastinate.manager import JobManager

        claimed: list[int] = []
        connector = self._connector()
        await connector.open_async()
        manager = JobManager(connector)
        worker = await manager.register_worker()
        with race:
            while (job := await manager.fetch_job(queues=None, worker_id=worker)) is not None:
                await manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
                assert job.id is not None, "a fetched job has its row's id"
                claimed.append(job.id)
        await connector.close_async()
        return claimed

    def _connector(self) -> PsycopgConnector:
        from procrastinate import PsycopgConnector

        return PsycopgConnector(conninfo=_database(self.server, "peer_procrastinate"), min_size=1, max_size=1)


# --- Fresh places -----------------------------------------------------------------------------------------------------


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _make_database(server: str, name: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")


def _database(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
