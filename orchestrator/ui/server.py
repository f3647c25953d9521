"""The server of the live page: HTTP over loopback, to be read and nothing else.

Whoever may open a port of this machine's loopback may read it: other users of the machine, but no page of another site
(`Host` is checked, and nothing is allowed to other origins), and nobody from the network.
"""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestrator.errors import OrchError, UsageError

ADDRESS = "127.0.0.1"
_NAMES = (ADDRESS, "localhost")
_METHODS = "GET, HEAD"
_MOST_FIELDS = 20
_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Of whatever does not say another: a part of the page is nothing to open by itself."""
_IDLE_SECONDS = 60.0
"""After which a connection that says nothing is closed."""


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    body: str
    status: HTTPStatus = HTTPStatus.OK
    kind: str = "text/html"
    etag: str = ""
    """Empty where the answer is not worth comparing."""
    headers: Mapping[str, str] | None = None


Query = Mapping[str, str]
Route = Callable[[Query], Answer]


def etag_of(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


class PageServer(ThreadingHTTPServer):
    """Answers GET and HEAD on the routes it was given, each request on a thread of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, routes: Mapping[str, Route]) -> None:
        """Listen; requests are answered once `serve_forever` is called.

        Args:
            port: 0 takes any that is free.

        Raises:
            OSError: it is taken.
        """
        self.routes = routes
        super().__init__((ADDRESS, port), _Handler)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no fault; anything else is Orch's, and told where `orch ui` runs."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server_version = "orch"
    sys_version = ""

    def do_GET(self) -> None:
        self._send(self._answer())

    do_HEAD = do_GET  # noqa: N815

    def _refuse(self) -> None:
        self.close_connection = True  # what it may have sent along is not read
        told = f"This page can only be read: {_METHODS}.\n"
        self._send(Answer(told, HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", headers={"Allow": _METHODS}))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _answer(self) -> Answer:
        if not self._is_meant():
            return Answer("Open this page by the address that orch ui tells.\n", HTTPStatus.FORBIDDEN, "text/plain")
        try:
            parts = urlsplit(self.path)
        except ValueError:
            return Answer("That is no address.\n", HTTPStatus.BAD_REQUEST, "text/plain")
        route = self.server.routes.get(parts.path)
        if route is None:
            return Answer("There is no such page.\n", HTTPStatus.NOT_FOUND, "text/plain")
        try:
            asked = parse_qs(parts.query, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return Answer("That asks for too much.\n", HTTPStatus.BAD_REQUEST, "text/plain")
        try:
            return route({key: values[-1] for key, values in asked.items()})
        except UsageError as error:
            return Answer(f"{error}\n", HTTPStatus.NOT_FOUND, "text/plain")
        except OrchError as error:
            return Answer(f"{error}\n", HTTPStatus.SERVICE_UNAVAILABLE, "text/plain")
        except Exception:
            traceback.print_exc()
            told = "This is a fault in Orch; please report what orch ui has printed.\n"
            return Answer(told, HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain")

    def _is_meant(self) -> bool:
        """Whether the browser was sent here by name: a site whose name was turned to this address says another (DNS
        rebinding).
        """
        hosts = self.headers.get_all("Host") or []
        return len(hosts) == 1 and hosts[0] in {f"{name}:{self.server.server_port}" for name in _NAMES}

    def _send(self, answer: Answer) -> None:
        unchanged = bool(answer.etag) and _matches(self.headers.get("If-None-Match", ""), answer.etag)
        status = HTTPStatus.NOT_MODIFIED if unchanged else answer.status
        content = b"" if unchanged else answer.body.encode(errors="replace")
        self.send_response(status)
        if not unchanged:
            self.send_header("Content-Type", f"{answer.kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        for name, value in self._headers(answer).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _headers(self, answer: Answer) -> dict[str, str]:
        return {
            "Cache-Control": "no-cache" if answer.etag else "no-store",
            "Content-Security-Policy": _POLICY,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **({"ETag": answer.etag} if answer.etag else {}),
            **(answer.headers or {}),
        }

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news to whoever started `orch ui`."""


def _matches(condition: str, etag: str) -> bool:
    """RFC 9110, section 13.1.2: any of a list, compared weakly."""
    return condition.strip() == "*" or etag in re.findall(r'"[^"]*"', condition)
