"""Which states of a study's job table were seen: by this directory's commands before, and by whoever uploaded a file.

Whoever uploads an artifact notes with it the state of the table that they know.  So a notebook that begins with nothing
learns from the newest files that the table it is shown has been put back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from orchestrator.errors import HomeError
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.refusals import DriveRefused
from orchestrator.jobtable.backends.sightings import SeenHere

_PROPERTY = "orch_generation"
_DIGITS = re.compile(r"[0-9]{1,15}")
_NEWEST_FILES = 20
"""Uploads overtake each other, and a list may be late: one of the last of them knows enough."""


class SeenGenerations:
    """`jobtable.sightings.Sightings` of one home on Drive."""

    def __init__(self, client: DriveClient, artifacts: str, url: str, *, accept_rollback: bool = False) -> None:
        self.accept_rollback = accept_rollback
        self._client = client
        self._artifacts = artifacts
        self._here = SeenHere(url)

    def highest(self) -> int:
        """Raises HomeError if Drive cannot be asked."""
        try:
            newest = self._client.newest(self._artifacts, _NEWEST_FILES)
        except DriveRefused as refused:
            raise HomeError(str(refused)) from refused
        return max(self._here.highest(), *(_generation(file.properties) for file in newest), 0)

    def note(self, generation: int) -> None:
        """In this directory; a worker's own changes are noted with what it uploads."""
        self._here.note(generation)


def notes_of(generation: Callable[[], int]) -> Callable[[], Mapping[str, str]]:
    """The properties of an artifact that is uploaded while the table is in this state."""
    return lambda: {_PROPERTY: str(generation())}


def _generation(properties: Mapping[str, str]) -> int:
    told = properties.get(_PROPERTY, "")
    return int(told) if _DIGITS.fullmatch(told) else 0
