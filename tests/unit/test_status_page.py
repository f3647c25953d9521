"""The status as a page: what the table says is text in it, whoever wrote it."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import parse_qs

import pytest
from markupsafe import Markup, escape

from orchestrator.jobs import Attempt, Ending, Job, JobState, Stage
from orchestrator.progress import page
from orchestrator.progress.job_details import JobDetails, Printed
from orchestrator.progress.page import JOBS_A_PAGE, StatusView, Wanted
from orchestrator.progress.summary import WorkerProgress
from tests.unit.test_status_terminal import SNAPSHOT, WORKER

EVIL = "\"'><script>alert(1)</script>\u202e"
NAME = "vit/seed0/train/r00.s0"
JOB = Job(
    "ab" * 16,
    "vit/seed0/train/r00.s0",
    Stage.TRAIN,
    JobState.RUNNING,
    {},
    2,
    1,
    "w1",
    {"step": 3, "steps": 9},
    None,
    None,
)


class Elements(HTMLParser):
    """The start tags and the text of a document; complains of a tag that is not closed."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data

    def having(self, attribute: str) -> list[str]:
        return [value or "" for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


def view(**changes: object) -> StatusView:
    return StatusView(SNAPSHOT, [JOB], **changes)  # type: ignore[arg-type]


def test_a_status_is_whole_html_with_each_id_once() -> None:
    told = Elements(page.status(view()))
    ids = told.having("id")
    assert len(ids) == len(set(ids)) and "status" in ids
    for part in (
        "3 of 9 jobs done",
        "400 of 1,000",
        "67.3%",
        "0.250 s a step over 420 steps, 2 at work",
        "colab-1a2b3c4d",
        "1 running",
    ):
        assert part in told.text, part


def test_a_command_that_helps_is_told_as_one() -> None:
    assert "<code>orch retry a/b</code>" in page.status(view())


@pytest.mark.parametrize("live", [True, False])
def test_names_errors_and_logs_with_markup_are_text(live: bool) -> None:
    worker = dataclasses.replace(WORKER, name=EVIL, host=EVIL, device=EVIL, job=None)
    seen = dataclasses.replace(SNAPSHOT, home=EVIL, workers=(worker,), problems=(EVIL,), notes=(EVIL,))
    job = dataclasses.replace(JOB, worker=EVIL, error=EVIL, state=JobState.QUARANTINED)
    attempt = Attempt(job.id, 1, EVIL, EVIL, EVIL, 1.0, 2.0, 3.0, 0, 5, Ending.FAILED, EVIL)
    whole = page.whole(StatusView(seen, [job], trouble=EVIL, live=live), Markup("<p>report</p>"))
    details = page.job(JobDetails(job, (attempt,)), Printed(EVIL))
    for text in (whole, details):
        assert "<script>alert" not in text and "\u202e" not in text
        assert "alert(1)" in Elements(text.replace("<!DOCTYPE html>", "")).text


def test_times_are_told_as_moments_too_so_that_the_page_can_count_on() -> None:
    told = Elements(page.status(StatusView(dataclasses.replace(SNAPSHOT, now=1000.0), [])))
    assert told.having("data-since") == ["988.0"]
    assert told.having("data-until") == ["19000"]


def test_a_filter_is_an_address_that_asks_for_it() -> None:
    wanted = Wanted(Stage.TRAIN, JobState.RUNNING).at(3)
    assert parse_qs(wanted.query[1:]) == {"stage": ["train"], "state": ["running"], "page": ["3"]}
    assert parse_qs(Wanted().query[1:]) == {"page": ["1"]}
    assert wanted.of(None, JobState.DONE).page == 1


def test_there_are_as_many_pages_as_jobs_need() -> None:
    counts = Counter({JobState.READY: 2 * JOBS_A_PAGE + 1})
    seen = dataclasses.replace(SNAPSHOT, counts=counts, stages={Stage.TRAIN: counts})
    first = page.status(StatusView(seen, []))
    assert "1 of 3" in first and 'rel="next"' in first and 'rel="prev"' not in first
    last = page.status(StatusView(seen, [], Wanted(page=3)))
    assert 'rel="next"' not in last and 'rel="prev"' in last


def test_a_page_that_is_written_once_has_no_script_and_no_way_to_a_server() -> None:
    told = Elements(page.whole(view(live=False), Markup()).replace("<!DOCTYPE html>", ""))
    assert not any(tag == "script" for tag, _ in told.tags)
    assert "script-src 'none'" in "".join(told.having("content"))
    assert "setTimeout(poll" not in page.whole(view(live=False), Markup("<p>a report</p>"))
    assert told.having("data-fetch") == [] and told.having("data-filter") == []


def test_the_scripts_of_a_page_are_those_that_its_policy_allows() -> None:
    whole, policy = page.whole(view(), Markup()), page.live_policy()
    assert whole.count("<script>") == len(page.live_scripts()) and escape(policy) in whole
    assert all(script.source in policy for script in page.live_scripts())
    assert "connect-src 'self'" in policy and "unsafe-inline" not in policy.split("style-src")[0]


def test_nothing_on_the_page_is_loaded_from_anywhere() -> None:
    whole = page.whole(view(live=False), Markup())
    for tag, attributes in Elements(whole.replace("<!DOCTYPE html>", "")).tags:
        for name in ("src", "href", "action", "srcset"):
            value = attributes.get(name) or ""
            assert not re.match(r"\w+:|//", value) or value == "data:,", (tag, value)
    assert "url(" not in whole and "@import" not in whole


def test_a_job_that_nobody_has_begun_says_so_and_a_long_log_shows_its_end() -> None:
    assert "Nobody has begun it." in page.job(JobDetails(JOB, ()), Printed())
    long = page.job(JobDetails(JOB, ()), Printed("\n".join(f"line {n}" for n in range(100_000))))
    assert "line 99999" in long and "line 5\n" not in long and "orch logs vit/seed0/train/r00.s0" in long


def test_problems_beyond_the_first_few_are_folded_away() -> None:
    many = dataclasses.replace(SNAPSHOT, problems=tuple(f"problem {n}" for n in range(30)))
    told = page.status(StatusView(many, []))
    assert told.index("problem 4") < told.index("<details") < told.index("problem 5")


def test_workers_that_have_gone_are_folded_away() -> None:
    gone = WorkerProgress("old", "h", "CPU", None, 90_000.0, None)
    told = page.status(StatusView(dataclasses.replace(SNAPSHOT, workers=(WORKER, gone)), []))
    assert "1 other worker was heard of before" in told
