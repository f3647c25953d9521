"""The HTTP of the Drive server: routes, uploads in their three ways, faults, and the record of requests."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.support.drive import resources
from tests.support.drive.faults import Fault, Faults
from tests.support.drive.state import Account, File, Refused, State

CHUNK_BYTES = 256 << 10
"""What the chunks of a resumable upload are multiples of, but for the last."""


@dataclass(frozen=True)
class Request:
    """One that has arrived."""

    account: str
    method: str
    path: str
    status: int
    units: int
    """Units of the quota that the request took."""


class DriveServer:
    """`with DriveServer() as drive:` serves on a port of its own until the end of the block."""

    def __init__(self) -> None:
        self.state = State()
        self.faults = Faults()
        self.requests: list[Request] = []
        self.latency_seconds = 0.0
        self.compares = True
        """Whether `If-Match` is looked at: a service that does not is none to work on."""
        self.clock_ahead_seconds = 0.0
        """Seconds that the `Date` in answers is ahead."""
        self.sessions: dict[str, _Session] = {}
        handler = type("Handler", (_Handler,), {"drive": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> DriveServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def account(self, address: str, quota_bytes: int = 15 << 30) -> Account:
        return self.state.account(address, quota_bytes)

    def files(self, name: str | None = None) -> list[File]:
        with self.state.lock:
            return [file for file in self.state.files() if name is None or file.name == name]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients die in the middle of an answer here all the time; what they meet is asserted at their end."""


@dataclass
class _Session:
    """A resumable upload under way."""

    finish: Callable[[bytes], dict[str, Any]]
    size: int
    received: bytearray
    answer: dict[str, Any] | None = None


class _Handler(BaseHTTPRequestHandler):
    drive: ClassVar[DriveServer]
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.drive.clock_ahead_seconds)

    def log_message(self, *_: object) -> None:
        """The record is `DriveServer.requests`."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`do_GET` and the like, which are all the same here."""
        if name in {f"do_{method}" for method in ("GET", "POST", "PUT", "PATCH", "DELETE")}:
            return self._serve
        raise AttributeError(name)

    # --- one request ---

    def _serve(self) -> None:
        split = urlsplit(self.path)
        self.route, self.query = split.path, {key: values[-1] for key, values in parse_qs(split.query).items()}
        expected = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(expected)
        if len(self.body) < expected:
            self.close_connection = True  # whoever sent it died on the way: a request that is not whole is none
            return
        self.who = "?"
        time.sleep(self.drive.latency_seconds)
        fault = self.drive.faults.next(self.command, self.route)
        if fault is Fault.SLOW:
            time.sleep(self.drive.faults.slow_seconds)
        if fault is Fault.CUT_BEFORE:
            self._cut(0)
            return
        status, headers, content = self._answered(fault)
        self._record(status)
        if fault is Fault.CUT_AFTER:
            self._cut(status)
            return
        if fault is Fault.CORRUPT and content and status in (200, 206) and self.query.get("alt") == "media":
            content = bytes([content[0] ^ 1]) + content[1:]
        self._send(status, headers, content, whole=fault is not Fault.CUT_IN_BODY)

    def _answered(self, fault: Fault | None) -> tuple[int, dict[str, str], bytes]:
        try:
            with self.drive.state.lock:
                account = self.drive.state.signed_in(self.headers.get("authorization", "").removeprefix("Bearer "))
                self.who = account.email
                _raise(fault)
                if fault is Fault.STALE_ETAG and (found := re.search(r"/files/(?!generateIds)([^/]+)$", self.route)):
                    self.drive.state.touch(self.drive.state.get(account, found[1]))
                answer = self._routed(account)
            if fault is Fault.ERROR_AFTER:
                raise Refused(503, "backendError", "Backend Error")
            return answer
        except Refused as refused:
            if refused.reason == "html":
                return refused.status, {"content-type": "text/html"}, b"<html><h1>Welcome</h1></html>"
            detail = {"domain": "global", "reason": refused.reason, "message": str(refused)}
            error = {"code": refused.status, "message": str(refused), "errors": [detail]}
            return refused.status, {"content-type": "application/json"}, json.dumps({"error": error}).encode()

    def _routed(self, account: Account) -> tuple[int, dict[str, str], bytes]:
        for method, pattern, serve in _ROUTES:
            found = re.fullmatch(pattern, self.route)
            if found and method == self.command:
                return serve(self, account, *found.groups())
        raise Refused(404, "notFound", f"{self.command} {self.route} is not imitated.")

    def _record(self, status: int) -> None:
        request = Request(self.who, self.command, self.route, status, self._units())
        with self.drive.state.lock:
            self.drive.requests.append(request)

    def _units(self) -> int:
        """As https://developers.google.com/workspace/drive/api/guides/limits counts them."""
        if self.query.get("alt") == "media":
            return 200
        if self.command != "GET":
            return 50
        return 100 if self.route == "/drive/v3/files" else 5

    def _send(self, status: int, headers: dict[str, str], content: bytes, *, whole: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if whole else content[: len(content) // 2])
        if not whole:
            self._close()

    def _cut(self, status: int) -> None:
        if not status:
            self._record(0)
        self._close()

    def _close(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    # --- version 3 ---

    def generate_ids(self, account: Account) -> tuple[int, dict[str, str], bytes]:
        return _json({"ids": self.drive.state.generate_ids(account, int(self.query.get("count", "10")))})

    def about(self, account: Account) -> tuple[int, dict[str, str], bytes]:
        used = self.drive.state.used_bytes(account.email)
        told = {
            "user": {"emailAddress": account.email},
            "storageQuota": {"limit": str(account.quota_bytes), "usage": str(used)},
        }
        return _json(resources.masked(told, self._fields("*")))

    def list_files(self, account: Account) -> tuple[int, dict[str, str], bytes]:
        chosen = [file for file in self.drive.state.listed(account) if _matches(file, self.query.get("q", ""))]
        if self.query.get("orderBy") == "modifiedTime desc":
            chosen.sort(key=lambda file: file.modified, reverse=True)
        size, begin = int(self.query.get("pageSize", "100")), int(self.query.get("pageToken", "0"))
        told: dict[str, Any] = {"files": [resources.v3(file, account) for file in chosen[begin : begin + size]]}
        if begin + size < len(chosen):
            told["nextPageToken"] = str(begin + size)
        return _json(resources.masked(told, self._fields(f"nextPageToken,files({resources.DEFAULT_FIELDS})")))

    def get_file(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        found = self.drive.state.get(account, file)
        return self._media(found) if self.query.get("alt") == "media" else self._told(found, account)

    def create_file(self, account: Account) -> tuple[int, dict[str, str], bytes]:
        return self._told(self._created(account, json.loads(self.body or b"{}")), account)

    def update_file(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        found = self.drive.state.get(account, file)
        self._change(account, found, json.loads(self.body or b"{}"))
        return self._told(found, account)

    def delete_file(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        self.drive.state.delete(account, self.drive.state.get(account, file))
        return 204, {}, b""

    def share(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        asked, found = json.loads(self.body), self.drive.state.get(account, file)
        if asked["type"] == "anyone":
            self.drive.state.open_to_everybody(account, found, asked["role"])
            return _json({"id": "anyoneWithLink"})
        self.drive.state.share(account, found, asked["emailAddress"], asked["role"])
        return _json({"id": secrets.token_hex(8)})

    def unshare(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        self.drive.state.close_to_everybody(account, self.drive.state.get(account, file))
        return 204, {}, b""

    def upload(self, account: Account) -> tuple[int, dict[str, str], bytes]:
        """A new file with content: in one request, or the beginning of a session."""
        if self.query.get("uploadType") == "resumable":
            body, mask = json.loads(self.body or b"{}"), self._fields(resources.DEFAULT_FIELDS)
            return self._session(lambda content: resources.masked(self._uploaded(account, body, content), mask))
        body, content = self._parts()
        return _json(resources.masked(self._uploaded(account, body, content), self._fields(resources.DEFAULT_FIELDS)))

    def upload_again(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        """Version 3 has no etag, and asks no `If-Match`."""
        found = self.drive.state.get(account, file)
        body, content = self._parts()
        self._change(account, found, body)
        self.drive.state.write(account, found, content)
        return self._told(found, account)

    def go_on(self, _: Account, session: str) -> tuple[int, dict[str, str], bytes]:
        """A chunk of a resumable upload, or the question how far it is."""
        known = self.drive.sessions.get(session)
        if known is None:
            raise Refused(404, "notFound", "The upload session has expired.")
        told = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers.get("content-range", ""))
        if told is None:
            raise Refused(400, "badRequest", "Content-Range is not valid.")
        if told[1] is not None:
            self._take(known, int(told[1]))
        if known.answer is None and len(known.received) >= known.size:
            known.answer = known.finish(bytes(known.received))
        if known.answer is not None:
            return _json(known.answer)
        headers = {"range": f"bytes=0-{len(known.received) - 1}"} if known.received else {}
        return 308, headers, b""

    # --- version 2 ---

    def get_v2(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        found = self.drive.state.get(account, file)
        return self._media(found) if self.query.get("alt") == "media" else self._told_v2(found)

    def upload_v2(self, account: Account, file: str) -> tuple[int, dict[str, str], bytes]:
        """The one request that compares: a stale etag in `If-Match` is refused.  `If-None-Match` is not looked at."""
        found = self.drive.state.get(account, file)
        wanted = self.headers.get("if-match")
        if self.drive.compares and wanted is not None and wanted not in ("*", found.etag):
            raise Refused(412, "conditionNotMet", "Precondition Failed")
        _, content = self._parts()
        self.drive.state.write(account, found, content)
        return self._told_v2(found)

    # --- what these have in common ---

    def _fields(self, default: str) -> str:
        return self.query.get("fields", default)

    def _told(self, file: File, account: Account) -> tuple[int, dict[str, str], bytes]:
        return _json(resources.masked(resources.v3(file, account), self._fields(resources.DEFAULT_FIELDS)))

    def _told_v2(self, file: File) -> tuple[int, dict[str, str], bytes]:
        status, headers, content = _json(resources.masked(resources.v2(file), self._fields("*")))
        return status, {**headers, "etag": file.etag}, content

    def _media(self, file: File) -> tuple[int, dict[str, str], bytes]:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        content, size = file.content, len(file.content)
        if wanted is None:
            return 200, {"content-type": file.mime}, content
        begin, end = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        if begin >= size:
            return 416, {"content-range": f"bytes */{size}"}, b""
        return 206, {"content-range": f"bytes {begin}-{end}/{size}"}, content[begin : end + 1]

    def _created(self, account: Account, body: dict[str, Any]) -> File:
        return self.drive.state.create(
            account,
            body.get("id"),
            body.get("name", "Untitled"),
            body.get("parents", []),
            body.get("mimeType", "application/octet-stream"),
            body.get("properties", {}),
        )

    def _uploaded(self, account: Account, body: dict[str, Any], content: bytes) -> dict[str, Any]:
        made = self._created(account, body)
        try:
            self.drive.state.write(account, made, content)
        except Refused:
            self.drive.state.forget(made)
            raise
        return resources.v3(made, account)

    def _change(self, account: Account, file: File, body: dict[str, Any]) -> None:
        if body:
            self.drive.state.write(account, file, file.content)
            file.name = body.get("name", file.name)
            file.properties |= body.get("properties", {})
            file.trashed = body.get("trashed", file.trashed)

    def _parts(self) -> tuple[dict[str, Any], bytes]:
        """Metadata and content of an upload in one request."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/"):
            return {}, self.body
        head = f"content-type: {kind}\r\nmime-version: 1.0\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        metadata, media = message.iter_parts()
        return json.loads(_bytes_of(metadata)), _bytes_of(media)

    def _session(self, finish: Callable[[bytes], dict[str, Any]]) -> tuple[int, dict[str, str], bytes]:
        session = secrets.token_urlsafe(16)
        size = int(self.headers.get("x-upload-content-length", "0"))
        self.drive.sessions[session] = _Session(finish, size, bytearray())
        return 200, {"location": f"{self.drive.url}upload/session/{session}"}, b""

    def _take(self, session: _Session, begin: int) -> None:
        """A chunk that goes on from what is there; one that was sent before is known already."""
        last = begin + len(self.body) == session.size
        if len(self.body) % CHUNK_BYTES and not last:
            raise Refused(400, "badRequest", "The size of a chunk is a multiple of 256 KiB.")
        if begin > len(session.received):
            raise Refused(400, "badRequest", "Bytes are missing before this chunk.")
        session.received[begin : begin + len(self.body)] = self.body


def _bytes_of(part: email.message.Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes), "a part of an upload has no parts of its own"
    return content


_RAISED = {
    Fault.ERROR_BEFORE: (503, "backendError", "Backend Error"),
    Fault.RATE_LIMIT: (403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
    Fault.TOO_MANY: (429, "rateLimitExceeded", "Rate Limit Exceeded"),
    Fault.FULL: (403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded."),
    Fault.UNAUTHORIZED: (401, "authError", "Invalid Credentials"),
    Fault.HTML: (502, "html", ""),
    Fault.PORTAL: (200, "html", ""),
}


def _raise(fault: Fault | None) -> None:
    if fault in _RAISED:
        raise Refused(*_RAISED[fault])


def _json(told: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json; charset=UTF-8"}, json.dumps(told).encode()


def _matches(file: File, query: str) -> bool:
    """The few forms of a search that are needed: parents, names, kinds and the bin, joined by `and`."""
    for term in filter(None, map(str.strip, query.split(" and "))):
        if found := re.fullmatch(r"'([^']*)' in parents", term):
            matched = found[1] in file.parents
        elif found := re.fullmatch(r"(name|mimeType) = '([^']*)'", term):
            matched = found[2] == (file.name if found[1] == "name" else file.mime)
        elif found := re.fullmatch(r"trashed = (true|false)", term):
            matched = file.trashed is (found[1] == "true")
        else:
            raise Refused(400, "invalid", f"Invalid Value: {term}")
        if not matched:
            return False
    return True


_FILE = r"/drive/v%d/files/([^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., tuple[int, dict[str, str], bytes]]]] = [
    ("GET", "/drive/v3/about", _Handler.about),
    ("GET", "/drive/v3/files/generateIds", _Handler.generate_ids),
    ("GET", "/drive/v3/files", _Handler.list_files),
    ("POST", "/drive/v3/files", _Handler.create_file),
    ("GET", _FILE % 3, _Handler.get_file),
    ("PATCH", _FILE % 3, _Handler.update_file),
    ("DELETE", _FILE % 3, _Handler.delete_file),
    ("POST", _FILE % 3 + "/permissions", _Handler.share),
    ("DELETE", _FILE % 3 + "/permissions/anyoneWithLink", _Handler.unshare),
    ("POST", "/upload/drive/v3/files", _Handler.upload),
    ("PATCH", "/upload" + _FILE % 3, _Handler.upload_again),
    ("PUT", "/upload/session/([^/]+)", _Handler.go_on),
    ("GET", _FILE % 2, _Handler.get_v2),
    ("PUT", "/upload" + _FILE % 2, _Handler.upload_v2),
]
