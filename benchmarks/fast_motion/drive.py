"""A study's home on the tests' Google Drive, on which three accounts work."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from fast_motion.clocks import ClockFaults
from fast_motion.files import CheckpointFaults
from fast_motion.plans import PlanFaults
from fast_motion.quick_worker import Access
from fast_motion.schedule import Blow, Missed, Standing, Strike
from fast_motion.site import Kind, dataset
from orchestrator.address import drive_folder
from orchestrator.google_drive import signin
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from orchestrator.jobs import Artifact
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.conditional_file import Conflict, Version
from orchestrator.jobtable.backends.snapshot import SnapshotBackend
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.drive import Account, DriveServer, Fault
from tests.support.drive.state import File

_PASSING = (Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.CUT_IN_BODY, Fault.TOO_MANY)
_REQUESTS = 8
"""A fault befalls one of so many requests that come next."""
_SLOW_SECONDS = 1.5


class DriveSite:
    """Requests meet faults, accounts lose their sign-in, their room or the folder, checkpoints are damaged."""

    def __init__(self, study: Study, place: Path, drive: DriveServer) -> None:
        self._drive = drive
        self._accounts = [drive.account(f"{name}@example.org") for name in ("ann", "ben", "cas")]
        self._tokens = [account.token_file(place / f"{account.email}.token") for account in self._accounts]
        drive.faults.slow_seconds = _SLOW_SECONDS
        self._url = _published(study, self._environment(0))
        self._folder = _file(drive, drive_folder(self._url))
        self._share()
        self.jobs = JobTable(SnapshotBackend(_Inside(drive)), "the campaign's eyes")
        self.contents = contents = _Contents(drive)
        self._files = CheckpointFaults(self.jobs, contents)
        self._plans = PlanFaults(study, self.access(0), self.jobs, contents, place / "logs" / "plan.log")

    def access(self, worker: int) -> Access:
        return Access(self._url, environment=self._environment(worker % len(self._accounts)))

    def _environment(self, account: int) -> dict[str, str]:
        return {ROOT_URL_VARIABLE: self._drive.url, signin.TOKEN_FILE_VARIABLE: str(self._tokens[account])}

    def blows(self) -> Mapping[str, Blow]:
        return {
            **{f"request: {fault.name.lower()}": self._at_a_request(fault) for fault in Fault},
            **self._files.blows(),
            **self._plans.blows(),
            **ClockFaults(self._set_clock).blows(),
            "many requests": self._at_many,
            "network away": self._away,
            "sign-in revoked": self._revoke,
            "token replaced": self._replace_token,
            "storage full": self._full,
            "folder not shared": self._unshare,
        }

    def _set_clock(self, ahead: float) -> None:
        self._drive.clock_ahead_seconds = ahead

    # --- requests ---

    def _at_a_request(self, fault: Fault) -> Blow:
        return lambda strike: self._drive.faults.at(1 + int(strike.detail * _REQUESTS), fault)

    def _at_many(self, strike: Strike) -> Standing:
        """A third of all requests."""
        self._drive.faults.at_random(0.3, seed=int(strike.victim * 1e9), kinds=_PASSING)
        return Standing(strike.seconds, lambda: self._drive.faults.at_random(0.0, seed=0, kinds=_PASSING))

    def _away(self, strike: Strike) -> Standing:
        self._drive.faults.every(lambda method, path: True, Fault.CUT_BEFORE)  # noqa: ARG005
        return Standing(strike.seconds, self._drive.faults.clear)

    # --- accounts ---

    def _account(self, strike: Strike) -> Account:
        return self._accounts[int(strike.victim * len(self._accounts))]

    def _revoke(self, strike: Strike) -> Standing:
        account = self._account(strike)
        account.may_sign_in = False

        def restore() -> None:
            account.may_sign_in = True

        return Standing(strike.seconds, restore)

    def _replace_token(self, strike: Strike) -> None:
        with self._drive.state.lock:
            self._account(strike).renew_token()

    def _full(self, strike: Strike) -> Standing:
        account, before = self._account(strike), 15 << 30
        with self._drive.state.lock:
            account.quota_bytes = self._drive.state.used_bytes(account.email)

        def make_room() -> None:
            account.quota_bytes = before

        return Standing(strike.seconds, make_room)

    def _unshare(self, strike: Strike) -> Standing:
        with self._drive.state.lock:
            self._folder.shared_with.pop(self._account(strike).email, None)
        return Standing(strike.seconds, self._share)

    def _share(self) -> None:
        with self._drive.state.lock:
            for account in self._accounts[1:]:
                self._folder.shared_with[account.email] = "writer"


class _Inside:
    """The job table's file as the service itself has it: a `ConditionalFile` without requests."""

    def __init__(self, drive: DriveServer) -> None:
        self._drive = drive
        (self._jobs,) = drive.files("jobs")

    def __str__(self) -> str:
        return "the job table"

    def version(self) -> Version:
        with self._drive.state.lock:
            return Version(self._jobs.etag, self._jobs.md5)

    def read(self) -> tuple[bytes, Version]:
        with self._drive.state.lock:
            return self._jobs.content, self.version()

    def replace(self, content: bytes, version: Version) -> Version:
        with self._drive.state.lock:
            if version != self.version():
                raise Conflict
            self._jobs.content = content
            self._drive.state.touch(self._jobs)
            return self.version()

    def now(self) -> float:
        return time.time() + self._drive.clock_ahead_seconds


class _Contents:
    """The bytes of artifacts, which somebody with access to the service changes behind its back."""

    def __init__(self, drive: DriveServer) -> None:
        self._drive = drive

    def is_whole(self, artifact: Artifact) -> bool:
        with self._drive.state.lock, suppress(Missed):
            return hashlib.sha256(self._found(artifact).content).hexdigest() == artifact.sha256
        return False

    def change(self, artifact: Artifact, change: Callable[[bytes], bytes]) -> None:
        with self._drive.state.lock:
            file = self._found(artifact)
            file.content = change(file.content)
            self._drive.state.touch(file)

    def remove(self, artifact: Artifact) -> None:
        with self._drive.state.lock:
            self._drive.state.forget(self._found(artifact))

    def _found(self, artifact: Artifact) -> File:
        try:
            return _file(self._drive, artifact.location)
        except StopIteration as error:
            raise Missed from error


def _file(drive: DriveServer, wanted: str) -> File:
    with drive.state.lock:
        return next(file for file in drive.state.files() if file.id == wanted)


def _published(study: Study, environment: Mapping[str, str]) -> str:
    """Planned by Ann; her sign-in is no worker's."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        return publish(study, "gdrive:", None, dataset()).home
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def opened(study: Study, place: Path) -> Iterator[DriveSite]:
    with DriveServer() as drive:
        site = DriveSite(study, place, drive)
        try:
            yield site
        finally:
            drive.faults.clear()
            site.jobs.close()


DRIVE = Kind("drive", lease_seconds=4.0, opened=opened)
