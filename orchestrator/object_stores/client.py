"""Requests to an object store, over obstore: the same for every service.

What answers mean that are no success stands in `orchestrator.object_stores.refusals`.  Conditional writes are S3's
`If-Match` and `If-None-Match` (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html), and
Google's `x-goog-if-generation-match` (https://cloud.google.com/storage/docs/request-preconditions).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.backoff import random_pause
from orchestrator.errors import HomeError
from orchestrator.installation import distribution
from orchestrator.object_stores import credentials
from orchestrator.object_stores.endpoints import endpoint_of, told_time
from orchestrator.object_stores.places import Place, Service
from orchestrator.object_stores.refusals import ObjectsRefused, Reason, is_refused_without_reason, refusal
from orchestrator.service_clock import ServiceClock

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 8 << 20
"""What a larger file is uploaded in: a part that is cut is sent again, and not the whole."""
_PARTS_AT_ONCE = 4

TRIES_MORE = 3
"""With pauses of 2, 4 and 8 s at most, at random: a table must say within half a minute whether it can be reached."""
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 8.0

_CLOCK_SECONDS = 300.0
"""How long the service's clock is believed before it is asked again: this machine's own may go wrong meanwhile."""

# Hugging Face's gateway answers a GET of other clients with a redirection to a CDN: the version would then be told by
# one server, and the bytes come from another, which may have older ones.
_HUGGING_FACE_AGENT = "aws-sdk-rust/1 orch"

_SHA256 = "sha256"
"""The name of the note that goes with every object: the SHA-256 of its content, in hexadecimal."""
_ETAG = "etag"
"""The same for artifacts: what the ETag should be.  Objects that are encrypted with a customer's key have another
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
"""

_CHUNK_BYTES = 1 << 20

_SWAPS = 2
"""How often a content is put that is damaged on its way."""

_TRANSIENT = (Reason.BUSY, Reason.UNREACHABLE)

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What a store tells of an object."""

    key: str
    """Below the place's prefix."""
    size: int
    """Bytes."""
    tag: str
    """What a conditional write is bound to: the ETag, on Google the generation."""
    sha256: str
    """As whoever put it has noted; empty in a list, and where a service keeps no notes."""
    is_intact: bool
    """Whether the ETag is the one that whoever put it has computed of the content; never of what is encrypted so."""
    modified: float
    """Seconds since 1970, by the service's clock."""


class ObjectClient:
    """Part of a bucket, as the keys at hand see it; threads may share it.

    Every method may raise ObjectsRefused and SignInNeeded, and OSError where a file of this machine is in the way.
    What meets trouble on its way is sent again: every request here may arrive twice.
    """

    def __init__(self, place: Place) -> None:
        """Raises SignInNeeded where keys are missing; HomeError if the library is."""
        _need_library()
        self.place = place
        self._store = self._opened(tries_more=0, seconds=20)
        self._clock = ServiceClock()
        self._asked: tuple[float, float] | None = None
        """When the service was asked for its clock: by this machine's monotonic clock, and by the one on its wall."""

    @cached_property
    def _bulk(self) -> ObjectStore:
        """For files: parts of large ones are sent again by the library, each for itself."""
        return self._opened(tries_more=TRIES_MORE, seconds=3600)

    def now(self) -> float:
        """Seconds since 1970 by the service's clock: obstore does not show the `Date` of answers, so it is asked."""
        # The monotonic clock stands still while a machine sleeps, and the one on the wall may be set.
        clocks = time.monotonic(), time.time()
        if self._asked is None or any(
            abs(now - then) > _CLOCK_SECONDS for now, then in zip(clocks, self._asked, strict=True)
        ):
            self._clock.note(self._insist(lambda: told_time(self.place)))
            self._asked = clocks
        return self._clock.now()

    def head(self, key: str) -> Found:
        """Never older than what was confirmed to anybody."""
        return self._insist(lambda: self._head(key))

    def read(self, key: str) -> tuple[bytes, Found]:
        """A small object's bytes, unchecked, and what was told with them."""
        return self._insist(lambda: self._read(key))

    def put(self, key: str, content: bytes) -> None:
        """Put a small object, or another in its place."""
        self._insist(lambda: self._put(key, content, "overwrite"))

    def create(self, key: str, content: bytes) -> None:
        """Make a small object; one that is there already stays as it is."""
        self._insist(lambda: self._created(key, content))

    def swap(self, key: str, content: bytes, tag: str) -> str:
        """Put a content in the place of the one with this tag; returns the new tag.

        Sent once: after a lost answer a second would be refused as stale though the first has happened.

        Raises:
            ObjectsRefused: STALE or EXISTS if another version is there; UNREACHABLE and BUSY say nothing about whether
                it has happened.
        """
        name = "version" if self.place.service is Service.GCS else "e_tag"
        for _ in range(_SWAPS):
            told = self.explained(lambda tag=tag: self._put(key, content, {name: tag}))  # type: ignore[misc]
            tag = self._tag(told)
            if not self._is_damaged(key, content, told):
                break
        return tag

    def _is_damaged(self, key: str, content: bytes, told: Any) -> bool:
        """Whether what was put is there as something else.  S3 checks itself that what arrives is what was signed."""
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if self.place.service is not Service.GCS or _unquoted(told["e_tag"]) == digest:
            return False
        there, found = self.read(key)
        return found.tag == self._tag(told) and there != content

    def upload(self, source: Path, key: str, sha256: str, etag: str) -> bool:
        """Put a file, in parts of `PART_BYTES` if it is larger.

        Args:
            etag: what a service calls the object whose ETags are made of the content.

        Returns:
            whether the service has called it so, and thereby confirmed its size and checksum.
        """
        result = self._insist(
            lambda: self._served(
                _library().put(
                    self._bulk,
                    key,
                    source,
                    attributes={_SHA256: sha256, _ETAG: etag},
                    chunk_size=PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            )
        )
        return _unquoted(result["e_tag"]) == etag

    def download(self, key: str) -> Download:
        """An object's bytes, unchecked, as they come; whoever wants them again after trouble begins anew."""
        return Download(self, iter(self.explained(lambda: _library().get(self._bulk, key)).stream(_CHUNK_BYTES)))

    def delete(self, key: str) -> None:
        """Nothing happens if it is not there."""
        try:
            self._insist(lambda: _library().delete(self._store, key))
        except ObjectsRefused as refused:
            if refused.reason is not Reason.MISSING:
                raise

    def listed(self, directory: str) -> Iterator[Found]:
        """All objects whose keys begin with `DIRECTORY/`."""
        pages = self._insist(lambda: list(_library().list(self._store, directory)))
        for page in pages:
            yield from (self._found(told, {}) for told in page)

    # --- requests ---

    def _head(self, key: str) -> Found:
        try:
            result = _library().get(self._store, key, options={"head": True})
        except (_library().exceptions.BaseError, FileNotFoundError) as error:
            if not is_refused_without_reason(error):
                raise
            return self._read(key)[1]  # which has a body, that says why: a HEAD has none
        return self._found(self._served(result.meta), result.attributes)

    def _read(self, key: str) -> tuple[bytes, Found]:
        result = _library().get(self._store, key)
        return bytes(result.bytes()), self._found(self._served(result.meta), result.attributes)

    def _put(self, key: str, content: bytes, mode: Any) -> Any:
        # Proxies, and Google for objects that anybody may read, would else keep a copy for a while.
        attributes = {_SHA256: hashlib.sha256(content).hexdigest(), "Cache-Control": "no-store"}
        library = _library()
        return self._served(
            library.put(self._store, key, content, mode=mode, attributes=attributes, use_multipart=False)
        )

    def _served(self, told: Any) -> Any:
        """What an answer tells.  Raises ObjectsRefused: a page that a network shows instead has no ETag."""
        if not told["e_tag"]:
            raise ObjectsRefused(self.place, Reason.UNREACHABLE, "what answered is no object store")
        return told

    def _created(self, key: str, content: bytes) -> None:
        try:
            self.explained(lambda: self._put(key, content, "create"))
        except ObjectsRefused as refused:
            if refused.reason not in (Reason.STALE, Reason.EXISTS):
                raise
            if not self._is_there(key):  # somebody is about to make it, who may fail
                raise ObjectsRefused(self.place, Reason.BUSY, "another creates it") from refused

    def _is_there(self, key: str) -> bool:
        try:
            self.head(key)
        except ObjectsRefused as refused:
            if refused.reason is not Reason.MISSING:
                raise
            return False
        return True

    def _found(self, told: Any, notes: Any) -> Found:
        return Found(
            key=told["path"],
            size=told["size"],
            tag=self._tag(told),
            sha256=notes.get(_SHA256, ""),
            is_intact=notes.get(_ETAG, "") == _unquoted(told["e_tag"]),
            modified=told["last_modified"].timestamp(),
        )

    def _tag(self, told: Any) -> str:
        return (told["version"] if self.place.service is Service.GCS else told["e_tag"]) or ""

    def _insist(self, send: Callable[[], T]) -> T:
        """The outcome of something that may be sent several times."""
        failures = 0
        while True:
            try:
                return self.explained(send)
            except ObjectsRefused as refused:
                failures += 1
                if refused.reason not in _TRANSIENT or failures > TRIES_MORE:
                    raise
            time.sleep(random_pause(failures, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS))

    def explained(self, send: Callable[[], T]) -> T:
        """The outcome of something that is sent once."""
        try:
            return send()
        except (_library().exceptions.BaseError, FileNotFoundError, TimeoutError) as error:
            raise refusal(self.place, error) from error

    # --- the library ---

    def _opened(self, *, tries_more: int, seconds: int) -> ObjectStore:
        from obstore import store

        place, endpoint = self.place, endpoint_of(self.place)
        client: Any = {
            "allow_http": endpoint.url.startswith("http://"),
            "timeout": timedelta(seconds=seconds),
            "read_timeout": timedelta(seconds=min(seconds, 120)),
        }
        retries: Any = {"max_retries": tries_more, "retry_timeout": timedelta(seconds=150)}
        options: Any = {"prefix": place.prefix or None, "client_options": client, "retry_config": retries}
        if place.service is Service.GCS:
            provider = credentials.google(place)
            return store.GCSStore(place.bucket, **options, credential_provider=provider, base_url=endpoint.url)
        if place.service is Service.HUGGING_FACE:
            client["user_agent"] = _HUGGING_FACE_AGENT
            keys = credentials.hugging_face(place)
        else:
            keys = credentials.amazon(place)
        config: Any = {"region": endpoint.region, "disable_bulk_delete": True, **keys}
        if endpoint.is_own:
            config["endpoint"] = endpoint.url
        return store.S3Store(place.bucket, **options, config=config)


class Download:
    """A stream of an object's bytes.  `read` raises as the client's methods do."""

    def __init__(self, client: ObjectClient, chunks: Iterator[bytes]) -> None:
        self._client = client
        self._chunks = chunks

    def read(self, size: int, /) -> bytes:  # noqa: ARG002
        """The next bytes, as many as have come; none at the end."""
        return self._client.explained(lambda: bytes(next(self._chunks, b"")))


def _library() -> Any:
    return import_module("obstore")


def _need_library() -> None:
    try:
        import_module("obstore")
    except ImportError:
        needed = distribution.requirement("objects")
        raise HomeError(f"Object stores need Orch's objects part; install it: pip install '{needed}'.") from None


def _unquoted(etag: str | None) -> str:
    return (etag or "").strip('"')
