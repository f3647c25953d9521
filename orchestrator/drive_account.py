"""Accounts of Google Drive: what `orch login` and `orch share` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator import address, drive


def sign_in(client_file: Path) -> str:
    """What to tell the person.

    Raises:
        UsageError: the client file cannot be used.
        SignInNeeded: the person, or Google, declined.
    """
    drive.need("pydrive2")
    from orchestrator.drive import signin
    from orchestrator.drive.client import DriveClient

    account = DriveClient(signin.login(client_file)).account()
    return f"Signed in as {account.email}; kept in {signin.stored_file()}."


def sign_out() -> str:
    """What to tell the person."""
    drive.need("googleapiclient")
    from orchestrator.drive import signin

    return "Signed out." if signin.sign_out() else "Nobody was signed in here."


def share(url: str, accounts: Sequence[str]) -> str:
    """Let accounts write in the folder of a home on Drive; what to tell the person.

    Raises:
        UsageError: the home is elsewhere.
        DriveRefused: this account may not share the folder, or there is no such account.
    """
    folder, client = address.drive_folder(url), drive.connect()
    for account in accounts:
        client.share(folder, account)
    return f"{', '.join(accounts)} may work in {url} now."
