"""Stores of immutable files: `store` is the contract, `local` a directory, `drive` a folder of Google Drive."""

from orchestrator.artifacts.local import LocalStore
from orchestrator.artifacts.store import ArtifactDamaged, ArtifactStore, Stored, StoreFull

__all__ = ["ArtifactDamaged", "ArtifactStore", "LocalStore", "StoreFull", "Stored"]
