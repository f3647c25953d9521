"""Which states of a study's job table were seen: by this directory's commands before, and by whoever uploaded a file.

Whoever uploads an artifact notes with it the state of the table that they know.  So a notebook that begins with nothing
learns from the newest files that the table it is shown has been put back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from models.files import replace_file
from orchestrator.errors import HomeError
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.refusals import DriveRefused

SEEN_FILE = Path(".orch.seen.json")
"""Beside the note of `orch plan`: the highest generation of each home that a command here was shown."""

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
        self._url = url
        self._kept = False
        """Whether what this process was shown first is kept for the next one."""

    def highest(self) -> int:
        """Raises HomeError if Drive cannot be asked."""
        try:
            newest = self._client.newest(self._artifacts, _NEWEST_FILES)
        except DriveRefused as refused:
            raise HomeError(str(refused)) from refused
        return max(_kept().get(self._url, 0), *(_generation(file.properties) for file in newest), 0)

    def note(self, generation: int) -> None:
        """Once a process, which every command is: a worker's own changes are noted with what it uploads."""
        if not self._kept:
            self._kept = True
            _keep(self._url, generation)


def notes_of(generation: Callable[[], int]) -> Callable[[], Mapping[str, str]]:
    """The properties of an artifact that is uploaded while the table is in this state."""
    return lambda: {_PROPERTY: str(generation())}


def _generation(properties: Mapping[str, str]) -> int:
    told = properties.get(_PROPERTY, "")
    return int(told) if _DIGITS.fullmatch(told) else 0


def _kept() -> dict[str, int]:
    with suppress(OSError, ValueError):
        kept = json.loads(SEEN_FILE.read_text(encoding="utf-8"))
        return {url: seen for url, seen in kept.items() if isinstance(seen, int)} if isinstance(kept, dict) else {}
    return {}


def _keep(url: str, generation: int) -> None:
    """Where a command may write; elsewhere the artifacts' notes have to do."""
    with suppress(OSError):
        replace_file(SEEN_FILE, (json.dumps({**_kept(), url: generation}) + "\n").encode(), parents=False)
