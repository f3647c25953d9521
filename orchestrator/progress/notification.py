"""Telling a person who does not watch: one POST when something happened that they would want to know.

What is worth telling follows from what `orch status` shows.  Where it goes is the person's own address: a topic of ntfy
(docs.ntfy.sh/publish), a webhook of Slack (api.slack.com/messaging/webhooks) or Discord
(discord.com/developers/docs/resources/webhook), or whatever else takes a POST of plain text.
"""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import Header
from urllib.parse import urlsplit

from orchestrator.errors import OrchError, UsageError
from orchestrator.foreign_text import single_line
from orchestrator.jobs import JobState
from orchestrator.progress.summary import Snapshot
from orchestrator.report.wording import duration

STALLED_SECONDS = 3600.0
"""For how long nothing has to move until a person is told, unless they say another time."""

_PATIENCE_SECONDS = 20.0
_MOST_LETTERS = 1500
"""Discord takes 2,000."""


class NotTold(OrchError):
    """A message could not be delivered."""


@dataclass(frozen=True)
class Message:
    """What is told, in two lines."""

    title: str
    text: str


class News:
    """What is new since one looked last; each thing is told once.  For one thread."""

    def __init__(self, stalled_seconds: float = STALLED_SECONDS) -> None:
        self._stalled_seconds = stalled_seconds
        self._told_done = False
        self._quarantined = 0
        self._at: tuple[Counter[JobState], tuple[int, ...]] | None = None
        self._moved = 0.0
        self._told_stalled = False

    def since(self, snapshot: Snapshot, now: float) -> Iterator[Message]:
        """What is to be told now; `now` is any clock that only goes forward, in seconds."""
        study = single_line(snapshot.study)
        yield from self._newly_quarantined(study, snapshot)
        if not snapshot.is_over:
            self._told_done = False
            yield from self._standing_still(study, snapshot, now)
        elif not self._told_done:
            self._told_done = True
            yield Message(f"{study} is done", f"{_done(snapshot)}. Next: orch report")

    def _newly_quarantined(self, study: str, snapshot: Snapshot) -> Iterator[Message]:
        before, self._quarantined = self._quarantined, snapshot.counts[JobState.QUARANTINED]
        if self._quarantined > before:
            problem = next((each for each in snapshot.problems if "is quarantined" in each), "See orch status.")
            yield Message(f"{study}: a job failed for good", single_line(problem))

    def _standing_still(self, study: str, snapshot: Snapshot, now: float) -> Iterator[Message]:
        at = (snapshot.counts, tuple(model.step for model in snapshot.models))
        if at != self._at:
            self._at, self._moved, self._told_stalled = at, now, False
        elif now - self._moved >= self._stalled_seconds and not self._told_stalled:
            self._told_stalled = True
            still = duration(now - self._moved)
            yield Message(
                f"{study} stands still", f"Nothing has moved for {still}: {_done(snapshot)}. See orch status."
            )


def _done(snapshot: Snapshot) -> str:
    return f"{snapshot.counts[JobState.DONE]} of {snapshot.total} jobs are done"


def check(url: str) -> None:
    """Raises UsageError if nothing can be posted to such an address, which is shown nowhere: it is a key."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii() and url.isprintable()
    except ValueError:
        sound = False
    if not sound or " " in url:
        raise UsageError("What --notify names is no address to post to; it begins with https://.")


def send(url: str, message: Message) -> None:
    """Raises NotTold if it does not arrive."""
    try:
        with urllib.request.urlopen(request(url, message), timeout=_PATIENCE_SECONDS):
            pass
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise NotTold(f"What --notify names did not take a message ({single_line(str(reason))}).") from error


def request(url: str, message: Message) -> urllib.request.Request:
    """The message as the service of this address takes it."""
    host, text = urlsplit(url).hostname or "", message.text[:_MOST_LETTERS]
    key = {"hooks.slack.com": "text", "discord.com": "content", "discordapp.com": "content"}.get(host)
    if key is not None:
        body, headers = json.dumps({key: f"{message.title}\n{text}"}), {"Content-Type": "application/json"}
    else:
        title = message.title if message.title.isascii() else Header(message.title, "utf-8", maxlinelen=10_000).encode()
        body, headers = text, {"Content-Type": "text/plain; charset=utf-8", "Title": title}
    # Discord refuses what says it is Python.
    return urllib.request.Request(url, body.encode(), {**headers, "User-Agent": "orch"}, method="POST")
