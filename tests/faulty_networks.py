"""Architectures of other authors for the conformance kit: sound ones that are unusual, and some with one fault each.

Each is a body of layers between dense ends; loaded with ``--plugin``.
"""

import types

import keras
import numpy as np
from keras import layers, ops

from ganforge import Architecture, hookimpl


def generator(body=lambda x: x, last=lambda x: x):
    def build(image_shape, latent_dim, options):
        inputs = keras.Input((latent_dim,))
        x = body(layers.Dense(8, activation="relu", name="first")(inputs))
        x = layers.Dense(int(np.prod(image_shape)), activation="tanh", dtype="float32")(x)
        return keras.Model(inputs, last(layers.Reshape(image_shape)(x)), name="generator")

    return build


def discriminator(body=lambda x: x, pictures=layers.Flatten):
    def build(image_shape, options):
        inputs = keras.Input(image_shape)
        x = layers.LeakyReLU(0.2, name="leaky")(layers.Dense(8, name="first")(pictures()(inputs)))
        return keras.Model(inputs, layers.Dense(1, dtype="float32", name="last")(body(x)), name="discriminator")

    return build


def chain(*parts):
    def body(x):
        for part in parts:
            x = (part(name=part.__name__.lower()) if isinstance(part, type) else part())(x)
        return x

    return body


# ------------------------------------------------------------------ sound, and unusual


@keras.saving.register_keras_serializable("networks")
class MinibatchDeviation(layers.Layer):
    """The standard deviation over the batch, as one more feature (Karras et al. 2018)."""

    def call(self, x):
        deviation = ops.mean(ops.sqrt(ops.var(x, axis=0) + 1e-8))
        return ops.concatenate([x, ops.ones_like(x[:, :1]) * deviation], axis=1)

    def compute_output_shape(self, shape):
        return (*shape[:-1], shape[-1] + 1)


@keras.saving.register_keras_serializable("networks")
class Shrinking(layers.Layer):
    """Adds the mean square of what it sees to the loss."""

    def call(self, x):
        self.add_loss(0.3 * ops.mean(ops.square(x)))
        return x


@keras.saving.register_keras_serializable("networks")
class Block(layers.Layer):
    """Layers within a layer."""

    def __init__(self, units=8, **settings):
        super().__init__(**settings)
        self.units = units
        self.dense, self.noise = layers.Dense(units, name="dense"), layers.GaussianNoise(0.2, name="noise")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x, training=False):
        return x + self.noise(self.dense(x), training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Judge(keras.Model):
    """A class with a call of its own."""

    def __init__(self):
        super().__init__(name="judge")
        self.flat, self.drop, self.one, self.two = (
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(8),
            layers.Dense(1),
        )

    def call(self, x, training=False):
        return self.two(self.drop(ops.tanh(self.one(self.flat(x))), training=training))

    def compute_output_shape(self, shape):
        return (shape[0], 1)


def judge(image_shape, options):
    model = Judge()
    model(keras.Input(image_shape))
    return model


def mapping(x):
    inside = keras.Sequential(
        [layers.Dense(8), layers.GaussianDropout(0.1, name="dropping"), layers.LeakyReLU(0.2)], name="inside"
    )
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Add()([inputs, inside(inputs)]), name="mapping")(x)


def shared(image_shape, options):
    """One convolution and one Flatten, on two sizes."""
    inputs = keras.Input(image_shape)
    conv, flat = layers.Conv2D(4, 3, 2, "same", name="conv"), layers.Flatten(name="flat")
    ends = [layers.Dense(4)(flat(conv(x))) for x in (inputs, layers.Cropping2D(((0, 4), (0, 4)))(inputs))]
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(layers.Add()(ends)), name="discriminator")


def convolutions(image_shape, options):
    inputs = keras.Input(image_shape)
    x = layers.SpectralNormalization(layers.Conv2D(4, 3, 2, "same"), name="normalized")(inputs)
    x = layers.SpatialDropout2D(0.2)(layers.LeakyReLU(0.2)(layers.GaussianNoise(0.2)(x)))
    return keras.Model(
        inputs,
        layers.SpectralNormalization(layers.Dense(1), name="judging")(layers.Flatten()(x)),
        name="discriminator",
    )


def attention(x):
    tokens = layers.Masking()(layers.Reshape((4, 2))(x))
    return layers.Flatten()(layers.MultiHeadAttention(2, 2, dropout=0.1)(tokens, tokens))


SOUND = {
    "plain": {},
    "nested": {"g": generator(mapping), "d": discriminator(chain(Block, lambda: layers.GaussianNoise(0.3)))},
    "shared-layers": {"d": shared},
    "classy": {"d": judge},
    "spectral": {"d": convolutions},
    "minibatch": {"d": discriminator(chain(MinibatchDeviation))},
    "normed": {
        "g": generator(lambda x: layers.BatchNormalization(name="norm")(x)),
        "d": discriminator(lambda x: layers.BatchNormalization(name="norm")(x)),
    },
    "losing": {
        "g": generator(chain(Shrinking)),
        "d": discriminator(
            lambda x: Shrinking(name="shrinking")(
                layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.1), activity_regularizer="l2")(x)
            )
        ),
    },
    "losing-apart": {
        "d": discriminator(chain(Shrinking, MinibatchDeviation, lambda: layers.ActivityRegularization(l2=0.1)))
    },
    "constrained": {
        "d": discriminator(
            lambda x: layers.Dense(
                8,
                name="held",
                kernel_constraint=keras.constraints.MaxNorm(0.5),
                bias_constraint=keras.constraints.NonNeg(),
            )(x)
        )
    },
    "attentive": {"d": discriminator(attention)},
    "halves": {
        "g": generator(lambda x: layers.Dense(8, dtype="mixed_bfloat16")(x)),
        "d": discriminator(lambda x: layers.Dense(8, activation="tanh", dtype="mixed_bfloat16")(x)),
    },
}

# ------------------------------------------------------------------ with a fault


def own(name):
    return keras.saving.register_keras_serializable("networks", name)


@own("Counting")
class Counting(layers.Layer):
    """Counts its calls in Python, and fades in by them."""

    calls_so_far = 0

    def call(self, x):
        self.calls_so_far += 1
        return x * min(1.0, 0.5 + 0.01 * self.calls_so_far)


@own("Dice")
class Dice(layers.Layer):
    """Draws from NumPy."""

    def call(self, x):
        return x + ops.convert_to_tensor(np.random.standard_normal(x.shape[-1]), x.dtype)


@own("Seedless")
class Seedless(layers.Layer):
    """Draws from Keras's global generator."""

    def call(self, x, training=False):
        return x + keras.random.normal(ops.shape(x)) if training else x


@own("Stopping")
class Stopping(layers.Layer):
    """Goes through NumPy, where gradients end."""

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            return x
        return ops.convert_to_tensor(ops.convert_to_numpy(x) * 2.0)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


@own("Hiding")
class Hiding(layers.Layer):
    """Keeps a weight where Keras does not see it."""

    def build(self, shape):
        self.kept = types.SimpleNamespace(gain=keras.Variable(np.ones(shape[-1], "float32"), name="gain"))

    def call(self, x):
        return x * self.kept.gain


@own("Averaging")
class Averaging(layers.Layer):
    """Keeps a running mean where Keras does not see it."""

    def build(self, shape):
        self.kept = types.SimpleNamespace(
            mean=keras.Variable(np.zeros(shape[-1], "float32"), trainable=False, name="mean")
        )

    def call(self, x, training=False):
        if training:
            self.kept.mean.assign(0.9 * self.kept.mean + 0.1 * ops.stop_gradient(ops.mean(x, axis=0)))
        return x - self.kept.mean


@own("Doubling")
class Doubling(layers.Layer):
    """Works in float64 for a constant's sake."""

    def call(self, x):
        return ops.multiply(x, ops.convert_to_tensor(np.full(x.shape[-1], 0.5), "float64"))


@own("Restless")
class Restless(layers.Layer):
    """Is noisy in inference as well."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, x):
        return x + keras.random.normal(ops.shape(x), seed=self.seed_generator)


@own("Deciding")
class Deciding(layers.Layer):
    """Decides in Python on a value."""

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            return x
        return x if float(ops.max(x)) > 1e9 else x * 0.5

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


@own("Remembering")
class Remembering(layers.Layer):
    """Adds what it saw the last time."""

    seen = None

    def call(self, x):
        before, self.seen = self.seen, ops.stop_gradient(x)
        return x if before is None or before.shape != x.shape else x + 0.1 * before

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


@own("Asleep")
class Asleep(layers.Layer):
    """Calls what it holds in inference mode."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.drop = layers.Dropout(0.5, name="drop")

    def call(self, x):
        return self.drop(x, training=False)


class Lonely(keras.Model):
    """Has a train_step of its own."""

    def train_step(self, data):
        return {}


def lonely(image_shape, options):
    inputs = keras.Input(image_shape)
    return Lonely(inputs, layers.Dense(1, dtype="float32")(layers.Flatten()(inputs)), name="discriminator")


FAULTS = {
    "counting": {"g": generator(chain(Counting))},
    "counting-deep": {
        "d": discriminator(lambda x: keras.Sequential([layers.Dense(8), Counting(name="counting")], name="block")(x))
    },
    "dice": {"d": discriminator(chain(Dice))},
    "seedless-noise": {"d": discriminator(chain(Seedless))},
    "stopping": {"g": generator(chain(Stopping))},
    "hiding": {"d": discriminator(chain(Hiding))},
    "averaging": {"g": generator(chain(Averaging))},
    "doubling": {"d": discriminator(chain(Doubling))},
    "restless": {"g": generator(chain(Restless))},
    "deciding-network": {"d": discriminator(chain(Deciding))},
    "remembering": {"d": discriminator(chain(Remembering))},
    "asleep": {"d": discriminator(chain(Asleep))},
    "lonely": {"d": lonely},
}


@hookimpl
def register_architectures(register):
    for name, parts in {**SOUND, **FAULTS}.items():
        register(
            Architecture(
                name, parts.get("g", generator()), parts.get("d", discriminator()), summary="Of another author"
            )
        )
