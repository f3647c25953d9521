"""The URLs of places in object stores.  Nothing is opened here, and no library is loaded.

`s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` and `hf://OWNER/BUCKET/PREFIX`; the prefix may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from orchestrator.errors import UsageError


class Service(Enum):
    """Who keeps the objects, by the scheme of its URLs."""

    S3 = "s3"
    GCS = "gs"
    HUGGING_FACE = "hf"
    """A thin alias of S3: a gateway of its own, and keys of its own."""


SCHEMES = frozenset(service.value for service in Service)

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; Google's may have underscores, too.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,221}[a-z0-9]")
# https://huggingface.co/docs/hub/storage-buckets: names as those of repositories.
_HUGGING_FACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_PREFIX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*(/[A-Za-z0-9_][A-Za-z0-9_.=+-]*)*")
_LONGEST_PREFIX = 400

_FORMS = {
    Service.S3: "s3://BUCKET/PREFIX",
    Service.GCS: "gs://BUCKET/PREFIX",
    Service.HUGGING_FACE: "hf://OWNER/BUCKET/PREFIX",
}


@dataclass(frozen=True)
class Place:
    """Part of a bucket: all keys below a prefix."""

    service: Service
    owner: str
    """Of the bucket, on Hugging Face; elsewhere empty."""
    bucket: str
    prefix: str
    """Without slashes around it; empty for the whole bucket."""

    @property
    def url(self) -> str:
        return f"{self.service.value}://" + "/".join(filter(None, (self.owner, self.bucket, self.prefix)))


def parsed(url: str) -> Place:
    """Raises UsageError, whose sentence repeats nothing of the URL: somebody may have put a key into it."""
    scheme, _, rest = url.partition("://")
    service = Service(scheme)
    owner, rest = ("", rest) if service is not Service.HUGGING_FACE else _divided(rest)
    bucket, prefix = _divided(rest)
    prefix = prefix.removesuffix("/")
    name = _HUGGING_FACE_NAME if service is Service.HUGGING_FACE else _BUCKET
    named = name.fullmatch(bucket) and (not owner or name.fullmatch(owner))
    lacks_owner = service is Service.HUGGING_FACE and not owner
    within = not prefix or (len(prefix) <= _LONGEST_PREFIX and _PREFIX.fullmatch(prefix))
    if not named or lacks_owner or not within:
        raise UsageError(
            f"The URL of the {scheme}: home cannot be understood; write {_FORMS[service]}, in letters, digits and "
            "_ . = + -; keys are never part of it (docs/object-stores.md says where they go)."
        )
    return Place(service, owner, bucket, prefix)


def _divided(path: str) -> tuple[str, str]:
    first, _, rest = path.partition("/")
    return first, rest
