"""How far a study is, as a notebook shows it."""

from __future__ import annotations

from html import escape

from markupsafe import Markup

from orchestrator.errors import OrchError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.progress import page, watching
from orchestrator.progress.page import StatusView
from orchestrator.report.inline import HEIGHT, frame

_JOBS_SHOWN = 200


def status(home: Home) -> str:
    """A home's status in a frame; a home that cannot be read is a sentence."""
    try:
        seen = watching.look(home)
        jobs = home.jobs.some_jobs(most=_JOBS_SHOWN)
    except OrchError as error:
        return f"<p>{escape(single_line(str(error)))}</p>"
    lines = len(seen.models) + len(seen.workers) + len(seen.stages) + 2 * len(seen.problems)
    return frame(page.whole(StatusView(seen, jobs, live=False), Markup()), min(HEIGHT, 560 + 32 * lines))
