"""Stateless randomness: every number is a pure function of (seed, stream, step)."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

# Of the way numbers are drawn; run.json keeps it. 1, of GANForge 0.1, had 32 bits for a draw on torch's CPU.
DRAWS = 2


def step_key(seed: int, step: int, update: int) -> np.ndarray:
    """Return the key of one update: two uint32 words that depend on the seed, the step and which update it is."""
    return np.random.SeedSequence([seed, step, update]).generate_state(2)


def fixed_latents(count: int, latent_dim: int, seed: int, stream: str = "snapshots") -> np.ndarray:
    """Return (count, latent_dim) float32 standard-normal latents, the same on every backend."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(stream.encode())])))
    return generator.standard_normal((count, latent_dim), dtype=np.float32)


class Random:
    """The random numbers for traced hooks (see ``ganforge.plugin.types.Random``); each call has its own stream."""

    def __init__(self, adapter: Any, key: Any, stream: str) -> None:
        self._adapter, self._key, self._stream, self._calls = adapter, key, stream, 0

    def _next(self) -> int:
        self._calls += 1
        return zlib.crc32(f"{self._stream}/{self._calls}".encode())

    def normal(self, shape: Any, dtype: str = "float32") -> Any:
        return self._adapter.normal(self._key, self._next(), shape, dtype)

    def uniform(self, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: str = "float32") -> Any:
        return minval + (maxval - minval) * self._adapter.uniform(self._key, self._next(), shape, dtype)

    def bernoulli(self, shape: Any, probability: Any, dtype: str = "float32") -> Any:
        from keras import ops  # here, since latents are drawn before a backend is chosen

        return ops.cast(self._adapter.uniform(self._key, self._next(), shape, "float32") < probability, dtype)
