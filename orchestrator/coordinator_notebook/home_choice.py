"""Which home the notebook means: what its form says, and what was planned from its working directory before."""

from __future__ import annotations

from orchestrator import address
from orchestrator.address import Address
from orchestrator.errors import HomeError, UsageError
from orchestrator.object_stores import places

NEW_FOLDER = "gdrive:"


def checked(home: object) -> str:
    """A home that a notebook can plan in, whatever a person has typed.  Raises UsageError: it is none."""
    if not isinstance(home, str) or not home.strip() or not home.isprintable():
        raise UsageError(
            'HOME names no place; write "gdrive:", "gdrive://FOLDER", "s3://BUCKET/PREFIX", "gs://BUCKET/PREFIX", '
            '"hf://OWNER/BUCKET/PREFIX" or a directory.'
        )
    home = home.strip()
    scheme = address.scheme(home)
    if scheme in places.SCHEMES:
        places.parsed(home)
    elif scheme == "gdrive":
        address.drive_folder(home)
    elif scheme is not None:
        raise UsageError(
            "A notebook plans on Google Drive, in an object store or in a directory, and HOME is "
            f"{address.without_password(home)}; orch plan plans in other homes."
        )
    return home


def for_planning(home: object, study: str) -> Address:
    """Where a study is to be planned: where it was planned from here before, if a new folder is asked for.

    Raises UsageError.
    """
    asked = Address(checked(home))
    if not _is_new(asked):
        return asked
    before = address.of_study(study, None, None)
    return before if _is_folder(before) else asked


def for_looking(home: object) -> Address:
    """Where the study is that is to be shown.  Raises UsageError, and HomeError where it was not planned yet."""
    asked = Address(checked(home))
    if not _is_new(asked):
        return asked
    before = address.known_if_any(None, None)
    if before is None or not _is_folder(before):
        raise HomeError(
            "Nothing was planned on Google Drive from here yet; run the second cell, or write the folder's address as "
            "HOME in the first one."
        )
    return before


def _is_new(at: Address) -> bool:
    return address.scheme(at.url) == "gdrive" and not address.drive_folder(at.url)


def _is_folder(at: Address) -> bool:
    return address.scheme(at.url) == "gdrive" and bool(address.drive_folder(at.url))
