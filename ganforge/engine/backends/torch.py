"""torch: eager by default, which on a CPU is faster than compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from keras.src.backend.torch.core import get_device

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Adapter:
    """See ``ganforge.engine.backends``."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self.traces: Counter[str] = Counter()
        self.device = torch.device(get_device())
        self._gpus = [self.device] if self.device.type == "cuda" else []
        self._random = torch.Generator(self.device)

    def value_and_gradients(self, function: Callable, variables: Sequence[Any]) -> tuple:
        value, aux = function()
        return (value.detach(), aux), _gradients(value, variables)

    def value_and_gradient_at(self, function: Callable, x: Any) -> tuple:
        x = x.detach().requires_grad_()
        value, aux = function(x)
        return (value.detach(), aux), torch.autograd.grad(value, x)[0]

    def pullback(self, function: Callable, variables: Sequence[Any]) -> tuple:
        output = function()
        return output, lambda cotangent: _gradients(output, variables, cotangent)

    def gradient(self, function: Callable, x: Any) -> Any:
        with torch.enable_grad():
            if not x.requires_grad:
                x = x.detach().requires_grad_()
            return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return torch.randn(tuple(shape), generator=self._at(key, stream), dtype=_DTYPES[dtype], device=self.device)

    def uniform(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return torch.rand(tuple(shape), generator=self._at(key, stream), dtype=_DTYPES[dtype], device=self.device)

    def _at(self, key: Any, stream: int) -> torch.Generator:
        # The odd multiplier spreads the streams' numbers over all 64 bits.
        seed = (key[0] << 32 | key[1]) ^ (stream * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
        return self._random.manual_seed(seed)

    def compile(self, update: Callable, name: str) -> Callable:
        self.traces[name] += 1

        def run(*arrays: np.ndarray) -> Any:
            *tensors, key = arrays
            # The key stays on the host: torch's generators are seeded from there.
            words = [int(word) for word in key]
            # Keras's dropout draws from torch's global generator, so that is seeded by the step as well.
            with torch.random.fork_rng(self._gpus):
                torch.manual_seed(words[0] << 32 | words[1])
                return update(*(torch.from_numpy(a).to(self.device) for a in tensors), words)

        return run

    def inference(self, model: Any) -> Callable[[np.ndarray], np.ndarray]:
        def generate(latents: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                images = model(torch.from_numpy(latents).to(self.device), training=False)
                return images.float().cpu().numpy()

        return generate

    def push_state(self) -> None:
        """Nothing to do: the Keras variables are the state."""

    def pull_state(self) -> None:
        """Nothing to do: the Keras variables are the state."""


def _gradients(value: Any, variables: Sequence[Any], cotangent: Any = None) -> list[Any]:
    return list(
        torch.autograd.grad(value, [v.value for v in variables], cotangent, allow_unused=True, materialize_grads=True)
    )
