"""The report below the status: put together again when the study has come further, and no more often than is cheap."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from markupsafe import Markup

from orchestrator.artifacts import ArtifactStore
from orchestrator.errors import DiskError, OrchError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.jobs import Artifact
from orchestrator.progress.page import pending
from orchestrator.progress.summary import Snapshot

_FEWEST_SECONDS = 5.0
"""Between two reports."""
_SHARE = 0.1
"""Of a core that reports of a large study may take."""


@dataclass(frozen=True)
class Report:
    """The report's part of the page, and what tells it from another."""

    body: Markup
    etag: str

    @classmethod
    def of(cls, body: Markup) -> Report:
        return cls(body, f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"')


FIRST = Report.of(pending("The report is being put together."))


class LiveReport:
    """The newest report there is; the next is put together by a thread of its own.  Any thread may call `newest`."""

    def __init__(self, made: Callable[[], Markup]) -> None:
        self._made = made
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="report")
        self._lock = threading.Lock()
        self._report = FIRST
        self._of: Hashable = None
        self._due = 0.0
        self._making: Future[None] | None = None

    def newest(self, snapshot: Snapshot) -> Report:
        """The newest report; one of this state of the study is begun if there is none, and it is time."""
        state = _state(snapshot)
        with self._lock:
            idle = self._making is None or self._making.done()
            if idle and state != self._of and time.monotonic() >= self._due:
                self._making = self._maker.submit(self._make, state)
        return self._report

    def close(self) -> None:
        self._maker.shutdown(wait=False, cancel_futures=True)

    def _make(self, state: Hashable) -> None:
        began = time.monotonic()
        try:
            self._report, self._of = Report.of(self._made()), state
        except OrchError as error:
            # What was there before says more than a sentence does; and it is tried again.
            self._report = Report.of(_lacking(error)) if self._of is None else self._report
        except Exception:
            traceback.print_exc()  # nobody asks this thread for its result
            told = pending("This is a fault in Orch; please report what orch ui has printed.")
            self._report = Report.of(told) if self._of is None else self._report
        finally:
            self._due = time.monotonic() + max(_FEWEST_SECONDS, (time.monotonic() - began) / _SHARE)


def _lacking(error: OrchError) -> Markup:
    return pending(f"There is no report yet: {single_line(str(error))}")


def _state(snapshot: Snapshot) -> Hashable:
    """What a report depends on: which jobs are done, and who is at which."""
    counts = tuple((stage, tuple(sorted(states.items()))) for stage, states in snapshot.stages.items())
    return snapshot.planned_at, counts, frozenset((worker.name, worker.job) for worker in snapshot.workers)


class FetchedOnce:
    """A store that keeps what was fetched: artifacts never change, and each report wants the predictions of all before.

    Only to be read from; everything but `fetch` is the store's own.
    """

    def __init__(self, store: ArtifactStore, directory: Path) -> None:
        self._store = store
        self._directory = directory

    def fetch(self, artifact: Artifact, to: Path) -> None:
        kept = self._directory / artifact.sha256
        if not kept.exists():
            self._store.fetch(artifact, kept)
        try:
            shutil.copyfile(kept, to)
        except OSError as error:
            raise DiskError(f"{to} could not be written: {error.strerror or error}.") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def keeping(home: Home, directory: tempfile.TemporaryDirectory[str]) -> Home:
    """The home, with a store that fetches each file once and keeps it in this directory."""
    store = cast(ArtifactStore, FetchedOnce(home.artifacts, Path(directory.name)))
    return dataclasses.replace(home, artifacts=store)
