"""Google Drive: signing in, its API's requests and refusals, a study's folder, the job table's file and the artifacts.

`client` and what it is made of know no jobs, artifacts or homes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.errors import HomeError
from orchestrator.installation import distribution

if TYPE_CHECKING:  # only who speaks to Drive needs its libraries
    from orchestrator.google_drive.client import DriveClient


def connect() -> DriveClient:
    """Drive as whoever is signed in sees it; nothing is asked of it yet.

    Raises:
        HomeError: the libraries are not installed.
        SignInNeeded: nobody is signed in.
    """
    need("googleapiclient")
    from orchestrator.google_drive import signin
    from orchestrator.google_drive.client import DriveClient

    return DriveClient(signin.credentials(), renewed=signin.credentials)


def need(module: str) -> None:
    """Raises HomeError if this part of the libraries is not installed."""
    try:
        import_module(module)
    except ImportError:
        told = f"Google Drive needs Orch's drive part; install it: pip install '{distribution.requirement('drive')}'."
        raise HomeError(told) from None
