"""Where the keys to an object store come from: the environment, and what Google's libraries find.

No key is ever printed, noted or put into a cell.
"""

from __future__ import annotations

import os
from datetime import UTC
from typing import TYPE_CHECKING, Any

from orchestrator.object_stores.endpoints import endpoint_of
from orchestrator.object_stores.places import Place
from orchestrator.object_stores.refusals import keys_needed

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import GCSCredential

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


def amazon(place: Place) -> dict[str, str]:
    """What obstore is told of keys: nothing, it finds them itself.  Raises SignInNeeded if one of two is missing."""
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if (key, secret) != (None, None) and not (key and secret):
        raise keys_needed(place, "one of the two is empty, or not set")
    return {}


def hugging_face(place: Place) -> dict[str, str]:
    """Of names of their own: keys to Amazon's service are not sent to another.  Raises SignInNeeded."""
    key, secret = os.environ.get("ORCH_HF_ACCESS_KEY_ID"), os.environ.get("ORCH_HF_SECRET_ACCESS_KEY")
    if not (key and secret):
        raise keys_needed(place, "they are not set")
    return {"access_key_id": key, "secret_access_key": secret}


def google(place: Place) -> Callable[[], GCSCredential]:
    """Gives obstore a token, whenever one expires.  Raises SignInNeeded if nobody is signed in."""
    if endpoint_of(place).is_own:  # an emulator asks for none, and must not be sent one
        return lambda: {"token": "nobody", "expires_at": None}
    import google.auth
    import google.auth.exceptions
    from google.auth.transport.requests import Request

    try:
        credentials: Any = google.auth.default(scopes=[_SCOPE])[0]
    except google.auth.exceptions.DefaultCredentialsError:
        raise keys_needed(place, "nobody is signed in to Google here") from None

    def token() -> GCSCredential:
        credentials.refresh(Request())
        return {"token": credentials.token, "expires_at": credentials.expiry and credentials.expiry.replace(tzinfo=UTC)}

    return token
