"""What trains is what was written: an architecture's networks in training, beside plain Keras on the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganforge.testing.framework import Advice, Nonconformity, Skip, check, unexpected

OWN_LOOPS = ("train_step", "compute_loss", "fit")


@check("architecture", everywhere=True)
def keeps_state_in_variables(case: Any) -> None:
    """The state and randomness of layers are in the network's variables."""
    from ganforge.testing.reference.comparison import Twins
    from ganforge.testing.reference.layer_faults import hidden_variables, raising_layer, unsteady_layer
    from ganforge.testing.small import refill

    case.sound = False
    for role, model, inputs in case.sides():
        refill(model)
        twins = Twins(model, inputs, twice=False)
        if error := raising_layer(twins):
            raise Nonconformity(*_raises(role, *error, "in training mode"))
        for place, variable, written in hidden_variables(twins):
            where = f"the {role}'s {place}" if place else f"the {role}"
            if "seed_generator" in variable.path:
                raise Nonconformity(
                    f"{where} draws from Keras's global generator, which no run saves",
                    "keep a keras.random.SeedGenerator() as the layer's attribute and pass it on as seed=",
                )
            raise Nonconformity(
                f"{where} {'writes to' if written else 'reads'} {variable.path}, which is not a variable of "
                "the network: it is neither trained nor saved",
                "create it with self.add_weight() in the layer's build() and keep it as an attribute of the layer",
            )
        if place := unsteady_layer(twins):
            raise Nonconformity(
                f"the {role}'s {place} gives different outputs from the same inputs, weights and seeds: it keeps or "
                "draws something in Python",
                "keep what changes in variables made with add_weight, and draw with keras.random from a "
                "keras.random.SeedGenerator that the layer has as an attribute",
            )
    case.sound = True


def _sound(case: Any) -> None:
    """Skip a check that would only find again what an earlier one has found."""
    if not case.sound:
        raise Skip("an earlier check of its training failed")


@check("architecture", everywhere=True)
def trains_as_written(case: Any) -> None:
    """Outputs, gradients, second gradients and state equal plain Keras's."""
    from ganforge.testing.reference.comparison import Twins, first_difference
    from ganforge.testing.reference.layer_faults import asleep, unwished_float64
    from ganforge.testing.small import refill

    _sound(case)
    case.sound = False
    for role, model, inputs in case.sides():
        for name in OWN_LOOPS:
            if not getattr(type(model), name).__module__.startswith("keras."):
                raise Nonconformity(
                    f"the {role}'s class {type(model).__name__} has a {name} of its own, which is never called",
                    "put losses into layers with add_loss, and what a step does into a strategy or a Loss",
                )
        refill(model)
        twins = Twins(model, inputs, twice=role == "discriminator")
        try:
            plain = twins.plain()
            found: Any = twins.difference(twins.trained(), plain)
        except Exception as error:
            found = error
        if found is not None:
            place, part, what = first_difference(model, inputs, twins.twice)
            raise Nonconformity(*_differs(role, place, part or twins, found if part is None else what))
        if place := unwished_float64(twins):
            raise Nonconformity(
                f"the {role}'s {place} turns float32 into float64, where the backend has it",
                "give constants as Python numbers or with dtype='float32'",
            )
        if (numbers := twins.fingerprint(plain)) and "numbers" in case.facts:
            case.facts["numbers"][f"the {role}'s gradients"] = numbers
    case.sound = True
    for role, model, inputs in case.sides():
        if place := asleep(Twins(model, inputs, twice=False)):
            raise Advice(
                f"the {role}'s {place} runs in inference mode in training, because it is called with training=False; "
                "leave the argument out, unless that is meant"
            )


@check("architecture", everywhere=True)
def updates_as_written(case: Any) -> None:
    """A step counts each network's own losses and applies constraints."""
    from ganforge.testing.reference.comparison import close_to
    from ganforge.testing.reference.layer_calls import owner
    from ganforge.testing.reference.step import engines_step, free, own_loss, plain_step

    _sound(case)
    engine = case.trainee
    models = {"generator": engine.generator, "discriminator": engine.discriminator}
    for model in models.values():
        free(model)
    plain = plain_step(engine, case.size, case.latent_dim)
    found = engines_step(engine, case.size)
    for role, model in models.items():
        close, trainable = close_to(model), {id(v) for v in model.trainable_variables}
        for variable, a, b in zip(model.variables, found.values[role], plain.values[role]):
            if close.differs(a, b):
                raise Nonconformity(
                    f"after a step, {variable.name} of the {role}'s {owner(model, variable)} is not what plain Keras "
                    f"has{_constraint(variable)}",
                    "let a weight change by its gradient, its constraint and assign() in call() alone"
                    if id(variable) in trainable
                    else "change it with assign() in call(), and from what the call is given alone",
                )
        if close.differs(np.array(found.losses[role]), np.array(plain.losses[role])):
            place = own_loss(engine, model, next(given for name, _, given in case.sides() if name == role))
            raise Nonconformity(
                f"the loss that the {role}'s {place} adds counts {found.losses[role]:.3g} in a step; plain Keras has "
                f"{plain.losses[role]:.3g}",
                "add losses with add_loss or a regularizer, in every call, as a mean or a sum over the batch",
            )
    for role, model in models.items():
        close = close_to(model)
        largest = max((float(np.linalg.norm(g)) for g in plain.gradients[role]), default=0.0)
        for variable, a, b in zip(model.trainable_variables, found.gradients[role], plain.gradients[role]):
            if close.differs(a, b, 1e-3 * largest):
                raise Nonconformity(
                    f"a step moves {variable.name} of the {role}'s {owner(model, variable)} differently from "
                    f"plain Keras (the gradient differs by {close.apart(a, b, 1e-3 * largest):.1%})",
                    "look at trains-as-written and judges-one-picture-at-a-time; a layer may depend on how many "
                    "pictures a batch has",
                )


@check("architecture", everywhere=True)
def judges_one_picture_at_a_time(case: Any) -> None:
    """A logit does not depend on the other pictures in the batch."""
    from ganforge.testing.reference.comparison import Twins
    from ganforge.testing.reference.layer_faults import companions
    from ganforge.testing.small import refill

    _sound(case)
    _, model, inputs = case.sides()[1]
    refill(model)
    changed, spread, place = companions(Twins(model, inputs, twice=False))
    measured = (
        f"the logit of one picture changes by {changed:.2g} when the pictures beside it are replaced (verdicts lie "
        f"{spread:.2g} apart), first in {place}"
    )
    apart = case.trainee.judges_apart
    if changed > 1e-3 * spread and not apart:
        raise Nonconformity(
            f"{measured}, and yet real and fake are judged as one batch",
            "say Architecture(…, batch_statistics=True)",
        )
    if apart:
        said = measured if changed > 1e-3 * spread else "it depends on them with other weights, or says so itself"
        raise Advice(
            f"{said}: real and fake are judged separately, in two passes instead of one, which takes a few percent "
            "longer, "
            "and --step one-stage is refused; LayerNormalization and spectral normalization do not need this"
        )


@check("architecture", everywhere=True)
def draws_the_same_twice(case: Any) -> None:
    """In inference, the same input gives the same output twice."""
    from ganforge.testing.reference.comparison import Twins
    from ganforge.testing.reference.layer_faults import restless_layer
    from ganforge.testing.small import refill

    _sound(case)
    for role, model, inputs in case.sides():
        refill(model)
        if place := restless_layer(Twins(model, inputs, twice=False)):
            raise Nonconformity(
                f"the {role}'s {place} gives a different output each time in inference",
                "let its call take training=None and be random only if training is true",
            )


def _differs(role: str, place: str, part: Any, what: Any) -> tuple[str, str]:
    """Say what a difference looks like, in which layer, and what to change."""
    where = f"the {role}'s {place}" if place else f"the {role}"
    if isinstance(what, Exception):
        return _raises(role, place, what, "as it trains")
    name = what.variable.name if what.variable is not None else "its input"
    if what.what == "output":
        if part.runs_in_inference():
            return (
                f"{where} runs in inference mode in training",
                "take training=None in call(), and pass it on to what is called within",
            )
        return (
            f"{where} gives different outputs in training than plain Keras (by {what.by:.1%})",
            "compute with keras.ops from inputs and variables alone; let Python decide nothing during the call",
        )
    if what.what == "state":
        return (
            f"{where} leaves a different {name} behind than plain Keras (by {what.by:.1%})",
            "change variables with assign() in call(), and nothing else",
        )
    if what.what == "losses":
        return (
            f"the loss that {where} adds is not counted as in plain Keras",
            "add it in every call, with add_loss or a regularizer",
        )
    order = "second gradients" if what.what == "second" else "gradients"
    return (
        f"{where} has different {order} at {name} than plain Keras (by {what.by:.1%})",
        "use keras.ops between input and output; what is assigned in a call is a value, without a gradient",
    )


def _raises(role: str, place: str, error: Exception, when: str) -> tuple[str, str]:
    return (
        f"the {role}{chr(39) + 's ' + place if place else ''} raises {when}: {unexpected(error)}",
        "use keras.ops, which every backend has and can compile and differentiate, in place of NumPy, Python "
        "decisions on values, and one backend's own functions",
    )


def _constraint(variable: Any) -> str:
    if getattr(variable, "constraint", None) is None:
        return ""
    return f": its constraint ({type(variable.constraint).__name__}) is not applied"
