"""Buckets, objects and uploads in parts: the rules of object stores without their HTTP."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

SMALLEST_PART_BYTES = 5 << 20


class Dialect(Enum):
    S3 = "S3"
    GCS = "Cloud Storage's XML API"


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Object:
    content: bytes
    etag: str
    """Without quotes."""
    generation: int
    headers: Mapping[str, str]
    """What was put with it: notes, and how long it may be kept in caches."""
    modified: float


@dataclass
class Upload:
    """One in parts, under way."""

    bucket: str
    key: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class State:
    """All that the service remembers.  Whoever calls more than one method at once holds `lock`."""

    def __init__(self, dialect: Dialect) -> None:
        self.lock = threading.RLock()
        self.dialect = dialect
        self.buckets: dict[str, dict[str, Object]] = {}
        self.gone: dict[str, dict[str, tuple[Object, float]]] = {}
        """What was deleted or replaced last, and when: a list that is late shows it."""
        self.uploads: dict[str, Upload] = {}
        self.opaque_etags = False
        """Whether what is put is encrypted with a customer's key."""
        self.compares = True
        """Whether conditions are looked at: a service that does not is none to work on."""
        self.lag_seconds = 0.0
        """How long after a change a list still shows what was before."""
        self.seconds_between_writes = 0.0
        """To one key."""
        self._generations = itertools.count(int(time.time() * 1e6))

    def bucket(self, name: str) -> dict[str, Object]:
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket")
        return self.buckets[name]

    def get(self, bucket: str, key: str) -> Object:
        found = self.bucket(bucket).get(key)
        if found is None:
            raise Refused(404, "NoSuchKey")
        return found

    def put(self, bucket: str, key: str, content: bytes, headers: Mapping[str, str], condition: str | None) -> Object:
        """`condition` is what must be there: an ETag or generation, `absent`, or None for anything."""
        there = self.bucket(bucket).get(key)
        if self.compares and condition is not None:
            self._hold(there, condition)
        if there and time.time() - there.modified < self.seconds_between_writes:
            raise Refused(429, "TooManyRequests")
        return self._keep(bucket, key, content, headers, hashlib.md5(content).hexdigest())

    def _hold(self, there: Object | None, condition: str) -> None:
        if condition == "absent":
            if there is not None:
                raise Refused(412, "PreconditionFailed")
            return
        if there is None:
            raise Refused(404, "NoSuchKey") if self.dialect is Dialect.S3 else Refused(412, "PreconditionFailed")
        if condition not in (there.etag, str(there.generation)):
            raise Refused(412, "PreconditionFailed")

    def _keep(self, bucket: str, key: str, content: bytes, headers: Mapping[str, str], etag: str) -> Object:
        known = secrets.token_hex(16) if self.opaque_etags else etag
        there = self.buckets[bucket].get(key)
        if there is not None:
            self.gone.setdefault(bucket, {})[key] = there, time.time()
        kept = Object(content, known, next(self._generations), dict(headers), time.time())
        self.buckets[bucket][key] = kept
        return kept

    def delete(self, bucket: str, key: str) -> None:
        there = self.bucket(bucket).pop(key, None)
        if there is None:
            if self.dialect is Dialect.GCS:
                raise Refused(404, "NoSuchKey")
            return
        self.gone.setdefault(bucket, {})[key] = there, time.time()

    def listed(self, bucket: str, prefix: str) -> list[tuple[str, Object]]:
        """In the order of the keys, late by the lag."""
        then = time.time() - self.lag_seconds
        shown = {key: found for key, found in self.bucket(bucket).items() if found.modified <= then}
        late = {key: found for key, (found, left) in self.gone.get(bucket, {}).items() if left > then >= found.modified}
        return sorted((key, found) for key, found in {**late, **shown}.items() if key.startswith(prefix))

    # --- uploads in parts ---

    def begin(self, bucket: str, key: str, headers: Mapping[str, str]) -> str:
        self.bucket(bucket)
        upload = secrets.token_urlsafe(16)
        self.uploads[upload] = Upload(bucket, key, dict(headers))
        return upload

    def part(self, upload: str, number: int, content: bytes) -> str:
        self._upload(upload).parts[number] = content
        return hashlib.md5(content).hexdigest()

    def complete(self, upload: str) -> Object:
        known = self._upload(upload)
        parts = [known.parts[number] for number in sorted(known.parts)]
        if any(len(part) < SMALLEST_PART_BYTES for part in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        del self.uploads[upload]
        digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
        # Of Cloud Storage's ETag of such an object nothing is told but that it is no MD5.
        etag = f"{digest}-{len(parts)}" if self.dialect is Dialect.S3 else secrets.token_hex(8)
        return self._keep(known.bucket, known.key, b"".join(parts), known.headers, etag)

    def abort(self, upload: str) -> None:
        self._upload(upload)
        del self.uploads[upload]

    def _upload(self, upload: str) -> Upload:
        if upload not in self.uploads:
            raise Refused(404, "NoSuchUpload")
        return self.uploads[upload]
