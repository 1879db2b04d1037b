"""FID and KID as published, by torchmetrics and a network from a local file: the extra ``fid``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, reason


def inception_scores(real: np.ndarray, fake: np.ndarray, weights: Path) -> dict[str, Any]:
    """Return ``fid``, ``kid`` and ``kid_error`` of two sets, uint8 (N, H, W, C), by a network of your own.

    ``weights`` is a TorchScript file (``torch.jit.save``) of a network from uint8 (B, 3, H, W) to features (B, D),
    resizing included, such as the Inception-v3 that StyleGAN2-ADA and StyleGAN3 score with. Scores by different
    networks cannot be compared, nor can FIDs of different numbers of pictures. KID is taken over all pictures at
    once, not as a mean over subsets: what it estimates is the same, and ``kid_error`` is its standard error.

    Raises:
        GANForgeError: torchmetrics is missing, or the file is not such a network.

    Source: Heusel et al. 2017 (FID); Bińkowski et al. 2018 (KID).
    """
    if importlib.util.find_spec("torchmetrics") is None:
        raise GANForgeError("--inception needs the fid extra: pip install 'ganforge[fid]'")
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    from ganforge.metrics.kid import mmd

    class Features(torch.nn.Module):
        """The file's network; what it gives, as (B, D) float32."""

        def __init__(self) -> None:
            super().__init__()
            self.network = torch.jit.load(str(weights), map_location="cpu").eval()
            self.seen: list[np.ndarray] = []
            self.num_features = self(torch.zeros(2, 3, *real.shape[1:3], dtype=torch.uint8)).shape[1]

        def forward(self, images: Any) -> Any:
            with torch.inference_mode():
                seen = self.network(images).float().flatten(1)
            self.seen.append(seen.double().numpy())
            return seen

    try:
        network = Features()
    except Exception as error:
        raise GANForgeError(
            f"{weights} cannot be used: {reason(error, kind=False)}; expected a TorchScript file of a network from "
            "uint8 (B, 3, H, W) to features (B, D)"
        ) from None
    fid = FrechetInceptionDistance(feature=network)
    # Double, since the root of a product of covariances loses digits.
    fid.set_dtype(torch.float64)
    features = []
    for images, is_real in ((real, True), (fake, False)):
        network.seen.clear()
        for start in range(0, len(images), 64):
            batch = torch.from_numpy(np.array(images[start : start + 64])).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
            fid.update(batch, real=is_real)
        features.append(np.concatenate(network.seen))
    value, deviation = mmd(*features)
    return {"fid": float(fid.compute()), "kid": value, "kid_error": deviation, "weights": weights.name}
