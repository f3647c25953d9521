"""The manifest of a pool's Job (batch/v1), as plain data; needs no client."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NoReturn

from orchestrator.engines.pool import Pool
from orchestrator.errors import ExitCode, UsageError

POOL_LABEL = "app.kubernetes.io/instance"
TEMPLATE_ANNOTATION = "orch-train/template-sha256"

SECRETS = PurePosixPath("/run/secrets/orch")
"""Where the keys of the Secret are files: a sign-in is one."""

_GRACE_SECONDS = 30
"""From SIGTERM to SIGKILL; a worker needs up to 25."""

_FAILURES = 20
"""After so many pods that failed, and were not asked to end, the Job is given up."""

_KEPT_SECONDS = 86_400
"""How long a Job that is over is kept for its logs."""

_USER = 1000
"""Whom the images of docker/ run as: Kubernetes asks for a number to know that it is not root."""


@dataclass(frozen=True)
class Wishes:
    """What whoever launches says behind `--`."""

    image: str | None = None
    namespace: str | None = None
    context: str | None = None
    secret: str = "orch"
    claims: tuple[tuple[str, str], ...] = ()
    """Persistent volume claims, each with the directory that it is mounted at."""

    @classmethod
    def parse(cls, options: Sequence[str]) -> Wishes:
        """Raises UsageError."""
        parser = _Parser(prog="orch launch kubernetes --", add_help=False, allow_abbrev=False)
        parser.add_argument("--image")
        parser.add_argument("--namespace")
        parser.add_argument("--context")
        parser.add_argument("--secret", default="orch")
        parser.add_argument("--claim", dest="claims", action="append", default=[], type=_claim)
        given = parser.parse_args(options)
        return cls(given.image, given.namespace, given.context, given.secret, tuple(given.claims))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        known = "--image, --namespace, --context, --secret and --claim NAME=DIRECTORY"
        raise UsageError(f"Behind -- Kubernetes takes {known}: {message}.")


def _claim(text: str) -> tuple[str, str]:
    name, _, place = text.partition("=")
    if not name or not PurePosixPath(place).is_absolute():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIRECTORY with the whole path")
    return name, place


def job(pool: Pool, wishes: Wishes) -> dict[str, Any]:
    """The Job of a pool.

    Raises:
        UsageError: no image is named, or pods could not reach the study.
    """
    labels = {"app.kubernetes.io/name": "orch", POOL_LABEL: pool.name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": pool.name,
            **({"namespace": wishes.namespace} if wishes.namespace else {}),
            "labels": labels,
            "annotations": {TEMPLATE_ANNOTATION: template_digest(pool, wishes)},
        },
        "spec": {
            "parallelism": pool.workers,
            "backoffLimit": _FAILURES,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "Ignore",
                        "onExitCodes": {
                            "containerName": "worker",
                            "operator": "In",
                            "values": [int(ExitCode.TRY_LATER)],
                        },
                    },
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": _pod(pool, wishes)},
        },
    }


def template_digest(pool: Pool, wishes: Wishes) -> str:
    """Of all that cannot be changed of a Job.  Raises UsageError as `job` does."""
    return hashlib.sha256(json.dumps(_pod(pool, wishes), sort_keys=True).encode()).hexdigest()


def _pod(pool: Pool, wishes: Wishes) -> dict[str, Any]:
    _refuse_what_pods_cannot_reach(pool, wishes)
    if wishes.image is None:
        raise UsageError(
            "Kubernetes needs the image of a worker: give -- --image IMAGE; docker/worker.Dockerfile makes one."
        )
    volumes = {f"claim-{number}": claim for number, claim in enumerate(wishes.claims)}
    return {
        "restartPolicy": "Never",  # the Job starts another pod, where there is room
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER},
        "containers": [
            {
                "name": "worker",
                "image": wishes.image,
                "args": [_literal(each) for each in _arguments(pool)],
                "envFrom": [{"secretRef": {"name": wishes.secret, "optional": True}}],
                "resources": _resources(pool),
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [
                    {"name": "secrets", "mountPath": str(SECRETS), "readOnly": True},
                    *({"name": name, "mountPath": place} for name, (_, place) in volumes.items()),
                ],
            }
        ],
        "volumes": [
            {"name": "secrets", "secret": {"secretName": wishes.secret, "optional": True, "defaultMode": 0o440}},
            *(
                {"name": name, "persistentVolumeClaim": {"claimName": claimed}}
                for name, (claimed, _) in volumes.items()
            ),
        ],
    }


def _refuse_what_pods_cannot_reach(pool: Pool, wishes: Wishes) -> None:
    if pool.machine is not None:
        raise UsageError(
            f"The home is a directory of {pool.machine}, which pods do not reach; plan the study into a home on "
            "PostgreSQL, for example."
        )
    places = [each.partition("=")[2] for each in pool.arguments if each.startswith("--artifacts=")]
    for place in map(PurePosixPath, places):
        if place.is_absolute() and not any(place.is_relative_to(mounted) for _, mounted in wishes.claims):
            raise UsageError(
                f"The study's files are in {place}, which pods do not have; name the volume claim that is to be "
                f"mounted there: -- --claim NAME={place}."
            )


def _arguments(pool: Pool) -> list[str]:
    lasting = [] if pool.hours is None else [f"--max-hours={pool.hours:g}"]
    return [*pool.arguments, *lasting]


def _literal(argument: str) -> str:
    """Kubernetes puts a variable's value in the place of $(NAME)."""
    return argument.replace("$(", "$$(")


def _resources(pool: Pool) -> Mapping[str, Any]:
    limits = {}
    if pool.gpus:
        limits["nvidia.com/gpu"] = str(pool.gpus)
    if pool.memory_gb is not None:
        limits["memory"] = str(round(pool.memory_gb * 1e9))
    return {"requests": limits, "limits": limits} if limits else {}
