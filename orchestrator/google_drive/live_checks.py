"""Whether the real service keeps what the protocol rests on: each check asks it, and cleans up after itself.

`docs/live-checks.md` says why each of them matters.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from orchestrator.findings import Finding
from orchestrator.google_drive.client import DriveClient, md5
from orchestrator.google_drive.refusals import DriveRefused, Reason

RACERS = 4
_LONGEST_LAG_SECONDS = 60.0


def all_checks(client: DriveClient, folder: str) -> Iterator[Finding]:
    """Found one after another, in a folder that this account may write to.  Raises DriveRefused, SignInNeeded."""
    yield storage(client)
    for check in (stale_swap, racing_swaps, repeated_create, whole_download, listing):
        with _probe(client, folder) as probe:
            yield check(client, folder, probe)


def storage(client: DriveClient) -> Finding:
    account = client.account()
    if account.limit_bytes is None:
        return Finding(True, f"Signed in as {account.email}, whose storage has no limit.")
    left = (account.limit_bytes - account.used_bytes) / 1e9
    told = f"Signed in as {account.email}, with {left:.1f} GB of {account.limit_bytes / 1e9:.0f} GB left"
    if account.nearly_full:
        return Finding(False, f"{told}: make room, uploads will soon be refused.")
    return Finding(True, f"{told}.")


def stale_swap(client: DriveClient, folder: str, probe: str) -> Finding:  # noqa: ARG001
    stale, _ = client.etag(probe)
    client.swap(probe, b"second", stale)
    try:
        client.swap(probe, b"third", stale)
    except DriveRefused as refused:
        if refused.reason is Reason.STALE and client.read(probe) == b"second":
            return Finding(True, "A swap of a stale version is refused.")
        raise
    return Finding(False, "A swap of a stale version was NOT refused: jobs could be given out twice here.")


def racing_swaps(client: DriveClient, folder: str, probe: str) -> Finding:  # noqa: ARG001
    etag, _ = client.etag(probe)
    contents = [f"racer {number}".encode() for number in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as racers:
        won = [content for content in racers.map(_swapping(client, probe, etag), contents) if content is not None]
    winner = client.read(probe)
    # Nobody may know that they won: an answer that was lost is asked for again, and the version is stale by then.
    if winner in contents and all(content == winner for content in won):
        return Finding(True, f"Of {RACERS} swaps of one version at once, one won.")
    return Finding(False, f"Of {RACERS} swaps of one version at once, {len(won)} believe that they won.")


def repeated_create(client: DriveClient, folder: str, probe: str) -> Finding:
    client.create(probe, "orch-probe", folder, b"another content", {})
    if client.read(probe) == b"first":
        return Finding(True, "A create that is sent twice makes one file.")
    return Finding(False, "A create that was sent twice changed the file.")


def whole_download(client: DriveClient, folder: str, probe: str) -> Finding:  # noqa: ARG001
    target = io.BytesIO()
    client.download(probe, target)
    _, digest = client.etag(probe)
    if md5(target.getvalue()) == digest:
        return Finding(True, "What is downloaded has the checksum that Drive tells.")
    return Finding(False, "What was downloaded has another checksum than Drive tells.")


def listing(client: DriveClient, folder: str, probe: str) -> Finding:
    began = time.monotonic()
    while time.monotonic() - began < _LONGEST_LAG_SECONDS:
        if any(child.id == probe for child in client.children(folder)):
            return Finding(True, f"A new file is listed after {time.monotonic() - began:.0f} s; Orch waits for none.")
        time.sleep(1.0)
    return Finding(True, f"A new file is not listed within {_LONGEST_LAG_SECONDS:.0f} s; Orch waits for none.")


def _swapping(client: DriveClient, probe: str, etag: str) -> Callable[[bytes], bytes | None]:
    def swap(content: bytes) -> bytes | None:
        try:
            client.swap(probe, content, etag)
        except DriveRefused as refused:
            if refused.reason is not Reason.STALE:
                raise
            return None
        return content

    return swap


@contextmanager
def _probe(client: DriveClient, folder: str) -> Iterator[str]:
    """A small file, gone at the end."""
    probe = client.new_id()
    client.create(probe, "orch-probe", folder, b"first", {})
    try:
        yield probe
    finally:
        client.delete(probe)
