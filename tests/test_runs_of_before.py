"""Runs that GANForge 0.1 was stopped in (``data/runs_of_0_1``) go on as they would have then.

``end.safetensors`` is what 0.1 itself came to from the same checkpoint. The two draw all there is to draw: latents,
noise, dropout, flipped labels, extra updates.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import TESTS, timeless

from ganforge import Run, train
from ganforge.runs import read_metrics

BEFORE = TESTS / "data" / "runs_of_0_1"


def by_place(file):
    """Return arrays by owner and position: Keras numbers the layers of a process."""
    return {"/".join(name.split("/")[:2]): array for name, array in load_file(file).items()}


@pytest.mark.parametrize("name", ["run_1", "run_2"])
def test_a_run_of_0_1_is_resumed_as_it_was(name, tmp_path):
    before, run = BEFORE / name, tmp_path / name
    shutil.copytree(before, run)
    lines = timeless(read_metrics(before))
    Run(run).resume()
    np.testing.assert_equal(timeless(read_metrics(run))[:7], lines)
    expected = by_place(before / "end.safetensors")
    found = by_place(run / "checkpoints" / "step_00000016" / "weights.safetensors")
    assert list(found) == list(expected)
    for key, array in expected.items():
        # Another processor rounds otherwise; on one and the same machine they were equal to the bit.
        np.testing.assert_allclose(found[key], array, rtol=1e-4, atol=1e-6, err_msg=key)


def test_auto_stays_without_r1_however_often_such_a_run_is_resumed(tmp_path):
    run = tmp_path / "run_2"
    shutil.copytree(BEFORE / "run_2", run)
    for epochs in (5, 6):
        Run(run).resume(epochs=epochs)
    assert not any("auto/penalty" in line for line in read_metrics(run))
    # Asked for anew, it is what it is today.
    Run(run).resume(epochs=7, balance="auto:every=1")
    assert "auto/penalty" in read_metrics(run)[-1]


def test_a_run_keeps_the_networks_that_it_began_with(tmp_path):
    """At 128 pixels dcgan was of three transposed convolutions in 0.1, whose ``layers`` was None; now it is not."""
    tiny = {"data": "critters:count=4", "image_size": 128, "channels": 1, "batch_size": 2, "latent_dim": 2}
    small = "dcgan:width=1,discriminator_width=1"
    now = train(f"{small},layers=3,discriminator_layers=3", **tiny, epochs=1, runs_dir=str(tmp_path))
    before = tmp_path / "run_2"
    shutil.copytree(now.path, before)
    manifest = json.loads((before / "run.json").read_text())
    manifest["config"]["arch"] = small
    options = manifest["architecture"]["options"]
    manifest["architecture"]["options"] = options | {"layers": None, "discriminator_layers": None}
    del manifest["architecture"]["options"]["upsample"]
    (before / "run.json").write_text(json.dumps(manifest))
    ends = [run.resume(epochs=2).path / "checkpoints/step_00000004/weights.safetensors" for run in (now, Run(before))]
    np.testing.assert_equal(*map(by_place, ends))
