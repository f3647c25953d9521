"""The live page of `orch ui`, served in the test's own process or by the command."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.commands.ui import report
from orchestrator.home import Home
from orchestrator.ui.server import PageServer
from orchestrator.ui.site import Site
from tests.support.processes import PATIENCE_SECONDS, heed_signals

ORCH = str(Path(sys.executable).with_name("orch"))


@dataclass(frozen=True)
class Answered:
    """What a request got."""

    status: int
    headers: HTTPMessage
    text: str

    @property
    def etag(self) -> str:
        return self.headers["ETag"]


@dataclass(frozen=True)
class LivePage:
    """A page that is served at this port."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str = "/", method: str = "GET", host: str | None = None, **headers: str) -> Answered:
        """Underscores in the names of headers stand for hyphens; an empty `host` sends none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        try:
            return Answered(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def served(open_home: Callable[[], Home]) -> Iterator[LivePage]:
    """Serve a home's page from a thread of this process."""
    site = Site(open_home, open_home(), report)
    with PageServer(0, site.routes) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield LivePage(server.server_port)
        finally:
            server.shutdown()
            thread.join()
            site.close()


@contextmanager
def orch_ui(*options: str, cwd: Path) -> Iterator[tuple[LivePage, subprocess.Popen[str]]]:
    """`orch ui --no-browser` as a person starts it, once it has told its address."""
    command = [ORCH, "ui", "--no-browser", *options]
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            told = process.stdout.readline()
            found = re.search(r"http://\S+", told)
            assert found, told + process.stderr.read()
            port = urlsplit(found[0]).port
            assert port is not None
            yield LivePage(port), process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
