"""Where a home is, and how a command comes to know it: an option, the environment, or a note in this directory.

What is at the address stands in `orchestrator.home`; nothing is opened here.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import untrusted
from orchestrator.errors import HomeError, UsageError
from orchestrator.jobtable import postgresql_url

NOTE_FILE = Path(".orch.toml")
"""Where `orch plan` notes the address, so that the next commands in this directory find it.  Holds no password."""


@dataclass(frozen=True)
class Address:
    """All that is needed to open a home."""

    url: str
    """A directory or a URL.  Given by a person it may hold a password: show and keep `without_password(url)`."""
    artifacts: str | None = None
    """Where its files are, if it does not keep them itself."""


def scheme(url: str) -> str | None:
    """`postgresql` of `postgresql://...`; None for a directory."""
    match = re.match(r"([a-z][a-z0-9+.-]*)://|(gdrive):", url)
    return match and (match[1] or match[2])


def drive_folder(url: str) -> str:
    """The folder's id of `gdrive://ID`; empty in `gdrive:`, which is a folder that is not there yet.

    Raises:
        UsageError: the home is elsewhere, or what stands there is no id.
    """
    if scheme(url) != "gdrive":
        raise UsageError(f"{url} is not on Google Drive, and other accounts' notebooks reach nothing else.")
    folder = url.removeprefix("gdrive:").strip("/")
    if folder and not untrusted.is_drive_id(folder):
        raise UsageError(f"{folder!a} is no folder's id; it is the last part of the folder's address on Drive.")
    return folder


def without_password(url: str) -> str:
    """A home's URL as anybody may see it.  Raises UsageError if it is PostgreSQL's and cannot be understood."""
    return postgresql_url.shown(url) if scheme(url) in postgresql_url.SCHEMES else url


def has_password(url: str) -> bool:
    """Raises UsageError if the URL is PostgreSQL's and cannot be understood."""
    return scheme(url) in postgresql_url.SCHEMES and postgresql_url.has_password(url)


def known(home: str | None, artifacts: str | None) -> Address:
    """The home that is meant: the options, else ORCH_HOME and ORCH_ARTIFACTS, else what `orch plan` noted here.

    Raises:
        HomeError: none of them says one.
    """
    note = _note()
    url = home or os.environ.get("ORCH_HOME") or note.get("home")
    if not url:
        raise HomeError("No home is known here; run `orch plan` first, or give --home or ORCH_HOME.")
    return _complete(url, artifacts, note)


def of_study(study: str, home: str | None, artifacts: str | None) -> Address:
    """Where a study shall live: the options, the environment, where it was planned from here before, ./STUDY.orch."""
    note = _note()
    before = note.get("home") if note.get("study") == study else None
    return _complete(home or os.environ.get("ORCH_HOME") or before or f"{study}.orch", artifacts, note)


def remember(study: str, address: Address) -> None:
    """Note where a study lives for the next commands in this directory, if it can be written to."""
    noted = {"study": study, "home": without_password(address.url), "artifacts": address.artifacts}
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in noted.items() if value is not None)
    with suppress(OSError):
        NOTE_FILE.write_text("".join(lines), encoding="utf-8")


def _complete(url: str, artifacts: str | None, note: dict[str, str]) -> Address:
    """With the place of its files, which only a home that does not keep them itself needs."""
    if scheme(url) is None:
        return Address(url, artifacts)
    noted = note.get("artifacts") if note.get("home") == without_password(url) else None
    place = artifacts or os.environ.get("ORCH_ARTIFACTS") or noted
    return Address(url, _from_anywhere(place) if place else None)


def directory(path: str | Path) -> Path:
    """A directory by its whole path; a `~` before it is somebody's home directory.

    Raises:
        UsageError: there is no such person, or they have no home directory.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise UsageError(f"{path} begins with a home directory that is not known here; give the whole path.") from None


def _from_anywhere(place: str) -> str:
    """So that a note of it is true in other directories too."""
    return place if scheme(place) else str(directory(place))


def _note() -> dict[str, str]:
    try:
        return tomllib.loads(NOTE_FILE.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}
