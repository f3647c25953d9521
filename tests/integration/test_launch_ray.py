"""`orch launch ray` with Ray's own client: what it submits, what becomes of a pool, and what a person is told.

The cluster is imitated here; `tests/acceptance/test_launch_ray.py` has a real one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Iterator

import pytest

from orchestrator.engines import ray as engine_module
from orchestrator.engines.pool import EngineError, Member, Pool
from orchestrator.engines.ray import RayEngine
from orchestrator.errors import UsageError
from tests.support.ray_cluster import require_ray
from tests.support.ray_jobs_api import RayJobsApi, ray_jobs_api, task

POOL = Pool("orch-tiny-0a1b2c3d", ("/opt/python", "-c", "run()"), ("--home=postgresql://ada@db/lab",), workers=2)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayJobsApi]:
    require_ray()
    with ray_jobs_api() as started:
        monkeypatch.setenv("RAY_ADDRESS", started.url)
        yield started


def submitted(api: RayJobsApi) -> list[str]:
    return list(api.jobs)


def test_a_pool_is_started_once_scaled_and_stopped(api: RayJobsApi) -> None:
    assert "with 2 workers at a time; `ray job logs orch-tiny-0a1b2c3d-" in RayEngine(()).start(POOL)
    assert "is there already, now with 3 workers" in RayEngine(()).start(dataclasses.replace(POOL, workers=3))
    assert api.workers == 3
    keeper, _ = submitted(api)
    assert [member.name for member in RayEngine(()).list(POOL.name)] == [keeper]
    assert RayEngine(()).stop(POOL.name) == f"Asked the workers of {keeper} to end in good order, within half a minute."
    assert (api.workers, api.stopped) == (0, [])
    assert RayEngine(()).list(POOL.name) == []
    assert RayEngine(()).stop(POOL.name) == "Ray has no worker of this study."


def test_a_pool_that_came_to_its_end_is_started_anew(api: RayJobsApi) -> None:
    RayEngine(()).start(POOL)
    api.jobs[submitted(api)[0]]["status"] = "SUCCEEDED"
    assert RayEngine(()).start(POOL).startswith("Started")


def test_a_keeper_that_cannot_be_told_is_stopped_by_ray(api: RayJobsApi) -> None:
    RayEngine(()).start(POOL)
    api.log = "orch: there is no pool"
    RayEngine(()).stop(POOL.name)
    assert api.stopped == submitted(api)[:1]


def test_a_keeper_that_has_not_begun_is_stopped_by_ray(api: RayJobsApi) -> None:
    RayEngine(()).start(POOL)
    (keeper,) = submitted(api)
    api.jobs[keeper] |= {"status": "PENDING", "job_id": None, "driver_info": None}
    assert RayEngine(()).list(POOL.name) == [Member(keeper, "pending", "", f"ray job logs {keeper}")]
    RayEngine(()).stop(POOL.name)
    assert (submitted(api), api.stopped) == ([keeper], [keeper])


@pytest.mark.usefixtures("api")
def test_a_job_that_does_not_start_is_left_to_ray_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_STARTING_SECONDS", 0.0)
    assert "which Ray has not started yet" in RayEngine(()).start(POOL)


def test_other_options_for_a_pool_that_runs_are_refused_and_not_ignored(api: RayJobsApi) -> None:
    RayEngine(("--cpus=2",)).start(POOL)
    RayEngine(("--cpus=2",)).start(dataclasses.replace(POOL, workers=3))
    for options, pool in ((("--cpus=3",), POOL), ((), dataclasses.replace(POOL, gpus=1))):
        with pytest.raises(UsageError, match="runs with other options"):
            RayEngine(options).start(pool)
    assert len(submitted(api)) == 2


def test_a_pool_that_was_given_up_is_listed_as_failed(api: RayJobsApi) -> None:
    RayEngine(()).start(POOL)
    (keeper,) = submitted(api)
    api.jobs[keeper]["status"] = "FAILED"
    assert RayEngine(()).list(POOL.name) == [Member(keeper, "failed", "10.0.0.1", f"ray job logs {keeper}")]


def test_of_each_worker_the_newest_task_is_listed_unless_it_ended_as_it_should(api: RayJobsApi) -> None:
    RayEngine(()).start(POOL)
    api.tasks = [
        task("ray-1-1", "RUNNING", node_id="n1"),
        task("ray-1-2", "RUNNING", creation_time_ms=2),
        task("ray-1-2", "FAILED"),  # the one before
        task("ray-1-3", "FAILED", error_type="TASK_EXECUTION_EXCEPTION", node_id="n1"),
        task("ray-1-4", "FAILED", error_type="TASK_CANCELLED"),
        task("ray-1-5", "FINISHED"),
        task("ray-1-10", "PENDING_NODE_ASSIGNMENT"),
        task("ray-2-1", "RUNNING", job="02000000"),
        task("ray-1-9", "RUNNING", func_or_class_name="another"),
    ]
    keeper, *workers = RayEngine(()).list(POOL.name)
    assert (keeper.state, keeper.where, keeper.log) == ("running", "10.0.0.1", f"ray job logs {keeper.name}")
    assert [(each.name, each.state, each.where) for each in workers] == [
        ("ray-1-1", "running", "10.0.0.2"),
        ("ray-1-2", "running", ""),
        ("ray-1-3", "failed", "10.0.0.2"),
        ("ray-1-10", "pending node assignment", ""),
    ]


def test_a_cluster_whose_ray_is_another_version_is_told_when_its_answer_is_not_understood(api: RayJobsApi) -> None:
    RayEngine(()).start(POOL)
    api.tasks, api.fields_lack = [task("ray-1-1", "RUNNING")], True
    with pytest.raises(EngineError, match=r"does not list its workers: .*; Ray is \d.* here, and should be the"):
        RayEngine(()).list(POOL.name)


def test_what_is_submitted_is_what_is_printed(api: RayJobsApi) -> None:
    engine = RayEngine(("--runtime-env-json", '{"env_vars": {"PGHOST": "db"}}'))
    words = shlex.split(engine.render(POOL))
    engine.start(POOL)
    (job,) = api.jobs.values()
    assert shlex.split(job["entrypoint"]) == words[words.index("--") + 1 :]
    assert job["metadata"] == json.loads(words[words.index("--metadata-json") + 1])
    assert job["runtime_env"] == json.loads(words[words.index("--runtime-env-json") + 1])


def test_an_address_that_is_given_goes_before_the_environment(api: RayJobsApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert RayEngine(("--address", api.url)).list(POOL.name) == []
    assert os.environ["RAY_API_SERVER_ADDRESS"] == "http://127.0.0.1:9"


def test_a_job_that_fails_at_once_is_told_in_its_last_words(api: RayJobsApi) -> None:
    api.log = "Job failed\nTraceback (most recent call last):\nModuleNotFoundError: No module named 'orchestrator'\n"
    with pytest.raises(
        EngineError, match=r"failed: ModuleNotFoundError: No module named 'orchestrator'; `ray job logs "
    ):
        RayEngine(()).start(POOL)


def test_what_the_cluster_refuses_is_told_in_its_last_words(api: RayJobsApi) -> None:
    api.broken = True
    with pytest.raises(EngineError, match=r"^Ray at 127\.0\.0\.1:\d+ refuses: OSError: disk full\.$"):
        RayEngine(()).list(POOL.name)


def test_a_token_that_lacks_is_told(api: RayJobsApi) -> None:
    api.wants_token = True
    with pytest.raises(EngineError, match=r"refuses: Authentication required.*; give its token in RAY_AUTH_TOKEN_PATH"):
        RayEngine(()).list(POOL.name)


def test_a_cluster_that_does_not_answer_is_told() -> None:
    require_ray()
    with pytest.raises(EngineError, match=r"^Ray does not answer at 127\.0\.0\.1:9\.$"):
        RayEngine(("--address=http://127.0.0.1:9",)).stop(POOL.name)


@pytest.mark.parametrize("address", ["auto", "head:6379", "ray://head:10001", "os://head", "http://[::"])
def test_an_address_of_another_kind_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"http://HEAD:8265|Invalid IPv6"):
        RayEngine(("--address", address))
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UsageError, match=r"Ray's cluster is named wrongly: "):
        RayEngine(()).list(POOL.name)


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError, match="no password") as refusal:
        RayEngine(("--address=http://ada:sesame@head:8265",))
    assert "sesame" not in str(refusal.value)


def test_without_an_address_a_person_is_told_what_to_give() -> None:
    with pytest.raises(UsageError, match=r"give -- --address http://HEAD:8265, or set RAY_ADDRESS"):
        RayEngine(()).start(POOL)


def test_without_ray_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(EngineError, match=r"pip install 'orch-train\[ray\]'"):
        RayEngine(("--address=http://127.0.0.1:9",)).list(POOL.name)
