"""GPUs of NVIDIA's, imitated: a program that answers as the driver's does."""

from __future__ import annotations

from pathlib import Path


def imitate_gpus(directory: Path, *names: str) -> tuple[str, ...]:
    """Put an `nvidia-smi` into a directory of the PATH that tells of GPUs of these names; gives their UUIDs."""
    uuids = tuple(f"GPU-{number:08x}-aaaa-bbbb-cccc-dddddddddddd" for number in range(len(names)))
    lines = [f"{number}, {uuid}, {name}" for number, (uuid, name) in enumerate(zip(uuids, names, strict=True))]
    script = directory / "nvidia-smi"
    script.write_text("\n".join(["#!/bin/sh", *(f"echo '{line}'" for line in lines), ""]))
    script.chmod(0o755)
    return uuids
