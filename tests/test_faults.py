"""What goes wrong in a run costs no more than the steps since its last checkpoint, and is said in one line."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import SMALL, At, one_line, photos

from ganforge import GANForgeError, Run, UsageError, hookimpl, train
from ganforge.engine.plan import Planner
from ganforge.runs import lock_run, read_metrics
from ganforge.training.interruption import explained
from ganforge.training.recorder import draw
from ganforge.training.recovery import NotFinite, require_finite_weights, scale_learning_rate
from ganforge.training.schedule import Schedule, parse_every

TINY = {
    **SMALL,
    "image_size": 8,
    "batch_size": 8,
    "log_every": 2,
    "snapshot_every": 1,
    "checkpoint_every": 1,
}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANFORGE_STATE_DIR", str(tmp_path / "state"))


def tiny(**settings) -> Run:
    return train(**{**TINY, "epochs": 2, **settings})


def steps(run: Run) -> list[str]:
    return sorted(path.name for path in (run.path / "checkpoints").iterdir())


# ------------------------------------------------------------------ when checkpoints come


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("6", {"epochs": 6}),
        (6, {"epochs": 6}),
        ("500steps", {"steps": 500}),
        ("10min", {"minutes": 10}),
        ("2h", {"minutes": 120}),
        ("6, 10 min", {"epochs": 6, "minutes": 10}),
        ("1epoch,1step", {"epochs": 1, "steps": 1}),
    ],
)
def test_how_often_is_written_in_epochs_steps_or_minutes(text, every):
    assert parse_every(text) == every


@pytest.mark.parametrize("text", ["0", "-1", "6s", "steps", "", "1,2", "10min,1h", "1.5", "9" * 30])
def test_how_often_cannot_be_anything_else(text):
    with pytest.raises(UsageError, match="--checkpoint-every"):
        parse_every(text)


def test_a_checkpoint_is_due_at_whichever_comes_first():
    now = [0.0]
    schedule = Schedule("2,5steps,1min", steps_per_epoch=4, clock=lambda: now[0])
    assert [step for step in range(1, 17) if schedule.due(step)] == [5, 8, 10, 15, 16]
    now[0] = 59.9
    assert not schedule.due(1)
    now[0] = 60.0
    assert schedule.due(1)
    schedule.saved()
    assert not schedule.due(1)


def test_checkpoints_come_by_steps_and_the_newest_are_kept(ganforge_cli, tmp_path):
    run = tiny(checkpoint_every="3steps", keep=3, snapshot_every=2)
    assert steps(run) == ["step_00000003", "step_00000006", "step_00000008"]
    code, _, err = ganforge_cli("train", *FLAGS[:-1], "--checkpoint-every", "3s")
    assert code == 2
    assert "500steps" in one_line(err)


def test_a_run_logs_its_first_and_last_step_and_shows_its_last_epoch():
    seen = []

    class Watching:
        @hookimpl
        def step_ended(self, step):
            seen.append((step.progress.step, step.progress.epoch))

    run = tiny(epochs=3, log_every=5, snapshot_every=2, observers=[Watching()])
    assert [line["step"] for line in run.metrics()] == [1, 5, 10, 12]
    assert [line["epoch"] for line in run.metrics()] == [0.25, 1.25, 2.5, 3.0]
    assert [epoch for epoch, _ in run.snapshots()] == [0, 2, 3]
    assert seen == [(step, step // 4) for step in range(12)]


def test_a_row_of_the_grid_is_of_one_class():
    drawn = []

    def generate(latents, labels):
        drawn.append(labels)
        return np.zeros((len(labels), 2, 2, 3))

    engine = SimpleNamespace(generate=generate, showing=nullcontext)
    assert len(draw(engine, np.zeros((100, 4)), classes=3)) == 100
    assert drawn[0].tolist() == [row % 3 for row in range(10) for _ in range(10)]


# ------------------------------------------------------------------ losses that are lost


PLUGIN = """
from keras import ops
from ganforge import Options, Strategy, hookimpl

class Exploding(Strategy):
    '''A penalty that is nothing, and infinite from a step on.'''
    name = "exploding"

    class Options(Options):
        step: int = 10

    @hookimpl
    def plan_step(self, progress, signals):
        return {"on": float(progress.step + 1 >= self.options.step)}

    @hookimpl
    def discriminator_penalty(self, discriminator, real, controls):
        return ops.mean(ops.square(discriminator(real))) * controls["on"] / (1.0 - controls["on"])

@hookimpl
def register_strategies(register):
    register(Exploding)
"""


@pytest.fixture
def exploding(tmp_path) -> dict:
    (tmp_path / "exploding.py").write_text(PLUGIN)
    return {"plugins": ("exploding.py",), "balance": "exploding"}


def finite(run: Run) -> bool:
    from ganforge.runs import load_checkpoint

    return all(np.isfinite(array).all() for array in load_checkpoint(run.path).arrays.values())


def test_one_weight_that_is_no_number_is_named():
    whole = {"steps": np.arange(3), "kernel": np.ones((2, 2), np.float32)}
    require_finite_weights(whole)
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(NotFinite, match="'bias' are no longer finite"):
            require_finite_weights({**whole, "bias": np.array([0.5, bad, 1.0], np.float32)})


def test_a_nan_stops_with_the_checkpoint_from_before(exploding):
    with pytest.raises(GANForgeError, match=r"exploding/penalty became inf at step 10; the checkpoint of step 8"):
        tiny(epochs=4, **exploding)
    run = Run("run_1")
    assert (run.state, steps(run)[-1]) == ("failed", "step_00000008")
    assert finite(run)
    assert np.isfinite(run.sample(2)).all()  # generator.keras is that checkpoint's
    assert run.metrics()[-1]["exploding/penalty"] is None


def test_a_nan_between_logged_steps_never_reaches_a_checkpoint(exploding):
    exploding["balance"] = "exploding:step=9"
    with pytest.raises(GANForgeError, match=r"at step 12; the checkpoint of step 8"):
        tiny(epochs=4, log_every=100, **exploding)
    assert steps(Run("run_1"))[-1] == "step_00000008"
    assert [epoch for epoch, _ in Run("run_1").snapshots()] == [0, 1, 2]


def test_rollback_returns_with_a_smaller_learning_rate_and_says_so(exploding, ganforge_cli):
    flags = ["--plugin", "exploding.py", "--balance", "exploding"]
    code, _, err = ganforge_cli("train", *FLAGS, *flags, "--epochs", 4, "--on-nan", "rollback", "--quiet")
    assert code == 1
    lines = err.splitlines()
    assert len(lines) == 6  # it comes back each time here, so after five attempts it is given up
    assert "went back to step 8 and continued at 0.5 times the learning rate" in lines[0]
    assert "5 times" in lines[-1]
    stages = Run("run_1").manifest["stages"]
    assert [stage["learning_rate_scale"] for stage in stages] == [1, 0.5, 0.25, 0.125, 0.0625, 0.03125]
    assert stages[1]["reason"] == "exploding/penalty became inf at step 10"
    # Without what exploded, the run goes on from its checkpoint at the small rate, and it is recorded.
    run = Run("run_1").resume(balance="none")
    assert run.state == "finished"
    assert [line["step"] for line in run.metrics()] == [1, 2, 4, 6, 8, 10, 12, 14, 16]
    rates = [line["generator_lr"] for line in run.metrics()]
    assert rates[-1] == pytest.approx(rates[0] / 32)
    assert run.manifest["stages"][-1]["reason"] == "balance none"


def test_each_rollback_scales_the_rate_that_the_run_began_with():
    planner = SimpleNamespace(scale=1.0)
    setup = SimpleNamespace(engine=SimpleNamespace(planner=planner))
    stages = [{"step": 0}]
    for scale in (0.5, 0.25, 0.125):
        stages.append({"step": 8, "learning_rate_scale": scale})
        scale_learning_rate(setup, stages)
        assert planner.scale == pytest.approx(scale)


# ------------------------------------------------------------------ disks and memory


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", disk], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        filler = disk / "filler"

        def fill() -> None:
            with suppress(OSError), open(filler, "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

        with pytest.raises(GANForgeError, match=r"no space left for .*run_1; the run is saved up to step 4"):
            tiny(epochs=4, runs_dir=str(disk), observers=[At(6, fill)])
        filler.unlink()
        run = Run(disk / "run_1")
        assert run.resume().state == "finished"
        whole = tiny(epochs=4)
        assert np.array_equal(run.sample(4), whole.sample(4))
        assert [m["d_loss"] for m in run.metrics()] == [m["d_loss"] for m in whole.metrics()]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fails_in_a_checkpoint_leaves_the_one_before(monkeypatch):
    from ganforge.runs import checkpoints

    write = checkpoints.write_atomic

    def refuse(path, content):
        if re.fullmatch(r"\.step_00000008\.[0-9a-f]+\.tmp", path.parent.name):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_atomic", refuse)
        with pytest.raises(GANForgeError, match="saved up to step 4: free some space, then ganforge resume run_1"):
            tiny()
    run = Run("run_1")
    assert steps(run) == ["step_00000000", "step_00000004"]  # and no half one in the way
    assert run.state == "failed"
    assert run.resume().state == "finished"


def test_a_runs_directory_that_becomes_read_only_is_one_line(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        tiny(epochs=1, runs_dir=str(disk))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for attempt in (lambda: Run(disk / "run_1").resume(epochs=2), lambda: tiny(runs_dir=str(disk))):
            with pytest.raises(GANForgeError, match=r"cannot be written\W+Read-only"):
                attempt()
        assert Run(disk / "run_1").state == "finished"
        assert len(Run(disk / "run_1").sample(2)) == 2
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
        type("XlaRuntimeError", (RuntimeError,), {})("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
        type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"),
    ],
)
def test_no_memory_is_one_line_with_a_way_out(error):
    text = str(explained(error, Path("runs/run_3"), 120))
    assert text.startswith("out of memory; the run is saved up to step 120")
    assert "--batch-size" in text


def test_no_memory_in_a_step_keeps_what_was_trained(monkeypatch):
    plan = Planner.plan

    def refuse(self, progress, signals):
        if progress.step == 5:
            raise MemoryError
        return plan(self, progress, signals)

    with monkeypatch.context() as patch:
        patch.setattr(Planner, "plan", refuse)
        with pytest.raises(GANForgeError, match="out of memory"):
            tiny()
    assert Run("run_1").state == "failed"
    assert Run("run_1").resume().state == "finished"
    assert explained(ZeroDivisionError(), Path("r"), 1) is None


# ------------------------------------------------------------------ signals


def start(*args: object, **settings: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "ganforge", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    for _ in range(6000):
        if path.exists() and path.stat().st_size > 0:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"{path} never came")


def test_sigterm_stops_like_ctrl_c_and_while_it_trains_nobody_else_may(tmp_path, ganforge_cli):
    process = start("train", *FLAGS, "--epochs", 100000, "--snapshot-every", 100000, "--checkpoint-every", 100000)
    wait_for(tmp_path / "runs" / "run_1" / "metrics.jsonl", process)
    assert Run("run_1").state == "running"
    code, _, err = ganforge_cli("resume", "run_1")
    assert code == 1
    assert f"run_1 is being trained by process {process.pid}" in one_line(err)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    assert "ganforge resume run_1" in out
    run = Run("run_1")
    assert run.state == "stopped"
    assert int(steps(run)[-1].removeprefix("step_")) == run.manifest["progress"]["step"] > 0
    assert (run.path / "generator.keras").is_file()
    # A run whose process was killed says so, and its lock is free.
    manifest = run.manifest
    (run.path / "run.json").write_text(json.dumps({**manifest, "state": "running"}))
    assert run.state == "killed"
    assert "killed" in ganforge_cli("runs")[1]
    lock = lock_run(run.path)
    assert run.state == "running"
    lock.release()


def test_ctrl_c_twice_stops_at_once_and_keeps_the_last_checkpoint():
    def twice() -> None:
        # (os.kill may hand both to another thread, before this one sees the first: then they are one.)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        tiny(observers=[At(6, twice)])
    run = Run("run_1")
    assert (run.state, run.manifest["progress"]["step"], steps(run)[-1]) == ("stopped", 4, "step_00000004")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert run.resume().state == "finished"


def test_ctrl_c_twice_names_the_run_to_go_on_from(ganforge_cli, tmp_path):
    (tmp_path / "twice.py").write_text(
        "import os, signal\nfrom ganforge import hookimpl\n\n@hookimpl\ndef step_ended(step):\n"
        "    for _ in range(2 * (step.progress.step == 5)):\n        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    code, _, err = ganforge_cli("train", *FLAGS, "--epochs", 3, "--plugin", "twice.py", "--quiet")
    assert code == 130
    assert one_line(err) == "ganforge: stopped immediately; continue from the last checkpoint: ganforge resume run_1"
    assert steps(Run("run_1"))[-1] == "step_00000004"


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_the_training(tmp_path):
    process = start("train", *FLAGS, "--epochs", 3)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(600) == 0, process.stderr.read()
    assert Run(tmp_path / "runs" / "run_1").state == "finished"


# ------------------------------------------------------------------ what is read back


def test_a_damaged_checkpoint_is_said_and_the_one_before_used(ganforge_cli):
    run = tiny(epochs=3, observers=[])
    whole = np.array(run.sample(4))
    weights = run.path / "checkpoints" / "step_00000012" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    code, out, err = ganforge_cli("resume", "run_1")
    assert code == 0
    assert "checkpoint step_00000012: the weights differ from those that were saved" in one_line(err)
    assert "continues from step 8" in out
    assert np.array_equal(Run("run_1").sample(4), whole)
    for path in (run.path / "checkpoints").iterdir():
        (path / "state.json").write_text("[]")
    assert "has no checkpoint to continue from; damaged" in one_line(
        ganforge_cli("resume", "run_1", "--epochs", 9)[2]
    )


def test_a_run_killed_before_its_first_checkpoint_begins_again_in_its_directory(ganforge_cli):
    run, whole = tiny(), tiny()
    for name in ("checkpoints", "snapshots"):
        shutil.rmtree(run.path / name)
    for name in ("generator.keras", "architecture.png", "losses.png"):
        (run.path / name).unlink()
    (run.path / "metrics.jsonl").write_text('{"step": 1, "d_lo')
    (run.path / ".run.json.77.tmp").write_text("half")
    code, _, err = ganforge_cli("resume", "run_1", "--quiet")
    assert code == 0
    assert "starts again from the beginning" in one_line(err)
    assert np.array_equal(run.sample(4), whole.sample(4))
    assert sorted(p.name for p in run.path.rglob("*")) == sorted(p.name for p in whole.path.rglob("*"))


def test_a_run_killed_while_its_last_files_were_written_is_completed(ganforge_cli):
    run = tiny()
    before = (run.path / "progression.gif").read_bytes()
    (run.path / "progression.gif").unlink()
    (run.path / "generator.keras").unlink()
    (run.path / "snapshots" / "epoch_0002.png").unlink()
    assert ganforge_cli("resume", "run_1")[0] == 0
    assert (run.path / "progression.gif").read_bytes() == before
    assert len(run.sample(2)) == 2
    assert "has finished all 2 epochs" in one_line(ganforge_cli("resume", "run_1")[2])


def test_a_newer_or_damaged_run_is_one_line(ganforge_cli):
    run = tiny(epochs=1)
    good = run.manifest
    bad = [{**good, "format": 99}, {**good, "config": {**good["config"], "warp": 9}}, {**good, "strategies": "no"}]
    bad += [{**good, "config": {**good["config"], "epochs": "many"}}, {**good, "data": []}, {**good, "progress": 1}]
    for manifest, words in zip(bad, ("newer version", "'warp'", "strategies", "config.epochs", "data", "progress")):
        (run.path / "run.json").write_text(json.dumps(manifest))
        code, _, err = ganforge_cli("resume", "run_1", "--epochs", 3)
        assert code == 1
        assert words in one_line(err)


def test_damaged_lines_of_metrics_do_not_stop_a_resumed_run(ganforge_cli):
    run = tiny()
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    (run.path / "metrics.jsonl").write_text("\n".join([lines[0], "{broken", *lines[2:]]) + "\n")
    assert "line 2 is damaged" in one_line(ganforge_cli("show", "run_1")[2])
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 3, "--quiet")
    assert code == 0
    assert "line 2 of metrics.jsonl was damaged" in one_line(err)
    assert [line["step"] for line in read_metrics(run.path)] == [1, 4, 6, 8, 10, 12]


# ------------------------------------------------------------------ going on in another way


def test_a_finished_run_is_trained_further_under_another_balance_and_both_stages_are_recorded(ganforge_cli):
    tiny(balance="noise-anneal:start=0.2,end=0")
    code, out, err = ganforge_cli("resume", "run_1", "--epochs", 4, "--balance", "r1", "--balance", "label-noise")
    assert code == 0, err
    assert "From now on: epochs 4, balance r1 + label-noise" in out
    run = Run("run_1")
    stages = [(s["step"], s["epochs"], s["balance"]) for s in run.manifest["stages"]]
    assert stages == [(0, 2, ["noise-anneal:start=0.2,end=0"]), (8, 4, ["r1", "label-noise"])]
    assert [s["name"] for s in run.manifest["strategies"]] == ["r1", "label-noise"]
    assert "noise-anneal/sigma" in run.metrics()[0]
    assert "r1/penalty" in run.metrics()[-1]
    assert ganforge_cli("resume", "run_1", "--epochs", 5, "--balance", "r3")[0] == 2
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 5, "--balance", "stronger-discriminator")
    assert code == 1
    assert "does not fit these networks" in one_line(err)
    assert run.state == "finished"  # and neither attempt changed anything


def test_a_schedule_stretches_over_the_new_length():
    run = tiny(balance="noise-anneal:start=0.2,end=0", log_every=1).resume(epochs=4)
    sigma = [line["noise-anneal/sigma"] for line in run.metrics()]
    assert sigma[:8] == pytest.approx(np.linspace(0.2, 0, 8))
    assert sigma[8:] == pytest.approx(np.linspace(0.2, 0, 16)[8:], abs=1e-6)


def test_other_pictures_are_refused_unless_accepted(ganforge_cli, tmp_path):
    photos(tmp_path / "cats", 16)
    settings = {**TINY, "data": "./cats", "epochs": 2}
    train(**settings)
    photos(tmp_path / "cats", 40)
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 4)
    assert code == 1
    assert "are not the 16 that run_1 was trained on" in one_line(err)
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 4, "--data-changed", "ok", "--quiet")
    assert code == 0
    assert "an epoch still has 2 steps" in one_line(err)
    run = Run("run_1")
    assert [epoch for epoch, _ in run.snapshots()] == [0, 1, 2, 3, 4]
    assert run.manifest["stages"][-1]["reason"] == "epochs 4, other pictures"
    # Moved pictures are the same pictures, and a run is resumed from any folder.
    (tmp_path / "cats").rename(tmp_path / "dogs")
    assert "there is no folder" in one_line(ganforge_cli("resume", "run_1", "--epochs", 5)[2])
    assert ganforge_cli("resume", "run_1", "--epochs", 5, "--data", "./dogs")[0] == 0
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert ganforge_cli("resume", "../runs/run_1", "--epochs", 6)[0] == 0


# ------------------------------------------------------------------ code from elsewhere


def test_a_run_directory_cannot_choose_code_that_runs(exploding, ganforge_cli, tmp_path, monkeypatch):
    run = tiny(balance="none", plugins=exploding["plugins"])
    assert run.resume(epochs=3).state == "finished"  # given on this machine: not asked for again
    evil = tmp_path / "runs" / "run_1" / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n" + PLUGIN)
    manifest = run.manifest
    import hashlib

    manifest["config"]["plugins"] = [str(evil)]
    manifest["plugins"] = [{"file": str(evil), "sha256": hashlib.sha256(evil.read_bytes()).hexdigest()}]
    (run.path / "run.json").write_text(json.dumps(manifest))
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 4)
    assert code == 1
    assert "never given on this machine" in one_line(err)
    assert ganforge_cli("sample", "run_1", "-n", 4)[0] == 0  # the generator is plain Keras and needs no plugin
    assert not (tmp_path / "executed").exists()
    assert ganforge_cli("resume", "run_1", "--epochs", 4, "--plugin", evil)[0] == 0
    assert (tmp_path / "executed").exists()
    # A file that changed since is not taken for the one that was given.
    evil.write_text("1 / 0\n")
    assert "never given" in one_line(ganforge_cli("resume", "run_1", "--epochs", 5)[2])
    shutil.copy(tmp_path / "exploding.py", evil)
    assert "has changed since run_1 was made" in one_line(ganforge_cli("resume", "run_1", "--epochs", 5)[2])


def test_compiled_code_beside_a_plugin_is_not_what_runs(tmp_path, ganforge_cli):
    import importlib.util
    import py_compile

    file = tmp_path / "mine.py"
    file.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n" + PLUGIN)
    cached = importlib.util.cache_from_source(str(file))
    py_compile.compile(str(file), cached, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    file.write_text(PLUGIN)
    assert ganforge_cli("plugins", "exploding", "--plugin", file)[0] == 0
    assert not (tmp_path / "executed").exists()


def test_a_keras_file_from_elsewhere_brings_no_code(tmp_path, ganforge_cli):
    import keras

    run = tiny(epochs=1)
    mark = str(tmp_path / "executed")
    code = keras.layers.Lambda(lambda x: Path(mark).write_text("") * x)
    evil = keras.Sequential([keras.layers.Input((100,)), code])
    evil.save(run.path / "generator.keras")
    Path(mark).unlink(missing_ok=True)
    keras.config.enable_unsafe_deserialization()
    try:
        result, _, err = ganforge_cli("sample", "run_1", "-n", 1)
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)
    assert result == 1
    assert "generator.keras cannot be opened" in one_line(err)
    assert not Path(mark).exists()


def test_a_run_whose_random_numbers_were_drawn_otherwise_goes_on_and_says_so(ganforge_cli, tmp_path):
    run = train(**{**TINY, "epochs": 1}, runs_dir=tmp_path / "runs")
    manifest = json.loads((run.path / "run.json").read_text())
    assert manifest.pop("draws") == 2
    (run.path / "run.json").write_text(json.dumps(manifest))
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 2)
    assert (code, err.count("drew random numbers differently")) == (0, 1)
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 3)
    assert (code, "random numbers" in err) == (0, False)


# ------------------------------------------------------------------ what is drawn when a run is over


@pytest.mark.parametrize("error", [ValueError("x1 must be greater"), MemoryError(), OSError(28, "No space left")])
def test_what_is_drawn_of_a_run_cannot_change_how_it_ended(error, monkeypatch, ganforge_cli):
    states = []

    def draws(*_: object, **__: object) -> None:
        states.append(json.loads(Path("runs/run_1/run.json").read_text())["state"])
        raise error

    with monkeypatch.context() as context:
        context.setattr("ganforge.training.outputs.make_progression", draws)
        code, _, err = ganforge_cli("train", *FLAGS, "--epochs", 1, "--quiet")
    assert (code, states, Run("run_1").state) == (0, ["finished"], "finished")
    assert "progression.gif of run_1 could not be drawn" in one_line(err)
    assert Run("run_1").sample(1).shape == (1, 8, 8, 3)
    assert ganforge_cli("resume", "run_1", "--quiet")[0] == 0  # draws it
    assert Path("runs/run_1/progression.gif").is_file()
