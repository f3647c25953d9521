"""Whoever does not watch is told once of what they would want to know, in the way that their service takes it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from email.header import decode_header

import pytest

from orchestrator.errors import UsageError
from orchestrator.jobs import JobState
from orchestrator.progress.notification import Message, News, NotTold, check, request, send
from orchestrator.progress.summary import ModelProgress, Snapshot
from tests.support.mailbox import mailbox

RUNNING = Snapshot("mine", "home", Counter({JobState.DONE: 3, JobState.RUNNING: 1}), (), (), None, ())
DONE = dataclasses.replace(RUNNING, counts=Counter({JobState.DONE: 4}))


def titles(news: News, snapshot: Snapshot, now: float = 0.0) -> list[str]:
    return [message.title for message in news.since(snapshot, now)]


def at_step(step: int) -> Snapshot:
    return dataclasses.replace(RUNNING, models=(ModelProgress("vit", step, 100, None, None),))


def test_the_end_of_a_study_is_told_once() -> None:
    news = News()
    assert titles(news, RUNNING) == []
    assert titles(news, DONE) == ["mine is done"]
    assert titles(news, DONE) == []


def test_a_study_that_was_extended_ends_once_more() -> None:
    news = News()
    assert [titles(news, each) for each in (DONE, RUNNING, DONE)] == [["mine is done"], [], ["mine is done"]]


def test_each_job_that_failed_for_good_is_told_with_what_to_do() -> None:
    news = News()
    problem = "vit/seed0/train/r00.s0 is quarantined: no. See `orch logs ...`"
    one = dataclasses.replace(RUNNING, counts=RUNNING.counts + Counter({JobState.QUARANTINED: 1}), problems=(problem,))
    (message,) = news.since(one, 0.0)
    assert (message.title, message.text) == ("mine: a job failed for good", problem)
    assert titles(news, one) == []


def test_what_stands_still_is_told_once_until_it_moves_again() -> None:
    news = News(stalled_seconds=600.0)
    told = [
        titles(news, at_step(step), now) for step, now in [(5, 0), (5, 599), (5, 600), (5, 900), (6, 901), (6, 1501)]
    ]
    assert told == [[], [], ["mine stands still"], [], [], ["mine stands still"]]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", "text"),
        ("https://discord.com/api/webhooks/1/x", "content"),
    ],
)
def test_slack_and_discord_get_json(url: str, key: str) -> None:
    posted = request(url, Message("mine is done", "4 of 4"))
    assert posted.method == "POST" and posted.get_header("Content-type") == "application/json"
    assert json.loads(bytes(posted.data or b"")) == {key: "mine is done\n4 of 4"}  # type: ignore[arg-type]


def test_a_title_beyond_ascii_arrives_whole() -> None:
    posted = request("https://ntfy.example/topic", Message("größer ist fertig", "4 of 4"))
    ((title, charset),) = decode_header(posted.get_header("Title") or "")
    assert isinstance(title, bytes) and title.decode(charset or "") == "größer ist fertig"


def test_other_services_get_plain_text_with_a_title() -> None:
    with mailbox() as box:
        send(box.url, Message("mine is done", "4 of 4"))
    assert box.taken == [("mine is done", "4 of 4")]


def test_a_service_that_refuses_is_told_without_its_address() -> None:
    with mailbox() as box:
        box.answer = 403
        with pytest.raises(NotTold) as refused:
            send(box.url, Message("mine is done", "4 of 4"))
    assert "Forbidden" in str(refused.value) and "topic" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["", "ntfy.sh/topic", "file:///etc/passwd", "https://", "https://a b", "http://[", "x\n"]
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError, match="--notify"):
        check(url)
