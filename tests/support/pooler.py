"""PgBouncer in front of a PostgreSQL server for tests, from Debian's package: transactions are pooled, not sessions."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import make_url

from tests.support.lacking import lacking
from tests.support.processes import PATIENCE_SECONDS


def needed() -> str:
    """The program; a test without it is skipped with the reason, but in CI it fails."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        lacking("PgBouncer is not installed: apt-get install pgbouncer")
    return program


@contextmanager
def pooled(server: str, program: str) -> Iterator[str]:
    """Yields the URL of a pooler with two server connections in front of the database at this URL."""
    url = make_url(server)
    host = url.query["host"]
    assert isinstance(host, str), "the tests' server listens on one socket"
    port = _free_port()
    directory = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    (directory / "users").write_text(f'"{url.username}" ""\n')
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n"
        f"{url.database} = host={unquote(host)} user={url.username}\n"
        f"[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {directory}/users\n"
        f"pool_mode = transaction\ndefault_pool_size = 2\n"
        f"logfile = {directory}/log\npidfile = {directory}/pid\n"
    )
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, user)
    process = subprocess.Popen([program, "-q", str(directory / "pgbouncer.ini")], user=user)
    try:
        _wait_for(port)
        yield url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "PgBouncer did not come up"
            time.sleep(0.05)
