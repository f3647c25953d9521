"""Requests to Google Drive: version 3 of its API for files, version 2 for the compare-and-set that version 3 lacks.

Everything is addressed by id: names are not unique, and listing by name lags.  Every create carries an id that Drive
made before, so that a request which is sent twice creates one file.
What answers mean that are no success stands in `orchestrator.google_drive.refusals`.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

from orchestrator.google_drive.connection import TRIES_MORE, Connection, explained, in_words, pause_after
from orchestrator.google_drive.refusals import DriveRefused, Reason

NEARLY_FULL = 0.9
"""The share of an account's storage from which on it is told."""

FOLDER = "application/vnd.google-apps.folder"
BYTES = "application/octet-stream"
NO_NOTES: Mapping[str, str] = {}

# A multiple of 256 KiB, as Drive wants them.  What a cut connection makes to be sent again is at most this.
_CHUNK_BYTES = 8 << 20
_IDS_AT_ONCE = 20

_OF_READERS = "anyoneWithLink"
"""What Drive calls the permission of whoever has an address: a file has one of this id, or none."""

_META = "id,name,parents,size,md5Checksum,sha256Checksum,properties,ownedByMe,owners(emailAddress),trashed,modifiedTime"


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
    """The MD5 of its content, in hexadecimal; empty of a folder."""
    sha256: str
    """The same; empty also of a file that Drive has not looked at yet."""
    properties: Mapping[str, str]
    """Notes that every app sees; an app's own `appProperties` the other accounts' sign-ins would not."""
    mine: bool
    """Whether this account owns it, pays for it, and may delete it."""
    owner: str
    """The e-mail address of who does; empty in a shared drive, which is an organisation's."""
    trashed: bool
    """Whether it, or a folder around it, is in its owner's bin."""
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
    def owns_storage(self) -> bool:
        """A service account owns none, and can keep files in shared drives alone."""
        return self.limit_bytes != 0 and not self.email.endswith(".gserviceaccount.com")

    @property
    def nearly_full(self) -> bool:
        """From here on a person is told, before uploads are refused."""
        return self.limit_bytes is not None and self.used_bytes > NEARLY_FULL * self.limit_bytes


class DriveClient:
    """Drive as one account sees it; threads may share it.

    Every method may raise DriveRefused and SignInNeeded, and OSError where a file of this machine is in the way.  What
    meets trouble on its way is sent again: every request here may arrive twice.

    Args:
        renewed: gives the credentials of now when those at hand are not taken any more: a person may have signed in
            again.
    """

    def __init__(self, credentials: Any, root_url: str | None = None, renewed: Callable[[], Any] | None = None) -> None:
        self._connection = Connection(credentials, root_url, renewed)
        self.clock = self._connection.clock
        self._ids: list[str] = []
        self._ids_lock = threading.Lock()

    # --- files ---

    def metadata(self, file: str) -> Metadata:
        """By id: never older than what was confirmed to anybody."""
        return _metadata(
            self._connection.told(self._connection.v3.files().get(fileId=file, fields=_META, supportsAllDrives=True))
        )

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
        return self._connection.told(
            self._connection.v3.files().list(
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
                self._ids = self._connection.told(
                    self._connection.v3.files().generateIds(count=_IDS_AT_ONCE, type="files")
                )["ids"]
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
        self._connection.told(
            self._connection.v3.files().update(fileId=file, body=body, fields="id", supportsAllDrives=True)
        )

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
        with explained():
            request = self._connection.v3.files().get_media(fileId=file, supportsAllDrives=True)
            download = MediaIoBaseDownload(target, request, _CHUNK_BYTES)
        finished = False
        while not finished:
            _, finished = self._connection.insist(download.next_chunk)

    def delete(self, file: str) -> None:
        """Nothing happens if it is not there."""
        try:
            self._connection.insist(self._connection.v3.files().delete(fileId=file, supportsAllDrives=True).execute)
        except DriveRefused as refused:
            if refused.reason is not Reason.MISSING:
                raise

    def share(self, folder: str, email: str) -> None:
        """Let another account write in a folder."""
        body = {"type": "user", "role": "writer", "emailAddress": email}
        self._connection.told(
            self._connection.v3.permissions().create(
                fileId=folder, body=body, sendNotificationEmail=False, supportsAllDrives=True, fields="id"
            )
        )

    def open_to_readers(self, folder: str) -> None:
        """Let whoever has the folder's address read all that is in it, now and later."""
        body = {"type": "anyone", "role": "reader", "allowFileDiscovery": False}
        self._connection.told(
            self._connection.v3.permissions().create(fileId=folder, body=body, supportsAllDrives=True, fields="id")
        )

    def close_to_readers(self, folder: str) -> bool:
        """Take that back; False if it was not so.  Accounts that the folder is shared with by name keep it."""
        request = self._connection.v3.permissions().delete(
            fileId=folder, permissionId=_OF_READERS, supportsAllDrives=True
        )
        try:
            self._connection.insist(request.execute)
        except DriveRefused as refused:
            if refused.reason is not Reason.MISSING:
                raise
            return False
        return True

    def account(self) -> Account:
        told = self._connection.told(
            self._connection.v3.about().get(fields="user(emailAddress),storageQuota(limit,usage)")
        )
        quota = told["storageQuota"]
        limit = quota.get("limit")
        return Account(told["user"]["emailAddress"], int(quota.get("usage", 0)), None if limit is None else int(limit))

    # --- compare and set ---

    def etag(self, file: str) -> tuple[str, str]:
        """A file's etag and the MD5 of its content, in hexadecimal.  One that is in the bin is refused as TRASHED."""
        fields = "etag,md5Checksum,labels(trashed)"
        told = self._connection.told(
            self._connection.v2.files().get(fileId=file, fields=fields, supportsAllDrives=True)
        )
        if told.get("labels", {}).get("trashed", False):
            raise DriveRefused(Reason.TRASHED, "or a folder around it is")
        return _etag(told)

    def read(self, file: str) -> bytes:
        """A small file's bytes, unchecked."""
        request = self._connection.v3.files().get_media(fileId=file, supportsAllDrives=True)
        content: bytes = self._connection.insist(request.execute)
        return content

    def swap(self, file: str, content: bytes, etag: str) -> tuple[str, str]:
        """Put a new content in the place of the one with this etag; its etag and MD5.

        Raises:
            DriveRefused: STALE also where it happened and the answer was lost: the library sends such a request again.
        """
        request = self._connection.v2.files().update(
            fileId=file, media_body=_in_memory(content), fields="etag,md5Checksum", supportsAllDrives=True
        )
        request.headers["If-Match"] = etag
        return _etag(self._connection.told(request))

    # --- requests ---

    def _created(self, body: dict[str, Any], media: Any = None) -> None:
        try:
            self._connection.told(
                self._connection.v3.files().create(body=body, media_body=media, fields="id", supportsAllDrives=True)
            )
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
                with explained():
                    _, answer = request.next_chunk(num_retries=TRIES_MORE)
                finished = None if answer is None else in_words(answer)
                failures = 0
            except DriveRefused as refused:
                if refused.reason is Reason.EXISTS:
                    return
                failures += 1
                if refused.reason not in (Reason.UNREACHABLE, Reason.MISSING) or failures > TRIES_MORE:
                    raise
                request = None if refused.reason is Reason.MISSING else request
                pause_after(failures)

    def _session(self, body: dict[str, Any], content: BinaryIO) -> Any:
        media = _Chunks(content, BYTES, _CHUNK_BYTES, resumable=True)
        return self._connection.v3.files().create(body=body, media_body=media, fields="id", supportsAllDrives=True)


class _Chunks(MediaIoBaseUpload):  # type: ignore[misc]
    """Gives the library bytes: of a stream, a chunk that is sent again after a cut would have nothing left to send."""

    def has_stream(self) -> bool:
        return False


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
        owner=next((owner.get("emailAddress", "") for owner in told.get("owners", ())), ""),
        trashed=told.get("trashed", False),
        modified=told.get("modifiedTime", ""),
    )


def _etag(told: Mapping[str, Any]) -> tuple[str, str]:
    return told["etag"], told["md5Checksum"]


def md5(content: bytes) -> str:
    """As Drive tells it; not against malice, which the account's owner would not need it for."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
