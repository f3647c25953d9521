"""Where a home is, and how a command comes to know it: an option, the environment, or a note in this directory.

What is at the address stands in `orchestrator.home`; nothing is opened here.

A note is copied and moved together with the directory that it lies in.  So a home below that directory is noted by its
path from there, and means the copy's own after `cp -r`; of every other home the note says where it was written, because
whoever plans in a copy would else plan the original again, and cancel its jobs.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.files import replace_file
from orchestrator import untrusted
from orchestrator.errors import HomeError, UsageError
from orchestrator.jobtable.backends import postgresql_url
from orchestrator.object_stores import places

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
        shown = without_password(url)
        raise UsageError(f"{shown} is not on Google Drive: nothing else is shared with accounts.")
    folder = url.removeprefix("gdrive:").strip("/")
    if folder and not untrusted.is_drive_id(folder):
        raise UsageError(f"{folder!a} is no folder's id; it is the last part of the folder's address on Drive.")
    return folder


def without_password(url: str) -> str:
    """A home's URL as anybody may see it; of an unknown kind only the kind, for any part may be a password.

    Raises UsageError if it is PostgreSQL's or an object store's, and cannot be understood.
    """
    kind = scheme(url)
    if kind in postgresql_url.SCHEMES:
        return postgresql_url.shown(url)
    if kind in places.SCHEMES:
        return places.parsed(url).url
    return url if kind in (None, "gdrive") else f"{kind}://..."


def has_password(url: str) -> bool:
    """Raises UsageError if the URL is PostgreSQL's and cannot be understood."""
    return scheme(url) in postgresql_url.SCHEMES and postgresql_url.has_password(url)


def known(home: str | None, artifacts: str | None) -> Address:
    """The home that is meant: the options, else ORCH_HOME and ORCH_ARTIFACTS, else what `orch plan` noted here.

    Raises:
        HomeError: none of them says one.
    """
    found = known_if_any(home, artifacts)
    if found is None:
        raise HomeError("No home is known here; run `orch plan` first, or give --home or ORCH_HOME.")
    return found


def known_if_any(home: str | None, artifacts: str | None) -> Address | None:
    """The same; None if none of them says one."""
    note = _note()
    url = home or os.environ.get("ORCH_HOME") or note.get("home")
    return _complete(url, artifacts, note) if url else None


def several(homes: Sequence[str], artifacts: str | None) -> list[Address]:
    """Homes that were given by name; `artifacts` is for those of them that do not keep their files themselves."""
    note = _note()
    return [
        _complete(home, artifacts, note) if scheme(home) in postgresql_url.SCHEMES else Address(home) for home in homes
    ]


def of_study(study: str, home: str | None, artifacts: str | None) -> Address:
    """Where a study shall live: the options, the environment, where it was planned from here before, ./STUDY.orch.

    Raises:
        UsageError: it was planned from another directory, of which this one is a copy.
    """
    note = _note()
    named = home or os.environ.get("ORCH_HOME")
    if named is None and note.get("study") == study and "home" in note:
        _refuse_copies(note)
        named = note["home"]
    return _complete(named or f"{study}.orch", artifacts, note)


def remember(study: str, address: Address, code: Collection[str] = ()) -> str | None:
    """Note where a study lives for the next commands in this directory.

    Args:
        code: SHA-256 of the person's own code in it, which workers that are started here may run.

    Returns:
        why it is not noted, in a sentence, if it cannot be.
    """
    home = _as_noted(without_password(address.url))
    noted = {"study": study, "home": home, "artifacts": address.artifacts}
    if not all(map(_is_utf8, filter(None, noted.values()))):
        return "The home is not noted, because its path is not UTF-8; give --home to the next commands."
    if not home.startswith(_BESIDE) and _is_utf8(str(Path.cwd())):
        noted["directory"] = str(Path.cwd())
    lines = (f"{key} = {_toml(value)}\n" for key, value in noted.items() if value is not None)
    vouched = f"code = {json.dumps(sorted(code))}\n" if code else ""
    try:
        replace_file(NOTE_FILE, ("".join(lines) + vouched).encode())
    except OSError as error:
        return f"The home could not be noted in {NOTE_FILE} ({error.strerror}); give --home to the next commands."
    return None


def noted_code() -> frozenset[str]:
    """SHA-256 of the code that was planned from this directory."""
    code = _read_note().get("code", [])
    return frozenset(filter(untrusted.is_sha256, map(str, code))) if isinstance(code, list) else frozenset()


def _complete(url: str, artifacts: str | None, note: dict[str, str]) -> Address:
    """With the place of its files, which only a home that does not keep them itself needs."""
    if scheme(url) is not None and not _is_utf8(url):
        raise UsageError("The URL that --home or ORCH_HOME gives is not UTF-8; check how it was typed.")
    if scheme(url) not in postgresql_url.SCHEMES:
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


_BESIDE = "./"
"""How the path of a home begins that lies below its note: no URL does."""


def _note() -> dict[str, str]:
    """What is noted here, its home as it is understood from here; empty if there is no note that can be read."""
    note = {key: value for key, value in _read_note().items() if isinstance(value, str)}
    if "home" in note and scheme(note["home"]) is None:
        home = Path(note["home"])
        note["home"] = str(_found_again(home) if home.is_absolute() else Path.cwd() / home)
    return note


def _read_note() -> dict[str, Any]:
    try:
        return tomllib.loads(NOTE_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _found_again(home: Path) -> Path:
    """Older notes have whole paths only: a home that was beside its note is found there if both were moved."""
    beside = Path.cwd() / home.name
    return beside if not _exists(home) and _exists(beside) else home


def _as_noted(url: str) -> str:
    here = Path.cwd().resolve()
    if scheme(url) is not None:
        return url
    home = directory(url)
    return f"{_BESIDE}{home.resolve().relative_to(here)}" if home.resolve().is_relative_to(here) else str(home)


def _refuse_copies(note: dict[str, str]) -> None:
    """Raises UsageError if the note was written for another directory that is still there."""
    original = note.get("directory") or _project_around(note["home"])
    if original is None or Path(original) == Path.cwd() or not _exists(Path(original) / NOTE_FILE):
        return
    raise UsageError(
        f"This directory is a copy of {original}, whose study lives in {note['home']}; "
        f"give --home {note['home']} to plan that one again, or another --home for a study of its own."
    )


def _project_around(home: str) -> str | None:
    """The directory that an older note was written in: it does not say, but a home of its own lay beside it."""
    if scheme(home) is not None or Path(home).resolve().is_relative_to(Path.cwd().resolve()):
        return None
    return str(Path(home).parent)


def _exists(path: Path) -> bool:
    """What may not be looked at counts as not there."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_utf8(text: str) -> bool:
    """What Python makes of a path with other bytes can stand neither in a TOML file nor in JSON."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _toml(text: str) -> str:
    """As JSON writes it, but for what TOML reads otherwise: characters beyond the first plane, and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
