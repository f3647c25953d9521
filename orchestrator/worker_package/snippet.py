"""The cell that starts a worker in somebody's notebook, as text.  Holds no secret: everybody signs in as themselves.

What the cell does stands in `cells/worker.py.txt`, to be read as the person who pastes it reads it.
"""

from __future__ import annotations

from enum import Enum

from orchestrator.installation import distribution
from orchestrator.worker_package import cell_text, notebook_file
from orchestrator.worker_package.notebook_file import Cell
from orchestrator.worker_package.publication import Travelling


class Notebook(Enum):
    """Where the cell is pasted: they differ in how one signs in."""

    COLAB = "colab"
    KAGGLE = "kaggle"
    SHELL = "shell"


EXPLANATION = """\
# A worker for the study "{study}"

Run the cell below, and sign in with your own Google account when it asks. The worker trains and measures until nothing
is left to do; when the session ends, start it again, and it goes on from the last checkpoint. Nothing in this notebook
is secret.
"""

TERMS = """\
**Terms.** One account per person, and a person starts every session; no tricks here keep a session alive. Colab forbids
using several accounts to get round its limits, and lists distributed computing workers among what its free tier may not
run; Kaggle allows one account a person. Paid Colab, Kaggle, a campus's and your own GPUs are equal homes for a worker.
"""

SECRET = "ORCH_GOOGLE"
"""What a Kaggle secret is called that holds a sign-in: the file that `orch login` keeps."""

SIGN_IN = {
    Notebook.COLAB: """\
from google.colab import auth
auth.authenticate_user()
""",
    Notebook.KAGGLE: f"""\
from kaggle_secrets import UserSecretsClient
try:
    signed_in = UserSecretsClient().get_secret("{SECRET}")
except Exception:  # there is no such secret: the account that the notebook is linked to (Add-ons, Google Cloud SDK)
    signed_in = UserSecretsClient().get_gcloud_credential()
(place / "google.json").touch(mode=0o600)
(place / "google.json").write_text(signed_in)
os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(place / "google.json")
""",
    Notebook.SHELL: """\
stored = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config") / "orch" / "google.json"
if stored.exists():  # as orch login has kept it; else what gcloud auth application-default login has
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(stored)
""",
}
"""How one signs in to Google there; `place` is a directory of the cell's own."""


def cell(travelling: Travelling, notebook: Notebook) -> str:
    """The text to paste: Python for a notebook, for a shell a command around it."""
    python = cell_text.render(
        "worker.py.txt",
        study=travelling.study,
        home=travelling.home,
        wheel=travelling.wheel,
        sha256=travelling.sha256,
        code=sorted(travelling.code),
        requirement=distribution.requirement("notebook"),
        sign_in=SIGN_IN[notebook],
    )
    return python if notebook is not Notebook.SHELL else f"python3 - <<'ORCH'\n{python}ORCH\n"


def as_notebook(travelling: Travelling, notebook: Notebook) -> str:
    """A notebook with the cell, and what a person should know before they run it."""
    told = EXPLANATION.format(study=travelling.study) + "\n" + TERMS
    cells = Cell("about", told, is_code=False), Cell("worker", cell(travelling, notebook))
    return notebook_file.text(cells, with_gpu=True)
