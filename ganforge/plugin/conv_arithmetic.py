"""The arithmetic of convolutions and transposed convolutions: sizes of feature maps, and stacks that end at one."""

from __future__ import annotations

from dataclasses import dataclass

from ganforge.errors import UsageError


def conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return a convolution's output size, floor((n_in + 2p - k) / s) + 1 (Dumoulin & Visin 2016, relationship 6)."""
    return (size + 2 * padding - kernel) // stride + 1


def transposed_conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return a transposed convolution's output size, (n_in - 1) s - 2p + k, the inverse of ``conv_size``."""
    return (size - 1) * stride - 2 * padding + kernel


@dataclass(frozen=True)
class UpsamplingPlan:
    """How a stack of transposed convolutions reaches an image size: the first map's side, then each layer's."""

    start: int
    strides: tuple[int, ...]
    kernel: int
    padding: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of every feature map in pixels, from the first to the image."""
        sizes = [self.start]
        for stride in self.strides:
            # Stride 1 keeps the size with a 3x3 kernel and padding 1; stride 2 uses the plan's kernel.
            kernel, padding = (self.kernel, self.padding) if stride > 1 else (3, 1)
            sizes.append(transposed_conv_size(sizes[-1], kernel, stride, padding))
        return tuple(sizes)


def plan_upsampling(image_size: int, layers: int, kernel: int = 4, stride: int = 2) -> UpsamplingPlan:
    """Plan ``layers`` transposed convolutions that end at ``image_size`` pixels exactly.

    With p = (k - s) / 2 the formula n_out = (n_in - 1) s - 2p + k becomes n_out = s n_in, so the first map's side is
    image_size / stride ** layers, which must be a whole number of at least 2. The kernel must be divisible by the
    stride, or the overlap is uneven and draws checkerboards (Odena et al. 2016), and k - s must be even.

    Raises:
        UsageError: the size cannot be reached; the message names the depths or sizes that can.
    """
    if layers < 1:
        raise UsageError(f"layers={layers} will not do; expected at least 1 transposed convolution")
    if kernel % stride or (kernel - stride) % 2:
        raise UsageError(
            f"kernel={kernel} with stride {stride} will not do; expected a multiple of the stride with an even "
            f"difference, such as {2 * stride}, so that pictures have no checkerboard"
        )
    start, rest = divmod(image_size, stride**layers)
    if rest or start < 2:
        reachable = [n for n in range(1, 12) if image_size % stride**n == 0 and image_size // stride**n >= 2]
        unit = stride**layers
        nearest = max(2 * unit, round(image_size / unit) * unit)
        depths = f"layers={reachable[0]} to {reachable[-1]} can" if len(reachable) > 1 else "layers=1 can"
        hint = f"{depths}; or " if reachable else ""
        raise UsageError(
            f"{layers} transposed convolutions of stride {stride} cannot end at {image_size} pixels; "
            f"{hint}use --image-size {nearest}"
        )
    return UpsamplingPlan(start, (stride,) * layers, kernel, (kernel - stride) // 2)
