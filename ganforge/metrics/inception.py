"""FID and KID as published, by a network from a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, reason
from ganforge.metrics.frechet import frechet_distance
from ganforge.metrics.kid import mmd


def inception_scores(real: np.ndarray, fake: np.ndarray, weights: Path) -> dict[str, Any]:
    """Return ``fid``, ``kid`` and ``kid_error`` of two sets, uint8 (N, H, W, C), by a network of your own.

    ``weights`` is a TorchScript file (``torch.jit.save``) of a network from uint8 (B, 3, H, W) to features (B, D),
    resizing included, such as the Inception-v3 that StyleGAN2-ADA and StyleGAN3 score with. Scores by different
    networks cannot be compared, nor can FIDs of different numbers of pictures. KID is taken over all pictures at
    once, not as a mean over subsets: what it estimates is the same, and ``kid_error`` is its standard error.

    Raises:
        GANForgeError: the file is not such a network.

    Source: Heusel et al. 2017 (FID); Bińkowski et al. 2018 (KID).
    """
    import torch

    def features(images: np.ndarray) -> np.ndarray:
        """Return float64 (N, D) of uint8 (N, H, W, C)."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), 64):
                batch = torch.from_numpy(np.array(images[start : start + 64])).permute(0, 3, 1, 2)
                parts.append(network(batch.expand(-1, 3, -1, -1)).float().flatten(1).double().numpy())
        return np.concatenate(parts)

    try:
        network = torch.jit.load(str(weights), map_location="cpu").eval()
        features(np.zeros_like(real[:2]))
    except Exception as error:
        raise GANForgeError(
            f"{weights} cannot be used: {reason(error, kind=False)}; expected a TorchScript file of a network from "
            "uint8 (B, 3, H, W) to features (B, D)"
        ) from None
    a, b = features(real), features(fake)
    value, deviation = mmd(a, b)
    return {"fid": frechet_distance(a, b), "kid": value, "kid_error": deviation, "weights": weights.name}
