"""Trains networks of many kinds of Keras layers; ``python layers_probe.py BACKEND FILE`` writes what came of them.

With the name of a kind of discriminator behind them, of that one alone. For each kind: two whole steps with R1, from
the same weights, latents and noise on every backend, by plain gradient steps (Adam's first are signs, which magnify
rounding). On TensorFlow the same steps are written out by hand as well, in eager Keras with ``tf.GradientTape``: what
all three must equal.
"""

from __future__ import annotations

import sys

import numpy as np

from ganforge.backend import choose_backend

choose_backend(sys.argv[1])

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

from ganforge import Strategy, hookimpl  # noqa: E402
from ganforge.engine.engine import Engine  # noqa: E402
from ganforge.engine.randomness import Random  # noqa: E402
from ganforge.plugin.registry import load_plugins  # noqa: E402
from ganforge.plugin.types import Batch, Progress  # noqa: E402

BATCH, SIDE, LATENT, STEPS, RATE = 4, 8, 5, 2, 0.05
REGISTRY = load_plugins()
GAMMA = 0.7


# ------------------------------------------------------------------ layers of other people


class Undecided(layers.Layer):
    """Half as much in inference: its ``training`` is False unless somebody says otherwise."""

    def call(self, x, training=False):
        return x if training else x / 2.0


class Wrapping(layers.Layer):
    """Takes no ``training`` itself; what it wraps has to get it all the same."""

    def __init__(self):
        super().__init__()
        self.inner = Undecided()

    def call(self, x):
        return self.inner(x) * 1.5


class OwnSpectralNorm(layers.Layer):
    """W / sigma by one power iteration each call, the vector kept: differentiable, and it reads what it assigned."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform", name="kernel")
        self.u = self.add_weight(shape=(self.units, 1), initializer="random_normal", trainable=False, name="u")

    def call(self, x, training=False):
        if training:
            v = ops.matmul(self.kernel, self.u)
            v = ops.stop_gradient(v / ops.norm(v))
            u = ops.matmul(ops.transpose(self.kernel), v)
            self.u.assign(ops.stop_gradient(u / ops.norm(u)))
        wu = ops.matmul(self.kernel, self.u)
        v = ops.stop_gradient(wu / ops.norm(wu))
        sigma = ops.matmul(ops.transpose(v), ops.matmul(self.kernel, self.u))
        return ops.matmul(x, self.kernel / sigma)


class MinibatchDeviation(layers.Layer):
    """Appends the mean standard deviation over the batch (Karras et al. 2018), by a gate that starts at 0."""

    def build(self, shape):
        self.gate = self.add_weight(shape=(), initializer="zeros", name="gate")

    def call(self, x):
        deviation = ops.mean(ops.sqrt(ops.var(x, axis=0) + 1e-8))
        return ops.concatenate([x, self.gate * ops.ones_like(x[:, :1]) * deviation], axis=-1)


class Adds(layers.Layer):
    """Adds a mean and a sum over the batch to the losses."""

    def call(self, x):
        self.add_loss(0.01 * ops.mean(ops.square(x)))
        self.add_loss(0.002 * ops.sum(ops.square(x)))
        return x


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.inner = layers.Dense(5), Wrapping()

    def call(self, x):
        return self.inner(ops.tanh(self.dense(x)))


# ------------------------------------------------------------------ discriminators


def chain(x, *parts):
    for part in parts:
        x = part(x)
    return x


def every_layer(x):
    """Every layer of Keras that takes a picture or a vector and draws no random numbers, side by side."""
    flat, words = layers.Flatten()(x), layers.Reshape((SIDE * SIDE, 3))(x)
    cubes = layers.Reshape((4, 4, 4, 3))(x)
    short = layers.Reshape((8, 24))(x)
    twice = layers.Dense(4)(short)
    pictures = [
        layers.Conv2D(3, 3, padding="same", activation="softmax"),
        layers.Conv2D(4, 3, padding="same", groups=1, dilation_rate=2),
        layers.Conv2D(6, 3, 2, "same", groups=3),
        layers.Conv2D(4, 4, 2, "same", activation="leaky_relu"),
        layers.Conv2DTranspose(3, 4, 2, "same", activation="softmax"),
        layers.Conv2DTranspose(5, 3, 2, "valid", output_padding=1),
        layers.SeparableConv2D(4, 3),
        layers.DepthwiseConv2D(3, 2),
        layers.BatchNormalization(trainable=False),
        layers.BatchNormalization(axis=1, trainable=False),
        layers.LayerNormalization(),
        layers.GroupNormalization(3),
        layers.RMSNormalization(),
        layers.UnitNormalization(),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]),
        layers.PReLU(shared_axes=(1, 2)),
        layers.LeakyReLU(0.3),
        layers.ReLU(max_value=0.5),
        layers.ReLU(),
        layers.ELU(),
        layers.Softmax(),
        layers.Activation("gelu"),
        layers.Permute((3, 1, 2)),
        layers.Flatten(data_format="channels_first"),
        layers.UpSampling2D(interpolation="bilinear"),
        layers.ZeroPadding2D(1),
        layers.Cropping2D(1),
        layers.CenterCrop(6, 6),
        layers.Resizing(6, 6),
        layers.Rescaling(2.0, 0.1),
        layers.MaxPooling2D(),
        layers.AveragePooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(),
        layers.AdaptiveAveragePooling2D(3),
        layers.TimeDistributed(layers.Dense(3)),
        layers.EinsumDense("abcd,de->abce", (8, 8, 3), bias_axes="e"),
        layers.Identity(),
        layers.Lambda(lambda t: ops.sin(t)),
        layers.Dense(3, activation="softmax"),
        Undecided(),
        Wrapping(),
    ]
    sequences = [
        layers.Conv1D(4, 3, padding="causal"),
        layers.Conv1DTranspose(4, 3, 2),
        layers.SeparableConv1D(4, 3),
        layers.DepthwiseConv1D(3),
        layers.MaxPooling1D(),
        layers.AveragePooling1D(2),
        layers.UpSampling1D(),
        layers.ZeroPadding1D(),
        layers.Cropping1D(2),
        layers.GlobalAveragePooling1D(),
    ]
    branches = [
        *(part(x) for part in pictures),
        *(part(words) for part in sequences),
        layers.Conv3D(3, 2)(cubes),
        layers.Conv3DTranspose(3, 2)(cubes),
        layers.MaxPooling3D()(cubes),
        layers.RepeatVector(2)(layers.Dense(3)(flat)),
        layers.Add()([twice, layers.Masking(0.0)(twice)]),
        layers.MultiHeadAttention(2, 3)(twice, twice),
        layers.Attention()([twice, twice]),
        layers.Dot(1)([layers.Dense(3)(flat), layers.Dense(3)(flat)]),
        layers.Maximum()([layers.Dense(3)(flat), layers.Dense(3)(flat)]),
        *(op(twice) for op in (ops.tanh, lambda t: t * 2.0 + 1.0)),
    ]
    summaries = [layers.Dense(1)(layers.Flatten()(branch)) for branch in branches]
    return layers.Dense(1, dtype="float32")(layers.Concatenate()(summaries))


def recurrent(x):
    """Layers that go through a sequence. XLA takes minutes for their second derivatives: not on JAX."""
    short, film = layers.Reshape((8, 24))(x), layers.Reshape((2, 4, 8, 3))(x)
    branches = [
        layers.LSTM(3)(short),
        layers.GRU(3)(short),
        layers.SimpleRNN(3)(short),
        layers.Bidirectional(layers.SimpleRNN(2))(short),
        layers.RNN(layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(3)]))(short),
        layers.Flatten()(layers.ConvLSTM1D(3, 3)(x)),
        layers.Flatten()(layers.ConvLSTM2D(2, 3)(film)),
    ]
    return layers.Dense(1)(layers.Concatenate()(branches))


def nested(x):
    """Models in models, used twice, one a class; a layer shared on two sizes; one written over in place, one not."""
    shared_conv, shared_flat = layers.Conv2D(4, 3, 2, "same"), layers.Flatten()
    block = keras.Sequential(
        [layers.Input((4, 4, 4)), Undecided(), layers.Conv2D(4, 3, padding="same"), layers.ReLU()]
    )
    start = layers.Input((4, 4, 4))
    deeper = keras.Model(start, layers.LeakyReLU(0.2)(block(block(start)) + start))
    small = layers.Cropping2D(((0, 1), (1, 0)))(x)
    a, b = shared_conv(x), shared_conv(small)
    ways = [
        shared_flat(layers.LeakyReLU(0.1)(deeper(a))),
        shared_flat(deeper(b, training=False)),
        shared_flat(x),
        shared_flat(small),
        Subclassed()(shared_flat(layers.ReLU()(a))),
    ]
    return layers.Dense(1)(layers.Concatenate()(ways))


def spectral(x):
    """Keras's spectral normalization and another's, whose assignments a second derivative runs over."""
    wrapped = layers.SpectralNormalization(layers.Conv2D(4, 3, 2, "same"), power_iterations=1)
    x = layers.Flatten()(layers.LeakyReLU(0.2)(wrapped(x)))
    x = ops.tanh(layers.SpectralNormalization(layers.Dense(6))(x))
    return layers.Dense(1)(OwnSpectralNorm(4)(x))


def together(x):
    """Judged apart: batch statistics by two layers, with losses that layers add, and regularizers."""
    x = layers.Conv2D(4, 4, 2, "same", kernel_regularizer=keras.regularizers.L2(0.02))(x)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.01))(layers.Flatten()(x))
    x = layers.Dense(4, activation="tanh")(Adds()(MinibatchDeviation()(x)))
    return layers.Dense(1)(x)


def alone(x):
    """The same losses where no picture depends on its companions: judged as one batch."""
    x = layers.Conv2D(4, 4, 2, "same", kernel_regularizer=keras.regularizers.L2(0.02))(x)
    x = layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.01))(layers.Flatten()(x))
    return layers.Dense(1)(Adds()(ops.tanh(x)))


KINDS = {"every layer": every_layer, "nested": nested, "spectral": spectral, "together": together, "alone": alone}
KINDS["recurrent"] = recurrent
# XLA compiles these two for minutes; tests/matrix.py has the first.
SLOW_ON_JAX = ("every layer", "recurrent")


def networks(kind):
    inputs = layers.Input((SIDE, SIDE, 3))
    discriminator = keras.Model(inputs, KINDS[kind](inputs))
    generator = keras.Sequential(
        [
            layers.Input((LATENT,)),
            layers.Dense(16, kernel_regularizer=keras.regularizers.L1(0.003)),
            Undecided(),
            *([layers.SpectralNormalization(layers.Dense(12))] if kind == "spectral" else []),
            *([Adds()] if kind == "alone" else []),
            layers.BatchNormalization(),
            layers.Dense(SIDE * SIDE * 3, activation="tanh"),
            layers.Reshape((SIDE, SIDE, 3)),
        ]
    )
    random = np.random.default_rng(3)
    for model in (generator, discriminator):
        for v in model.variables:
            if v.trainable or v.path.endswith(("/u", "vector_u")):
                v.assign(random.normal(0.02, 0.25, v.shape).astype("float32"))
    return generator, discriminator


def same_each_step(key, stream, shape, dtype):
    values = np.random.default_rng(stream).standard_normal(tuple(int(n) for n in shape))
    return ops.convert_to_tensor(values.astype("float32"), dtype=dtype)


def plain_step(optimizer, gradients, variables, rate):
    for variable, gradient in zip(variables, gradients):
        variable.assign(ops.stop_gradient(variable - RATE * gradient))


class Pictures:
    def iterate(self, start, stop):
        for step in range(start, stop):
            yield step, Batch(pictures(step))


def pictures(step):
    # No value twice in a picture: where two are the largest, backends take different slopes of a maximum.
    values = np.tile(np.arange(SIDE * SIDE * 3, dtype=np.uint8), (BATCH, 1))
    return np.random.default_rng(step).permuted(values, axis=1).reshape(BATCH, SIDE, SIDE, 3)


def arrays(generator, discriminator):
    return [np.array(ops.convert_to_numpy(v.value)) for m in (generator, discriminator) for v in m.variables]


def by_engine(kind):
    generator, discriminator = networks(kind)
    r1 = REGISTRY.get("strategy", "r1").value
    engine = Engine(
        generator,
        discriminator,
        REGISTRY.get("loss", "bce").value,
        strategies=[r1(r1.Options(gamma=GAMMA))],
        batch_size=BATCH,
        latent_dim=LATENT,
    )
    engine.adapter.normal, engine.adapter.apply = same_each_step, plain_step
    lines = []
    for step in engine.steps(Pictures(), lambda s: Progress(s, STEPS, 0, 1), 0, STEPS):
        line = step.read()
        lines.append(
            [line["d_loss"], line["g_loss"], line.get("discriminator/losses", 0.0), line["generator/losses"]]
        )
    engine.adapter.sync_to_keras()
    names = [v.path for m in (generator, discriminator) for v in m.variables]
    return engine.judges_apart, lines, names, arrays(generator, discriminator)


def by_hand(kind, apart):
    """The same steps in eager Keras on TensorFlow: the paper's loop, R1 from its formula, nothing of the engine's."""
    import tensorflow as tf

    generator, discriminator = networks(kind)
    stream = Random(None, None, "latents")._next()
    latents = same_each_step(None, stream, (BATCH, LATENT), "float32")
    lines = []

    def added(model):
        """What the last call added: means over the batch, and sums."""
        adding = [layer for layer in model.layers if isinstance(layer, Adds)]
        active = [layer for layer in model.layers if layer.activity_regularizer is not None]
        means = [layer.losses[0] for layer in adding + active]
        return sum(means, tf.zeros(())), sum((layer.losses[1] for layer in adding), tf.zeros(()))

    def weights(model):
        return sum((v.regularizer(v) for v in model.trainable_variables if v.regularizer is not None), tf.zeros(()))

    for step in range(STEPS):
        real = tf.constant(pictures(step).astype("float32") / 127.5 - 1.0)
        with tf.GradientTape() as of_generator:
            fakes = generator(latents, training=True)
            g_own = weights(generator) + sum(added(generator))
        with tf.GradientTape() as tape:
            if apart:
                real_logits = discriminator(real, training=True)
                mean, whole = added(discriminator)
                fake_logits = discriminator(tf.stop_gradient(fakes), training=True)
                second_mean, second_whole = added(discriminator)
                extra = (mean + second_mean) / 2.0 + whole + second_whole
            else:
                logits = discriminator(tf.concat([real, fakes], 0), training=True)
                extra = sum(added(discriminator))
                real_logits, fake_logits = logits[:BATCH], logits[BATCH:]
            d_own = weights(discriminator) + extra
            d_loss = tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(real)
                total = tf.reduce_sum(discriminator(real, training=True))
            slopes = inner.gradient(total, real)
            r1 = GAMMA / 2 * tf.reduce_mean(tf.reduce_sum(tf.square(slopes), [1, 2, 3]))
            objective = d_loss + r1 + d_own
        variables = [v.value for v in discriminator.trainable_variables]
        for v, g in zip(variables, tape.gradient(objective, variables, unconnected_gradients="zero")):
            v.assign_sub(RATE * g)
        with tf.GradientTape() as through:
            through.watch(fakes)
            g_loss = tf.reduce_mean(tf.nn.softplus(-discriminator(fakes, training=True)))
        at_fakes = through.gradient(g_loss, fakes)
        variables = [v.value for v in generator.trainable_variables]
        gradients = of_generator.gradient([fakes, g_own], variables, [at_fakes, tf.ones(())], "zero")
        for v, g in zip(variables, gradients):
            v.assign_sub(RATE * g)
        lines.append([float(d_loss), float(g_loss), float(d_own), float(g_own)])
    return lines, arrays(generator, discriminator)


# ------------------------------------------------------------------ constraints, random layers, classes


class Clip(keras.constraints.Constraint):
    def __call__(self, w):
        return ops.clip(w, -0.01, 0.01)


def constrained():
    """Return the largest weight under ``Clip`` and the columns' norms under ``UnitNorm``, after steps of Adam."""
    generator = keras.Sequential([layers.Input((LATENT,)), layers.Dense(SIDE * SIDE * 3), layers.Reshape((8, 8, 3))])
    parts = [
        layers.Flatten(),
        layers.Dense(4, kernel_constraint=Clip()),
        layers.Dense(3, kernel_constraint=keras.constraints.UnitNorm(axis=0)),
        layers.Dense(1),
    ]
    discriminator = keras.Sequential([layers.Input((SIDE, SIDE, 3)), *parts])
    loss = REGISTRY.get("loss", "bce").value
    engine = Engine(generator, discriminator, loss, batch_size=BATCH, latent_dim=LATENT, learning_rate=0.01)
    for _ in engine.steps(Pictures(), lambda s: Progress(s, 3, 0, 1), 0, 3):
        pass
    engine.adapter.sync_to_keras()
    clipped, normed = (ops.convert_to_numpy(discriminator.layers[i].kernel) for i in (1, 2))
    return np.array([np.abs(clipped).max(), *np.linalg.norm(normed, axis=0)])


RANDOM = {
    "dropout": lambda: layers.Dropout(0.3),
    "seeded dropout": lambda: layers.Dropout(0.3, seed=7),
    "gaussian noise": lambda: layers.GaussianNoise(0.5),
    "gaussian dropout": lambda: layers.GaussianDropout(0.3),
    "alpha dropout": lambda: layers.AlphaDropout(0.3),
    "spatial dropout": lambda: layers.SpatialDropout2D(0.3),
    "inside a model": lambda: keras.Sequential([layers.Input((32, 32, 16)), layers.GaussianNoise(0.5)]),
    "inside a layer": lambda: Holds(layers.GaussianNoise(0.5)),
}


class Holds(layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def random_layers():
    """Return what layers that draw random numbers make of ones in two steps, (2, 16, 32, 32, 16) each."""
    from ganforge.engine.backends import make_adapter
    from ganforge.engine.networks import seeded
    from ganforge.engine.traits import observe

    inputs = layers.Input((32, 32, 16))
    with seeded(0):  # a layer without a seed takes one of Python's random numbers
        model = keras.Model(inputs, layers.Concatenate()([make()(inputs) for make in RANDOM.values()]))
    adapter = make_adapter(model.variables)
    forward, _ = adapter.forward(model, observe(adapter, model, [(32, 32, 16)], 4, 0))
    run = adapter.compile(lambda x, key: {"out": forward(x)}, "random layers")
    ones = np.ones((16, 32, 32, 16), np.float32)
    steps = []
    for step in range(2):
        out = run(ones, np.array([step, 1], np.uint32))["out"]
        steps.append(np.array(ops.convert_to_numpy(ops.stop_gradient(out))))
    return dict(zip(RANDOM, np.split(np.stack(steps), len(RANDOM), axis=-1)))


def conditional():
    """Return penalties on half a batch, on a whole one, and on one and a half, of a linear conditional network."""
    takes = [layers.Input((LATENT,)), layers.Input((), dtype="int32")]
    made = layers.Dense(SIDE * SIDE * 3)(layers.Concatenate()([takes[0], layers.Embedding(3, 2)(takes[1])]))
    generator = keras.Model(takes, layers.Reshape((SIDE, SIDE, 3))(made))
    takes = [layers.Input((SIDE, SIDE, 3)), layers.Input((), dtype="int32")]
    scores = layers.Embedding(3, 1, embeddings_initializer="random_normal")(takes[1])
    discriminator = keras.Model(takes, layers.Add()([layers.Dense(1)(layers.Flatten()(takes[0])), scores]))

    class Parts(Strategy):
        name = "parts"

        @hookimpl
        def discriminator_penalty(self, discriminator, real, fake):
            more = ops.concatenate([real, fake[: BATCH // 2]])
            beyond = discriminator(more)[BATCH:] - discriminator(fake[: BATCH // 2])
            parts = [discriminator(real[: BATCH // 2]), discriminator(real)]
            rows = [ops.reshape(ops.arange(1.0, len(part) + 1.0), (-1, 1)) for part in parts]
            return sum(ops.mean(part * row) for part, row in zip(parts, rows)) + ops.sum(ops.abs(beyond))

    class Labelled(Pictures):
        def iterate(self, start, stop):
            for step in range(start, stop):
                yield step, Batch(pictures(step), np.array([0, 1, 2, 1], np.int32))

    for model in (generator, discriminator):
        for v in model.trainable_variables:
            v.assign(np.random.default_rng(4).normal(0.0, 0.3, v.shape).astype("float32"))
    loss = REGISTRY.get("loss", "bce").value
    engine = Engine(
        generator,
        discriminator,
        loss,
        strategies=[Parts()],
        batch_size=BATCH,
        latent_dim=LATENT,
        frequencies=np.full(3, 1 / 3),
    )
    kernel, bias, table = (np.array(ops.convert_to_numpy(v.value)) for v in discriminator.trainable_variables)
    (step,) = engine.steps(Labelled(), lambda s: Progress(s, 1, 0, 1), 0, 1)
    flat = (pictures(0).astype("float32") / 127.5 - 1.0).reshape(BATCH, -1)
    logits = (flat @ kernel + bias)[:, 0] + table[[0, 1, 2, 1], 0]
    weighted = logits * np.arange(1, BATCH + 1)
    # What is beyond the batch begins with the classes of its first rows: no difference there.
    return np.array([step.read()["parts/penalty"], weighted[: BATCH // 2].mean() + weighted.mean()])


class OwnGenerator(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.hidden, self.shaped = layers.Dense(SIDE * SIDE * 3), Undecided(), layers.Reshape((8, 8, 3))

    def call(self, latents):
        return ops.tanh(self.shaped(self.hidden(self.dense(latents))))


class OwnDiscriminator(keras.Model):
    def __init__(self):
        super().__init__()
        self.flat, self.hidden = layers.Flatten(), layers.SpectralNormalization(layers.Dense(6))
        self.one = layers.Dense(1)

    def call(self, x, training=False):
        return self.one(ops.tanh(self.hidden(self.flat(x), training=training)))


def classes_of_ones_own():
    """Return how far two builds from a seed are apart, how many weights there are and did not move, and a picture."""
    from ganforge import Architecture
    from ganforge.engine.networks import build_networks

    one = Architecture("own", generator=lambda *_: OwnGenerator(), discriminator=lambda *_: OwnDiscriminator())
    built = [build_networks(one, (SIDE, SIDE, 3), LATENT, one.options(), one.options(), seed=4) for _ in range(2)]
    first, second = (arrays(*pair) for pair in built)
    loss = REGISTRY.get("loss", "bce").value
    engine = Engine(*built[0], loss, batch_size=BATCH, latent_dim=LATENT, learning_rate=0.01)
    for _ in engine.steps(Pictures(), lambda s: Progress(s, 2, 0, 1), 0, 2):
        pass
    engine.adapter.sync_to_keras()
    ended = arrays(*built[0])
    picture = engine.generate(np.ones((1, LATENT), np.float32))
    dense = built[0][0].dense
    weights = [np.array(ops.convert_to_numpy(v.value)) for v in dense.variables]
    # In inference, half of what it is in training.
    expected = np.tanh((np.ones((1, LATENT)) @ weights[0] + weights[1]) / 2.0).reshape(1, 8, 8, 3)
    apart = max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))
    still = sum(np.array_equal(a, b) for a, b in zip(first, ended, strict=True))
    return np.array([apart, len(ended), still, float(np.abs(picture - expected).max())])


report = {}
for kind in sys.argv[3:] or [k for k in KINDS if keras.backend.backend() != "jax" or k not in SLOW_ON_JAX]:
    apart, lines, names, values = by_engine(kind)
    report[f"{kind}/apart"] = np.array(apart)
    report[f"{kind}/lines"] = np.array(lines)
    report[f"{kind}/names"] = np.array(names)
    for i, value in enumerate(values):
        report[f"{kind}/ours/{i:03d}"] = value
    if keras.backend.backend() == "tensorflow":
        lines, values = by_hand(kind, apart)
        report[f"{kind}/by hand"] = np.array(lines)
        for i, value in enumerate(values):
            report[f"{kind}/theirs/{i:03d}"] = value
if not sys.argv[3:]:
    report["constrained"], report["conditional"] = constrained(), conditional()
    report["own"] = classes_of_ones_own()
    report |= {f"random/{name}": values for name, values in random_layers().items()}
np.savez(sys.argv[2], **report)
