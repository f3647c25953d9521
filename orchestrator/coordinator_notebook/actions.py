"""What the cells of the notebook do, each in a process of its own that the first cell's Python starts.

A cell passes the values of its form as JSON on standard input.  What is printed is shown below the cell; a page that
shall be shown there is written to a file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.files import replace_file
from orchestrator import address
from orchestrator.command_line import entry
from orchestrator.commands import plan as planning
from orchestrator.coordinator_notebook import home_choice
from orchestrator.coordinator_notebook.form import Form
from orchestrator.errors import UsageError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.installation import distribution
from orchestrator.study import Study
from orchestrator.worker_package import publication
from orchestrator.worker_package import snippet as cells
from orchestrator.worker_package.snippet import Notebook

STUDY_FILE = Path("study-of-the-form.toml")
"""What the form has come to, in the notebook's working directory; nothing but the form writes it."""


def main() -> None:
    """`python -m orchestrator.coordinator_notebook ACTION PAGE`, with the form on standard input."""
    entry.run(_run)


def _run() -> None:
    action, page = sys.argv[1], Path(sys.argv[2])
    asked = json.load(sys.stdin)
    if action == "plan":
        plan(asked)
    else:
        show(asked, page)


def plan(asked: Mapping[str, Any]) -> None:
    """Write the study of the form, plan it, and print the cell with which its workers are started.

    Planned again, the study stays where it is: a new folder is made on Drive for the first time only.

    Raises:
        StudyError, UsageError: a value of the form cannot be used.
        OrchError: whatever planning raises.
    """
    workers = _service(asked.get("workers_on"))
    text = Form.read(asked).study_file()
    study = Study.parse(text, str(STUDY_FILE))
    at = home_choice.for_planning(asked.get("home"), study.name)
    planned = planning.publish(
        study,
        Path(),
        at,
        None,
        agree=lambda consequence: _agree(consequence, agreed=asked.get("replace") is True),
        asked_for=at.url,
    )
    replace_file(STUDY_FILE, text.encode())
    for warning in planned.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    print(planned.sentence())
    _tell_of_workers(study, planned.home, workers)


def show(asked: Mapping[str, Any], page: Path) -> None:
    """Write status and report of now to `page`, as a notebook shows them.

    Raises:
        HomeError: nothing is planned there, or it cannot be reached.
        UsageError: the home that the form gives cannot be used.
    """
    from orchestrator.commands import ui  # the templates and the charts are loaded for a page alone
    from orchestrator.report.inline import frame

    at = home_choice.for_looking(asked.get("home"))
    home = Home.open(at.url, at.artifacts)
    replace_file(page, frame(ui.whole_page(home)).encode())


def _tell_of_workers(study: Study, home: str, workers: Notebook) -> None:
    if address.scheme(home) is None:
        print(
            f"Only this machine reaches {single_line(home)}. To work on the study here, run in a new cell:\n\n"
            f'add(python, "{distribution.requirement("notebook")}"); work(python)'
        )
        return
    travelling = replace(publication.found(home, study.name), code=address.noted_code())
    rule = "-" * 100
    print(
        f'To come back when this session has ended, write HOME = "{home}" in the first cell.\n\n{cells.TERMS}\n'
        f"The cell for a worker, to be pasted into another notebook ({workers.value}):\n{rule}\n"
        f"{cells.cell(travelling, workers)}{rule}"
    )


def _service(value: Any) -> Notebook:
    try:
        return Notebook(value)
    except ValueError:
        known = ", ".join(each.value for each in Notebook)
        raise UsageError(f"WORKERS_ON is {ascii(value)[:60]}; workers can be started on {known}.") from None


def _agree(consequence: str, *, agreed: bool) -> None:
    if not agreed:
        raise UsageError(f"{consequence} Nothing was changed; set REPLACE in the form to True if that is meant.")
