"""The Orch that travels with a study on Google Drive: put into its folder by `orch plan`, fetched by a notebook's cell.

How its wheel is built stands in `orchestrator.worker_package.packing`.
What the cell does stands in `orchestrator.worker_package.snippet`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator import google_drive
from orchestrator.address import drive_folder
from orchestrator.errors import HomeError


@dataclass(frozen=True)
class Travelling:
    """What a worker needs to know to find its study."""

    study: str
    home: str
    """`gdrive://FOLDER_ID`."""
    wheel: str
    """The wheel's id on Drive."""
    sha256: str
    """The wheel's digest, in hexadecimal."""
    code: frozenset[str] = frozenset()
    """SHA-256 of the code of a person's own that workers may run."""


def publish(url: str) -> None:
    """Put the Orch that is running into the folder of a home on Drive.

    Raises:
        UsageError: the home is elsewhere.
        DriveRefused: this account may not write there, or has no room.
    """
    from orchestrator.google_drive import folder
    from orchestrator.worker_package import packing

    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        folder.publish_wheel(google_drive.connect(), drive_folder(url), packing.build(Path(directory)))


def found(url: str, study: str) -> Travelling:
    """What was published with a study: the Orch that is running, and no other.

    Everybody who may write in the folder may put a wheel of their own there, and say that it is the one.  A cell that
    took the folder's word for its digest would run it in everybody's notebook.

    Raises:
        UsageError: the home is not on Drive.
        HomeError: no wheel was published there, or another than this Orch builds.
    """
    from orchestrator.worker_package import packing

    there, client = drive_folder(url), google_drive.connect()
    from orchestrator.google_drive import folder  # needs the libraries that `connect` has found

    wheel = folder.published_wheel(client, there)
    if wheel is None:
        raise HomeError(f"No Orch travels with {url} yet; run `orch plan` again.")
    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        own = hashlib.sha256(packing.build(Path(directory)).read_bytes()).hexdigest()
    if wheel.sha256 != own:
        raise HomeError(
            f"The Orch in {url} is not the one that runs here: it is of another version, or somebody has put their own "
            "there; run `orch plan` with this one to replace it, or use the version that planned the study."
        )
    return Travelling(study, url, wheel.id, own)
