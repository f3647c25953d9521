"""Accounts and files, and who may do what with them: Drive's rules without its HTTP."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_RANKS = (None, "reader", "writer")
FOLDER = "application/vnd.google-apps.folder"


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass
class Account:
    """A person with a storage of their own; with none, as service accounts have it."""

    email: str
    quota_bytes: int
    root_id: str
    token: str = field(default_factory=lambda: f"ya29.{secrets.token_urlsafe(24)}")
    may_sign_in: bool = True
    files: list[Path] = field(default_factory=list)

    @property
    def is_service(self) -> bool:
        return self.email.endswith(".gserviceaccount.com")

    def token_file(self, path: Path) -> Path:
        """A file with the token of now, readable by its owner alone; it follows when the token is renewed."""
        path.touch(mode=0o600)
        path.write_text(self.token)
        self.files.append(path)
        return path

    def renew_token(self) -> None:
        """The token of before is good for nothing from now on."""
        self.token = f"ya29.{secrets.token_urlsafe(24)}"
        for path in self.files:
            path.write_text(self.token)


@dataclass
class File:
    id: str
    name: str
    owner: str
    parents: list[str]
    mime: str
    content: bytes
    properties: dict[str, str]
    created: float
    modified: float
    version: int = 1
    trashed: bool = False
    shared_with: dict[str, str] = field(default_factory=dict)
    """Roles by e-mail address."""
    link_role: str | None = None
    """The role of whoever has the address: of the permission `anyoneWithLink`."""
    deleted: float | None = None

    @property
    def is_folder(self) -> bool:
        return self.mime == FOLDER

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return f'"{self.id[:8]}/{self.version}"'


class State:
    """All that the service remembers.  Whoever calls more than one method at once holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.lag_seconds = 0.0
        """How long after a file was made or deleted a list still shows what was before."""
        self.publishes = True
        """Whether accounts may open files to everybody: an organisation can forbid it."""
        self._files: dict[str, File] = {}
        self._ids: dict[str, str] = {}
        """Ids that were made beforehand, and for whom."""

    def account(self, email: str, quota_bytes: int) -> Account:
        with self.lock:
            made = self.accounts[email] = Account(email, quota_bytes, _new_id())
            self._files[made.root_id] = _file(made.root_id, "My Drive", email, [], FOLDER, {})
            return made

    def signed_in(self, token: str) -> Account:
        for account in self.accounts.values():
            if account.token == token and account.may_sign_in:
                return account
        raise Refused(401, "authError", "Invalid Credentials")

    def files(self) -> Iterator[File]:
        return (file for file in self._files.values() if file.deleted is None)

    def used_bytes(self, email: str) -> int:
        return sum(len(file.content) for file in self.files() if file.owner == email)

    # --- what accounts ask for ---

    def generate_ids(self, account: Account, count: int) -> list[str]:
        made = [_new_id() for _ in range(count)]
        self._ids.update(dict.fromkeys(made, account.email))
        return made

    def get(self, account: Account, file: str) -> File:
        found = self._files.get(account.root_id if file == "root" else file)
        hidden = found is not None and found.trashed and found.owner != account.email
        if found is None or found.deleted is not None or hidden or self._role(account, found) is None:
            raise Refused(404, "notFound", f"File not found: {file}.")
        return found

    def listed(self, account: Account) -> Iterator[File]:
        """What a list shows: late by the lag."""
        then = time.time() - self.lag_seconds
        for file in self._files.values():
            there = file.created <= then and (file.deleted is None or file.deleted > then)
            if there and file.id not in {one.root_id for one in self.accounts.values()} and self._role(account, file):
                yield file

    def create(
        self, account: Account, wanted: str | None, name: str, parents: list[str], mime: str, properties: dict[str, str]
    ) -> File:
        file = wanted or _new_id()
        if file in self._files:
            raise Refused(409, "fileIdInUse", "A file already exists with the provided ID.")
        if wanted is not None and self._ids.get(wanted) != account.email:
            raise Refused(400, "invalid", "The provided file ID is not usable.")
        places = [self.get(account, parent).id for parent in parents] or [account.root_id]
        for place in places:
            self._need_writer(account, self._files[place])
        made = _file(file, name, account.email, places, mime, properties)
        self._files[file] = made
        return made

    def write(self, account: Account, file: File, content: bytes) -> None:
        self._need_writer(account, file)
        owner = self.accounts[file.owner]
        if owner.is_service and len(content) > 0:
            raise Refused(403, "storageQuotaExceeded", "Service Accounts do not have storage quota.")
        if self.used_bytes(owner.email) - len(file.content) + len(content) > owner.quota_bytes:
            raise Refused(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded.")
        file.content = content
        self.touch(file)

    def touch(self, file: File) -> None:
        """The service makes a new version, with or without cause."""
        file.version += 1
        file.modified = time.time()

    def forget(self, file: File) -> None:
        """A file whose content was refused was never there."""
        del self._files[file.id]

    def trash(self, file: File, *, restored: bool = False) -> None:
        """Its owner puts it into the bin, with all that is in it, or takes it out again."""
        file.trashed = not restored
        for child in self.files():
            if file.id in child.parents:
                self.trash(child, restored=restored)

    def delete(self, account: Account, file: File) -> None:
        if file.owner != account.email:
            self._need_reader(account, file)
            raise Refused(403, "insufficientFilePermissions", "The user does not have sufficient permissions for it.")
        self._delete(file, time.time())

    def _delete(self, file: File, when: float) -> None:
        file.deleted = when
        for child in list(self.files()):
            if file.id in child.parents:
                self._delete(child, when)

    def share(self, account: Account, file: File, email: str, role: str) -> None:
        self._need_writer(account, file)
        if email not in self.accounts:
            raise Refused(400, "invalidSharingRequest", "There is no Google account of this address.")
        file.shared_with[email] = role

    def open_to_everybody(self, account: Account, file: File, role: str) -> None:
        self._need_writer(account, file)
        if not self.publishes:
            raise Refused(400, "publishOutNotPermitted", 'Bad Request. User message: ""')
        file.link_role = role

    def close_to_everybody(self, account: Account, file: File) -> None:
        self._need_writer(account, file)
        if file.link_role is None:
            raise Refused(404, "notFound", "Permission not found: anyoneWithLink.")
        file.link_role = None

    def _need_reader(self, account: Account, file: File) -> None:
        self.get(account, file.id)

    def _need_writer(self, account: Account, file: File) -> None:
        self._need_reader(account, file)
        if self._role(account, file) not in ("owner", "writer"):
            raise Refused(403, "insufficientFilePermissions", "The user does not have sufficient permissions for it.")

    def _role(self, account: Account, file: File) -> str | None:
        """The role that the file itself gives, or the nearest folder around it that says something."""
        if file.owner == account.email:
            return "owner"
        if account.email in file.shared_with:
            return file.shared_with[account.email]
        around = [self._files[parent] for parent in file.parents if parent in self._files]
        roles = [role for folder in around if (role := self._role(account, folder)) is not None]
        by_name = "writer" if "owner" in roles else next(iter(roles), None)
        return max(by_name, file.link_role, key=_RANKS.index)


def _file(file: str, name: str, owner: str, parents: list[str], mime: str, properties: dict[str, str]) -> File:
    now = time.time()
    return File(file, name, owner, parents, mime, b"", properties, now, now)


def _new_id() -> str:
    return secrets.token_urlsafe(24).replace("-", "a").replace("_", "b")
