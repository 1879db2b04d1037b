"""Studies: what a file asks for, what is skipped and resumed, and that one failure stops nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import SMALL, At

from ganforge.errors import UsageError
from ganforge.runs import update_manifest
from ganforge.study.executors.local import LocalWorker, share
from ganforge.study.plan import read_study, short_architectures
from ganforge.study.runner import StudyRunner, study_runs

TINY = """
[common]
arch = "fcgan:hidden=8,discriminator_hidden=8"
data = "critters:count=32"
image-size = 16
batch-size = 16
log-every = 1
"""


def written(folder: Path, text: str, name: str = "noise.toml") -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_a_grid_is_every_combination_named_by_what_differs(tmp_path):
    study = read_study(
        written(
            tmp_path,
            TINY
            + """
[[run]]
name = "deep"
stages = [2, 4]
[[grid]]
name = "sigma"
epochs = 3
balance = ["input-noise:sigma=0.1", ["input-noise:sigma=0.2", "r1"]]
seed = [0, 1]
""",
        )
    )
    assert study.name == "noise"
    assert [entry.name for entry in study.entries] == [
        "deep",
        "sigma input-noise:sigma=0.1 seed=0",
        "sigma input-noise:sigma=0.1 seed=1",
        "sigma input-noise:sigma=0.2 + r1 seed=0",
        "sigma input-noise:sigma=0.2 + r1 seed=1",
    ]
    deep, first, *_, last = study.entries
    assert (deep.stages, deep.settings["epochs"]) == ((2, 4), 2)
    assert first.settings["balance"] == ["input-noise:sigma=0.1"]
    assert last.settings == {
        **SMALL,
        "epochs": 3,
        "balance": ["input-noise:sigma=0.2", "r1"],
        "seed": 1,
    }
    assert read_study(tmp_path / "noise.toml", data="photos").entries[0].settings["data"] == "photos"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no runs"),
        ("[[run]]\nepoch = 3", "Did you mean 'epochs'?"),
        ("[[run]]\nepochs = 0", "invalid --epochs 0:"),
        ("[[runs]]\nepochs = 1", "Did you mean 'run'?"),
        ("[[grid]]\nseed = []", "seed is an empty list"),
        ("[[run]]\nstages = [4, 2]", "expected increasing numbers of epochs"),
        ("[[run]]\n[[run]]", "two runs named"),
        ("[run]\nseed = 1", "expected [[run]] tables"),
        ("name = 'a/b'\n[[run]]", "expected letters, digits"),
        ("[[run", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path, ganforge_cli, text, words):
    with pytest.raises(UsageError) as error:
        read_study(written(tmp_path, text))
    assert words in str(error.value)
    code, _, err = ganforge_cli("study", "noise.toml")
    assert code == 2
    assert words in err


def test_the_examples_ask_for_what_the_report_did():
    folder = Path(__file__).parent.parent / "examples" / "studies"
    full, quick = read_study(folder / "seed.toml"), read_study(folder / "seed-quick.toml")
    today, *thirteen = [e.name for e in full.entries]
    assert (today, len(thirteen)) == ("today r3gan", 13)
    assert thirteen == [e.name for e in quick.entries]
    settings = {e.name: e.settings for e in full.entries}
    assert {s["batch_size"] for s in settings.values()} == {256}
    assert {s["limit"] for s in settings.values()} == {10000}
    assert {s["image_size"] for s in settings.values()} == {64}
    assert sorted({s["epochs"] for n, s in settings.items() if "fcgan" in s["arch"]}) == [150]
    assert [e.stages for e in full.entries if e.stages] == [(125, 250)]


def test_names_leave_out_the_options_that_all_relatives_share():
    shared = short_architectures(["dcgan-1:width=8", "dcgan-3:width=8", "fcgan-2"])
    assert list(shared.values()) == ["dcgan-1", "dcgan-3", "fcgan-2"]
    own = short_architectures(["dcgan-1", "dcgan-3:width=8", "fcgan-2:dropout=0"])
    assert list(own.values()) == ["dcgan-1", "dcgan-3:width=8", "fcgan-2"]
    assert short_architectures(["dcgan:width=8", "dcgan:width=9"])["dcgan:width=8"] == "dcgan:width=8"


def test_cores_are_shared_out_unless_the_person_chose(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert share(0, 2)["OMP_NUM_THREADS"] == "4"
    assert share(0, 16)["MKL_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert share(0, 2)["OMP_NUM_THREADS"] == "3"


def test_each_worker_sees_one_gpu_in_turn(monkeypatch):
    def seen(*given):
        for name in given:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", name)
        return [share(place, 3).get("CUDA_VISIBLE_DEVICES") for place in range(3)]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("ganforge.study.executors.local.glob", lambda _: ["/dev/nvidia0", "/dev/nvidia3"])
    assert seen() == ["0", "1", "0"]
    assert seen("4,GPU-7f") == ["4", "GPU-7f", "4"]
    assert seen("5") == ["5", "5", "5"]
    assert seen("") == ["", "", ""]  # none, on purpose
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("ganforge.study.executors.local.glob", lambda _: ["/dev/nvidia0"])
    assert seen() == [None, None, None]


class Elsewhere:
    """An executor of no machine: each worker says what its entry's seed was told to, and ends with a code."""

    def __init__(self, ends, each=lambda worker: None):
        self.ends, self.each, self.started, self.at_work, self.shared = ends, each, [], set(), False

    def start(self, task, place):
        worker = Elsewhere.Worker(self, task["settings"]["seed"], task, place)
        self.shared |= place in self.at_work
        self.at_work.add(place)
        self.started.append(worker)
        return worker

    class Worker:
        def __init__(self, executor, seed, task, place):
            self.executor, self.seed, self.task, self.place, self.told = executor, seed, task, place, []

        def reports(self):
            yield {"run": f"somewhere/run_{self.seed}", "step": 0, "steps": 9}
            self.executor.each(self)
            yield {"step": 3, "d_loss": 0.5}
            if self.seed == 2:
                yield {"error": "out of luck"}

        def wait(self):
            self.executor.at_work.discard(self.place)
            return self.executor.ends[self.seed]

        def interrupt(self, again):
            self.told.append(again)


def test_a_study_needs_no_more_of_an_executor_than_its_protocol(tmp_path):
    study = read_study(written(tmp_path, TINY + "[[grid]]\nseed = [0, 1, 2, 3, 4]\n"))
    executor = Elsewhere({0: 0, 1: 130, 2: 1, 3: -9, 4: 7})
    runner = StudyRunner(study, tmp_path / "runs", jobs=2, samples=64, executor=executor)
    assert runner.run() is False
    assert [row.state for row in runner.rows] == ["done", "stopped", "failed", "failed", "failed"]
    assert [row.error for row in runner.rows[2:]] == [
        "out of luck",
        "the process was ended by signal 9 (out of memory?)",
        "the process ended with exit code 7",
    ]
    assert all((row.step, row.steps, row.metrics) == (3, 9, {"d_loss": 0.5}) for row in runner.rows)
    assert {worker.place for worker in executor.started} <= {0, 1}
    assert not executor.shared
    first = next(worker.task for worker in executor.started if worker.seed == 0)
    assert first["settings"]["runs_dir"] == str(tmp_path / "runs")
    assert {**first, "settings": None} == {
        "settings": None,
        "plugins": [],
        "stages": [],
        "run": None,
        "evaluate": True,
        "samples": 64,
        "needs": {},
    }
    index = json.loads((tmp_path / "runs" / "noise.study.json").read_text())["entries"]
    assert {about["run"] for about in index.values()} == {f"run_{i}" for i in range(5)}


def test_each_run_is_measured_on_as_many_pictures_as_evaluate_draws_by_itself(tmp_path):
    from ganforge.cli.study import command

    study = read_study(written(tmp_path, TINY + "seed = 0\n[[run]]\nname = 'one'\n"))
    executor = Elsewhere({0: 0})
    StudyRunner(study, tmp_path / "runs", executor=executor).run()
    assert executor.started[0].task["samples"] is None
    assert command.make_context("study", ["modes"]).params["samples"] is None


def test_ctrl_c_is_told_to_those_at_work_once_gently_and_then_at_once(tmp_path):
    study = read_study(written(tmp_path, TINY + "[[grid]]\nseed = [0, 1, 2]\n"))

    def until_told_twice(worker):
        worker.ready = True
        while len(worker.told) < 2:
            time.sleep(0.01)

    executor = Elsewhere({0: 130, 1: -9, 2: 0}, until_told_twice)
    runner = StudyRunner(study, tmp_path / "runs", jobs=2, executor=executor)

    def press() -> None:
        if len([w for w in executor.started if hasattr(w, "ready")]) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(press)
    assert [worker.told[:2] for worker in executor.started] == [[False, True], [False, True]]
    assert [row.state for row in runner.rows] == ["stopped", "failed", "waiting"]


def test_a_lost_terminal_or_sigterm_is_as_ctrl_c(tmp_path):
    study = read_study(written(tmp_path, TINY + "[[grid]]\nseed = [0]\n"))

    def until_told(worker):
        os.kill(os.getpid(), signal.SIGTERM)
        while not worker.told:
            time.sleep(0.01)

    before = signal.getsignal(signal.SIGTERM)
    executor = Elsewhere({0: -15}, until_told)
    runner = StudyRunner(study, tmp_path / "runs", executor=executor)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert (executor.started[0].told, runner.rows[0].state) == ([False], "stopped")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_worker_that_cannot_be_understood_is_ended(tmp_path):
    study = read_study(written(tmp_path, TINY + "[[grid]]\nseed = [0]\n"))
    executor = Elsewhere({0: 0}, lambda _: 1 / 0)
    runner = StudyRunner(study, tmp_path / "runs", executor=executor)
    assert not runner.run()
    assert (executor.started[0].told, runner.rows[0].state) == ([True], "failed")
    assert not executor.at_work


def test_a_workers_stray_lines_are_no_reports_and_it_is_told_to_save(tmp_path, monkeypatch):
    script = tmp_path / "worker.py"
    script.write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(130))\n"
        'os.write(1, b\'a warning\\n\\xff\\n[1]\\n{"step": 3, "group": %d}\\n\' % os.getpgid(0))\n'
        "time.sleep(60)\n"
    )
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **how: real([sys.executable, str(script)], **how))
    worker = LocalWorker({}, dict(os.environ))
    reports = worker.reports()
    said = next(reports)
    assert said["step"] == 3
    assert said["group"] != os.getpgid(0)  # a terminal's Ctrl-C would be a second one
    worker.interrupt(again=False)
    assert (list(reports), worker.wait()) == ([], 130)


@pytest.mark.parametrize(
    "wrong", ['loss = "nono"', 'data = "nowhere"', 'balance = "r1:nono=1"', 'backend = "jax"', 'log = ["nono"]']
)
def test_a_dry_run_takes_nothing_that_is_not_there(wrong, tmp_path, ganforge_cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganforge.backend._is_installed", lambda backend: backend != "jax")
    path = written(tmp_path, f'{TINY}\n[[run]]\nname = "good"\n[[run]]\nname = "bad"\n{wrong}\n')
    code, out, err = ganforge_cli("study", path, "--dry-run")
    assert code == 1
    assert "bad: " in err
    assert "good: " not in err
    assert "Nothing was trained" in out


@pytest.mark.slow
def test_a_study_from_start_to_end(tmp_path, ganforge_cli):
    text = TINY + (
        "[[run]]\nname = 'good'\nstages = [1, 2]\n"
        "[[run]]\nname = 'bad'\narch = 'nothing'\nepochs = 1\n"
        "[[run]]\nname = 'also good'\nepochs = 1\nbalance = 'auto'\n"
    )
    written(tmp_path, text)
    code, out, err = ganforge_cli("study", "noise.toml", "--jobs", 2, "--samples", 32)
    assert code == 1
    assert "ganforge: bad: there is no architecture 'nothing'" in err
    runs = dict(study_runs("noise", tmp_path / "runs"))
    assert set(runs) == {"good", "also good"}
    progress = {n: json.loads((r / "run.json").read_text())["progress"]["epoch"] for n, r in runs.items()}
    assert progress == {"good": 2, "also good": 1}
    assert all((run / "evaluation.json").is_file() for run in runs.values())
    assert "good: done" in out

    # One of them is as if the machine had been switched off in its first epoch.
    study = read_study(tmp_path / "noise.toml")
    before = {run: (run / "metrics.jsonl").stat().st_mtime_ns for run in runs.values()}
    (runs["also good"] / "evaluation.json").unlink()
    rows = {row.entry.name: row for row in StudyRunner(study, tmp_path / "runs").rows}
    assert [rows[n].state for n in ("good", "bad", "also good")] == ["done", "waiting", "waiting"]
    assert StudyRunner(study, tmp_path / "runs", evaluate=False).rows[2].state == "done"
    update_manifest(runs["good"], state="running")
    assert StudyRunner(study, tmp_path / "runs").rows[0].state == "waiting"
    update_manifest(runs["good"], state="finished")
    code, out, _ = ganforge_cli("study", "noise.toml", "--samples", 32)
    assert code == 1
    assert (runs["also good"] / "evaluation.json").is_file()
    assert before == {run: (run / "metrics.jsonl").stat().st_mtime_ns for run in runs.values()}
    assert not (tmp_path / "runs" / "run_3").exists()

    # Other settings are another run; the old one stays.
    written(tmp_path, text.replace("stages = [1, 2]", "stages = [1, 3]"))
    assert StudyRunner(read_study(tmp_path / "noise.toml"), tmp_path / "runs").rows[0].run is None

    code, out, _ = ganforge_cli("compare", "noise")
    assert code == 0
    assert "also good" in out
    code, out, _ = ganforge_cli("study", "noise.toml", "--dry-run")
    assert code == 1  # one of its architectures does not exist
    assert "3 runs, 1 done" in out


def test_a_worker_resumes_what_was_cut_off(tmp_path):
    import ganforge

    def pull_the_plug() -> None:  # as the second Ctrl-C: at once, and nothing saved since the last checkpoint
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    settings = {**SMALL, "epochs": 2, "runs_dir": str(tmp_path / "runs")}
    with pytest.raises(KeyboardInterrupt):
        ganforge.train(observers=[At(3, pull_the_plug)], **settings)
    run = tmp_path / "runs" / "run_1"
    task = {"settings": settings, "stages": [], "run": str(run), "plugins": [], "evaluate": False, "samples": 16}
    done = subprocess.run(
        [sys.executable, "-m", "ganforge.study.worker"], input=json.dumps(task), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0] == {"run": str(run)}
    assert said[1]["step"] == 2  # the last checkpoint
    assert said[-1]["step"] == 4
    assert json.loads((run / "run.json").read_text())["state"] == "finished"


def test_tensorboard_events_hold_losses_and_grids(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    import ganforge

    run = ganforge.train(**SMALL, balance="noise-anneal", epochs=2, log="tensorboard", runs_dir=tmp_path)
    run.resume(epochs=3)
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    losses = events.Scalars("losses/d_loss")
    assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6]
    assert losses[-1].value == pytest.approx(run.metrics()[-1]["d_loss"])
    assert "balance/noise-anneal/sigma" in events.Tags()["scalars"]
    assert [event.step for event in events.Images("grid")] == [0, 2, 4, 6]
