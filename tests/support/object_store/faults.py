"""What befalls requests to an object store."""

from __future__ import annotations

from enum import Enum

from tests.support.request_faults import RequestFaults


class Fault(Enum):
    ERROR_BEFORE = "503 SlowDown, and nothing has happened"
    ERROR_AFTER = "500 InternalError, although it was done"
    CUT_BEFORE = "the connection is closed, and nothing has happened"
    CUT_AFTER = "it was done, and the connection is closed without an answer"
    CUT_IN_BODY = "half of the answer's body, then the connection is closed"
    CORRUPT = "one bit of what is downloaded is another"
    DAMAGED = "one bit of what is uploaded is another when it arrives"
    TOO_MANY = "429"
    CONFLICT = "409 to a conditional write, because another one is under way"
    STALE = "412 to a conditional write, without cause"
    HTML = "502 with a page for people"
    PORTAL = "200 with a page for people, and nothing has happened"
    FORBIDDEN = "403 AccessDenied"
    WRONG_KEYS = "403 InvalidAccessKeyId"


Faults = RequestFaults[Fault]
