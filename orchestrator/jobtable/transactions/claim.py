"""Handing out jobs: reap the leases that have expired, then lease the best ready job, or a late one once more."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Double,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    func,
    insert,
    or_,
    select,
    update,
)

from orchestrator import untrusted
from orchestrator.errors import StoreError
from orchestrator.jobs import Artifact, Device, InputRef, JobState, Lease, WorkerInfo
from orchestrator.jobtable.backends.statement import BoundStatement, Statement, execute
from orchestrator.jobtable.schema.rows import as_artifact, as_stage, inputs_of, job_name, spec_of
from orchestrator.jobtable.schema.tables import IS_READY, IS_RUNNING, attempts, data, edges, jobs, outputs
from orchestrator.jobtable.transactions import speculation
from orchestrator.jobtable.transactions.leases import (
    CLOCK_SKEW_SECONDS,
    EXPIRED,
    LONGEST_BACK_OFF_SECONDS,
    LONGEST_LEASE,
    expire,
    held_checkpoints,
    shorten_leases,
)

_READY_COLUMNS = select(
    jobs.c.id,
    jobs.c.name,
    jobs.c.stage,
    jobs.c.spec,
    jobs.c.inputs,
    jobs.c.lease_seconds,
    jobs.c.attempts,
    jobs.c.needs,
    jobs.c.remaining_path,
    jobs.c.affinity,
)
_NOW: ColumnElement[float] = bindparam("now", type_=Double)
# Much further ahead than any back-off: the clock was wrong when the job failed, and has been set back since.
_HAS_WAITED = or_(jobs.c.not_before <= _NOW, jobs.c.not_before > _NOW + 2 * LONGEST_BACK_OFF_SECONDS)
_READY = (
    _READY_COLUMNS.where(IS_READY, jobs.c.needs == bindparam("capability"), _HAS_WAITED)
    .order_by(jobs.c.remaining_path.desc(), jobs.c.id)
    .limit(bindparam("most"))
    # Where several claim at once (SQLite does not let them) each takes another job, and nobody waits.
    .with_for_update(skip_locked=True)
)
BEST_READY = Statement(_READY)
THIS_READY = Statement(
    _READY_COLUMNS.where(IS_READY, jobs.c.id == bindparam("job"), _HAS_WAITED).with_for_update(skip_locked=True)
)
_THIS_LATE = Statement(
    _READY_COLUMNS.where(
        IS_RUNNING,
        jobs.c.id == bindparam("job"),
        jobs.c.token == bindparam("held"),
        jobs.c.twin_token.is_(None),
    )
    # Whoever has it is just now writing.  To wait for that, having completed another job, could be to wait in a circle.
    .with_for_update(skip_locked=True)
)
OWN_READY = Statement(_READY.where(jobs.c.affinity == bindparam("worker")))
LEASE = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        state=JobState.RUNNING.value,
        token=bindparam("new_token"),
        worker=bindparam("new_worker"),
        lease_expires=jobs.c.lease_seconds + _NOW,
        attempts=bindparam("count"),
        step=bindparam("at"),
        progress=bindparam("said"),
    )
)
_LEASE_LATE = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        twin_token=bindparam("new_token"),
        twin_worker=bindparam("new_worker"),
        twin_expires=jobs.c.lease_seconds + _NOW,
        attempts=bindparam("count"),
    )
)
_BEFORE = attempts.alias("before")
# Of one type wherever it stands: PostgreSQL takes one that is both compared and selected for ambiguous.
_OF = cast(bindparam("of"), Text)
_OWN_END = select(func.max(_BEFORE.c.ended)).where(_BEFORE.c.job == _OF).scalar_subquery()
_END_OF_PARENTS = (
    select(func.max(_BEFORE.c.ended))
    .select_from(edges.join(_BEFORE, _BEFORE.c.job == edges.c.parent))
    .where(edges.c.child == _OF)
    .scalar_subquery()
)
# Now, or when the last of what this claim came after has ended.  The clock was read as the transaction began, and one
# that began earlier may claim what another has made ready since: the history would say that a job was held before it
# could be.
_NOT_BEFORE_IT_COULD = case((_OWN_END > _NOW, _OWN_END), (_END_OF_PARENTS > _NOW, _END_OF_PARENTS), else_=_NOW)
OPEN_ATTEMPT = Statement(
    insert(attempts).from_select(
        ["job", "number", "from_step", "to_step", "worker", "host", "device", "started", "seen", "twin"],
        select(
            _OF,
            bindparam("which", type_=Integer),
            bindparam("at", type_=Integer),
            bindparam("at", type_=Integer),
            bindparam("by", type_=Text),
            bindparam("on_host", type_=Text),
            bindparam("on_device", type_=Text),
            _NOT_BEFORE_IT_COULD,
            _NOT_BEFORE_IT_COULD,
            bindparam("speculative", type_=Boolean),
        ),
    )
)
_DATA = Statement(select(data.c.sha256, data.c.size, data.c.location).where(data.c.name == bindparam("called")))
_OUTPUT_OF = Statement(
    select(outputs.c.sha256, outputs.c.size, outputs.c.location).where(
        outputs.c.job == bindparam("of"), outputs.c.name == bindparam("called")
    )
)


def claim(connection: Connection, worker: WorkerInfo, now: float) -> Lease | None:
    """Lease the ready job with the longest critical path; None if there is none to be had just now.

    A worker for which none is ready is given one that is late, beside its holder.
    """
    ready = _best_ready(connection, worker, now)
    if ready is not None:
        return _leased(connection, ready, worker, now)
    return _claim_late(connection, worker, now)


def claim_one(
    connection: Connection, worker: WorkerInfo, job: str, now: float, without: Collection[str] = ()
) -> Lease | None:
    """Lease this very job; None if it is not ready.

    Args:
        without: inputs that the worker needs no file of.
    """
    row = THIS_READY.first(connection, job=job, now=now)
    return None if row is None else _leased(connection, row, worker, now, without)


def _leased(connection: Connection, row: Any, worker: WorkerInfo, now: float, without: Collection[str] = ()) -> Lease:
    lease = _lease(connection, row, worker, without)
    step = _first_step(lease)
    execute(
        connection,
        LEASE.bind(
            job=lease.job,
            new_token=lease.token,
            new_worker=lease.worker,
            now=now,
            count=lease.attempt,
            at=step,
            said=json.dumps({"step": step}),
        ),
        _opened(lease, worker, now),
    )
    return lease


def _claim_late(connection: Connection, worker: WorkerInfo, now: float) -> Lease | None:
    """A lease beside the holder's of the latest job, if any is late and nobody is writing to it just now."""
    for late in speculation.late_jobs(connection, worker, now):
        row = _THIS_LATE.first(connection, job=late.id, held=late.token)
        if row is None:
            continue
        lease = dataclasses.replace(_lease(connection, row, worker, ()), speculative=True)
        execute(
            connection,
            _LEASE_LATE.bind(
                job=lease.job, new_token=lease.token, new_worker=lease.worker, now=now, count=lease.attempt
            ),
            _opened(lease, worker, now),
        )
        return lease
    return None


def _opened(lease: Lease, worker: WorkerInfo, now: float) -> BoundStatement:
    """The attempt that a lease begins."""
    return OPEN_ATTEMPT.bind(
        of=lease.job,
        which=lease.attempt,
        at=_first_step(lease),
        by=worker.name,
        on_host=worker.host,
        on_device=worker.device,
        now=now,
        speculative=lease.speculative,
    )


def _first_step(lease: Lease) -> int:
    return lease.checkpoints[0].step if lease.checkpoints else 0


def _best_ready(connection: Connection, worker: WorkerInfo, now: float) -> Any | None:
    """The longest critical path first; among equals those whose inputs this worker holds already.

    The jobs whose holders have been silent for longer than their leases are taken back before.
    """
    here = {"now": now, "most": 1 + len(worker.excluded)}
    asked = [BEST_READY.bind(capability=str(each), **here) for each in worker.capabilities]
    asked += [OWN_READY.bind(capability=str(each), worker=worker.name, **here) for each in worker.capabilities]
    longest, expired, *ready = execute(connection, LONGEST_LEASE.bind(), EXPIRED.bind(now=now), *asked)
    if longest and longest[0].lease_expires > now + longest[0].lease_seconds + CLOCK_SKEW_SECONDS:
        shorten_leases(connection, jobs.c.lease_expires, now)
    if expired:
        for row in expired:
            expire(connection, row, now)
        ready = execute(connection, *asked)
    found = {row.id: row for rows in ready for row in rows if row.id not in worker.excluded}
    return min(found.values(), key=lambda row: _rank(row, worker), default=None)


def _rank(row: Any, worker: WorkerInfo) -> tuple[int, bool, bool, str]:
    """Least is best.  A worker with a GPU takes what needs one before what others could do."""
    return -row.remaining_path, row.affinity != worker.name, row.needs == Device.CPU, row.id


def _lease(connection: Connection, row: Any, worker: WorkerInfo, without: Collection[str]) -> Lease:
    stage, name = as_stage(row.stage), job_name(row.name)
    refs = inputs_of(untrusted.parsed("a job's inputs", row.inputs))
    return Lease(
        job=untrusted.job_id(row.id),
        name=name,
        stage=stage,
        spec=spec_of(stage, untrusted.parsed("a job's spec", row.spec)),
        worker=worker.name,
        attempt=row.attempts + 1,
        token=secrets.token_hex(16),
        seconds=untrusted.number("a lease's length", row.lease_seconds),
        inputs={called: resolve(connection, name, ref) for called, ref in refs.items() if called not in without},
        checkpoints=held_checkpoints(connection, row.id) if row.attempts else (),
    )


def resolve(connection: Connection, job: str, ref: InputRef) -> Artifact:
    """The artifact that an input refers to.

    Args:
        job: the name of the job that needs it.

    Raises:
        StoreError: nothing was published under the input's name.
    """
    if ref.job is None:
        row = _DATA.first(connection, called=ref.name)
    else:
        row = _OUTPUT_OF.first(connection, of=ref.job, called=ref.name)
    if row is None:
        raise StoreError(f"{job} needs {ref.name!r}, which is not in the home; run `orch plan` again.")
    return as_artifact(row)
