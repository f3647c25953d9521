"""Accounts of Google Drive: what `orch login` and `orch share` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator import address, google_drive


def sign_in(client_file: Path) -> str:
    """What to tell the person.

    Raises:
        UsageError: the client file cannot be used.
        SignInNeeded: the person, or Google, declined.
    """
    google_drive.need("pydrive2")
    from orchestrator.google_drive import signin
    from orchestrator.google_drive.client import DriveClient

    account = DriveClient(signin.login(client_file)).account()
    return f"Signed in as {account.email}; kept in {signin.stored_file()}."


def sign_out() -> str:
    """What to tell the person."""
    google_drive.need("googleapiclient")
    from orchestrator.google_drive import signin

    return "Signed out." if signin.sign_out() else "Nobody was signed in here."


def share(url: str, accounts: Sequence[str]) -> str:
    """Let accounts write in the folder of a home on Drive; what to tell the person.

    Raises:
        UsageError: the home is elsewhere.
        DriveRefused: this account may not share the folder, or there is no such account.
    """
    folder, client = address.drive_folder(url), google_drive.connect()
    for account in accounts:
        client.share(folder, account)
    return f"{', '.join(accounts)} may work in {url} now."
