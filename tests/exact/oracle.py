"""A small GAN in float64 NumPy, every gradient written out by hand: what the engine's numbers are held to.

The generator is linear, G(z) = z W + c. The discriminator is quadratic, D(x) = x·w + x²·q / 2 + b: its slope w + q x
differs from picture to picture, and second derivatives count. Pictures are rows, (B, P).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

BETA_1, BETA_2, EPSILON = 0.5, 0.999, 1e-8


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


# ------------------------------------------------------------------ losses: value and slope of each logit


def side(loss: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One side of the discriminator's loss, for logits ``x`` and labels ``y``, before the mean over the batch."""
    if loss == "bce":
        return y * softplus(-x) + (1 - y) * softplus(x), sigmoid(x) - y
    if loss == "least-squares":
        return (x - y) ** 2 / 2, x - y
    if loss == "hinge":
        value = y * np.maximum(0, 1 - x) + (1 - y) * np.maximum(0, 1 + x)
        return value, -y * (x < 1) + (1 - y) * (x > -1)
    assert loss == "wasserstein"
    assert np.isin(y, (0, 1)).all()
    return np.where(y == 1, -x, x), np.where(y == 1, -1.0, 1.0)


def wanted(loss: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The generator's loss for each logit of its fakes."""
    if loss == "bce":
        return softplus(-x), sigmoid(x) - 1
    if loss == "least-squares":
        return (x - 1) ** 2 / 2, x - 1
    return -x, -np.ones_like(x)


def pairs(real: np.ndarray, fake: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The relativistic loss of each pair, and its slope at the real logit; at the fake one it is the negative of it.

    A pair that is told 0 has its two logits exchanged.
    """
    assert np.isin(y, (0, 1)).all()
    margin = np.where(y == 1, real - fake, fake - real)
    return softplus(-margin), np.where(y == 1, -1.0, 1.0) * sigmoid(-margin)


def right(loss: str, real: np.ndarray, fake: np.ndarray) -> float:
    """The share of pictures that D tells apart: at a log-odds of 0, midway between two targets, or in pairs."""
    if loss in ("wasserstein", "relativistic"):
        return float(np.mean(real > fake))
    middle = 0.5 if loss == "least-squares" else 0.0
    return float((np.mean(real > middle) + np.mean(fake < middle)) / 2)


# ------------------------------------------------------------------ networks


@dataclass
class Adam:
    """Keras's Adam: a = rate √(1 - β₂ᵗ) / (1 - β₁ᵗ), p ← p - a m / (√v + ε)."""

    values: dict[str, np.ndarray]
    m: dict[str, np.ndarray] = field(default_factory=dict)
    v: dict[str, np.ndarray] = field(default_factory=dict)
    t: int = 0

    def step(self, gradients: dict[str, np.ndarray], rate: float) -> None:
        self.t += 1
        a = rate * np.sqrt(1 - BETA_2**self.t) / (1 - BETA_1**self.t)
        for name, g in gradients.items():
            self.m[name] = BETA_1 * self.m.get(name, 0.0) + (1 - BETA_1) * g
            self.v[name] = BETA_2 * self.v.get(name, 0.0) + (1 - BETA_2) * g**2
            self.values[name] = self.values[name] - a * self.m[name] / (np.sqrt(self.v[name]) + EPSILON)


def judge(d: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    return x @ d["w"] + x**2 @ d["q"] / 2 + d["b"]


def slope(d: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    return d["w"] + d["q"] * x


@dataclass
class Settings:
    """What a strategy asks for at the step under test; 0 and 1 change nothing."""

    loss: str
    one_stage: bool = False
    sigma: float = 0.0
    flip: float = 0.0
    smooth: float = 0.0
    gamma: float = 0.0
    smoother: str = "r1"  # whose penalty at real pictures it is
    every: int = 1  # the step under test is one in which r1 is paid, and then so many times as much
    gamma_at_fakes: float = 0.0
    lecam: tuple[float, float] | None = None  # weight and decay
    lookahead: tuple[int, float] | None = None  # k and alpha
    mirror: tuple[int, int, int] | None = None  # the pictures' shape: each is turned with probability 1/2
    penalty: float = 10.0
    rates: tuple[float, float] = (1.0, 1.0)
    generator_steps: int = 1
    ema: float = 0.0


def turned(s: Settings, images: np.ndarray, chances: np.ndarray | None) -> np.ndarray:
    """Turn the rows left to right whose chance is below 1/2; done twice, it is undone."""
    if not s.mirror:
        return images
    other = images.reshape(-1, *s.mirror)[:, :, ::-1].reshape(images.shape)
    return np.where(chances.reshape(-1, 1) < 0.5, other, images)


NOISES = ("real", "fake", "again", "again_real", "penalty")
Draws = dict[str, Any]  # NOISES: normal; flip_real, flip_fake, t, and turn_ with each of NOISES: uniform


class Oracle:
    """The two networks, their optimizers and the mean of G's weights."""

    def __init__(self, g: dict[str, np.ndarray], d: dict[str, np.ndarray]) -> None:
        self.g, self.d = (Adam({name: np.float64(array) for name, array in values.items()}) for values in (g, d))
        self.average = dict(self.g.values)
        self.slow = [dict(self.g.values), dict(self.d.values)]
        self.steps, self.updates, self.anchors = 0, 0, None

    def fakes(self, z: np.ndarray) -> np.ndarray:
        return z @ self.g.values["W"] + self.g.values["c"]

    def step(self, s: Settings, x: np.ndarray, z: np.ndarray, draws: Draws, rate: float) -> dict[str, float]:
        """One step of the paper's algorithm; returns its metrics."""
        fakes, before = self.fakes(z), dict(self.d.values)
        noise = {name: s.sigma * draws.get(name, 0.0) for name in NOISES}
        turn = {name: draws.get(f"turn_{name}") for name in NOISES}
        seen = {
            "real": turned(s, x, turn["real"]) + noise["real"],
            "fake": turned(s, fakes, turn["fake"]) + noise["fake"],
        }
        metrics, gradients = self._discriminate(s, seen, draws)
        for name, gamma, times, at in (
            (s.smoother, s.gamma, s.every, x + noise["penalty"]),
            ("r2", s.gamma_at_fakes, 1, fakes + noise["penalty"]),
        ):
            if gamma:
                steep = slope(before, at)
                metrics[f"{name}/penalty"] = gamma / 2 * np.mean(np.sum(steep**2, 1))
                gradients["w"] += times * gamma * steep.mean(0)
                gradients["q"] += times * gamma * (steep * at).mean(0)
        if s.lecam:
            metrics |= self._hold(s.lecam, before, seen, gradients)
        if s.loss == "wasserstein" and s.penalty:
            between = turned(s, x + draws["t"].reshape(-1, 1) * (fakes - x), turn["penalty"]) + noise["penalty"]
            steep = slope(before, between)
            norm = np.linalg.norm(steep, axis=1)
            metrics["wasserstein/penalty"] = s.penalty * np.mean((norm - 1) ** 2)
            pull = (2 * s.penalty * (norm - 1) / norm)[:, None] * steep
            gradients["w"] += pull.mean(0)
            gradients["q"] += (pull * between).mean(0)
        self.d.step(gradients, rate * s.rates[1])
        for k in range(s.generator_steps):
            first = k == 0
            judged_by = before if s.one_stage and first else self.d.values
            where = "fake" if s.one_stage and first else "again"
            images = seen["fake"] if where == "fake" else turned(s, self.fakes(z), turn["again"]) + noise["again"]
            if s.loss == "relativistic":
                margin = judge(judged_by, images) - judge(
                    judged_by, turned(s, x, turn["again_real"]) + noise["again_real"]
                )
                values, slopes = softplus(-margin), -sigmoid(-margin)
            else:
                values, slopes = wanted(s.loss, judge(judged_by, images))
            if first:
                metrics["g_loss"] = values.mean()
            at_fakes = turned(s, slopes[:, None] * slope(judged_by, images) / len(x), turn[where])
            self.g.step({"W": z.T @ at_fakes, "c": at_fakes.sum(0)}, rate * s.rates[0])
            if first:
                self._look_back(s.lookahead)
            for name, mean in self.average.items():
                decay = min(s.ema, (1 + self.updates) / (10 + self.updates))
                self.average[name] = decay * mean + (1 - decay) * self.g.values[name]
            self.updates += 1
        return metrics

    def _hold(self, lecam: tuple[float, float], d: dict, seen: dict, gradients: dict) -> dict[str, float]:
        """LeCam: hold each side's logits to the other side's mean so far; before there is one, to nothing."""
        weight, decay = lecam
        logits = {name: judge(d, images) for name, images in seen.items()}
        means = {name: values.mean() for name, values in logits.items()}
        total = 0.0
        if self.anchors is not None:
            for name, other in (("real", "fake"), ("fake", "real")):
                off, images = logits[name] - self.anchors[other], seen[name]
                total += weight * np.mean(off**2)
                gradients["w"] += 2 * weight * off @ images / len(images)
                gradients["q"] += 2 * weight * off @ images**2 / 2 / len(images)
                gradients["b"] += 2 * weight * off.mean()
            means = {name: decay * self.anchors[name] + (1 - decay) * mean for name, mean in means.items()}
        self.anchors = means
        return {"lecam/penalty": total, "lecam/real": means["real"], "lecam/fake": means["fake"]}

    def _look_back(self, lookahead: tuple[int, float] | None) -> None:
        self.steps += 1
        if lookahead and self.steps % lookahead[0] == 0:
            for network, slow in zip((self.g, self.d), self.slow):
                for name, value in network.values.items():
                    slow[name] = (1 - lookahead[1]) * slow[name] + lookahead[1] * value
                network.values = dict(slow)

    def _discriminate(self, s: Settings, seen: dict[str, np.ndarray], draws: Draws) -> tuple[dict, dict]:
        labels = {"real": 1.0 - s.smooth, "fake": 0.0}
        logits = {name: judge(self.d.values, images) for name, images in seen.items()}
        gradients = {"w": 0.0, "q": 0.0, "b": 0.0}
        told = {name: np.full(len(images), labels[name]) for name, images in seen.items()}
        if s.flip:
            for name, y in told.items():
                told[name] = np.where(draws[f"flip_{name}"].reshape(-1) < s.flip, 1 - y, y)
        if s.loss == "relativistic":
            values, slopes = pairs(logits["real"], logits["fake"], told["real"])
            loss, sides, shares = values.mean(), {"real": slopes, "fake": -slopes}, {}
        else:
            both = {name: side(s.loss, logits[name], told[name]) for name in seen}
            loss, sides = sum(values.mean() for values, _ in both.values()), {n: v[1] for n, v in both.items()}
            shares = {f"d_{name}": sigmoid(logits[name]).mean() for name in seen}
        for name, images in seen.items():
            gradients["w"] += sides[name] @ images / len(images)
            gradients["q"] += sides[name] @ images**2 / 2 / len(images)
            gradients["b"] += sides[name].mean()
        accuracy = right(s.loss, logits["real"], logits["fake"])
        return {"d_loss": loss, "d_accuracy": accuracy, **shares}, gradients


def roles(s: Settings) -> tuple[list[str], list[str]]:
    """Which independent draws a step needs: normal ones of a picture's shape, uniform ones a picture."""
    through_the_door = ["real", "fake"] + ([] if s.one_stage else ["again"])
    if s.loss == "relativistic":
        through_the_door.append("again_real")
    if s.gamma or s.gamma_at_fakes or s.loss == "wasserstein":
        through_the_door.append("penalty")
    uniform = (["flip_real", "flip_fake"] if s.flip else []) + (["t"] if s.loss == "wasserstein" else [])
    uniform += [f"turn_{name}" for name in through_the_door] if s.mirror else []
    return through_the_door if s.sigma else [], uniform


def assignments(s: Settings, normal: list[np.ndarray], uniform: list[np.ndarray]) -> list[Draws]:
    """Every way to give the engine's draws to what needs one of its own; none where there are too few.

    Which stream serves what is the engine's own affair; that each is used once, and in the right place, is not.
    """
    noises, chances = roles(s)
    return [
        dict(zip(noises, first)) | dict(zip(chances, second))
        for first in permutations(normal, len(noises))
        for second in permutations(uniform, len(chances))
    ]
