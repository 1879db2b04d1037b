"""SNGAN: residual blocks in both networks. The discriminator is spectrally normalized (Miyato, Kataoka, Koyama &
Yoshida 2018, "Spectral Normalization for Generative Adversarial Networks"), which bounds its slope without a penalty.
With classes: conditional batch normalization and a projection (Miyato & Koyama 2018, "cGANs with Projection
Discriminator").

The generator repeats each pixel and convolves, which makes no checkerboard (Odena et al. 2016, "Deconvolution and
Checkerboard Artifacts"), and contains only Keras's own layers.
"""

import keras
from keras import layers, ops
from pydantic import Field

from ganforge import Architecture, Options, halvings, hookimpl, refused_size

ganforge_api = 2

MOST = 8  # times the width that maps have at the most


class SNGANOptions(Options):
    width: int = Field(
        32, ge=1, description="channels at full image size, doubled whenever the size halves, up to 8x"
    )
    blocks: int = Field(
        0, ge=0, le=8, description="doublings in the generator; 0: as many as keep the side at 4 or more"
    )
    batch_norm: bool = Field(True, description="batch normalization in the generator")
    discriminator_width: int = Field(
        32, ge=1, description="channels of the discriminator's first block, doubled at each later one"
    )
    discriminator_blocks: int = Field(
        0, ge=0, le=8, description="halvings in the discriminator; 0: as many as keep the side at 4 or more"
    )
    spectral_norm: bool = Field(True, description="spectral normalization in the discriminator")


# ------------------------------------------------------------------ spectral normalization


def normalized(kernel, u):
    """Return the kernel divided by its largest singular value, and the next estimate of its left singular vector.

    One power iteration a call (Miyato et al. 2018, algorithm 1): ``kernel`` is (..., outputs), ``u`` (1, outputs).
    """
    matrix = ops.reshape(ops.cast(kernel, "float32"), (-1, kernel.shape[-1]))
    fixed = ops.stop_gradient(matrix)  # the vectors count as constants when the gradient is taken
    v = _unit(ops.matmul(ops.cast(u, "float32"), ops.transpose(fixed)))
    u = _unit(ops.matmul(v, fixed))
    sigma = ops.sum(ops.matmul(v, matrix) * u)
    return kernel / ops.cast(ops.maximum(sigma, 1e-6), kernel.dtype), u


def _unit(vector):
    return vector / ops.maximum(ops.norm(vector), 1e-6)


class Spectral:
    """Mixed into a layer of one kernel: seen as a matrix, what it computes with has the largest singular value 1.

    ``keras.layers.SpectralNormalization`` overwrites the kernel itself with the normalized one in each call, so that
    the gradient lacks the paper's second term (its equation 12) and the optimizer moves a weight that is not its own.
    """

    def build(self, input_shape):
        super().build(input_shape)
        width = self.weights[0].shape[-1]
        self.u = self.add_weight((1, width), initializer="random_normal", trainable=False, name="u")

    def normal_kernel(self, kernel, training):
        kernel, u = normalized(kernel, self.u)
        if training:
            self.u.assign(ops.cast(u, self.u.dtype))
        return kernel


@keras.saving.register_keras_serializable("ganforge_sngan")
class SpectralConv2D(Spectral, layers.Conv2D):
    """A convolution of spectral norm 1."""

    def call(self, inputs, training=False):
        return self.convolution_op(inputs, self.normal_kernel(self.kernel, training)) + self.bias


@keras.saving.register_keras_serializable("ganforge_sngan")
class SpectralDense(Spectral, layers.Dense):
    """A dense layer of spectral norm 1."""

    def call(self, inputs, training=False):
        return ops.matmul(inputs, self.normal_kernel(self.kernel, training)) + self.bias


@keras.saving.register_keras_serializable("ganforge_sngan")
class SpectralEmbedding(Spectral, layers.Embedding):
    """An embedding whose table has spectral norm 1."""

    def compute_output_spec(self, inputs, training=False):  # noqa: ARG002  Embedding's does not take it
        return super().compute_output_spec(inputs)

    def call(self, inputs, training=False):
        table = self.normal_kernel(self.embeddings, training)
        return ops.cast(ops.take(table, inputs, axis=0), self.compute_dtype)


# ------------------------------------------------------------------ the two networks


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]."""
    inputs = keras.Input((latent_dim,))
    return keras.Model(inputs, _grow(inputs, None, 0, image_shape, options), name="generator")


def conditional_generator(image_shape, latent_dim, options, classes):
    """[(B, latent_dim), (B,) labels] -> (B, H, W, C): each normalization has a scale and a shift for each class."""
    latents, labels = keras.Input((latent_dim,)), keras.Input((), dtype="int32")
    return keras.Model([latents, labels], _grow(latents, labels, classes, image_shape, options), name="generator")


def discriminator(image_shape, options):
    """(B, H, W, C) in [-1, 1] -> (B, 1) logits."""
    inputs = keras.Input(image_shape)
    return keras.Model(inputs, _verdict(_features(inputs, options), options), name="discriminator")


def conditional_discriminator(image_shape, options, classes):
    """[(B, H, W, C), (B,) labels] -> (B, 1) logits: w · h + v_class · h for the features h."""
    inputs, labels = keras.Input(image_shape), keras.Input((), dtype="int32")
    features = _features(inputs, options)
    embedding = SpectralEmbedding if options.spectral_norm else layers.Embedding
    directions = embedding(classes, features.shape[-1], embeddings_initializer="glorot_uniform")(labels)
    fitting = layers.Dot(1, dtype="float32")([features, directions])
    logits = layers.Add(dtype="float32")([_verdict(features, options), fitting])
    return keras.Model([inputs, labels], logits, name="discriminator")


def _grow(latents, labels, classes, image_shape, options):
    blocks, start = _plan(image_shape, options.blocks, "blocks")
    widths = [options.width * min(MOST, 2**n) for n in reversed(range(blocks + 1))]

    def norm(x):
        return _normalize(x, labels, classes, options.batch_norm)

    x = layers.Dense(start[0] * start[1] * widths[0])(latents)
    x = layers.Reshape((*start, widths[0]))(x)
    for width in widths[1:]:
        x = _upward(x, width, norm, bias=not options.batch_norm)
    x = layers.ReLU()(norm(x))
    # The picture itself in float32 whatever the layers compute in: it has 256 levels, bfloat16 only 8 bits.
    return layers.Conv2D(image_shape[-1], 3, padding="same", activation="tanh", dtype="float32")(x)


def _upward(x, width, norm, bias):
    """Twice the side: normalize, enlarge, convolve twice; the skip is enlarged and convolved 1x1."""
    skip = layers.UpSampling2D()(layers.Conv2D(width, 1)(x))
    x = layers.UpSampling2D()(layers.ReLU()(norm(x)))
    x = layers.Conv2D(width, 3, padding="same", use_bias=bias)(x)
    return layers.Add()([skip, layers.Conv2D(width, 3, padding="same")(layers.ReLU()(norm(x)))])


def _normalize(x, labels, classes, batch_norm):
    """Normalize over the batch, then scale and shift: by weights, or by each class's own."""
    width = x.shape[-1]
    if batch_norm:
        # Momentum 0.9: snapshots use the running averages, which must keep up with a run of a few minutes.
        plain = labels is None
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=plain, scale=plain)(x)
    if labels is None:
        return x
    scale, shift = (
        layers.Reshape((1, 1, width))(layers.Embedding(classes, width, embeddings_initializer=start)(labels))
        for start in ("ones", "zeros")
    )
    return layers.Add()([layers.Multiply()([x, scale]), shift])


def _features(x, options):
    blocks, _ = _plan(x.shape[1:3], options.discriminator_blocks, "discriminator_blocks")
    conv = SpectralConv2D if options.spectral_norm else layers.Conv2D
    for n in range(blocks):
        x = _downward(x, options.discriminator_width * min(MOST, 2**n), conv, first=n == 0)
    return layers.GlobalAveragePooling2D(dtype="float32")(layers.LeakyReLU(0.1)(x))


def _downward(x, width, conv, first):
    """Half the side: convolve twice and average; the skip is averaged and convolved 1x1."""
    skip = conv(width, 1)(layers.AveragePooling2D(2)(x))
    if not first:  # the image itself is not cut at 0
        x = layers.LeakyReLU(0.1)(x)
    x = layers.LeakyReLU(0.1)(conv(width, 3, padding="same")(x))
    return layers.Add()([skip, layers.AveragePooling2D(2)(conv(width, 3, padding="same")(x))])


def _verdict(features, options):
    dense = SpectralDense if options.spectral_norm else layers.Dense
    return dense(1, dtype="float32")(features)


def _plan(sides, wanted, name):
    """Return how often both sides are halved, and what they are then: to 4 or more unless ``wanted`` says."""

    def maps(size):
        return halvings(size, smallest=2 if wanted else 4, times=wanted or None)

    def fits(size):
        return len(maps(size)) > max(1, wanted)

    size = tuple(sides[:2])
    if not fits(size):
        raise refused_size("sngan", size, fits, f"{name}={wanted}" if wanted else "")
    return len(maps(size)) - 1, maps(size)[-1]


DEFAULTS = {
    "latent_dim": 128,
    "learning_rate": 2e-4,
    "beta_1": 0.0,
    "batch_size": 64,
    "loss": "hinge",
    "optimizer": "adam:beta_2=0.9",
    "balance": ["generator-steps:generator=1,discriminator=5"],
    "ema": 0.999,
}


@hookimpl
def register_architectures(register):
    register(
        Architecture(
            "sngan",
            generator=generator,
            discriminator=discriminator,
            options=SNGANOptions,
            summary="Residual blocks, spectrally normalized discriminator",
            defaults=DEFAULTS,
        )
    )
    register(
        Architecture(
            "sngan-conditional",
            generator=conditional_generator,
            discriminator=conditional_discriminator,
            options=SNGANOptions,
            summary="SNGAN conditioned on the class, with conditional normalization and a projection discriminator",
            defaults=DEFAULTS,
            conditional=True,
        )
    )
