"""Inputs on this machine: bounded in all, and never taken from those that need them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from models.files import TEMPORARY
from orchestrator.artifacts import LocalStore
from orchestrator.jobs import Artifact
from workers.store import cache as cache_module
from workers.store.cache import InputCache


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def cache(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InputCache:
    monkeypatch.setattr(cache_module, "_LARGEST_BYTES", 1_000)
    return InputCache(tmp_path / "cache", store)


def kept(store: LocalStore, place: Path, name: str, size: int = 400) -> Artifact:
    file = place / name
    file.write_bytes(name.encode().ljust(size))
    return store.put(file)


def cached(place: Path) -> set[str]:
    return {file.name for file in (place / "cache").iterdir()}


def test_the_input_that_was_used_longest_ago_makes_room(cache: InputCache, store: LocalStore, tmp_path: Path) -> None:
    first, second, third = (kept(store, tmp_path, name) for name in ("first", "second", "third"))
    for age, artifact in ((5.0, second), (9.0, first)):
        os.utime(cache.path(artifact), (time.time() - age,) * 2)
    cache.path(first)
    cache.path(third)
    assert cached(tmp_path) == {first.sha256, third.sha256}


def test_inputs_of_one_job_stay_together_however_large_they_are(
    cache: InputCache, store: LocalStore, tmp_path: Path
) -> None:
    replicas = [kept(store, tmp_path, f"replica{number}") for number in range(5)]
    files = [cache.path(replica, beside=replicas) for replica in replicas]
    assert all(file.exists() for file in files)
    other = cache.path(kept(store, tmp_path, "other"))
    assert len(cached(tmp_path)) == 2 and other.exists()


def test_inputs_that_a_cleaner_has_deleted_are_fetched_again(
    cache: InputCache, store: LocalStore, tmp_path: Path
) -> None:
    artifact = kept(store, tmp_path, "shard")
    shutil.rmtree(cache.path(artifact).parent)
    assert cache.path(artifact).exists()


def test_a_file_on_its_way_is_left_alone(cache: InputCache, store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    incoming = tmp_path / "cache" / f"{TEMPORARY}1"
    incoming.write_bytes(bytes(2_000))
    cache.path(kept(store, tmp_path, "another"))
    assert incoming.exists()


def test_a_file_that_is_gone_when_it_is_looked_at_hinders_nobody(
    cache: InputCache, store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "renamed").symlink_to("nowhere")  # listed, and not there: as when a fetch has just ended
    output = tmp_path / "output"
    output.write_bytes(bytes(400))
    cache.adopt(output, Artifact("0" * 64, 400, "anywhere"))
    assert cache.path(kept(store, tmp_path, "input")).exists()
