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

from ganforge import Run, UsageError, train
from ganforge.data.batches import Batches
from ganforge.runs import load_checkpoint
from ganforge.training.devices import meet, require_shares

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


ALONE = "norm-r1-r2-lazy"  # by default


@pytest.mark.parametrize(
    ("case", "cases"),
    [
        pytest.param(ALONE, (ALONE,), id=f"{ALONE} alone"),
        *(pytest.param(case, (), id=case, marks=pytest.mark.slow) for case in CASES),
    ],
)
def test_two_processes_train_as_one_does(case, cases):
    same(probed("torch", 2, *cases)[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["norm-r1-r2-lazy", "draws"])
def test_four_processes_train_as_one_does(case):
    same(probed("torch", 4, "norm-r1-r2-lazy", "draws")[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["norm-r1", "looks-at-all"])
def test_four_and_two_devices_of_one_process_train_as_one_does(case):
    same(probed("jax", 4)[case])


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
    with pytest.raises(UsageError, match=rf"--batch-size {batch}: .*expected {expected}$"):
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

HOW = {"arch": ARCH, "data": "critters:count=64", "image_size": 16, "batch_size": 16, "log_every": 1}
BALANCE = ("input-noise", "r1")
RUN = (
    *(word for name, value in HOW.items() for word in ("--" + name.replace("_", "-"), value)),
    *("--balance", BALANCE[0], "--balance", BALANCE[1], "--checkpoint-every", "3steps", "--quiet"),
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
    words = [sys.executable, "-m", "ganforge", "train", *map(str, RUN), "--epochs", "3", "--devices", "2"]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    begun = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "runs" / "run_1" / "metrics.jsonl"
    deadline = time.monotonic() + 600
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
def test_a_run_on_two_devices_ignores_what_nohup_does_and_stops_at_a_signal_after_saving(tmp_path):
    words = [sys.executable, "-m", "ganforge", "train", *map(str, RUN), "--epochs", "100000", "--devices", "2"]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN), "start_new_session": True}
    begun = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, **ignoring)
    metrics = tmp_path / "runs" / "run_1" / "metrics.jsonl"

    def wait_for(steps: int) -> None:
        deadline = time.monotonic() + 120
        while not (metrics.is_file() and len(metrics.read_text().splitlines()) >= steps):
            assert begun.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    wait_for(1)
    os.killpg(begun.pid, signal.SIGHUP)
    wait_for(len(metrics.read_text().splitlines()) + 20)
    os.killpg(begun.pid, signal.SIGTERM)
    assert begun.communicate(timeout=120)[1] == ""
    assert begun.returncode == 130
    manifest = json.loads((metrics.parent / "run.json").read_text())
    assert manifest["state"] == "stopped"
    assert manifest["progress"]["step"] == lines(metrics.parent)[-1]["step"]
    assert load_checkpoint(metrics.parent).step == manifest["progress"]["step"]


@pytest.mark.slow
def test_a_run_goes_on_on_another_number_of_devices_and_begins_on_any(straight, tmp_path):
    torchrun = (sys.executable, *TORCHRUN, 2, "-m", "ganforge")
    run(*torchrun, "train", *RUN, "--epochs", 1, cwd=tmp_path, OMP_NUM_THREADS="1")
    gone_on = Run("run_1", tmp_path / "runs").resume(epochs=3, devices=1, progress=False)
    assert [stage["devices"] for stage in gone_on.manifest["stages"]] == [2, 1]
    alone = train(**HOW, balance=BALANCE, epochs=3, runs_dir=tmp_path / "runs", progress=False)
    for one in (gone_on, alone):
        near(lines(straight), lines(one.path))


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


@pytest.mark.parametrize(
    ("backend", "devices", "processes", "said"),
    [
        ("tensorflow", 2, 1, "does not apply to TensorFlow; expected --backend torch or jax"),
        ("torch", 2, 1, "torchrun --nproc-per-node 2"),
        ("torch", 4, 2, "invalid --devices 4: torchrun started 2 processes; expected 2"),
        ("torch", 1, 2, "invalid --devices 1: torchrun started 2 processes; expected 2"),
        ("jax", 2, 2, "jax trains in one process; expected ganforge train --devices 2"),
        ("jax", 2, 1, "invalid --batch-size 15: the total of all devices cannot be divided by 2 devices"),
    ],
)
def test_devices_that_are_not_there_are_refused(monkeypatch, backend, devices, processes, said):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    with pytest.raises(UsageError) as error:
        meet(backend, devices, 15)
    assert said in str(error.value)


def test_a_command_refuses_devices_before_it_starts_any(tmp_path, capsys):
    from ganforge.cli import main

    for words, said in (
        (("--devices", "2", "--batch-size", "15"), "expected 14 or 16"),
        (("--devices", "0"), "invalid --devices 0"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["train", "--runs-dir", str(tmp_path / "runs"), *words])
        assert ended.value.code == 2
        assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "runs").exists()
