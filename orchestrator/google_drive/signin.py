"""Who is signed in to Google: where credentials come from and where `orch login` keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from models import user_directories
from models.files import replace_file
from orchestrator.errors import DiskError, SignInNeeded, UsageError
from orchestrator.google_drive.refusals import not_signed_in

SCOPES = ("https://www.googleapis.com/auth/drive",)
"""All of Drive: `drive.file` would hide the files that other accounts put into the study's folder."""

TOKEN_FILE_VARIABLE = "ORCH_DRIVE_TOKEN_FILE"
"""Names a file with an access token, for services that hand out short-lived ones; it is read again when one expires."""

_CREDENTIALS_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
"""Google's own libraries' name for a file with a sign-in, or with a service account's key."""

REVOKE_URL_VARIABLE = "ORCH_DRIVE_REVOKE_URL"
"""Where a sign-in is voided, if not at Google's own address: for tests."""

GUIDE = "docs/google-drive.md"
"""Which says all of this step by step, for people."""

_WAYS = (
    "run orch login with an OAuth client of yours, or sign in as gcloud, GOOGLE_APPLICATION_CREDENTIALS or a notebook "
    f"does ({GUIDE} says how)"
)

# Where Google sends the browser back to; the second if another program has the first.
_PORTS = (8080, 8090)

# Google's access tokens live for an hour.  One that is replaced earlier answers 401 and is read again then.
_TOKEN_LIFE = timedelta(minutes=50)


def stored_file() -> Path | None:
    """Where `orch login` keeps the sign-in of this person; None if they have no home directory."""
    config = user_directories.config()
    return None if config is None else config / "orch" / "google.json"


def credentials() -> Any:
    """Google credentials: of the token file, else what `orch login` stored, else the machine's or notebook's own.

    Raises:
        SignInNeeded: there are none.
    """
    token_file = os.environ.get(TOKEN_FILE_VARIABLE)
    if token_file:
        return of_token_file(Path(token_file))
    stored = stored_file()
    if stored is not None and stored.is_file():
        return _stored(stored)
    return _of_the_machine()


def of_token_file(file: Path) -> Any:
    """Credentials with the access token in a file; it is read again when the token is not taken any more."""
    from google.oauth2.credentials import Credentials

    return Credentials(None, refresh_handler=_reader_of(file))  # type: ignore[no-untyped-call]


def login(client_file: Path) -> Any:
    """Have the person sign in with their browser, and keep the sign-in for this user of the machine alone.

    Args:
        client_file: the OAuth client that Google Cloud's console gives for a desktop app.

    Returns:
        credentials for the next hour.

    Raises:
        UsageError: the client file cannot be used, or this person has no home directory.
        DiskError: the sign-in could not be kept.
        SignInNeeded: the person, or Google, declined.
    """
    kept_in = stored_file()
    if kept_in is None:
        raise UsageError("There is no home directory to keep the sign-in in; set HOME, or XDG_CONFIG_HOME.")
    from google.oauth2.credentials import Credentials
    from httplib2 import HttpLib2Error
    from oauth2client.client import FlowExchangeError
    from pydrive2.auth import AuthError, GoogleAuth
    from pydrive2.settings import InvalidConfigError

    settings = {
        "client_config_backend": "file",
        "client_config_file": str(client_file),
        "save_credentials": False,
        "get_refresh_token": True,
        "oauth_scope": list(SCOPES),
    }
    try:
        flow = GoogleAuth(settings=settings)
        flow.LocalWebserverAuth(port_numbers=list(_PORTS))
    except (InvalidConfigError, ValueError):
        found = "is no OAuth client" if client_file.exists() else "is not there"
        raise UsageError(
            f"{client_file} {found}; make a client of the kind 'desktop app' at "
            "console.cloud.google.com/apis/credentials, download its JSON, and give it with --client "
            f"({GUIDE} says what else to switch on, and how to sign in without a client)."
        ) from None
    except (AuthError, FlowExchangeError, HttpLib2Error, OSError) as error:
        raise not_signed_in(str(error) or "the browser did not come back with a sign-in") from None
    told = {
        "type": "authorized_user",
        "client_id": flow.credentials.client_id,
        "client_secret": flow.credentials.client_secret,
        "refresh_token": flow.credentials.refresh_token,
    }
    with _writing(kept_in):
        # Readable by this user alone from its first byte on.
        replace_file(kept_in, json.dumps(told).encode(), mode=0o600)
    return Credentials(flow.credentials.access_token)  # type: ignore[no-untyped-call]


def sign_out() -> bool:
    """Forget the stored sign-in, and have Google void it if it can be reached; False if there was none.

    Raises:
        DiskError: it could not be deleted.
    """
    stored = stored_file()
    if stored is None or not stored.exists():
        return False
    try:
        token = json.loads(stored.read_text(encoding="utf-8"))["refresh_token"]
    except (OSError, ValueError, KeyError, TypeError):
        token = None
    with _writing(stored):
        stored.unlink()
    if token is not None:
        _revoke(token)
    return True


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(f"The sign-in in {file} cannot be changed: {error.strerror or error}.") from error


def _revoke(token: str) -> None:
    import httplib2
    from googleapiclient.http import build_http

    address = os.environ.get(REVOKE_URL_VARIABLE, "https://oauth2.googleapis.com/revoke")
    # What is left of a token that cannot be voided now lies on no disk any more.
    with suppress(OSError, httplib2.HttpLib2Error):
        form = {"content-type": "application/x-www-form-urlencoded"}
        build_http().request(address, "POST", body=urlencode({"token": token}), headers=form)


def _reader_of(file: Path) -> Any:
    def read(_request: Any, scopes: Sequence[str] | None = None) -> tuple[str, datetime]:  # noqa: ARG001
        try:
            token = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise not_signed_in(f"{TOKEN_FILE_VARIABLE} cannot be read: {error.strerror}") from None
        # google-auth compares with a time without a zone.
        return token, datetime.now(UTC).replace(tzinfo=None) + _TOKEN_LIFE

    return read


def _stored(file: Path) -> Any:
    from google.oauth2.credentials import Credentials

    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return Credentials.from_authorized_user_info(told, SCOPES)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SignInNeeded(f"The sign-in in {file} cannot be used ({error}); run orch login again.") from None


def _of_the_machine() -> Any:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    named = os.environ.get(_CREDENTIALS_VARIABLE)
    try:
        found, _ = google.auth.default(scopes=SCOPES)
    except (GoogleAuthError, ValueError, OSError) as error:
        if named:
            raise SignInNeeded(f"{_CREDENTIALS_VARIABLE} names {named}, which cannot be used: {error}") from None
        raise SignInNeeded(f"Nobody is signed in to Google Drive on this machine; {_WAYS}.") from None
    return found
