"""A study's home in a database of a PostgreSQL server that is the campaign's own, reached through a proxy that cuts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from fast_motion.clocks import ClockFaults, ClockFile
from fast_motion.crew import children, send
from fast_motion.disks import Disk, small_disk
from fast_motion.files import CheckpointFaults, DiskFaults, LocalContents
from fast_motion.plans import PlanFaults
from fast_motion.quick_worker import Access
from fast_motion.schedule import Blow, Missed, NotYet, Standing, Strike
from fast_motion.site import Kind, dataset
from orchestrator.artifacts import LocalStore
from orchestrator.home import Home
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.cutting_proxy import CuttingProxy
from tests.support.postgres_server import OwnServer, own_postgres_server

_MESSAGES = 40
"""The cut is at one of so many messages that come next: about what a job needs."""


class PostgresqlSite:
    """Connections are cut and ended, the server crashes and freezes; the files are in a directory as they may be."""

    def __init__(self, study: Study, server: OwnServer, proxy: CuttingProxy, place: Path, disk: Disk) -> None:
        self._server, self._proxy, self._disk = server, proxy, disk
        self._crashing = threading.Thread()
        self._database = f"study_{uuid4().hex}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self._database}")
        url = make_url(server.url).set(database=self._database).render_as_string(hide_password=False)
        files = str(disk.directory / "files")
        publish(study, url, None, dataset(), artifacts=files)
        home = Home.open(url, files)
        assert isinstance(home.artifacts, LocalStore), "the files are in a directory"
        self.jobs = home.jobs
        self._clock = ClockFile(place / "clock")
        self._through_proxy = Access(proxy.url(url), files, clock=str(self._clock.path))
        self.contents = contents = LocalContents(home.artifacts)
        self._files = CheckpointFaults(self.jobs, contents)
        log = place / "logs" / "plan.log"
        self._plans = PlanFaults(study, self._through_proxy, self.jobs, contents, log)

    def access(self, worker: int) -> Access:  # noqa: ARG002
        return self._through_proxy

    def blows(self) -> Mapping[str, Blow]:
        return {
            **DiskFaults(self._disk, "files'").blows(),
            **self._files.blows(),
            **self._plans.blows(),
            **ClockFaults(self._clock.set_ahead).blows(),
            "message not sent": lambda strike: self._cut(strike, answered=False),
            "answer not heard": lambda strike: self._cut(strike, answered=True),
            "connections ended": self._end_connections,
            "server crashes": self._crash,
            "server freezes": self._freeze,
        }

    def _cut(self, strike: Strike, *, answered: bool) -> None:
        self._proxy.cut(int(strike.detail * _MESSAGES), answered=answered)

    def _end_connections(self, strike: Strike) -> None:  # noqa: ARG002
        """Everybody's connections end, between or in the middle of transactions."""
        try:
            with psycopg.connect(self._server.url, autocommit=True, connect_timeout=2) as connection:
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(ended, (self._database,))
        except psycopg.OperationalError as error:
            raise Missed from error

    def _crash(self, strike: Strike) -> Standing:  # noqa: ARG002
        """Until it is up again, which takes about a second."""
        if self._crashing.is_alive():
            raise Missed
        self._crashing = threading.Thread(target=self._server.crash, daemon=True)
        self._crashing.start()
        return Standing(0.0, lambda: _ended(self._crashing))

    def _freeze(self, strike: Strike) -> Standing:
        """Nobody gets an answer for a while, nor a connection: not even the campaign, which a thread must wake."""
        try:
            postmaster = int((self._server.data / "postmaster.pid").read_text().split()[0])
        except OSError as error:
            raise Missed from error  # it is down
        processes = [postmaster, *children(postmaster)]
        for process in processes:
            send(process, signal.SIGSTOP)

        def thaw() -> None:
            for process in processes:
                send(process, signal.SIGCONT)

        thawing = threading.Timer(strike.seconds, thaw)
        thawing.start()
        return Standing(strike.seconds, lambda: _ended(thawing))


def _ended(thread: threading.Thread) -> None:
    if thread.is_alive():
        raise NotYet


@contextmanager
def postgresql() -> Iterator[Kind]:
    """With a server for all studies of this kind."""
    with own_postgres_server() as server, CuttingProxy(server.url) as proxy:
        yield Kind("postgresql", lease_seconds=1.5, opened=_opening(server, proxy))


def _opening(server: OwnServer, proxy: CuttingProxy) -> Callable[[Study, Path], AbstractContextManager[PostgresqlSite]]:
    @contextmanager
    def opened(study: Study, place: Path) -> Iterator[PostgresqlSite]:
        proxy.spare()
        with small_disk(place / "files") as disk:
            site = PostgresqlSite(study, server, proxy, place, disk)
            try:
                yield site
            finally:
                proxy.spare()
                site.jobs.close()

    return opened
