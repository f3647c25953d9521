"""The Orch that travels with a study in an object store, under a key that its SHA-256 is part of.

So nobody has to believe a note of which wheel it is: whoever has the same Orch knows the key.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from orchestrator.object_stores.client import ObjectClient
from orchestrator.object_stores.refusals import ObjectsRefused, Reason

DIRECTORY = "worker"


def key_of(wheel: Path) -> str:
    """Where a wheel is, or should be."""
    return f"{DIRECTORY}/{hashlib.sha256(wheel.read_bytes()).hexdigest()}/{wheel.name}"


def publish(client: ObjectClient, wheel: Path) -> None:
    """Put the wheel there, unless it is.  Those before stay beside it: cells that were given out name them."""
    if not is_published(client, wheel):
        client.put(key_of(wheel), wheel.read_bytes())


def is_published(client: ObjectClient, wheel: Path) -> bool:
    """Whether something of its size is there; who fetches it compares its SHA-256."""
    try:
        return client.head(key_of(wheel)).size == wheel.stat().st_size
    except ObjectsRefused as refused:
        if refused.reason is not Reason.MISSING:
            raise
        return False
