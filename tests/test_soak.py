"""Kills at random instants on the three backends, in the short form; ``python -m tests.soak`` is the long one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import resume_probe
import soak
from support import TESTS, python

pytestmark = pytest.mark.slow


def alone(script: str, *args: object, backend: str = "torch") -> subprocess.CompletedProcess:
    # JAX compiles for longer than these runs train: what one process compiled the next may use.
    # Its name must not begin with the pictures' cache's: JAX's file operations would be counted as the run's.
    cache = Path(os.environ["GANFORGE_CACHE_DIR"])
    environment = {
        "OMP_NUM_THREADS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache.with_name("jax-" + cache.name)),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return python(TESTS / script, *args, backend=backend, check=False, **environment)


def test_killed_runs_end_like_the_one_never_stopped_and_starts_at_once_are_distinct():
    done = alone("soak.py", "--kills", 4, "--starts", 4, "--seed", 7)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "4 kills of" in done.stdout
    assert "4 of 4 starts" in done.stdout


@pytest.fixture(scope="module")
def torch_run(tmp_path_factory) -> Path:
    """A run of torch without dropout, whose noise differs from backend to backend."""
    from ganforge import train

    settings = {**soak.SETTINGS, "runs_dir": str(tmp_path_factory.mktemp("torch")), "balance": "r1", "epochs": 1}
    return train(**{**settings, "arch": soak.SETTINGS["arch"] + ",dropout=0"}).path


@pytest.fixture(scope="module")
def reference(torch_run) -> dict:
    return resume_probe.plain(torch_run) | resume_probe.crossed(torch_run, "torch")


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_a_killed_run_ends_alike_and_a_checkpoint_crosses(backend, tmp_path, torch_run, reference):
    pytest.importorskip(backend)
    settings = {**soak.SETTINGS, "runs_dir": str(tmp_path / "runs")}
    before = random.Random(backend).randint(40, 90)  # other moments at each run: python -m tests.soak
    killed = alone("soak.py", "--work", json.dumps([settings, "", before]), backend=backend)
    assert killed.returncode == -signal.SIGKILL, (before, killed.stderr[-3000:])
    shutil.copytree(torch_run, tmp_path / "torch" / "run_1")
    done = alone("resume_probe.py", backend, tmp_path / "runs", tmp_path / "torch" / "run_1", backend=backend)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["backend"] == backend
    assert report["differences"] == [], f"killed before file operation {before}"
    # What torch wrote arrives to the bit, draws the same pictures and takes the same step.
    assert report["equal"]
    assert report["arrays"] == reference["arrays"]
    assert report["plain"] == pytest.approx(reference["plain"], abs=1e-5)
    assert report["images"] == pytest.approx(reference["images"], abs=1e-5)
    assert report["step"] == pytest.approx(reference["step"], rel=1e-4, abs=1e-6)
