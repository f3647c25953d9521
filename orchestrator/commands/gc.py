"""What `orch gc` does: sweep a home's garbage, where that can be told from other homes' files."""

from __future__ import annotations

from orchestrator import garbage
from orchestrator.errors import UsageError
from orchestrator.home import Home
from orchestrator.report.wording import counted


def run(home: Home, older_than_hours: float, *, dry_run: bool, only_home: bool) -> None:
    """Delete what no job names; the options are those of the command.  Raises UsageError if others may name it."""
    if home.shares_artifacts and not only_home:
        raise UsageError(
            f"Other homes may have files in {home.artifacts}, which would be deleted; give --only-home if none has."
        )
    swept = garbage.sweep(home, older_than_hours, dry_run=dry_run)
    deleted = f"{counted(swept.files, 'file')} ({swept.size / 1e6:.1f} MB)"
    print(f"{'Would delete' if dry_run else 'Deleted'} {deleted} that no job names.")
