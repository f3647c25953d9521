"""`orch launch kubernetes` with the official client: what it submits, and what becomes of a pool.

The API server is imitated; it takes what the published schema allows.  docs/live-checks.md says what only a real
cluster can show.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from orchestrator.engines.kubernetes import KubernetesEngine
from orchestrator.engines.pool import EngineError, Pool
from orchestrator.errors import UsageError
from tests.support.kubernetes_api import Api, kubernetes_api

GOLDEN = Path(__file__).with_name("manifests") / "kubernetes.json"
POOL = Pool(
    name="orch-tiny-0a1b2c3d",
    command=("python", "-c", "not in a pod"),
    arguments=("--home=postgresql://ada@db/lab", "--artifacts=/net/lab"),
    workers=2,
    gpus=1,
    memory_gb=16.0,
    hours=24.0,
)
IMAGE = ("--image", "registry.example.org/orch-worker:gpu")
OPTIONS = (*IMAGE, "--claim", "lab-files=/net")
PLACE = f"lab/{POOL.name}"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with kubernetes_api() as started:
        started.kubeconfig(tmp_path / "kubeconfig")
        # The client reads the variable once, when it is imported.
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
        yield started


def manifest(pool: Pool = POOL, options: tuple[str, ...] = OPTIONS) -> dict[str, Any]:
    rendered: dict[str, Any] = json.loads(KubernetesEngine(options).render(pool))
    return rendered


def test_the_manifest_is_the_one_that_was_looked_through() -> None:
    assert manifest() == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
@pytest.mark.parametrize(
    "pool", [POOL, Pool(POOL.name, (), ("--home=gdrive://folder",), workers=1)], ids=["all", "least"]
)
def test_the_published_schemas_take_the_manifest(version: str, pool: Pool) -> None:
    kubernetes_validate.validate(manifest(pool), version, strict=True)


def test_a_pod_that_leaves_work_or_is_evicted_is_not_a_failure_of_the_job() -> None:
    disrupted, left = manifest()["spec"]["podFailurePolicy"]["rules"]
    assert disrupted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert (left["action"], left["onExitCodes"]["values"]) == ("Ignore", [75])
    assert "completions" not in manifest()["spec"], "it is a work queue"


def test_what_kubernetes_would_take_for_a_variable_reaches_the_worker_as_it_is() -> None:
    pool = dataclasses.replace(POOL, arguments=("--home=postgresql://db/$(HOME)",))
    assert "--home=postgresql://db/$$(HOME)" in manifest(pool)["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("pool", "options", "told"),
    [
        (POOL, ("--claim", "lab-files=/net"), r"give -- --image IMAGE"),
        (POOL, IMAGE, r"files are in /net/lab, which pods do not have; .* -- --claim NAME=/net/lab"),
        (dataclasses.replace(POOL, machine="node7"), OPTIONS, r"a directory of node7, which pods do not reach"),
    ],
    ids=["no image", "no files", "no home"],
)
def test_a_pool_whose_pods_could_not_work_is_refused(pool: Pool, options: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        KubernetesEngine(options).render(pool)


@pytest.mark.parametrize("options", [("--imagine", "x"), ("--claim", "files=net"), ("--claim", "/net")])
def test_an_option_that_there_is_not_is_refused_with_those_that_there_are(options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"Behind -- Kubernetes takes --image, .* --claim NAME=DIRECTORY: "):
        KubernetesEngine(options)


def test_a_pool_is_started_once_scaled_listed_and_stopped(api: Api) -> None:
    assert "in the namespace lab with 2 workers at a time" in KubernetesEngine(OPTIONS).start(POOL)
    assert "is there already" in KubernetesEngine(OPTIONS).start(POOL)
    assert "now with 3 workers" in KubernetesEngine(()).start(dataclasses.replace(POOL, workers=3))
    assert api.jobs[PLACE]["spec"]["parallelism"] == 3
    running, *waiting = KubernetesEngine(()).list(POOL.name)
    assert (running.state, running.where, running.log) == ("running", "node0", f"kubectl logs {POOL.name}-0")
    assert [member.state for member in waiting] == ["ImagePullBackOff"] * 2
    assert KubernetesEngine(()).stop(POOL.name).startswith("Deleted the Job")
    assert api.jobs == {}
    assert KubernetesEngine(()).list(POOL.name) == []
    assert KubernetesEngine(()).stop(POOL.name) == f"There is no Job {POOL.name} in the namespace lab."


def test_a_pool_that_came_to_its_end_is_started_anew(api: Api) -> None:
    KubernetesEngine(OPTIONS).start(POOL)
    api.finish(PLACE)
    api.linger = 2
    KubernetesEngine(OPTIONS).start(dataclasses.replace(POOL, workers=5))
    assert api.jobs[PLACE]["spec"]["parallelism"] == 5
    assert "deletionTimestamp" not in api.jobs[PLACE]["metadata"]


def test_other_options_for_a_pool_that_runs_are_refused_and_not_ignored(api: Api) -> None:
    KubernetesEngine(OPTIONS).start(POOL)
    with pytest.raises(UsageError, match="runs with other options"):
        KubernetesEngine(("--image", "other", *OPTIONS[2:])).start(POOL)
    assert api.jobs[PLACE]["spec"]["parallelism"] == 2


def test_a_namespace_that_is_named_goes_before_that_of_the_context(api: Api) -> None:
    KubernetesEngine((*OPTIONS, "--namespace", "other")).start(POOL)
    assert list(api.jobs) == [f"other/{POOL.name}"]


def test_a_context_that_there_is_not_is_refused(api: Api) -> None:
    with pytest.raises(UsageError, match="no context 'elsewhere'"):
        KubernetesEngine((*OPTIONS, "--context", "elsewhere")).start(POOL)
    assert api.requests == []


def test_what_the_cluster_refuses_is_told_in_its_words(api: Api) -> None:
    api.closed = True
    with pytest.raises(EngineError, match=r'Kubernetes refuses: jobs\.batch is forbidden: User "ada"'):
        KubernetesEngine(()).stop(POOL.name)


def test_a_cluster_that_does_not_answer_is_told(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.util.retry.Retry.DEFAULT", 0)
    dataclasses.replace(api, url="http://127.0.0.1:9").kubeconfig(tmp_path / "kubeconfig")
    with pytest.raises(EngineError, match="Kubernetes does not answer"):
        KubernetesEngine(()).stop(POOL.name)


def test_without_a_kubeconfig_a_person_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(EngineError, match="No Kubernetes cluster is known here"):
        KubernetesEngine(()).list(POOL.name)
