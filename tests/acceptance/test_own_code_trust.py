"""Code of a person's own in a shared home is run by workers whose starter vouches for it, and by no others."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import JobState
from tests.conftest import SMALL
from tests.support.processes import orch

NETWORK = """
from pathlib import Path

Path("ran").touch()

def build(keras, image_shape=(32, 32, 3), classes=10):
    image = keras.Input(image_shape)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(keras.layers.Flatten(name="flat")(image)))
"""
STUDY = (
    SMALL.replace('["float32", "float16"]', "[]")
    .replace('"alexnet-tiny"', '"my_nets.py:build"')
    .replace("shards = 2", "shards = 1")
    .replace("epochs = 2", "epochs = 1")
)


def test_a_worker_leaves_code_that_nobody_vouched_for_to_others(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    for directory in (place, elsewhere):
        directory.mkdir()
    (place / "study.toml").write_text(STUDY)
    (place / "my_nets.py").write_text(NETWORK)
    assert orch("plan", "study.toml", cwd=place).returncode == 0
    home = Home.open(place / "small.orch")
    (name,) = [name for name in home.jobs.data() if name.startswith("code/")]
    digest = name.removeprefix("code/")

    refused = orch("worker", "--home", home.url, cwd=elsewhere)

    (job,) = home.jobs.jobs()
    assert refused.returncode == ExitCode.TRY_LATER and job.state is JobState.READY
    assert not (elsewhere / "ran").exists()
    assert f"--code {digest}" in " ".join(orch("logs", job.name, "--home", home.url, cwd=elsewhere).stdout.split())

    done = orch("worker", "--home", home.url, "--code", digest, cwd=elsewhere)

    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert (elsewhere / "ran").exists()
    assert [job.state for job in home.jobs.jobs()] == [JobState.DONE]
