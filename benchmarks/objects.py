"""What a home in an object store costs: requests, the time of a claim, what workers lose to each other.

    python benchmarks/objects.py [--hours H]

The object server of the tests stands in for the service; obstore, the store and the job table are the real ones.  The
table of workers is on a simulated clock, as in `benchmarks/drive.py`: every request takes 150 ms of it.  Google and
Cloudflare take one write a second to one key, and refuse what comes sooner with 429, which is a conflict like any
other; Amazon has no such limit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

from drive import (
    CREWS,
    JOB_SECONDS,
    REQUEST_SECONDS,
    Crew,
    DistantFile,
    VirtualTime,
    plan,
    timed,
    work_for_an_hour,
)

sys.path.append(str(Path(__file__).parent.parent))

from orchestrator.jobs import WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.conditional_file import Conflict, Version
from orchestrator.jobtable.backends.snapshot import SnapshotBackend
from orchestrator.object_stores.artifact_store import ObjectArtifacts
from orchestrator.object_stores.table_file import KEY, ObjectFile
from tests.support.object_store import ObjectServer
from tests.support.object_store.signed_in import client_of, environment_of

SECONDS_BETWEEN_WRITES = 1.0
"""To one key: https://cloud.google.com/storage/quotas, https://developers.cloudflare.com/r2/platform/limits/."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="of the simulated clock")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-objects-") as directory, ObjectServer() as server:
        os.environ.update(environment_of(server))
        requests_of_an_hour(server, Path(directory))
        seconds_of_a_claim(server)
    print(f"\n{'':>16} {'workers':>7} {'transactions':>13} {'conflicts':>10} {'given up':>9}  lost to them")
    for name, kind in (("any rate", DistantObject), ("one write a second", SlowKey)):
        for workers in CREWS:
            crew = Crew(workers, options.hours * 3600, kind)
            crew.run()
            told = f"{crew.transactions:13} {crew.conflicts:10} {crew.given_up:9}  {crew.lost_share:.2%}"
            print(f"{name:>18} {workers:5} {told}", flush=True)


def requests_of_an_hour(server: ObjectServer, place: Path) -> None:
    table, store = opened(server, "hour", jobs=int(3600 / JOB_SECONDS) + 1)
    begun = len(server.requests)
    work_for_an_hour(table, store, place)
    asked = server.requests[begun:]
    counts = ", ".join(f"{count} {method}" for method, count in Counter(r.method for r in asked).most_common())
    print(f"a worker-hour: {len(asked)} requests ({counts}), and one for the clock every five minutes")


def seconds_of_a_claim(server: ObjectServer) -> None:
    """Each by a worker that has not looked since another claimed; and by one that knows the newest table."""
    table, _ = opened(server, "claim", jobs=400)
    other, _ = opened(server, "claim")
    for each in (table, other):
        each.claim(WorkerInfo("before"))  # which asks for the clock
    server.latency_seconds = REQUEST_SECONDS
    stale, own = [], []
    for _ in range(10):
        other.claim(WorkerInfo("other"))
        stale.append(timed(table))
        own.append(timed(table))
    server.latency_seconds = 0.0
    told = f"{median(stale):.2f} s, {median(own):.2f} s after one's own"
    print(f"a claim at {REQUEST_SECONDS * 1000:.0f} ms a request: {told}")


def opened(server: ObjectServer, prefix: str, jobs: int = 0) -> tuple[JobTable, ObjectArtifacts]:
    """A study's table and store as one worker sees them; with so many jobs in a chain a new one."""
    client = client_of(server, prefix)
    client.create(KEY, b"")
    table = JobTable(SnapshotBackend(ObjectFile(client, "study")), "study")
    if jobs:
        table.create()
        table.publish(plan(jobs))
    return table, ObjectArtifacts(client, "study")


class DistantObject(DistantFile):
    """A read gives the version, too, in one request."""

    requests_of_a_transaction = 3

    def read(self) -> tuple[bytes, Version]:
        with self._travelling():
            content, version = self._content, self._version
        return content, version


class SlowKey(DistantObject):
    """A key that takes one write a second."""

    def __init__(self, time_: VirtualTime) -> None:
        super().__init__(time_)
        self._written = -SECONDS_BETWEEN_WRITES

    def replace(self, content: bytes, version: Version) -> Version:
        with self._travelling():
            too_soon = self._time.now - self._written < SECONDS_BETWEEN_WRITES
            refused = too_soon or version != self._version
            if not refused:
                tag = str(int(version.tag) + 1)
                self._content, self._version, self._written = content, Version(tag, tag), self._time.now
            new = self._version
        if refused:
            self.conflicts += 1
            raise Conflict
        return new


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"({time.monotonic() - began:.0f} s)")
