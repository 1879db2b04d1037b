"""The hand-written loop that speed is measured against does the same work: the same losses, step after step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import Same

from tests.benchmarks import cases, rival


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("case", [cases.Case("dcgan", 32, 8), cases.Case("fcgan", 16)])
def test_the_rival_reaches_the_same_losses_from_the_same_weights_and_noise(case, lean):
    from ganforge.plugin.types import Progress

    engine = cases.make_engine(case, cases.Contender(""))
    networks = rival.dcgan(case.size, case.width) if case.arch == "dcgan" else rival.fcgan(case.size)
    for network, model in zip(networks, (engine.generator, engine.discriminator)):
        rival.copy_weights(network, model)
    loop = rival.Rival(networks, cases.RATE, lean=lean)
    latents = [
        torch.from_numpy(z) for z in np.random.default_rng(1).standard_normal((6, cases.BATCH, 100), "float32")
    ]
    given = iter(latents)
    engine.adapter.normal = lambda key, stream, shape, dtype: next(given)
    batch = cases.pictures(case)

    for step, z in zip(engine.steps(Same(batch), lambda s: Progress(s, 6, 0, 1), 0, 6), latents, strict=True):
        ours, theirs = step.read(), {name: float(value) for name, value in loop.step(batch, z).items()}
        assert ours["d_loss"] == pytest.approx(theirs["d_loss"], rel=1e-3)
        assert ours["g_loss"] == pytest.approx(theirs["g_loss"], rel=1e-3)
    assert abs(ours["d_loss"] - 2 * np.log(2)) > 1e-3, "they have learned something"
