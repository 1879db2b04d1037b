"""What the engine draws by itself, seen through metrics and Adam's moments alone."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from ganforge import Loss, Strategy, hookimpl
from ganforge.engine.engine import Engine
from ganforge.engine.networks import dtype_policy, seeded
from ganforge.plugin.types import Batch, Progress
from tests.exact.small import REGISTRY, STILL, Batches, Small, rows, strategy

CRITIC = Loss(
    "plain-critic",
    lambda real_logits, fake_logits: ops.mean(fake_logits) - ops.mean(real_logits),
    lambda fake_logits: -ops.mean(fake_logits),
)
SIGMA, SMALL = 0.3, 0.01
NOISY = {
    "input-noise": {"sigma": SIGMA},
    "noise-anneal": {"start": SIGMA, "end": SIGMA},
    "auto": {"start": 1.0, "noise": SIGMA, "flip": 0.0, "fade": 0.0, "cool": 0.0, "gamma": 0.0},
}
GREY = 140


def noise(name, steps=80):
    """Noise on pictures that are all alike: its mean and its square, where D sees reals, fakes, and G's own pass.

    D gives the scaled sum of a picture's numbers (or of their squares), so small that the sigmoid is a straight line.
    """
    batch, shape = 16, (8, 8, 3)
    pixels = 8 * 8 * 3
    found = {"grey": GREY / 127.5 - 1.0, "numbers": batch * pixels}
    machine = Small(CRITIC, [strategy(name, **NOISY[name])], shape, batch, learning_rate=STILL)
    for what, weights in (("means", {"w": SMALL / pixels}), ("squares", {"q": 2 * SMALL / pixels})):
        machine.set_weights(dict.fromkeys("Wcwqb", 0.0) | weights)
        lines = machine.run(Batches(machine, constant=GREY), (0, steps), steps)
        found[what] = {
            "real": [4 * (line["d_real"] - 0.5) / SMALL for line in lines],
            "fake": [4 * (line["d_fake"] - 0.5) / SMALL for line in lines],
            "again": [-line["g_loss"] / SMALL for line in lines],
        }
    return found


def labels(name, steps=100, **options):
    """Four times the sum of the labels that each side is told, step by step; exact in float32."""

    def told(real_logits, fake_logits, real_labels, fake_labels):
        quarters = 4.0 * ops.sum(real_labels) + 1024.0 * 4.0 * ops.sum(fake_labels)
        return quarters + 0.0 * (ops.mean(real_logits) + ops.mean(fake_logits))

    machine = Small(
        Loss("told", told, lambda fake_logits: ops.mean(fake_logits)),
        [strategy(name, **options)],
        batch=64,
        learning_rate=STILL,
    )
    sums = [round(line["d_loss"]) for line in machine.run(Batches(machine), (0, steps), steps)]
    return {"real": [n % 1024 for n in sums], "fake": [n // 1024 for n in sums]}


class Counts(Strategy):
    """So many updates of each network."""

    name = "counts"

    def __init__(self, generator, discriminator):
        super().__init__()
        self.counts = {"generator_steps": generator, "discriminator_steps": discriminator}

    @hookimpl
    def plan_step(self):
        return self.counts


def fresh():
    """The mean latent of every update of two steps with three updates of each network, and whose reals D saw.

    With a plain critic, G's gradient is -mean(z) w' and D's mean(z) W - mean(x); Adam's first moment m ← (m + g) / 2
    gives them back one update at a time.
    """
    linear = {"q": 0.0, "b": 0.0, "c": 0.0}

    def moments(generator, discriminator, step):
        machine = Small(
            CRITIC, [Counts(generator, discriminator)], batch=8, weights=linear, learning_rate=STILL, compile=False
        )
        batches = Batches(machine)
        machine.run(batches, (step, step + 1), 3)
        found = machine.read()
        return machine, batches, found["m/W"], found["m/w"]

    latents, offs = {}, {}
    for step in (0, 1):
        machine, batches, m, own = moments(1, 1, step)
        w, into = np.float64(machine.first["w"]), np.float64(machine.first["W"])

        def of_generator(gradient, w=w):
            return (-gradient @ w / (w @ w)).tolist()

        def of_discriminator(gradient, images, into=into):
            latent, *_ = np.linalg.lstsq(into.T, gradient + rows(images).mean(0), rcond=None)
            return latent.tolist(), float(np.abs(latent @ into - gradient - rows(images).mean(0)).max())

        latents[f"G 0 of {step}"] = of_generator(2 * m)
        latents[f"D 0 of {step}"], offs[f"D 0 of {step}"] = of_discriminator(2 * own, batches.images(step))
        before, earlier = m, np.zeros_like(own)
        for k in (1, 2):
            after = moments(k + 1, 1, step)[2]
            latents[f"G {k} of {step}"], before = of_generator(2 * after - before), after
            # D's extra updates come first, the step's own last: m = own / 2 + latest / 4 + the one before / 8.
            extra = 4 * (moments(1, k + 1, step)[3] - own) - earlier / 2
            earlier = extra
            name = f"D {k} of {step}"
            latents[name], offs[name] = of_discriminator(extra, batches.images(step, k))
    return {"latents": latents, "off": offs}


class Statistic(Strategy):
    """Logs a number made of what its penalty draws."""

    def __init__(self, name, function):
        super().__init__()
        type(self).name = self.name = name
        self.function = function

    @hookimpl
    def discriminator_penalty(self, random):
        return self.function(random)


def statistics():
    """Moments of what ``random`` gives to hooks, over 64 × 512 numbers in each of several steps."""
    shape = (64, 512)

    def apart(random):
        first, second = random.normal(shape), random.normal(shape)
        return ops.mean(first * second)

    functions = {
        "normal-mean": lambda r: ops.mean(r.normal(shape)),
        "normal-square": lambda r: ops.mean(ops.square(r.normal(shape))),
        "normal-fourth": lambda r: ops.mean(r.normal(shape) ** 4),
        "small-normal-square": lambda r: ops.mean(ops.square(r.normal((32, 32)))),
        "product-of-two": apart,
        "uniform-mean": lambda r: ops.mean(r.uniform(shape, 2.0, 5.0)),
        "uniform-variance": lambda r: ops.var(r.uniform(shape, 2.0, 5.0)),
        "uniform-least": lambda r: ops.min(r.uniform(shape, 2.0, 5.0)),
        "uniform-most": lambda r: ops.max(r.uniform(shape, 2.0, 5.0)),
        "bernoulli": lambda r: ops.mean(r.bernoulli(shape, 0.3)),
    }
    strategies = [type(f"Statistic{i}", (Statistic,), {})(*item) for i, item in enumerate(functions.items())]
    machine = Small(CRITIC, strategies, learning_rate=STILL)
    lines = machine.run(Batches(machine), (0, 8), 8)
    return {name: [line[f"{name}/penalty"] for line in lines] for name in functions}


def precision():
    """The first step's metrics of one small convolutional GAN in float32 and in bfloat16, from the same weights."""
    found = {}
    for name in ("float32", "mixed_bfloat16"):
        with dtype_policy(name), seeded(3):
            generator = keras.Sequential(
                [
                    layers.Input((12,)),
                    layers.Dense(4 * 4 * 8),
                    layers.Reshape((4, 4, 8)),
                    layers.LeakyReLU(0.2),
                    layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh", dtype="float32"),
                ]
            )
            discriminator = keras.Sequential(
                [
                    layers.Input((8, 8, 3)),
                    layers.Conv2D(8, 4, 2, "same"),
                    layers.LeakyReLU(0.2),
                    layers.Flatten(),
                    layers.Dense(1, dtype="float32"),
                ]
            )
        engine = Engine(
            generator,
            discriminator,
            REGISTRY.get("loss", "bce").value,
            strategies=[strategy("r1")],
            batch_size=16,
            latent_dim=12,
            compile=False,
        )

        class Pictures:
            def iterate(self, start, stop):
                images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
                for step in range(start, stop):
                    yield step, Batch(images)

        found[name] = [s.read() for s in engine.steps(Pictures(), lambda s: Progress(s, 3, 0, 1), 0, 1)]
        found[f"{name} computes in"] = str(generator.layers[0].compute_dtype)
    return found
