"""Pipelines, by real workers: fine-tunings that are killed end in the same bits, and their files are measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.jobs import Job, JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.deaths import OFTEN, assert_one_holder_at_a_time, kill_with_its_runner
from tests.support.processes import orch, wait_until, workers

TEXT = """
name = "pipelines"
dataset = "synthetic"
train_images = 2600
test_images = 100
shards = 2

[training]
epochs = 1
epochs_per_visit = 1
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = ["float32", { method = "slim+dynamic-int8", epochs = 3, keep_parameters = 0.7 }]

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 3
tries = 5
"""
COMPRESS = 'compress = ["float32", { method = "slim+dynamic-int8", epochs = 3, keep_parameters = 0.7 }]'
STUDY = Study.parse(TEXT)
FINE_TUNINGS = ("fine-tune/slim", "fine-tune/twin")


@pytest.mark.slow
def test_a_fine_tuning_that_is_killed_ends_in_the_same_bits(tmp_path: Path) -> None:
    undisturbed, disturbed = (planned(tmp_path / name) for name in ("undisturbed", "disturbed"))
    with workers(undisturbed.url, tmp_path / "undisturbed") as start:
        start().wait()
    with workers(disturbed.url, tmp_path / "disturbed", *OFTEN) as start:
        worker = start()
        wait_until(lambda: bool(with_a_checkpoint(disturbed)), "a checkpoint of a fine-tuning")
        kill_with_its_runner(worker)
        start().wait()

    assert {job.state for job in disturbed.jobs.jobs()} == {JobState.DONE}
    assert weights(disturbed) == weights(undisturbed)
    assert models(disturbed) == models(undisturbed)
    assert_one_holder_at_a_time(disturbed)
    assert set(disturbed.jobs.outputs(named(disturbed, "fine-tune/slim").id)) >= {"state", "keras"}
    assert_the_report_has_them_beside_their_twin(tmp_path / "disturbed")


def planned(place: Path) -> Home:
    place.mkdir()
    return Home.open(publish(STUDY, place / "home", None).home)


def with_a_checkpoint(home: Home, names: tuple[str, ...] = FINE_TUNINGS) -> set[str]:
    """Which of these fine-tunings are at work, beyond a checkpoint."""
    jobs = {name: named(home, name) for name in names}
    assert JobState.DONE not in {job.state for job in jobs.values()}, (
        "a fine-tuning was over before it could be disturbed"
    )
    return {name for name, job in jobs.items() if job.state is JobState.RUNNING and home.jobs.checkpoints(job.id)}


def named(home: Home, name: str) -> Job:
    return next(job for job in home.jobs.jobs() if job.name == f"alexnet-tiny/seed0/{name}")


def weights(home: Home) -> dict[str, str]:
    measured = {job.name: job.metrics or {} for job in home.jobs.jobs()}
    return {name: metrics["weights_sha256"] for name, metrics in measured.items() if "weights_sha256" in metrics}


def models(home: Home) -> dict[str, str]:
    """The digests of the files for inference."""
    outputs = {job.name: home.jobs.outputs(job.id) for job in home.jobs.jobs() if "/compress/" in job.name}
    return {name: kept["model"].sha256 for name, kept in outputs.items()}


def assert_the_report_has_them_beside_their_twin(place: Path) -> None:
    told = orch("report", "--home", "home", "--json", cwd=place)
    assert told.returncode == 0, told.stderr
    rows = {row["method"]: row for row in json.loads(told.stdout)["rows"]}
    assert set(rows) == {"float32", "slim+dynamic-int8", "twin-3ep"}
    slim, twin, float32 = rows["slim+dynamic-int8"], rows["twin-3ep"], rows["float32"]
    assert slim["parameters"] < 0.7 * float32["parameters"] + 1
    assert twin["parameters"] == float32["parameters"]
    assert slim["file_bytes"] < 0.4 * float32["file_bytes"]
    assert slim["twin"] == "twin-3ep" and slim["against_twin"]["p"] <= 1
    assert float32["twin"] is None and float32["against_twin"] is None


@pytest.mark.slow
def test_a_worker_makes_itself_the_packages_that_a_pipeline_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pip and a package index; tensorflow-model-optimization is not among what tests install."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = TEXT.replace(COMPRESS, 'compress = ["float32", { method = "prune+cluster+dynamic-int8", epochs = 1 }]')
    text = text.replace("train_images = 2600", "train_images = 400").replace("shards = 2", "shards = 1")
    home = Home.open(publish(Study.parse(text), tmp_path / "home", None).home)
    with workers(home.url, tmp_path) as start:
        start().wait()
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    told = orch("report", "--home", "home", "--json", cwd=tmp_path)
    rows = {row["method"]: row for row in json.loads(told.stdout)["rows"]}
    assert set(rows) == {"float32", "prune+cluster+dynamic-int8", "twin-1ep+1ep"}
    assert rows["prune+cluster+dynamic-int8"]["file_bytes"] < 0.4 * rows["float32"]["file_bytes"]
    assert rows["prune+cluster+dynamic-int8"]["sparsity"] > 0.5
    assert not importlib.util.find_spec("tensorflow_model_optimization"), "nothing that a person uses is changed"
