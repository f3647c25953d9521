"""Files as versions 2 and 3 of the API write them, and the masks that choose what of them is told."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from tests.support.drive.state import Account, File

DEFAULT_FIELDS = "kind,id,name,mimeType"


def v3(file: File, account: Account) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": "drive#file",
        "id": file.id,
        "name": file.name,
        "mimeType": file.mime,
        "parents": file.parents,
        "version": str(file.version),
        "createdTime": _time(file.created),
        "modifiedTime": _time(file.modified),
        "trashed": file.trashed,
        "ownedByMe": file.owner == account.email,
        "owners": [{"emailAddress": file.owner}],
        "properties": file.properties,
    }
    if not file.is_folder:
        told |= {
            "size": str(len(file.content)),
            "md5Checksum": file.md5,
            "sha256Checksum": hashlib.sha256(file.content).hexdigest(),
        }
    return told


def v2(file: File) -> dict[str, Any]:
    return {
        "kind": "drive#file",
        "id": file.id,
        "etag": file.etag,
        "title": file.name,
        "mimeType": file.mime,
        "version": str(file.version),
        "md5Checksum": file.md5,
        "fileSize": str(len(file.content)),
        "modifiedDate": _time(file.modified),
        "labels": {"trashed": file.trashed},
    }


def masked(told: Any, mask: str) -> Any:
    """What a mask such as `nextPageToken,files(id,owners/emailAddress)` leaves."""
    if mask == "*":
        return told
    if isinstance(told, list):
        return [masked(one, mask) for one in told]
    kept: dict[str, Any] = {}
    for name, inner in _parts(mask):
        if name in told:
            kept[name] = masked(told[name], inner) if inner else told[name]
    return kept


def _parts(mask: str) -> list[tuple[str, str]]:
    """Names, and the mask of what is below each."""
    parts, depth, begun = [], 0, 0
    for at, letter in enumerate(f"{mask},"):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(mask[begun:at])
            begun = at + 1
    split = [re.fullmatch(r"(\w+)(?:\((.*)\)|/(.*))?", part.strip()) for part in parts]
    return [(one[1], one[2] or one[3] or "") for one in split if one is not None]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
