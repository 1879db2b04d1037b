"""The grey pictures that stacks are made of: any set with labels, in one part to train on and one held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.data.adapters import file_source, source_of
from ganforge.data.folder import load_folder
from ganforge.errors import GANForgeError, UsageError, closest
from ganforge.files import at_home
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.dataset import Images
from ganforge.plugin.sizes import Size, parse_size, sides

if TYPE_CHECKING:
    from ganforge.plugin.registry import Choice

# Where Debian's package dataset-fashion-mnist has its files.
FASHION = Path("/usr/share/datasets/fashion-mnist")
NAMES = ("digits", "fashion-mnist")
# What MNIST calls its files, with .gz or without, with - or . in the middle.
TRAIN, TEST = "train-images", "t10k-images"
LEAST, MOST = 2, 30  # classes; of more there are too many stacks to count
HELD_OUT = 5  # one of so many
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """Some pictures of a set, uint8 ``array[rows]``, (N, H, W, 1), and the class of each, int64 (N,)."""

    array: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    @property
    def pictures(self) -> np.ndarray:
        """The pictures, uint8 (N, H, W)."""
        return np.asarray(self.array[self.rows])[..., 0]

    def stacks(self, picks: np.ndarray) -> np.ndarray:
        """Return the stacks of pictures int (N, C), indices into this part: uint8 (N, H, W, C)."""
        return np.moveaxis(self.array[self.rows[picks]][..., 0], 1, -1)


@dataclass(frozen=True)
class Greys:
    """A set of grey pictures. ``own`` is the side or (height, width) it has by itself, None where it has many."""

    name: str
    classes: tuple[str, ...]
    train: Part
    held_out: Part
    fingerprint: str
    own: Size | None = None


def greys(
    source: str,
    image_size: Size,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    **keys: str | None,
) -> Greys:
    """Return the pictures of a source in grey at a size, from the cache where they are there.

    Held out are the test files of MNIST where the source is a folder of its files, else a fifth of each class, the
    same for each size and seed. ``keys``: ``images`` and ``labels`` of a file.

    Raises:
        UsageError: there is no such source.
        GANForgeError: it cannot be read, has no labels, or other than 2 to 30 classes, or one with a single picture.
    """
    read = _Reader(image_size, cache_dir, progress)
    text = _named(source)
    train, test = _mnist(text)
    name = source if source in NAMES else Path(text).name
    pictures = read.digits() if text == NAMES[0] else read.path(str(train or text), keys)
    classes, labels = _classes(pictures, name)
    fingerprints = [pictures.fingerprint, hashlib.sha256(labels.tobytes()).hexdigest(), classes]
    if test is not None:
        others = read.path(str(test), keys)
        known, theirs = _classes(others, test.name)
        if known != classes:
            raise GANForgeError(f"{test.name} has other classes than {name}: {', '.join(known)}")
        fingerprints += [others.fingerprint, hashlib.sha256(theirs.tobytes()).hexdigest()]
        parts = tuple(Part(p.array, np.arange(len(n)), n) for p, n in ((pictures, labels), (others, theirs)))
    else:
        rows = _split(labels, classes, name)
        parts = tuple(Part(pictures.array, some, labels[some]) for some in rows)
    fingerprint = hashlib.sha256(json.dumps(fingerprints).encode()).hexdigest()
    return Greys(name, classes, parts[0], parts[1], fingerprint, read.own)


class _Reader:
    """Reads each kind of source at one size; ``own`` is the size it has by itself."""

    def __init__(self, image_size: Size, cache_dir: Path | None, progress: Progress | None) -> None:
        self.size = image_size
        self.own: Size | None = None
        self.how: dict[str, Any] = {"channels": 1, "cache_dir": cache_dir, "progress": progress}

    def digits(self) -> Images:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            way_out = "pip install 'ganforge[digits]', or another source=…"
            raise GANForgeError(f"--data stacked:source=digits needs scikit-learn: {way_out}") from None
        found = load_digits()  # 0…16
        return self.choice(source_of(np.rint(found.images * (255 / 16)).astype(np.uint8), found.target))

    def path(self, text: str, keys: dict[str, str | None]) -> Images:
        more = ",".join(f"{key}={value}" for key, value in keys.items() if value is not None)
        choice = file_source(text + (f":{more}" if more else ""))
        if choice is not None:
            return self.choice(choice)
        if more:
            raise UsageError(f"--data stacked: '{text}' is not a file of arrays or tables; leave {more} out")
        return load_folder(at_home(text), image_size=self.size, **self.how)

    def choice(self, choice: Choice) -> Images:
        if choice.value.image_size is not None:
            self.own = parse_size(choice.value.image_size)
        shape = (*sides(self.size), 1)
        how = {"options": choice.options, "image_size": self.size, "image_shape": shape, "limit": None, "seed": 0}
        images: Images = call_by_name(choice.value.load)(**how, **self.how)
        return images


def _named(source: str) -> str:
    """Return the path that a source names, or ``digits``."""
    if source == "fashion-mnist":
        if not FASHION.is_dir():
            way_out = "apt install dataset-fashion-mnist, or give source=FOLDER with its four files"
            raise GANForgeError(f"--data stacked:source=fashion-mnist: there is no {FASHION}; {way_out}")
        return str(FASHION)
    if source in NAMES or at_home(source).exists() or file_source(source) is not None:
        return source
    raise UsageError(
        f"--data stacked: invalid source={source}: expected {', '.join(NAMES)}, or the path of a folder or file of "
        f"pictures with labels.{closest(source, NAMES)}"
    )


def _mnist(text: str) -> tuple[Path | None, Path | None]:
    """Return the files of pictures in a folder as MNIST has it, to train on and to test with."""
    folder = at_home(text)
    if not folder.is_dir():
        return None, None
    names = [[f"{name}{mark}idx3-ubyte{end}" for mark in "-." for end in ("", ".gz")] for name in (TRAIN, TEST)]
    train, test = (next((folder / one for one in some if (folder / one).is_file()), None) for some in names)
    return (train, test) if train is not None else (test, None)


def _classes(images: Images, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the classes and the class of each picture."""
    if images.array.ndim != 4:
        raise GANForgeError(f"--data stacked: {name} holds vectors; expected pictures with labels")
    if images.labels is None:
        raise GANForgeError(
            f"--data stacked: {name} has no labels; expected a folder for each class, or a file with labels "
            "(labels=KEY)"
        )
    if not LEAST <= len(images.classes) <= MOST:
        known = f"{len(images.classes):,} class{'es' * (len(images.classes) != 1)}"
        raise GANForgeError(f"--data stacked: {name} has {known}; expected {LEAST} to {MOST}")
    return images.classes, np.asarray(images.labels, np.int64)


def _split(labels: np.ndarray, classes: tuple[str, ...], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those held out: of each class a fifth, at least one."""
    train, held_out = [], []
    for k, said in enumerate(classes):
        rows = np.flatnonzero(labels == k)
        if len(rows) < 2:
            raise GANForgeError(f"--data stacked: class '{said}' of {name} has only one picture; expected 2 or more")
        rows = np.random.default_rng([0x57AC, k]).permutation(rows)
        few = -(-len(rows) // HELD_OUT)
        held_out.append(rows[:few])
        train.append(rows[few:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(held_out))
