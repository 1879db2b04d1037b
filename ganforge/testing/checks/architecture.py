"""What an architecture is held to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganforge.errors import UsageError, reason
from ganforge.plugin.sizes import spoken_size
from ganforge.testing.checks.common import below, candidates, changed
from ganforge.testing.framework import Advice, Nonconformity, Skip, check
from ganforge.testing.probes import described, require_finite

SIZES = ((8, 3), (16, 3), (28, 1), (32, 3), (48, 3), (64, 1))
# (height, width) and channels that no architecture had to know before version 2.
SHAPES = (((32, 48), 3), ((64, 32), 1), (32, 4), ((16, 64), 4))
BOUNDED = ("sigmoid", "hard_sigmoid", "softmax", "tanh", "hard_tanh", "relu", "softplus")


@check("architecture", everywhere=True)
def builds(case: Any) -> None:
    """(B, latent_dim) gives (B, H, W, C), which gives logits (B, 1) or (B, …).

    A dict of ``logits`` and ``features`` will do as well.
    """
    case.hopeless = True
    generator, discriminator = case.networks
    case.hopeless = False
    case.facts["image_size"] = case.size
    case.facts["parameters"] = {
        "generator": int(generator.count_params()),
        "discriminator": int(discriminator.count_params()),
    }


@check("architecture")
def other_sizes(case: Any) -> None:
    """Other sizes, grey, transparent and non-square pictures are built, or refused in one line."""
    for size, channels in (*SIZES, *SHAPES):
        where = f"{spoken_size(size)}, {channels} channel(s)"
        try:
            case.build(size, channels)
        except UsageError as error:
            if "\n" in str(error) or not str(error).strip():
                wrong, change = f"the refusal of {where} is not one line", "say in one line which sizes are possible"
                raise Nonconformity(wrong, change) from None
        except Exception as error:
            wrong, change = f"at {where}: {reason(error, kind=False)}", "build it, or raise ganforge.UsageError"
            if (size, channels) in SHAPES:
                raise Advice(f"{wrong}; {change}") from None
            raise Nonconformity(wrong, f"{change} naming the sizes that are possible") from None


@check("architecture")
def images_in_range(case: Any) -> None:
    """Pictures lie in [-1, 1] and reach below 0."""
    from ganforge.testing.small import outputs, refill, some_latents

    if not case.value.bounded:
        raise Skip("its generator is declared without bounds; pictures are clipped when they are drawn")
    generator, _ = case.build(case.size)
    lowest, highest = math.inf, -math.inf
    for seed in range(4):
        refill(generator, seed, scale=3.0)
        pictures = outputs(generator, some_latents(8, case.latent_dim, seed))
        lowest, highest = min(lowest, float(pictures.min())), max(highest, float(pictures.max()))
    if lowest < -1.001 or highest > 1.001:
        raise Nonconformity(
            f"the generator's pictures reach from {lowest:.3g} to {highest:.3g}; expected [-1, 1]",
            "end the generator with activation='tanh', or say Architecture(…, bounded=False)",
        )
    if lowest > -0.01:
        raise Nonconformity(
            f"the generator's pictures are never below {lowest:.3g}, as if they were in [0, 1]; expected [-1, 1]",
            "end it with activation='tanh', not 'sigmoid' or 'relu'",
        )


@check("architecture")
def latents_matter(case: Any) -> None:
    """Different latents give different pictures."""
    from ganforge.testing.small import outputs, refill, some_latents

    generator, _ = case.build(case.size)
    refill(generator)
    pictures = outputs(generator, some_latents(4, case.latent_dim))
    if float(np.abs(pictures[1:] - pictures[:1]).max()) < 1e-6:
        raise Nonconformity("every latent gives the same picture", "let the latents reach the generator's output")


@check("architecture")
def classes_matter(case: Any) -> None:
    """A conditional architecture's pictures and logits depend on the class."""
    from ganforge.testing.small import outputs, refill, some_latents, some_pictures

    if not case.value.conditional:
        raise Skip("it takes no class labels")
    for model, given, what in zip(
        case.build(case.size),
        (some_latents(1, case.latent_dim), some_pictures(1, case.size)),
        ("pictures", "verdicts"),
    ):
        refill(model)
        same = outputs(model, np.repeat(given, 2, axis=0))  # once of the first class, once of the second
        if float(np.abs(same[1] - same[0]).max()) < 1e-6:
            raise Nonconformity(
                f"the {what} are the same for every class", f"let the labels reach the {model.name}'s output"
            )


@check("architecture")
def logits(case: Any) -> None:
    """The discriminator gives logits, not probabilities."""
    from ganforge.engine.networks import output_spec
    from ganforge.testing.small import outputs, refill, some_pictures

    _, discriminator = case.build(case.size)
    lowest, highest = math.inf, -math.inf
    for seed in range(8):
        refill(discriminator, seed, scale=3.0)
        verdicts = outputs(discriminator, some_pictures(16, case.size, seed=seed))
        lowest, highest = min(lowest, float(verdicts.min())), max(highest, float(verdicts.max()))
    # Beside features, the last layer need not be the logits'.
    labels = [()] if case.value.conditional else []
    output = output_spec(discriminator, (case.size, case.size, 3), *labels)
    last = None if isinstance(output, Mapping) else discriminator.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if lowest >= 0 or activation in BOUNDED:
        what = f"end with {activation}" if activation in BOUNDED else f"lie between {lowest:.3g} and {highest:.3g}"
        raise Nonconformity(
            f"the discriminator's verdicts {what}; the losses expect logits",
            "let its last layer be Dense(1) without an activation",
        )


@check("architecture")
def honours_options(case: Any) -> None:
    """Every option changes a network; absurd values are refused."""
    plain = described(case, case.options)
    unused = []
    for name in case.options_class.model_fields:
        value = getattr(case.options, name)
        tries = candidates(case.options_class, name, value)
        if tries and all(described(case, changed(case, name, other)) in (plain, None) for other in tries[:4]):
            unused.append(name)
        for options in below(case, name):
            try:
                case.build(case.size, options=options)
            except UsageError:
                continue
            except Exception as error:
                raise Nonconformity(
                    f"{name}={getattr(options, name)} passes validation and then fails: {reason(error, kind=False)}",
                    f"give the option a bound, such as {name}: … = Field(…, ge=1)",
                ) from None
    if unused:
        raise Nonconformity(
            f"the option{'s' if len(unused) > 1 else ''} {', '.join(unused)} changed neither network",
            f"use options.{unused[0]} where the networks are built, or leave it out",
        )


@check("architecture")
def known_defaults(case: Any) -> None:
    """Everything named in ``defaults`` exists, with the given options."""
    named = {"loss": "loss", "optimizer": "optimizer", "balance": "strategy"}
    for name, kind in named.items():
        given = case.value.defaults.get(name, ())
        for text in [given] if isinstance(given, str) else given:
            if text.strip() == "none":
                continue
            try:
                case.registry.choose(kind, text)
            except UsageError as error:
                raise Nonconformity(
                    f"defaults has {name}={given!r}: {error}", "name something that GANForge or this plugin registers"
                ) from None


@check("architecture", everywhere=True)
def starts_from_the_seed(case: Any) -> None:
    """The same seed gives the same weights; another seed gives others."""
    import keras

    def weights(seed: int) -> list[np.ndarray]:
        models = case.build(case.size, seed=seed)
        return [keras.ops.convert_to_numpy(v.value) for model in models for v in model.trainable_variables]

    one, same, other = weights(1), weights(1), weights(2)
    if not all(np.array_equal(a, b) for a, b in zip(one, same)):
        raise Nonconformity(
            "two builds from one seed have different weights",
            "leave initializers without a seed, and draw nothing from numpy.random.default_rng() without one",
        )
    if all(np.array_equal(a, b) for a, b in zip(one, other)):
        raise Nonconformity("every seed gives the same weights", "leave initializers without a seed of their own")


@check("architecture", everywhere=True)
def saves(case: Any) -> None:
    """Saved and loaded, it gives the same pictures."""
    import keras

    from ganforge.backend import quietly
    from ganforge.engine.keras_internals import all_layers
    from ganforge.testing.small import outputs, refill, some_latents

    generator, discriminator = case.networks
    refill(generator)
    refill(discriminator)
    latents = some_latents(4, case.latent_dim)
    path = case.folder / "generator.keras"
    try:
        with quietly():
            generator.save(path)
            opened = keras.models.load_model(path, compile=False)
    except Exception as error:
        raise Nonconformity(
            f"the generator cannot be saved and loaded: {reason(error, kind=False)}",
            "mark your layers with @keras.saving.register_keras_serializable('package') and give them get_config()",
        ) from None
    worst = float(np.abs(outputs(opened, latents) - outputs(generator, latents)).max())
    if not worst <= 1e-4:
        raise Nonconformity(
            f"after saving and loading, the generator makes different pictures (by {worst:.2g})",
            "let get_config() return everything the layer's __init__ takes",
        )
    own = sorted(
        {type(layer).__name__ for layer in all_layers(generator) if not type(layer).__module__.startswith("keras.")}
    )
    if own:
        raise Advice(
            f"generator.keras opens only where this plugin is imported, for its {', '.join(own)}; with layers of "
            "Keras alone it opens anywhere"
        )


@check("architecture", everywhere=True)
def trains(case: Any) -> None:
    """Twenty steps with finite losses."""
    require_finite(
        case.training.lines,
        "look for a division by 0, a square root at 0, and weights that start too large",
        " at a learning rate of 1e-3",
    )
    _numbers(case)


def _numbers(case: Any) -> None:
    """Keep what the other backends must reproduce: both networks' outputs from fixed weights and inputs."""
    from ganforge.testing.small import outputs, refill, some_latents, some_pictures

    generator, discriminator = case.networks
    refill(generator)
    refill(discriminator)
    pictures = outputs(generator, some_latents(2, case.latent_dim)).ravel()
    verdicts = outputs(discriminator, some_pictures(4, case.size)).ravel()
    case.facts["numbers"] = {
        "the generator's output": [float(v) for v in pictures[:: max(1, len(pictures) // 64)]],
        "the discriminator's output": [float(v) for v in verdicts],
    }


@check("architecture", everywhere=True)
def moves_every_weight(case: Any) -> None:
    """Gradients reach every weight, if necessary with the loss and strategies of ``defaults``."""
    from ganforge.testing.reference.comparison import where_gradients_stop
    from ganforge.testing.small import refill

    unmoved = case.unmoved
    if unmoved:
        stops = ""
        for role, model, inputs in case.sides():
            refill(model)
            # Built anew, a layer's name may carry another number: by position, then.
            trained = getattr(case.trainee, role).trainable_variables
            lost = [v for v, other in zip(model.trainable_variables, trained) if other.path in unmoved]
            if lost and (place := where_gradients_stop(model, inputs, lost)):
                stops = f"; no gradient gets through the {role}'s {place}"
                break
        raise Nonconformity(
            f"{len(unmoved)} weight(s) never moved: {', '.join(unmoved[:3])}{stops}",
            "use each layer's output; nothing between it and the loss may round, compare or stop the gradient",
        )


@check("architecture", everywhere=True)
def repeats(case: Any) -> None:
    """The same seed gives the same training; resuming changes nothing."""
    training = case.training
    if training.again != training.lines[: len(training.again)]:
        raise Nonconformity(
            "the same seed trained differently the second time",
            "leave randomness to keras.layers (Dropout, GaussianNoise); a layer's own must come from a "
            "keras.random.SeedGenerator it keeps as an attribute",
        )
    if training.resumed != training.lines[len(training.again) :]:
        raise Nonconformity(
            "training went on differently from a saved state",
            "keep everything that changes in variables made with add_weight, not in Python attributes",
        )


@check("architecture", everywhere=True)
def works_with_r1(case: Any) -> None:
    """It trains with R1: the second derivative exists."""
    if not _finite(case, True, "mixed_bfloat16") and not _finite(case, True, "float32"):
        raise Nonconformity(
            "with --balance r1 the losses are no longer finite",
            "avoid operations whose second derivative is infinite, such as a square root at 0",
        )


@check("architecture", everywhere=True)
def works_in_bfloat16(case: Any) -> None:
    """It trains in mixed_bfloat16; the outputs stay float32."""
    from ganforge.engine.networks import output_spec

    if not _finite(case, True, "mixed_bfloat16") and not _finite(case, False, "mixed_bfloat16"):
        raise Nonconformity(
            "with --precision mixed_bfloat16 the losses are no longer finite",
            "give delicate layers dtype='float32'",
        )
    labels = [()] if case.value.conditional else []
    for model, takes in zip(
        case.build(case.size, precision="mixed_bfloat16"), ((case.latent_dim,), (case.size, case.size, 3))
    ):
        output = output_spec(model, takes, *labels)
        if "float32" not in str((output["logits"] if isinstance(output, Mapping) else output).dtype):
            raise Advice(
                f"give the {model.name}'s last layer dtype='float32', so that it is exact in mixed precision"
            )


def _finite(case: Any, penalty: bool, precision: str) -> bool:
    """Train three steps, once for each combination, and say whether everything stays finite."""
    known = case.__dict__.setdefault("_combinations", {})
    if (penalty, precision) not in known:
        from ganforge.testing.small import run

        engine = case.engine([case.r1()] if penalty else [], precision)
        lines = run(engine, 0, 3, case.size)
        known[penalty, precision] = all(math.isfinite(v) for line in lines for v in line.values())
    return bool(known[penalty, precision])
