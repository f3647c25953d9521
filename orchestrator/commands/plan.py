"""What `orch plan` does: read the study, publish it or say what would be published, and note where its home is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator import address
from orchestrator.address import Address
from orchestrator.command_line import strict_json
from orchestrator.commands import consent
from orchestrator.planning import publishing
from orchestrator.planning.publishing import Planned
from orchestrator.study import Study


def run(
    file: Path,
    home: str | None,
    artifacts: str | None,
    data: Path | None,
    *,
    dry_run: bool,
    accept_rollback: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Plan a study file; the options are those of the command.  Raises whatever planning raises."""
    study = Study.load(file)
    at = address.of_study(study.name, home, artifacts)
    if dry_run:
        planned = publishing.dry_run(study, data, at, folder=file.parent)
    else:
        planned = publish(
            study,
            file.parent,
            at,
            data,
            accept_rollback=accept_rollback,
            agree=lambda consequence: consent.ask(consequence, yes=yes),
            asked_for=home,
        )
    for warning in planned.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    print(strict_json.text(planned.to_json()) if as_json else planned.sentence())
    if not dry_run and not as_json:
        print("Next: orch worker (as many as you have machines), orch status, orch report.")


def publish(
    study: Study,
    folder: Path,
    at: Address,
    data: Path | None,
    *,
    accept_rollback: bool = False,
    agree: Callable[[str], None],
    asked_for: str | None,
) -> Planned:
    """Publish a study, and note where it lives for the next commands in this directory.

    Args:
        folder: where the study file lies, and beside it the person's own code.
        agree: is told the consequence of a plan that disturbs what somebody has computed, a sentence; what it raises
            ends the planning.
        asked_for: the home as the person has given it, if they have.
    """
    planned = publishing.publish(
        study,
        at.url,
        data,
        artifacts=at.artifacts,
        folder=folder,
        accept_rollback=accept_rollback,
        consent=lambda change: agree(publishing.disturbance(change)),
    )
    _note(study, Address(planned.home, at.artifacts), planned.code, asked_for=asked_for)
    return planned


def _note(study: Study, at: Address, code: tuple[str, ...], *, asked_for: str | None) -> None:
    """Note the home for the next commands here, and say on standard error what the person must know of it."""
    told = address.remember(study.name, at, code)
    if told is None and asked_for is not None and address.has_password(asked_for):
        told = "The password is not noted; give it to the next commands in PGPASSWORD or ~/.pgpass."
    if told is not None:
        print(told, file=sys.stderr)
