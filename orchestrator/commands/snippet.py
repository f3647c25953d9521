"""What `orch snippet` does: print the cell that starts a worker, or write it as a notebook."""

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
        UsageError: the home is not on Google Drive, or the file cannot be written.
    """
    # Of code the folder is not asked either: only that is named which was planned from this directory.
    orch = replace(publication.found(home.url, watching.look(home).study), code=address.noted_code())
    if notebook is None:
        print(cells.TERMS, file=sys.stderr)
        print(cells.cell(orch, kind), end="")
        return
    if kind is Notebook.SHELL:
        raise UsageError("A notebook is for --colab or --kaggle.")
    try:
        replace_file(notebook, cells.as_notebook(orch, kind).encode(), parents=False)
    except OSError as error:
        raise UsageError(f"{notebook} cannot be written: {error.strerror}.") from None
    print(f"Wrote {notebook}. Open it in the notebook service, and run its cell.")
