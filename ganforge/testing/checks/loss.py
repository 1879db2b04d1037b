"""What a loss is held to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ganforge.errors import UsageError, reason
from ganforge.plugin.calling import call_by_name
from ganforge.testing.checks.common import below, candidates, changed
from ganforge.testing.framework import Advice, Nonconformity, Skip, check
from ganforge.testing.probes import require_finite, require_one_compilation

BATCH = 4


def values(
    case: Any, real: Any, fake: Any, labels: tuple[float, float] = (1.0, 0.0), options: Any = None, logits: int = 1
) -> Any:
    """Return D's and G's loss for given logits (B, ``logits``), the discriminator told ``labels``, as tensors."""
    from keras import ops

    def column(value: Any) -> Any:
        return ops.convert_to_tensor(np.broadcast_to(np.float32(value).reshape(-1, 1), (BATCH, 1)).copy())

    given: dict[str, Any] = {
        "real_logits": ops.repeat(column(real), logits, axis=1),
        "fake_logits": ops.repeat(column(fake), logits, axis=1),
        "options": options or case.options,
    }
    if case.features is not None:
        for side, shift in (("real_features", 0.5), ("fake_features", -0.5)):
            tensor = ops.convert_to_tensor(np.linspace(-1, 1, 3 * BATCH, dtype=np.float32).reshape(BATCH, 3) + shift)
            given[side] = dict.fromkeys(case.features, tensor) if case.features else tensor
    of_discriminator = call_by_name(case.value.discriminator)(
        **given, real_labels=column(labels[0]), fake_labels=column(labels[1])
    )
    return of_discriminator, call_by_name(case.value.generator)(**given, labels=column(1.0))


def numbers(case: Any, *arguments: Any, **keywords: Any) -> tuple[float, float]:
    discriminator, generator = values(case, *arguments, **keywords)
    return float(discriminator), float(generator)


LOGITS = (np.array([-2.0, -0.5, 0.3, 1.7]), np.array([1.1, -0.2, -1.5, 0.4]))


@check("loss", everywhere=True)
def scalars(case: Any) -> None:
    """Both losses are float32 scalars, finite for any logit."""
    import keras

    for role, value in zip(("discriminator", "generator"), values(case, *LOGITS)):
        if tuple(value.shape) != () or keras.backend.standardize_dtype(value.dtype) != "float32":
            raise Nonconformity(
                f"the {role}'s loss is {value.dtype} of shape {tuple(value.shape)}; expected a float32 scalar",
                "end with ops.mean(…), and leave dtypes as they are",
            )
    for size in (30.0, 1e4):
        for real, fake in ((size, -size), (-size, size)):
            if not all(math.isfinite(v) for v in numbers(case, real, fake)):
                raise Nonconformity(
                    f"for logits of {size:g} a loss is not finite",
                    "use what cannot overflow: ops.softplus(x) rather than ops.log(1 + ops.exp(x))",
                )
    case.facts["numbers"] = {"the losses": [*numbers(case, *LOGITS), *numbers(case, LOGITS[1], LOGITS[0])]}


@check("loss")
def points_the_right_way(case: Any) -> None:
    """D's loss falls when D is right, G's when D is fooled."""
    if not numbers(case, 1.0, -1.0)[0] < numbers(case, -1.0, 1.0)[0]:
        raise Nonconformity(
            "the discriminator's loss is not smaller where it is right (real +1, fake -1) than where it is wrong",
            "check the signs: the loss is minimized, real has the label 1 and fake 0",
        )
    if not numbers(case, 0.0, 1.0)[1] < numbers(case, 0.0, -1.0)[1]:
        raise Nonconformity(
            "the generator's loss does not fall when the discriminator judges its fakes to be real (higher logits)",
            "check the sign: the loss is minimized",
        )


@check("loss")
def heeds_labels(case: Any) -> None:
    """D's loss depends on labels, so label strategies have an effect."""
    plain = numbers(case, *LOGITS)[0]
    if numbers(case, *LOGITS, labels=(0.7, 0.0))[0] == plain or numbers(case, *LOGITS, labels=(1.0, 0.3))[0] == plain:
        raise Advice(
            "the discriminator's loss ignores a label: strategies such as label-noise have no effect with it"
        )


@check("loss")
def honours_options(case: Any) -> None:
    """Every option changes a loss; absurd values are refused."""
    from ganforge.testing.small import run

    def picture(options: Any) -> Any:
        if not case.value.penalty:
            return numbers(case, *LOGITS, options=options)
        # A penalty needs networks: two steps on small ones.
        engine = case.small(loss=case.value, loss_options=options)
        return run(engine, 0, 2, total=2)

    plain = picture(case.options)
    for name in case.options_class.model_fields:
        tries = candidates(case.options_class, name, getattr(case.options, name))
        if tries and all(picture(changed(case, name, other)) == plain for other in tries[:3]):
            raise Nonconformity(f"the option {name} changed neither loss", f"use options.{name}, or leave it out")
        for options in below(case, name):
            try:
                found = numbers(case, *LOGITS, options=options)
            except UsageError:
                continue
            if not all(math.isfinite(v) for v in found):
                raise Nonconformity(
                    f"{name}={getattr(options, name)} passes validation and makes a loss that is not finite",
                    f"give the option a bound, such as {name}: … = Field(…, gt=0)",
                )


@check("loss")
def takes_several_logits(case: Any) -> None:
    """Logits may be (B, K): a loss is their mean over K."""
    one = numbers(case, *LOGITS)
    change = "discriminators of patches train with it after ops.mean(…) over all axes; labels stay (B, 1)"
    try:
        several = values(case, *LOGITS, logits=3)
    except Exception as error:
        raise Advice(f"with logits (B, 3) it fails ({reason(error)}); {change}") from None
    if any(tuple(value.shape) != () for value in several):
        raise Advice(f"with logits (B, 3) a loss has the shape {tuple(several[0].shape)}; {change}")
    if any(abs(float(a) - b) > 1e-4 * max(1.0, abs(b)) for a, b in zip(several, one)):
        raise Advice(f"repeating each logit three times changes the loss; {change}")


@check("loss")
def compares_with_real(case: Any) -> None:
    """``real_logits`` affect G's loss, and do not change D."""
    from ganforge.engine.engine import Engine
    from ganforge.testing.small import BATCH as ROWS
    from ganforge.testing.small import LATENT, kept, one_update, small_networks

    loss = case.value
    if not loss.compares:
        raise Skip("its generator's loss uses only fakes")
    if numbers(case, LOGITS[0], LOGITS[1])[1] == numbers(case, LOGITS[0] + 1.0, LOGITS[1])[1]:
        raise Nonconformity(
            "the generator's loss takes real_logits but does not depend on them",
            "use them, or leave the argument out: it costs a pass of the discriminator",
        )
    engine = case.small(loss=loss, loss_options=case.options)
    before = kept(engine)
    one_update(engine, "generator_beside")
    after = kept(engine)
    moved = [name for name in before if not np.array_equal(before[name], after[name])]
    if any(name.startswith("discriminator") for name in moved) or not any(n.startswith("generator/") for n in moved):
        raise Nonconformity(
            "an update of the generator moved the discriminator, or no weight of the generator",
            "compute with keras.ops from the arguments alone",
        )
    try:
        Engine(*small_networks(features=case.features), loss, batch_size=ROWS, latent_dim=LATENT, step="one-stage")
    except UsageError:
        return
    raise Nonconformity("--step one-stage is not refused", "name real_logits in the generator's loss itself")


@check("loss", everywhere=True)
def trains(case: Any) -> None:
    """Twenty steps with finite losses, the same from the same seed."""
    training = case.training
    require_finite(training.lines, "look for a square root at 0 or a logarithm of 0")
    if training.again != training.lines[: len(training.again)]:
        raise Nonconformity(
            "the same seed trained differently the second time", "draw only from the argument `random`"
        )


@check("loss", everywhere=True)
def compiles_once(case: Any) -> None:
    """Nothing is compiled twice."""
    require_one_compilation(case.training.traces, "let shapes depend on nothing that changes")


@check("loss", everywhere=True)
def moves_every_kernel(case: Any) -> None:
    """Gradients of both losses reach every kernel."""
    # Biases aside: a loss of differences leaves the last one alone.
    unmoved = [path for path in case.training.unmoved if path.endswith("kernel")]
    if unmoved:
        raise Nonconformity(
            f"{', '.join(unmoved[:3])} never moved",
            "use differentiable keras.ops: no rounding or comparison",
        )
