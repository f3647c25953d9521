"""The HTTP of the object server: one handler for both dialects, faults, and the record of requests."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.object_store.faults import Fault, Faults
from tests.support.object_store.state import Dialect, Object, Refused, State

ACCESS_KEY = "AKIAORCHTESTS0000000"
SECRET_KEY = "not-so-secret-in-tests"
BUCKET = "orch-tests"

_NOTES = {Dialect.S3: "x-amz-meta-", Dialect.GCS: "x-goog-meta-"}
_KEPT_HEADERS = ("cache-control", "content-type")
_NOT_REDIRECTED = re.compile(r"aws-sdk-rust|botocore")

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Request:
    """One that has arrived."""

    method: str
    path: str
    status: int


class ObjectServer:
    """`with ObjectServer() as store:` serves on a port of its own until the end of the block."""

    def __init__(self, dialect: Dialect = Dialect.S3) -> None:
        self.state = State(dialect)
        self.state.buckets[BUCKET] = {}
        self.faults = Faults()
        self.requests: list[Request] = []
        self.latency_seconds = 0.0
        self.page_size = 1000
        self.clock_ahead_seconds = 0.0
        """Seconds that the `Date` in answers is ahead."""
        self.redirects = False
        """Whether a GET is answered by another host, with the content before the last, and an ETag of its own."""
        self.may_list = True
        """Whether the keys may; if not, what is missing is forbidden."""
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ObjectServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def objects(self, bucket: str = BUCKET) -> dict[str, Object]:
        with self.state.lock:
            return dict(self.state.buckets[bucket])

    def change(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Somebody else puts another content, and notes nothing of it."""
        with self.state.lock:
            self.state.put(BUCKET, key, change(self.state.get(BUCKET, key).content), {}, None)


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Clients die in the middle of an answer here all the time; what they meet is asserted at their end."""


class _Handler(BaseHTTPRequestHandler):
    store: ClassVar[ObjectServer]
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.store.clock_ahead_seconds)

    def log_message(self, *_: object) -> None:
        """The record is `ObjectServer.requests`."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`do_GET` and the like, which are all the same here."""
        if name in {f"do_{method}" for method in ("GET", "HEAD", "POST", "PUT", "DELETE")}:
            return self._serve
        raise AttributeError(name)

    # --- one request ---

    def _serve(self) -> None:
        split = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        _, self.bucket, *key = unquote(split.path).split("/", 2)
        self.key = key[0] if key else ""
        expected = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(expected)
        if len(self.body) < expected:
            self.close_connection = True  # whoever sent it died on the way: a request that is not whole is none
            return
        time.sleep(self.store.latency_seconds)
        fault = self.store.faults.next(self.command, split.path)
        if fault is Fault.CUT_BEFORE:
            self._record(0)
            self._close()
            return
        if fault is Fault.DAMAGED and self.command == "PUT" and self.body:
            self.body = bytes([self.body[0] ^ 1]) + self.body[1:]
        status, headers, content = self._answered(fault)
        self._record(status)
        if fault is Fault.CUT_AFTER:
            self._close()
            return
        if fault is Fault.CORRUPT and content and self.command == "GET" and self.key and status == 200:
            content = bytes([content[0] ^ 1]) + content[1:]
        self._send(status, headers, content, whole=fault is not Fault.CUT_IN_BODY)

    def _answered(self, fault: Fault | None) -> Answer:
        try:
            self._raise(fault)
            with self.store.state.lock:
                answer = self._routed()
            if fault is Fault.ERROR_AFTER:
                raise Refused(500, "InternalError")
            return answer
        except Refused as refused:
            if refused.code == "html":
                return refused.status, {"content-type": "text/html"}, b"<html><h1>Welcome</h1></html>"
            told = f"<?xml version='1.0'?><Error><Code>{refused.code}</Code><Message>No.</Message></Error>"
            return refused.status, {"content-type": "application/xml"}, told.encode()

    def _raise(self, fault: Fault | None) -> None:
        writes = self.command == "PUT" and "uploadId" not in self.query
        if fault in _OF_CONDITIONAL_WRITES and writes and self._condition() is not None:
            raise Refused(*_OF_CONDITIONAL_WRITES[fault])
        if fault in _RAISED:
            raise Refused(*_RAISED[fault])

    def _routed(self) -> Answer:
        if not self.bucket:
            raise Refused(403, "AccessDenied")  # to whom signs nothing, who is told the time all the same
        if self.bucket == "cdn":
            return self._from_the_cdn()
        self._check_signature()
        match self.command:
            case "GET" if not self.key:
                return self._listed()
            case "GET" | "HEAD":
                return self._told()
            case "PUT" if "uploadId" in self.query:
                etag = self.store.state.part(self.query["uploadId"], int(self.query["partNumber"]), self.body)
                return 200, {"etag": f'"{etag}"'}, b""
            case "PUT":
                kept = self.store.state.put(self.bucket, self.key, self.body, self._kept_headers(), self._condition())
                return 200, self._versions(kept), b""
            case "POST" if "uploads" in self.query:
                upload = self.store.state.begin(self.bucket, self.key, self._kept_headers())
                return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
            case "POST" if "uploadId" in self.query:
                kept = self.store.state.complete(self.query["uploadId"])
                status, headers, content = _xml("CompleteMultipartUploadResult", f'<ETag>"{kept.etag}"</ETag>')
                return status, {**headers, **self._versions(kept)}, content
            case "DELETE" if "uploadId" in self.query:
                self.store.state.abort(self.query["uploadId"])
                return 204, {}, b""
            case "DELETE":
                self.store.state.delete(self.bucket, self.key)
                return 204, {}, b""
        raise Refused(501, "NotImplemented")

    def _check_signature(self) -> None:
        """Whose key it is, and that the body is what was signed; of the signature itself moto is the judge."""
        if self.store.state.dialect is Dialect.GCS:
            if not self.headers.get("authorization", "").startswith("Bearer "):
                raise Refused(401, "AuthenticationRequired")
            return
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("authorization", ""):
            raise Refused(403, "InvalidAccessKeyId")
        signed = self.headers.get("x-amz-content-sha256", "")
        if signed != "UNSIGNED-PAYLOAD" and signed != hashlib.sha256(self.body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch")

    def _condition(self) -> str | None:
        if self.store.state.dialect is Dialect.GCS:
            wanted = self.headers.get("x-goog-if-generation-match")
            return "absent" if wanted == "0" else wanted
        if self.headers.get("if-none-match") == "*":
            return "absent"
        wanted = self.headers.get("if-match")
        return wanted and wanted.strip('"')

    def _kept_headers(self) -> dict[str, str]:
        notes = _NOTES[self.store.state.dialect]
        lower = {name.lower(): value for name, value in self.headers.items()}
        return {name: value for name, value in lower.items() if name.startswith(notes) or name in _KEPT_HEADERS}

    def _versions(self, found: Object) -> dict[str, str]:
        generation = {"x-goog-generation": str(found.generation)} if self.store.state.dialect is Dialect.GCS else {}
        return {"etag": f'"{found.etag}"', **generation}

    def _told(self) -> Answer:
        try:
            found = self.store.state.get(self.bucket, self.key)
        except Refused as refused:
            raise refused if self.store.may_list else Refused(403, "AccessDenied") from None
        agent = self.headers.get("user-agent", "")
        if self.store.redirects and self.command == "GET" and not _NOT_REDIRECTED.search(agent):
            return 302, {"location": f"http://localhost:{self.store.port}/cdn/{self.bucket}/{self.key}"}, b""
        headers = {**found.headers, **self._versions(found), "last-modified": formatdate(found.modified, usegmt=True)}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if wanted is None:
            return 200, headers, found.content
        begin, end = int(wanted[1]), min(int(wanted[2] or len(found.content)), len(found.content) - 1)
        headers["content-range"] = f"bytes {begin}-{end}/{len(found.content)}"
        return 206, headers, found.content[begin : end + 1]

    def _from_the_cdn(self) -> Answer:
        """What was there before the last change, under an ETag of the CDN's own; notes it has none."""
        bucket, _, key = self.key.partition("/")
        before, _ = self.store.state.gone.get(bucket, {}).get(key, (self.store.state.get(bucket, key), 0.0))
        etag = hashlib.sha256(before.content).hexdigest()
        return 200, {"etag": f'"{etag}"', "last-modified": formatdate(before.modified, usegmt=True)}, before.content

    def _listed(self) -> Answer:
        found = self.store.state.listed(self.bucket, self.query.get("prefix", ""))
        begin = int(self.query.get("continuation-token", "0"))
        end = begin + min(self.store.page_size, int(self.query.get("max-keys", "1000")))
        told = "".join(map(_entry, found[begin:end]))
        if end < len(found):
            told += f"<NextContinuationToken>{end}</NextContinuationToken><IsTruncated>true</IsTruncated>"
        return _xml("ListBucketResult", told)

    # --- the answer ---

    def _record(self, status: int) -> None:
        with self.store.state.lock:
            self.store.requests.append(Request(self.command, self.path, status))

    def _send(self, status: int, headers: Mapping[str, str], content: bytes, *, whole: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if whole else content[: len(content) // 2])
        if not whole:
            self._close()

    def _close(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


_OF_CONDITIONAL_WRITES = {
    Fault.CONFLICT: (409, "ConditionalRequestConflict"),
    Fault.STALE: (412, "PreconditionFailed"),
}
_RAISED = {
    Fault.ERROR_BEFORE: (503, "SlowDown"),
    Fault.TOO_MANY: (429, "TooManyRequests"),
    Fault.FORBIDDEN: (403, "AccessDenied"),
    Fault.WRONG_KEYS: (403, "InvalidAccessKeyId"),
    Fault.HTML: (502, "html"),
    Fault.PORTAL: (200, "html"),
}


def _xml(name: str, told: str) -> Answer:
    document = f"<?xml version='1.0' encoding='UTF-8'?><{name}>{told}</{name}>"
    return 200, {"content-type": "application/xml"}, document.encode()


def _entry(listed: tuple[str, Object]) -> str:
    key, found = listed
    modified = datetime.fromtimestamp(found.modified, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
        f'<ETag>"{found.etag}"</ETag><Size>{len(found.content)}</Size></Contents>'
    )
