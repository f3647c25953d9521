"""What befalls requests to Drive."""

from __future__ import annotations

from enum import Enum

from tests.support.request_faults import Predicate, RequestFaults


class Fault(Enum):
    ERROR_BEFORE = "503, and nothing has happened"
    ERROR_AFTER = "503, although it was done"
    CUT_BEFORE = "the connection is closed, and nothing has happened"
    CUT_AFTER = "it was done, and the connection is closed without an answer"
    CUT_IN_BODY = "half of the answer's body, then the connection is closed"
    CORRUPT = "one bit of what is downloaded is another"
    RATE_LIMIT = "403 userRateLimitExceeded"
    TOO_MANY = "429"
    FULL = "403 storageQuotaExceeded"
    UNAUTHORIZED = "401"
    STALE_ETAG = "the file has another version, without cause"
    HTML = "502 with a page for people"
    PORTAL = "200 with a page for people, and nothing has happened"
    SLOW = "the answer takes long"


Faults = RequestFaults[Fault]

__all__ = ["Fault", "Faults", "Predicate"]
