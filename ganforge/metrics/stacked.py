"""Which modes of stacked grey pictures a generator covers, and how far its frequencies are from the data's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.greys import Greys, greys
from ganforge.data.kept import kept_numbers
from ganforge.data.stacked import StackedOptions, modes_of, picked
from ganforge.metrics.reader import VERSION, read_classes, reduced, size, train_reader
from ganforge.plugin.sizes import sides, size_of

# The papers' number, of 1,000 modes (Metz et al. 2017; Lin et al. 2018).
SAMPLES, A_MODE = 26_000, 26
MOST_SEEN = 28  # pixels a side


def stack_coverage(classes: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
    """Return how well stacks of the classes (N, C) cover those of grey pictures whose classes have the shares (K,).

    ``covered``: modes with at least one stack, ``of`` K to the power of C. ``reverse_kl``: KL(q ‖ p) in nats of the
    stacks' histogram q over the modes against the data's, p, the product of the shares of the C classes: the
    pictures of a stack are drawn each on its own. ``counts``: the stacks of each mode.

    Source: Metz et al. 2017, "Unrolled Generative Adversarial Networks", 3.3.1, and Lin et al. 2018, "PacGAN", 4.2.
    """
    channels, known = classes.shape[1], len(shares)
    counts = np.bincount(modes_of(classes, known), minlength=known**channels)
    data = np.ones(1)
    for _ in range(channels):
        data = np.multiply.outer(data, np.asarray(shares, np.float64)).ravel()
    seen = counts > 0
    q = counts[seen] / len(classes)
    return {
        "covered": int(seen.sum()),
        "of": len(counts),
        "reverse_kl": max(0.0, float((q * np.log(q / data[seen])).sum())),
        "counts": counts.tolist(),
    }


@dataclass(frozen=True)
class StackedModes:
    """What counts modes: a classifier of the source's grey pictures at the size of a run's, trained once and kept."""

    found: Greys
    channels: int
    cache_dir: Path | None = None
    rare: float = 1.0

    @classmethod
    def of(cls, options: Any, image_shape: tuple[int, ...], cache_dir: Path | None = None) -> StackedModes:
        """Return what counts the modes of ``--data stacked`` with these options, in pictures (H, W, C).

        Raises ``GANForgeError`` where the source cannot be read any more.
        """
        assert isinstance(options, StackedOptions)
        height, width, channels = image_shape
        side, images, labels = size_of(height, width), options.images, options.labels
        found = greys(options.source, side, cache_dir, images=images, labels=labels)
        return cls(found, channels, cache_dir, options.rare)

    @property
    def modes(self) -> int:
        """How many there are."""
        return int(len(self.found.classes) ** self.channels)

    @property
    def samples(self) -> int:
        """How many pictures to count them on: 26 a mode, as the papers, and no more than their 26,000."""
        return min(SAMPLES, A_MODE * self.modes)

    @cached_property
    def seen(self) -> tuple[int, int]:
        """The height and width that the classifier sees: no more than the run's, the source's own, and 28."""
        shape = self.found.train.array.shape[1:3]
        own = shape if self.found.own is None else sides(self.found.own)
        return min(shape[0], own[0], MOST_SEEN), min(shape[1], own[1], MOST_SEEN)

    @cached_property
    def weights(self) -> np.ndarray:
        """The classifier, trained now or before."""
        train, classes = self.found.train, len(self.found.classes)
        key = hashlib.sha256(f"{self.found.fingerprint} {self.seen}".encode()).hexdigest()

        def trained() -> np.ndarray:
            return train_reader(reduced(train.pictures, *self.seen), train.labels, classes)

        return kept_numbers(
            f"{VERSION}-{key[:32]}", (size(self.seen[0] * self.seen[1], classes),), trained, self.cache_dir
        )

    def read(self, stacks: np.ndarray) -> np.ndarray:
        """Return the classes that stacks uint8 (N, H, W, C) show, int64 (N, C)."""
        layers = np.moveaxis(np.asarray(stacks), -1, 1).reshape(-1, *stacks.shape[1:3])
        found = read_classes(self.weights, reduced(layers, *self.seen), len(self.found.classes))
        return found.reshape(-1, self.channels)

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of each class among the pictures that stacks are drawn from, float64 (K,)."""
        counts = np.bincount(self.found.train.labels, minlength=len(self.found.classes)).astype(np.float64)
        counts[0] *= self.rare
        shares: np.ndarray = counts / counts.sum()
        return shares

    def share_of(self, mode: int, stacks: np.ndarray) -> float:
        """Return which share of stacks uint8 (N, H, W, C) is read as of one mode."""
        return float((modes_of(self.read(stacks), len(self.found.classes)) == mode).mean())

    def covered(self, parts: Iterable[np.ndarray]) -> int:
        """Return how many modes pictures show that come in parts, uint8 (n, H, W, C)."""
        read = np.concatenate([self.read(part) for part in parts])
        return int(stack_coverage(read, self.shares)["covered"])

    def measure(self, parts: Iterable[np.ndarray]) -> dict[str, Any]:
        """Return the coverage of pictures that come in parts, and what it is worth.

        ``classifier``: its accuracy on the held-out grey pictures. ``floor``: the same measure on as many stacks of
        these, whose classes are read as the generator's are; ``ceiling``: on one such stack over and over, as a
        generator that has collapsed makes it. ``by_class``: by the names of the grey classes, how often each comes
        for its share of the data, over all layers: 1 where it does as often, 0 where it is lost. ``rare``: that of a
        rare first class.
        """
        read = np.concatenate([self.read(part) for part in parts])
        held_out = self.found.held_out
        known = read_classes(self.weights, reduced(held_out.pictures, *self.seen), len(self.found.classes))
        real = known[picked(held_out, len(read), self.channels, [0, True], self.rare)]
        collapsed = np.repeat(real[:1], len(read), 0)
        least, most = (stack_coverage(classes, self.shares) for classes in (real, collapsed))
        often = np.bincount(read.ravel(), minlength=len(self.found.classes)) / read.size / self.shares
        return {
            **stack_coverage(read, self.shares),
            "by_class": {str(name): float(part) for name, part in zip(self.found.classes, often)},
            **({"rare": float(often[0])} if self.rare < 1 else {}),
            "samples": len(read),
            "classifier": {
                "accuracy": float((known == held_out.labels).mean()),
                "held_out": len(known),
                "trained_on": len(self.found.train.labels),
            },
            "floor": {name: least[name] for name in ("covered", "reverse_kl")},
            "ceiling": {name: most[name] for name in ("covered", "reverse_kl")},
        }
