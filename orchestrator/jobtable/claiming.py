"""Handing out jobs: reap the leases that have expired, then lease the best ready job."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from orchestrator.errors import StoreError
from orchestrator.jobs import Artifact, JobState, Lease, Stage
from orchestrator.jobtable.schema import IS_READY, attempts, data, jobs, outputs
from orchestrator.jobtable.settling import held_checkpoints, reap


def claim(connection: Connection, worker: str, host: str, device: str, now: float) -> Lease | None:
    """Lease the ready job with the longest remaining path; None if no job is ready."""
    reap(connection, now)
    row = _best_ready(connection, worker, now)
    if row is None:
        return None
    token = secrets.token_hex(16)
    inputs = {name: _resolve(connection, row.name, ref) for name, ref in row.inputs.items()}
    held = held_checkpoints(connection, row.id)
    step = held[0].step if held else 0
    connection.execute(
        update(jobs)
        .where(jobs.c.id == row.id)
        .values(
            state=JobState.RUNNING,
            token=token,
            worker=worker,
            lease_expires=now + row.lease_seconds,
            attempts=row.attempts + 1,
            step=step,
            progress={"step": step},
        )
    )
    connection.execute(
        insert(attempts).values(
            job=row.id,
            number=row.attempts + 1,
            worker=worker,
            host=host,
            device=device,
            started=now,
            seen=now,
            from_step=step,
            to_step=step,
        )
    )
    return Lease(
        job=row.id,
        name=row.name,
        stage=Stage(row.stage),
        spec=row.spec,
        worker=worker,
        attempt=row.attempts + 1,
        token=token,
        seconds=row.lease_seconds,
        inputs=inputs,
        checkpoints=held,
    )


def _best_ready(connection: Connection, worker: str, now: float) -> Row[Any] | None:
    """The longest remaining path first; among equals one whose inputs this worker holds already."""
    ready = (
        select(jobs)
        .where(IS_READY, jobs.c.not_before <= now)
        .order_by(jobs.c.remaining_path.desc(), jobs.c.id)
        .limit(1)
    )
    best = connection.execute(ready).first()
    if best is None or best.affinity == worker:
        return best
    own = ready.where(jobs.c.affinity == worker, jobs.c.remaining_path == best.remaining_path)
    return connection.execute(own).first() or best


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
