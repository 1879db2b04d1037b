"""What a balancing strategy is held to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ganforge.errors import UsageError, reason
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.hookspecs import OBSERVER_HOOKS, STRATEGY_HOOKS
from ganforge.plugin.types import Progress
from ganforge.testing.checks.common import below, candidates, changed
from ganforge.testing.framework import Advice, Nonconformity, Skip, check
from ganforge.testing.probes import (
    STEPS,
    behaviour,
    configured,
    first_state,
    is_traced,
    own_scalars,
    plans,
    refuses,
    require_finite,
    require_one_compilation,
    traced,
)

NOT_FINITE = "look for a division by 0 or a logarithm of 0"


@check("strategy")
def has_hooks(case: Any) -> None:
    """It implements a hook, marked with ``hookimpl``."""
    marked = strategy_hooks(case.strategy())
    for name in (*STRATEGY_HOOKS, *OBSERVER_HOOKS):
        if name not in marked and callable(getattr(case.value, name, None)):
            raise Nonconformity(f"{name} is not marked, so it is never called", "write @hookimpl above it")
    if not set(marked) & set(STRATEGY_HOOKS):
        raise Nonconformity(
            "it implements no hook, so it changes nothing",
            f"implement one of {', '.join(STRATEGY_HOOKS)}",
        )


@check("strategy")
def plans_the_same_scalars(case: Any) -> None:
    """``plan_step`` returns the same finite scalars every step."""
    from ganforge.engine.plan import Planner

    plans([case.strategy()])
    plans([case.strategy()], empty=True)
    Planner([case.strategy()], 1.0).plan(Progress(0, 1, 0, 1), {})


@check("strategy")
def waits_for_signals(case: Any) -> None:
    """Planning again before anything is measured changes nothing."""
    strategy = case.strategy()
    before = json.dumps(strategy.get_state())
    first, second = (plans([strategy], stop=1, empty=True) for _ in range(2))
    if first != second or json.dumps(strategy.get_state()) != before:
        raise Nonconformity(
            "planning the first step twice changes the plan, or the state",
            "change what you remember only when signals holds something: if signals: …",
        )


@check("strategy")
def shares_nothing(case: Any) -> None:
    """A second run in the same process starts as the first one did."""
    first = plans([case.strategy()])
    if plans([case.strategy()]) != first:
        raise Nonconformity(
            "a second instance plans differently from the first",
            "set what changes in __init__ (self.rate = …), not on the class or the module",
        )


@check("strategy")
def state_survives_resume(case: Any) -> None:
    """``get_state`` is JSON-compatible; ``set_state`` continues from it.

    An empty state is a fresh start.
    """
    whole, stopped, resumed = case.strategy(), case.strategy(), case.strategy()
    expected = plans([whole])[STEPS // 2 :]
    plans([stopped], stop=STEPS // 2)
    try:
        state = json.loads(json.dumps(stopped.get_state(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Nonconformity(
            f"get_state() cannot be written as JSON: {error}", "return numbers, texts, lists and dicts of these alone"
        ) from None
    try:
        case.strategy().set_state({})
    except Exception as error:
        raise Nonconformity(
            f"set_state({{}}) raises {reason(error)}",
            "use a default for anything missing: state.get('rate', 1.0)",
        ) from None
    resumed.set_state(state)
    if plans([resumed], start=STEPS // 2) != expected:
        raise Nonconformity(
            "a resumed run plans differently from one never stopped",
            "return everything that plan_step remembers from get_state(), and restore it in set_state()",
        )


@check("strategy")
def honours_options(case: Any) -> None:
    """Every option changes its effect; absurd values are refused."""
    plain = behaviour(case, case.options)
    unused = []
    for name in case.options_class.model_fields:
        tries = candidates(case.options_class, name, getattr(case.options, name))
        # Up to four other values: one alone may happen to round to the same.
        seen = [behaviour(case, changed(case, name, other)) for other in tries[:4]]
        if seen and all(one in (plain, None) for one in seen):
            unused.append(name)
        for options in below(case, name):
            try:
                plans([case.strategy(options)])
            except UsageError:
                continue
            except Exception as error:
                raise Nonconformity(
                    f"{name}={getattr(options, name)} passes validation and then fails: {error}",
                    f"give the option a bound, such as {name}: … = Field(…, ge=0)",
                ) from None
    if unused:
        raise Nonconformity(
            f"the option{'s' if len(unused) > 1 else ''} {', '.join(unused)} changed nothing",
            f"use self.options.{unused[0]} in a hook, or leave it out",
        )


@check("strategy")
def configures_valid_runs(case: Any) -> None:
    """Settings changed by ``configure_run`` are valid, or refused."""
    from pydantic import ValidationError

    try:
        configured(case, case.options)
    except (ValidationError, KeyError, TypeError) as error:
        raise Nonconformity(
            f"configure_run fails or leaves options that do not validate: {reason(error)}",
            "check that the architecture has the option, and raise a one-line UsageError if it does not",
        ) from None


@check("strategy", everywhere=True)
def keeps_shape_and_dtype(case: Any) -> None:
    """Images and labels keep their shape, float32, finite."""
    done = traced(case, case.options)
    for name, values in done.items():
        if not np.isfinite(values).all():
            raise Nonconformity(f"{name} gives numbers that are not finite", "look for a division by 0")
    if not done:
        raise Skip("it transforms neither images nor labels")


@check("strategy", everywhere=True)
def draws_from_random(case: Any) -> None:
    """Every random number comes from ``random``."""
    first, second = (traced(case, case.options) for _ in range(2))
    for name in first:
        if not np.array_equal(first[name], second[name]):
            raise Nonconformity(
                f"{name} gives different numbers for the same seed and step",
                "draw from the argument `random` (random.normal, random.uniform, random.bernoulli), not from "
                "keras.random or numpy",
            )
    if not first:
        raise Skip("it transforms neither images nor labels")


@check("strategy")
def reads_controls_alone(case: Any) -> None:
    """Traced hooks read changing values only from ``controls``.

    Compiled, all else stays at its first value.
    """
    strategy = case.strategy()
    first = traced(case, case.options, strategy=strategy)
    plans([strategy])
    last = traced(case, case.options, strategy=strategy)
    for name in first:
        if not np.array_equal(first[name], last[name]):
            raise Nonconformity(
                f"{name} reads something that plan_step changed, besides controls; compiled on JAX and TensorFlow it "
                "stays at its first value",
                "return it from plan_step and read it from controls['…']",
            )
    if not first:
        raise Skip("it transforms neither images nor labels")


@check("strategy")
def lets_gradients_through(case: Any) -> None:
    """Gradients flow through ``discriminator_images`` to G."""
    import keras

    from ganforge.engine.door import result_of
    from ganforge.testing.small import BATCH, SIDE, random_numbers, some_pictures, tensors

    strategy = case.strategy()
    hook = strategy_hooks(strategy).get("discriminator_images")
    if hook is None:
        raise Skip("it does not transform images")
    if keras.backend.backend() == "jax":
        raise Skip("checked on torch and TensorFlow")
    images = keras.ops.convert_to_tensor(some_pictures(BATCH, SIDE))
    controls = tensors(own_scalars(strategy))

    def transformed(x: Any) -> Any:
        random, state = random_numbers(case.idle_engine), first_state(strategy)
        returned = hook(images=x, real=False, controls=controls, random=random, state=state)
        return result_of(strategy.name, "discriminator_images", returned, None)

    try:
        slope = case.idle_engine.adapter.gradient(transformed, images)
        reached = slope is not None and float(keras.ops.max(keras.ops.abs(slope))) > 0
    except (RuntimeError, ValueError):
        reached = False
    if not reached:
        raise Nonconformity(
            "no gradient flows through discriminator_images, so the generator learns nothing",
            "use differentiable keras.ops: no rounding, comparison, ops.stop_gradient or conversion to numpy",
        )


@check("strategy", everywhere=True)
def trains(case: Any) -> None:
    """Twenty steps with finite losses, on small networks."""
    require_finite(case.training.lines, NOT_FINITE)


@check("strategy", everywhere=True)
def compiles_once(case: Any) -> None:
    """Changing a scalar causes no new compilation."""
    require_one_compilation(
        case.training.traces, "let shapes depend on nothing that changes, and read numbers from controls"
    )


@check("strategy", everywhere=True)
def repeats(case: Any) -> None:
    """The same seed gives the same training; resuming changes nothing."""
    training = case.training
    half = len(training.again)
    if training.again != training.lines[:half] or training.resumed != training.lines[half:]:
        raise Nonconformity(
            "training again from a saved state gives different numbers",
            "return everything you remember from get_state(), restore it in set_state() (an empty dict is a fresh "
            "start), and draw only from `random`",
        )
    if training.drifted:
        raise Nonconformity(
            f"after resuming, {training.drifted[0]} is different",
            "keep on the device what changes there: in the state that initial_state begins and update_state returns",
        )


@check("strategy", everywhere=True)
def composes(case: Any) -> None:
    """It works before and after every built-in strategy."""
    from ganforge.testing.small import run

    def together(strategies: list[Any]) -> None:
        require_finite(run(case.small(strategies), 0, 2, total=2), NOT_FINITE)

    others = [other for other in case.others() if not refuses(case, [other])]
    if case.first:
        groups: list[list[Any]] = [[other] for other in others]
    else:  # what is compiled, all at once as far as it goes together; the rest is the same everywhere
        if not is_traced(case.value):
            raise Skip("nothing of it is compiled")
        others = [other for other in others if is_traced(other)]
        group: list[Any] = []
        for other in others:
            if not any(other.name in s.conflicts or s.name in other.conflicts for s in group) and not refuses(
                case, [*group, other]
            ):
                group.append(other)
        groups = [group]
    for group in groups:
        for first in (True, False):
            rest = [other() for other in group]
            strategies = [case.strategy(), *rest] if first else [*rest, case.strategy()]
            try:
                together(strategies)
            except Exception as error:
                names = " and ".join(s.name for s in strategies)
                raise Nonconformity(
                    f"--balance {names} fails: {reason(error)}",
                    "take images and labels as other strategies left them; list in `conflicts` what it cannot "
                    "be used with",
                ) from None


@check("strategy")
def says_where_it_comes_from(case: Any) -> None:
    """The docstring says when it helps, and cites its source."""
    text = case.value.__doc__ or ""
    if "Helps" not in text or "Source" not in text:
        raise Advice("let the docstring say when it Helps, when it Hurts and its Source; `ganforge plugins` shows it")
