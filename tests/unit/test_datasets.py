"""Data sets: found, checked, described, split and saved."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import datasets
from models.datasets import DatasetError, DatasetMissing, Split, cifar10, cifar100
from tests.support.cifar10_batches import small_batch, write_batches

IMAGES_PER_BATCH = 20


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six small batches in the official format, taken for the official ones; no other CIFAR-10 is to be found."""
    folder = tmp_path / "given" / cifar10.FOLDER
    monkeypatch.setattr(cifar10, "BATCH_MD5", write_batches(folder, IMAGES_PER_BATCH))
    for variable in ("HOME", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("ORCH_DATA", raising=False)
    monkeypatch.setattr(cifar10, "ARCHIVE_ADDRESS", (tmp_path / "archive").as_uri())
    return folder


def some_split(labels: list[int]) -> Split:
    images = np.arange(len(labels) * 12, dtype=np.uint8).reshape(-1, 2, 2, 3)
    return Split(images, np.array(labels, np.int64), np.arange(len(labels)) * 3 + 100)


def write_npz(path: Path, **changes: np.ndarray) -> Path:
    arrays: dict[str, Any] = {
        "x_train": np.full((4, 8, 8, 3), 200, np.uint8),
        "y_train": np.array([[0], [1], [2], [1]]),
        "x_test": np.ones((3, 8, 8, 3), np.uint8),
        "y_test": np.array([2, 0, 1]),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    assert not datasets.is_known("mnist")
    assert not datasets.is_known("npz:")
    assert all(datasets.is_known(name) for name in datasets.NAMES)
    with pytest.raises(DatasetError, match=r"'mnist'.*cifar10, cifar100, synthetic, folder:DIR, npz:FILE, FILE"):
        datasets.load("mnist")


def test_importing_the_data_sets_loads_no_tensorflow() -> None:
    code = "import sys, models.datasets; sys.exit(bool({'tensorflow', 'keras', 'pydantic'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# CIFAR-10


@pytest.mark.parametrize("level", ["the folder itself", "its parent"])
def test_the_batches_of_a_named_directory_become_images(batches: Path, level: str) -> None:
    loaded = datasets.load("cifar10", batches if level == "the folder itself" else batches.parent)

    assert loaded.train.images.shape == (5 * IMAGES_PER_BATCH, 32, 32, 3)
    assert len(loaded.test) == IMAGES_PER_BATCH
    first = np.asarray(small_batch(0, IMAGES_PER_BATCH)[b"data"])[0]
    assert loaded.train.images[0, 1, 2].tolist() == first[[34, 1024 + 34, 2048 + 34]].tolist()
    assert loaded.train.labels[:3].tolist() == [0, 1, 2]
    assert loaded.train.indices.tolist() == list(range(5 * IMAGES_PER_BATCH))


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_batch_is_refused_with_its_name_and_not_unpickled(batches: Path, damage: str) -> None:
    batch = batches / "data_batch_3"
    content = batch.read_bytes()
    batch.write_bytes(content[:-1] if damage == "truncated" else b"\x00" + content[1:])

    with pytest.raises(DatasetError, match=r"data_batch_3 is truncated or altered"):
        datasets.load("cifar10", batches)


def test_a_batch_that_a_named_directory_lacks_is_named(batches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (batches / "test_batch").unlink()
    monkeypatch.setenv("ORCH_DATA", str(batches))

    with pytest.raises(DatasetMissing, match=r"test_batch cannot be read"):
        datasets.load("cifar10")


def test_the_named_directory_comes_before_the_environment(
    batches: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORCH_DATA", str(tmp_path / "nowhere"))

    assert len(datasets.load("cifar10", batches).test) == IMAGES_PER_BATCH


@pytest.mark.parametrize(
    "place",
    [
        "KERAS_HOME/datasets/cifar-10-batches-py",
        "KERAS_HOME/datasets/cifar-10-batches-py-target/cifar-10-batches-py",
        "XDG_CACHE_HOME/orch/cifar-10-batches-py",
    ],
)
def test_what_keras_or_orch_downloaded_before_is_found(batches: Path, tmp_path: Path, place: str) -> None:
    cache = tmp_path / place
    cache.parent.mkdir(parents=True)
    batches.rename(cache)

    assert len(datasets.load("cifar10", download=False).train) == 5 * IMAGES_PER_BATCH


@pytest.mark.parametrize("download", [False, True])
def test_without_files_and_network_the_error_says_what_to_do(batches: Path, download: bool) -> None:
    assert batches.exists()
    with pytest.raises(DatasetMissing, match="--data DIR or ORCH_DATA"):
        datasets.load("cifar10", download=download)


def test_a_download_is_checked_kept_and_told_about(
    batches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    with tarfile.open(archive, "w:gz") as members:
        members.add(batches, cifar10.FOLDER)
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    told: list[tuple[int, int]] = []

    datasets.load("cifar10", progress=lambda done, total: told.append((done, total)))

    size = archive.stat().st_size
    assert told[-1] == (size, size)
    archive.unlink()
    assert len(datasets.load("cifar10").test) == IMAGES_PER_BATCH


def test_an_altered_download_is_refused(batches: Path, tmp_path: Path) -> None:
    assert batches.exists()
    (tmp_path / "archive").write_bytes(b"a proxy's error page")

    with pytest.raises(DatasetMissing, match="truncated or altered"):
        datasets.load("cifar10")


# CIFAR-100


def test_the_batches_of_cifar_100_become_images_of_its_fine_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / cifar100.FOLDER
    folder.mkdir()
    digests = {}
    for number, name in enumerate(cifar100.BATCH_MD5):
        fine, coarse = [99, 0, 42], [1, 2, 3]
        images = small_batch(number, images=3)[b"data"]
        content = pickle.dumps({b"data": images, b"fine_labels": fine, b"coarse_labels": coarse})
        (folder / name).write_bytes(content)
        digests[name] = hashlib.md5(content).hexdigest()
    with pytest.raises(DatasetError, match=r"train is truncated or altered"):
        datasets.load("cifar100", tmp_path)
    monkeypatch.setattr(cifar100, "BATCH_MD5", digests)

    loaded = datasets.load("cifar100", tmp_path)

    assert loaded.train.labels.tolist() == loaded.test.labels.tolist() == [99, 0, 42]
    assert [loaded.description.classes[label] for label in loaded.test.labels] == ["worm", "apple", "leopard"]


# Synthetic


def test_synthetic_images_are_cifar_shaped_balanced_and_always_the_same() -> None:
    loaded = datasets.load("synthetic")

    assert loaded.train.images.shape == (5_000, 32, 32, 3)
    assert loaded.test.images.shape == (1_000, 32, 32, 3)
    assert np.bincount(loaded.train.labels).tolist() == [500] * 10
    digest = hashlib.sha256(loaded.train.images.tobytes() + loaded.test.images.tobytes()).hexdigest()
    assert digest.startswith("7c754424f611819d")


def test_descriptions_of_fixed_data_sets_need_no_files(batches: Path) -> None:
    assert batches.exists()
    for name, classes in (("cifar10", 10), ("cifar100", 100), ("synthetic", 10)):
        description = datasets.describe(name)
        assert (description.name, len(set(description.classes)), description.image_shape) == (
            name,
            classes,
            (32, 32, 3),
        )


# A person's own npz file


def test_an_npz_file_is_loaded_and_described(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "mine.npz")

    loaded = datasets.load("npz:mine.npz", tmp_path)

    assert (
        datasets.describe("npz:mine.npz", tmp_path)
        == loaded.description
        == datasets.Description(
            name="npz:mine.npz",
            classes=("0", "1", "2"),
            image_shape=(8, 8, 3),
            train_images=4,
            test_images=3,
            digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            smallest_class=1,
        )
    )
    assert loaded.train.labels.tolist() == [0, 1, 2, 1]


def test_grey_images_get_a_channel(tmp_path: Path) -> None:
    grey = {"x_train": np.zeros((4, 8, 8), np.uint8), "x_test": np.zeros((3, 8, 8), np.uint8)}

    path = write_npz(tmp_path / "grey.npz", **grey)

    assert datasets.describe(f"npz:{path}").image_shape == (8, 8, 1)


def images_of(dtype: type, low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 4 * 8 * 8 * 3).reshape(4, 8, 8, 3).astype(dtype)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"x_train": images_of(np.float32, 0, 1)}, r"float32\[4, 8, 8, 3\]; .* keep \(255 \* array\)"),
        ({"x_train": images_of(np.float64, 0, 255)}, r"keep \(array\)\.round\(\)"),
        ({"x_train": images_of(np.float32, -2.1, 2.6)}, r"between -2\.1 and 2\.6; keep the pixels"),
        ({"x_train": images_of(np.float32, 0, np.nan)}, "not finite"),
        ({"x_train": images_of(np.int64, 0, 255)}, r"keep array\.astype\('uint8'\)"),
        ({"x_train": images_of(np.uint16, 0, 65535)}, "between 0 and 65535"),
        ({"x_train": np.ones((4, 8, 8, 3), bool)}, "keep 255 "),
        ({"x_train": np.zeros((4, 3, 8, 8), np.uint8)}, r"channels seem to come first; .*transpose\(0, 2, 3, 1\)"),
        ({"x_train": np.zeros((4, 1, 28, 28), np.uint8)}, "channels seem to come first"),
        ({"x_train": np.zeros((4, 192), np.uint8)}, "reshape it"),
        ({"x_train": np.zeros((0, 8, 8, 3), np.uint8)}, r"uint8\[0, 8, 8, 3\]"),
        ({"x_test": np.zeros((3, 9, 9, 3), np.uint8)}, "make them one shape"),
        ({"x_train": np.array([np.zeros((2, 2)), np.zeros(3)], object)}, "x_train is an array of Python objects"),
        ({"y_train": np.array([0, 1])}, r"y_train is int64\[2\] for 4 images"),
        ({"y_train": np.eye(4, 3)}, r"one-hot; .* labels\.argmax\(1\)"),
        ({"y_train": np.array([0.0, 1.0, 2.0, 1.0])}, r"keep labels\.astype\('int64'\)"),
        ({"y_train": np.array(["cat", "dog", "eel", "dog"])}, r"these are names; numpy\.unique"),
        ({"y_test": np.array([-1, 0, 1])}, "y_test has the label -1; class numbers count from 0"),
        ({"y_test": np.array([None, 0, 1])}, "y_test is an array of Python objects"),
        ({"y_test": np.array([0, 1, 1_500_000_000])}, "makes 1,500,000,001 classes, more than the 4 training images"),
        ({"y_train": np.array([0, 1, 2, 2**64 - 1], np.uint64)}, r"label 18446744073709551615; numpy\.unique"),
        ({"y_train": np.zeros(4, int), "y_test": np.zeros(3, int)}, "nothing to tell apart"),
    ],
)
def test_unusable_arrays_are_refused_with_what_they_seem_to_be(
    tmp_path: Path, changes: dict[str, np.ndarray], complaint: str
) -> None:
    path = write_npz(tmp_path / "bad.npz", **changes)

    with pytest.raises(DatasetError, match=complaint) as told:
        datasets.describe(f"npz:{path}")
    assert str(path) in str(told.value) and "pickle" not in str(told.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"y_train": np.array([1, 2, 3, 2]), "y_test": np.array([1, 2, 3])}, "seem to count from 1"),
        ({"y_train": np.array([0, 2, 3, 3]), "y_test": np.array([0, 2, 3])}, "There is no image of class 1"),
        ({"y_test": np.array([0, 1, 3])}, "There are only test images of class 3: none of them can be told right."),
        ({"y_test": np.array([0, 0, 0])}, "There are no test images of the classes 1 and 2"),
        ({"x_train": np.ones((4, 8, 8, 3), np.uint8)}, "No training image has a pixel above 1"),
    ],
    ids=str,
)
def test_what_is_strange_about_the_labels_is_noted(
    tmp_path: Path, changes: dict[str, np.ndarray], told: str | None
) -> None:
    notes = datasets.describe(f"npz:{write_npz(tmp_path / 'odd.npz', **changes)}").notes
    assert notes == () if told is None else any(told in note for note in notes), notes


def test_the_smallest_class_of_the_fixed_data_sets_is_what_they_have() -> None:
    train, _ = datasets.synthetic.make()
    assert datasets.describe("synthetic").smallest_class == min(np.bincount(train.labels))
    for name in ("cifar10", "cifar100"):
        described = datasets.describe(name)
        assert described.smallest_class * len(described.classes) == described.train_images


def test_a_file_that_may_not_be_read_is_no_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_npz(tmp_path / "mine.npz")
    monkeypatch.setattr("numpy.load", refused)
    with pytest.raises(DatasetError, match=r"cannot be read: Permission denied\."):
        datasets.describe(f"npz:{path}")


def test_a_file_that_promises_more_than_there_is_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            content = io.BytesIO()
            header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 55, 8, 8, 3)}
            np.lib.format.write_array_header_1_0(content, header)
            archive.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(DatasetError, match="memory of this machine"):
        datasets.describe(f"npz:{path}")


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", x_train=np.zeros((1, 2, 2, 3), np.uint8), y_train=np.array([0]))

    with pytest.raises(DatasetError, match="no x_test and no y_test"):
        datasets.load("npz:half.npz", tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a zip file"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.npz").write_bytes(content)

    with pytest.raises(DatasetError, match=r"file\.npz cannot be read"):
        datasets.load("npz:file.npz", tmp_path)


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "cut.npz")
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DatasetError, match=r"cut\.npz cannot be read"):
        datasets.load("npz:cut.npz", tmp_path)


def test_a_missing_npz_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="nowhere"):
        datasets.describe("npz:nowhere.npz", tmp_path)


# Splits

labelled = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@settings(max_examples=50, deadline=None)
@given(labels=labelled, shards=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_shards_are_disjoint_complete_and_balanced(labels: list[int], shards: int, seed: int) -> None:
    split = some_split(labels)
    parts = datasets.stratified_shards(split, min(shards, len(labels)), seed)

    assert sorted(np.concatenate([part.indices for part in parts])) == split.indices.tolist()
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    counts = np.stack([np.bincount(part.labels, minlength=5) for part in parts])
    assert np.max(counts.max(axis=0) - counts.min(axis=0)) <= 1


def test_shards_follow_from_the_seed_alone() -> None:
    split = some_split([0, 1] * 20)
    once, again, other = (datasets.stratified_shards(split, 3, seed)[0].indices.tolist() for seed in (1, 1, 2))

    assert once == again != other


@settings(max_examples=50, deadline=None)
@given(labels=labelled, data=st.data())
def test_a_subset_takes_evenly_from_the_classes(labels: list[int], data: st.DataObject) -> None:
    split = some_split(labels)
    part = datasets.subset(split, data.draw(st.integers(1, len(labels))), seed=0)

    available, taken = np.bincount(labels, minlength=5), np.bincount(part.labels, minlength=5)
    share = np.max(taken)
    assert all(count in (share, share - 1) or count == have for count, have in zip(taken, available, strict=True))
    assert set(part.indices) <= set(split.indices)
    rows = np.searchsorted(split.indices, part.indices)
    np.testing.assert_array_equal(part.images, split.images[rows])


@pytest.mark.parametrize("images", [0, 5])
def test_a_subset_larger_than_the_split_or_empty_is_refused(images: int) -> None:
    with pytest.raises(DatasetError, match="between 1 and 4"):
        datasets.subset(some_split([0, 1, 2, 3]), images, seed=0)


def test_more_shards_than_images_are_refused() -> None:
    with pytest.raises(DatasetError, match="5 shards"):
        datasets.stratified_shards(some_split([0, 1, 2, 3]), 5, seed=0)


def test_a_saved_split_comes_back_and_its_file_is_always_the_same(tmp_path: Path) -> None:
    split = some_split([0, 1, 2, 1])
    strided = Split(split.images[::-1][::-1], split.labels, split.indices)

    datasets.save_split(split, tmp_path / "a.safetensors")
    datasets.save_split(strided, tmp_path / "b.safetensors")

    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    loaded = datasets.load_split(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.images, split.images)
    np.testing.assert_array_equal(loaded.labels, split.labels)
    np.testing.assert_array_equal(loaded.indices, split.indices)


def test_a_truncated_split_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    datasets.save_split(some_split([0, 1]), path)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(DatasetError, match=r"s\.safetensors is not a readable split"):
        datasets.load_split(path)
