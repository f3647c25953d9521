"""What Drive refuses is told apart by what a person can do about it."""

from __future__ import annotations

import json

import pytest

from orchestrator.errors import ExitCode, SignInNeeded
from orchestrator.google_drive.refusals import DriveRefused, Reason, refusal


def body(reason: str) -> bytes:
    error = {"code": 0, "message": "What Drive says.", "errors": [{"reason": reason}]}
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "reason", "meant", "advice"),
    [
        (403, "storageQuotaExceeded", Reason.FULL, "free some space at drive.google.com"),
        (403, "userRateLimitExceeded", Reason.BUSY, "wait a minute"),
        (403, "rateLimitExceeded", Reason.BUSY, "wait a minute"),
        (429, "anything", Reason.BUSY, "wait a minute"),
        (403, "insufficientFilePermissions", Reason.FORBIDDEN, "orch share ACCOUNT"),
        (404, "notFound", Reason.MISSING, "check the folder's id"),
        (409, "fileIdInUse", Reason.EXISTS, "nothing has to be done"),
        (412, "conditionNotMet", Reason.STALE, "read it again"),
        (500, "internalError", Reason.UNREACHABLE, "check the network"),
        (403, "accessNotConfigured", Reason.SWITCHED_OFF, "enable the Google Drive API in the project"),
        (400, "publishOutNotPermitted", Reason.KEPT_INSIDE, "name the accounts"),
        (403, "somethingNew", Reason.OTHER, "orch doctor"),
    ],
)
def test_each_reason_has_its_own_advice(status: int, reason: str, meant: Reason, advice: str) -> None:
    told = refusal(status, body(reason))
    assert isinstance(told, DriveRefused)
    assert told.reason is meant
    assert advice in str(told) and "What Drive says" in str(told)


def test_an_expired_or_revoked_sign_in_has_its_own_exit_code() -> None:
    told = refusal(401, body("authError"))
    assert isinstance(told, SignInNeeded)
    assert (told.exit_code, "orch login" in str(told)) == (ExitCode.SIGN_IN, True)


def test_a_sign_in_that_was_given_without_drive_has_to_be_given_anew() -> None:
    told = refusal(403, body("insufficientPermissions"))
    assert isinstance(told, SignInNeeded)
    assert "does not cover Drive" in str(told)


@pytest.mark.parametrize("content", [b"", b"<html>Bad Gateway</html>", b"[]", b'{"error": "no"}'])
@pytest.mark.parametrize("status", [502, 599])
def test_an_answer_that_is_not_drives_own_is_trouble_on_the_way(status: int, content: bytes) -> None:
    told = refusal(status, content)
    assert isinstance(told, DriveRefused)
    assert told.reason is Reason.UNREACHABLE
    assert f"HTTP {status}" in str(told)
