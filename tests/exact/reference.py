"""A small GAN in float64, its formulas written out picture by picture: what compositions of recipes are held to.

G(z) = tanh(z W + c). D has features f = tanh(x A + a) and K logits f V + v. torch serves as arithmetic and for
derivatives alone; nothing of the engine is used. Pictures are rows, (B, P).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import softplus

Weights = list[Tensor]
Update = Callable[[Weights, Weights, float], Weights]


def generate(g: Weights, z: Tensor) -> Tensor:
    return torch.tanh(z @ g[0] + g[1])


def features(d: Weights, x: Tensor) -> Tensor:
    return torch.tanh(x @ d[0] + d[1])


def judge(d: Weights, x: Tensor) -> Tensor:
    return features(d, x) @ d[2] + d[3]


# ------------------------------------------------------------------ optimizers: the next weights, from the formulas


@dataclass
class Rule:
    """Adam and its kin; ``betas`` may be changed before each step."""

    name: str = "adam"
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    t: int = 0
    slots: list[dict[str, Tensor]] = field(default_factory=list)

    def step(self, weights: Weights, gradients: Weights, rate: float) -> Weights:
        self.t += 1
        if not self.slots:
            self.slots = [{name: torch.zeros_like(w) for name in ("m", "v", "u")} for w in weights]
        return [self._one(w, g, s, rate) for w, g, s in zip(weights, gradients, self.slots)]

    def _one(self, w: Tensor, g: Tensor, s: dict[str, Tensor], rate: float) -> Tensor:
        if self.name == "sgd":  # v ← μ v - η g, w ← w + v; Nesterov: w ← w + μ v - η g
            s["v"] = self.momentum * s["v"] - rate * g
            return w + (self.momentum * s["v"] - rate * g if self.nesterov else s["v"])
        if self.name == "rmsprop":  # v ← ρ v + (1 - ρ) g², m ← μ m + η g / √(v + ε), w ← w - m
            s["v"] = self.beta_2 * s["v"] + (1 - self.beta_2) * g**2
            s["m"] = self.momentum * s["m"] + rate * g / torch.sqrt(s["v"] + self.epsilon)
            return w - s["m"]
        s["m"] = self.beta_1 * s["m"] + (1 - self.beta_1) * g
        s["v"] = self.beta_2 * s["v"] + (1 - self.beta_2) * g**2
        first, second = 1 - self.beta_1**self.t, 1 - self.beta_2**self.t
        if self.name == "optimistic-adam":
            u = s["m"] / first / (torch.sqrt(s["v"] / second) + self.epsilon)
            moved = w - 2 * rate * u + rate * s["u"]
            s["u"] = u
            return moved
        # Keras adds ε to the root of the raw second moment, and decays before it moves.
        return w * (1 - rate * self.decay) - rate * (second**0.5 / first) * s["m"] / (s["v"].sqrt() + self.epsilon)


# ------------------------------------------------------------------ one training


@dataclass
class Recipe:
    """What is trained with; each list of two is of G and D."""

    loss: str = "bce"
    rules: list[Rule] = field(default_factory=lambda: [Rule(), Rule()])
    r1: Callable[[int], float] | None = None  # gamma of a step
    every: int = 1
    r2: float = 0.0
    lecam: tuple[float, float] | None = None
    jacobian: float = 0.0
    lookahead: tuple[int, float] | None = None
    betas: Callable[[int], dict[str, float]] | None = None
    ema: Callable[[int], float] | None = None  # decay after so many updates


class Training:
    """Both networks, step by step."""

    def __init__(self, recipe: Recipe, g: Weights, d: Weights) -> None:
        self.recipe, self.g, self.d = recipe, g, d
        self.slow, self.mean, self.anchors = [g, d], g, None
        self.done, self.metrics = 0, {}

    def step(self, x: Tensor, z: Tensor, y: Tensor | None, rate: float) -> dict[str, float]:
        """One step on real pictures, latents, and normal numbers of a picture's shape; returns its metrics."""
        self._set_betas()
        fakes = generate(self.g, z).detach()
        d = [w.clone().requires_grad_() for w in self.d]
        loss, total = self._of_discriminator(d, x, fakes)
        self.metrics["d_loss"] = float(loss.detach())
        self.d = self.recipe.rules[1].step(self.d, list(torch.autograd.grad(total, d)), rate)
        g = [w.clone().requires_grad_() for w in self.g]
        loss, total = self._of_generator(g, x, z, y)
        self.metrics["g_loss"] = float(loss.detach())
        self.g = self.recipe.rules[0].step(self.g, list(torch.autograd.grad(total, g)), rate)
        self._look_back()
        if self.recipe.ema:
            decay = self.recipe.ema(self.done)
            self.mean = [decay * m + (1 - decay) * w for m, w in zip(self.mean, self.g)]
        self.done += 1
        return dict(self.metrics)

    def _of_discriminator(self, d: Weights, x: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor]:
        r, real, fake = self.recipe, judge(d, x), judge(d, fakes)
        if r.loss == "relativistic":
            loss = softplus(-(real - fake)).mean()
        else:
            loss = softplus(-real).mean() + softplus(fake).mean()
        if r.loss == "features":
            loss = loss + 0.1 * (features(d, x) ** 2).mean() + 0.2 * features(d, fakes).mean()
        total = loss
        if r.r1 and self.done % r.every == 0:
            penalty = r.r1(self.done) / 2 * squared_slope(d, x)
            self.metrics["r1/penalty"] = float(penalty.detach())
            total = total + r.every * penalty
        if r.r2:
            penalty = r.r2 / 2 * squared_slope(d, fakes)
            self.metrics["r2/penalty"] = float(penalty.detach())
            total = total + penalty
        if r.lecam:
            total = total + self._hold(real, fake)
        return loss, total

    def _hold(self, real: Tensor, fake: Tensor) -> Tensor:
        weight, decay = self.recipe.lecam
        penalty, means = torch.zeros(()), [float(real.detach().mean()), float(fake.detach().mean())]
        if self.anchors:
            of_real, of_fake = self.anchors
            penalty = weight * (((real - of_fake) ** 2).mean() + ((fake - of_real) ** 2).mean())
            means = [decay * a + (1 - decay) * m for a, m in zip(self.anchors, means)]
        self.anchors = means
        self.metrics |= {"lecam/penalty": float(penalty.detach()), "lecam/real": means[0], "lecam/fake": means[1]}
        return penalty

    def _of_generator(self, g: Weights, x: Tensor, z: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        r, images = self.recipe, generate(g, z)
        fake, real = judge(self.d, images), judge(self.d, x)
        loss = softplus(-(fake - real)).mean() if r.loss == "relativistic" else softplus(-fake).mean()
        if r.loss == "features":
            loss = loss + ((features(self.d, x).mean(0) - features(self.d, images).mean(0)) ** 2).sum()
        total = loss
        if r.jacobian:
            lengths = []
            for latent, direction in zip(z, y):  # each by itself
                at = latent.clone().requires_grad_()
                projected = (generate(g, at[None])[0] * direction).sum()
                lengths.append((torch.autograd.grad(projected, at, create_graph=True)[0] ** 2).sum())
            penalty = r.jacobian * (torch.stack(lengths).mean() + judge(self.d, images).mean())
            self.metrics["jacobian/generator_penalty"] = float(penalty.detach())
            total = total + penalty
        return loss, total

    def _set_betas(self) -> None:
        for name, value in (self.recipe.betas(self.done) if self.recipe.betas else {}).items():
            side, _, beta = name.partition("_")
            setattr(self.recipe.rules[side == "discriminator"], beta, value)

    def _look_back(self) -> None:
        if self.recipe.lookahead and (self.done + 1) % self.recipe.lookahead[0] == 0:
            alpha = self.recipe.lookahead[1]
            fast = [self.g, self.d]
            self.slow = [[s + alpha * (f - s) for s, f in zip(*pair)] for pair in zip(self.slow, fast)]
            self.g, self.d = self.slow


def squared_slope(d: Weights, pictures: Tensor) -> Tensor:
    """The mean over pictures of |grad of the mean of a picture's K logits|², one picture at a time."""
    squares = []
    for picture in pictures:
        at = picture.clone().requires_grad_()
        slope = torch.autograd.grad(judge(d, at[None]).mean(), at, create_graph=True)[0]
        squares.append((slope**2).sum())
    return torch.stack(squares).mean()
