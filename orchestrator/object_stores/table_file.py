"""The job table's file in an object store, replaced by its conditional put."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from orchestrator.errors import HomeClosed, HomeError
from orchestrator.jobtable.backends.conditional_file import Conflict, Version
from orchestrator.object_stores.client import Found, ObjectClient
from orchestrator.object_stores.refusals import ObjectsRefused, Reason

KEY = "jobs"

_READS = 12
"""As often as of a table on Google Drive: one that never arrives whole is broken by the network."""

T = TypeVar("T")


class ObjectFile:
    """One object by its key.  `replace` needs the right to write it."""

    def __init__(self, client: ObjectClient, where: str, key: str = KEY) -> None:
        self._client = client
        self._where = where
        self._key = key

    def __str__(self) -> str:
        return f"The job table of {self._where}"

    def version(self) -> Version:
        return _version(self._told(lambda: self._client.head(self._key)))

    def read(self) -> tuple[bytes, Version]:
        for _ in range(_READS):
            content, found = self._told(lambda: self._client.read(self._key))
            digest = hashlib.sha256(content).hexdigest()
            if found.sha256 == digest:
                return content, _version(found)
            # A gateway that redirects tells the version itself, and lets the bytes come from elsewhere, perhaps from
            # before: the two belong together only if the version that is there now is of these bytes.
            now = self._told(lambda: self._client.head(self._key))
            if now.sha256 == digest or (not now.sha256 and not found.sha256 and now.tag == found.tag):
                return content, _version(now)
        raise HomeError(f"{self} does not arrive whole; check the network, and try again.")

    def replace(self, content: bytes, version: Version) -> Version:
        try:
            tag = self._client.swap(self._key, content, version.tag)
        except ObjectsRefused as refused:
            if refused.reason in (Reason.STALE, Reason.EXISTS, Reason.UNREACHABLE, Reason.BUSY):
                # Perhaps it has happened, and the answer is lost: who reads again will know.
                raise Conflict from refused
            raise self._trouble(refused) from refused
        return Version(tag, hashlib.sha256(content).hexdigest())

    def now(self) -> float:
        return self._told(self._client.now)

    def _told(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except ObjectsRefused as refused:
            raise self._trouble(refused) from refused

    def _trouble(self, refused: ObjectsRefused) -> HomeError:
        """What a refusal means for the home, and who can do what about it."""
        match refused.reason:
            case Reason.MISSING:
                return HomeClosed(
                    f"{self} is not to be found: somebody has deleted it; restore the object, if the bucket keeps "
                    "older versions, or plan the study again."
                )
            case Reason.FORBIDDEN | Reason.NO_BUCKET:
                return HomeClosed(f"{self} is closed: {refused}")
            case _:
                return HomeError(str(refused))


def _version(found: Found) -> Version:
    # Without a note of its digest, what tells one content from another is what the service calls it.
    return Version(found.tag, found.sha256 or f"tag {found.tag}")
