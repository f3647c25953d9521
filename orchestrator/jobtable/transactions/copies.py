"""Copies of benchmarks: what one worker has measured, to be measured on another's device, too (`devices = "each"`).

Which devices there are nobody knows beforehand, so no plan has copies.  A worker that finds nothing to claim makes
those for its own.  What a new plan does to them stands in `orchestrator.jobtable.transactions.publish`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Text, bindparam, insert, literal, select, true

from models import inference_runtimes
from orchestrator import untrusted
from orchestrator.jobs import JobState, MeasuringDevices, device_key
from orchestrator.jobtable.backends.statement import Statement
from orchestrator.jobtable.schema.rows import job_name
from orchestrator.jobtable.schema.tables import IS_BENCHMARK, edges, jobs
from orchestrator.jobtable.transactions.queries import planned_study

_LONGEST_SHOWN = 60

_KEPT = ("stage", "model", "steps", "spec", "inputs", "lease_seconds", "tries")
"""The columns that a copy has from its original."""

_INSERT_JOB = insert(jobs).from_select(
    ["id", "name", "copy_of", "device", "needs", "planned", "state", "undone_parents", "remaining_path", *_KEPT],
    select(
        bindparam("copy", type_=Text),
        bindparam("called", type_=Text),
        jobs.c.id,
        bindparam("on_device", type_=Text),
        bindparam("key", type_=Text),
        true(),
        literal(JobState.READY.value),
        literal(0),
        # Less than any other job: each network is measured somewhere before one is measured again.
        literal(0),
        *(jobs.c[name] for name in _KEPT),
    ).where(jobs.c.id == bindparam("original")),
)
ORIGINALS = Statement(
    select(jobs.c.id, jobs.c.name, jobs.c.spec, jobs.c.metrics)
    .where(IS_BENCHMARK, jobs.c.copy_of.is_(None), jobs.c.planned, jobs.c.state == bindparam("done"))
    .order_by(jobs.c.name)
)
COPIES = Statement(select(jobs.c.id).where(IS_BENCHMARK, jobs.c.copy_of.is_not(None)))
_INSERT_EDGES = insert(edges).from_select(
    ["parent", "child"],
    select(edges.c.parent, bindparam("copy", type_=Text)).where(edges.c.child == bindparam("original")),
)


@dataclass(frozen=True)
class _Copy:
    """A copy that is to be made."""

    original: str
    name: str
    device: str

    @property
    def id(self) -> str:
        return copy_id(self.original, self.device)


def copy_id(original: str, device: str) -> str:
    """The same for whichever worker makes the copy."""
    return hashlib.sha256(f"{original} on {device}".encode(errors="replace")).hexdigest()[:32]


def copy_name(original: str, device: str) -> str:
    """How people call it: devices whose names read alike differ in the digits at its end."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", device)[:_LONGEST_SHOWN].strip("-.")
    return f"{original}/{'-'.join(filter(None, ('on', readable, device_key(device))))}"


def is_missing(connection: Connection, devices: MeasuringDevices) -> bool:
    """Whether `insert_missing` would make any."""
    return next(_missing(connection, devices), None) is not None


def insert_missing(connection: Connection, devices: MeasuringDevices) -> int:
    """Make the copies that are missing of these devices, ready to be claimed; returns how many.

    The transaction must be exclusive: a plan, or another worker of these devices, may be about the same jobs.
    """
    missing = list(_missing(connection, devices))
    for each in missing:
        original = {"copy": each.id, "original": each.original}
        told = {"called": each.name, "on_device": each.device, "key": device_key(each.device)}
        connection.execute(_INSERT_JOB, {**original, **told})
        connection.execute(_INSERT_EDGES, original)
    return len(missing)


def _missing(connection: Connection, devices: MeasuringDevices) -> Iterator[_Copy]:
    """The copies that the study wants, of benchmarks that are done, and that there are none of yet."""
    study = planned_study(connection)
    if study is None or not study.measures_on_each_device:
        return
    known = {row.id for row in COPIES.all(connection)}
    for row in ORIGINALS.all(connection, done=JobState.DONE.value):
        device = _device_for(row, devices)
        if device != _measured_on(row) and copy_id(row.id, device) not in known:
            yield _Copy(untrusted.job_id(row.id), copy_name(job_name(row.name), device), device)


def _device_for(row: Any, devices: MeasuringDevices) -> str:
    """What a worker with these devices measures a benchmark on."""
    runtime = _parsed("a job's spec", row.spec).get("runtime", inference_runtimes.LITERT)
    accelerated = runtime in inference_runtimes.names() and inference_runtimes.get(runtime).accelerated
    return devices.accelerated if accelerated else devices.processor


def _measured_on(row: Any) -> Any:
    return _parsed("a job's metrics", row.metrics).get("device")


def _parsed(what: str, value: object) -> Mapping[str, Any]:
    return untrusted.mapping(what, untrusted.parsed(what, value))
