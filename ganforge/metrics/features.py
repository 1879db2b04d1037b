"""Numbers that describe a picture: a fixed convolutional network with random weights, the same everywhere."""

from __future__ import annotations

import numpy as np

NAME = "random-conv-1"
WIDTHS, FLOOR = (16, 32, 64, 128), 0.01


def features(images: np.ndarray) -> np.ndarray:
    """Return float32 (N, 480) of uint8 (N, H, W, 1 or 3): mean and deviation over the picture of each channel.

    Logarithms of them, so that no rare picture outweighs the rest. Four convolutions of 3 × 3 with ReLU, each
    followed by a mean over 2 × 2 (while 4 pixels are left); 16, 32, 64 and 128 channels, weights orthogonal and
    drawn once from a fixed seed. Nothing was trained, and nothing is downloaded. Such features see colour, edges and
    textures and know nothing of cats: they compare generators of the same pictures, and their numbers have nothing
    to do with published ones.

    Source: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", section 4.3 (random
    embeddings tell generators apart where a network trained on other pictures may not).
    """
    import torch
    from torch.nn.functional import avg_pool2d, conv2d, pad, relu

    weights = [torch.from_numpy(w) for w in _weights()]
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), 128):
            x = torch.from_numpy(np.ascontiguousarray(images[start : start + 128]).copy()).permute(0, 3, 1, 2)
            x = x.float() / 127.5 - 1.0
            x = x.expand(-1, 3, -1, -1)
            pooled = []
            for weight in weights:
                x = relu(conv2d(pad(x, (1, 1, 1, 1), mode="reflect"), weight))
                pooled += [torch.log(f + FLOOR) for f in (x.mean((2, 3)), x.std((2, 3), correction=0))]
                if min(x.shape[2:]) >= 4:
                    x = avg_pool2d(x, 2)
            parts.append(torch.cat(pooled, 1).numpy())
    return np.concatenate(parts)


def _weights() -> list[np.ndarray]:
    random = np.random.default_rng(20180227)
    result, channels = [], 3
    for width in WIDTHS:
        flat = random.standard_normal((max(width, channels * 9), min(width, channels * 9)))
        orthogonal = np.linalg.qr(flat)[0]
        orthogonal = orthogonal if orthogonal.shape[0] == width else orthogonal.T
        # He's gain, corrected for how much of the input an orthogonal matrix keeps.
        gain = np.sqrt(2.0 * max(1.0, width / (channels * 9)))
        result.append((gain * orthogonal).reshape(width, channels, 3, 3).astype(np.float32))
        channels = width
    return result
