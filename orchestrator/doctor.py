"""What `orch doctor` does: look at this machine, the home, and the service that the home is on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from orchestrator import drive
from orchestrator.address import Address, drive_folder, scheme
from orchestrator.errors import OrchError
from orchestrator.findings import Finding
from orchestrator.home import Home


def findings(at: Address) -> Iterator[Finding]:
    """One after another, as they are found; what cannot be looked at is a finding, too."""
    yield _python()
    yield _tensorflow()
    try:
        home = Home.open(at.url, at.artifacts)
        yield from _home(home)
        if scheme(home.url) == "gdrive":
            yield from _drive(home.url)
    except OrchError as error:
        yield Finding(False, str(error))


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


def _drive(url: str) -> Iterator[Finding]:
    from orchestrator.drive import folder, live_checks

    client = drive.connect()
    study = folder.found(client, drive_folder(url))
    assert study is not None, "a home that was opened is there"
    yield from live_checks.all_checks(client, study.id)
