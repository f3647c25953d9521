"""Whether the real service keeps what the protocol rests on: each check asks it, and cleans up after itself.

`docs/live-checks.md` says why each of them matters.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from orchestrator.artifacts.store import copy_hashed
from orchestrator.findings import Finding
from orchestrator.object_stores.artifact_store import ObjectArtifacts
from orchestrator.object_stores.client import PART_BYTES, ObjectClient
from orchestrator.object_stores.refusals import ObjectsRefused, Reason

RACERS = 4
PROBES = "orch-probes"
"""The directory that everything is tried in."""

_SWAPS = 5
_WRONG_CLOCK_SECONDS = 300.0
"""Services refuse what is signed a quarter of an hour too early or too late."""
_LONGEST_LAG_SECONDS = 60.0
_BETWEEN_WRITES_SECONDS = 1.1
"""Some services take one write a second to a key."""

_LOST = (Reason.STALE, Reason.EXISTS)


def all_checks(client: ObjectClient) -> Iterator[Finding]:
    """Found one after another.  Raises ObjectsRefused, SignInNeeded."""
    yield clock(client)
    for check in (repeated_create, read_after_write, stale_swap, racing_swaps, cost_of_a_swap, listing):
        with _probe(client) as probe:
            yield check(client, probe)
    yield checksum(client)


def clock(client: ObjectClient) -> Finding:
    ahead = time.time() - client.now()
    told = f"This machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead >= 0 else 'behind'} the service's"
    if abs(ahead) > _WRONG_CLOCK_SECONDS:
        return Finding(False, f"{told}: set it, or what it signs will be refused.")
    return Finding(True, f"{told}, by which leases are judged.")


def repeated_create(client: ObjectClient, probe: str) -> Finding:
    client.create(probe, b"another content")
    if client.read(probe)[0] == b"first":
        return Finding(True, "A create that is sent twice makes one object.")
    return Finding(False, "A create of what is there already was NOT refused: two could plan over each other here.")


def read_after_write(client: ObjectClient, probe: str) -> Finding:
    tag = client.head(probe).tag
    for number in range(_SWAPS):
        content = f"state {number}".encode()
        tag = _swapped(client, probe, content, tag)
        read, found = client.read(probe)
        if (read, found.tag, client.head(probe).tag) != (content, tag, tag):
            return Finding(False, "What was read after a swap was NOT what was swapped: do not work here.")
        if found.sha256 != hashlib.sha256(content).hexdigest():
            return Finding(False, "The service keeps no notes with objects: what is read cannot be checked by them.")
    return Finding(True, "What is read after a swap is what was swapped, with the note of its checksum.")


def stale_swap(client: ObjectClient, probe: str) -> Finding:
    stale = client.head(probe).tag
    _swapped(client, probe, b"second", stale)
    try:
        _swapped(client, probe, b"third", stale)
    except ObjectsRefused as refused:
        if refused.reason not in _LOST:
            raise
        return Finding(True, "A swap of a stale version is refused.")
    return Finding(False, "A swap of a stale version was NOT refused: jobs could be given out twice here.")


def racing_swaps(client: ObjectClient, probe: str) -> Finding:
    tag = client.head(probe).tag

    def race(content: bytes) -> bytes | None:
        try:
            client.swap(probe, content, tag)
        except ObjectsRefused as refused:
            if refused.reason not in (*_LOST, Reason.BUSY, Reason.UNREACHABLE):
                raise
            return None
        return content

    contents = [f"racer {number}".encode() for number in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as racers:
        won = [content for content in racers.map(race, contents) if content is not None]
    winner = client.read(probe)[0]
    # Nobody may know that they won, whose answer was lost.
    if winner in contents and all(content == winner for content in won):
        return Finding(True, f"Of {RACERS} swaps of one version at once, one won.")
    return Finding(False, f"Of {RACERS} swaps of one version at once, {len(won)} believe that they won.")


def cost_of_a_swap(client: ObjectClient, probe: str) -> Finding:
    tag, seconds, busy = client.head(probe).tag, [], 0
    for number in range(_SWAPS):
        began = time.monotonic()
        try:
            tag = client.swap(probe, b"%d" % number, tag)
        except ObjectsRefused as refused:
            if refused.reason is not Reason.BUSY:
                raise
            busy += 1
        seconds.append(time.monotonic() - began)
    told = f"A swap takes {median(seconds) * 1000:.0f} ms (median of {_SWAPS})"
    return Finding(True, f"{told}; {busy} of them came too soon after another." if busy else f"{told}.")


def listing(client: ObjectClient, probe: str) -> Finding:
    began = time.monotonic()
    while time.monotonic() - began < _LONGEST_LAG_SECONDS:
        if any(found.key == probe for found in client.listed(PROBES)):
            return Finding(True, f"A new object is listed after {time.monotonic() - began:.0f} s; Orch waits for none.")
        time.sleep(1.0)
    return Finding(True, f"A new object is not listed within {_LONGEST_LAG_SECONDS:.0f} s; Orch waits for none.")


def checksum(client: ObjectClient) -> Finding:
    """With a file of two parts."""
    store = ObjectArtifacts(client, client.place.url, PROBES)
    with TemporaryDirectory(prefix="orch-doctor-") as directory:
        file, copy = Path(directory, "file"), Path(directory, "copy")
        file.write_bytes(os.urandom(PART_BYTES + 1))
        artifact = store.put(file)
        try:
            confirmed = client.head(f"{PROBES}/{artifact.location}").is_intact
            store.fetch(artifact, copy)
            with copy.open("rb") as stream:
                same = copy_hashed(stream) == (artifact.sha256, artifact.size)
        finally:
            store.delete(artifact)
    if not same:
        return Finding(False, "What was downloaded has another checksum than what was uploaded.")
    how = "its ETag says so" if confirmed else "its ETag does not say so, and each is read again after its upload"
    return Finding(True, f"A file in parts arrives with its checksum; {how}.")


def _swapped(client: ObjectClient, key: str, content: bytes, tag: str) -> str:
    """The new tag.  What comes too soon after another write is sent again, once."""
    try:
        return client.swap(key, content, tag)
    except ObjectsRefused as refused:
        if refused.reason is not Reason.BUSY:
            raise
    time.sleep(_BETWEEN_WRITES_SECONDS)
    return client.swap(key, content, tag)


@contextmanager
def _probe(client: ObjectClient) -> Iterator[str]:
    """A small object, gone at the end."""
    probe = f"{PROBES}/{uuid.uuid4().hex}"
    client.create(probe, b"first")
    try:
        yield probe
    finally:
        client.delete(probe)
