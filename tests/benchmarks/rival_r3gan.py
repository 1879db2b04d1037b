"""A modern rival: R3GAN's rules as a good PyTorch programmer writes them by hand, with our ``r3gan``'s own networks.

Written well: channels-last, real and fake in one batch, fakes made once, the discriminator frozen while the generator
learns, both penalties' slopes from one pass, lazily, the optimizers' foreach form, the average by ``torch._foreach``.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ganforge.media.grids import to_uint8

LATENT, GAMMA, EVERY, AVERAGE = 64, 1.0, 4, 0.998


class Block(nn.Module):
    """x plus two 3x3 convolutions of x, the second starting at 0."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, 1, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        he = (2 / 1.04 / (9 * width)) ** 0.5
        nn.init.normal_(self.first.weight, 0.0, he * blocks**-0.5)
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(functional.leaky_relu(self.first(x), 0.2))


class Basis(nn.Module):
    """A picture (start, start) for each channel, which the numbers given are multiplied by."""

    def __init__(self, width: int, start: int, deviation: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(deviation * torch.randn(width, start, start))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def linear(a: int, b: int) -> nn.Module:
    if a == b:
        return nn.Identity()
    layer = nn.Conv2d(a, b, 1, bias=False)
    nn.init.normal_(layer.weight, 0.0, a**-0.5)
    return layer


class Generator(nn.Module):
    def __init__(self, start: int, widths: list[int], stem: int, channels: int = 3) -> None:
        super().__init__()
        top = widths[-1]
        self.dense, self.stem = nn.Linear(LATENT, top, bias=False), stem
        nn.init.normal_(self.dense.weight, 0.0, LATENT**-0.5)
        self.basis = Basis(top, start, 1.0)
        body: list[nn.Module] = [Block(top, len(widths))]
        for a, b in zip(widths[:0:-1], widths[-2::-1]):
            body += [linear(a, b), nn.Upsample(scale_factor=2, mode="bilinear"), Block(b, len(widths))]
        self.body = nn.Sequential(*body)
        side = 3 if stem > 1 else 1
        self.last = nn.Conv2d(widths[0], channels, side, 1, side // 2)
        nn.init.normal_(self.last.weight, 0.0, (side * side * widths[0]) ** -0.5)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.basis(self.dense(z)[:, :, None, None])
        x = self.body(x.contiguous(memory_format=torch.channels_last))
        if self.stem > 1:
            x = functional.interpolate(x, scale_factor=self.stem, mode="bilinear")
        return self.last(x)


class Discriminator(nn.Module):
    def __init__(self, start: int, widths: list[int], stem: int, channels: int = 3) -> None:
        super().__init__()
        side = 1 if stem == 1 else stem + 2
        self.first = nn.Conv2d(channels, widths[0], side, stem, (side - stem) // 2)
        nn.init.normal_(self.first.weight, 0.0, (side * side * channels) ** -0.5)
        nn.init.zeros_(self.first.bias)
        body: list[nn.Module] = [Block(widths[0], len(widths))]
        for a, b in itertools.pairwise(widths):
            body += [nn.AvgPool2d(2), linear(a, b), Block(b, len(widths))]
        self.body = nn.Sequential(*body)
        self.basis = Basis(widths[-1], start, 1 / start)
        self.dense = nn.Linear(widths[-1], 1, bias=False)
        nn.init.normal_(self.dense.weight, 0.0, widths[-1] ** -0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.basis(self.body(self.first(x))).sum((2, 3)))


def networks(size: int, width: int, stem: int, widest: int) -> tuple[Generator, Discriminator]:
    """Return the networks of ``r3gan:width=WIDTH,discriminator_width=WIDTH,stem=STEM,widest=WIDEST``."""
    sides = [size // stem]
    while sides[-1] % 2 == 0 and sides[-1] >= 8:
        sides.append(sides[-1] // 2)
    widths = [max(min(width * 2**n, widest), width) for n in range(len(sides))]
    made = Generator(sides[-1], widths, stem), Discriminator(sides[-1], widths, stem)
    for network in made:
        network.to(memory_format=torch.channels_last)
    return made


class ModernRival:
    """Hand-written training; ``step`` takes uint8 (B, H, W, C) and makes one update of each network."""

    def __init__(self, pair: tuple[Generator, Discriminator], lr: float, autocast: bool = False) -> None:
        self.generator, self.discriminator = pair
        self.average = copy.deepcopy(pair[0])
        self.autocast, self.steps = autocast, 0
        self.device = next(self.generator.parameters()).device
        self.g_opt, self.d_opt = (
            torch.optim.Adam(network.parameters(), lr, betas=(0.0, 0.99), foreach=True) for network in pair
        )

    def _cast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast)

    def step(self, batch: np.ndarray) -> dict[str, torch.Tensor]:
        real = torch.from_numpy(batch).to(self.device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1
        count = len(real)
        with self._cast():
            fakes = self.generator(torch.randn(count, LATENT, device=self.device)).float()
        both = mirrored(torch.cat([real, fakes.detach()]))
        pays = self.steps % EVERY == 0
        both.requires_grad_(pays)
        with self._cast():
            logits = self.discriminator(both).float()
        d_loss = functional.softplus(logits[count:] - logits[:count]).mean()
        loss = d_loss
        if pays:  # both slopes from one pass: a row's logit is that picture's alone
            (slopes,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
            loss = loss + EVERY * GAMMA / 2 * slopes.square().sum((1, 2, 3)).reshape(2, count).mean(1).sum()
        self.d_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.d_opt.step()
        self.discriminator.requires_grad_(False)
        with self._cast(), torch.no_grad():
            of_real = self.discriminator(mirrored(real)).float()
        with self._cast():
            of_fakes = self.discriminator(mirrored(fakes)).float()
        g_loss = functional.softplus(of_real - of_fakes).mean()
        self.g_opt.zero_grad(set_to_none=True)
        g_loss.backward()
        self.g_opt.step()
        self.discriminator.requires_grad_(True)
        self.steps += 1
        with torch.no_grad():
            mine, theirs = list(self.average.parameters()), list(self.generator.parameters())
            torch._foreach_lerp_(mine, theirs, 1 - AVERAGE)
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}


def mirrored(pictures: torch.Tensor) -> torch.Tensor:
    """Turn every second picture, on average, left to right."""
    turned = torch.rand(len(pictures), 1, 1, 1, device=pictures.device) < 0.5
    return torch.where(turned, pictures.flip(3), pictures).contiguous(memory_format=torch.channels_last)


def drawn(network: nn.Module, count: int, latent: int, seed: int) -> np.ndarray:
    """Return uint8 (count, H, W, C) pictures of a network in PyTorch, as it is when it does not train."""
    z = torch.randn(count, latent, generator=torch.Generator().manual_seed(seed))
    z = z.to(next(network.parameters()).device)
    network.eval()
    with torch.inference_mode():
        parts: Iterable[torch.Tensor] = (network(part) for part in z.split(100))
        pictures = torch.cat([part.float() for part in parts]).permute(0, 2, 3, 1)
    return to_uint8(pictures.cpu().numpy())
