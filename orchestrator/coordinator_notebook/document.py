"""The notebook's file: three cells, and the Orch that wrote it in the first of them.

What the cells do stands in `orchestrator.worker_package`'s `cells/coordinator_*.py.txt`, to be read by who runs them.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator import presets
from orchestrator.coordinator_notebook.form import DATASETS
from orchestrator.installation import distribution
from orchestrator.worker_package import cell_text, notebook_file, packing
from orchestrator.worker_package.notebook_file import Cell
from orchestrator.worker_package.publication import SETTINGS
from orchestrator.worker_package.snippet import KEY_VARIABLES, SECRET, SIGN_IN, TERMS, Notebook, from_secrets

EXPLANATION = """\
# Plan, watch and report a study with Orch

Run the three cells below. The first installs the Orch that this notebook carries, in a place of its own, and signs you
in; the second plans a study and prints the cell that a worker needs; the third shows how far the study is, and what it
found. Nothing in this notebook is secret.
"""

_COLUMNS = 1000
"""Letters of the wheel on a line: an editor has trouble with one line of them all, and with many short ones."""

_ADVICE = {
    Notebook.COLAB: "allow this notebook to",
    Notebook.KAGGLE: f"link an account under Add-ons, Google Cloud SDK, or keep a sign-in as the secret {SECRET}",
}


def text(kind: Notebook, home: str) -> str:
    """The text of the notebook for Colab or Kaggle.

    Args:
        home: what its form begins with: `gdrive:`, `gdrive://FOLDER`, a URL in an object store, or a directory of the
            notebook's machine.
    """
    wheel = _wheel()
    install = cell_text.render(
        "coordinator_install.py.txt",
        home=home,
        sha256=hashlib.sha256(wheel).hexdigest(),
        wheel="\n".join(textwrap.wrap(base64.b64encode(lzma.compress(wheel)).decode(), _COLUMNS)),
        requirement=distribution.requirement("coordinator-notebook"),
        objects=distribution.requirement("objects"),
        keys={service.value: list(names) for service, names in KEY_VARIABLES.items()},
        settings=list(SETTINGS),
        from_secrets=from_secrets(kind),
        sign_in=SIGN_IN[kind],
        sign_in_advice=_ADVICE[kind],
    )
    study = cell_text.render(
        "coordinator_study.py.txt",
        preset=presets.NAMES[0],
        presets=presets.NAMES,
        datasets=["", *DATASETS],
        service=kind.value,
        services=[each.value for each in Notebook],
    )
    form = {"cellView": "form"}  # Colab shows the fields, and the code when it is asked to
    cells = (
        Cell("about", f"{EXPLANATION}\n{TERMS}", is_code=False),
        Cell("install", install, metadata=form),
        Cell("study", study, metadata=form),
        Cell("show", cell_text.render("coordinator_show.py.txt"), metadata=form),
    )
    return notebook_file.text(cells, with_gpu=False)


def _wheel() -> bytes:
    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        return packing.build(Path(directory)).read_bytes()
