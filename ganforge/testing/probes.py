"""What the checks make of a plugin: what a strategy plans, configures and traces; what networks are built of.

No Keras is loaded here before a function needs it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.calling import implementation, reads_state, strategy_hooks
from ganforge.plugin.hookspecs import SINCE_2, TRACED_HOOKS
from ganforge.plugin.types import Progress, RunConfig
from ganforge.testing.framework import Nonconformity

STEPS = 40


def signals(step: int) -> dict[str, float]:
    """Return what training might have measured: the discriminator wins, then loses, then wins again."""
    accuracy = 0.65 + 0.34 * math.cos(2.0 * math.pi * step / STEPS)
    return {
        "step": step,
        "d_loss": 2.0 * (1.0 - accuracy),
        "g_loss": 5.0 * accuracy,
        "d_real": accuracy,
        "d_fake": 1.0 - accuracy,
        "d_accuracy": accuracy,
        "d_real_sign": 2.0 * accuracy - 1.0,
        "d_real_logit": 4.0 * accuracy - 2.0,
        "d_fake_logit": 2.0 - 4.0 * accuracy,
    }


def plans(
    strategies: Sequence[Any], start: int = 0, stop: int = STEPS, empty: bool = False, **held: float
) -> list[dict[str, float]]:
    """Return what is planned from one step to another, some signals ``held`` at a value."""
    from ganforge.engine.plan import Planner

    planner = Planner(strategies, 1.0)
    steps = max(STEPS, stop)
    progress = (Progress(s, steps, s // 10, steps // 10) for s in range(start, stop))
    return [planner.plan(p, {} if empty or not p.step else {**signals(p.step), **held}).flat() for p in progress]


def behaviour(case: Any, options: Any) -> str | None:
    """Return what a strategy plans, configures and does to fixed pictures, labels and networks; None if refused."""
    try:
        strategy = case.strategy(options)
        # A discriminator that always guesses, and one that is always right, move what a loop may move.
        planned = [
            plans([strategy]),
            *(plans([case.strategy(options)], stop=10 * STEPS, d_accuracy=a) for a in (0.5, 1.0)),
        ]
        made, done = configured(case, options), traced(case, options)
        trained = trajectory(case, options) if speaks_version_2(case.value) else []
    except UsageError:
        return None
    return json.dumps([planned, made, {name: np.round(value, 6).tolist() for name, value in done.items()}, trained])


def speaks_version_2(strategy: Any) -> bool:
    """Say whether a strategy does what only training shows: hooks of version 2, a device state, lazy penalties."""
    hooks = (implementation(strategy, hook) for hook in TRACED_HOOKS if hook in SINCE_2)
    return strategy.lazy or any(hooks) or bool(reads_state(strategy))


def trajectory(case: Any, options: Any, steps: int = 12) -> list[dict[str, float]]:
    """Return the metrics of a few steps of small networks."""
    from ganforge.testing.small import run

    return run(case.small([case.strategy(options)]), 0, steps, total=steps)


def first_state(strategy: Any) -> Any:
    """Return the device state that a strategy begins with on small networks, as tensors; None without one."""
    import keras

    from ganforge.engine.state import DeviceState
    from ganforge.testing.small import BATCH, SIDE, small_networks

    def given() -> dict[str, Any]:  # networks are built for those alone that have a state
        weights = {
            f"{side}_weights": [keras.ops.convert_to_numpy(v.value) for v in model.trainable_variables]
            for side, model in zip(("generator", "discriminator"), small_networks())
        }
        return {"image_shape": (SIDE, SIDE, 3), "batch_size": BATCH, **weights}

    return DeviceState([strategy], given).read().get(strategy.name)


def configured(case: Any, options: Any) -> list[Any]:
    """Return what ``configure_run`` makes of the architectures that come with GANForge."""
    hook = strategy_hooks(case.strategy(options)).get("configure_run")
    if hook is None:
        return []
    results: list[Any] = []
    for name in ("dcgan", "fcgan"):
        architecture = case.registry.get("architecture", name).value
        values = architecture.options().model_dump()
        config = RunConfig(name, (32, 32, 3), 16, 64, 10, 1e-3, dict(values), dict(values), "bce", {})
        try:
            hook(config=config)
        except UsageError as error:
            results.append(str(error))
            continue
        for side in (config.generator_options, config.discriminator_options):
            architecture.options(**side)
        results.append([config.generator_options, config.discriminator_options, config.learning_rate])
    return results


def traced(case: Any, options: Any, strategy: Any = None) -> dict[str, np.ndarray]:
    """Return what the traced hooks give for fixed pictures, labels, controls and random numbers."""
    import keras

    from ganforge.engine.door import result_of
    from ganforge.testing.small import BATCH, SIDE, random_numbers, some_pictures, tensors

    strategy = strategy or case.strategy(options)
    hooks = strategy_hooks(strategy)
    controls, state = tensors(own_scalars(strategy)), first_state(strategy)
    done = {}
    for real in (True, False):
        common = {"real": real, "controls": controls}
        images = keras.ops.convert_to_tensor(some_pictures(BATCH, SIDE))
        labels = keras.ops.ones((BATCH, 1)) * float(real)
        for name, argument in (("discriminator_images", images), ("discriminator_labels", labels)):
            if hook := hooks.get(name):
                given = {name.removeprefix("discriminator_"): argument, **common}
                returned = hook(**given, random=random_numbers(case.idle_engine), state=state)
                result = result_of(strategy.name, name, returned, None)
                _require_same_form(name, result, argument)
                done[f"{name}, real={real}"] = np.asarray(keras.ops.convert_to_numpy(result))
    return done


def own_scalars(strategy: Any) -> dict[str, float]:
    """Return the scalars of the first step that are a strategy's own."""
    flat = plans([type(strategy)(strategy.options)], stop=1, empty=True)[-1]
    prefix = f"{strategy.name}/"
    return {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}


def _require_same_form(name: str, result: Any, argument: Any) -> None:
    if tuple(result.shape) != tuple(argument.shape):
        raise Nonconformity(
            f"{name} gives the shape {tuple(result.shape)} from {tuple(argument.shape)}", "keep the shape"
        )
    import keras

    if keras.backend.standardize_dtype(result.dtype) != "float32":
        raise Nonconformity(
            f"{name} gives {keras.backend.standardize_dtype(result.dtype)} from float32", "cast the result to float32"
        )


def is_traced(strategy: type[Any]) -> bool:
    """Say whether a strategy has a hook that is compiled into the step."""
    return any(hasattr(strategy, hook) for hook in TRACED_HOOKS)


def refuses(case: Any, others: list[Any]) -> bool:
    """Say whether planning refuses a combination, as two strategies that set one number of updates must be."""
    try:
        plans([case.strategy(), *(other() for other in others)], stop=1)
    except UsageError:
        return True
    except GANForgeError as error:
        raise Nonconformity(str(error), "see the check plans-the-same-scalars") from None
    return False


# ------------------------------------------------------------------ networks and training


def described(case: Any, options: Any) -> str | None:
    """Return what describes both networks whole: their layers' settings and shapes; None where they are refused."""
    from ganforge.engine.keras_internals import all_layers

    try:
        networks = case.build(case.size, options=options)
    except UsageError:
        return None
    parts = []
    for model in networks:
        settings = []
        for layer in all_layers(model)[1:]:
            config = dict(layer.get_config()) if hasattr(layer, "get_config") else {}
            config.pop("name", None)
            settings.append([layer.__class__.__name__, config])
        shapes = [tuple(v.shape) for v in model.variables]
        parts.append(json.dumps([settings, shapes], default=lambda o: type(o).__name__, sort_keys=True))
    return "\n".join(_unnumbered(part) for part in parts)


def _unnumbered(text: str) -> str:
    # Keras numbers layers through the process, and initializers carry a seed: neither is the network's own.
    text = re.sub(r'"(name|inbound_nodes|seed|shared_object_id)": ("[^"]*"|\d+|null|\[[^\]]*\])', "", text)
    return re.sub(r"_\d+\b", "", text)


def require_finite(lines: Sequence[dict[str, float]], change: str, at: str = "") -> None:
    """Raise ``Nonconformity`` where a metric of a step is not finite; ``change``: what to do then."""
    for step, line in enumerate(lines):
        for name, value in line.items():
            if not math.isfinite(value):
                raise Nonconformity(f"{name} is {value} after {step + 1} steps{at}", change)


def require_one_compilation(traces: dict[str, int], change: str) -> None:
    """Raise ``Nonconformity`` where training compiled an update more than once; ``change``: what to do then."""
    more = {name: count for name, count in traces.items() if count > 1}
    if more:
        raise Nonconformity(f"twenty steps compiled {', '.join(more)} {max(more.values())} times", change)
