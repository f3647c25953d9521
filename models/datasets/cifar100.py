"""CIFAR-100 with its hundred fine classes: which files its official Python batches are, and what is in them."""

from __future__ import annotations

from pathlib import Path

from models.datasets.description import Description
from models.datasets.python_batches import ProgressCallback, PythonBatches, digest_of
from models.datasets.splits import Split

ARCHIVE_ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
ARCHIVE_MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
FOLDER = "cifar-100-python"
TEST_BATCH = "test"
BATCH_MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    TEST_BATCH: "f0ef6b0ae62326f3e7ffdfab6717acfc",
}

_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""

DESCRIPTION = Description(
    name="cifar100",
    classes=tuple(_CLASSES.split()),
    image_shape=(32, 32, 3),
    train_images=50_000,
    test_images=10_000,
    digest=digest_of(BATCH_MD5),
    smallest_class=500,
)


def read(
    directory: Path | None = None, *, progress: ProgressCallback | None = None, download: bool = True
) -> tuple[Split, Split]:
    """The training and the test images.  Raises what `PythonBatches.read` raises."""
    batches = PythonBatches(
        "CIFAR-100", FOLDER, ARCHIVE_ADDRESS, ARCHIVE_MD5, BATCH_MD5, TEST_BATCH, labels=b"fine_labels"
    )
    return batches.read(directory, progress=progress, download=download)
