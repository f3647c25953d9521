"""What is known of the machine a worker runs on: its name, and which kind of notebook it is."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    """The machine as a job's history names it."""

    name: str
    kind: str
    """`colab`, `kaggle` or `own`."""


def this_host() -> Host:
    return Host(socket.gethostname(), _kind())


def _kind() -> str:
    if "COLAB_RELEASE_TAG" in os.environ:
        return "colab"
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "kaggle"
    return "own"


def fresh_worker_name(host: Host) -> str:
    """A name that no other worker is likely to have: notebooks of one kind often share a host name."""
    return f"{host.kind if host.kind != 'own' else host.name}-{secrets.token_hex(4)}"
