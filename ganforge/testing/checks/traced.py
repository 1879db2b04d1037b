"""What a strategy's hooks of version 2 are held to: each acts where it should, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganforge.errors import reason
from ganforge.plugin.calling import implementation, strategy_hooks
from ganforge.testing.checks.common import changed
from ganforge.testing.framework import Advice, Nonconformity, Skip, check
from ganforge.testing.probes import first_state, own_scalars, plans, signals

STEPS = 20
PENALTIES = ("discriminator_penalty", "generator_penalty")


def _has(case: Any, *hooks: str) -> bool:
    return any(implementation(case.value, hook) is not None for hook in hooks)


def _without(case: Any, *hooks: str) -> Any:
    """Return the strategy under check with some hooks switched off."""
    quiet = type("Without", (case.value,), dict.fromkeys(hooks))
    return quiet(case.options)


def _step(engine: Any, step: int) -> dict[str, np.ndarray]:
    """Train one step and return all variables."""
    from ganforge.testing.small import kept, run

    run(engine, step, step + 1)
    return kept(engine)


def _differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    # A state that only one of the two needs is no difference between them.
    return [name for name in one if name in other and not np.array_equal(one[name], other[name], equal_nan=True)]


@check("strategy")
def moves_the_generator_alone(case: Any) -> None:
    """``generator_penalty`` changes G's weights and nothing in D."""
    if not _has(case, "generator_penalty"):
        raise Skip("it adds nothing to the generator's loss")
    every = int(case.options.every) if case.value.lazy else 1
    moved = False
    for step in (0, STEPS // 2 // every * every):
        left = _step(case.small([case.strategy()]), step)
        differing = _differing(left, _step(case.small([_without(case, "generator_penalty")]), step))
        wrong = [name for name in differing if name.startswith("discriminator")]
        if wrong:
            raise Nonconformity(
                f"generator_penalty changes the discriminator's {wrong[0]}",
                "compute with keras.ops from the arguments; assign nothing in a traced hook",
            )
        moved |= any(name.startswith("generator/") for name in differing)
    if not moved:
        raise Nonconformity(
            "generator_penalty moves no weight of the generator",
            "let it depend on `fake` or on generator(z); nothing between may round, compare or stop the gradient",
        )


@check("strategy")
def judges_fakes_as_fakes(case: Any) -> None:
    """``discriminator_penalty`` passes fakes to D as fakes."""
    import keras

    from ganforge.testing.small import run

    if not _has(case, "discriminator_penalty"):
        raise Skip("it adds nothing to the discriminator's loss")
    if keras.backend.backend() != "torch":
        raise Skip("checked on torch")
    wrong: list[bool] = []
    engine = case.small([case.strategy()])
    ((_, hooks),) = engine.step.door.hooks
    penalty = hooks["discriminator_penalty"]

    def values(x: Any) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(keras.ops.stop_gradient(x)))

    def listening(**given: Any) -> Any:
        discriminator, fakes = given["discriminator"], values(given["fake"])

        def heard(images: Any, real: bool = True) -> Any:
            rows = values(images)
            wrong.append(real and np.array_equal(rows, fakes[: len(rows)]))
            return discriminator(images, real=real)

        return penalty(**{**given, "discriminator": heard})

    hooks["discriminator_penalty"] = listening
    run(engine, 0, 1)
    if any(wrong):
        what = "discriminator_penalty judges fakes as if they were real images"
        change = "write discriminator(images, real=False) for them, so that they pass the door as fakes do"
        if case.entry.api < 2:
            raise Advice(f"{what}; {change} (version 2 of the hooks)")
        raise Nonconformity(what, change)


@check("strategy", everywhere=True)
def keeps_its_state_on_the_device(case: Any) -> None:
    """``update_state`` depends only on its arguments, and keeps the form."""
    import keras

    from ganforge.engine.door import result_of
    from ganforge.testing.small import random_numbers, tensors

    if not _has(case, "update_state"):
        raise Skip("it has no device state")
    strategy = case.strategy()
    hook = strategy_hooks(strategy)["update_state"]
    controls = tensors(own_scalars(strategy))
    metrics = tensors({**signals(3), **{n: v for n, v in case.training.lines[0].items() if np.isfinite(v)}})
    state = first_state(strategy)

    def new() -> Any:
        random = random_numbers(case.idle_engine)
        returned = hook(state=state, controls=controls, metrics=metrics, random=random)
        try:
            keras.tree.assert_same_structure(state, returned)
        except (ValueError, TypeError):
            return result_of(strategy.name, "update_state", returned, None)
        return returned

    first = new()
    plans([strategy])  # what it remembers on the host moves on
    second = new()
    for before, one, other in zip(*(keras.tree.flatten(x) for x in (state, first, second))):
        kinds = [keras.backend.standardize_dtype(x.dtype) if hasattr(x, "dtype") else None for x in (before, one)]
        if kinds[1] is not None and kinds[0] != kinds[1]:
            raise Nonconformity(
                f"update_state gives {kinds[1]} where initial_state gave {kinds[0]}",
                "keep the dtype: ops.cast(…), or start with a number of that type",
            )
        values = [np.asarray(keras.ops.convert_to_numpy(x)) for x in (one, other)]
        if not np.array_equal(values[0], values[1], equal_nan=True):
            raise Nonconformity(
                "update_state gives a different state from the same arguments",
                "keep what changes in the state itself, not on self or in the module: compiled, that stays at its "
                "first value; draw only from `random`",
            )


@check("strategy")
def changes_weights_alone(case: Any) -> None:
    """``after_step`` changes weights and nothing else."""
    if not _has(case, "after_step"):
        raise Skip("it leaves weights alone")
    quiet = _without(case, "after_step")
    with_it, without = case.small([case.strategy()]), case.small([quiet])
    own = f"strategy {case.value.name}/"
    for step in range(STEPS):
        differing = [n for n in _differing(_step(with_it, step), _step(without, step)) if not n.startswith(own)]
        trainable = ["/".join(name.split("/")[:2]) for name, variable in with_it.variables() if variable.trainable]
        weights = tuple(f"{name}/" for name in trainable if name.startswith(("generator/", "discriminator/")))
        wrong = [name for name in differing if not name.startswith((*weights, "generator_average"))]
        if wrong:
            raise Nonconformity(
                f"after_step changes {wrong[0]}, which is not a weight",
                "return new weights, and assign nothing in a traced hook",
            )
        if differing:
            return
    raise Nonconformity(
        f"after_step changed no weight in {STEPS} steps",
        "return (generator_weights, discriminator_weights), with None for a network that stays",
    )


@check("strategy")
def pays_when_it_is_due(case: Any) -> None:
    """Lazy penalties are computed when due, weighted by ``every`` once."""
    import keras
    from pydantic import ValidationError

    if not case.value.lazy:
        raise Skip("its penalties, if any, are computed in every step")
    hook = next((name for name in PENALTIES if _has(case, name)), None)
    if hook is None:
        raise Nonconformity("it is lazy but has no penalty", "leave out lazy = True")
    try:
        thrice, once = changed(case, "every", 3), changed(case, "every", 1)
    except ValidationError as error:
        raise Advice(f"every=1 or every=3 is refused ({reason(error)}); expected whole numbers from 1") from None
    side = hook.partition("_")[0]

    # Plain gradients, and decay rates that it does not have but may be told.
    plain_steps = type("Plain", (keras.optimizers.SGD,), {"beta_1": 0.0, "beta_2": 0.0})

    def left(options: Any, step: int, paying: bool = True) -> dict[str, np.ndarray]:
        """Train one step by plain gradients, so that what a penalty adds is its gradient, and return one network."""
        strategy = case.strategy(options)
        if not paying:
            strategy = type("Without", (case.value,), dict.fromkeys(PENALTIES))(options)
        engine = case.small([strategy], optimizers=(plain_steps(1.0), plain_steps(1.0)))
        return {n: v.astype("float64") for n, v in _step(engine, step).items() if n.startswith(f"{side}/")}

    if _differing(left(thrice, 1), left(thrice, 1, paying=False)):
        raise Nonconformity(
            "with every=3 the second step has a penalty",
            "leave the counting to GANForge, which calls a lazy strategy's penalties in steps 0, every, 2 every …",
        )
    for step in (0, 9):
        plain = left(once, step, paying=False)
        added = [np.concatenate([(left(o, step)[n] - plain[n]).ravel() for n in plain]) for o in (once, thrice)]
        size = float(np.abs(added[0]).max())
        if size > 1e-7 and not np.allclose(added[1], 3 * added[0], rtol=1e-2, atol=2e-2 * size):
            times = float(added[0] @ added[1] / (added[0] @ added[0]))
            raise Nonconformity(
                f"with every=3 a penalty weighs {times:.3g} times as much; expected 3 times",
                "return the penalty as for every step: a lazy one is multiplied by `every` already",
            )
