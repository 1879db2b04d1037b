"""What all tests share: torch as the backend of this process, and a cache of their own."""

from __future__ import annotations

import os
import re
import tempfile

import pytest

os.environ["GANFORGE_CACHE_DIR"] = tempfile.mkdtemp(prefix="ganforge-test-cache-")
os.environ["GANFORGE_STATE_DIR"] = tempfile.mkdtemp(prefix="ganforge-test-state-")
os.environ.pop("GANFORGE_RUNS_DIR", None)
os.environ["KERAS_BACKEND"] = "torch"


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
