"""What `orch snippet` does: the cell that starts a worker, or a notebook with it; the coordinator's notebook."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from models.files import replace_file
from orchestrator import address
from orchestrator.errors import UsageError
from orchestrator.home import Home
from orchestrator.progress import watching
from orchestrator.worker_package import publication
from orchestrator.worker_package import snippet as cells
from orchestrator.worker_package.snippet import Notebook


def kind_of(*, colab: bool, kaggle: bool, shell: bool) -> Notebook:
    """Which notebook the options of the command ask for.  Raises UsageError where they ask for several."""
    if colab + kaggle + shell > 1:
        raise UsageError("Give one of --colab, --kaggle and --shell.")
    return Notebook.KAGGLE if kaggle else Notebook.SHELL if shell else Notebook.COLAB


def run(home: Home, kind: Notebook, notebook: Path | None) -> None:
    """Print the cell for one kind of notebook, or write it to `notebook`.

    Raises:
        UsageError: the home is not on Google Drive or in an object store, or the file cannot be written.
    """
    # Of code the folder is not asked either: only that is named which was planned from this directory.
    orch = replace(publication.found(home.url, watching.look(home).study), code=address.noted_code())
    if notebook is None:
        print(cells.TERMS, file=sys.stderr)
        print(cells.cell(orch, kind), end="")
        return
    if kind is Notebook.SHELL:
        raise UsageError("A notebook is for --colab or --kaggle.")
    _write(notebook, cells.as_notebook(orch, kind))
    print(f"Wrote {notebook}. Open it in the notebook service, and run its cell.")


def run_coordinator(home: str | None, kind: Notebook, notebook: Path | None) -> None:
    """Print the notebook from which a study is planned and watched, or write it to `notebook`.

    Args:
        home: where its study shall live; by default in a new folder on Google Drive.

    Raises:
        UsageError: no notebook can plan there, or the file cannot be written.
    """
    from orchestrator.coordinator_notebook import document, home_choice

    if kind is Notebook.SHELL:
        raise UsageError("The coordinator's notebook is for --colab or --kaggle; in a shell there is orch plan.")
    text = document.text(kind, home_choice.checked(home or home_choice.NEW_FOLDER))
    size = f"{len(text.encode()) / 1e6:.1f} MB, with this Orch in it"
    if notebook is None:
        print(f"A notebook of {size}.", file=sys.stderr)
        print(text, end="")
        return
    _write(notebook, text)
    print(f"Wrote {notebook} ({size}). Open it in the notebook service, and run its three cells.")


def _write(notebook: Path, text: str) -> None:
    try:
        replace_file(notebook, text.encode(), parents=False)
    except OSError as error:
        raise UsageError(f"{notebook} cannot be written: {error.strerror}.") from None
