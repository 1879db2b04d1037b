"""The rival: the adversarial loop as a good PyTorch programmer writes it by hand, with no toolkit.

Written well: fakes made once and used for both updates, nothing read back from the device, gradients set to None,
the optimizers' foreach form, pictures uint8 until they are needed. Real and fake go through the discriminator one
after the other and the generator's loss is sent back through all of the discriminator, as in PyTorch's own DCGAN
example and nearly every loop that followed it. ``lean`` does better than that: one batch for real and fake, and the
discriminator frozen while the generator learns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LATENT = 100


def dcgan(size: int, width: int, channels: int = 3) -> tuple[nn.Module, nn.Module]:
    """Return the networks of ``dcgan:layers=3,width=WIDTH,discriminator_width=WIDTH``."""
    start, top = size // 8, width * 4
    body: list[nn.Module] = [nn.Linear(LATENT, start * start * top, bias=False), nn.Unflatten(1, (top, start, start))]
    for a, b in ((top, top // 2), (top // 2, top // 4), (top // 4, channels)):
        body += [nn.BatchNorm2d(a), nn.ReLU(True), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=b == channels)]
    discriminator = nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        nn.Flatten(),
        nn.Linear(4 * width * start * start, 1),
    )
    return nn.Sequential(*body, nn.Tanh()), discriminator


def fcgan(size: int, hidden: tuple[int, ...] = (128, 256, 512), channels: int = 3) -> tuple[nn.Module, nn.Module]:
    """Return the networks of ``fcgan:dropout=0``."""
    pixels, last = size * size * channels, LATENT
    body: list[nn.Module] = []
    for units in hidden:
        body += [nn.Linear(last, units), nn.LeakyReLU(0.2, True), nn.BatchNorm1d(units, eps=1e-3, momentum=0.2)]
        last = units
    body += [nn.Linear(last, pixels), nn.Tanh(), nn.Unflatten(1, (channels, size, size))]
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, 512),
        nn.LeakyReLU(0.2, True),
        nn.Linear(512, 256),
        nn.LeakyReLU(0.2, True),
        nn.Linear(256, 1),
    )
    return nn.Sequential(*body), discriminator


def on_device(networks: tuple[Any, Any]) -> tuple[Any, Any]:
    """Move a generator and a discriminator to the GPU, if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return networks[0].to(device), networks[1].to(device)


class Rival:
    """Hand-written training; ``step`` takes uint8 (B, H, W, C) and makes one update of each network.

    Args:
        autocast: run the networks in bfloat16.
        lean: one batch for real and fake, and no weight gradients of D while G learns.
    """

    def __init__(
        self, networks: tuple[nn.Module, nn.Module], lr: float, autocast: bool = False, lean: bool = False
    ) -> None:
        self.generator, self.discriminator = networks
        self.autocast, self.lean = autocast, lean
        self.device = next(self.generator.parameters()).device
        self.g_opt, self.d_opt = (
            torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.999), eps=1e-8, foreach=True)
            for network in networks
        )

    def step(self, batch: np.ndarray, latents: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        bce = functional.binary_cross_entropy_with_logits
        real = torch.from_numpy(batch).to(self.device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1
        count = len(real)
        ones = torch.ones(count, 1, device=self.device)
        zeros = torch.zeros_like(ones)
        if latents is None:
            latents = torch.randn(count, LATENT, device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            fakes = self.generator(latents)
            if self.lean:
                logits = self.discriminator(torch.cat([real, fakes.detach()])).float()
                d_loss = bce(logits[:count], ones) + bce(logits[count:], zeros)
            else:
                d_loss = bce(self.discriminator(real).float(), ones)
                d_loss = d_loss + bce(self.discriminator(fakes.detach()).float(), zeros)
        self.d_opt.zero_grad(set_to_none=True)
        d_loss.backward()
        self.d_opt.step()
        self.discriminator.requires_grad_(not self.lean)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            g_loss = bce(self.discriminator(fakes).float(), ones)
        self.g_opt.zero_grad(set_to_none=True)
        g_loss.backward()
        self.g_opt.step()
        self.discriminator.requires_grad_(True)
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}


def copy_weights(network: nn.Module, model: Any) -> None:
    """Give a rival's network the weights of its Keras twin, layer by layer, in order.

    Keras flattens pictures as (H, W, C), torch as (C, H, W): dense layers beside a picture are turned accordingly.
    """
    sources = [layer for layer in model.layers if layer.get_weights()]
    targets = [m for m in network.modules() if list(m.parameters(recurse=False))]
    maps = {id(layer): _picture_beside(model, layer) for layer in sources}
    for target, layer in zip(targets, sources, strict=True):
        arrays = [np.asarray(a) for a in layer.get_weights()]
        before, after = maps[id(layer)]
        with torch.no_grad():
            if isinstance(target, nn.modules.batchnorm._BatchNorm):
                for name, array in zip(("weight", "bias", "running_mean", "running_var"), arrays):
                    getattr(target, name).copy_(torch.from_numpy(array))
                continue
            kernel = arrays[0]
            if isinstance(target, nn.Linear):
                kernel = kernel.T
                if before:
                    h, w, c = before
                    kernel = kernel.reshape(-1, h, w, c).transpose(0, 3, 1, 2).reshape(kernel.shape)
                if after:
                    h, w, c = after
                    kernel = kernel.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            else:
                # Keras keeps (H, W, in, out) for a convolution and (H, W, out, in) for a transposed one; torch
                # has the last two first, and the kernel turned by half a turn in neither.
                kernel = kernel.transpose(3, 2, 0, 1)
            target.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            if target.bias is not None:
                bias = arrays[1]
                if isinstance(target, nn.Linear) and after:
                    h, w, c = after
                    bias = bias.reshape(h, w, c).transpose(2, 0, 1).reshape(-1)
                target.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))


def _picture_beside(model: Any, layer: Any) -> tuple[Any, Any]:
    """Return the picture shapes a dense layer takes (after a Flatten) and gives (before a Reshape), or None."""
    names = [type(each).__name__ for each in model.layers]
    at = model.layers.index(layer)
    before = after = None
    if names[at] == "Dense":
        if at and names[at - 1] == "Flatten":
            before = tuple(model.layers[at - 1].input.shape[1:])
        if at + 1 < len(names) and names[at + 1] == "Reshape":
            after = tuple(model.layers[at + 1].output.shape[1:])
    return before, after
