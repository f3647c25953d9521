"""A study with a person's own code, planned: what travels, what an edit does again, and mistakes told at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator import job_code
from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import PlannedJob, Stage
from orchestrator.planning import own_code
from orchestrator.planning.planner import make_plan
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.processes import orch, refused

NETWORK = """
def build(keras, image_shape=(32, 32, 3), classes=10):
    image = keras.Input(image_shape)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(keras.layers.Flatten(name="flat")(image)))
"""
STUDY = SMALL.replace(
    "[benchmark]",
    """
[[models]]
architecture = "teacher.py:build"
name = "teacher"

[[models]]
architecture = "pupil.py:build"
name = "pupil"
compress = ["float32", { method = "distil", teacher = "teacher" }]
distil = { teacher = "teacher" }

[benchmark]""",
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(STUDY)
    for name in ("teacher", "pupil"):
        (tmp_path / f"{name}.py").write_text(f"# {name}\n{NETWORK}")
    return tmp_path


def jobs(place: Path) -> dict[str, PlannedJob]:
    code = own_code.pinned(Study.load(place / "study.toml"), place)
    return {job.name: job for job in make_plan(code.study, bundles=code.bundles).jobs}


def changed(before: dict[str, PlannedJob], after: dict[str, PlannedJob]) -> set[str]:
    assert before.keys() == after.keys()
    return {job.model for name, job in after.items() if job.id != before[name].id}


def test_an_edit_does_again_what_the_code_decides_and_no_more(place: Path) -> None:
    before = jobs(place)
    (place / "pupil.py").write_text(NETWORK.replace("Flatten", "GlobalAveragePooling2D"))
    assert changed(before, jobs(place)) == {"pupil"}
    (place / "pupil.py").write_text(f"# pupil\n{NETWORK}")
    assert changed(before, jobs(place)) == set()
    (place / "teacher.py").write_text(NETWORK)
    assert changed(before, jobs(place)) == {"teacher", "pupil"}


def test_every_job_that_builds_a_network_gets_its_code_and_no_other_job_does(place: Path) -> None:
    for job in jobs(place).values():
        builds = job.model != "alexnet-tiny" and job.stage is not Stage.BENCHMARK
        assert ("code" in job.inputs) == builds, job.name
        taught = job.model == "pupil" and ("distil" in job.spec or (job.spec.get("transform") or {}).get("teacher"))
        assert ("teacher_code" in job.inputs) == bool(taught), job.name
    runtimes = STUDY.replace("[benchmark]", '[benchmark]\nruntimes = ["litert", "tensorflow"]')
    (place / "study.toml").write_text(runtimes)
    rebuilt = [job for job in jobs(place).values() if "runtime" in job.spec and job.model == "pupil"]
    assert rebuilt and all("code" in job.inputs for job in rebuilt)


def test_a_pupil_in_the_teachers_file_gets_one_code(place: Path) -> None:
    (place / "study.toml").write_text(STUDY.replace("pupil.py", "teacher.py"))
    assert not any("teacher_code" in job.inputs for job in jobs(place).values())


def test_jobs_of_an_installed_function_are_what_they_were(place: Path) -> None:
    (place / "study.toml").write_text(SMALL.replace("alexnet-tiny", "somewhere.nets:build"))
    planned = jobs(place)
    assert not any("code" in job.inputs for job in planned.values())
    assert planned["somewhere-nets-build/seed0/train/r00.s0"].id == "1c9929bfcd086a11230d63325c0bcd24"


def test_code_is_published_under_its_digest_and_put_again_when_it_is_lost(place: Path) -> None:
    study = Study.load(place / "study.toml")
    home = Home.open(publish(study, place / "home", None, folder=place).home)
    published = {name: kept for name, kept in home.jobs.data().items() if name.startswith("code/")}
    assert len(published) == 2
    for name, kept in published.items():
        assert name == job_code.artifact_name(kept.sha256)
    lost = next(iter(published))
    (place / "home" / "artifacts" / published[lost].location).unlink()
    assert publish(study, place / "home", None, folder=place).repaired == (lost,)


def test_code_is_found_beside_the_study_wherever_orch_is_called(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    told = orch("plan", str(place / "study.toml"), "--dry-run", cwd=elsewhere)
    assert told.returncode == 0, told.stderr


def test_a_mistake_in_code_is_told_at_plan_and_nothing_is_made(place: Path) -> None:
    (place / "pupil.py").write_text("def build(keras, shape, classes):\n    pass\n")
    said = refused(orch("plan", "study.toml", cwd=place), ExitCode.USAGE)
    assert "pupil: pupil.py, line 1: build is called as build(keras, image_shape=(32, 32, 3), classes=10)" in said
    assert not (place / "small.orch").exists()


def test_a_damaged_image_is_told_at_plan_and_nothing_is_made(tmp_path: Path) -> None:
    folders = [f"pictures/{part}/{name}" for part in ("train", "test") for name in "ab"]
    for number, path in enumerate(f"{folder}/{image}.png" for folder in folders for image in range(4)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / path)
    study = SMALL.replace('"synthetic"', '"folder:pictures"').replace("train_images = 400\ntest_images = 100\n", "")
    (tmp_path / "study.toml").write_text(study)
    assert orch("plan", "study.toml", "--dry-run", cwd=tmp_path).returncode == 0
    (tmp_path / "pictures/train/b/2.png").write_bytes(b"\x89PNG")
    said = refused(orch("plan", "study.toml", cwd=tmp_path), ExitCode.USAGE)
    assert "pictures/train/b/2.png is damaged" in said
    assert not (tmp_path / "small.orch").exists()


def test_data_of_a_function_are_loaded_once_and_shared_out(tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text(
        "import sys\nimport numpy as np\n\ndef load():\n    print('loaded')\n"
        "    images, labels = np.zeros((40, 8, 8, 1), np.uint8) + 9, np.arange(40) % 4\n"
        "    return (images, labels), (images[:8], labels[:8])\n"
    )
    study = SMALL.replace('"synthetic"', '"my_data.py:load"').replace("train_images = 400\ntest_images = 100\n", "")
    (tmp_path / "study.toml").write_text(study)
    told = orch("plan", "study.toml", "--json", cwd=tmp_path)
    assert told.returncode == 0 and told.stderr.count("loaded") == 1 and told.stdout.startswith("{")
    names = Home.open(tmp_path / "small.orch").jobs.data()
    assert sum(name.startswith("train/") for name in names) == 2 and not any("code" in name for name in names)
