"""One run on several devices is the run on one: the same numbers up to rounding, and its own again to the bit."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import ARCH, ROOT, TESTS, one_line, run, timeless

from ganforge import UsageError
from ganforge.data.batches import Batches
from ganforge.training.devices import require_shares

# Rounding, after six steps of float32; statistics of one's own rows alone are apart by 1e-3 and more.
ROUNDING = 5e-6
CASES = (
    *("noise-adam-ema", "norm-r1-r2-lazy", "wasserstein-spectral", "ada-dropout", "classes-norm", "one-stage"),
    *("memory", "own-losses-norm", "draws"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node")


@cache
def probed(backend: str, devices: int, *cases: str) -> dict[str, Any]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    start = (*TORCHRUN, devices) if backend == "torch" else ()
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "OMP_NUM_THREADS": "1"}
    words = (sys.executable, *start, TESTS / "devices_probe.py", backend, devices, *cases)
    found: dict[str, Any] = json.loads(run(*words, cwd=ROOT, backend=None, **flags).stdout.splitlines()[-1])
    return found


def same(result: dict[str, Any]) -> None:
    assert result["moved"] > 1e-3
    assert result["apart"] < ROUNDING
    assert result["lines"] < ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one_does(case):
    same(probed("torch", 2)[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["norm-r1-r2-lazy", "draws"])
def test_four_processes_train_as_one_does(case):
    same(probed("torch", 4, "norm-r1-r2-lazy", "draws")[case])


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4])
@pytest.mark.parametrize("case", ["norm-r1", "looks-at-all"])
def test_devices_of_one_process_train_as_one_does(case, devices):
    same(probed("jax", devices, *(("norm-r1",) if devices == 4 else ()))[case if devices == 2 else "norm-r1"])


@pytest.mark.slow
def test_the_same_number_of_processes_repeats_a_run_to_the_bit():
    report = probed("torch", 2)
    assert report["again"] == report["norm-r1-r2-lazy"]["sum"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("a layer", "the discriminator, or what it is shown, looks at all the pictures of a batch"),
        ("a strategy", "the discriminator, or what it is shown, looks at all the pictures of a batch"),
        ("a penalty", "'spread/penalty' looks at all the pictures of a batch"),
        ("a loss", "the discriminator's loss looks at all the pictures of a batch"),
        ("a layer's numbers", "(GaussianNoise) of"),
    ],
)
def test_what_looks_across_a_batch_is_refused_on_torch(what, said):
    message = probed("torch", 2)["refused"][what]
    assert said in message
    assert "--backend jax" in message


@pytest.mark.slow
def test_processes_decide_alike_and_see_when_they_come_apart():
    report = probed("torch", 2)
    assert report["any"] == [[True, False], [True, True]]
    assert report["shared"] == {"rank": 0, "word": "große"}
    assert report["drifted"].startswith("the 2 devices have come apart: discriminator/000/")


# ------------------------------------------------------------------ pure functions


@pytest.mark.parametrize(
    ("batch", "devices", "least", "expected"),
    [
        (64, 3, 1, "63 or 66"),
        (7, 2, 1, "6 or 8"),
        (3, 2, 2, "4"),
        (2, 2, 2, "4"),
        (1, 2, 1, "2"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused_with_sizes_that_can(batch, devices, least, expected):
    with pytest.raises(UsageError, match=rf"--batch-size {batch} .*expected {expected}$"):
        require_shares(batch, devices, least)
    for size in map(int, expected.split(" or ")):
        require_shares(size, devices, least)


def test_the_parts_of_a_batch_are_the_batch():
    import numpy as np

    array, labels = np.arange(40, dtype=np.uint8).reshape(40, 1), np.arange(40, dtype=np.int32)
    whole = Batches(array, 8, 3, labels=labels)
    parts = [Batches(array, 8, 3, labels=labels).part(number, 4) for number in range(4)]
    for one, many in (
        (whole.batch(7), [part.batch(7) for part in parts]),
        (whole.extra(7, 2), [part.extra(7, 2) for part in parts]),
    ):
        np.testing.assert_array_equal(one.images, np.concatenate([part.images for part in many]))
        np.testing.assert_array_equal(one.labels, np.concatenate([part.labels for part in many]))


# ------------------------------------------------------------------ whole runs, as the command line makes them

RUN = (
    *("--arch", ARCH, "--data", "critters:count=64", "--image-size", "16", "--batch-size", "16", "--log-every", "1"),
    *("--balance", "input-noise", "--balance", "r1", "--checkpoint-every", "3steps", "--quiet"),
)


def ganforge(*words: object, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "ganforge", *words, cwd=cwd, check=check, OMP_NUM_THREADS="1", **environment)


def lines(place: Path) -> list[dict[str, Any]]:
    return timeless(json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines())


def near(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert [line["step"] for line in one] == [line["step"] for line in other]
    for a, b in zip(one, other, strict=True):
        assert b == pytest.approx(a, abs=2e-5)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """A run of three epochs on two devices, never stopped."""
    here = tmp_path_factory.mktemp("straight")
    ganforge("train", *RUN, "--epochs", 3, "--devices", 2, cwd=here)
    return here / "runs" / "run_1"


@pytest.mark.slow
def test_a_run_on_two_devices_is_one_run_which_a_process_killed_at_any_time_leaves_whole(straight, tmp_path):
    assert [path.name for path in straight.parent.iterdir() if path.is_dir()] == ["run_1"]
    assert json.loads((straight / "run.json").read_text())["config"]["devices"] == 2
    words = [sys.executable, "-m", "ganforge", "train", *RUN, "--epochs", "3", "--devices", "2"]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    begun = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "runs" / "run_1" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and len(metrics.read_text().splitlines()) >= 4):
        assert begun.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(_second(begun.pid), signal.SIGKILL)
    said = one_line(begun.communicate(timeout=120)[1])
    assert begun.returncode == 1
    assert "the process of another of the 2 devices has ended" in said
    assert "ganforge resume run_1" in said
    ganforge("resume", "run_1", "--quiet", cwd=tmp_path)  # on two again
    assert lines(tmp_path / "runs" / "run_1") == lines(straight)


@pytest.mark.slow
def test_a_run_goes_on_on_another_number_of_devices_and_begins_on_any(straight, tmp_path):
    ganforge("train", *RUN, "--epochs", 3, cwd=tmp_path)
    near(lines(straight), lines(tmp_path / "runs" / "run_1"))
    words = ("train", *RUN, "--epochs", 1)
    run(sys.executable, *TORCHRUN, 2, "-m", "ganforge", *words, cwd=tmp_path, OMP_NUM_THREADS="1")
    ganforge("resume", "run_2", "--epochs", 3, "--devices", 1, "--quiet", cwd=tmp_path)
    near(lines(straight)[4:], lines(tmp_path / "runs" / "run_2")[4:])
    assert [stage["devices"] for stage in json.loads((tmp_path / "runs/run_2/run.json").read_text())["stages"]] == [
        2,
        1,
    ]


def _second(parent: int) -> int:
    """Return the process of the second device that a command has started."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            status, environ = (entry / "status").read_text(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in status and b"\0RANK=1\0" in b"\0" + environ:
            return int(entry.name)
    raise AssertionError("no second process")


@pytest.mark.slow
def test_devices_that_cannot_be_are_refused_in_one_line(tmp_path):
    tiny = ("train", "--arch", ARCH, "--data", "critters:count=32", "--image-size", "16", "--quiet", "--epochs", "1")
    for words, code, said in (
        (("--devices", "2", "--batch-size", "15"), 2, "expected 14 or 16"),
        (("--devices", "2", "--backend", "tensorflow"), 2, "does not apply to TensorFlow"),
        (("--devices", "0"), 2, "invalid --devices 0"),
    ):
        done = run(sys.executable, "-m", "ganforge", *tiny, *words, cwd=tmp_path, check=False, backend=None)
        assert done.returncode == code, done.stderr
        assert said in one_line(done.stderr)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("run_*"))
