"""What an optimizer is held to: its own copy each time, a step downhill, its options, its state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ganforge.errors import UsageError, reason
from ganforge.testing.checks.common import below, candidates, changed
from ganforge.testing.framework import Nonconformity, check
from ganforge.testing.probes import require_finite, require_one_compilation

SHAPES = ((4, 3), (3,))


def path(optimizer: Any, steps: int = 5, rate: float | None = None) -> list[list[np.ndarray]]:
    """Return where an optimizer takes two weights of fixed values, by fixed gradients, after each step."""
    import keras

    random = np.random.default_rng(0)
    weights = [keras.Variable(random.standard_normal(shape).astype("float32")) for shape in SHAPES]
    optimizer.build(weights)
    if rate is not None:
        optimizer.learning_rate = rate
    places = [[np.array(keras.ops.convert_to_numpy(w.value)) for w in weights]]
    for step in range(steps):
        # Smaller and smaller, so that what remembers a largest one shows.
        gradients = [keras.ops.convert_to_tensor(gradient(shape) / (1 + step)) for shape in SHAPES]
        optimizer.apply(gradients, weights)
        places.append([np.array(keras.ops.convert_to_numpy(w.value)) for w in weights])
    return places


def gradient(shape: tuple[int, ...]) -> np.ndarray:
    values = np.random.default_rng(len(shape)).uniform(0.2, 1.0, shape)
    return (values * np.where(np.arange(values.size).reshape(shape) % 2, 1, -1)).astype("float32")


@check("optimizer", everywhere=True)
def builds(case: Any) -> None:
    """``build(options)`` gives a Keras optimizer, without a schedule."""
    import keras

    case.hopeless = True
    try:
        built = case.optimizer()
    except UsageError:
        raise
    except Exception as error:
        raise Nonconformity(
            f"build raises {reason(error)}", "make it accept `options` and return an optimizer"
        ) from None
    if not isinstance(built, keras.optimizers.Optimizer):
        got = built.__name__ if isinstance(built, type) else type(built).__name__
        raise Nonconformity(
            f"build returned {got}; expected a keras.optimizers.Optimizer",
            "return an object of one, such as keras.optimizers.Adam(…), or of a subclass of your own",
        )
    rate = built.get_config().get("learning_rate")
    if not isinstance(rate, (int, float)):
        raise Nonconformity(
            "it contains a learning-rate schedule, which a run refuses",
            "give a number; a strategy whose plan_step returns generator_lr and discriminator_lr does the rest",
        )
    case.hopeless = False
    case.facts["learning_rate"] = float(rate)


@check("optimizer")
def own_copy_each_time(case: Any) -> None:
    """Each network has its own optimizer."""
    first, second = case.optimizer(), case.optimizer()
    shared = first is second
    if not shared:
        path(first)
        path(second, steps=1)
        shared = bool({id(v) for v in first.variables} & {id(v) for v in second.variables})
    if shared:
        raise Nonconformity(
            "two calls of build gave the same optimizer, or two that share state",
            "make a new one in each call: build=lambda options: keras.optimizers.Adam(…)",
        )


@check("optimizer", everywhere=True)
def goes_downhill(case: Any) -> None:
    """A step changes weights by a finite amount, against the gradient."""
    places = path(case.optimizer(), steps=3, rate=1e-2)
    if not all(np.isfinite(place).all() for step in places for place in step):
        raise Nonconformity(
            "weights are no longer finite after 3 steps", "look for a division by 0 at the first step"
        )
    moved = sum(float((gradient(s) * (b - a)).sum()) for s, a, b in zip(SHAPES, *places[:2]))
    if not moved < 0:
        raise Nonconformity(
            "the first step does not go against the gradient" if moved else "the first step moves nothing",
            "step by minus the learning rate times the processed gradient",
        )


@check("optimizer")
def heeds_the_learning_rate(case: Any) -> None:
    """With a learning rate of 0 nothing changes."""
    places = path(case.optimizer(), rate=0.0)
    if any(not np.array_equal(a, b) for a, b in zip(places[0], places[-1])):
        raise Nonconformity(
            "weights move at a learning rate of 0, so no strategy can slow it down",
            "read self.learning_rate, or the argument of update_step, in each step; multiply weight decay by it too",
        )


@check("optimizer")
def honours_options(case: Any) -> None:
    """Every option changes the result; absurd values are refused."""

    def route(options: Any) -> Any:
        try:
            return np.concatenate([place.ravel() for step in path(case.optimizer(options), 8) for place in step])
        except UsageError:
            return None

    plain = route(case.options)
    for name in case.options_class.model_fields:
        tries = candidates(case.options_class, name, getattr(case.options, name))
        routes = [found for other in tries[:4] if (found := route(changed(case, name, other))) is not None]
        if routes and all(np.array_equal(found, plain) for found in routes):
            raise Nonconformity(f"the option {name} changed no step", f"use options.{name} in build, or leave it out")
        for options in below(case, name):
            try:
                found = route(options)
            except Exception as error:
                raise Nonconformity(
                    f"{name}={getattr(options, name)} passes validation and then fails: {reason(error)}",
                    f"give the option a bound, such as {name}: … = Field(…, gt=0)",
                ) from None
            if found is not None and not np.isfinite(found).all():
                raise Nonconformity(
                    f"{name}={getattr(options, name)} passes validation and makes weights that are not finite",
                    f"give the option a bound, such as {name}: … = Field(…, gt=0)",
                )


@check("optimizer", everywhere=True)
def trains(case: Any) -> None:
    """Twenty finite steps of both networks that change every weight."""
    training = case.training
    require_finite(training.lines, "look for a division by 0 or a square root at 0")
    if training.unmoved:
        raise Nonconformity(
            f"{', '.join(training.unmoved[:3])} never moved", "move each variable that apply is given"
        )


@check("optimizer", everywhere=True)
def compiles_once(case: Any) -> None:
    """Changing the learning rate causes no new compilation."""
    require_one_compilation(case.training.traces, "keep what changes in variables made with add_variable")


@check("optimizer", everywhere=True)
def repeats(case: Any) -> None:
    """The same seed gives the same training; its state resumes exactly."""
    training = case.training
    half = len(training.again)
    drifted = training.drifted or (training.again, training.resumed) != (training.lines[:half], training.lines[half:])
    if drifted or not all(math.isfinite(v) for v in training.lines[-1].values()):
        raise Nonconformity(
            "training again from a saved state gives different numbers",
            "keep all it remembers in variables made in build() with add_variable_from_reference, and count steps by "
            "self.iterations",
        )
