"""What the live page's addresses show."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Hashable

from markupsafe import Markup

from orchestrator.errors import OrchError, UsageError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.jobs import JobState, Stage
from orchestrator.progress import job_details, page
from orchestrator.progress.job_details import JobDetails, Printed
from orchestrator.progress.page import StatusView, Wanted
from orchestrator.ui import live_report
from orchestrator.ui.live_report import LiveReport
from orchestrator.ui.reading import SharedReading
from orchestrator.ui.server import Answer, Query, Route, etag_of

_LAST_PAGE = 1_000_000
_MOST_KEPT = 32
"""Rendered statuses, one for each filter that somebody looks through."""


class Site:
    """The page, its two parts, and what opens in it.  Any thread may call any route."""

    def __init__(self, open_home: Callable[[], Home], home: Home, report: Callable[[Home], Markup]) -> None:
        """`report` gives a home's report as sections of the page, and raises OrchError if it cannot be read."""
        self._rendered_report = report
        self._reading = SharedReading(open_home, home)
        self._files = tempfile.TemporaryDirectory(prefix="orch-ui-", ignore_cleanup_errors=True)
        self._report = LiveReport(self._made_report)
        threading.Thread(target=page.live_scripts, daemon=True).start()  # before somebody waits for them
        self._kept: dict[Wanted, tuple[Hashable, Markup, str]] = {}

    @property
    def routes(self) -> dict[str, Route]:
        return {"/": self.whole, "/status": self.status, "/report": self.report, "/job": self.job}

    def close(self) -> None:
        self._reading.close()
        self._report.close()
        self._files.cleanup()

    def whole(self, query: Query) -> Answer:
        view = self._reading.view(_wanted(query))
        policy = {"Content-Security-Policy": f"{page.live_policy()}; frame-ancestors 'none'"}
        return Answer(page.whole(view, self._report.newest(view.snapshot).body), headers=policy)

    def status(self, query: Query) -> Answer:
        """The status part; its ETag is another when something but the time of day has changed."""
        wanted = _wanted(query)
        view = self._reading.view(wanted)
        settled = _settled(view)
        kept = self._kept.get(wanted)
        if kept is None or kept[0] != settled:
            rendered = page.status(view)
            kept = settled, rendered, etag_of(rendered)
            self._kept = {**dict(list(self._kept.items())[-_MOST_KEPT:]), wanted: kept}
        told = {
            "Orch-Home-Time": f"{view.snapshot.now:.3f}",
            "Orch-Report": self._report.newest(view.snapshot).etag,
        }
        return Answer(kept[1], etag=kept[2], headers=told)

    def report(self, query: Query) -> Answer:  # noqa: ARG002
        seen = self._reading.seen()
        report = live_report.FIRST if seen.snapshot is None else self._report.newest(seen.snapshot)
        return Answer(report.body, etag=report.etag)

    def job(self, query: Query) -> Answer:
        found = self._reading.fetched(lambda home: job_details.details(home, query.get("id", "")))
        return Answer(page.job(found, self._printed(found)))

    def _printed(self, found: JobDetails) -> Printed:
        """A log that cannot be fetched is told of, beside what the table knows of the job."""
        try:
            return self._reading.fetched(lambda home: job_details.printed(home, found.job))
        except OrchError as error:
            return Printed(note=f"What it printed cannot be fetched: {single_line(str(error))}")

    def _made_report(self) -> Markup:
        return self._rendered_report(live_report.keeping(self._reading.home(), self._files))


def _wanted(query: Query) -> Wanted:
    """Which jobs an address asks for.  Raises UsageError for a stage, a state or a page that there is not."""
    stage, state = query.get("stage"), query.get("state")
    try:
        return Wanted(
            stage=None if stage is None else Stage(stage),
            state=None if state is None else JobState(state),
            page=min(_LAST_PAGE, max(1, int(query.get("page", "1")))),
            is_set=bool(query),
        )
    except ValueError:
        raise UsageError("There are no such jobs.") from None


def _settled(view: StatusView) -> Hashable:
    """All that the status part shows, with moments in the place of the times since or until then."""
    seen = view.snapshot
    workers = tuple(
        dataclasses.replace(
            worker,
            last_seen_seconds=round(seen.now - worker.last_seen_seconds, 1),
            seconds_left=None if worker.seconds_left is None else round(seen.now + worker.seconds_left),
        )
        for worker in seen.workers
    )
    jobs = tuple((job.id, job.state, job.attempts, job.worker, job.progress.get("step")) for job in view.jobs)
    of_study = repr(dataclasses.replace(seen, now=0.0, workers=workers))
    lost = tuple(worker.is_lost for worker in seen.workers)
    return of_study, lost, jobs, view.trouble
