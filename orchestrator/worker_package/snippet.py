"""The cell that starts a worker in somebody's notebook, as text.  Holds no secret: everybody signs in as themselves.

What the cell does stands in `cells/worker.py.txt`, to be read as the person who pastes it reads it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from orchestrator.address import scheme
from orchestrator.installation import distribution
from orchestrator.object_stores import places
from orchestrator.object_stores.places import Place, Service
from orchestrator.object_stores.refusals import KEYS
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

Run the cell below{sign_in}. The worker trains and measures until nothing
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

KEY_VARIABLES = {
    Service.S3: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    Service.HUGGING_FACE: ("ORCH_HF_ACCESS_KEY_ID", "ORCH_HF_SECRET_ACCESS_KEY"),
}
"""What the secrets of a notebook are called that hold the keys: as the variables are."""

_SECRETS = {
    Notebook.COLAB: """\
from google.colab import userdata
secret, advice = userdata.get, "(the key at the left) that this notebook may read"
""",
    Notebook.KAGGLE: """\
from kaggle_secrets import UserSecretsClient
secret, advice = lambda name: UserSecretsClient().get_secret(name), "(Add-ons) that are attached to this notebook"
""",
}
"""How a secret of the notebook is read; what is not there raises whatever the service likes."""

_BRING = """\
try:
    brought.update({name: secret(name) for name in {*NAMES} - {*os.environ}})
except Exception:  # there is no such secret, or this notebook may not read it
    sys.exit(f"Keep {' and '.join(NAMES)} as secrets {advice}.")
"""


def cell(travelling: Travelling, notebook: Notebook) -> str:
    """The text to paste: Python for a notebook, for a shell a command around it."""
    in_bucket = _in_bucket(travelling)
    python = cell_text.render(
        "worker.py.txt",
        study=travelling.study,
        home=travelling.home,
        wheel=travelling.wheel,
        sha256=travelling.sha256,
        code=sorted(travelling.code),
        requirement=distribution.requirement("worker,objects" if in_bucket else "notebook"),
        **(_of_bucket(travelling, notebook) if in_bucket else _of_drive(notebook)),
    )
    return python if notebook is not Notebook.SHELL else f"python3 - <<'ORCH'\n{python}ORCH\n"


def _told_of_keys(travelling: Travelling) -> str:
    names = KEY_VARIABLES.get(places.parsed(travelling.home).service) if _in_bucket(travelling) else None
    if names is None:
        return ", and sign in with your own Google account when it asks"
    return f" once {' and '.join(names)} are among the notebook's secrets"


def _in_bucket(travelling: Travelling) -> bool:
    return scheme(travelling.home) in places.SCHEMES


def _of_drive(notebook: Notebook) -> dict[str, Any]:
    return {"source": "from_drive.py.txt", "sign_in": SIGN_IN[notebook]}


def _of_bucket(travelling: Travelling, notebook: Notebook) -> dict[str, Any]:
    """Raises UsageError if the home's URL is none."""
    place = places.parsed(travelling.home)
    modules = {"obstore": "obstore"}
    if place.service is Service.GCS:
        modules |= {"google.auth": "google-auth", "requests": "requests"}
    return {
        "source": "from_objects.py.txt",
        "sign_in": _settings(travelling) + _keys(place, notebook),
        "service": place.service.value,
        "store": "GCSStore" if place.service is Service.GCS else "S3Store",
        "owner": place.owner,
        "bucket": place.bucket,
        "prefix": place.prefix,
        "library": modules,
    }


def _settings(travelling: Travelling) -> str:
    """Where the service is, as whoever planned reaches it: no secret, and the same for everybody."""
    return f"brought.update({dict(sorted(travelling.settings.items()))!r})\n" if travelling.settings else ""


def _keys(place: Place, notebook: Notebook) -> str:
    """How the keys come into the worker's environment: from the service's secrets, and never from the cell."""
    if notebook is Notebook.SHELL:
        return f"# {KEYS[place.service]}\n"
    if place.service is Service.GCS:
        return SIGN_IN[notebook]
    return f"NAMES = {list(KEY_VARIABLES[place.service])!r}\n{from_secrets(notebook)}"


def from_secrets(notebook: Notebook) -> str:
    """Code that brings the variables `NAMES` from the notebook's secrets; it leaves `secret`, which reads one more."""
    return _SECRETS[notebook] + _BRING


def as_notebook(travelling: Travelling, notebook: Notebook) -> str:
    """A notebook with the cell, and what a person should know before they run it."""
    told = EXPLANATION.format(study=travelling.study, sign_in=_told_of_keys(travelling)) + "\n" + TERMS
    cells = Cell("about", told, is_code=False), Cell("worker", cell(travelling, notebook))
    return notebook_file.text(cells, with_gpu=True)
