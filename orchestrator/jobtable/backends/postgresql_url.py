"""A PostgreSQL URL: understood, and shown without its secrets.  Loads no driver; connecting is for `postgresql`."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import UsageError

SCHEMES = ("postgresql", "postgres")
"""What such a URL begins with; libpq knows both."""

_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret"})
"""The parameters of libpq that nobody may see."""


def parsed(url: str) -> URL:
    """The parts of a URL.

    Raises:
        UsageError: it cannot be understood; the sentence repeats nothing of it, since any part may be a password.
    """
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        raise UsageError(f"The URL of the PostgreSQL home cannot be understood; {_ADVICE}.") from None
    # What follows an @ in a password was taken for the host, and would be shown as one.
    if "@" in f"{parts.host}{parts.database}":
        raise UsageError(f"The URL of the PostgreSQL home has an @ too many; {_ADVICE}.")
    return parts


_ADVICE = "write postgresql://USER@HOST:PORT/DATABASE, an @ inside a name or password as %40"


def has_password(url: str) -> bool:
    """Whether it holds a secret of any kind.  Raises UsageError."""
    parts = parsed(url)
    return parts.password is not None or not _SECRETS.isdisjoint(parts.query)


def shown(url: str) -> str:
    """The URL as anybody may see it: it leads to the same database, and holds no password.  Raises UsageError."""
    parts = parsed(url)
    query = {key: value for key, value in parts.query.items() if key not in _SECRETS}
    public = URL.create("postgresql", parts.username, None, parts.host, parts.port, parts.database, query)
    return public.render_as_string()
