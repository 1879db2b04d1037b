"""The hand-written loop that speed is measured against does the same work: the same losses, step after step.

And what the benchmarks write down is what they measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import torch
from PIL import Image
from support import ROOT, Same

from tests.benchmarks import cases, data, record, rival, rival_r3gan, speed, whole


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


@pytest.mark.parametrize("stem", [1, 2])
def test_the_modern_rival_reaches_the_same_losses_from_the_same_weights_and_noise(stem, monkeypatch):
    import ganforge_r3gan as r3gan

    from ganforge.balance import r1, r2
    from ganforge.engine.engine import Engine
    from ganforge.engine.optimizing import adam
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.types import Progress

    options = r3gan.R3GANOptions(width=8, discriminator_width=8, widest=16, stem=stem)
    models = r3gan.generator((32, 32, 3), 64, options), r3gan.discriminator((32, 32, 3), options)
    networks = rival_r3gan.networks(32, 8, stem, 16)
    random = np.random.default_rng(0)
    for network, model in zip(networks, models):
        # Both list their weights from the input on; the second convolutions do not stay at 0, where nothing shows.
        assert len(list(network.parameters())) == len(model.trainable_variables)
        for mine, variable in zip(network.parameters(), model.trainable_variables):
            values = random.normal(0, 0.1, variable.shape).astype("float32")
            variable.assign(values)
            turned = {4: (3, 2, 0, 1), 3: (2, 0, 1), 2: (1, 0), 1: (0,)}[values.ndim]
            mine.data.copy_(torch.from_numpy(np.ascontiguousarray(values.transpose(turned))))
    loss = load_plugins().get("loss", "relativistic").value
    lazily = [each(each.Options(gamma=1.0, every=4)) for each in (r1.R1, r2.R2)]
    moved = [adam(1e-3, 0.0) for _ in models]
    for one in moved:
        one.beta_2 = 0.99
    engine = Engine(
        *models, loss, strategies=lazily, batch_size=8, latent_dim=64, learning_rate=1e-3, optimizers=tuple(moved)
    )
    loop = rival_r3gan.ModernRival(networks, 1e-3)
    latents = [torch.from_numpy(random.standard_normal((8, 64), "float32")) for _ in range(6)]
    ours_given, theirs_given = iter(latents), iter(latents)
    engine.adapter.normal = lambda key, stream, shape, dtype: next(ours_given)
    monkeypatch.setattr(torch, "randn", lambda *shape, device=None: next(theirs_given))
    monkeypatch.setattr(rival_r3gan, "mirrored", lambda pictures: pictures.clone())
    batch = random.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)

    for step in engine.steps(Same(batch), lambda s: Progress(s, 6, 0, 1), 0, 6):
        ours, theirs = step.read(), {name: float(value) for name, value in loop.step(batch).items()}
        assert ours["d_loss"] == pytest.approx(theirs["d_loss"], rel=1e-3)
        assert ours["g_loss"] == pytest.approx(theirs["g_loss"], rel=1e-3)
    assert abs(ours["d_loss"] - np.log(2)) > 1e-3, "they have learned something"


def ran(monkeypatch, path, benchmark, *words):
    """Return what a benchmark writes as JSON, its head looked at and taken off."""
    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, words), "--json", str(path)])
    benchmark.main()
    said = json.loads(path.read_text())
    assert said.pop("benchmark") == benchmark.__name__.rpartition(".")[2]
    assert datetime.now(UTC) - datetime.fromisoformat(said.pop("date")) < timedelta(minutes=5)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    assert said.pop("commit") == (head or None)
    assert said.pop("dirty") in ((True, False) if head else (None,))
    machine = said.pop("machine")
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["processor"].strip()
    assert machine["versions"]["torch"] == torch.__version__
    assert machine["versions"]["keras"] == keras.__version__
    return said


def test_speed_writes_medians_and_ratios_round_by_round(monkeypatch, tmp_path, capsys):
    def worker(name, *rates):
        contender = SimpleNamespace(name=name)
        return SimpleNamespace(contender=contender, rates=list(rates), peak=512.0, started={"first_step": 1.5})

    # The machine is at half its speed in the third round: the medians see it, the ratio does not.
    measured = {1: [worker("by hand", 100, 110, 50), worker("torch", 150, 121, 75)], 4: [worker("torch", 7, 9)]}
    monkeypatch.setattr(speed, "measure", lambda case, *_: measured[case])
    said = ran(monkeypatch, tmp_path / "s.json", speed, "--case", 1, "--case", 4, "--rounds", 3)
    assert said["settings"] == {"rounds": 3, "seconds": 2.0, "batch": 64}
    first, second = cases.CASES[1].name, cases.CASES[4].name
    assert list(said["results"]) == [first, second]
    torch_alone = said["results"][first]["torch"]
    assert torch_alone["images_per_second"] == 121
    assert torch_alone["ratio"] == pytest.approx(1.5)
    assert (torch_alone["peak_mib"], torch_alone["first_step_seconds"]) == (512, 1.5)
    assert torch_alone["rounds"] == [150, 121, 75]
    assert said["results"][second]["torch"]["images_per_second"] == 8
    assert "| torch | 121 | 1.50 | 512 MiB | 1.5 s |" in capsys.readouterr().out


def test_reading_is_written_down(monkeypatch, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((20, 30, 3), 80 * i, np.uint8)).save(folder / f"{i}.png")
    monkeypatch.setattr(data.memory_and_batches, "__defaults__", ((128, 640),))
    said = ran(monkeypatch, tmp_path / "d.json", data, "--folder", folder, "--rounds", 1)
    reading, batches = said["results"]["reading"], said["results"]["batches"]
    assert reading["pictures"] == 3
    assert reading["ratio"] == pytest.approx(reading["plain_seconds"] / reading["first_seconds"])
    assert [row["pictures"] for row in batches] == [128, 640]
    assert all(row["resident_mib"] > 10 and row["pictures_per_second"] > 0 for row in batches)


def test_a_whole_run_is_written_down(monkeypatch, tmp_path):
    times = iter([(3.0, 2.0), (2.2, 2.0), (8.0, 4.0)])
    monkeypatch.setattr(whole, "measure", lambda *_: next(times))
    said = ran(monkeypatch, tmp_path / "w.json", whole, "--balance", "r1", "--rounds", 3)
    assert said["settings"] == {"balance": ["r1"], "precision": "float32", "count": 9984}
    assert said["results"]["ratio"] == pytest.approx(1.5)
    assert (said["results"]["whole_seconds"], said["results"]["bare_seconds"]) == (3.0, 2.0)
    assert len(said["results"]["rounds"]) == 3


def test_changed_code_is_known_as_such(tmp_path):
    assert record.code(tmp_path) == {"commit": None, "dirty": None}
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run([*git, *words], check=True)
    clean = record.code(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "new.py").touch()
    assert record.code(tmp_path) == {**clean, "dirty": True}


def test_a_checkerboard_is_a_spike_and_smooth_pictures_have_none():
    from tests.benchmarks.checkerboard import spikes

    noise = np.random.default_rng(0).normal(size=(50, 65, 65, 3))
    smooth = noise[:, 1:, 1:] + 0.5 * (noise[:, :-1, 1:] + noise[:, 1:, :-1])
    assert all(0.5 < ratio < 1.5 for ratio in spikes(smooth).values())
    for period in (2, 4, 8):
        wave = np.cos(2 * np.pi * np.arange(64) / period)
        found = spikes(smooth + 0.5 * (wave[:, None] + wave)[None, :, :, None])
        assert {other for other, ratio in found.items() if ratio > 3} == {period}
