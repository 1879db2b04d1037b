"""The one door to the discriminator: every image passes it, real or fake, in either network's update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops

from ganforge.engine.context import Context
from ganforge.engine.player import Player
from ganforge.engine.verdict import Verdict
from ganforge.errors import GANForgeError

Hooks = Sequence[tuple[str, Mapping[str, Callable[..., Any]]]]
Metrics = dict[str, Any]


class Door:
    """The discriminator's images, target labels and verdicts, with the strategies' hooks around them.

    Args:
        hooks: those of each strategy by name, in the order in which they compose.
        apart: whether real and fake are judged separately, because a verdict depends on the rest of the batch.
    """

    def __init__(self, discriminator: Player, hooks: Hooks, apart: bool) -> None:
        self.discriminator, self.hooks, self.apart = discriminator, hooks, apart

    def transform_images(
        self, images: Any, real: bool, context: Context, stream: str, measured: Metrics | None = None
    ) -> Any:
        """Return what the discriminator sees instead of ``images``; measurements by hooks go into ``measured``."""
        return self._transformed("images", images, real, context, f"{stream}/{real}", measured)

    def discriminate(
        self, images: Any, real: bool, context: Context, stream: str, measured: Metrics | None = None
    ) -> Verdict:
        """Return the verdict on images."""
        return self._judge(self.transform_images(images, real, context, stream, measured), context)

    def discriminate_both(
        self, real: Any, fakes: Any, context: Context, measured: Metrics
    ) -> tuple[Verdict, Verdict, Metrics]:
        """Return the verdicts on both and the discriminator's own losses, if it has any.

        Both are judged as one batch, which is cheaper, unless a verdict depends on the rest of its batch.
        """
        own = self.discriminator.losses
        real = self.transform_images(real, True, context, "discriminator", measured)
        fakes = self.transform_images(fakes, False, context, "discriminator", measured)
        if self.apart:
            of_real, added = self._judge(real, context), own.of_call()
            of_fakes, more = self._judge(fakes, context), own.of_call()
            calls = [added, more]
        else:
            both, count = self._judge(ops.concatenate([real, fakes], axis=0), context), real.shape[0]
            of_real, of_fakes, calls = both.rows(0, count), both.rows(count, 2 * count), [own.of_call()]
        return of_real, of_fakes, {"discriminator/losses": own.total(*calls)} if own else {}

    def labels(self, real: bool, count: int, context: Context, measured: Metrics | None = None) -> Any:
        """Return the target labels, (count, 1): 1 for real and 0 for fake, as the strategies change them."""
        labels = ops.ones((count, 1), "float32") if real else ops.zeros((count, 1), "float32")
        return self._transformed("labels", labels, real, context, f"{real}", measured)

    def _transformed(
        self, what: str, value: Any, real: bool, context: Context, stream: str, measured: Metrics | None
    ) -> Any:
        """Return images or labels after the strategies' hooks for them, called in turn."""
        hook = f"discriminator_{what}"
        for name, hooks in self.hooks:
            if transform := hooks.get(hook):
                given = context.given(name, f"{name}/{what}/{stream}")
                value = result_of(name, hook, transform(**{what: value}, real=real, **given), measured)
        return value

    def for_penalties(
        self, context: Context, stream: str, real: bool
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return ``discriminator(images, real=…) -> logits (B, K)`` and ``gradient(f, x)``, both differentiable.

        ``real`` says how images are treated unless a call says otherwise. The gradient is that of a sum over the
        rows; if ``f`` returns this discriminator's logits, of their mean over K.
        """
        widths: list[int] = []

        def discriminator(images: Any, real: bool = real) -> Any:
            seen = self.transform_images(images, real, context, stream)
            logits = Verdict.of(self.discriminator.run(context.inputs(seen), context, twice=True)).logits
            widths.append(int(logits.shape[1]))
            return logits

        def gradient(function: Callable[[Any], Any], x: Any) -> Any:
            def rows(x: Any) -> Any:
                before = len(widths)
                output = function(x)
                judged = len(widths) > before and widths[-1] > 1
                return ops.mean(output, axis=1) if judged and output.shape[1:] == (widths[-1],) else output

            return context.adapter.gradient(rows, x)

        return discriminator, gradient

    def _judge(self, images: Any, context: Context) -> Verdict:
        return Verdict.of(self.discriminator.run(context.inputs(images), context))


def result_of(owner: str, hook: str, returned: Any, measured: Metrics | None, kind: str = "strategy") -> Any:
    """Return a traced hook's result; if it returned ``(result, {name: scalar})``, the scalars are measured.

    Raises:
        GANForgeError: a name is not a text, or a value is not a scalar.
    """
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)):
        return returned
    result, scalars = returned
    for name, value in scalars.items():
        if not isinstance(name, str) or not name:
            raise GANForgeError(f"{kind} '{owner}': {hook} measures {name!r}; expected a name, such as 'mean'")
        scalar = as_scalar(value)
        if scalar is None:
            raise GANForgeError(
                f"{kind} '{owner}': {hook} measures '{name}' with {described(value)}; expected a scalar, such as "
                "ops.mean(…)"
            )
        if measured is not None:
            measured[f"{owner}/{name}"] = ops.stop_gradient(scalar)
    return result


def as_scalar(value: Any) -> Any:
    """Return a single number as a 0-d float32 tensor, or None if the value is not one number."""
    try:
        tensor = ops.cast(ops.convert_to_tensor(value), "float32")
    except Exception:  # each backend has its own way of saying that a value is no tensor
        return None
    if any(size != 1 for size in tensor.shape):
        return None
    return ops.reshape(tensor, ()) if tensor.shape else tensor


def described(value: Any) -> str:
    """Return a description of a value for a message: a tensor's shape, or a type."""
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"the shape {tuple(shape)}"
