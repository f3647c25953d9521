"""Whose code a worker runs: what was planned where it is started, or was named to it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import address
from orchestrator.address import Address
from workers.trust import Trust

OURS, THEIRS = "a" * 64, "b" * 64


def spec(digest: str, teacher: str | None = None) -> dict[str, object]:
    distil = {"distil": {"teacher": f"teacher.py@{teacher}:build"}} if teacher else {}
    return {"training": {"architecture": f"nets.py@{digest}:build"}, **distil}


def test_code_that_nobody_vouched_for_is_refused_with_what_to_do() -> None:
    assert f"--code {THEIRS}" in str(Trust({OURS}).refusal(spec(THEIRS)))
    assert f"--code {THEIRS}" in str(Trust({OURS}).refusal(spec(OURS, teacher=THEIRS)))
    assert Trust({OURS, THEIRS}).refusal(spec(OURS, teacher=THEIRS)) is None


@pytest.mark.parametrize(
    "other",
    [
        *({"training": {"architecture": "alexnet-tiny"}}, {"architecture": "a.b:c"}, {}),
        *({"training": "nets", "distil": 7}, {"architecture": ["nets.py"]}, {"training": {"architecture": None}}),
    ],
)
def test_jobs_without_code_that_travels_are_for_everybody(other: dict[str, object]) -> None:
    assert Trust().refusal(other) is None


def test_what_is_planned_while_a_worker_runs_is_run_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trust = Trust(noted=address.noted_code)
    assert trust.refusal(spec(OURS)) is not None
    address.remember("small", Address("small.orch"), [OURS])
    assert trust.refusal(spec(OURS)) is None and trust.refusal(spec(THEIRS)) is not None
    assert address.known(None, None).url.endswith("small.orch")


@pytest.mark.parametrize("code", ['"x"', '["--home"]', "7", "[[1]]", '["' + "a" * 63 + '"]'])
def test_a_note_that_somebody_wrote_otherwise_vouches_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    address.NOTE_FILE.write_text(f"code = {code}\n")
    assert address.noted_code() == frozenset()
