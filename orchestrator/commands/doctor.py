"""What `orch doctor` does: look at this machine, the home, and the service that the home is on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from orchestrator import google_drive
from orchestrator.address import Address, drive_folder, scheme
from orchestrator.errors import HomeError, OrchError
from orchestrator.findings import Finding
from orchestrator.home import Home
from orchestrator.installation import distribution
from orchestrator.object_stores import places

if TYPE_CHECKING:  # only a home on Drive needs its libraries
    from orchestrator.google_drive.client import DriveClient
    from orchestrator.google_drive.folder import StudyFolder


def run(at: Address | None) -> bool:
    """Print what is found as it is found; whether all is well."""
    well = True
    for finding in findings(at):
        print(f"{'ok ' if finding.well else '!! '} {finding.told}", flush=True)
        well = well and finding.well
    return well


def findings(at: Address | None) -> Iterator[Finding]:
    """One after another, as they are found; what cannot be looked at is a finding, too.

    Args:
        at: the home to look at; None before anything was planned, when there is still this machine to look at, and
            Google Drive if somebody is signed in.
    """
    yield _orch()
    yield _python()
    yield _tensorflow()
    try:
        if at is None:
            yield from _before_the_first_plan()
        elif scheme(at.url) == "gdrive":
            yield from _on_drive(at)
        elif scheme(at.url) in places.SCHEMES:
            yield from _in_object_store(at)
        else:
            yield from _home(Home.open(at.url, at.artifacts))
    except OrchError as error:
        yield Finding(False, str(error))


def _before_the_first_plan() -> Iterator[Finding]:
    yield Finding(True, "Nothing is planned here yet; `orch plan` puts a study into a home.")
    try:
        client = google_drive.connect()
        client.account()
    except HomeError as error:  # no libraries, or nobody is signed in: which only a home on Drive needs
        yield Finding(True, f"A home on Google Drive could not be used yet: {error}")
        return
    yield from _service(client, None)


def _on_drive(at: Address) -> Iterator[Finding]:
    """The sign-in and the service are looked at whether the home is there or not."""
    from orchestrator.google_drive import folder

    client, known = google_drive.connect(), drive_folder(at.url)
    study = folder.found(client, known) if known else None
    if known:
        try:
            yield from _home(Home.open(at.url, at.artifacts))
        except HomeError as error:
            yield Finding(False, str(error))
    else:
        yield Finding(True, "Nothing is planned on Google Drive yet; `orch plan --home gdrive:` makes a folder.")
    yield from _service(client, study)


def _in_object_store(at: Address) -> Iterator[Finding]:
    """The keys and the service are looked at whether the home is there or not."""
    from orchestrator.object_stores import live_checks
    from orchestrator.object_stores.client import ObjectClient

    client = ObjectClient(places.parsed(at.url))
    if Home.exists(at.url, at.artifacts):
        yield from _home(Home.open(at.url, at.artifacts))
    else:
        yield Finding(True, f"Nothing is planned in {client.place.url} yet; `orch plan` puts a study there.")
    yield from live_checks.all_checks(client)


def _orch() -> Finding:
    try:
        return Finding(True, f"Orch {version(distribution.NAME)}.")
    except PackageNotFoundError:  # run from its sources
        return Finding(True, "Orch, from its sources: it is not installed, so its version is not known.")


def _python() -> Finding:
    return Finding(True, f"Python {platform.python_version()} on {platform.platform(terse=True)}.")


def _tensorflow() -> Finding:
    try:
        return Finding(True, f"TensorFlow {version('tensorflow')}: this machine can work on jobs.")
    except PackageNotFoundError:
        return Finding(True, "No TensorFlow: this machine plans, watches and reports, and does no jobs.")


def _home(home: Home) -> Iterator[Finding]:
    study = home.jobs.study()
    if study is None:
        yield Finding(False, f"Nothing is planned in {home.url} yet; run `orch plan`.")
        return
    yield Finding(True, f"The home {home.url} holds {study.name}, with {len(home.jobs.jobs())} jobs.")
    lacking = [name for name, artifact in home.jobs.data().items() if not home.artifacts.is_whole(artifact)]
    if lacking:
        told = f"The data {', '.join(lacking)} are missing or damaged; run `orch plan` again, and they are put again."
        yield Finding(False, told)
    else:
        yield Finding(True, "All shards and the test set are there, and undamaged.")


def _service(client: DriveClient, study: StudyFolder | None) -> Iterator[Finding]:
    from orchestrator.google_drive import live_checks

    with nullcontext(study.id) if study else _borrowed_folder(client) as where:
        yield from live_checks.all_checks(client, where)


@contextmanager
def _borrowed_folder(client: DriveClient) -> Iterator[str]:
    """A folder to try things in, gone at the end."""
    folder = client.new_id()
    client.create_folder(folder, "orch doctor", None, {})
    try:
        yield folder
    finally:
        client.delete(folder)
