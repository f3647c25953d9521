"""What Drive answers when it does not do what it was asked, told apart by what can be done about it.

Reasons are those of https://developers.google.com/workspace/drive/api/guides/handle-errors
"""

from __future__ import annotations

import json
from enum import Enum
from http import HTTPStatus
from typing import Any

from orchestrator.errors import OrchError, SignInNeeded


class Reason(Enum):
    STALE = "another version is there by now"
    EXISTS = "a file of this id is there already"
    MISSING = "there is no such file, or this account may not see it"
    TRASHED = "it is in the bin"
    FULL = "the account's storage is full"
    FORBIDDEN = "this account may not do that"
    BUSY = "too many requests"
    UNREACHABLE = "it cannot be reached, or is in trouble"
    KEPT_INSIDE = "the account's organisation lets nobody outside it read its files"
    SWITCHED_OFF = "its API is switched off for this sign-in"
    OTHER = "it refuses"


_ADVICE = {
    Reason.STALE: "read it again",
    Reason.EXISTS: "nothing has to be done",
    Reason.MISSING: "check the folder's id, and that its owner shares it (orch share ACCOUNT) and has not binned it",
    Reason.TRASHED: "restore it at drive.google.com/drive/trash, which is emptied after 30 days",
    Reason.FULL: "free some space at drive.google.com, and empty the bin, too",
    Reason.FORBIDDEN: "ask the folder's owner to share it for writing: orch share ACCOUNT",
    Reason.BUSY: "wait a minute; with many workers, longer leases ask less often",
    Reason.UNREACHABLE: "check the network, and try again",
    Reason.KEPT_INSIDE: "name the accounts that shall see it, if it allows those: orch share ACCOUNT",
    Reason.SWITCHED_OFF: (
        "enable the Google Drive API in the project of the OAuth client, at "
        "console.cloud.google.com/apis/library/drive.googleapis.com (docs/google-drive.md)"
    ),
    Reason.OTHER: "orch doctor looks closer",
}


class DriveRefused(OrchError):
    """A request that was not done, or of which nobody knows whether it was."""

    def __init__(self, reason: Reason, said: str) -> None:
        super().__init__(f"Google Drive: {reason.value} ({said}); {_ADVICE[reason]}.")
        self.reason = reason


_BY_REASON = {
    "storageQuotaExceeded": Reason.FULL,
    "quotaExceeded": Reason.FULL,
    "teamDriveFileLimitExceeded": Reason.FULL,
    "userRateLimitExceeded": Reason.BUSY,
    "rateLimitExceeded": Reason.BUSY,
    "dailyLimitExceeded": Reason.BUSY,
    "sharingRateLimitExceeded": Reason.BUSY,
    "insufficientFilePermissions": Reason.FORBIDDEN,
    "forbidden": Reason.FORBIDDEN,
    "fileIdInUse": Reason.EXISTS,
    "conditionNotMet": Reason.STALE,
    "publishOutNotPermitted": Reason.KEPT_INSIDE,
    "cannotShareTeamDriveTopFolderWithAnyoneOrDomains": Reason.KEPT_INSIDE,
    "accessNotConfigured": Reason.SWITCHED_OFF,
}
_BY_STATUS: dict[int, Reason] = {
    HTTPStatus.NOT_FOUND: Reason.MISSING,
    HTTPStatus.CONFLICT: Reason.EXISTS,
    HTTPStatus.PRECONDITION_FAILED: Reason.STALE,
    HTTPStatus.TOO_MANY_REQUESTS: Reason.BUSY,
}


def refusal(status: int, content: bytes) -> DriveRefused | SignInNeeded:
    """What an answer says that is no success."""
    name, said = _error(content)
    if status == HTTPStatus.UNAUTHORIZED:
        return not_signed_in(said or "the sign-in has expired or was revoked")
    if name == "insufficientPermissions":
        # What the sign-in may not do; what a file does not allow is `insufficientFilePermissions`.
        return not_signed_in("the one there is does not cover Drive; gcloud's does with --scopes")
    reason = _BY_REASON.get(name) or _BY_STATUS.get(status)
    if reason is None:
        in_trouble = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.OK
        reason = Reason.UNREACHABLE if in_trouble else Reason.OTHER
    return DriveRefused(reason, said or f"HTTP {status}")


def not_signed_in(said: str) -> SignInNeeded:
    return SignInNeeded(
        f"Google Drive needs a sign-in ({said}); run orch login, or in a notebook run the cell again and sign in."
    )


def _error(content: bytes) -> tuple[str, str]:
    """Reason and message of an error as Google's services word them; empty where it is worded otherwise."""
    try:
        error: Any = json.loads(content)["error"]
        first = error["errors"][0]
        return str(first["reason"]), str(error["message"]).strip().rstrip(".")
    except (ValueError, KeyError, IndexError, TypeError):
        return "", ""
