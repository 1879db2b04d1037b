"""What all tests share: torch as the backend of this process, a cache of their own, and who runs what."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

for _name in ("cache", "state"):
    _folder = tempfile.mkdtemp(prefix=f"ganforge-test-{_name}-")
    os.environ[f"GANFORGE_{_name.upper()}_DIR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
if "PYTEST_XDIST_WORKER" not in os.environ:  # one for all workers: what XLA compiled once need not be compiled again
    _folder = tempfile.mkdtemp(prefix="ganforge-test-xla-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # What runs for seconds need not be optimised for minutes. (At level 0 a second derivative becomes nan.)
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
if "PYTEST_XDIST_WORKER" in os.environ:
    # The other cores are the other workers': threads that wait for one another cost more than they bring.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MKL_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.pop("GANFORGE_RUNS_DIR", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: tests press Ctrl-C all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["KERAS_BACKEND"] = "torch"

# Those of a minute and more begin first, the longest of all before the others: what is left at the end is short.
LONGEST = [f"tests/test_{name}.py" for name in ("engine", "conformance", "keras_layers", "numbers", "soak")]
# What a process keeps for all tests of a file, and would otherwise be made again in every process that runs one.
SHARED = re.compile(r"""scope=["'](module|session)["']|\bprobe\(""")


@cache
def stays_whole(file: str) -> bool:
    """Say whether the tests of a file, named as in a node id, belong in one process."""
    return bool(SHARED.search((Path(__file__).parent.parent / file).read_text("utf-8")))


def pytest_configure(config: pytest.Config) -> None:
    """Run what is named, ``pytest tests/test_x.py::test_y``, even if it is marked slow."""
    chosen = any(str(word).startswith("-m") for word in config.invocation_params.args)
    if not chosen and not hasattr(config, "workerinput") and all("::" in word for word in config.args):
        config.option.markexpr = ""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file without the marker for `-m "quick and …"`: that takes as long as half of its tests."""
    chosen = config.option.markexpr.startswith("quick") and collection_path.match("test_*.py")
    return True if chosen and "pytest.mark.quick" not in collection_path.read_text("utf-8") else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have runs that tests train leave blank drawings: Matplotlib takes three times as long as these trainings.

    What it draws is tested by test_media.py, whose imports are done by now, and in processes of their own.
    """
    from PIL import Image

    from ganforge.files import replacing
    from ganforge.media import curves, diagram

    def blank(what: object, path: Path, title: str = "") -> None:
        with replacing(path) as file:
            Image.new("RGB", (8, 8), "white").save(file, "png")

    curves.plot_losses = diagram.draw_architecture = blank


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.option.markexpr == "not slow":
        terminalreporter.write_line("Without the tests marked slow; all of them: pytest -m ''")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out files that share something whole, the longest first, and all other tests one by one.

    (pytest-xdist's own ``xdist_group`` has no effect, without a word, since pytest 9.2 keeps node ids as they are.)
    """
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByNeed(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return file if stays_whole(file) else nodeid

        def _assign_work_unit(self, node: Any) -> None:
            if waiting := next((file for file in LONGEST if file in self.workqueue), None):
                self.workqueue.move_to_end(waiting, last=False)
            super()._assign_work_unit(node)

    return ByNeed(config, log)


@pytest.fixture
def ganforge_cli(tmp_path, monkeypatch, capfd):
    """Run the command line in this process, in an empty directory; gives (exit code, stdout, stderr)."""
    from ganforge.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*args: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return int(exit_info.value.code or 0), re.sub(r"\x1b\[[0-9;]*m", "", out), err

    return run
