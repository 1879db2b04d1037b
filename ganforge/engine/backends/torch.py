"""torch: eager by default, which on a CPU is faster than compiled; Keras's layers as plain torch."""

from __future__ import annotations

import ctypes
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import torch
from keras.src.backend.torch.core import get_device

from ganforge.engine.backends.torch_layers import lower

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Adapter:
    """See ``ganforge.engine.backends``."""

    def __init__(self, variables: Sequence[Any], compile: bool | None = None) -> None:
        self.compiles = compile is True
        self.traces: Counter[str] = Counter()
        self.device = torch.device(get_device())
        self._gpus = [self.device] if self.device.type == "cuda" else []
        self._random = torch.Generator(self.device)
        if self.device.type == "cpu":
            _keep_memory()

    def value_and_gradients(self, function: Callable, variables: Sequence[Any], *inputs: Any) -> tuple:
        inputs = tuple(x.detach().requires_grad_() for x in inputs)
        value, aux = function(*inputs)
        gradients = _gradients(value, [*(v.value for v in variables), *inputs])
        return (value.detach(), aux), gradients[: len(variables)], gradients[len(variables) :]

    def pullback(self, function: Callable, variables: Sequence[Any]) -> tuple:
        output = function()
        return output, lambda cotangent: _gradients(output, [v.value for v in variables], cotangent)

    def gradient(self, function: Callable, x: Any) -> Any:
        with torch.enable_grad():
            if not x.requires_grad:
                x = x.detach().requires_grad_()
            return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]

    def forward(self, model: Any, differentiable_twice: bool = False) -> Callable[[Any], Any]:
        run = lower(model)
        # The network alone, forward and backward: what is around it costs next to nothing, and a penalty's second
        # derivative, which compiled code cannot give, goes through the network as it is.
        return torch.compile(run, dynamic=False) if self.compiles and not differentiable_twice else run

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        if self.device.type != "cpu":
            optimizer.learning_rate = rate
            optimizer.apply(gradients, variables)
            return
        # Keras's Adam, one pass over memory instead of a dozen. Keras adds epsilon to the root of the raw second
        # moment, torch to that of the corrected one; which is Keras's epsilon over the root of the correction.
        index = [optimizer._get_variable_index(v) for v in variables]
        optimizer.iterations.value.add_(1)
        optimizer.learning_rate = rate
        step = int(optimizer.iterations.value)
        with torch.no_grad():
            torch._fused_adam_(
                [v.value for v in variables],
                [g.contiguous() for g in gradients],  # it reads memory straight through, whatever the strides
                [optimizer._momentums[i].value for i in index],
                [optimizer._velocities[i].value for i in index],
                [],
                [torch.tensor(float(step))] * len(variables),
                lr=float(rate),
                beta1=optimizer.beta_1,
                beta2=optimizer.beta_2,
                weight_decay=0.0,
                eps=optimizer.epsilon / math.sqrt(1.0 - optimizer.beta_2**step),
                amsgrad=False,
                maximize=False,
            )

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        shape = tuple(shape)
        count = math.prod(shape)
        if self.device.type == "cpu" and count >= 2**14:
            # Pictures full: the inverse of the normal distribution at 65,536 evenly spread probabilities, looked
            # up by 16 random bits each, in a quarter of the time that torch's generator takes.
            bits = np.random.SFC64(np.random.SeedSequence([*key, stream])).random_raw(-(-count // 4))
            index = torch.from_numpy(bits.view(np.int16)[:count]).to(torch.int32).add_(2**15)
            return torch.index_select(_normal_quantiles(), 0, index).view(shape).to(_DTYPES[dtype])
        return torch.randn(shape, generator=self._at(key, stream), dtype=_DTYPES[dtype], device=self.device)

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

    def inference(self, model: Any) -> Callable[..., np.ndarray]:
        def generate(*inputs: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                tensors = [torch.from_numpy(x).to(self.device) for x in inputs]
                images = model(tensors if len(tensors) > 1 else tensors[0], training=False)
                return images.float().cpu().numpy()

        return generate

    def push_state(self) -> None:
        """Nothing to do: the Keras variables are the state."""

    def pull_state(self) -> None:
        """Nothing to do: the Keras variables are the state."""


@cache
def _normal_quantiles() -> torch.Tensor:
    """Return the standard normal's quantiles at (i + 1/2) / 65536, float32 (65536,), from -4.3 to 4.3."""
    return torch.special.ndtri((torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16).float()


@cache
def _keep_memory() -> None:
    """Have the C library keep what is freed for the next step instead of giving it back to the system.

    A step asks for the same few hundred megabytes again and again; handing them out page by page each time costs a
    tenth of it. Where the library has no such switch nothing happens.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 64 * 2**20)


def _gradients(value: Any, tensors: Sequence[Any], cotangent: Any = None) -> list[Any]:
    return list(torch.autograd.grad(value, tensors, cotangent, allow_unused=True, materialize_grads=True))
