"""Between PostgreSQL and its clients: cuts the connection at the message of a number that a client sends.

The protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html.  A message is a byte and its length
in four, which counts itself; the first of a connection has no such byte.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import make_url

from tests.support.processes import PATIENCE_SECONDS


class CuttingProxy:
    """`with CuttingProxy(url) as proxy:` listens on loopback in front of the server at `url` until the block ends."""

    def __init__(self, server: str) -> None:
        (host,) = _hosts(server)
        self._server = Path(unquote(host)) / ".s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._left = -1
        self._answered = False
        self.has_cut = False

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def url(self, database: str) -> str:
        """The same database, through here."""
        port = self._listener.getsockname()[1]
        url = make_url(database)
        query = {key: value for key, value in url.query.items() if key != "host"}
        through = url.set(host="127.0.0.1", port=port, query=query)
        return through.render_as_string(hide_password=False)

    def cut(self, after: int, *, answered: bool) -> None:
        """Cut at the message that comes after so many from now on, once.

        Args:
            answered: after the server has it and has answered, but before the client hears of it.
        """
        with self._lock:
            self._left, self._answered, self.has_cut = after, answered, False

    def spare(self) -> None:
        self.cut(-1, answered=False)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            answers = _Answers()
            with suppress(OSError):  # the server may be down, or go down
                server.connect(str(self._server))
                threading.Thread(target=answers.forward, args=(server, client), daemon=True).start()
                self._forward_messages(client, server, answers)
            for end in (client, server):
                _shut(end)

    def _forward_messages(self, client: socket.socket, server: socket.socket, answers: _Answers) -> None:
        server.sendall(_startup(client))
        while True:
            message = _message(client)
            if not self._is_cut():
                server.sendall(message)
                continue
            if self._answered:
                answers.kept_back.set()
                server.sendall(message)
                if message[:1] != b"S":  # what was sent is executed at the latest with the synchronisation
                    server.sendall(b"S" + struct.pack("!i", 4))
                answers.heard.wait(PATIENCE_SECONDS)
            return

    def _is_cut(self) -> bool:
        with self._lock:
            if self._left < 0:
                return False
            self._left -= 1
            self.has_cut = self._left < 0
            return self.has_cut


class _Answers:
    """What the server says, on its way to the client."""

    def __init__(self) -> None:
        self.kept_back = threading.Event()
        """The client hears nothing from now on."""
        self.heard = threading.Event()
        """The server has said something since."""

    def forward(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while received := server.recv(65536):
                if self.kept_back.is_set():
                    self.heard.set()
                else:
                    client.sendall(received)
        self.heard.set()
        _shut(client)


def _hosts(url: str) -> tuple[str, ...]:
    told = make_url(url).query["host"]
    return (told,) if isinstance(told, str) else tuple(told)


def _startup(client: socket.socket) -> bytes:
    """The first message, before which libpq may ask for encryption: there is none."""
    while True:
        length = _exactly(client, 4)
        rest = _exactly(client, struct.unpack("!i", length)[0] - 4)
        if struct.unpack("!i", rest[:4])[0] >> 16 == 3:
            return length + rest
        client.sendall(b"N")


def _message(client: socket.socket) -> bytes:
    head = _exactly(client, 5)
    return head + _exactly(client, struct.unpack("!i", head[1:])[0] - 4)


def _exactly(end: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = end.recv(count - len(received))
        if not part:
            raise OSError("the other end has closed")
        received += part
    return received


def _shut(end: Any) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
