"""What is measured: a contender makes a step function for a case."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH, RATE = 64, 2e-4


@dataclass(frozen=True)
class Case:
    """Networks of a width at a picture size, and a batch; both sides train the very same ones."""

    arch: str
    size: int
    width: int = 32
    batch: int = BATCH
    gpu: bool = False  # for a GPU alone, unless it is named

    @property
    def name(self) -> str:
        width = "" if self.arch == "fcgan" else f", width {self.width}"
        return f"{self.arch} {self.size}×{self.size}{width}" + (
            "" if self.batch == BATCH else f", batch {self.batch}"
        )


@dataclass(frozen=True)
class Contender:
    """Somebody who trains: the hand-written loop, or GANForge on a backend."""

    name: str
    backend: str = "torch"
    precision: str = "float32"
    rival: bool = False
    lean: bool = False
    step: str = "two-stage"
    balance: tuple[str, ...] = ()
    compile: bool = False
    gpu: bool = False  # as above


CASES = [
    Case("dcgan", 64, 32),
    Case("dcgan", 64, 64),
    Case("dcgan", 32, 32),
    Case("dcgan", 32, 64),
    Case("fcgan", 64),
    Case("fcgan", 32),
    Case("r3gan", 64, 16),
    Case("dcgan", 64, 64, 256, gpu=True),
]
CONTENDERS = [
    Contender("hand-written", rival=True),
    Contender("hand-written, lean", rival=True, lean=True),
    Contender("hand-written, bfloat16", rival=True, precision="mixed_bfloat16"),
    Contender("torch"),
    Contender("torch, noise-anneal", balance=("noise-anneal",)),
    Contender("torch, one stage", step="one-stage"),
    Contender("torch, bfloat16", precision="mixed_bfloat16"),
    Contender("torch, bfloat16, one stage", precision="mixed_bfloat16", step="one-stage"),
    Contender("tensorflow", backend="tensorflow"),
    Contender("tensorflow, bfloat16", backend="tensorflow", precision="mixed_bfloat16"),
    Contender("jax", backend="jax"),
    Contender("torch, compiled", compile=True, gpu=True),
    Contender("torch, bfloat16, compiled", precision="mixed_bfloat16", compile=True, gpu=True),
    Contender("jax, bfloat16", backend="jax", precision="mixed_bfloat16", gpu=True),
]


def pictures(case: Case) -> np.ndarray:
    """Return a batch of uint8 pictures, the same for everybody."""
    return np.random.default_rng(0).integers(0, 256, (case.batch, case.size, case.size, 3), dtype=np.uint8)


def make_engine(case: Case, contender: Contender) -> Any:
    """Return GANForge's engine for a case. The backend must have been chosen."""
    from ganforge.engine.engine import Engine
    from ganforge.engine.networks import build_networks
    from ganforge.plugin.options import make_options, parse_spec
    from ganforge.plugin.registry import load_plugins

    registry = load_plugins()
    architecture = registry.get("architecture", case.arch).value
    modern = case.arch == "r3gan"  # a recipe: its loss, balance and average come with it
    widths = {"width": case.width, "discriminator_width": case.width}
    values = {"r3gan": widths, "dcgan": {"layers": 3, **widths}, "fcgan": {"dropout": 0.0}}[case.arch]
    options = make_options(case.arch, architecture.options, values)
    shape = (case.size, case.size, 3)
    latent_dim = architecture.defaults["latent_dim"]
    networks = build_networks(architecture, shape, latent_dim, options, options, 0, contender.precision)
    strategies = []
    for text in [*(architecture.defaults["balance"] if modern else ()), *contender.balance]:
        spec = parse_spec(text)
        cls = registry.get("strategy", spec.name).value
        strategies.append(cls(make_options(spec.name, cls.Options, spec.values)))
    return Engine(
        *networks,
        registry.get("loss", architecture.defaults["loss"] if modern else "bce").value,
        strategies=strategies,
        batch_size=case.batch,
        latent_dim=latent_dim,
        learning_rate=RATE,
        beta_1=0.0 if modern else 0.5,
        ema=architecture.defaults["ema"] if modern else None,
        step=contender.step,
        **({"compile": True} if contender.compile else {}),
    )


def make_rival(case: Case, contender: Contender) -> Any:
    """Return the hand-written loop for a case."""
    from tests.benchmarks import rival, rival_r3gan
    from tests.benchmarks.rival import on_device

    autocast = contender.precision == "mixed_bfloat16"
    if case.arch == "r3gan":
        return rival_r3gan.ModernRival(on_device(rival_r3gan.networks(case.size, case.width, 2, 128)), RATE, autocast)
    nets = rival.dcgan(case.size, case.width) if case.arch == "dcgan" else rival.fcgan(case.size)
    return rival.Rival(on_device(nets), RATE, autocast, contender.lean)


def make_stepper(case: Case, contender: Contender) -> Callable[[int], dict[str, float]]:
    """Return ``run(steps)``, which trains that many steps and reads the last one's losses."""
    batch = pictures(case)
    if contender.rival:
        trainer = make_rival(case, contender)

        def run_rival(steps: int) -> dict[str, float]:
            for _ in range(steps):
                losses = trainer.step(batch)
            return {name: float(value) for name, value in losses.items()}

        return run_rival
    from ganforge.backend import choose_backend

    choose_backend(contender.backend)
    from ganforge.plugin.types import Batch, Progress

    engine = make_engine(case, contender)

    class Same:
        """The same batch again and again: what is measured is the step, reading pictures apart."""

        def iterate(self, start: int, stop: int) -> Any:
            return ((step, Batch(batch)) for step in range(start, stop))

    done = 0

    def run(steps: int) -> dict[str, float]:
        nonlocal done
        for step in engine.steps(Same(), lambda s: Progress(s, 10**6, 0, 1), done, done + steps):
            last = step
        done += steps
        return last.read()

    return run


def quiet_environment() -> dict[str, str]:
    """Return the environment a contender runs in: no GPU but those named, and no backend that is chosen there."""
    kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return {**kept, "CUDA_VISIBLE_DEVICES": kept.get("CUDA_VISIBLE_DEVICES", ""), "TF_CPP_MIN_LOG_LEVEL": "3"}
