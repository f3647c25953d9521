"""What a home on Google Drive costs: requests and quota, the time of a claim, what workers lose to each other.

    python benchmarks/drive.py [--hours H]

The Drive server of the tests stands in for the service; the client libraries, the store and the job table are the real
ones.  Aims: under 1 % of the quota of 325,000 units a minute for each user; a claim in under 1.5 s at 150 ms a request;
under 2 % of the workers' time lost to conflicts with 32 workers on one table.  The last is on a simulated clock: every
request takes 150 ms of it, and whose request comes first is decided by it.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

sys.path.append(str(Path(__file__).parent.parent))

from models import datasets
from orchestrator.artifacts import ArtifactStore
from orchestrator.errors import HomeError
from orchestrator.google_drive import folder, signin
from orchestrator.google_drive.artifact_store import DriveStore
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.table_file import DriveFile
from orchestrator.jobs import Checkpoint, Finished, Lease, PlannedJob, Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.conditional_file import Conflict, Version
from orchestrator.jobtable.backends.snapshot import SnapshotBackend
from orchestrator.planning.planner import Plan
from orchestrator.study import Study
from tests.support.drive import DriveServer

STUDY = Study.parse('name = "no-ops"\ndataset = "synthetic"\n[[models]]\narchitecture = "alexnet-tiny"\n')
SPEC = {"model": "m", "seed": 0, "method": "float32"}
UNITS_A_MINUTE = 325_000
REQUEST_SECONDS = 0.15
JOB_SECONDS = 120.0
CHECKPOINT_SECONDS = 60.0
LEASE_SECONDS = 900.0
WORKER = WorkerInfo("w1")
HEARTBEAT_SECONDS = LEASE_SECONDS / 3
GIVEN_UP_PAUSE_SECONDS = 2.0
T = TypeVar("T")
CREWS = (2, 8, 16, 32, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="of the simulated clock")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-drive-") as directory, DriveServer() as drive:
        requests_of_an_hour(drive, Path(directory))
        seconds_of_a_claim(drive, Path(directory))
    print(f"\n{'workers':>7} {'transactions':>13} {'conflicts':>10}  lost to them")
    for workers in CREWS:
        crew = Crew(workers, options.hours * 3600)
        crew.run()
        print(f"{workers:7} {crew.transactions:13} {crew.conflicts:10}  {crew.lost_share:.2%}")


def requests_of_an_hour(drive: DriveServer, place: Path) -> None:
    table, store = opened(drive, place, "hour@example.org", jobs=int(3600 / JOB_SECONDS) + 1)
    begun = len(drive.requests)
    work_for_an_hour(table, store, place)
    asked = drive.requests[begun:]
    units = sum(request.units for request in asked)
    print(f"a worker-hour: {len(asked)} requests, {units:,} units, {units / (60 * UNITS_A_MINUTE):.2%} of the quota")
    print("  " + ", ".join(f"{count} {method}" for method, count in Counter(r.method for r in asked).most_common()))


def work_for_an_hour(table: JobTable, store: ArtifactStore, place: Path) -> None:
    """A worker's hour: jobs of two minutes in chains, a checkpoint a minute, two outputs a job, files of 1 MB."""
    state = place / "state"
    lease = claimed(table, WORKER)
    for _ in range(int(3600 / JOB_SECONDS)):
        for step in range(int(JOB_SECONDS / CHECKPOINT_SECONDS)):
            lease = table.renew(lease, {"step": step}, Checkpoint(step, store.put(fresh(state))))
            for artifact in lease.obsolete:
                store.delete(artifact)
        outputs = {name: store.put(fresh(state)) for name in ("state", "log")}
        completed = table.complete(lease, [Finished(lease.job, outputs, {})], WORKER, or_best=True)
        for artifact in completed.obsolete:
            store.delete(artifact)
        store.fetch(outputs["state"], place / "fetched")
        assert completed.next is not None, "there is a job more than there is time"
        lease = completed.next


def seconds_of_a_claim(drive: DriveServer, place: Path) -> None:
    """Each by a worker that has not looked since another claimed; and by one that knows the newest table."""
    table, _ = opened(drive, place, "claim@example.org", jobs=400)
    other, _ = opened(drive, place, "claim@example.org")
    drive.latency_seconds = REQUEST_SECONDS
    stale, fresh_ones = [], []
    for _ in range(10):
        other.claim(WorkerInfo("other"))
        stale.append(timed(table))
        fresh_ones.append(timed(table))
    drive.latency_seconds = 0.0
    told = f"{median(stale):.2f} s, {median(fresh_ones):.2f} s after one's own"
    print(f"a claim at {REQUEST_SECONDS * 1000:.0f} ms a request: {told}")


def timed(table: JobTable) -> float:
    began = time.monotonic()
    assert table.claim(WorkerInfo("w1")) is not None
    return time.monotonic() - began


def claimed(table: JobTable, worker: WorkerInfo) -> Lease:
    lease = table.claim(worker)
    assert lease is not None, "there are more jobs than workers"
    return lease


def opened(drive: DriveServer, place: Path, account: str, jobs: int = 0) -> tuple[JobTable, DriveStore]:
    """A study's table and store as this account sees them; with so many jobs in a chain a new one."""
    owner = drive.state.accounts.get(account) or drive.account(account)
    client = DriveClient(signin.of_token_file(owner.token_file(place / f"{uuid.uuid4().hex}.token")), drive.url)
    note = place / f"{account}.id"
    if jobs:
        note.write_text(folder.made(client, "study").id)
    home = folder.found(client, note.read_text())
    assert home is not None
    table = JobTable(SnapshotBackend(DriveFile(client, home.jobs, "study")), "study")
    if jobs:
        table.create()
        table.publish(plan(jobs))
    return table, DriveStore(client, home.artifacts, "study")


def plan(jobs: int) -> Plan:
    planned = (
        PlannedJob(f"{number:032x}", f"job{number}", Stage.COMPRESS, "m", 0, SPEC, {}, (), 1) for number in range(jobs)
    )
    return Plan(STUDY.with_lease_seconds(LEASE_SECONDS), datasets.describe("synthetic"), tuple(planned))


def fresh(file: Path) -> Path:
    file.write_bytes(random.randbytes(1_000_000))
    return file


class VirtualTime:
    """Threads of which one runs at a time, in the order of a clock that only their waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._order = itertools.count()
        self._idle = threading.Event()

    def sleep(self, seconds: float) -> None:
        turn = threading.Event()
        heapq.heappush(self._waiting, (self.now + seconds, next(self._order), turn))
        self._idle.set()
        turn.wait()

    def begin(self, thread: threading.Thread) -> None:
        self._idle.clear()
        thread.start()
        self._idle.wait()

    def end(self) -> None:
        """The thread that calls this waits no more."""
        self._idle.set()

    def run(self) -> None:
        while self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            self._idle.clear()
            turn.set()
            self._idle.wait()


class DistantFile:
    """A file whose requests arrive after half of their time, and are answered after the other half."""

    requests_of_a_transaction = 4
    """Of one alone on a table that others have changed: version, version and content, swap."""

    def __init__(self, time_: VirtualTime) -> None:
        self._time = time_
        self._content = b""
        self._version = Version("0", "0")
        self.conflicts = 0

    def __str__(self) -> str:
        return "the file"

    def version(self) -> Version:
        self._time.sleep(REQUEST_SECONDS / 2)
        version = self._version
        self._time.sleep(REQUEST_SECONDS / 2)
        return version

    def read(self) -> tuple[bytes, Version]:
        self.version()  # Drive gives the version in a request of its own
        with self._travelling():
            content, version = self._content, self._version
        return content, version

    def replace(self, content: bytes, version: Version) -> Version:
        with self._travelling():
            stale = version != self._version
            if not stale:
                tag = str(int(version.tag) + 1)
                self._content, self._version = content, Version(tag, tag)
            new = self._version
        if stale:
            self.conflicts += 1
            raise Conflict
        return new

    def now(self) -> float:
        return 1e9 + self._time.now

    @contextmanager
    def _travelling(self) -> Iterator[None]:
        self._time.sleep(REQUEST_SECONDS / 2)
        yield
        self._time.sleep(REQUEST_SECONDS / 2)


@dataclass
class Crew:
    """Workers on one table for some time; each computes, renews three times a lease, and commits and claims."""

    workers: int
    seconds: float
    file: Callable[[VirtualTime], DistantFile] = DistantFile

    def __post_init__(self) -> None:
        self._time = VirtualTime()
        self._file = self.file(self._time)
        self.transactions = 0
        self.given_up = 0
        """How many times others were quicker for so long that the transaction had to be begun again."""
        self._lost = 0.0

    def run(self) -> None:
        jobs = self.workers * (int(self.seconds / JOB_SECONDS) + 2)
        publisher = threading.Thread(target=self._publish, args=(jobs,))
        self._time.begin(publisher)
        self._time.run()
        for number in range(self.workers):
            self._time.begin(threading.Thread(target=self._work, args=(f"w{number}",)))
        self._time.run()

    @property
    def conflicts(self) -> int:
        return self._file.conflicts

    @property
    def lost_share(self) -> float:
        return self._lost / (self.workers * self.seconds)

    def _publish(self, jobs: int) -> None:
        table = JobTable(SnapshotBackend(self._file, pause=self._time.sleep), "here")
        table.create()
        table.publish(plan(jobs))
        self._time.end()

    def _work(self, name: str) -> None:
        table = JobTable(SnapshotBackend(self._file, pause=self._time.sleep), "here")
        chance = random.Random(name)
        self._time.sleep(chance.uniform(0, JOB_SECONDS))
        worker = WorkerInfo(name)
        lease: Lease | None = self._timed(partial(claimed, table, worker))
        while lease is not None and self._time.now < self.seconds:
            lease = self._computed(table, lease, chance)
            done = [Finished(lease.job, {}, {})]
            lease = self._timed(partial(table.complete, lease, done, worker, or_best=True)).next
        self._time.end()

    def _computed(self, table: JobTable, lease: Lease, chance: random.Random) -> Lease:
        """A job of about its usual length, with its checkpoints named."""
        left = JOB_SECONDS * chance.uniform(0.8, 1.2)
        while left > 0:
            step = min(left, CHECKPOINT_SECONDS * chance.uniform(0.8, 1.0))
            self._time.sleep(step)
            left -= step
            if left > 0:
                lease = self._timed(partial(table.renew, lease, {"left": left}))
        return lease

    def _timed(self, transaction: Callable[[], T]) -> T:
        before, began = self._file.conflicts, self._time.now
        outcome = self._insisted(transaction)
        self.transactions += 1
        alone = self._file.requests_of_a_transaction * REQUEST_SECONDS
        # Whoever saw another's conflict is counted, too.
        self._lost += max(0.0, self._time.now - began - alone) if self._file.conflicts > before else 0.0
        return outcome

    def _insisted(self, transaction: Callable[[], T]) -> T:
        """As a worker does when the home says that it cannot be reached."""
        while True:
            try:
                return transaction()
            except HomeError:
                self.given_up += 1
                self._time.sleep(GIVEN_UP_PAUSE_SECONDS)


if __name__ == "__main__":
    main()
