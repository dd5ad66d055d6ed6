"""Sources by name: bundled ones, and published ones that are downloaded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recurra.errors import InputError, nearest
from recurra.experiment import Data
from recurra.readers import cifar, digits, moving_digits
from recurra.readers.download import Remote, fetched, folder_of
from recurra.readers.idx import IdxReader
from recurra.readers.reader import Source

_FASHION_MNIST = (
    Remote("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    Remote("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    Remote("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    Remote("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
_FASHION_MNIST_MIRRORS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_FASHION_CLASSES = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_MNIST = (
    Remote("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    Remote("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    Remote("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    Remote("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_CIFAR10 = Remote("cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")
_CIFAR10_MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
)


def _fashion_mnist(data: Data, home: Path | None) -> Source:
    for remote in _FASHION_MNIST:
        fetched("fashion-mnist", remote, _FASHION_MNIST_MIRRORS, home)
    return IdxReader(home).open(str(folder_of("fashion-mnist", home)), data, _FASHION_CLASSES)


def _mnist(data: Data, home: Path | None) -> Source:
    for remote in _MNIST:
        fetched("mnist", remote, _MNIST_MIRRORS, home)
    return IdxReader(home).open(str(folder_of("mnist", home)), data)


def _cifar10(data: Data, home: Path | None) -> Source:
    return cifar.open_cifar10(fetched("cifar10", _CIFAR10, _CIFAR10_MIRRORS, home), data, home)


BUNDLED: dict[str, Callable[[Data], Source]] = {
    digits.NAME: digits.open_digits,
    moving_digits.NAME: moving_digits.open_moving_digits,
}
"""Sources that need no file and no network."""
DOWNLOADED: dict[str, Callable[[Data, Path | None], Source]] = {
    "fashion-mnist": _fashion_mnist,
    "mnist": _mnist,
    "cifar10": _cifar10,
}
"""Sources that are fetched once into `downloads` in the home folder."""
NAMES = (*BUNDLED, *DOWNLOADED)


@dataclass
class NamedReader:
    """Opens sources by name. A folder of the same name is reached as ./NAME."""

    home: Path | None = None
    """The home folder; left out: the default one."""
    name = "named"
    description = f"by name: {', '.join(BUNDLED)} (bundled), {', '.join(DOWNLOADED)} (downloaded once)"

    def recognises(self, source: str) -> bool:
        """Whether it is one of the names."""
        return source in NAMES

    def open(self, source: str, data: Data) -> Source:
        """The named source; the network is used only for a download that is not there yet."""
        if source not in NAMES:
            raise InputError(f"{source}: no source of that name, known are {', '.join(NAMES)}.{nearest(source, NAMES)}")
        return BUNDLED[source](data) if source in BUNDLED else DOWNLOADED[source](data, self.home)
