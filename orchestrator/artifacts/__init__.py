"""Stores of immutable files: `store` is the contract, `local` a directory."""

from orchestrator.artifacts.local import LocalStore
from orchestrator.artifacts.store import ArtifactDamaged, ArtifactStore

__all__ = ["ArtifactDamaged", "ArtifactStore", "LocalStore"]
