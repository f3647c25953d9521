"""A study's folder on Drive: which of its files is the job table, and where the artifacts lie.

The folder's own properties name them by id, so that one request finds them: a look by name is minutes late and may find
two.  They are `properties`, which every app sees, because a notebook's sign-in is another app than `orch login`'s.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import untrusted
from orchestrator.errors import SignInNeeded
from orchestrator.google_drive.client import DriveClient, Metadata, md5
from orchestrator.google_drive.refusals import DriveRefused, Reason
from orchestrator.untrusted import Altered

_JOBS = "orch_jobs"
_ARTIFACTS = "orch_artifacts"
_WHEEL = "orch_wheel"
_WHEEL_SHA256 = "orch_wheel_sha256"


@dataclass(frozen=True)
class Wheel:
    """The Orch that travels with the study."""

    id: str
    sha256: str


@dataclass(frozen=True)
class StudyFolder:
    """The ids of what a home on Drive is made of."""

    id: str
    jobs: str
    """The file with the job table's snapshot."""
    artifacts: str
    """The folder of the artifacts."""


def found(client: DriveClient, folder: str) -> StudyFolder | None:
    """The study's folder of this id; None if it, or what it names, is not there.

    Raises:
        DriveRefused: that cannot be told, or TRASHED, if any of it is in the bin.
    """
    there = _there(client, folder)
    named = {} if there is None else there.properties
    if _JOBS not in named or _ARTIFACTS not in named:
        return None
    jobs, artifacts = (untrusted.drive_id("a file's id", named[part]) for part in (_JOBS, _ARTIFACTS))
    complete = _lies_in(client, folder, jobs) and _lies_in(client, folder, artifacts)
    return StudyFolder(folder, jobs, artifacts) if complete else None


def _lies_in(client: DriveClient, folder: str, file: str) -> bool:
    """Everybody who may write in the folder may write its properties: they could name a file of one's own elsewhere,
    which the next swap would replace, or the next sweep delete.
    """
    there = _there(client, file)
    return there is not None and folder in there.parents


def publish_wheel(client: DriveClient, folder: str, wheel: Path) -> Wheel:
    """Put the wheel into the study's folder, unless the same is there already.  Raises DriveRefused.

    The one before stays beside it: cells that were given out name it.
    """
    content = wheel.read_bytes()
    sha256, digest = hashlib.sha256(content).hexdigest(), md5(content)
    before = _believed_wheel(client, folder)
    there = None if before is None else _found(client, before.id)
    usable = there is not None and not there.trashed and there.md5 == digest
    if before is not None and before.sha256 == sha256 and usable:
        return before
    published = Wheel(client.new_id(), sha256)
    client.upload(wheel, published.id, wheel.name, folder, digest)
    client.note(folder, {_WHEEL: published.id, _WHEEL_SHA256: sha256})
    return published


def _believed_wheel(client: DriveClient, folder: str) -> Wheel | None:
    """A note that somebody has altered is written anew."""
    try:
        return published_wheel(client, folder)
    except Altered:
        return None


def published_wheel(client: DriveClient, folder: str) -> Wheel | None:
    """What the folder says of it, whoever wrote that; None before it was published.  Raises DriveRefused, Altered."""
    there = _there(client, folder)
    named = {} if there is None else there.properties
    if _WHEEL not in named:
        return None
    return Wheel(
        untrusted.drive_id("the worker package's id", named[_WHEEL]),
        untrusted.sha256(named.get(_WHEEL_SHA256)),
    )


def made(client: DriveClient, name: str) -> StudyFolder:
    """A new folder, with an empty job table.  Raises DriveRefused, and leaves nothing of it."""
    folder = StudyFolder(client.new_id(), client.new_id(), client.new_id())
    parts = {_JOBS: folder.jobs, _ARTIFACTS: folder.artifacts}
    try:
        client.create_folder(folder.id, f"{name} (Orch)", None, parts)
        client.create_folder(folder.artifacts, "artifacts", folder.id, {})
        client.create(folder.jobs, "jobs", folder.id, b"", {})
    except BaseException:
        discard(client, folder)
        raise
    return folder


def discard(client: DriveClient, folder: StudyFolder) -> None:
    """Delete a folder that was made just now with all that is in it; one that cannot be deleted is left."""
    with suppress(DriveRefused, SignInNeeded):
        client.delete(folder.id)


def _there(client: DriveClient, file: str) -> Metadata | None:
    found = _found(client, file)
    if found is not None and found.trashed:
        raise DriveRefused(Reason.TRASHED, found.name)
    return found


def _found(client: DriveClient, file: str) -> Metadata | None:
    """In the bin or elsewhere."""
    try:
        return client.metadata(file)
    except DriveRefused as refused:
        if refused.reason is Reason.MISSING:
            return None
        raise
