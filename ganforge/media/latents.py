"""Walking between latents."""

from __future__ import annotations

import numpy as np


def spherical(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Return the point at ``t`` in [0, 1] on the great arc from ``a`` to ``b``, float32 (n,).

    slerp(a, b; t) = sin((1 - t) w) / sin w a + sin(t w) / sin w b, with w the angle between them: normal latents lie
    near a sphere, and a straight line would leave it. Source: White 2016, "Sampling Generative Networks".
    """
    cosine = np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    if sine < 1e-6:  # nearly parallel: the straight line is the arc
        return np.asarray((1.0 - t) * a + t * b, np.float32)
    return np.asarray(np.sin((1.0 - t) * angle) / sine * a + np.sin(t * angle) / sine * b, np.float32)
