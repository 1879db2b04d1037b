"""Odd surroundings: streams that are closed, full or know few letters, no home, no memory, a run that goes."""

import os
import shutil
import subprocess
import sys

import pytest
from support import SMALL, At, one_line, photos

from ganforge import train
from ganforge.errors import GANForgeError, out_of_memory
from ganforge.plugin import registry

CALL = "from ganforge.cli.group import main; main()"
NOBODY = """
import os, pwd
def nobody(*_): raise KeyError("uid not found")
pwd.getpwuid = pwd.getpwnam = nobody
for name in list(os.environ):
    if name in ("HOME", "USER", "LOGNAME") or name.startswith(("XDG_", "GANFORGE_")): del os.environ[name]
"""


def shell(redirections: str, *words: str, code: str = CALL, **environment: str) -> tuple[int, str]:
    """Return the exit code and what came out of a command whose streams the shell has prepared."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", code, *words],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=600,
    )
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize(
    ("redirections", "words", "code", "said"),
    [
        pytest.param(
            *(">/dev/full", ["plugins"], 1, "ganforge: the output cannot be written: No space left on device\n"),
            marks=pytest.mark.slow,  # as with the next, after Keras has been imported
        ),
        (">/dev/full", ["runs", "--json"], 1, "ganforge: the output cannot be written: No space left on device\n"),
        (">/dev/full", ["--help"], 1, "ganforge: the output cannot be written: No space left on device\n"),
        ("2>/dev/full", ["runs", "--nono"], 2, ""),
        pytest.param("2>/dev/full", ["train", "--arch", "nono"], 2, "", marks=pytest.mark.slow),
        (">&-", ["runs"], 0, "ganforge: the standard output is closed; what is printed is lost\n"),
        ("2>&-", ["runs", "--nono"], 2, ""),
        pytest.param("2>&-", ["train", "--arch", "nono"], 2, "", marks=pytest.mark.slow),
        (">&- 2>&- <&-", ["runs"], 0, ""),
    ],
)
def test_streams_that_take_nothing_are_said_in_one_line(redirections, words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shell(redirections, *words) == (code, said)


def test_what_a_library_prints_is_not_written_into_a_file(tmp_path, monkeypatch):
    """A file that is opened where the streams are closed would get their numbers."""
    monkeypatch.chdir(tmp_path)
    prints = "import os; file = open('file', 'wb'); os.write(1, b'stray'); os.write(2, b'stray'); file.write(b'good')"
    for redirections in (">&-", "2>&-", ">&- 2>&-", ">&- 2>&- <&-"):
        shell(redirections, code=f"from ganforge.cli.streams import prepare; prepare(); {prints}")
        assert (tmp_path / "file").read_bytes() == b"good"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict"])
def test_a_message_in_few_letters_is_one_line(tmp_path, monkeypatch, encoding):
    monkeypatch.chdir(tmp_path)
    code, out = shell("2>&1", "show", "été/日本", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (code, out.count("\n"), "Traceback" in out) == (1, 1, False)
    assert "there is no run" in out


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict"])
def test_a_stream_of_few_letters_is_given_those(tmp_path, monkeypatch, encoding):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "été").mkdir()
    code, out = shell("2>&1", "train", "--data", "été/日本", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (code, out.count("\n"), "Traceback" in out) == (1, 1, False)
    assert "there is no folder or zip" in out
    code, out = shell("2>&1", "plugins", "noise-anneal", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert code == 0


@pytest.mark.slow
def test_nobodys_home_is_no_folder_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugin.py").write_text("")
    flags = ["--arch", "dcgan:width=4", "--image-size", "16", "--batch-size", "2", "--epochs", "1"]
    flags += ["--plugin", "plugin.py"]
    code, out = shell("2>&1", "train", "--data", str(photos(tmp_path / "photos")), *flags, code=NOBODY + CALL)
    assert (code, "Traceback" in out) == (0, False), out
    assert {file.name for file in (tmp_path / "~").glob("*")} <= {".keras"}  # Keras's own doing


def test_the_home_of_somebody_unknown_is_one_line(ganforge_cli):
    code, _, err = ganforge_cli("train", "--data", "~somebody/photos")
    assert code == 1
    assert "there is no folder or zip '~somebody/photos'" in one_line(err)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_plugin_that_memory_was_too_small_for_is_not_called_unknown(error, monkeypatch):
    def load(_):
        try:
            raise error
        except Exception as inner:
            raise ImportError("cannot import name 'x'") from inner

    monkeypatch.setattr("importlib.metadata.EntryPoint.load", load)
    monkeypatch.setenv("GANFORGE_DISABLE_PLUGINS", "none-of-this-name")  # what is installed is read once a process
    with pytest.raises(GANForgeError, match="out of memory: close other programs"):
        registry.load_plugins()
    assert not out_of_memory(ImportError("no module named x"))


@pytest.mark.parametrize("what", ["renamed", "deleted"])
def test_a_run_that_goes_away_while_it_trains_is_one_line(tmp_path, what):
    def go():
        run = tmp_path / "run_1"
        run.rename(tmp_path / "elsewhere") if what == "renamed" else shutil.rmtree(run)

    with pytest.raises(GANForgeError, match=r"run_1 is gone: .*step 0.*ganforge resume PATH"):
        train(**SMALL, epochs=3, runs_dir=tmp_path, observers=[At(1, go)])
    assert not (tmp_path / "run_1").exists()
