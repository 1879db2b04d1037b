"""Brightness, contrast and colour cast, in grey levels: what the sliced Wasserstein distance takes out first."""

from __future__ import annotations

from typing import Any

import numpy as np


def tone(real: np.ndarray, fake: np.ndarray) -> dict[str, Any]:
    """Return how far the colours of two sets, uint8 (N, H, W, C), are apart, in levels of 255; 0 is identical.

    With the mean μ and the deviation σ of each channel over all pixels of a set, and Δ for fake minus real:
    ``distance`` is √(mean over channels of Δμ² + Δσ²), the Fréchet distance of two normal distributions of grey
    levels; ``brightness`` the mean of Δμ, above 0 when the fakes are brighter; ``contrast`` the mean of Δσ, below 0
    when they are flatter; ``cast`` a list of each channel's Δμ less ``brightness`` (for grey pictures, one 0).

    Source: Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions", equation 6.
    """
    (mean, deviation), (fake_mean, fake_deviation) = moments(real), moments(fake)
    means, deviations = fake_mean - mean, fake_deviation - deviation
    brightness = float(means.mean())
    return {
        "distance": float(np.sqrt((means**2 + deviations**2).mean())),
        "brightness": brightness,
        "contrast": float(deviations.mean()),
        "cast": [float(shift) - brightness for shift in means],
    }


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each channel's mean and deviation over all pixels of uint8 (N, H, W, C), float64 (C,) each."""
    levels = np.arange(256.0)
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ levels
    return mean, np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(1))
