"""What an object store answers when it does not do what it was asked, told apart by what can be done about it.

obstore keeps the status and the body of an answer only in the text of its error: both are looked for there, and nothing
else of that text is shown.  Codes are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList and
https://cloud.google.com/storage/docs/xml-api/reference-status
"""

from __future__ import annotations

import re
from enum import Enum

from orchestrator.errors import OrchError, SignInNeeded
from orchestrator.object_stores.places import Place, Service


class Reason(Enum):
    STALE = "another version is there by now"
    EXISTS = "there is an object of this name already, or somebody is writing it at this moment"
    MISSING = "there is no such object"
    NO_BUCKET = "there is no such bucket"
    FORBIDDEN = "these keys may not do that"
    BUSY = "too many requests"
    UNREACHABLE = "it cannot be reached, or is in trouble"
    REGION = "the bucket is in another region"
    CLOCK = "this machine's clock is wrong"
    OTHER = "it refuses"


_ADVICE = {
    Reason.STALE: "read it again",
    Reason.EXISTS: "read it again",
    Reason.MISSING: "check the home's URL",
    Reason.NO_BUCKET: "make it first, or check the home's URL and the endpoint",
    Reason.FORBIDDEN: "let the keys list the bucket, and read, write and delete its objects",
    Reason.BUSY: "wait a minute; with many workers, longer leases ask less often",
    Reason.UNREACHABLE: "check the network and the endpoint, and try again",
    Reason.REGION: "set AWS_REGION to the bucket's",
    Reason.CLOCK: "set it: what is signed with another time is refused",
    Reason.OTHER: "orch doctor looks closer",
}

_BY_CODE = {
    "NoSuchBucket": Reason.NO_BUCKET,
    "SlowDown": Reason.BUSY,
    "TooManyRequests": Reason.BUSY,
    "RequestTimeTooSkewed": Reason.CLOCK,
    "AuthorizationHeaderMalformed": Reason.REGION,
    "PermanentRedirect": Reason.REGION,
    "BadDigest": Reason.UNREACHABLE,
    "XAmzContentSHA256Mismatch": Reason.UNREACHABLE,
    "IllegalLocationConstraintException": Reason.REGION,
}
_BY_STATUS = {
    301: Reason.REGION,
    307: Reason.REGION,
    403: Reason.FORBIDDEN,
    404: Reason.MISSING,
    408: Reason.UNREACHABLE,
    409: Reason.EXISTS,
    412: Reason.STALE,
    429: Reason.BUSY,
}
_KEYS_ARE_WRONG = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
)

NAMES = {
    Service.S3: "the S3 service",
    Service.GCS: "Google Cloud Storage",
    Service.HUGGING_FACE: "Hugging Face",
}
KEYS = {
    Service.S3: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    Service.GCS: "sign in as gcloud, GOOGLE_APPLICATION_CREDENTIALS or a notebook does",
    Service.HUGGING_FACE: "set ORCH_HF_ACCESS_KEY_ID and ORCH_HF_SECRET_ACCESS_KEY",
}
"""What a person does who has none."""
GUIDE = "docs/object-stores.md"
"""Which says all of this step by step, for people."""

_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
# Where instances of a cloud get their keys from: obstore asks there when it has found none.
_METADATA_SERVICES = ("169.254.169.254", "metadata.google.internal", "MissingSecretAccessKey", "MissingAccessKeyId")


class ObjectsRefused(OrchError):
    """A request that was not done, or of which nobody knows whether it was."""

    def __init__(self, place: Place, reason: Reason, said: str) -> None:
        super().__init__(f"{place.url}: {reason.value} ({said}); {_ADVICE[reason]}.")
        self.reason = reason


def refusal(place: Place, error: Exception) -> ObjectsRefused | SignInNeeded:
    """What an error of obstore's says."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    said = code[1] if code else f"HTTP {status[1]}" if status else "no answer"
    if any(asked in text for asked in _METADATA_SERVICES):
        return keys_needed(place, "there are no keys here")
    if type(error).__name__ == "UnauthenticatedError" or (code and code[1] in _KEYS_ARE_WRONG):
        return keys_needed(place, f"the keys are not taken: {said}" if status else "the sign-in is not taken")
    if "redirect without LOCATION" in text:
        return ObjectsRefused(place, Reason.REGION, "a redirection")
    return ObjectsRefused(place, _reason(code[1] if code else "", int(status[1]) if status else 0), said)


def is_refused_without_reason(error: Exception) -> bool:
    """Whether an answer that has no body was the service's own decision, and not trouble on the way."""
    status = _STATUS.search(str(error))
    return status is not None and status[1].startswith("4") and not _CODE.search(str(error))


def _reason(code: str, status: int) -> Reason:
    known = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if known is not None:
        return known
    return Reason.UNREACHABLE if status in (0, 200) or status >= 500 else Reason.OTHER


def keys_needed(place: Place, said: str) -> SignInNeeded:
    return SignInNeeded(
        f"{place.url} needs keys ({said}); {KEYS[place.service]}, or in a notebook keep them as its secrets ({GUIDE})."
    )
