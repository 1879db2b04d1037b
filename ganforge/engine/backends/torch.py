"""torch: eager by default, which on a CPU is faster than compiled; Keras's layers as plain torch."""

from __future__ import annotations

import ctypes
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ganforge.engine.backends.torch_forms import FORMS
from ganforge.engine.backends.torch_layers import Lowered, lower
from ganforge.engine.keras_internals import adam_moments, change_of, held, torch_device, write
from ganforge.engine.optimizing import apply, is_plain_adam
from ganforge.engine.team import Team
from ganforge.engine.traits import Traits, call_once
from ganforge.errors import GANForgeError
from ganforge.plugin.types import Batch
from ganforge.processes import place

if TYPE_CHECKING:
    from ganforge.engine.backends.torch_ranks import Ranks

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Adapter:
    """See ``ganforge.engine.adapter``."""

    def __init__(
        self, variables: Sequence[Any], compile: bool | None = None, devices: int = 1, batch_size: int = 1
    ) -> None:
        self.compiles = compile is True
        self._ranks = ranks_of(devices, batch_size)
        self.team: Team = self._ranks or Team()
        self.traces: Counter[str] = Counter()
        self.device = torch.device(torch_device())
        self._gpus = [self.device] if self.device.type == "cuda" else []
        self._random = torch.Generator(self.device)
        self._assigned: list[Any] = []
        self._fused: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._updates: WeakKeyDictionary[Any, tuple[tuple[int, int], int]] = WeakKeyDictionary()
        if self.device.type == "cpu":
            _keep_memory()
        elif self._gpus:
            # The quickest algorithms of convolutions add in any order: no two runs of a seed would be alike.
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False

    def value_and_gradients(
        self, function: Callable[..., Any], variables: Sequence[Any], *inputs: Any
    ) -> tuple[Any, ...]:
        inputs = tuple(x.detach().requires_grad_() for x in inputs)
        with _Assignments(self._assigned) as leaves:
            value, aux = function(*inputs)
        gradients = _gradients(value, [*(leaves(v) for v in variables), *inputs])
        return (value.detach(), aux), gradients[: len(variables)], gradients[len(variables) :]

    def vjp(self, function: Callable[..., Any], variables: Sequence[Any]) -> tuple[Any, ...]:
        with _Assignments(self._assigned) as leaves:
            outputs = function()
        return outputs, lambda cotangents: _gradients(outputs, [leaves(v) for v in variables], cotangents)

    def gradient(self, function: Callable[..., Any], x: Any) -> Any:
        # Of torch's forms of attention, only the written out one has a second derivative.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            if not x.requires_grad:
                x = x.detach().requires_grad_()
            return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]

    def forward(self, model: Any, traits: Traits) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        # What layers add by add_loss is Keras's to gather, over one call of the whole model.
        forms = self._ranks.forms() if self._ranks else FORMS
        whole = Lowered(partial(model, training=True), []) if traits.sums else lower(model, forms)
        if self._ranks:
            self._ranks.prepare(model, whole.known)
        written, run = {id(v) for v in whole.writes}, whole.run
        assigned = [v for v in traits.assigned if keras.backend.is_float_dtype(v.dtype) and id(v) not in written]
        self._assigned += [v for v in assigned if not any(v is other for other in self._assigned)]
        # Compiled code would keep the copies that it was traced with, and neither gathers losses nor asks others.
        asks = self._ranks is not None and self._ranks.asks(model)
        compiles = self.compiles and not assigned and not traits.sums and not asks
        # The network alone, forward and backward: what is around it costs next to nothing, and a penalty's second
        # derivative, which compiled code cannot give, goes through the network as it is.
        return torch.compile(run, dynamic=False) if compiles else run, run

    def apply(
        self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any, **betas: Any
    ) -> None:
        if not self._is_fused(optimizer):
            apply(optimizer, gradients, variables, rate, betas)
            return
        # Keras's Adam, one pass over memory instead of a dozen. Keras adds epsilon to the root of the raw second
        # moment, torch to that of the corrected one; which is Keras's epsilon over the root of the correction.
        momentums, velocities = adam_moments(optimizer, variables)
        step = self._count(optimizer)
        optimizer.learning_rate = rate
        beta_1, beta_2 = (float(betas.get(name, getattr(optimizer, name))) for name in ("beta_1", "beta_2"))
        # On a GPU the rate is read where it lies: to fetch it would be to wait for all that is under way.
        there = bool(self._gpus) and isinstance(rate, torch.Tensor)
        with torch.no_grad():
            torch._fused_adam_(
                [v.value for v in variables],
                [g.contiguous() for g in gradients],  # it reads memory straight through, whatever the strides
                [m.value for m in momentums],
                [v.value for v in velocities],
                [],
                [torch.full((), float(step), device=self.device)] * len(variables),
                lr=rate if there else float(rate),
                beta1=beta_1,
                beta2=beta_2,
                weight_decay=0.0,
                eps=optimizer.epsilon / math.sqrt(1.0 - beta_2**step),
                amsgrad=False,
                maximize=False,
            )
            for variable in variables:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.value))

    def _count(self, optimizer: Any) -> int:
        """Count an update and return its number; it is read from the device only where something else has set it."""
        iterations = optimizer.iterations.value
        now, (known, step) = change_of(iterations), self._updates.get(optimizer, (None, 0))
        if now != known:
            step = int(iterations)
        with torch.no_grad():
            iterations.add_(1)
        self._updates[optimizer] = (change_of(iterations), step + 1)
        return step + 1

    def _is_fused(self, optimizer: Any) -> bool:
        """Say whether the fused form of Adam serves an optimizer; its settings are read once, not in each step."""
        if optimizer not in self._fused:
            self._fused[optimizer] = self.device.type in ("cpu", "cuda") and is_plain_adam(optimizer)
        return self._fused[optimizer]

    def averaged(self, tensors: Sequence[Any]) -> Sequence[Any]:
        return self._ranks.averaged(tensors) if self._ranks else tensors

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        if self._ranks:
            return self._ranks.drawn(lambda whole: self._normal(key, stream, whole, dtype), tuple(shape), stream)
        return self._normal(key, stream, tuple(shape), dtype)

    def uniform(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        if self._ranks:
            return self._ranks.drawn(lambda whole: self._uniform(key, stream, whole, dtype), tuple(shape), stream)
        return self._uniform(key, stream, tuple(shape), dtype)

    def _normal(self, key: Any, stream: int, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
        count = math.prod(shape)
        if self.device.type != "cpu":
            return torch.randn(shape, generator=self._at(key, stream), dtype=_DTYPES[dtype], device=self.device)
        if count < 2**14:
            numbers = np.random.Generator(_bits(*key, stream)).standard_normal(shape, dtype=np.float32)
            return torch.from_numpy(numbers).to(_DTYPES[dtype])
        # Pictures full: the inverse of the normal distribution at 65,536 evenly spread probabilities, looked up by 16
        # random bits each, in a quarter of the time that a generator takes.
        raw = _bits(*key, stream).random_raw(-(-count // 4))
        index = torch.from_numpy(raw.view(np.int16)[:count]).to(torch.int32).add_(2**15)
        return torch.index_select(_normal_quantiles(), 0, index).view(shape).to(_DTYPES[dtype])

    def _uniform(self, key: Any, stream: int, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
        if self.device.type != "cpu":
            return torch.rand(shape, generator=self._at(key, stream), dtype=_DTYPES[dtype], device=self.device)
        numbers = np.random.Generator(_bits(*key, stream)).random(shape, dtype=np.float32)
        return torch.from_numpy(numbers).to(_DTYPES[dtype])

    def _at(self, key: Any, stream: int) -> torch.Generator:
        # The odd multiplier spreads the streams' numbers over all 64 bits.
        seed = (key[0] << 32 | key[1]) ^ (stream * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
        return self._random.manual_seed(seed)

    @contextmanager
    def seeded(self, words: Sequence[int]) -> Iterator[None]:
        """Have torch's global generator, which Keras's dropout draws from, start at these 32-bit words."""
        with torch.random.fork_rng(self._gpus):
            if self.device.type != "cpu":
                torch.manual_seed(words[0] << 32 | words[1])
            torch.set_rng_state(_mersenne_state(*words))
            yield

    def compile(self, update: Callable[..., Any], name: str) -> Callable[..., Any]:
        self.traces[name] += 1

        def on_device(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)

        def run(*arrays: Any) -> Any:
            *given, key = arrays
            # The key stays on the host: torch's generators are seeded from there.
            words = [int(word) for word in key]
            with self.seeded(words), self._ranks.updating() if self._ranks else nullcontext():
                return update(*(a.map(on_device) if isinstance(a, Batch) else on_device(a) for a in given), words)

        return run

    def try_out(self, model: Any) -> Callable[..., tuple[Any, ...]]:
        def call(values: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
            with torch.no_grad(), self.seeded([0, 0]):
                tensors = [torch.from_numpy(x).to(self.device) for x in inputs]
                output, added, assigned = call_once(model, values, tensors)
                return output.cpu().numpy(), [float(loss) for loss in added], assigned

        return call

    def inference(self, model: Any) -> Callable[..., np.ndarray]:
        def generate(*inputs: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                tensors = [torch.from_numpy(x).to(self.device) for x in inputs]
                images = model(tensors if len(tensors) > 1 else tensors[0], training=False)
                pictures: np.ndarray = images.float().cpu().numpy()
            return pictures

        return generate

    def slopes(
        self,
        model: Any,
        judge: Callable[..., Any],
    ) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        def call(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            x, *others = (torch.from_numpy(np.ascontiguousarray(one)).to(self.device) for one in arrays)
            x.requires_grad_()
            with torch.enable_grad():
                values = judge(x, *others)
            (slopes,) = torch.autograd.grad(values.sum(), x)
            return values.detach().cpu().numpy(), slopes.cpu().numpy()

        return call

    def sync_to_keras(self) -> None:
        """Nothing to do: the Keras variables are the state."""

    def sync_from_keras(self) -> None:
        """Nothing to do: the Keras variables are the state."""


def ranks_of(devices: int, batch_size: int) -> Ranks | None:
    """Return the processes that share each batch, met by now; None where one trains alone."""
    if devices == 1:
        return None
    from ganforge.engine.backends.torch_ranks import Ranks, join

    where = place()
    if where.count != devices:
        raise GANForgeError(
            f"{devices} devices need {devices} processes on torch, one for each; this run has {where.count}"
        )
    join(where)
    return Ranks(where, batch_size // devices)


class _Assignments(keras.StatelessScope):
    """Keeps what is assigned to variables apart from what autograd holds on to, and writes it when it is left.

    torch counts it as an error when a tensor that a backward pass needs was written to since. So the variables that
    are known to be assigned to are read from copies here, and an assignment makes another; ``add_update`` adds the
    first copy and takes it away again, so that the gradients at all values are those of the weight. Where no variable
    is assigned to, nothing is done. Entered, it is a function from a variable to what its gradient is taken at.
    """

    def __init__(self, variables: Sequence[Any]) -> None:
        super().__init__(collect_losses=True)
        self.copies = {id(v): (v, v.value.detach().clone().requires_grad_(v.trainable)) for v in variables}
        self.state_mapping = {at: copy for at, (_, copy) in self.copies.items()}

    def __enter__(self) -> Callable[[Any], torch.Tensor]:
        if self.copies:
            super().__enter__()
        return lambda v: self.copies[id(v)][1] if id(v) in self.copies else v.value

    def __exit__(self, *error: Any) -> None:
        if not self.copies:
            return
        super().__exit__(*error)
        for variable, copy in self.copies.values():
            value = self.state_mapping[id(variable)]
            if value is not copy:
                variable.assign(value.detach())

    def add_update(self, update: tuple[Any, Any]) -> None:
        variable, value = update
        if id(variable) not in self.copies:
            write(variable, value)
            return
        _, copy = self.copies[id(variable)]
        value = value.detach().clone()
        if copy.requires_grad:
            value = value + (copy - copy.detach())
        super().add_update((variable, value))

    def get_current_value(self, variable: Any) -> Any:
        return self.state_mapping.get(id(variable), held(variable))


@cache
def _fresh_state() -> np.ndarray:
    """Return what a generator of torch's holds just after it was seeded: 24 bytes of counters, then 624 words."""
    return torch.Generator().manual_seed(0).get_state().numpy()


def _mersenne_state(*words: int) -> torch.Tensor:
    """Return the state of torch's generator on a CPU that belongs to any number of 32-bit words."""
    state = _fresh_state().copy()
    state[24 : 24 + 8 * 624].view(np.uint64)[:] = _bits(*words).random_raw(312).view(np.uint32)
    return torch.from_numpy(state)


def _bits(*words: int) -> np.random.SFC64:
    """Return random bits of these 32-bit words.

    NumPy's, since torch's ``manual_seed`` looks at 32 bits alone: of 100,000 draws, two would be alike.
    """
    return np.random.SFC64(np.random.SeedSequence(words))


@cache
def _normal_quantiles() -> torch.Tensor:
    """Return the standard normal's quantiles at (i + 1/2) / 65536, float32 (65536,), from -4.3 to 4.3."""
    quantiles: torch.Tensor = torch.special.ndtri((torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16)
    return quantiles.float()


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


def _gradients(value: Any, tensors: Sequence[Any], cotangents: Any = None) -> list[Any]:
    return list(torch.autograd.grad(value, tensors, cotangents, allow_unused=True, materialize_grads=True))
