"""What the commands do that are about Google Drive: sign in, share a study's folder, let the wheel travel with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator import drive
from orchestrator.address import scheme
from orchestrator.errors import HomeError, UsageError

if TYPE_CHECKING:  # loaded when a command needs them
    from orchestrator.drive.client import DriveClient
    from orchestrator.snippet import Travelling


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
    client, folder = _folder_of(url)
    for account in accounts:
        client.share(folder, account)
    return f"{', '.join(accounts)} may work in {url} now."


def publish_wheel(url: str) -> None:
    """Put the Orch that is running into the folder of a home on Drive, for the cells of notebooks.

    Raises:
        DriveRefused: this account may not write there, or has no room.
    """
    from orchestrator import bundle
    from orchestrator.drive import folder

    client, study = _folder_of(url)
    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        folder.publish_wheel(client, study, bundle.build(Path(directory)))


def travelling(url: str, study: str) -> Travelling:
    """What a cell needs to know to work on a study.

    Raises:
        UsageError: the home is not on Drive.
        HomeError: no wheel was published there.
    """
    from orchestrator.drive import folder
    from orchestrator.snippet import Travelling

    client, study_folder = _folder_of(url)
    wheel = folder.published_wheel(client, study_folder)
    if wheel is None:
        raise HomeError(f"No Orch travels with {url} yet; run `orch plan` again.")
    return Travelling(study, url, wheel.id, wheel.sha256)


def _folder_of(url: str) -> tuple[DriveClient, str]:
    """Drive, and the id of a home's folder there."""
    if scheme(url) != "gdrive":
        raise UsageError(f"{url} is not on Google Drive, and other accounts' notebooks reach nothing else.")
    from orchestrator.drive import folder

    return drive.connect(), folder.id_in(url)
