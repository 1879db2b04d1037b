"""The arithmetic of convolutions and transposed convolutions: sizes of feature maps, and stacks that end at one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ganforge.errors import UsageError
from ganforge.plugin.sizes import Size, nearest_size, sides, size_of, written_size

Map = TypeVar("Map", int, tuple[int, int])


def conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return a convolution's output size, floor((n_in + 2p - k) / s) + 1 (Dumoulin & Visin 2016, relationship 6)."""
    return (size + 2 * padding - kernel) // stride + 1


def transposed_conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return a transposed convolution's output size, (n_in - 1) s - 2p + k, the inverse of ``conv_size``."""
    return (size - 1) * stride - 2 * padding + kernel


@dataclass(frozen=True)
class UpsamplingPlan(Generic[Map]):
    """How a stack of transposed convolutions reaches an image size: the first map's size, then each layer's.

    Sizes are sides, or (height, width), as the image's was given.
    """

    start: Map
    strides: tuple[int, ...]
    kernel: int
    padding: int

    @property
    def sizes(self) -> tuple[Map, ...]:
        """The size of every feature map in pixels, from the first to the image."""
        sizes = [self.start]
        for stride in self.strides:
            # Stride 1 keeps the size with a 3x3 kernel and padding 1; stride 2 uses the plan's kernel.
            kernel, padding = (self.kernel, self.padding) if stride > 1 else (3, 1)
            layer = partial(transposed_conv_size, kernel=kernel, stride=stride, padding=padding)
            sizes.append(_each(sizes[-1], layer))
        return tuple(sizes)


def plan_upsampling(image_size: Map, layers: int, kernel: int = 4, stride: int = 2) -> UpsamplingPlan[Map]:
    """Plan ``layers`` transposed convolutions that end exactly at ``image_size`` pixels, a side or (height, width).

    With p = (k - s) / 2, the formula n_out = (n_in - 1) s - 2p + k becomes n_out = s n_in. So each side of the first
    map is that of the image divided by stride ** layers, and must be a whole number of at least 2. The kernel must be
    divisible by the stride, or the overlap is uneven and draws checkerboards (Odena et al. 2016), and k - s must be
    even.

    Raises:
        UsageError: the size cannot be reached; the message names the depths or sizes that can.
    """
    if layers < 1:
        raise UsageError(f"invalid layers={layers}: expected at least 1 transposed convolution")
    if kernel % stride or (kernel - stride) % 2:
        raise UsageError(
            f"invalid kernel={kernel} with stride {stride}: expected a multiple of the stride with an even "
            f"difference, such as {2 * stride}, so that pictures have no checkerboard"
        )

    both, unit = sides(image_size), stride**layers

    def reached(unit: int) -> bool:
        return all(side % unit == 0 and side // unit >= 2 for side in both)

    if not reached(unit):
        reachable = [n for n in range(1, 12) if reached(stride**n)]
        height, width = (max(2 * unit, round(side / unit) * unit) for side in both)
        depths = f"layers={reachable[0]} to {reachable[-1]} can" if len(reachable) > 1 else "layers=1 can"
        hint = f"{depths}; or " if reachable else ""
        raise UsageError(
            f"{layers} transposed convolution{'s' * (layers > 1)} of stride {stride} cannot end at "
            f"{_pixels(image_size)}; "
            f"{hint}use --image-size {written_size(size_of(height, width))}"
        )
    return UpsamplingPlan(
        _each(image_size, lambda side: side // unit), (stride,) * layers, kernel, (kernel - stride) // 2
    )


def halvings(image_size: Size, smallest: int = 4, times: int | None = None) -> tuple[tuple[int, int], ...]:
    """Return the sizes (height, width) of feature maps, from the image's own on, each half as large as the last.

    ``image_size`` is a side or (height, width) in pixels. Halving ends when a side is odd, when half a side would be
    below ``smallest`` pixels, or after ``times`` halvings. For (48, 32), the sizes are (48, 32), (24, 16), (12, 8)
    and (6, 4).
    """
    sizes = [sides(image_size)]
    while len(sizes) - 1 != times and all(side % 2 == 0 and side >= 2 * smallest for side in sizes[-1]):
        height, width = sizes[-1]
        sizes.append((height // 2, width // 2))
    return tuple(sizes)


def refused_size(
    what: str, image_size: Size, fits: Callable[[tuple[int, int]], bool], options: str = ""
) -> UsageError:
    """Return an error to raise for a size that ``what`` cannot make; it suggests the nearest size that ``fits``.

    ``fits`` is called with (height, width). ``options`` names the chosen options that cause it, such as ``blocks=4``.
    """
    near = nearest_size(image_size, fits)
    way_out = "expected sides of more similar length" if near is None else f"use --image-size {written_size(near)}"
    chosen = f" with {options}" if options else ""
    return UsageError(f"{what} cannot end at {_pixels(image_size)}{chosen}; {way_out}")


def _each(size: Map, function: Callable[[int], int]) -> Map:
    if isinstance(size, tuple):
        height, width = size
        return (function(height), function(width))
    return function(size)


def _pixels(size: Size) -> str:
    """Return ``64 pixels`` or ``128x64 pixels``."""
    return f"{written_size(size_of(*sides(size)))} pixels"
