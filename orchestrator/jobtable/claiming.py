"""Handing out jobs: reap the leases that have expired, then lease the best ready job."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from orchestrator.errors import StoreError
from orchestrator.jobs import Artifact, JobState, Lease, Stage
from orchestrator.jobtable.prepared import Prepared
from orchestrator.jobtable.schema import IS_READY, attempts, data, jobs, outputs
from orchestrator.jobtable.settling import held_checkpoints, reap

_READY = (
    select(
        jobs.c.id,
        jobs.c.name,
        jobs.c.stage,
        jobs.c.spec,
        jobs.c.inputs,
        jobs.c.lease_seconds,
        jobs.c.attempts,
        jobs.c.remaining_path,
        jobs.c.affinity,
    )
    .where(IS_READY, jobs.c.not_before <= bindparam("now"))
    .order_by(jobs.c.remaining_path.desc(), jobs.c.id)
    .limit(1)
    # Where several claim at once (SQLite does not let them) each takes another job, and nobody waits.
    .with_for_update(skip_locked=True)
)
BEST_READY = Prepared(_READY)
OWN_READY = Prepared(_READY.where(jobs.c.affinity == bindparam("worker"), jobs.c.remaining_path == bindparam("path")))
_LEASE = Prepared(
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        state=JobState.RUNNING.value,
        token=bindparam("new_token"),
        worker=bindparam("new_worker"),
        lease_expires=bindparam("expires"),
        attempts=bindparam("number"),
        step=bindparam("at"),
        progress=bindparam("said"),
    )
)
_OPEN_ATTEMPT = Prepared(
    insert(attempts).values(
        job=bindparam("job"),
        number=bindparam("number"),
        worker=bindparam("worker"),
        host=bindparam("host"),
        device=bindparam("device"),
        started=bindparam("now"),
        seen=bindparam("now"),
        from_step=bindparam("at"),
        to_step=bindparam("at"),
    )
)


def claim(connection: Connection, worker: str, host: str, device: str, now: float) -> Lease | None:
    """Lease the ready job with the longest remaining path; None if no job is ready."""
    reap(connection, now)
    row = _best_ready(connection, worker, now)
    if row is None:
        return None
    token = secrets.token_hex(16)
    number = row.attempts + 1
    inputs = {name: _resolve(connection, row.name, ref) for name, ref in json.loads(row.inputs).items()}
    held = held_checkpoints(connection, row.id) if row.attempts else ()
    step = held[0].step if held else 0
    _LEASE.run(
        connection,
        job=row.id,
        new_token=token,
        new_worker=worker,
        expires=now + row.lease_seconds,
        number=number,
        at=step,
        said=json.dumps({"step": step}),
    )
    _OPEN_ATTEMPT.run(connection, job=row.id, number=number, worker=worker, host=host, device=device, now=now, at=step)
    return Lease(
        job=row.id,
        name=row.name,
        stage=Stage(row.stage),
        spec=json.loads(row.spec),
        worker=worker,
        attempt=number,
        token=token,
        seconds=row.lease_seconds,
        inputs=inputs,
        checkpoints=held,
    )


def _best_ready(connection: Connection, worker: str, now: float) -> Any | None:
    """The longest remaining path first; among equals one whose inputs this worker holds already."""
    best = BEST_READY.first(connection, now=now)
    if best is None or best.affinity == worker:
        return best
    return OWN_READY.first(connection, now=now, worker=worker, path=best.remaining_path) or best


def _resolve(connection: Connection, job_name: str, ref: Mapping[str, str | None]) -> Artifact:
    """The artifact that an input refers to.  Raises StoreError if nothing was published under its name."""
    if ref["job"] is None:
        source = select(data).where(data.c.name == ref["name"])
    else:
        source = select(outputs).where(outputs.c.job == ref["job"], outputs.c.name == ref["name"])
    row = connection.execute(source).first()
    if row is None:
        raise StoreError(f"{job_name} needs {ref['name']!r}, which is not in the home; run `orch plan` again.")
    return Artifact(row.sha256, row.size, row.location)
