"""A Kubernetes API server for tests, as far as Jobs go: what it takes is held against the published schema.

No pod runs: a Job has as many as it asks for, and a test says what becomes of them.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

VERSION = "1.31"
"""The first in which `podFailurePolicy` is stable."""


@dataclass
class Api:
    """What the server has."""

    url: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By namespace and name, `default/orch-tiny-0`."""
    requests: list[str] = field(default_factory=list)
    linger: int = 0
    """How often a deleted Job is still found."""
    closed: bool = False
    """Whether whoever asks is told that they may not."""

    def kubeconfig(self, path: Path, namespace: str = "lab") -> None:
        """Write one whose only context names this server."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [
                {"name": "tests", "context": {"cluster": "here", "user": "ada", "namespace": namespace}},
            ],
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "ada", "user": {}}],
        }
        path.write_text(json.dumps(config))

    def finish(self, place: str) -> None:
        """Have a Job come to its end."""
        self.jobs[place]["status"]["conditions"] = [{"type": "Complete", "status": "True"}]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """The code and the object of an answer."""
        self.requests.append(f"{method} {path}")
        if self.closed:
            return _refused(403, 'jobs.batch is forbidden: User "ada" cannot do this')
        match method, path.strip("/").split("/"):
            case "POST", ["apis", "batch", "v1", "namespaces", namespace, "jobs"]:
                return self._create(namespace, body)
            case _, ["apis", "batch", "v1", "namespaces", namespace, "jobs", name]:
                return self._job(method, f"{namespace}/{name}", body)
            case "GET", ["api", "v1", "namespaces", namespace, "pods"]:
                return 200, {
                    "apiVersion": "v1",
                    "kind": "PodList",
                    "metadata": {},
                    "items": self._pods(namespace, query),
                }
        return _refused(404, f"there is no {path}")

    def _create(self, namespace: str, manifest: Any) -> tuple[int, Any]:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
        place = f"{namespace}/{manifest['metadata']['name']}"
        if place in self.jobs:
            return _refused(409, f"jobs.batch {place} already exists")
        self.jobs[place] = {**copy.deepcopy(manifest), "status": {}}
        return 201, self.jobs[place]

    def _job(self, method: str, place: str, body: Any) -> tuple[int, Any]:
        if place not in self.jobs:
            return _refused(404, f"jobs.batch {place} not found")
        job = self.jobs[place]
        if method == "PATCH":
            if body.keys() != {"spec"} or body["spec"].keys() != {"parallelism"}:
                return _refused(422, "field is immutable")
            job["spec"]["parallelism"] = body["spec"]["parallelism"]
        elif method == "DELETE":
            job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            if not self.linger:
                del self.jobs[place]
        elif "deletionTimestamp" in job["metadata"]:
            self.linger -= 1
            if not self.linger:
                del self.jobs[place]
        return 200, job

    def _pods(self, namespace: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        label, _, value = query["labelSelector"][0].partition("=")
        of_it = [job for place, job in self.jobs.items() if place.startswith(f"{namespace}/")]
        return [
            _pod(job, number)
            for job in of_it
            if job["spec"]["template"]["metadata"]["labels"].get(label) == value
            for number in range(job["spec"]["parallelism"])
        ]


def _pod(job: dict[str, Any], number: int) -> dict[str, Any]:
    """The first runs, the others wait for their image."""
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    status = {"name": "worker", "ready": False, "restartCount": 0, "image": "", "imageID": ""}
    return {
        "metadata": {"name": f"{job['metadata']['name']}-{number}"},
        "spec": {"nodeName": f"node{number}", "containers": job["spec"]["template"]["spec"]["containers"]},
        "status": {"phase": "Running"}
        if not number
        else {"phase": "Pending", "containerStatuses": [{**status, **waiting}]},
    }


def _refused(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "status": "Failure", "message": message, "code": code}


@contextmanager
def kubernetes_api() -> Iterator[Api]:
    """Yields a server on loopback that has no Jobs yet."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            asked = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = json.loads(body) if body else None
            code, answer = api.answer(self.command, asked.path, parse_qs(asked.query), content)
            told = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = Api(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield api
        finally:
            server.shutdown()
