"""A real Ray for tests: a head node on this machine that asks for a token, gone with the tests."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.request import Request, urlopen

from tests.support.lacking import lacking
from tests.support.processes import PATIENCE_SECONDS, wait_until

_LIFETIME = r"""
"$1" start --head --node-ip-address=127.0.0.1 --port="$2" --dashboard-host=127.0.0.1 --dashboard-port="$3" \
  --dashboard-agent-listen-port="$4" --ray-client-server-port="$5" --num-cpus=4 --num-gpus=0 \
  --object-store-memory=100000000 --disable-usage-stats --temp-dir="$PWD/t" --block >log 2>&1 &
head=$!
read -r _
kill $head 2>/dev/null # it may have given up
wait $head
rm -rf "$PWD"
"""
"""Runs until its standard input closes: the kernel closes that when the tests are killed, too."""

_UP = "Ray runtime started"
_GIVEN_UP = "Traceback"
"""What `ray start` prints; the second may follow on the first."""

_STARTS = 5
"""It and the server for its clients give up a node that is not there after 30 s: too few if the machine is busy.

That cannot be set (`raylet_start_wait_time_s` of Ray 2.60), and without that server `ray start` ends all the rest.
"""


@dataclass(frozen=True)
class RayCluster:
    """A Ray that takes jobs."""

    address: str
    """Of its Jobs API."""
    token: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client of it must have."""
        return {"RAY_ADDRESS": self.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}


def require_ray() -> None:
    """A test without Ray is skipped with the reason, but in CI it fails."""
    if importlib.util.find_spec("ray") is None:
        lacking("Ray is not installed: pip install -e '.[ray]'")


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """Yields a cluster of this machine; ends the test without Ray."""
    require_ray()
    # Not under pytest's tmp_path, which is too long for a socket (107 bytes).
    place = Path(tempfile.mkdtemp(prefix="ray-"))
    try:
        token = place / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        with _running(place, token) as started:
            yield started
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _running(place: Path, token: Path) -> Iterator[RayCluster]:
    for start in range(_STARTS):
        with _head(place / str(start), token) as (started, log, clients_port):
            wait_until(
                lambda: (
                    _GIVEN_UP in log.read_text()
                    or (_UP in log.read_text() and _is_served(clients_port) and _answers(started))
                ),
                "Ray's head node",
            )
            if _GIVEN_UP not in log.read_text():
                yield started
                return
    raise AssertionError(f"Ray did not start in {_STARTS} tries")


@contextmanager
def _head(place: Path, token: Path) -> Iterator[tuple[RayCluster, Path, int]]:
    """Yields a head node that is being started, its log, and the port of its server for Ray's clients."""
    place.mkdir()
    (place / "log").touch()
    head, api, agent, clients = _free_ports(4)
    started = RayCluster(f"http://127.0.0.1:{api}", token)
    program = Path(sys.executable).with_name("ray")
    daemons = subprocess.Popen(
        ["sh", "-c", _LIFETIME, "sh", program, *map(str, (head, api, agent, clients))],
        cwd=place,
        # The job of a pool is started by a shell of Ray's, which looks for Python on this path.
        env={**os.environ, **started.environment, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield started, place / "log", clients
    finally:
        assert daemons.stdin is not None, "it was asked for as a pipe"
        daemons.stdin.close()
        daemons.wait(timeout=PATIENCE_SECONDS)


def _answers(started: RayCluster) -> bool:
    asked = Request(f"{started.address}/api/jobs/", headers={"Authorization": f"Bearer {started.token.read_text()}"})
    try:
        with urlopen(asked, timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False  # it is not there yet


def _is_served(port: int) -> bool:
    """Whether a server listens there at any address (proc(5)): Ray chooses which."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for address, state in (line.split()[1:4:2] for line in Path(table).read_text().splitlines()[1:]):
            if address.endswith(f":{port:04X}") and state == "0A":
                return True
    return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]
