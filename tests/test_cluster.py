"""Studies elsewhere: what ``--on`` names, runs on a Ray cluster that loses a machine, and jobs of submitit's.

A run that went through all this ends as one that was trained here without a stop, bit for bit.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from support import timeless

import ganforge
from ganforge import GANForgeError, UsageError
from ganforge.runs import read_history, read_manifest
from ganforge.runs.lock import is_locked
from ganforge.study.executors.choosing import opened, parse_on, places
from ganforge.study.executors.files import Sent, put
from ganforge.study.executors.ray import require_ray
from ganforge.study.executors.slurm import SlurmWorker, stop_file
from ganforge.study.plan import read_study
from ganforge.study.runner import StudyRunner

TINY = {
    "arch": "fcgan:hidden=8,discriminator_hidden=8",
    "data": "critters:count=32",
    "image_size": 8,
    "batch_size": 16,
    "snapshot_every": 50,
    "checkpoint_every": 5,
}
# Layers are numbered through a process; their place in the network stands before their name.
COUNTED = re.compile(r"_\d+(?=[/_])")
EPOCHS, SEEDS = 150, (0, 1)  # two steps each


def study_of(folder: Path, epochs: int = EPOCHS, seeds: tuple[int, ...] = SEEDS) -> Path:
    """Write a study of tiny runs, one a seed."""
    lines = [f"{name.replace('_', '-')} = {json.dumps(value)}" for name, value in TINY.items()]
    text = ["[common]", *lines, f"epochs = {epochs}", "cpus = 1", "[[grid]]", f"seed = {list(seeds)}"]
    path = folder / "far.toml"
    path.write_text("\n".join(text), "utf-8")
    return path


def kept(run: Path) -> dict[str, object]:
    """Return what a run must have in common with one trained elsewhere: its numbers and files, to the last bit."""
    last = sorted((run / "checkpoints").glob("step_*"))[-1]
    manifest = read_manifest(run)
    state = json.loads(COUNTED.sub("", (last / "state.json").read_text("utf-8")))
    weights = load_file(last / "weights.safetensors")
    return {
        "weights": {COUNTED.sub("", name): (array.dtype, array.tobytes()) for name, array in weights.items()},
        "state": {**state["state"], "seconds": 0},
        "metrics": timeless(read_history(run)),
        "grids": {path.name: path.read_bytes() for path in sorted((run / "snapshots").iterdir())},
        "config": {**manifest["config"], "runs_dir": ""},
        "progress": manifest["progress"],
        "names": {path.name for path in run.iterdir()} - {".lock"},
    }


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> dict[int, dict[str, object]]:
    """The same runs, trained in this process."""
    place = tmp_path_factory.mktemp("here")
    made = {}
    for seed in SEEDS:
        run = ganforge.train(**TINY, epochs=EPOCHS, seed=seed, backend="torch", runs_dir=place, progress=False)
        made[seed] = kept(run.path)
    return made


def require_equal(runner: StudyRunner, here: dict[int, dict[str, object]]) -> None:
    assert [(row.state, row.error) for row in runner.rows] == [("done", "")] * len(SEEDS)
    for row in runner.rows:
        assert row.run is not None
        found, wanted = kept(row.run), here[row.entry.settings["seed"]]
        for name, value in wanted.items():
            assert found[name] == value, name
    assert len({row.run for row in runner.rows}) == len(SEEDS)
    assert len(list(runner.runs_dir.glob("run_*"))) == len(SEEDS)  # none was begun twice
    assert not list(runner.runs_dir.glob(".shared-*"))


# ------------------------------------------------------------------ without a cluster


@pytest.mark.parametrize(
    ("on", "near"), [("rai", "Did you mean 'ray'?"), ("local:4", "slurm[:PARTITION]"), ("", "local")]
)
def test_where_a_study_is_trained_is_one_of_three(tmp_path, ganforge_cli, on, near):
    with pytest.raises(UsageError) as error:
        parse_on(on)
    assert near in str(error.value)
    code, _, err = ganforge_cli("study", study_of(tmp_path), "--on", on)
    assert (code, near in err) == (2, True)
    assert parse_on("ray:10.0.0.1:6379") == ("ray", "10.0.0.1:6379")
    assert (places("local", None), places("local", 3), places("slurm", 2)) == (1, 3, 2)
    assert places("ray", None) > 100


@pytest.mark.parametrize(("on", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_extra_is_named(on, package, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(GANForgeError, match=rf"pip install 'ganforge\[{on}\]'"), opened(on, 1, tmp_path):
        pass


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("127.0.0.1:1", GANForgeError, "nothing answers there"),
        ("127.0.0.1:99999999", GANForgeError, "nothing answers there"),
        ("ray://127.0.0.1:10001", UsageError, "expected HOST:PORT or auto"),
        ("nowhere", UsageError, "expected HOST:PORT or auto"),
    ],
)
def test_an_address_where_no_cluster_is_is_one_line(address, error, words, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # as if Ray were there
    with pytest.raises(error, match=words) as found:
        require_ray(address)
    assert type(found.value) is error


def test_what_a_run_needs_of_a_machine_is_no_setting_of_it(tmp_path):
    path = study_of(tmp_path)
    entry = read_study(path).entries[0]
    assert entry.needs == {"cpus": 1}
    assert "cpus" not in entry.settings
    path.write_text(path.read_text("utf-8").replace("cpus = 1", "cpus = 0"), "utf-8")
    with pytest.raises(UsageError, match="invalid cpus = 0: expected a whole number, 1 or more"):
        read_study(path)


def test_of_a_run_what_changed_is_sent_and_what_was_pruned_is_removed(tmp_path):
    there, back = tmp_path / "there" / "run_1", tmp_path / "runs" / "run_7"
    (there / "checkpoints" / "step_1").mkdir(parents=True)
    (there / "snapshots").mkdir()
    (there / "checkpoints" / "step_1" / "state.json").write_text("1")
    (there / ".lock").touch()
    (there / "link").symlink_to("/etc/hostname")
    (there / "run.json").write_text(json.dumps({"id": "run_1", "config": {"seed": 3, "runs_dir": "there"}}))
    (there / "metrics.jsonl").write_text("a\n")
    sent = Sent()
    assert sent.due(there)
    first = sent.changed(there)
    assert not sent.due(there)
    assert sorted(first["files"]) == ["checkpoints/step_1/state.json", "metrics.jsonl", "run.json"]
    back.mkdir(parents=True)
    put(back, "runs", **first)
    (there / "checkpoints" / "step_2").mkdir()
    (there / "checkpoints" / "step_2" / "state.json").write_text("2")
    assert sent.due(there)
    (there / "checkpoints" / "step_1" / "state.json").unlink()
    (there / "metrics.jsonl").write_text("a\nb\n")
    second = sent.changed(there)
    assert sorted(second["files"]) == ["checkpoints/step_2/state.json", "metrics.jsonl"]
    put(back, "runs", **second)
    assert json.loads((back / "run.json").read_text()) == {"id": "run_7", "config": {"seed": 3, "runs_dir": "runs"}}
    files = {path.relative_to(back).as_posix(): path.read_text() for path in back.rglob("*") if path.is_file()}
    assert {name: text for name, text in files.items() if name != "run.json"} == {
        "metrics.jsonl": "a\nb\n",
        "checkpoints/step_2/state.json": "2",
    }
    assert not (back / "checkpoints" / "step_1").exists()


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "a/../../b", ".lock", ""])
def test_what_is_sent_stays_in_the_run(name, tmp_path):
    (tmp_path / "run_1").mkdir()
    with pytest.raises(GANForgeError, match="is not a file of a run"):
        put(tmp_path / "run_1", "runs", {name: b""}, [])
    assert [path.name for path in tmp_path.rglob("*")] == ["run_1"]


@pytest.mark.slow
def test_a_worker_whose_asker_is_gone_saves_and_ends(tmp_path):
    settings = {**TINY, "epochs": 100000, "runs_dir": str(tmp_path)}
    task = {"settings": settings, "plugins": [], "stages": [], "run": None, "evaluate": False, "tied": True}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    worker = subprocess.Popen([sys.executable, "-m", "ganforge.study.worker"], **pipes, text=True)
    worker.stdin.write(json.dumps(task) + "\n")
    worker.stdin.flush()
    assert any(json.loads(line).get("step", 0) > 2 for line in worker.stdout)
    assert is_locked(tmp_path / "run_1")
    worker.stdin.close()
    assert worker.wait(60) == 130
    worker.stdout.close()
    manifest = read_manifest(tmp_path / "run_1")
    assert (manifest["state"], is_locked(tmp_path / "run_1")) == ("stopped", False)
    assert manifest["progress"]["step"] > 2


# ------------------------------------------------------------------ Ray


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of this machine: a head with one core, which soon sees that another machine is gone."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    soon = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 4}
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    found = Cluster(initialize_head=True, head_node_args={**small, "_system_config": soon})
    found.add = lambda: found.add_node(**small, wait=False)
    yield found
    found.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_a_study_on_ray_loses_a_machine_and_no_bit(shared, cluster, here, tmp_path, monkeypatch):
    from ganforge.study.executors.ray import RayExecutor

    monkeypatch.chdir(tmp_path)
    second = cluster.add()
    executor = RayExecutor(cluster.address, Path("runs"), shared=None if shared else False)
    study = read_study(study_of(tmp_path))
    runner = StudyRunner(study, Path("runs"), jobs=2, evaluate=False, executor=executor)
    seen, killed = [], []

    def kill() -> None:
        seen.append(tuple(row.state for row in runner.rows))
        # In the middle: each has steps behind it that no checkpoint has, and many before it.
        if not killed and all(20 < row.step < 2 * EPOCHS - 40 for row in runner.rows):
            killed.append([row.step for row in runner.rows])
            cluster.remove_node(second, allow_graceful=False)

    try:
        assert runner.run(kill), [row.error for row in runner.rows]
    finally:
        executor.close()
    assert killed
    after = seen[next(i for i, states in enumerate(seen) if states == ("running", "running")) :]
    assert any("queued" in states for states in after)  # one was on it, and waited for the other's place
    require_equal(runner, here)


@pytest.mark.slow
def test_ctrl_c_leaves_runs_on_ray_resumable(cluster, tmp_path, monkeypatch):
    from ganforge.study.executors.ray import RayExecutor

    monkeypatch.chdir(tmp_path)
    study = read_study(study_of(tmp_path, epochs=100_000))
    executor = RayExecutor(cluster.address, Path("runs"))
    runner = StudyRunner(study, Path("runs"), jobs=2, evaluate=False, executor=executor)

    def press() -> None:
        if any(row.step > 10 for row in runner.rows):
            raise KeyboardInterrupt

    pressed = iter([press])
    with pytest.raises(KeyboardInterrupt):
        runner.run(lambda: press() if not runner.stopping else next(pressed, None))
    executor.close()
    assert {row.state for row in runner.rows} == {"stopped"}  # the other was queued: there is one core
    ran = [row for row in runner.rows if row.run]
    assert len(ran) == 1
    manifest = read_manifest(ran[0].run)
    assert (manifest["state"], manifest["progress"]["step"] > 10) == ("stopped", True)
    again = StudyRunner(study, Path("runs"), evaluate=False)
    assert [row.run for row in again.rows] == [row.run for row in runner.rows]


# ------------------------------------------------------------------ submitit


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_loses_no_bit(here, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    from ganforge.study.executors.slurm import SlurmExecutor

    monkeypatch.chdir(tmp_path)
    executor = SlurmExecutor("", Path("runs"), cluster="local")
    runner = StudyRunner(read_study(study_of(tmp_path)), Path("runs"), jobs=2, evaluate=False, executor=executor)
    preempted, seen = [], set()

    def preempt() -> None:
        seen.update(row.state for row in runner.rows if preempted)
        if not preempted and all(20 < row.step < 2 * EPOCHS - 40 for row in runner.rows):
            for pid in children("submitit.core._submit"):
                preempted.append(pid)
                os.kill(pid, signal.SIGUSR2)  # as Slurm does before it takes a machine away

    assert runner.run(preempt), [row.error for row in runner.rows]
    assert len(preempted) == 2
    assert "queued" in seen
    require_equal(runner, here)


class Silent:
    """A job that never ends as far as anybody says: it waits in the queue, or Slurm keeps no accounts."""

    job_id, state = "1", "UNKNOWN"

    def __init__(self):
        self.cancelled = 0

    def done(self):
        return False

    def cancel(self, check):
        self.cancelled += 1


def test_a_job_that_was_cancelled_is_not_waited_for(tmp_path, monkeypatch):
    for name in ("KILL_WAIT", "LOOK"):
        monkeypatch.setattr(f"ganforge.study.executors.slurm.{name}", 0.05)
    job, said = Silent(), tmp_path / "it.jsonl"
    queued = SlurmWorker(job, said)
    reports = queued.reports()
    assert next(reports) == {"doing": "queued"}
    queued.interrupt(again=False)  # nothing of it is to be saved
    assert (list(reports), queued.wait(), job.cancelled) == ([], 130, 1)
    said.write_text('{"step": 3}\n{"st')  # another, which trains: only a whole line counts
    training = SlurmWorker(job, said)
    reports = training.reports()
    assert [next(reports), next(reports)] == [{"doing": "queued"}, {"step": 3}]
    training.interrupt(again=False)
    assert (stop_file(said).exists(), job.cancelled) == (True, 1)
    training.interrupt(again=True)
    assert (list(reports), training.wait(), job.cancelled) == ([], 130, 2)


@pytest.mark.slow
def test_ctrl_c_has_a_job_save_and_end(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    from ganforge.study.executors.slurm import SlurmExecutor

    monkeypatch.chdir(tmp_path)
    executor = SlurmExecutor("", Path("runs"), cluster="local")
    study = read_study(study_of(tmp_path, epochs=100_000, seeds=(0,)))
    runner = StudyRunner(study, Path("runs"), evaluate=False, executor=executor)

    def press() -> None:
        if not runner.stopping and runner.rows[0].step > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(press)
    assert runner.rows[0].state == "stopped"
    manifest = read_manifest(runner.rows[0].run)
    assert (manifest["state"], manifest["progress"]["step"] > 10) == ("stopped", True)


def children(name: str) -> list[int]:
    """Return the processes below this one whose command line has a word."""
    found, below = [], {os.getpid()}
    about = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            about[int(path.name)] = (parent, (path / "cmdline").read_bytes().decode(errors="replace"))
        except (OSError, ValueError):
            continue
    while more := {pid for pid, (parent, _) in about.items() if parent in below} - below:
        below |= more
    found = [pid for pid in below if pid in about and name in about[pid][1]]
    return sorted(found)
