"""Code of a person's own in a shared home is run by workers whose starter vouches for it, and by no others."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.job_code import digests_by_input
from orchestrator.jobs import JobState
from tests.support.processes import orch

NETWORK = """
from pathlib import Path

Path("RAN").touch()

def build(keras, image_shape=(32, 32, 3), classes=10):
    image = keras.Input(image_shape)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(keras.layers.Flatten(name="flat")(image)))
"""
MODEL = """
[[models]]
architecture = "{name}_nets.py:build"
name = "{name}"
compress = []
"""
STUDY = """
name = "small"
dataset = "synthetic"
train_images = 400
test_images = 100
shards = 1

[training]
epochs = 1
epochs_per_visit = 1
threads = 1
"""


def test_a_worker_runs_code_that_was_vouched_for_and_leaves_other_code_to_others(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    for directory in (place, elsewhere):
        directory.mkdir()
    (place / "study.toml").write_text(STUDY + MODEL.format(name="known") + MODEL.format(name="unknown"))
    for name in ("known", "unknown"):
        (place / f"{name}_nets.py").write_text(NETWORK.replace("RAN", f"{name} ran"))
    assert orch("plan", "study.toml", cwd=place).returncode == 0
    home = Home.open(place / "small.orch")
    jobs = {str(job.spec["model"]): job for job in home.jobs.jobs()}
    (vouched,), (other,) = (set(digests_by_input(jobs[name].spec).values()) for name in ("known", "unknown"))

    done = orch("worker", "--home", home.url, "--code", vouched, cwd=elsewhere)

    assert done.returncode == ExitCode.TRY_LATER, done.stdout + done.stderr
    assert {str(job.spec["model"]): job.state for job in home.jobs.jobs()} == {
        "known": JobState.DONE,
        "unknown": JobState.READY,
    }
    assert (elsewhere / "known ran").exists() and not (elsewhere / "unknown ran").exists()
    told = orch("logs", jobs["unknown"].name, "--home", home.url, cwd=elsewhere).stdout
    assert f"--code {other}" in " ".join(told.split())
