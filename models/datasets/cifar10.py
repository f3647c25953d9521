"""CIFAR-10: which files its official Python batches are, and what is in them."""

from __future__ import annotations

from pathlib import Path

from models.datasets.description import Description
from models.datasets.python_batches import ProgressCallback, PythonBatches, digest_of
from models.datasets.splits import Split

ARCHIVE_ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER = "cifar-10-batches-py"
TEST_BATCH = "test_batch"
BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    TEST_BATCH: "40351d587109b95175f43aff81a1287e",
}

DESCRIPTION = Description(
    name="cifar10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    image_shape=(32, 32, 3),
    train_images=50_000,
    test_images=10_000,
    digest=digest_of(BATCH_MD5),
    smallest_class=5_000,
)


def read(
    directory: Path | None = None, *, progress: ProgressCallback | None = None, download: bool = True
) -> tuple[Split, Split]:
    """The training and the test images.  Raises what `PythonBatches.read` raises."""
    batches = PythonBatches("CIFAR-10", FOLDER, ARCHIVE_ADDRESS, ARCHIVE_MD5, BATCH_MD5, TEST_BATCH, labels=b"labels")
    return batches.read(directory, progress=progress, download=download)
