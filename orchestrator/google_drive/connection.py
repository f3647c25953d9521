"""How requests reach Google Drive: signed in, tried again, and refused in words that tell what can be done.

What is asked stands in `orchestrator.google_drive.client`, what refusals mean in `orchestrator.google_drive.refusals`.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import google.auth.exceptions
import google_auth_httplib2
import httplib2
from googleapiclient import discovery, discovery_cache
from googleapiclient.errors import HttpError
from googleapiclient.http import build_http

from orchestrator.backoff import random_pause
from orchestrator.errors import SignInNeeded
from orchestrator.google_drive.refusals import DriveRefused, Reason, not_signed_in, refusal
from orchestrator.service_clock import ServiceClock

ROOT_URL_VARIABLE = "ORCH_DRIVE_ROOT_URL"
"""Where Drive's API is, if not at Google's own address: for tests and proxies."""

TRIES_MORE = 3
"""With pauses of 2, 4 and 8 s at most, at random: a table must say within half a minute whether it can be reached."""
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 8.0
_TIMEOUT_SECONDS = 20.0

# What no network says: a file that is up- or downloaded could not be read or written.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

T = TypeVar("T")


class Connection:
    """Drive's API as whoever is signed in reaches it; threads may share it.

    Args:
        renewed: gives the credentials of now when those at hand are not taken any more: a person may have signed in
            again.
    """

    def __init__(self, credentials: Any, root_url: str | None, renewed: Callable[[], Any] | None) -> None:
        self._credentials = credentials
        self._root_url = root_url or os.environ.get(ROOT_URL_VARIABLE)
        self._renewed = renewed
        # httplib2's connections are not for several threads.
        self._own = threading.local()
        self.clock = ServiceClock()

    @property
    def v2(self) -> Any:
        return self._service("v2")

    @property
    def v3(self) -> Any:
        return self._service("v3")

    def told(self, request: Any) -> Mapping[str, Any]:
        """What the answer to a request says, which may be sent several times.  Raises DriveRefused, SignInNeeded."""
        return self.insist(lambda: in_words(request.execute()))

    def insist(self, send: Callable[[], T]) -> T:
        """The outcome of something that may be sent several times.  Raises DriveRefused, SignInNeeded.

        The library's own tries would leave out an answer that is cut in the middle, and a page of a proxy's.
        """
        failures = 0
        while True:
            try:
                with explained():
                    return send()
            except DriveRefused as refused:
                failures += 1
                if refused.reason not in (Reason.UNREACHABLE, Reason.BUSY) or failures > TRIES_MORE:
                    raise
            except SignInNeeded:
                if not self._signed_in_again():
                    raise
                continue
            pause_after(failures)

    def _signed_in_again(self) -> bool:
        """Whether a person has done so since.  Raises SignInNeeded if they have signed out."""
        found = self._renewed() if self._renewed is not None else self._credentials
        again = getattr(found, "refresh_token", None) != getattr(self._credentials, "refresh_token", None)
        if again:
            self._credentials = found
        return again

    def _service(self, version: str) -> Any:
        known: dict[str, Any] = self._own.__dict__.setdefault("services", {})
        if version not in known:
            document = _document(version, self._root_url)
            known[version] = discovery.build_from_document(document, http=self._http())
        return known[version]

    def _http(self) -> Any:
        # Not httplib2.Http(): it takes Drive's 308, "go on with the upload", for a redirection.
        connection = build_http()
        connection.timeout = _TIMEOUT_SECONDS
        return _Listening(lambda: self._credentials, connection, self.clock)


def pause_after(failures: int) -> None:
    """Wait before a request is sent again that has failed so many times in a row."""
    time.sleep(random_pause(failures, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS))


class _Listening(google_auth_httplib2.AuthorizedHttp):  # type: ignore[misc]
    """Signs requests as whoever is signed in now, and tells the clock what time every answer was given."""

    def __init__(self, signed_in: Callable[[], Any], connection: Any, clock: ServiceClock) -> None:
        super().__init__(signed_in(), http=connection)
        self._signed_in = signed_in
        self._clock = clock

    def request(self, *arguments: Any, **named: Any) -> Any:
        self.credentials = self._signed_in()
        response, content = super().request(*arguments, **named)
        self._clock.note(response.get("date"))
        return response, content


class explained:  # noqa: N801  (reads as a word at its place)
    """Turns what the libraries raise into DriveRefused and SignInNeeded."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case OSError(errno=number) if number in _OF_THE_DISK:
                return
            case HttpError():
                raise refusal(int(error.resp.status), error.content) from error
            case google.auth.exceptions.RefreshError() if not error.retryable:
                raise not_signed_in(str(error.args[0] if error.args else error)) from None
            case (
                google.auth.exceptions.GoogleAuthError()
                | httplib2.HttpLib2Error()
                | http.client.HTTPException()
                | ConnectionError()
                | TimeoutError()
                | OSError()
            ):
                raise DriveRefused(Reason.UNREACHABLE, str(error) or type(error).__name__) from error


def in_words(answer: Any) -> Mapping[str, Any]:
    """An answer of Drive's own.  Raises DriveRefused: it is a page that a network shows before it lets one through."""
    if not isinstance(answer, dict):
        raise DriveRefused(Reason.UNREACHABLE, "what answered is not Drive")
    return answer


@cache
def _document(version: str, root_url: str | None) -> str:
    """The API's description that comes with the library, for the address that is used."""
    document = json.loads(discovery_cache.get_static_doc("drive", version))
    if root_url is not None:
        # Both: uploads go to the one, all else to the other.
        document["rootUrl"] = root_url
        document["baseUrl"] = root_url + document["servicePath"]
    return json.dumps(document)
