"""One reading of a home, shared by every tab that shows it.

However many tabs are open, one thread reads how far the study is, and one more what a click asks for, which may take a
while: a backend keeps a connection for each thread, and on Google Drive each reading may be a request.  When nobody
looks, nothing is read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.errors import HomeError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.jobs import Job
from orchestrator.progress import watching
from orchestrator.progress.page import JOBS_A_PAGE, StatusView, Wanted
from orchestrator.progress.summary import Snapshot

GOOD_FOR_SECONDS = 1.5
"""How old a reading may be; `orch status --watch` reads every second."""
_PAUSE_SECONDS = 5.0
"""Between two tries to reach a home that is away."""
_PATIENCE_SECONDS = 4.0
"""How long a request waits for a reading; a home that takes longer is told of, and what was seen last is shown."""
_FIRST_PATIENCE_SECONDS = 60.0
"""The same as long as nothing was seen: there is no page yet that could ask again by itself."""

_MOST_LISTED = 20
"""Lists of jobs that are kept for a home that is away."""

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What is known of the home now."""

    snapshot: Snapshot | None
    """What was read last; None if nothing could ever be."""
    trouble: str = ""
    """Why it cannot be read now, in a sentence."""


class SharedReading:
    """Reads a home for whoever asks, and opens it again when it was away.  Any thread may call any method."""

    def __init__(self, open_home: Callable[[], Home], home: Home | None = None) -> None:
        self._open_home = open_home
        self._home = home
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="fetching")
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._seen = Seen(None)
        self._listed: dict[Wanted, Sequence[Job]] = {}
        """What was read last of the lists that pages show."""
        self._due = 0.0
        self._looking: Future[None] | None = None

    def seen(self) -> Seen:
        """What the home shows, at most `GOOD_FOR_SECONDS` old unless it cannot be read."""
        with self._lock:
            if self._looking is None and time.monotonic() >= self._due:
                self._looking = self._reader.submit(self._look)
            looking = self._looking
        if looking is not None:
            patience = _FIRST_PATIENCE_SECONDS if self._seen.snapshot is None else _PATIENCE_SECONDS
            try:
                looking.result(patience)
            except TimeoutError:
                return Seen(self._seen.snapshot, f"The home has not answered for {patience:.0f} s.")
        return self._seen

    def view(self, wanted: Wanted) -> StatusView:
        """What the status part of the page shows.  Raises HomeError if the home could never be read."""
        seen = self.seen()
        if seen.snapshot is None:
            raise HomeError(seen.trouble)
        try:
            jobs = self._jobs(wanted) if not seen.trouble else self._listed.get(wanted, ())
            return StatusView(seen.snapshot, jobs, wanted, seen.trouble)
        except (HomeError, TimeoutError) as error:
            trouble = single_line(str(error) or "The home does not answer.")
            return StatusView(seen.snapshot, self._listed.get(wanted, ()), wanted, trouble)

    def fetched(self, operation: Callable[[Home], T]) -> T:
        """What an operation on the home gives, however long it takes.  Raises what it raises, and HomeError."""
        return self._fetcher.submit(lambda: operation(self.home())).result()

    def home(self) -> Home:
        """The home as it is open now; one that was away is opened again, and the old one left to whom it serves yet.

        Raises HomeError.
        """
        with self._opening:
            if self._home is None:
                self._home = self._open_home()
            return self._home

    def close(self) -> None:
        for threads in (self._reader, self._fetcher):
            threads.shutdown(wait=False, cancel_futures=True)

    def _jobs(self, wanted: Wanted) -> list[Job]:
        after = (wanted.page - 1) * JOBS_A_PAGE
        found = self._reader.submit(
            lambda: self.home().jobs.some_jobs(wanted.stage, wanted.state, after=after, most=JOBS_A_PAGE)
        ).result(_PATIENCE_SECONDS)
        self._listed = {**dict(list(self._listed.items())[-_MOST_LISTED:]), wanted: found}
        return found

    def _look(self) -> None:
        pause = _PAUSE_SECONDS
        try:
            home = self.home()
            if home.directory is not None and not Home.exists(home.url):
                # SQLite would go on reading a file that somebody has taken away.
                raise HomeError(f"There is no home at {home.url} any more.")
            self._seen, pause = Seen(watching.look(home)), GOOD_FOR_SECONDS
        except HomeError as error:
            self._seen, self._home = Seen(self._seen.snapshot, single_line(str(error))), None
        finally:
            with self._lock:
                self._due, self._looking = time.monotonic() + pause, None
