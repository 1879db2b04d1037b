"""Batches of real images: those of a step are a function of (seed, step) alone."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

import numpy as np

from ganforge.data.order import LARGE, Shuffled
from ganforge.data.shards import AROUND_BYTES, RESIDENT_BYTES, Shards, let_go
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.types import Batch

_EPOCH_STREAM, _EXTRA_STREAM = 1, 2


class Batches:
    """Shuffled batches of ``array``, uint8 (N, H, W, C), with each image at most once per epoch.

    With ``labels``, int32 (N,), every batch also has its images' labels.

    Nothing is remembered between calls, so a resumed run sees the same batches as one that never stopped. The last
    ``N % batch_size`` images of an epoch's order are not used; the next epoch has a different order.
    ``steps_per_epoch`` is given if a run continues with other images than it began with: an epoch keeps its number of
    steps, and starts its order again if it runs out. For more than ``LARGE`` pictures, an epoch's order is computed
    for each place and takes no memory; ``kept_order`` overrides that, for runs that began with older versions
    (``ganforge.data.order``). Raises ``GANForgeError`` if ``batch_size`` is larger than N, ``UsageError`` if it or
    ``prefetch`` is below 1.
    """

    def __init__(
        self,
        array: np.ndarray,
        batch_size: int,
        seed: int,
        prefetch: int = 4,
        steps_per_epoch: int | None = None,
        labels: np.ndarray | None = None,
        kept_order: bool | None = None,
    ) -> None:
        count = len(array)
        if batch_size < 1 or prefetch < 1:
            name, value = ("batch size", batch_size) if batch_size < 1 else ("prefetch", prefetch)
            raise UsageError(f"invalid {name} {value}: expected at least 1")
        if count < batch_size:
            way_out = f"use --batch-size {count} or smaller"
            raise GANForgeError(f"batch size {batch_size} is larger than the number of pictures, {count}; {way_out}")
        # A plain view: indexing a memmap would hand out memmaps.
        self._array = array if isinstance(array, Shards) else np.asarray(array)
        self._mapped = array
        self._resident = 0
        self._labels = labels
        self._rows = slice(None)
        self._prefetch = prefetch
        self.kept_order = count <= LARGE if kept_order is None else kept_order
        self._order: tuple[int, np.ndarray | Shuffled] = (-1, np.empty(0, np.int64))
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = steps_per_epoch or count // batch_size

    def part(self, number: int, count: int) -> Batches:
        """Reduce every batch to one of its ``count`` parts of equal size."""
        rows = self.batch_size // count
        self._rows = slice(number * rows, (number + 1) * rows)
        return self

    def indices(self, step: int) -> np.ndarray:
        """Return the images of ``step`` (from 0), int64 (batch_size,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        place %= len(self._array) // self.batch_size
        # Read and replaced as one tuple: the prefetch thread asks too.
        known, order = self._order
        if known != epoch:
            random, count = self._random(_EPOCH_STREAM, epoch), len(self._array)
            order = random.permutation(count) if self.kept_order else Shuffled(count, random)
            self._order = (epoch, order)
        start, stop = place * self.batch_size, (place + 1) * self.batch_size
        return order(np.arange(start, stop)) if isinstance(order, Shuffled) else order[start:stop]

    def batch(self, step: int) -> Batch:
        """Return the batch of ``step`` (from 0), its images uint8 (batch_size, H, W, C), contiguous."""
        return self._take(self.indices(step))

    def extra(self, step: int, k: int) -> Batch:
        """Return the ``k``-th extra batch of ``step``, for further discriminator updates; shape as ``batch``.

        It is drawn from all images without repetition, independently of the epoch's order.
        """
        chosen = self._random(_EXTRA_STREAM, step, k).choice(len(self._array), self.batch_size, replace=False)
        return self._take(chosen)

    def _take(self, indices: np.ndarray) -> Batch:
        indices = indices[self._rows]
        labels = None if self._labels is None else self._labels[indices].astype(np.int32)
        if isinstance(self._array, Shards):
            return Batch(self._array.take(indices), labels)
        images = np.take(self._array, indices, axis=0)
        self._resident += images.nbytes + len(images) * AROUND_BYTES
        if self._resident > RESIDENT_BYTES:
            let_go(self._mapped)  # so memory does not grow with the data
            self._resident = 0
        return Batch(images, labels)

    def iterate(self, start_step: int, stop_step: int) -> Iterator[tuple[int, Batch]]:
        """Yield (step, batch) from ``start_step`` up to, but not including, ``stop_step``; a thread works ahead.

        An exception in the thread is raised here. Closing the generator ends the thread.
        """
        ready: queue.Queue[tuple[int, Batch] | BaseException | None] = queue.Queue(self._prefetch)
        stop = threading.Event()

        def work() -> None:
            try:
                for step in range(start_step, stop_step):
                    if stop.is_set():
                        return
                    ready.put((step, self.batch(step)))
                ready.put(None)
            except BaseException as error:  # whatever it is, it belongs to the consumer
                ready.put(error)

        thread = threading.Thread(target=work, name="ganforge-batches", daemon=True)
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            while thread.is_alive():
                # The thread may be waiting for room; after that it sees `stop`.
                with contextlib.suppress(queue.Empty):
                    ready.get_nowait()
                thread.join(0.005)

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, *stream])))
