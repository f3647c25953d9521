"""Accounts of Google Drive: what `orch login` and `orch share` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator import address, google_drive
from orchestrator.commands import consent
from orchestrator.errors import UsageError

_SEEN_BY_READERS = (
    "Whoever has or is given the address of {} will read all of it without being known to you: the training images, "
    "the networks, code of your own, logs, and the names of workers and accounts."
)


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


def share(url: str, accounts: Sequence[str], *, readers: bool | None, yes: bool) -> str:
    """Let accounts write in the folder of a home on Drive, or whoever has its address read it.

    What is returned is for the person.

    Args:
        readers: True opens the folder to readers, False closes it to them, None leaves that as it is.
        yes: the person has agreed to readers already.

    Raises:
        UsageError: the home is elsewhere, or nobody is named.
        Declined: the person does not want readers.
        DriveRefused: this account may not share the folder, or there is no such account.
    """
    folder = address.drive_folder(url)
    if not accounts and readers is None:
        raise UsageError("Name the accounts that may work on the study, or give --readers.")
    if readers:
        consent.ask(_SEEN_BY_READERS.format(url), yes=yes)
    client = google_drive.connect()
    for account in accounts:
        client.share(folder, account)
    told = [f"{', '.join(accounts)} may work in {url} now."] if accounts else []
    if readers:
        client.open_to_readers(folder)
        told.append(
            f"Whoever has its address may read {url} now, signed in as anybody: orch report --home {url}. "
            "orch share --no-readers ends that."
        )
    elif readers is False:
        ended = client.close_to_readers(folder)
        told.append(
            f"Only accounts that {url} is shared with by name may read it now."
            if ended
            else f"{url} was not open to readers."
        )
    return "\n".join(told)
