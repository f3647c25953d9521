"""Workers in a Kubernetes cluster: a Job that is a work queue, with so many pods at a time as workers are wanted.

Such a Job has no number of completions: a pod that ends with 0 has found nothing left to do, and none is started after
it (kubernetes.io/docs/concepts/workloads/controllers/job, "Parallel execution for Jobs").  What is asked for stands in
`kubernetes_manifest`; here is who is asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from orchestrator.engines import kubernetes_manifest
from orchestrator.engines.kubernetes_manifest import Wishes
from orchestrator.engines.pool import EngineError, Member, Pool, counted
from orchestrator.errors import UsageError
from orchestrator.foreign_text import single_line
from orchestrator.installation import distribution

_GONE_SECONDS = 60.0
"""How long a Job that is over may take to go away before another of its name is made."""

_REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class _Cluster:
    """A connection, and where in the cluster pools are kept."""

    jobs: Any
    pods: Any
    namespace: str


class KubernetesEngine:
    """Pools in one namespace of one cluster, with the official client and its kubeconfig."""

    def __init__(self, options: Sequence[str]) -> None:
        """Raises UsageError if there are no such options."""
        self._wishes = Wishes.parse(options)
        self._connected: _Cluster | None = None

    def render(self, pool: Pool) -> str:
        """A manifest in JSON, which `kubectl apply -f -` takes.

        Raises:
            UsageError: no image is named, or pods could not reach the study.
        """
        return json.dumps(kubernetes_manifest.job(pool, self._wishes), indent=2) + "\n"

    def start(self, pool: Pool) -> str:
        """Raises UsageError as `render` does; a pool that is there needs no image to be made larger or smaller."""
        with _asked():
            cluster, found = self._cluster(), self._job(pool.name)
            if found is not None and not _is_over(found):
                return self._scale(pool, found)
            manifest = kubernetes_manifest.job(pool, self._wishes)
            if found is not None:
                self._delete(pool.name)
                self._wait_until_gone(pool.name)
            try:
                cluster.jobs.create_namespaced_job(cluster.namespace, manifest, _request_timeout=_REQUEST_SECONDS)
            except _refusal() as refusal:
                if refusal.status != 409:
                    raise
                raise EngineError(f"Somebody has just started the pool {pool.name}; launch again.") from None
        at_a_time = f"with {counted(pool.workers)} at a time"
        return f"Started the Job {pool.name} in the namespace {cluster.namespace} {at_a_time}."

    def list(self, name: str) -> Sequence[Member]:
        with _asked():
            cluster = self._cluster()
            pods = cluster.pods.list_namespaced_pod(
                cluster.namespace,
                label_selector=f"{kubernetes_manifest.POOL_LABEL}={name}",
                _request_timeout=_REQUEST_SECONDS,
            )
        return [
            Member(pod.metadata.name, _state(pod), pod.spec.node_name or "", f"kubectl logs {pod.metadata.name}")
            for pod in pods.items
        ]

    def stop(self, name: str) -> str:
        with _asked():
            if self._job(name) is None:
                return f"There is no Job {name} in the namespace {self._cluster().namespace}."
            self._delete(name)
        return f"Deleted the Job {name}: its workers end in good order, within half a minute."

    def _scale(self, pool: Pool, found: Any) -> str:
        """Only the number of pods of a Job that runs can be changed."""
        if self._wishes.image is not None:
            noted = (found.metadata.annotations or {}).get(kubernetes_manifest.TEMPLATE_ANNOTATION)
            if noted != kubernetes_manifest.template_digest(pool, self._wishes):
                raise UsageError(
                    f"The Job {pool.name} runs with other options than these, which can be changed only by starting it "
                    "anew: give --stop first, or leave the options out."
                )
        cluster = self._cluster()
        change = {"spec": {"parallelism": pool.workers}}
        cluster.jobs.patch_namespaced_job(pool.name, cluster.namespace, change, _request_timeout=_REQUEST_SECONDS)
        return f"The Job {pool.name} is there already, now with {counted(pool.workers)} at a time."

    def _job(self, name: str) -> Any:
        """The Job of this name; None if there is none."""
        cluster = self._cluster()
        try:
            return cluster.jobs.read_namespaced_job(name, cluster.namespace, _request_timeout=_REQUEST_SECONDS)
        except _refusal() as refusal:
            if refusal.status == 404:
                return None
            raise

    def _delete(self, name: str) -> None:
        cluster = self._cluster()
        # The pods, too, which this API would otherwise leave where they are.
        which = {"propagation_policy": "Background", "_request_timeout": _REQUEST_SECONDS}
        cluster.jobs.delete_namespaced_job(name, cluster.namespace, **which)

    def _wait_until_gone(self, name: str) -> None:
        deadline = time.monotonic() + _GONE_SECONDS
        while self._job(name) is not None:
            if time.monotonic() > deadline:
                raise EngineError(f"The Job {name} is over, and is being deleted; launch again in a minute.")
            time.sleep(0.2)

    def _cluster(self) -> _Cluster:
        if self._connected is None:
            self._connected = _connect(self._wishes)
        return self._connected


def _connect(wishes: Wishes) -> _Cluster:
    """By the kubeconfig of whoever runs this.  Raises EngineError if there is none, UsageError for a wrong context."""
    client, config = _client(), import_module("kubernetes.config")
    try:
        contexts, active = config.list_kube_config_contexts()
        named = [each for each in contexts if each["name"] == wishes.context] if wishes.context else [active]
        if not named:
            known = "`kubectl config get-contexts` lists them"
            raise UsageError(f"The kubeconfig has no context {wishes.context!r}; {known}.")
        api = config.new_client_from_config(context=wishes.context)
        namespace = wishes.namespace or named[0]["context"].get("namespace", "default")
    except config.ConfigException as error:
        raise EngineError(
            f"No Kubernetes cluster is known here: {single_line(str(error))}; name a kubeconfig in KUBECONFIG."
        ) from error
    return _Cluster(client.BatchV1Api(api), client.CoreV1Api(api), namespace)


def _client() -> Any:
    try:
        return import_module("kubernetes.client")
    except ImportError:
        needed = distribution.requirement("kubernetes")
        raise EngineError(f"Kubernetes' client is not installed here: pip install '{needed}'.") from None


def _refusal() -> Any:
    """The exception that the client raises when the API server refuses."""
    return _client().exceptions.ApiException


@contextmanager
def _asked() -> Iterator[None]:
    """Turns what the client says of a refusal, or of a cluster that does not answer, into a sentence."""
    refusal = _refusal()
    from urllib3.exceptions import HTTPError

    try:
        yield
    except refusal as refused:
        raise EngineError(f"Kubernetes refuses: {_reason(refused)}") from refused
    except (HTTPError, OSError) as error:
        raise EngineError(f"Kubernetes does not answer: {single_line(str(error))}") from error


def _reason(refused: Any) -> str:
    """What the API server gives as the message of its Status, if it answered with one."""
    try:
        return single_line(str(json.loads(refused.body)["message"]))
    except (ValueError, LookupError, TypeError):
        return single_line(f"{refused.status} {refused.reason}")


def _is_over(job: Any) -> bool:
    conditions = job.status.conditions or ()
    return any(each.type in ("Complete", "Failed") and each.status == "True" for each in conditions)


def _state(pod: Any) -> str:
    """Its phase, or for what its container waits."""
    containers = pod.status.container_statuses or ()
    waiting = [each.state.waiting.reason for each in containers if each.state.waiting is not None]
    return str(next(filter(None, waiting), pod.status.phase.lower()))
