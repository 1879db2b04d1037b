"""torch on several devices: a process for each, started by torchrun, that reckon as one does with the whole batch.

Each has its rows of the batch. Then the mean of all gradients is the gradient of the mean, as long as three things
hold, which are seen to here: random numbers are those of the whole batch, batch statistics too, and nothing else
depends on the pictures beside (``ganforge.engine.agreement`` measures that).

torch's ``DistributedDataParallel`` is not used: it hooks on ``backward()``, and what ``autograd.grad`` takes of a
penalty's second derivative passes it by.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from keras import layers
from torch.distributed.rendezvous import rendezvous

from ganforge.engine.backends.torch_forms import FORMS, Fast, Shape, identity
from ganforge.engine.keras_internals import all_layers, replace_moments
from ganforge.engine.team import Team
from ganforge.errors import GANForgeError, PeerLost, UsageError
from ganforge.processes import Place, hear, place

_T = TypeVar("_T")
_store: Any = None


def join(where: Place) -> None:
    """Meet the other processes, once; each takes its own GPU, where there are any.

    Raises:
        UsageError: this machine has fewer GPUs than processes.
        PeerLost: the others did not come.
    """
    global _store
    if dist.is_initialized():
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        if where.local >= gpus:
            raise UsageError(
                f"process {where.local + 1} of this machine has no GPU of its own: there is only {gpus}; expected "
                f"--devices {gpus}, or CUDA_VISIBLE_DEVICES= to use the processor"
            )
        torch.cuda.set_device(where.local)
    with _together():
        _store, rank, count = next(rendezvous("env://"))
        # Decisions are taken on the hosts, which need not wait for their devices.
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", store=_store, rank=rank, world_size=count)
    atexit.register(_leave)
    if not where.first:
        hear(lambda why: _tell(where.rank, why))


def _leave() -> None:
    with suppress(Exception):  # the others may be gone
        dist.destroy_process_group()


def _tell(rank: int, why: str) -> None:
    with suppress(Exception):
        _store.set(f"ganforge/ended/{rank}", why)


def _lost(count: int) -> PeerLost:
    """Return what to say where another process is gone."""
    for rank in range(count):
        with suppress(Exception):
            key = f"ganforge/ended/{rank}"
            if _store.check([key]):
                return PeerLost(f"device {rank + 1} of {count} failed: {_store.get(key).decode()}")
    return PeerLost(f"the process of another of the {count} devices has ended or cannot be reached")


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch raises where a process no longer answers
        raise _lost(place().count) from error


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes. Its gradient is the sum of theirs, and that again differentiable."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        total = x.detach().clone(memory_format=torch.contiguous_format)
        with _together():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return _summed(gradients[0])


def _summed(x: torch.Tensor) -> torch.Tensor:
    apply: Any = _Sum.apply
    total: torch.Tensor = apply(x)
    return total


class Ranks(Team):
    """The processes that share each batch.

    Args:
        rows: of a batch, those that each process has.

    Attributes:
        on: whether an update is being made; what is done between updates, each process does for itself.
    """

    def __init__(self, where: Place, rows: int) -> None:
        self.rank, self.count, self.rows, self.on, self._alone = where.rank, where.count, rows, False, False
        # Of each stream of random numbers, how many times the rows of a batch it had in whole batches of some sizes.
        self._times: dict[int, set[float]] = {}

    @property
    def parts(self) -> int:
        return self.count if self.on else 1

    @contextmanager
    def updating(self) -> Iterator[None]:
        """Have random numbers and batch statistics be those of the whole batch."""
        self.on = not self._alone
        try:
            yield
        finally:
            self.on = False

    @contextmanager
    def trial(self, rows: int, alone: bool) -> Iterator[None]:
        before = self.rows, self._alone
        self.rows, self._alone = rows, alone
        try:
            yield
        finally:
            self.rows, self._alone = before

    # ------------------------------------------------------------------ tensors

    def averaged(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the means of tensors over the processes, alike on all of them to the bit."""
        if not (self.on and tensors):
            return list(tensors)
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        with _together():
            dist.all_reduce(flat)
        parts = torch.split(flat / self.count, [tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors)]

    def drawn(
        self, draw: Callable[[tuple[int, ...]], torch.Tensor], shape: Sequence[int], stream: int | None = None
    ) -> torch.Tensor:
        """Return random numbers of a shape: of a batch's rows this process's own, of all else the same for all."""
        if self._alone and stream is not None:
            self._times.setdefault(stream, set()).add(shape[0] / self.rows if len(shape) else 0.0)
        times = self._batches(shape, stream) if self.on and len(shape) else 0
        if not times:
            return draw(tuple(shape))
        return self._own(draw((times * self.count * self.rows, *shape[1:])), times)

    def _batches(self, shape: Sequence[int], stream: int | None) -> int:
        """Return how many batches' rows a shape has one after the other, such as 2 for real and fake; 0 for none.

        What a stream's shapes were in a trial tells, since any size may happen to be that of a batch.
        """
        seen = self._times.get(stream, set()) if stream is not None else set()
        if len(seen) > 1:
            return 0  # the same in batches of different sizes
        times = int(shape[0]) / self.rows
        expected = seen or {1.0, 2.0}
        return int(times) if times in expected and times.is_integer() else 0

    def _own(self, whole: torch.Tensor, times: int) -> torch.Tensor:
        rest = whole.shape[1:]
        rows = whole.view(times, self.count, self.rows, *rest)[:, self.rank]
        return rows[0] if times == 1 else rows.reshape(times * self.rows, *rest)

    def moments(self, x: torch.Tensor, axes: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the variance of the whole batch over ``axes``, differentiable as often as need be."""
        variance, mean = torch.var_mean(x, tuple(axes), correction=0)
        own = torch.stack([mean, variance])
        nothing = torch.zeros_like(own)
        every = _summed(torch.stack([own if rank == self.rank else nothing for rank in range(self.count)]))
        means, variances = every[:, 0], every[:, 1]
        mean = means.mean(0)
        # Of parts of one size: the mean of the variances, and the variance of the means.
        return mean, (variances + (means - mean).square()).mean(0)

    # ------------------------------------------------------------------ layers

    def forms(self) -> dict[type, Callable[[Any, Shape, Shape], Fast | None]]:
        """Return how layers run that look at the whole batch, or draw for it; see ``torch_forms``."""
        own = {layers.BatchNormalization: partial(_batch_norm, self), layers.Dropout: partial(_dropout, self)}
        return {**FORMS, **own}

    def asks(self, model: Any) -> bool:
        """Say whether calling a model takes the other processes, or their random numbers."""
        return any(isinstance(layer, (layers.BatchNormalization, layers.Dropout)) for layer in all_layers(model))

    def prepare(self, model: Any, known: Sequence[Any]) -> None:
        """Have all batch normalization of a model look at the whole batch.

        Raises:
            UsageError: one of its layers draws random numbers of its own, which nobody can draw for the whole batch.
                ``known`` are those that ``forms`` serve.
        """
        for layer in all_layers(model):
            if isinstance(layer, layers.BatchNormalization):
                replace_moments(layer, self._of_layer)
            elif getattr(layer, "seed_generator", None) is not None and not any(layer is one for one in known):
                raise UsageError(
                    f"--devices {self.count} does not apply: the layer {layer.name} ({type(layer).__name__}) of "
                    f"{model.name} draws random numbers of its own, which would differ from those on one device; "
                    "expected --backend jax, a plain Dropout without a seed, or one device"
                )

    def _of_layer(self, x: Any, axes: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor] | None:
        return self.moments(x, axes) if self.on else None

    # ------------------------------------------------------------------ decisions

    def any(self, *flags: bool) -> tuple[bool, ...]:
        raised = torch.tensor([int(flag) for flag in flags], dtype=torch.int32)
        with _together():
            dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(bool(one) for one in raised.tolist())

    def shared(self, value: _T) -> _T:
        text = json.dumps(value).encode() if self.rank == 0 else b""
        size = torch.tensor([len(text)], dtype=torch.int64)
        with _together():
            dist.broadcast(size, 0)
            letters = torch.zeros(int(size), dtype=torch.uint8)
            if text:
                letters = torch.frombuffer(bytearray(text), dtype=torch.uint8)
            dist.broadcast(letters, 0)
        first: _T = json.loads(bytes(letters.tolist()))
        return first

    def require_equal(self, sums: Mapping[str, int], what: str) -> None:
        values = torch.tensor(list(sums.values()), dtype=torch.int64)
        least = torch.cat([values, -values])
        with _together():
            dist.all_reduce(least, dist.ReduceOp.MIN)
        count = len(values)
        for name, low, high in zip(sums, least[:count].tolist(), (-least[count:]).tolist()):
            if low != high:
                raise GANForgeError(f"the {self.count} devices have {what}: {name} differs")

    def give(self, variables: Any) -> None:
        with _together(), torch.no_grad():
            for variable in variables:
                value = variable.value.detach().clone(memory_format=torch.contiguous_format)
                dist.broadcast(value, 0)
                variable.assign(value)


# ------------------------------------------------------------------ forms


def _batch_norm(ranks: Ranks, layer: Any, given: Shape, gives: Shape) -> Fast | None:
    alone = FORMS[layers.BatchNormalization](layer, given, gives)
    if alone is None:
        return None
    keep, axes, dtype = 1.0 - layer.momentum, tuple(range(len(given) - 1)), getattr(torch, layer.compute_dtype)

    def call(x: torch.Tensor, then: Fast = identity) -> torch.Tensor:
        if not ranks.on:
            return alone(x, then)
        x = x.float()
        mean, variance = ranks.moments(x, axes)
        with torch.no_grad():
            layer.moving_mean.value.lerp_(mean, keep)
            layer.moving_variance.value.lerp_(variance, keep)
        scale = torch.rsqrt(variance + layer.epsilon)
        y = (x - mean) * (scale * layer.gamma.value if layer.scale else scale)
        if layer.center:
            y = y + layer.beta.value
        return then(y.to(dtype))

    return call


def _dropout(ranks: Ranks, layer: Any, given: Shape, gives: Shape) -> Fast | None:
    alone = FORMS[layers.Dropout](layer, given, gives)
    if alone is None:
        return None
    dtype, rate = getattr(torch, layer.compute_dtype), layer.rate

    def call(x: torch.Tensor) -> torch.Tensor:
        if not ranks.on:
            return alone(x)
        x = x.to(dtype)

        def kept(shape: tuple[int, ...]) -> torch.Tensor:
            # Laid out as one process's pictures would be, since numbers are drawn in the order of memory.
            ones = torch.empty_strided(shape, x.stride(), dtype=dtype, device=x.device).fill_(1.0)
            return torch.nn.functional.dropout(ones, rate, training=True)

        return x * ranks.drawn(kept, x.shape)

    return call
