"""Stores of immutable files: `store` is the contract, `local` a directory; services have theirs in their own rooms."""

from orchestrator.artifacts.local import LocalStore
from orchestrator.artifacts.store import ArtifactDamaged, ArtifactStore, Stored, StoreFull

__all__ = ["ArtifactDamaged", "ArtifactStore", "LocalStore", "StoreFull", "Stored"]
