"""Every strategy with every loss and both steps: one step of the engine against the same step in NumPy."""

from __future__ import annotations

import math
from itertools import product

import keras
import numpy as np
from keras import ops

from ganforge import UsageError
from ganforge.plugin.types import RunConfig
from tests.exact.oracle import Oracle, Settings, assignments
from tests.exact.small import REGISTRY, Batches, Small, rows, strategy

LOSSES = ("bce", "least-squares", "hinge", "wasserstein", "relativistic")
DONE = 4 / 9  # the fraction of training done at step 4 of 10
# What each strategy is asked for, and what that is worth at DONE; by hand.
ASKED = {
    "none": ({}, {}),
    "auto": (
        {"start": 1.0, "noise": 0.3, "flip": 0.4, "rate": 2.0, "fade": 0.8, "cool": 0.9, "gamma": 0.5, "every": 2},
        {
            "sigma": 0.3 * (1 - (DONE - 0.2) / 0.8),
            "flip": 0.4 * (1 - (DONE - 0.2) / 0.8),
            "rates": (1 - (DONE - 0.1) / 0.9, (1 - (DONE - 0.1) / 0.9) / 2),
            "smoother": "auto",
            "gamma": 0.5 * (1 - 0.99 * DONE),
            "every": 2,
        },
    ),
    "noise-anneal": ({"start": 0.4, "end": 0.1}, {"sigma": 0.4 - 0.3 * DONE}),
    "input-noise": ({"sigma": 0.3}, {"sigma": 0.3}),
    "label-noise": ({"flip": 0.5, "smooth": 0.25}, {"flip": 0.5, "smooth": 0.25}),
    "unequal-lr": ({"generator": 3.0, "discriminator": 0.5}, {"rates": (3.0, 0.5)}),
    "generator-steps": ({"generator": 2}, {"generator_steps": 2}),
    "stronger-discriminator": ({}, {}),  # it changes the network before there is a step
    "lr-decay": (
        {"end": 0.1, "warmup": 0.4, "hold": 0.4},
        {"rates": (1 - 0.9 * (DONE - 0.4) / 0.6,) * 2},
    ),
    "r1": ({"gamma": 0.7, "end": 0.25, "every": 2}, {"gamma": 0.7 - 0.45 * DONE, "every": 2}),
    "r2": ({"gamma": 0.7}, {"gamma_at_fakes": 0.7}),
    "lecam": ({"weight": 0.3, "decay": 0.9, "warmup": 0.1}, {"lecam": (0.3, 0.9)}),
    "lookahead": ({"k": 2, "alpha": 0.3}, {"lookahead": (2, 0.3)}),
    "mirror": ({}, {"mirror": (3, 4, 2)}),
}
# What remembers is looked at in its second step: the first has nothing to go by.
SECOND = ("lecam", "lookahead")
# What changes pictures by many random numbers at once: held to its formulas in tests/test_augmenting.py instead.
AUGMENTING = ("diffaugment", "ada")
# Where a step takes long to compile, of what is new since 0.1 those pairs in which the two meet.
LATER = ("lr-decay", "r2", "lecam", "lookahead", "mirror")
MEETING = ("none", "r1", "r2", "label-noise")
CONFIG = ("fcgan", (8, 8, 3), 3, 8, 1, 0.01, {"hidden": (8,)}, {"discriminator_hidden": (8,)})


def fixed_draws(machine):
    """Let the engine draw what NumPy draws from each stream's number alone; return what was drawn, by stream."""
    drawn = {"normal": {}, "uniform": {}}

    def drawing(kind):
        def draw(key, stream, shape, dtype):
            shape = tuple(int(n) for n in shape)
            random = np.random.default_rng([int(stream), kind == "normal"])
            values = random.standard_normal(shape) if kind == "normal" else random.random(shape)
            drawn[kind][(int(stream), shape)] = np.float64(values.astype("float32"))
            return ops.convert_to_tensor(values.astype("float32"), dtype=dtype)

        return draw

    machine.engine.adapter.normal, machine.engine.adapter.uniform = drawing("normal"), drawing("uniform")
    return drawn


def against_numpy(loss, names, one_stage=False, weights=None, ema=0.15, compile=False, shape=(3, 4, 2)):
    """How far one step of the engine is from NumPy's: by metric, weight, moment and mean, each on its own scale.

    Not compiled unless said so: sixty programs that run once would cost minutes.
    """
    rate, known = 0.01, REGISTRY.get("loss", loss).value
    soft, steps = known.soft_labels, 2 if any(name in SECOND for name in names) else 1
    asked = [(name, dict(ASKED[name][0])) for name in names if name != "none"]
    expected = Settings(loss, one_stage, ema=ema)
    for name in names:
        for what, value in ASKED[name][1].items():
            setattr(expected, what, value)
    if not soft and "label-noise" in names:
        expected.smooth = asked[0][1]["smooth"] = 0.0
    strategies = [strategy(name, **options) for name, options in asked]
    for one in strategies:
        if hook := getattr(one, "configure_run", None):
            hook(config=RunConfig(*CONFIG, loss=loss, loss_options={}, soft_labels=soft, compares=known.compares))
    step = "one-stage" if one_stage else "two-stage"
    machine = Small(loss, strategies, shape, weights=weights, step=step, learning_rate=rate, ema=ema, compile=compile)
    drawn = fixed_draws(machine)
    batches = Batches(machine)
    metrics = machine.run(batches, (4, 4 + steps), 10)[-1]
    found = machine.read()
    z = next(values for (_, size), values in drawn["normal"].items() if size == (8, 3))
    noise = [v.reshape(8, -1) for (_, size), v in drawn["normal"].items() if size == (8, *shape)]
    chances = [v for (_, size), v in drawn["uniform"].items() if size[0] == 8 and v.size == 8]
    results = []
    for draws in assignments(expected, noise, chances):
        oracle = Oracle({k: machine.first[k] for k in "Wc"}, {k: machine.first[k] for k in "wqb"})
        for step in range(4, 4 + steps):
            numbers = oracle.step(expected, rows(batches.images(step)), z, draws, rate)
        assert set(numbers) <= set(metrics), (sorted(numbers), sorted(metrics))
        errors = {name: abs(metrics[name] - value) / (1 + abs(value)) for name, value in numbers.items()}
        for kind, network in (("value", oracle.g), ("value", oracle.d), ("m", oracle.g), ("m", oracle.d)):
            for name, array in (network.values if kind == "value" else network.m).items():
                scale = rate if kind == "value" else max(np.abs(array).max(), 1e-2)
                errors[f"{kind}/{name}"] = np.abs(found[f"{kind}/{name}"] - array).max() / scale
        for name, array in oracle.average.items():
            errors[f"average/{name}"] = np.abs(found[f"average/{name}"] - array).max() / rate
        if loss == "relativistic":
            del errors["value/b"]  # it has no slope, and Adam makes a step of the rounding; its moment is looked at
        results.append({name: float(error) for name, error in errors.items()})
    return min(results, key=lambda errors: max(errors.values())) if results else {"too few draws": math.inf}


def every_pair():
    """The errors of each pair that the engine takes, and what it says to each that it does not."""
    taken, refused = {}, {}
    for name, loss, one_stage in product(ASKED, LOSSES, (False, True)):
        if keras.backend.backend() != "torch" and not of_the_few(name, loss):
            continue
        pair = f"{name}|{loss}|{'one-stage' if one_stage else 'two-stage'}"
        try:
            taken[pair] = against_numpy(loss, [name], one_stage)
        except UsageError as refusal:
            refused[pair] = str(refusal)
    return taken, refused


def of_the_few(name, loss):
    """Say whether a pair is tried on each backend; all are on torch."""
    return name in MEETING if loss == "relativistic" else loss == "bce" or name not in LATER


def several_at_once():
    names = ["label-noise", "input-noise", "r1", "unequal-lr", "generator-steps"]
    later = ["label-noise", "input-noise", "r2", "unequal-lr", "lookahead"]
    return {
        "bce": against_numpy("bce", names),
        "hinge, compiled": against_numpy("hinge", names, compile=None),
        "relativistic, compiled": against_numpy("relativistic", later, compile=None),
    }


def far_logits():
    """Hard, soft and flipped labels with every logit near 10,000 or -10,000."""
    return {
        f"{loss} at {offset:g}": against_numpy(loss, ["label-noise"], weights={"b": offset})
        for loss in LOSSES
        for offset in (1e4, -1e4)
    }
