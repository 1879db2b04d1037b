"""What a loss is held to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ganforge.errors import UsageError
from ganforge.plugin.calling import call_by_name
from ganforge.testing.checks.common import below, candidates, changed
from ganforge.testing.framework import Advice, Nonconformity, check

BATCH = 4


def values(case: Any, real: Any, fake: Any, labels: tuple[float, float] = (1.0, 0.0), options: Any = None) -> Any:
    """Return D's and G's loss for given logits, the discriminator told ``labels``, as tensors."""
    from keras import ops

    def column(value: Any) -> Any:
        return ops.convert_to_tensor(np.broadcast_to(np.float32(value).reshape(-1, 1), (BATCH, 1)).copy())

    options = options or case.options
    of_discriminator = call_by_name(case.value.discriminator)(
        real_logits=column(real),
        fake_logits=column(fake),
        real_labels=column(labels[0]),
        fake_labels=column(labels[1]),
        options=options,
    )
    return of_discriminator, call_by_name(case.value.generator)(
        fake_logits=column(fake), labels=column(1.0), options=options
    )


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
    """D's loss falls where it is right; G's where D is fooled."""
    if not numbers(case, 1.0, -1.0)[0] < numbers(case, -1.0, 1.0)[0]:
        raise Nonconformity(
            "the discriminator's loss is not smaller where it is right (real +1, fake -1) than where it is wrong",
            "look at the signs: it is minimised, real has the label 1 and fake 0",
        )
    if not numbers(case, 0.0, 1.0)[1] < numbers(case, 0.0, -1.0)[1]:
        raise Nonconformity(
            "the generator's loss does not fall when the discriminator takes its fakes for real (higher logits)",
            "look at the sign: it is minimised",
        )


@check("loss")
def heeds_labels(case: Any) -> None:
    """D's loss depends on labels: label strategies have an effect."""
    plain = numbers(case, *LOGITS)[0]
    if numbers(case, *LOGITS, labels=(0.7, 0.0))[0] == plain or numbers(case, *LOGITS, labels=(1.0, 0.3))[0] == plain:
        raise Advice(
            "the discriminator's loss ignores a label: strategies such as label-noise have no effect with it"
        )


@check("loss")
def honours_options(case: Any) -> None:
    """Each option changes a loss; absurd values are refused."""
    from ganforge.testing.cases import run, small_engine

    def picture(options: Any) -> Any:
        if not case.value.penalty:
            return numbers(case, *LOGITS, options=options)
        # A penalty needs networks: two steps on small ones.
        engine = small_engine(case.registry, loss=case.value, loss_options=options)
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


@check("loss", everywhere=True)
def trains(case: Any) -> None:
    """Twenty steps with finite losses, the same from the same seed."""
    training = case.training
    for step, line in enumerate(training.lines):
        for name, value in line.items():
            if not math.isfinite(value):
                raise Nonconformity(
                    f"{name} is {value} after {step + 1} steps",
                    "look for a square root or a logarithm that reaches 0",
                )
    if training.again != training.lines[: len(training.again)]:
        raise Nonconformity(
            "the same seed trained differently the second time", "draw from the argument `random` alone"
        )


@check("loss", everywhere=True)
def compiles_once(case: Any) -> None:
    """Nothing is compiled twice."""
    more = {name: count for name, count in case.training.traces.items() if count > 1}
    if more:
        raise Nonconformity(
            f"twenty steps compiled {', '.join(more)} more than once", "let shapes depend on nothing that changes"
        )


@check("loss", everywhere=True)
def moves_every_kernel(case: Any) -> None:
    """Gradients of both losses reach every kernel."""
    # Biases aside: a loss of differences leaves the last one alone.
    unmoved = [path for path in case.training.unmoved if path.endswith("kernel")]
    if unmoved:
        raise Nonconformity(
            f"{', '.join(unmoved[:3])} never moved",
            "use differentiable keras.ops: no rounding or comparing",
        )
