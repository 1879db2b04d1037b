"""The order of an epoch: a stored permutation, or, for very many pictures, one that is computed for each place."""

from __future__ import annotations

import math

import numpy as np

# Beyond that many, orders are computed by place. A kept one takes 8 bytes a picture: here 32 MiB, and 0.1 s an epoch.
LARGE = 2**22
ROUNDS = 8


class Shuffled:
    """A pseudo-random permutation of ``range(count)``, computed for each place; it stores only ``ROUNDS`` numbers.

    A Feistel network over Z_a × Z_b, a·b ≥ count, whose rounds add a hash of one half to the other, and cycle
    walking, which repeats the network if the result is not below ``count`` (Black & Rogaway 2002, "Ciphers with
    arbitrary finite domains", sections 4 and 5). With a = ⌈√count⌉, fewer than one place in √count is repeated. The
    hash is the finaliser of SplitMix64 (Steele, Lea & Flood 2014). At each place, all pictures are equally likely; as
    with any shuffle from a seed, there are fewer orders than count!.
    """

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self.count = count
        self._a = math.isqrt(count - 1) + 1
        self._b = -(-count // self._a)
        self._keys = random.integers(0, 2**64, ROUNDS, np.uint64)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Return the items at ``places``, int64 (n,), each from 0 to below ``count``."""
        found = self._once(np.asarray(places, np.uint64))
        while (beyond := found >= self.count).any():
            found[beyond] = self._once(found[beyond])
        return found.astype(np.int64)

    def _once(self, places: np.ndarray) -> np.ndarray:
        high, low = np.divmod(places, np.uint64(self._a))
        for i, key in enumerate(self._keys):
            if i % 2:
                high = (high + _hash(low ^ key) % np.uint64(self._b)) % np.uint64(self._b)
            else:
                low = (low + _hash(high ^ key) % np.uint64(self._a)) % np.uint64(self._a)
        return np.asarray(high * np.uint64(self._a) + low)


def _hash(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


def some(random: np.random.Generator, count: int, most: int) -> np.ndarray:
    """Return ``most`` of ``range(count)``, or all if there are fewer, in order, int64; ``random`` chooses them."""
    if count <= LARGE:
        return np.sort(random.permutation(count)[:most])
    return np.sort(random.choice(count, most, replace=False))
