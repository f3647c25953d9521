"""The Orch that travels with a study: put by `orch plan` where notebooks reach, and fetched by a notebook's cell.

How its wheel is built stands in `orchestrator.worker_package.packing`.
What the cell does stands in `orchestrator.worker_package.snippet`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator import google_drive
from orchestrator.address import drive_folder, scheme, without_password
from orchestrator.errors import HomeError, UsageError
from orchestrator.object_stores import places
from orchestrator.object_stores.places import Service

if TYPE_CHECKING:  # only a home in an object store needs its library
    from orchestrator.object_stores.client import ObjectClient

_SETTING = re.compile(r"(https?://)?[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?")
"""An address without a name and password in it, or a region."""


SETTINGS = ("AWS_ENDPOINT_URL", "AWS_REGION")
"""What workers are told of an S3 service: its address and the bucket's region, where they are not Amazon's."""


@dataclass(frozen=True)
class Travelling:
    """What a worker needs to know to find its study."""

    study: str
    home: str
    """`gdrive://FOLDER_ID`, or a URL in an object store."""
    wheel: str
    """The wheel's id on Drive, or its key below the home's prefix."""
    sha256: str
    """The wheel's digest, in hexadecimal."""
    code: frozenset[str] = frozenset()
    """SHA-256 of the code of a person's own that workers may run."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables that say where an object store is; no secrets."""


def travels(url: str) -> bool:
    """Whether Orch travels with a study there: to where notebooks reach."""
    return scheme(url) in ("gdrive", *places.SCHEMES)


def publish(url: str) -> None:
    """Put the Orch that is running into a home that it travels with.

    Raises:
        UsageError: the home is elsewhere.
        DriveRefused, ObjectsRefused: this account or these keys may not write there, or have no room.
    """
    from orchestrator.worker_package import packing

    _refuse_elsewhere(url)
    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        wheel = packing.build(Path(directory))
        if scheme(url) in places.SCHEMES:
            from orchestrator.object_stores import wheels

            wheels.publish(_bucket(url), wheel)
        else:
            client = google_drive.connect()
            from orchestrator.google_drive import folder

            folder.publish_wheel(client, drive_folder(url), wheel)


def found(url: str, study: str) -> Travelling:
    """What was published with a study: the Orch that is running, and no other.

    Everybody who may write in the home may put a wheel of their own there, and say that it is the one.  A cell that
    took the home's word for its digest would run it in everybody's notebook.

    Raises:
        UsageError: Orch travels with no study there, or where the object store is cannot stand in a cell.
        HomeError: no wheel was published there, or another than this Orch builds.
    """
    _refuse_elsewhere(url)
    return _in_bucket(url, study) if scheme(url) in places.SCHEMES else _on_drive(url, study)


def _in_bucket(url: str, study: str) -> Travelling:
    from orchestrator.object_stores import wheels
    from orchestrator.worker_package import packing

    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        wheel = packing.build(Path(directory))
        if not wheels.is_published(_bucket(url), wheel):
            raise HomeError(
                f"The Orch that runs here does not travel with {url}: run `orch plan` again with this one, or use the "
                "version that planned the study."
            )
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return Travelling(study, url, wheels.key_of(wheel), sha256, settings=_settings(url))


def _settings(url: str) -> dict[str, str]:
    """Of an S3 service that is not Amazon's, or of another region: every worker needs them."""
    if places.parsed(url).service is not Service.S3:
        return {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    settings = {name: value for name, value in zip(SETTINGS, (endpoint, region), strict=True) if value}
    for name, value in settings.items():
        if not _SETTING.fullmatch(value):
            raise UsageError(f"What {name} says cannot stand in a cell; it is an address or a region, without any key.")
    return settings


def _bucket(url: str) -> ObjectClient:
    from orchestrator.object_stores.client import ObjectClient

    return ObjectClient(places.parsed(url))


def _refuse_elsewhere(url: str) -> None:
    if not travels(url):
        shown = without_password(url)
        raise UsageError(f"{shown} is not on Google Drive or in an object store, and a notebook reaches nothing else.")


def _on_drive(url: str, study: str) -> Travelling:
    from orchestrator.worker_package import packing

    there, client = drive_folder(url), google_drive.connect()
    from orchestrator.google_drive import folder  # needs the libraries that `connect` has found

    wheel = folder.published_wheel(client, there)
    if wheel is None:
        raise HomeError(f"No Orch travels with {url} yet; run `orch plan` again.")
    with TemporaryDirectory(prefix="orch-wheel-") as directory:
        own = hashlib.sha256(packing.build(Path(directory)).read_bytes()).hexdigest()
    if wheel.sha256 != own:
        raise HomeError(
            f"The Orch in {url} is not the one that runs here: it is of another version, or somebody has put their own "
            "there; run `orch plan` with this one to replace it, or use the version that planned the study."
        )
    return Travelling(study, url, wheel.id, own)
