"""Requests to Google Drive: version 3 of its API for files, version 2 for the compare-and-set that version 3 lacks.

Everything is addressed by id: names are not unique, and listing by name lags.  Every create carries an id that Drive
made before, so that a request which is sent twice creates one file.
What answers mean that are no success stands in `orchestrator.drive.refusals`.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import google.auth.exceptions
import google_auth_httplib2
import httplib2
from googleapiclient import discovery, discovery_cache
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload, build_http

from orchestrator.drive.clock import ServiceClock
from orchestrator.drive.refusals import DriveRefused, Reason, not_signed_in, refusal

ROOT_URL_VARIABLE = "ORCH_DRIVE_ROOT_URL"
"""Where Drive's API is, if not at Google's own address: for tests and proxies."""

NEARLY_FULL = 0.9
"""Of an account's storage."""

FOLDER = "application/vnd.google-apps.folder"
BYTES = "application/octet-stream"
NO_NOTES: Mapping[str, str] = {}

# Pauses of 2, 4 and 8 s at most, each at random: a table must say within half a minute whether it can be reached.
_TRIES = 3
_TIMEOUT_SECONDS = 20.0
# A multiple of 256 KiB, as Drive wants them.  What a cut connection makes to be sent again is at most this.
_CHUNK_BYTES = 8 << 20
_IDS_AT_ONCE = 20

# What no network says: a file that is up- or downloaded could not be read or written.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

_META = "id,name,parents,size,md5Checksum,sha256Checksum,properties,ownedByMe,trashed,modifiedTime"


@dataclass(frozen=True)
class Metadata:
    """What Drive says of a file."""

    id: str
    name: str
    size: int
    """Bytes; 0 of a folder."""
    parents: tuple[str, ...]
    """The folder that it lies in, if this account may see it."""
    md5: str
    """Of its content, in hexadecimal; empty of a folder."""
    sha256: str
    """The same; empty also of a file that Drive has not looked at yet."""
    properties: Mapping[str, str]
    """Notes that every app sees; an app's own `appProperties` the other accounts' sign-ins would not."""
    mine: bool
    """Whether this account owns it, pays for it, and may delete it."""
    trashed: bool
    modified: str
    """RFC 3339."""


@dataclass(frozen=True)
class Account:
    """Who is signed in, and how full their storage is."""

    email: str
    used_bytes: int
    limit_bytes: int | None
    """None where there is no limit."""

    @property
    def nearly_full(self) -> bool:
        """From here on a person is told, before uploads are refused."""
        return self.limit_bytes is not None and self.used_bytes > NEARLY_FULL * self.limit_bytes


class DriveClient:
    """Drive as one account sees it; threads may share it.

    Every method may raise DriveRefused and SignInNeeded, and OSError where a file of this machine is in the way.
    """

    def __init__(self, credentials: Any, root_url: str | None = None) -> None:
        self._credentials = credentials
        self._root_url = root_url or os.environ.get(ROOT_URL_VARIABLE)
        # httplib2's connections are not for several threads.
        self._own = threading.local()
        self._ids: list[str] = []
        self._ids_lock = threading.Lock()
        self.clock = ServiceClock()

    # --- files ---

    def metadata(self, file: str) -> Metadata:
        """By id: never older than what was confirmed to anybody."""
        return _metadata(self._told(self._v3.files().get(fileId=file, fields=_META, supportsAllDrives=True)))

    def children(self, folder: str) -> Iterator[Metadata]:
        """What lies in a folder, in no order; what was made or deleted in the last minutes may be told wrongly."""
        page = None
        while True:
            found = self._listed(folder, pageSize=1000, pageToken=page)
            yield from map(_metadata, found["files"])
            page = found.get("nextPageToken")
            if page is None:
                return

    def newest(self, folder: str, count: int) -> list[Metadata]:
        """The files in a folder that were changed last; a list may not know those of the last minutes."""
        found = self._listed(folder, pageSize=count, orderBy="modifiedTime desc")
        return [_metadata(told) for told in found["files"]]

    def _listed(self, folder: str, **options: Any) -> Mapping[str, Any]:
        return self._told(
            self._v3.files().list(
                q=f"'{folder}' in parents and trashed = false",
                fields=f"nextPageToken,files({_META})",
                supportsAllDrives=True,
                includeItemsFromAllDrives=True,
                **options,
            )
        )

    def new_id(self) -> str:
        """An id for a file that this account will create."""
        with self._ids_lock:
            if not self._ids:
                self._ids = self._told(self._v3.files().generateIds(count=_IDS_AT_ONCE, type="files"))["ids"]
            return self._ids.pop()

    def create_folder(self, file: str, name: str, parent: str | None, properties: Mapping[str, str]) -> None:
        """Make a folder of an id from `new_id`; nothing happens if it is there already."""
        self._created({**_body(file, name, parent, properties), "mimeType": FOLDER})

    def create(self, file: str, name: str, parent: str, content: bytes, properties: Mapping[str, str]) -> None:
        """Make a small file of an id from `new_id`; nothing happens if it is there already."""
        self._filled(_body(file, name, parent, properties), io.BytesIO(content))

    def note(self, file: str, properties: Mapping[str, str]) -> None:
        """Add to a file's properties, or replace those of the same names."""
        body = {"properties": dict(properties)}
        self._told(self._v3.files().update(fileId=file, body=body, fields="id", supportsAllDrives=True))

    def upload(
        self, source: Path, file: str, name: str, parent: str, digest: str, properties: Mapping[str, str] = NO_NOTES
    ) -> None:
        """Make a file of an id from `new_id`, in chunks that go on after a cut; nothing is left of one that is damaged.

        Args:
            digest: the MD5 of the source, which Drive confirms.
        """
        with source.open("rb") as stream:
            self._filled(_body(file, name, parent, properties), stream)
        told = self.metadata(file)
        if (told.md5, told.size) != (digest, source.stat().st_size):
            self.delete(file)
            raise DriveRefused(Reason.UNREACHABLE, f"{source.name} did not arrive whole")

    def download(self, file: str, target: BinaryIO) -> None:
        """Write the file's bytes, unchecked, to a stream."""
        with _explained():
            request = self._v3.files().get_media(fileId=file, supportsAllDrives=True)
            download = MediaIoBaseDownload(target, request, _CHUNK_BYTES)
            finished = False
            while not finished:
                _, finished = download.next_chunk(num_retries=_TRIES)

    def delete(self, file: str) -> None:
        """Nothing happens if it is not there."""
        try:
            self._done(self._v3.files().delete(fileId=file, supportsAllDrives=True))
        except DriveRefused as refused:
            if refused.reason is not Reason.MISSING:
                raise

    def share(self, folder: str, email: str) -> None:
        """Let another account write in a folder."""
        body = {"type": "user", "role": "writer", "emailAddress": email}
        self._told(
            self._v3.permissions().create(
                fileId=folder, body=body, sendNotificationEmail=False, supportsAllDrives=True, fields="id"
            )
        )

    def account(self) -> Account:
        told = self._told(self._v3.about().get(fields="user(emailAddress),storageQuota(limit,usage)"))
        quota = told["storageQuota"]
        limit = quota.get("limit")
        return Account(told["user"]["emailAddress"], int(quota.get("usage", 0)), None if limit is None else int(limit))

    # --- compare and set ---

    def etag(self, file: str) -> tuple[str, str]:
        """A file's etag and the MD5 of its content, in hexadecimal."""
        return _etag(self._told(self._v2.files().get(fileId=file, fields="etag,md5Checksum", supportsAllDrives=True)))

    def read(self, file: str) -> bytes:
        """A small file's bytes, unchecked."""
        content: bytes = self._done(self._v3.files().get_media(fileId=file, supportsAllDrives=True))
        return content

    def swap(self, file: str, content: bytes, etag: str) -> tuple[str, str]:
        """Put a new content in the place of the one with this etag; its etag and MD5.

        Raises:
            DriveRefused: STALE also where it happened and the answer was lost: the library sends such a request again.
        """
        request = self._v2.files().update(
            fileId=file, media_body=_in_memory(content), fields="etag,md5Checksum", supportsAllDrives=True
        )
        request.headers["If-Match"] = etag
        return _etag(self._told(request))

    # --- requests ---

    def _created(self, body: dict[str, Any], media: Any = None) -> None:
        try:
            self._told(self._v3.files().create(body=body, media_body=media, fields="id", supportsAllDrives=True))
        except DriveRefused as refused:
            if refused.reason is not Reason.EXISTS:
                raise

    def _filled(self, body: dict[str, Any], content: BinaryIO) -> None:
        begin = content.read(_CHUNK_BYTES + 1)
        # One request instead of two, and Drive knows no session for an empty file.  But the library ends a part with a
        # line feed alone: a carriage return before it would be taken for half of the separator, and be lost.
        if len(begin) <= _CHUNK_BYTES and not begin.endswith(b"\r"):
            self._created(body, _in_memory(begin))
        else:
            self._created_in_chunks(body, content)

    def _created_in_chunks(self, body: dict[str, Any], content: BinaryIO) -> None:
        """After a cut the library asks how far the session is, and goes on; a session that is gone is begun anew."""
        failures, request, finished = 0, None, None
        while finished is None:
            try:
                request = request or self._session(body, content)
                with _explained():
                    _, finished = request.next_chunk(num_retries=_TRIES)
                failures = 0
            except DriveRefused as refused:
                if refused.reason is Reason.EXISTS:
                    return
                failures += 1
                if refused.reason not in (Reason.UNREACHABLE, Reason.MISSING) or failures > _TRIES:
                    raise
                request = None if refused.reason is Reason.MISSING else request
                time.sleep(random.random() * 2**failures)

    def _session(self, body: dict[str, Any], content: BinaryIO) -> Any:
        media = _Chunks(content, BYTES, _CHUNK_BYTES, resumable=True)
        return self._v3.files().create(body=body, media_body=media, fields="id", supportsAllDrives=True)

    def _told(self, request: Any) -> Mapping[str, Any]:
        told = self._done(request)
        if not isinstance(told, dict):
            raise DriveRefused(Reason.UNREACHABLE, "what answered is not Drive")
        return told

    def _done(self, request: Any) -> Any:
        with _explained():
            return request.execute(num_retries=_TRIES)

    @property
    def _v2(self) -> Any:
        return self._service("v2")

    @property
    def _v3(self) -> Any:
        return self._service("v3")

    def _service(self, version: str) -> Any:
        known: dict[str, Any] = self._own.__dict__.setdefault("services", {})
        if version not in known:
            document = _document(version, self._root_url)
            known[version] = discovery.build_from_document(document, http=self._http())
        return known[version]

    def _http(self) -> Any:
        # Not httplib2.Http(): it takes Drive's 308, "go on with the upload", for a redirection.
        connection = build_http()
        connection.timeout = _TIMEOUT_SECONDS
        return _Listening(self._credentials, connection, self.clock)


class _Listening(google_auth_httplib2.AuthorizedHttp):  # type: ignore[misc]
    """Tells the clock what time every answer was given."""

    def __init__(self, credentials: Any, connection: Any, clock: ServiceClock) -> None:
        super().__init__(credentials, http=connection)
        self._clock = clock

    def request(self, *arguments: Any, **named: Any) -> Any:
        response, content = super().request(*arguments, **named)
        self._clock.note(response.get("date"))
        return response, content


class _explained:  # noqa: N801  (reads as a word at its place)
    """Turns what the libraries raise into DriveRefused and SignInNeeded."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case OSError(errno=number) if number in _OF_THE_DISK:
                return
            case HttpError():
                raise refusal(int(error.resp.status), error.content) from error
            case google.auth.exceptions.RefreshError() if not error.retryable:
                raise not_signed_in(str(error.args[0] if error.args else error)) from None
            case (
                google.auth.exceptions.GoogleAuthError()
                | httplib2.HttpLib2Error()
                | http.client.HTTPException()
                | ConnectionError()
                | TimeoutError()
                | OSError()
            ):
                raise DriveRefused(Reason.UNREACHABLE, str(error) or type(error).__name__) from error


class _Chunks(MediaIoBaseUpload):  # type: ignore[misc]
    """Gives the library bytes: of a stream, a chunk that is sent again after a cut would have nothing left to send."""

    def has_stream(self) -> bool:
        return False


@cache
def _document(version: str, root_url: str | None) -> str:
    """The API's description that comes with the library, for the address that is used."""
    document = json.loads(discovery_cache.get_static_doc("drive", version))
    if root_url is not None:
        # Both: uploads go to the one, all else to the other.
        document["rootUrl"] = root_url
        document["baseUrl"] = root_url + document["servicePath"]
    return json.dumps(document)


def _body(file: str, name: str, parent: str | None, properties: Mapping[str, str]) -> dict[str, Any]:
    parents = {} if parent is None else {"parents": [parent]}
    return {"id": file, "name": name, "properties": dict(properties), **parents}


def _in_memory(content: bytes) -> Any:
    return MediaIoBaseUpload(io.BytesIO(content), BYTES, resumable=False)


def _metadata(told: Mapping[str, Any]) -> Metadata:
    return Metadata(
        id=told["id"],
        name=told["name"],
        size=int(told.get("size", 0)),
        parents=tuple(told.get("parents", ())),
        md5=told.get("md5Checksum", ""),
        sha256=told.get("sha256Checksum", ""),
        properties=told.get("properties", {}),
        mine=told.get("ownedByMe", False),
        trashed=told.get("trashed", False),
        modified=told.get("modifiedTime", ""),
    )


def _etag(told: Mapping[str, Any]) -> tuple[str, str]:
    return told["etag"], told["md5Checksum"]


def md5(content: bytes) -> str:
    """As Drive tells it; not against malice, which the account's owner would not need it for."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
