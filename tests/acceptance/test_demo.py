"""The demonstration shows what it promises: a death, its cost, and the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import datasets
from orchestrator.commands import demo
from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState
from orchestrator.planning.data_source import DataError
from orchestrator.study import CompressSection


@pytest.mark.slow
def test_the_demo_kills_a_worker_and_ends_with_the_bits_of_an_undisturbed_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = demo.tiny_study("synthetic")
    alexnet = study.models[0].model_copy(update={"compress": (CompressSection(method="float32"),)})
    training = study.training.model_copy(update={"epochs": 4, "epochs_per_visit": 4})
    smaller = study.model_copy(update={"models": (alexnet,), "training": training, "shards": 1, "test_images": 200})
    note = "This is said on the terminal and on the page."
    demo.go(tmp_path, smaller, datasets.load("synthetic"), (note,))

    told = " ".join(capsys.readouterr().out.split())
    assert "SIGKILL to worker-" in told
    assert "repeated steps of" in told
    assert "equal those of an undisturbed run, bit for bit" in told
    assert note in told
    page = tmp_path / "report" / "report.html"
    assert str(page) in told
    assert note in page.read_text() and "synthetic" in page.read_text()

    home = Home.open(tmp_path / "home")
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    assert Ending.EXPIRED in {attempt.outcome for attempt in home.jobs.attempts()}


@pytest.fixture
def without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no data set and no network."""
    for name in ("ORCH_DATA", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


@pytest.mark.usefixtures("without_data")
def test_without_cifar10_the_demo_takes_synthetic_images_and_says_so() -> None:
    dataset, notes = demo.dataset_or_synthetic(None)
    assert dataset.description.name == "synthetic"
    assert len(notes) == 1 and notes[0].startswith("CIFAR-10 could not be had here")


@pytest.mark.usefixtures("without_data")
def test_damaged_data_that_was_given_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "data_batch_1").write_bytes(b"not CIFAR-10")
    with pytest.raises(DataError, match="data_batch"):
        demo.dataset_or_synthetic(tmp_path / "batches")


def test_an_earlier_demonstration_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert demo.fresh(tmp_path / "demo") == tmp_path / "demo-2"
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
