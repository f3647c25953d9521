"""What `--json` prints is what docs/*.schema.json describe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.study import Study
from tests.support.done_jobs import finish
from tests.support.json_schemas import DOCS, faults, schema
from tests.support.processes import orch


def planned(planned_home: Callable[[Study], Home], study: Study) -> Home:
    """A study with a job that is under way, one that failed, and a worker that tells all it can."""
    home = planned_home(study)
    lease = home.jobs.claim(WorkerInfo("w1", "host", "CPU"))
    assert lease is not None
    said = {"step": 2, "steps": 10, "loss": float("nan"), "images_per_second": 5.0, "note": "", "seconds_left": 600.0}
    home.jobs.renew(lease, said)
    return home


def test_the_status_is_what_its_schema_describes(
    planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path
) -> None:
    home = planned(planned_home, small_study)
    known = schema("status.schema.json")
    for options in ((), ("--jobs",)):
        done = orch("status", "--json", *options, "--home", home.url, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert faults(json.loads(done.stdout), known) == []
    assert json.loads(done.stdout)["workers"][0]["seconds_left"] <= 600.0


def test_the_report_is_what_its_schema_describes(
    planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path
) -> None:
    home = planned_home(small_study)
    for jobs in (0, 1000):
        finish(home, jobs)
        done = orch("report", "--json", "--home", home.url, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert faults(json.loads(done.stdout), schema("report.schema.json")) == []
    assert json.loads(done.stdout)["rows"]


def test_the_study_whose_figures_are_kept_is_what_the_schema_describes() -> None:
    for kept in (DOCS / "results").glob("paper-cpu-*.json"):
        assert faults(json.loads(kept.read_text()), schema("report.schema.json")) == []


def test_a_key_that_nobody_described_and_a_value_of_another_kind_are_faults() -> None:
    told = faults({"study": 5, "secret": 1}, schema("status.schema.json"))
    assert "$.secret is not described" in told
    assert any(fault.startswith("$.study: 5 is not of type") for fault in told)
    assert any("'problems' is a required property" in fault for fault in told)
