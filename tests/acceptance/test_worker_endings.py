"""However a worker, its runner or a checkpoint ends, the study goes on, and a person can read why."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import (
    Checkpoint,
    Ending,
    Job,
    JobState,
    Stage,
    WorkerInfo,
)
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.mailbox import mailbox
from tests.support.processes import PATIENCE_SECONDS, alive, orch, wait_until, workers
from tests.support.runners import STAND_IN, Runner, the_same_with_both

TEXT = """
name = "endings"
dataset = "synthetic"
train_images = 2600
test_images = 100
shards = 1

[training]
epochs = 4
epochs_per_visit = 4
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []

[leases]
seconds = 4
tries = 3
"""
STUDY = Study.parse(TEXT)
OFTEN = ("--checkpoint-seconds", "0.3")


def planned(place: Path, study: Study = STUDY) -> Home:
    return Home.open(publish(study, place / "home", None).home)


def weights(home: Home) -> str:
    (job,) = home.jobs.jobs()
    assert job.metrics is not None, f"{job.name} is {job.state}"
    return str(job.metrics["weights_sha256"])


def checkpoints(home: Home) -> tuple[Checkpoint, ...]:
    (job,) = home.jobs.jobs()
    return home.jobs.checkpoints(job.id)


@pytest.fixture(scope="module")
def undisturbed(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("undisturbed")
    home = planned(place)
    with workers(home.url, place, runner=runner) as start:
        start().wait()
    return weights(home)


def test_a_runner_that_is_killed_fails_the_job_and_its_worker_goes_on(
    runner: Runner, undisturbed: str, tmp_path: Path
) -> None:
    home = planned(tmp_path)
    with workers(home.url, tmp_path, *OFTEN, runner=runner) as start:
        worker = start()
        wait_until(lambda: len(checkpoints(home)) == 2, "two checkpoints")
        os.kill(worker.runner_pid(), signal.SIGKILL)
        worker.wait()
    failed, done = home.jobs.attempts()
    assert (failed.outcome, done.outcome) == (Ending.FAILED, Ending.DONE)
    assert failed.worker == done.worker
    assert "SIGKILL" in (failed.error or "")
    assert done.from_step > 0
    assert weights(home) == undisturbed


IMPATIENT = """
import sys
from orchestrator.home import Home
from workers.console import Console
from workers.machine.hosts import this_host
from workers.supervisor import Settings, Supervisor
runner, hung_seconds = sys.argv[2], float(sys.argv[3])
settings = Settings("impatient", this_host(), checkpoint_seconds=0.3, hung_seconds=hung_seconds, runner=runner)
sys.exit(Supervisor(Home.open(sys.argv[1]), settings, Console("impatient")).run())
"""


@the_same_with_both
def test_a_runner_that_hangs_is_ended_and_its_job_goes_on_in_another(
    runner: Runner, undisturbed: str, tmp_path: Path
) -> None:
    home = planned(tmp_path)
    command = [sys.executable, "-P", "-c", IMPATIENT, home.url, runner.module, str(runner.load_seconds)]
    environment = {**os.environ, **runner.environment}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as worker:
        wait_until(lambda: len(checkpoints(home)) == 2, "two checkpoints")
        (child,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGSTOP)
        assert worker.wait(PATIENCE_SECONDS) == ExitCode.DONE
    failed, done = home.jobs.attempts()
    assert (failed.outcome, done.outcome) == (Ending.FAILED, Ending.DONE)
    assert f"no sign of life for {runner.load_seconds:.0f} s" in (failed.error or "")
    assert weights(home) == undisturbed


@the_same_with_both
def test_with_every_checkpoint_missing_the_visit_begins_again(runner: Runner, undisturbed: str, tmp_path: Path) -> None:
    home = planned(tmp_path)
    with workers(home.url, tmp_path, *OFTEN, runner=runner) as start:
        worker = start()
        wait_until(lambda: len(checkpoints(home)) == 2, "two checkpoints")
        worker.kill()
        for checkpoint in checkpoints(home):
            home.artifacts.delete(checkpoint.artifact)
        start().wait()
    assert weights(home) == undisturbed


def test_a_worker_whose_directory_a_cleaner_deletes_goes_on_in_another(
    runner: Runner, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    monkeypatch.setenv("TMPDIR", str(machine))
    home = planned(tmp_path)
    with workers(home.url, tmp_path, *OFTEN, runner=runner) as start:
        worker = start()
        wait_until(lambda: len(checkpoints(home)) == 2, "two checkpoints")
        (scratch,) = machine.glob("orch-*")
        assert scratch.stat().st_mode & 0o777 == 0o700
        shutil.rmtree(scratch)
        worker.wait()
        start().wait()
    assert weights(home) == undisturbed
    assert [job.failures for job in home.jobs.jobs()] == [0]
    assert {attempt.worker for attempt in home.jobs.attempts()} == {worker.name}
    assert list(machine.glob("orch-*")) == []


ENDLESS = Study.parse(TEXT.replace("epochs = 4", "epochs = 400").replace("per_visit = 4", "per_visit = 400"))


def computing(home: Home) -> bool:
    (job,) = home.jobs.jobs()
    return int(job.progress.get("step", 0)) > 0


@the_same_with_both
def test_asked_to_end_with_a_frozen_runner_or_a_locked_table_a_worker_ends_within_its_time(
    runner: Runner, tmp_path: Path
) -> None:
    (tmp_path / "frozen").mkdir()
    (tmp_path / "locked").mkdir()
    frozen, locked = planned(tmp_path / "frozen", ENDLESS), planned(tmp_path / "locked", ENDLESS)
    with (
        workers(frozen.url, tmp_path / "frozen", *OFTEN, runner=runner) as start_frozen,
        workers(locked.url, tmp_path / "locked", runner=runner) as start_locked,
        closing(sqlite3.connect(tmp_path / "locked" / "home" / "jobs.db", isolation_level=None)) as lock,
    ):
        with_frozen_runner, with_locked_table = crew = start_frozen(), start_locked()
        wait_until(lambda: computing(frozen) and computing(locked), "the first steps")
        child = with_frozen_runner.runner_pid()
        os.kill(child, signal.SIGSTOP)
        lock.execute("BEGIN IMMEDIATE")
        asked = time.monotonic()
        for worker in crew:
            worker.process.send_signal(signal.SIGTERM)
        for worker in crew:
            worker.wait(ExitCode.TRY_LATER)
        assert time.monotonic() - asked < 30
        assert not alive(child)
    (attempt,) = frozen.jobs.attempts()
    assert attempt.outcome is Ending.RELEASED
    assert "is left to its lease" in with_locked_table.log.read_text()


def test_a_request_to_end_that_reaches_the_runner_too_costs_the_job_nothing(runner: Runner, tmp_path: Path) -> None:
    home = planned(tmp_path, ENDLESS)
    with workers(home.url, tmp_path, *OFTEN, runner=runner) as start:
        worker = start()
        wait_until(lambda: computing(home), "the first steps")
        for process in (worker.runner_pid(), worker.process.pid):
            os.kill(process, signal.SIGTERM)
        worker.wait(ExitCode.TRY_LATER)
    (job,) = home.jobs.jobs()
    (attempt,) = home.jobs.attempts()
    assert (attempt.outcome, job.failures) == (Ending.RELEASED, 0)


HURRIED = """
import sys
import time
from orchestrator.home import Home
from workers.machine import shutdown
from workers.console import Console
from workers.machine.hosts import this_host
from workers.supervisor import Settings, Supervisor
shutdown.NOTICE_SECONDS = 0.2
class SlowTerminal(Console):
    def flush(self):
        time.sleep(1)  # in which the killed runner's end could be taken for a failure of its job
Supervisor(Home.open(sys.argv[1]), Settings("hurried", this_host(), runner=sys.argv[2]), SlowTerminal("hurried")).run()
sys.exit("it ended by itself")
"""


@the_same_with_both
def test_what_a_frozen_runner_holds_up_beyond_its_time_is_ended_by_force_with_the_runner(
    runner: Runner, tmp_path: Path
) -> None:
    home = planned(tmp_path, ENDLESS)
    command = [sys.executable, "-P", "-c", HURRIED, home.url, runner.module]
    environment = {**os.environ, **runner.environment}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        wait_until(lambda: computing(home), "the first steps")
        (child,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGSTOP)
        worker.send_signal(signal.SIGTERM)
        told, _ = worker.communicate(timeout=PATIENCE_SECONDS)
        assert worker.returncode == ExitCode.TRY_LATER
    assert "stopped by force: what it held is left to its lease" in told
    wait_until(lambda: not alive(int(child)), "the runner's end")
    (job,) = home.jobs.jobs()
    assert job.state is JobState.RUNNING


@the_same_with_both
def test_a_worker_whose_output_nobody_reads_works_on(runner: Runner, tmp_path: Path) -> None:
    home = planned(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, *runner.worker, "--home", home.url]
    environment = {**os.environ, **runner.environment}
    assert subprocess.run(command, env=environment, stdout=writer, timeout=PATIENCE_SECONDS).returncode == ExitCode.DONE
    os.close(writer)
    assert [job.state for job in home.jobs.jobs()] == [JobState.DONE]


MIXED = """
name = "endings"
dataset = "synthetic"
train_images = 400
test_images = 100
shards = 1

[training]
epochs = 1
epochs_per_visit = 1
threads = 1

[[models]]
architecture = "nowhere.to_be_found:build"
name = "elsewhere"
compress = []

[[models]]
architecture = "tests.support.broken_network:build"
name = "broken"
compress = []

[[models]]
architecture = "alexnet-tiny"
name = "divergent"
compress = []
recipe.learning_rate = 1e30

[[models]]
architecture = "tests.support.unnamed_network:build"
name = "own"

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 4
tries = 2
"""
"""What each network comes to depends on its own job alone, so that one worker, which loads TensorFlow, meets all."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the home lies, after a worker that has done all it could; a test that changes the home takes a copy."""
    place = tmp_path_factory.mktemp("mixed")
    home = planned(place, Study.parse(MIXED))
    with workers(home.url, place) as start:
        start().wait(ExitCode.TRY_LATER)
    return place


def jobs_of(model: str, place: Path) -> list[Job]:
    return [job for job in Home.open(place / "home").jobs.jobs() if job.name.startswith(f"{model}/")]


def test_a_network_of_the_persons_own_goes_the_whole_way(mixed: Path) -> None:
    jobs = jobs_of("own", mixed)
    assert {job.stage for job in jobs} == {Stage.TRAIN, Stage.COMPRESS, Stage.BENCHMARK}
    assert {job.state for job in jobs} == {JobState.DONE}


def test_a_job_that_a_machine_cannot_do_is_left_to_others_with_the_reason(mixed: Path) -> None:
    (job,) = jobs_of("elsewhere", mixed)
    assert (job.state, job.attempts, job.failures) == (JobState.READY, 1, 0)
    told = orch("status", "--home", "home", cwd=mixed).stdout
    assert "waits for another worker" in told and "nowhere" in told


def test_a_training_that_diverges_is_not_tried_again_and_it_is_told_what_to_change(mixed: Path) -> None:
    (job,) = jobs_of("divergent", mixed)
    assert (job.state, job.attempts) == (JobState.QUARANTINED, 1)
    told = orch("status", "--home", "home", cwd=mixed).stdout
    assert "is quarantined: Diverged: The loss became" in told and "learning_rate" in told


def test_a_job_that_cannot_be_done_is_quarantined_with_its_traceback_to_read(mixed: Path, tmp_path: Path) -> None:
    shutil.copytree(mixed / "home", tmp_path / "home")
    (job,), (elsewhere,) = (jobs_of(model, tmp_path) for model in ("broken", "elsewhere"))
    assert (job.state, job.attempts) == (JobState.QUARANTINED, 2)
    assert orch("cancel", elsewhere.name, "--home", "home", cwd=tmp_path).returncode == 0
    with workers(str(tmp_path / "home"), tmp_path, runner=STAND_IN) as start:
        worker = start()
        worker.wait(ExitCode.FAILED)
    assert "2 jobs failed for good and 0 wait for that; orch status tells why" in worker.log.read_text()
    told = orch("logs", job.name, "--home", "home", cwd=tmp_path).stdout
    assert "ValueError: this network has no layers" in told
    assert "broken_network.py" in told
    assert "is quarantined" in orch("status", "--home", "home", cwd=tmp_path).stdout
    assert "ready again" in orch("retry", job.name, "--home", "home", cwd=tmp_path).stdout


OTHER_PROGRAMS = {
    "KERAS_BACKEND": "torch",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "XLA_FLAGS": "--xla_no_such_flag=true",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "ascii",
}
"""What a shell may be set up for."""

OWN_NETWORK = """
def build(keras, image_shape=(32, 32, 3), classes=10):
    print("Größe:", image_shape)
    assert __debug__
    return keras.Sequential([
        keras.layers.Input(image_shape),
        keras.layers.Flatten(name="flat"),
        keras.layers.Dense(classes, name="head"),
    ])
"""


@pytest.mark.slow
def test_what_a_shell_is_set_up_for_changes_no_bit_and_a_network_of_ones_own_is_found_where_one_works(
    tmp_path: Path,
) -> None:
    (tmp_path / "usual").mkdir()
    usual = planned(tmp_path / "usual")
    with workers(usual.url, tmp_path / "usual") as start:
        start().wait()
    for package in ("models", "workers"):
        (tmp_path / "packages" / package).mkdir(parents=True)
        (tmp_path / "packages" / package / "__init__.py").write_text("raise SystemExit('not Orch\\'s own')")
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "keras.json").write_text(
        '{"image_data_format": "channels_first", "floatx": "float16", "backend": "jax"}'
    )
    (tmp_path / "my_networks.py").write_text(OWN_NETWORK)
    own = '\n[[models]]\narchitecture = "my_networks:build"\ncompress = []\n[leases]'
    home = planned(tmp_path, Study.parse(TEXT.replace("[leases]", own)))
    places = {"PYTHONPATH": str(tmp_path / "packages"), "KERAS_HOME": str(tmp_path / "keras")}
    ended = orch("worker", "--home", home.url, cwd=tmp_path, **places, **OTHER_PROGRAMS)
    assert ended.returncode == ExitCode.DONE, ended.stdout + ended.stderr
    found = {job.spec["training"]["architecture"]: job for job in home.jobs.jobs()}
    assert (found["alexnet-tiny"].metrics or {})["weights_sha256"] == weights(usual)
    log = orch("logs", found["my_networks:build"].name, "--home", home.url, cwd=tmp_path).stdout
    assert "Größe: (32, 32, 3)" in log


@the_same_with_both
def test_at_the_end_of_its_time_a_worker_gives_the_job_back_and_ends_well(runner: Runner, tmp_path: Path) -> None:
    home = planned(tmp_path, ENDLESS)
    for seconds in (runner.load_seconds, 60, 180):  # a busy machine may take longer than the shortest
        with workers(home.url, tmp_path, "--max-hours", str(seconds / 3600), runner=runner) as start:
            began = time.monotonic()
            start().wait(ExitCode.TRY_LATER)
            assert time.monotonic() - began < seconds + 30
        if home.jobs.attempts():
            break
    (attempt,) = home.jobs.attempts()
    assert attempt.outcome is Ending.RELEASED
    assert [checkpoint.step for checkpoint in checkpoints(home)[:1]] == [attempt.to_step]


@the_same_with_both
def test_a_worker_without_a_gpu_says_that_what_is_left_needs_one_and_waits(runner: Runner, tmp_path: Path) -> None:
    home = planned(tmp_path, Study.parse(TEXT.replace("[training]", '[training]\ndevice = "gpu"')))
    with workers(home.url, tmp_path, runner=runner) as start:
        worker = start()
        wait_until(lambda: "All that is ready needs a GPU" in worker.log.read_text(), "the reason for waiting")
        assert not worker.ended, "another study's jobs, or a change of this one, may come yet"
    (job,) = home.jobs.jobs()
    assert (job.state, job.attempts) == (JobState.READY, 0)


@the_same_with_both
def test_once_with_nothing_to_claim_just_now_ends_with_try_again_later(runner: Runner, tmp_path: Path) -> None:
    home = planned(tmp_path, Study.parse(TEXT.replace("seconds = 4", "seconds = 600")))
    assert home.jobs.claim(WorkerInfo("somebody else")) is not None
    with workers(home.url, tmp_path, "--once", runner=runner) as start:
        assert start().process.wait() == ExitCode.TRY_LATER


@the_same_with_both
def test_whoever_does_not_watch_is_told_when_the_study_is_done(runner: Runner, tmp_path: Path) -> None:
    home = planned(tmp_path)
    with mailbox() as box:
        with workers(home.url, tmp_path, "--notify", box.url, runner=runner) as start:
            start().wait()
        assert box.taken == [("endings is done", "1 of 1 jobs are done. Next: orch report")]
        watched = orch("status", "--watch", "--notify", box.url, "--home", home.url, cwd=tmp_path)
        assert watched.returncode == 0, watched.stderr
        assert box.taken[1:] == box.taken[:1]
        box.answer = 500
        assert orch("status", "--watch", "--notify", box.url, "--home", home.url, cwd=tmp_path).returncode == 0


def test_a_worker_on_a_finished_study_ends_at_once(tmp_path: Path) -> None:
    home = planned(tmp_path)
    home.jobs.cancel(home.jobs.jobs()[0].name)
    assert orch("worker", "--home", home.url, cwd=tmp_path).returncode == ExitCode.DONE
