"""Where the services are, and what time it is there."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass

from orchestrator.object_stores.places import Place, Service
from orchestrator.object_stores.refusals import ObjectsRefused, Reason

_HUGGING_FACE_VARIABLE = "ORCH_HF_ENDPOINT"
"""Where Hugging Face's gateway is, if not at its own address: for tests and proxies."""

_EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"
"""Google's own libraries' name for where Cloud Storage is, if not at Google's own address; nothing is signed there."""

# https://huggingface.co/docs/hub/storage-buckets-s3: the owner is part of the endpoint, and there is one region.
_HUGGING_FACE = "https://s3.hf.co"
_HUGGING_FACE_REGION = "us-east-1"
_GOOGLE = "https://storage.googleapis.com"
_CLOCK_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Endpoint:
    """The address of a service."""

    url: str
    """Without a slash at its end."""
    region: str
    is_own: bool
    """Whether it is another than the one that follows from the region."""


def endpoint_of(place: Place) -> Endpoint:
    """As the environment says it: AWS's usual variables, Google's own one for emulators, one of ours."""
    match place.service:
        case Service.S3:
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
            own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            return Endpoint(_bare(own or f"https://s3.{region}.amazonaws.com"), region, bool(own))
        case Service.HUGGING_FACE:
            gateway = os.environ.get(_HUGGING_FACE_VARIABLE) or _HUGGING_FACE
            return Endpoint(f"{_bare(gateway)}/{place.owner}", _HUGGING_FACE_REGION, True)
        case Service.GCS:
            emulator = os.environ.get(_EMULATOR_VARIABLE)
            return Endpoint(_bare(_with_scheme(emulator) if emulator else _GOOGLE), "", bool(emulator))


def told_time(place: Place) -> str | None:
    """The `Date` of an answer to an unsigned HEAD, which services refuse and date all the same.

    Raises:
        ObjectsRefused: UNREACHABLE if nothing answers.
    """
    request = urllib.request.Request(f"{endpoint_of(place).url}/", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_CLOCK_TIMEOUT_SECONDS) as answer:
            date: str | None = answer.headers["date"]
            return date
    except urllib.error.HTTPError as error:
        with error:
            return error.headers["date"]
    except (OSError, ValueError) as error:
        raise ObjectsRefused(place, Reason.UNREACHABLE, "its clock was asked for") from error


def _bare(url: str) -> str:
    return url.rstrip("/")


def _with_scheme(host: str) -> str:
    """Google's libraries take both."""
    return host if "://" in host else f"http://{host}"
