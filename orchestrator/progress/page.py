"""What `orch status` shows, as HTML: for the live page of `orch ui`, and for the one that `orch status --html` writes.

How the live page is kept up to date stands in `report/templates/live.js` and `orchestrator.ui`; the report below the
status is `orchestrator.report.page`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.foreign_text import printable, single_line
from orchestrator.jobs import Job, JobState, Stage
from orchestrator.progress import wording
from orchestrator.progress.durations import duration
from orchestrator.progress.job_details import JobDetails, Printed
from orchestrator.progress.summary import Snapshot
from orchestrator.report import page as report_page
from orchestrator.report import theme
from orchestrator.report import wording as report_wording
from orchestrator.report.page import Script

JOBS_A_PAGE = 50
MOST_JOBS_WRITTEN = 1000
"""So many jobs are listed on a page that is written once: more would make a file that no browser likes."""

_MOST_PROBLEMS = 5
_LONGEST_LOG = 60_000
"""Letters: a browser lays out a longer one slowly, and what went wrong stands at its end."""


@dataclass(frozen=True)
class Wanted:
    """Which jobs a reader of the live page has asked for."""

    stage: Stage | None = None
    state: JobState | None = None
    page: int = 1
    is_set: bool = False
    """Whether the reader has asked for any."""

    def of(self, stage: Stage | None, state: JobState | None) -> Wanted:
        return Wanted(stage, state, is_set=True)

    def at(self, page: int) -> Wanted:
        return replace(self, page=page, is_set=True)

    @property
    def query(self) -> str:
        """What asks for them in an address; of all jobs it says so, too, because an empty one would be no link."""
        asked = {"stage": self.stage, "state": self.state, "page": self.page if self.page > 1 else None}
        return "?" + urlencode({key: value for key, value in asked.items() if value is not None} or {"page": 1})

    def count(self, snapshot: Snapshot) -> int:
        """How many there are."""
        counts = of_stage(snapshot, self.stage)
        return counts.total() if self.state is None else counts[self.state]


@dataclass(frozen=True)
class StatusView:
    """All that the status part of a page shows."""

    snapshot: Snapshot
    jobs: Sequence[Job]
    """A page of those that are wanted; of a page that is written once all, or the first."""
    wanted: Wanted = Wanted()
    trouble: str = ""
    """Why the home cannot be read just now, in a sentence."""
    live: bool = True


def of_stage(snapshot: Snapshot, stage: Stage | None) -> Counter[JobState]:
    return snapshot.counts if stage is None else snapshot.stages.get(stage, Counter())


def status(view: StatusView) -> Markup:
    """The status part: one `<section id="status">`."""
    seen, wanted = view.snapshot, view.wanted
    count = wanted.count(seen)
    return _rendered(
        "status.html.j2",
        seen=seen,
        live=view.live,
        trouble=view.trouble,
        title=_title(view),
        most_problems=_MOST_PROBLEMS,
        here=seen.here,
        gone=seen.gone,
        any_ends=any(worker.seconds_left is not None for worker in seen.here),
        wanted=wanted,
        states=list(JobState),
        shown_counts=of_stage(seen, wanted.stage),
        jobs=view.jobs,
        pages=-(-count // JOBS_A_PAGE),
        hidden_jobs=0 if view.live else count - len(view.jobs),
    )


def whole(view: StatusView, report: Markup) -> str:
    """The page with a status and a report, which may be empty."""
    scripts = live_scripts() if view.live else report_page.scripts() if report else ()
    return _text(
        "page.html.j2",
        seen=view.snapshot,
        live=view.live,
        title=_title(view),
        policy=live_policy() if view.live else report_page.policy(scripts),
        status=status(view),
        report=report,
        scripts=scripts,
    )


def job(details: JobDetails, log: Printed) -> Markup:
    """What one job went through: what opens on the live page below its line."""
    is_cut = len(log.text) > _LONGEST_LOG
    return _rendered(
        "job.html.j2",
        job=details.job,
        attempts=details.attempts,
        log=replace(log, text=log.text[-_LONGEST_LOG:]),
        log_is_cut=is_cut,
    )


def pending(text: str) -> Markup:
    """What stands in the report's place while there is none."""
    return Markup('<p class="pending">{}</p>').format(text)


@cache
def live_scripts() -> tuple[Script, ...]:
    """What runs in the live page.  The first call takes a second: the charts' runtime is put together."""
    return report_page.scripts("live.js")


def live_policy() -> str:
    """The live page's content security policy: it may ask the server that it is from, and nobody else."""
    return report_page.policy(live_scripts(), "connect-src 'self'")


def _title(view: StatusView) -> str:
    seen = view.snapshot
    told = "done" if seen.is_over else f"{seen.counts[JobState.DONE]} of {seen.total}"
    return f"{'! ' if seen.problems or view.trouble else ''}{told} - {seen.study}"


def _job_line(each: Job) -> str:
    """What a job's line says beside its name and its state."""
    attempts = report_wording.counted(each.attempts, "attempt") if each.attempts > 1 else ""
    step, steps = each.progress.get("step"), each.progress.get("steps")
    at = f"step {step:,} of {steps:,}" if each.state is JobState.RUNNING and step is not None and steps else ""
    return ", ".join(part for part in (single_line(each.worker or ""), at, attempts) if part)


def _first_line(text: str) -> str:
    return single_line(text.partition("\n")[0])


def _rendered(template: str, **names: object) -> Markup:
    return Markup(_text(template, **names))


def _text(template: str, **names: object) -> str:
    return _environment().get_template(template).render(names)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("orchestrator.progress"), PackageLoader("orchestrator.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (
        *(wording.done, wording.open_counts, wording.left, duration, wording.rests_on, wording.accuracy),
        *(wording.loss, wording.time_left, wording.rate, wording.job_progress, wording.parts),
        *(report_wording.counted, report_wording.whole, report_wording.moment, printable, single_line),
        *(wording.asked, _job_line, _first_line),
    ):
        environment.filters[show.__name__.lstrip("_")] = show
    environment.globals["palette"] = Markup(theme.stylesheet())
    return environment
