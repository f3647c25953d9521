"""What `orch cancel` does: take a job and all that waits for it out of the study, if the person wants that."""

from __future__ import annotations

from orchestrator.commands import consent
from orchestrator.home import Home
from orchestrator.report.wording import counted, named


def run(home: Home, job: str, *, yes: bool) -> None:
    """Cancel a job, given by name or id.

    Raises:
        UsageError: there is no such job, or nobody can be asked.
        Declined: jobs are under way, and the person does not want them undone.
    """
    known = home.jobs.cancellation(job)
    if known.interrupted:
        under_way = named(known.interrupted, "job under way", "jobs under way")
        consent.ask(f"This cancels {counted(known.cancelled, 'job')}, among them {under_way}.", yes=yes)
    print(f"Cancelled {counted(home.jobs.cancel(job), 'job')}.")
